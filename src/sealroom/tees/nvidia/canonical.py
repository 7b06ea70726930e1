"""Canonical XML 1.1 without comments, inclusive (W3C, 2008), of a whole document or of one element in its place.

Namespaces as they are declared, attributes in order, one way to write each character. What the standard says of
``xml:`` attributes is not here, since the reader takes none.
"""

from collections.abc import Mapping

from sealroom.tees.nvidia.xml_tree import XmlElement

__all__ = ["canonical"]

_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_ATTRIBUTE = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"})


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
    new = {
        prefix: uri for prefix, uri in element.scope.items() if written.get(prefix, "" if not prefix else None) != uri
    }
    parts.append(f"<{element.qname}")
    for prefix in sorted(new):
        name = f"xmlns:{prefix}" if prefix else "xmlns"
        parts.append(f' {name}="{new[prefix].translate(_ATTRIBUTE)}"')
    for _, qname, value in sorted(element.raw_attributes, key=_attribute_order):
        parts.append(f' {qname}="{value.translate(_ATTRIBUTE)}"')
    parts.append(">")
    inside = {**written, **new}
    for child in element.children:
        if isinstance(child, str):
            parts.append(child.translate(_TEXT))
        elif child is not without:
            _write(child, inside, parts, without)
    parts.append(f"</{element.qname}>")


def _attribute_order(attribute: tuple[str, str, str]) -> tuple[str, str]:
    """By namespace, then by local name; those without a namespace first."""
    namespace, brace, local = attribute[0].rpartition("}")
    return (namespace[1:], local) if brace else ("", attribute[0])
