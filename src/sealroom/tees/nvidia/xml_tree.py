"""A small reader of XML: elements, attributes and text, with names resolved, and nothing that XML can do besides.

No document type, so no entity and nothing to fetch; no processing instruction; no ``xml:`` attribute, which would
make the canonical form depend on more than is here. Everything is bounded before it is built.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from sealroom.errors import MalformedError

__all__ = ["XmlElement", "read_xml"]

MAX_DOCUMENT = 512 * 1024
MAX_DEPTH = 16
MAX_ELEMENTS = 4096
MAX_ATTRIBUTES = 64


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
    builder = _Builder()
    parser = expat.ParserCreate("UTF-8")
    parser.ordered_attributes = True
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
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
        if self._open:
            self._open[-1].children.append(content)

    def refuse_doctype(self, *_: object) -> None:
        raise bad_xml("the document has a document type or entities", None, "neither")

    def refuse_instruction(self, *_: object) -> None:
        raise bad_xml("the document has a processing instruction", None, "none")


def _declarations(names: tuple[str, ...], values: list[str]) -> Mapping[str, str]:
    found = {}
    for name, value in zip(names, values, strict=True):
        if _is_declaration(name):
            prefix = name[6:]
            if prefix in {"xml", "xmlns"} or (prefix and not value):
                raise bad_xml("a namespace declaration that XML forbids", name[:60])
            found[prefix] = value
    return found


def _is_declaration(name: str) -> bool:
    return name == "xmlns" or name.startswith("xmlns:")


def _expand(qname: str, scope: Mapping[str, str], *, default: bool) -> str:
    prefix, colon, local = qname.partition(":")
    if not colon:
        namespace = scope.get("", "") if default else ""
        return f"{{{namespace}}}{qname}" if namespace else qname
    if prefix not in scope or not local or ":" in local:
        raise bad_xml("a prefix that was not declared, or that is not taken here", qname[:60])
    return f"{{{scope[prefix]}}}{local}"


def bad_xml(message: str, got: object = None, expected: object = None) -> MalformedError:
    """The error for a document that is not taken."""
    return MalformedError("nvidia.rim-xml", message, got=got, expected=expected)
