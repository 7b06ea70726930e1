"""A small reader of XML: elements, attributes and text, with names resolved, and nothing that XML can do besides.

No document type, so no entity and nothing to fetch; no processing instruction; no ``xml:`` attribute, which would
make the canonical form depend on more than is here; no encoding but UTF-8, so that no two readers of the same bytes
see two documents. Everything is bounded before it is built.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from sealroom.errors import MalformedError

__all__ = ["XmlElement", "read_xml"]

MAX_DOCUMENT = 512 * 1024
MAX_DEPTH = 16
MAX_ELEMENTS = 4096
MAX_ATTRIBUTES = 64
MAX_TEXT = 64 * 1024
"""Characters of one attribute, or of one piece of text."""

_NAME = re.compile(r"[^\W\d][\w.-]*")
"""A name without a colon, as expat lets it through: it takes ``:a`` and ``a:1`` for names, and ``xmlns:`` too."""
_RESERVED = frozenset({"http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/"})
"""Bound to no other prefix than ``xml`` and ``xmlns`` (Namespaces in XML section 3): another name for an ``xml:``
attribute would pass by what is refused here."""


@dataclass(slots=True)
class XmlElement:
    """An element as it stands, and what its names mean.

    ``name`` and the names of ``attributes`` are in Clark's notation, ``{namespace}local``, or ``local`` alone.
    """

    qname: str
    name: str
    declared: Mapping[str, str]
    """Namespace declarations that stand here, by prefix; empty prefix: the default."""
    scope: Mapping[str, str]
    """Every declaration in force."""
    raw_attributes: tuple[tuple[str, str, str], ...]
    """Expanded name, name as written, value."""
    children: list["XmlElement | str"] = field(default_factory=list)

    @property
    def attributes(self) -> Mapping[str, str]:
        """Values by expanded name."""
        return {name: value for name, _, value in self.raw_attributes}

    @property
    def elements(self) -> list["XmlElement"]:
        """The children that are elements."""
        return [child for child in self.children if isinstance(child, XmlElement)]

    @property
    def text(self) -> str:
        """All the text directly inside."""
        return "".join(child for child in self.children if isinstance(child, str))

    def walk(self) -> Iterator["XmlElement"]:
        """This element and all below it, in the order of the document."""
        yield self
        for child in self.elements:
            yield from child.walk()


def read_xml(raw: bytes) -> XmlElement:
    """Read a document in UTF-8.

    Raises:
        MalformedError: ``nvidia.rim-xml``.
    """
    if len(raw) > MAX_DOCUMENT:
        raise bad_xml("the document is too large", f"{len(raw)} bytes", f"at most {MAX_DOCUMENT}")
    _require_utf8(raw)
    builder = _Builder()
    parser = expat.ParserCreate("UTF-8")
    parser.ordered_attributes = True
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.XmlDeclHandler = builder.declaration
    parser.StartDoctypeDeclHandler = builder.refuse_doctype
    parser.EntityDeclHandler = builder.refuse_doctype
    parser.ProcessingInstructionHandler = builder.refuse_instruction
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, ValueError) as reason:
        raise bad_xml(f"not well-formed XML: {reason}"[:120]) from None
    if builder.root is None:  # pragma: no cover - expat refuses a document without an element
        raise bad_xml("the document is empty")
    return builder.root


def _require_utf8(raw: bytes) -> None:
    """Expat takes UTF-16 where it sees it, whatever encoding it was told."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        raise bad_xml("the document is not in UTF-8") from None
    if b"\0" in raw:
        raise bad_xml("the document has a zero byte, which XML has nowhere")


