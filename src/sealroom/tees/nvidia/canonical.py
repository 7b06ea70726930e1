"""Canonical XML 1.1 without comments, inclusive (W3C, 2008), of a whole document or of one element in its place.

Namespaces as they are declared, attributes in order, one way to write each character. What the standard says of
``xml:`` attributes is not here, since the reader takes none.
"""

import re
from collections.abc import Mapping

from sealroom.tees.nvidia.xml_tree import XmlElement

__all__ = ["canonical"]

_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_ATTRIBUTE = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"})

_SPECIAL_TEXT = re.compile("[&<>\r]")


def canonical(element: XmlElement, *, without: XmlElement | None = None) -> bytes:
    """The canonical form of ``element`` with all below it.

    Args:
        element: the document's root, or an element of it, which then is given the namespaces that it inherits.
        without: an element to leave out, with all below it (the enveloped-signature transform).
    """
    parts: list[str] = []
    _write(element, {}, parts, without)
    return "".join(parts).encode()


def _write(element: XmlElement, written: Mapping[str, str], parts: list[str], without: XmlElement | None) -> None:
    """``written``: the namespaces that the output already has in force here."""
    _, shape, values, _, scope, children, _ = element
    if not shape.plain:
        values = tuple([value.translate(_ATTRIBUTE) for value in values])
    if scope is written:
        parts.append(shape.opening % shape.ordered(values))
    else:
        parts.append(f"<{element.qname}")
        _write_namespaces(scope, written, parts)
        parts.append(f"{shape.canonical % shape.ordered(values)}>")
    for child in children:
        if isinstance(child, str):
            plain = (child.isspace() and "\r" not in child) or not _SPECIAL_TEXT.search(child)
            parts.append(child if plain else child.translate(_TEXT))
        elif child is not without:
            # a child that declares nothing has the very scope of its parent, all of which is written by now
            _write(child, scope, parts, without)
    parts.append(shape.closing)


def _write_namespaces(scope: Mapping[str, str], written: Mapping[str, str], parts: list[str]) -> None:
    new = {prefix: uri for prefix, uri in scope.items() if written.get(prefix, "" if not prefix else None) != uri}
    for prefix in sorted(new):
        name = f"xmlns:{prefix}" if prefix else "xmlns"
        parts.append(f' {name}="{new[prefix].translate(_ATTRIBUTE)}"')