class _Builder:
    """Takes expat's events and builds the tree."""

    def __init__(self) -> None:
        self.root: XmlElement | None = None
        self._open: list[XmlElement] = []
        self._count = 0
        # what names mean in a scope, which many elements share and which lives as long as they do
        self._elements: dict[tuple[int, str], str] = {}
        self._expanded: dict[tuple[int, tuple[str, ...]], tuple[str | None, ...]] = {}

    def start(self, qname: str, flat: list[str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH or len(flat) > 2 * MAX_ATTRIBUTES:
            raise bad_xml("too many elements or attributes, or nested too deep", qname[:60])
        names, values = tuple(flat[::2]), flat[1::2]
        if values and max(map(len, values)) > MAX_TEXT:
            raise bad_xml("an attribute is too long", qname[:60], f"at most {MAX_TEXT} characters")
        scope = self._open[-1].scope if self._open else {}
        declared = _declarations(names, values) if "xmlns" in "".join(names) else {}
        if declared:
            scope = {**scope, **declared}
        attributes = tuple([
            (expanded, name, value)
            for expanded, name, value in zip(self._attributes(names, scope), names, values, strict=True)
            if expanded is not None
        ])  # fmt: skip
        element = XmlElement(qname, self._element(qname, scope), declared, scope, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _element(self, qname: str, scope: Mapping[str, str]) -> str:
        key = (id(scope), qname)
        name = self._elements.get(key)
        if name is None:
            name = self._elements[key] = _expand(qname, scope, default=True)
        return name

    def _attributes(self, names: tuple[str, ...], scope: Mapping[str, str]) -> tuple[str | None, ...]:
        """What the names of one element's attributes mean; None: a declaration, which is none."""
        key = (id(scope), names)
        found = self._expanded.get(key)
        if found is None:
            found = self._expanded[key] = tuple(
                None if _is_declaration(name) else _expand(name, scope, default=False) for name in names
            )
            given = [name for name in found if name is not None]
            if len(set(given)) != len(given):
                raise bad_xml("an attribute stands twice under two prefixes")
        return found

    def end(self, _: str) -> None:
        self._open.pop()

    def text(self, content: str) -> None:
        if len(content) > MAX_TEXT:
            raise bad_xml("a text is too long", f"{len(content)} characters", f"at most {MAX_TEXT}")
        if self._open:
            self._open[-1].children.append(content)

    def declaration(self, version: str, encoding: str | None, _: int) -> None:
        if version != "1.0" or (encoding or "UTF-8").upper() != "UTF-8":
            raise bad_xml("the document is of another version or encoding", f"{version}, {encoding}"[:60],
                          "XML 1.0 in UTF-8")  # fmt: skip

    def refuse_doctype(self, *_: object) -> None:
        raise bad_xml("the document has a document type or entities", None, "neither")

    def refuse_instruction(self, *_: object) -> None:
        raise bad_xml("the document has a processing instruction", None, "none")


def _declarations(names: tuple[str, ...], values: list[str]) -> Mapping[str, str]:
    found = {}
    for name, value in zip(names, values, strict=True):
        if _is_declaration(name):
            prefix = name[6:]
            named = name == "xmlns" or (_NAME.fullmatch(prefix) and prefix not in {"xml", "xmlns"} and value)
            if not named or value in _RESERVED:
                raise bad_xml("a namespace declaration that XML forbids", name[:60])
            found[prefix] = value
    return found


def _is_declaration(name: str) -> bool:
    return name == "xmlns" or name.startswith("xmlns:")


def _expand(qname: str, scope: Mapping[str, str], *, default: bool) -> str:
    prefix, colon, local = qname.partition(":")
    if not all(_NAME.fullmatch(part) for part in qname.split(":")):
        raise bad_xml("a name is none", qname[:60])
    if not colon:
        namespace = scope.get("", "") if default else ""
        return f"{{{namespace}}}{qname}" if namespace else qname
    if prefix not in scope or ":" in local:
        raise bad_xml("a prefix that was not declared, or that is not taken here", qname[:60])
    return f"{{{scope[prefix]}}}{local}"


def bad_xml(message: str, got: object = None, expected: object = None) -> MalformedError:
    """The error for a document that is not taken."""
    return MalformedError("nvidia.rim-xml", message, got=got, expected=expected)
