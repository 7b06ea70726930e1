"""A small reader of XML: elements, attributes and text, with names resolved, and nothing that XML can do besides.

No document type, so no entity and nothing to fetch; no processing instruction; no ``xml:`` attribute, which would
make the canonical form depend on more than is here; no encoding but UTF-8, so that no two readers of the same bytes
see two documents. Everything is bounded before it is built.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple, TypeAlias
from xml.parsers import expat

from sealroom.errors import MalformedError

__all__ = ["XmlElement", "XmlShape", "forget", "read_xml"]

MAX_DOCUMENT = 512 * 1024
MAX_DEPTH = 16
MAX_ELEMENTS = 4096
MAX_ATTRIBUTES = 64
MAX_PREFIXES = 64
"""In force at once: every element that declares one has a table of its own."""
MAX_TEXT = 64 * 1024
"""Characters of one attribute, or of one piece of text."""
MAX_TAGS = 8 * MAX_ELEMENTS
"""Starts, ends and comments: what expat is asked to tell at all."""

_NAME = re.compile(r"[^\W\d][\w.-]*")
"""A name without a colon, as expat lets it through: it takes ``:a`` and ``a:1`` for names, and ``xmlns:`` too."""
_RESERVED = frozenset({"http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/"})
"""Bound to no other prefix than ``xml`` and ``xmlns`` (Namespaces in XML section 3): another name for an ``xml:``
attribute would pass by what is refused here."""
_NOTHING: Mapping[str, str] = {}


@dataclass(slots=True)
class XmlShape:
    """What a start tag's names mean: made once for all tags of a document that have the same names in one scope."""

    name: str
    """Of the element, expanded."""
    names: tuple[str, ...]
    """Of its attributes, expanded, as they stand."""
    canonical: str
    """The attributes in their canonical order, with a place (``%s``) for each value."""
    ordered: Callable[[tuple[str, ...]], tuple[str, ...]]
    """Puts the values into that order."""
    opening: str
    """The whole start tag of an element that declares nothing, with the same places."""
    closing: str
    plain: bool
    """No attribute value of the document has a character that its canonical form writes in another way."""


class XmlElement(NamedTuple):
    """An element as it stands, and what its names mean.

    ``name`` and the names of ``attributes`` are in Clark's notation, ``{namespace}local``, or ``local`` alone.
    """

    qname: str
    shape: XmlShape
    values: tuple[str, ...]
    """Of the attributes, as they stand."""
    declared: Mapping[str, str]
    """Namespace declarations that stand here, by prefix; empty prefix: the default."""
    scope: Mapping[str, str]
    """Every declaration in force."""
    children: list["XmlElement | str"]
    elements: list["XmlElement"]
    """The children that are elements."""

    @property
    def name(self) -> str:
        """The element's name, expanded."""
        return self.shape.name

    @property
    def attributes(self) -> dict[str, str]:
        """Values by expanded name."""
        return dict(zip(self.shape.names, self.values, strict=True))

    @property
    def text(self) -> str:
        """All the text directly inside."""
        return "".join([child for child in self.children if isinstance(child, str)])

    def all(self) -> list["XmlElement"]:
        """This element and all below it, nearer ones first."""
        found = [self]
        for element in found:  # which grows meanwhile
            found += element.elements
        return found


_Event: TypeAlias = tuple[str, list[str]] | str | None
_NO_SHAPE = XmlShape("", (), "", tuple, "", "", True)
_KNOWN: dict[tuple[str, tuple[str, ...], tuple[tuple[str, str], ...], bool], XmlShape] = {}
_MAX_SHAPES, _MAX_KNOWN = 256, 4096
"""How many shapes are kept, and characters of one."""
_make = tuple.__new__
"""Makes an `XmlElement` without the function that a named tuple puts before it."""


def forget() -> None:
    """Drop what is remembered of documents read before: for measurements of the cold case."""
    _KNOWN.clear()


def read_xml(raw: bytes) -> XmlElement:
    """Read a document in UTF-8.

    Raises:
        MalformedError: ``nvidia.rim-xml``.
    """
    if len(raw) > MAX_DOCUMENT:
        raise bad_xml("the document is too large", f"{len(raw)} bytes", f"at most {MAX_DOCUMENT}")
    _require_utf8(raw)
    if raw.count(b"<") > MAX_TAGS:
        raise bad_xml("too many elements or comments", raw.count(b"<"), f"at most {MAX_TAGS} tags")
    # an ampersand or a single quote is all that can bring a character into a value that must be written otherwise
    builder = _Builder(plain=b"&" not in raw and b"'" not in raw)
    events = _events(raw)
    if len(raw) > MAX_TEXT:
        _require_short(events)
    return builder.build(events)


def _events(raw: bytes) -> list[_Event]:
    """What expat tells of ``raw``: a start as name and attributes, an end as None, a piece of text as itself."""
    events: list[_Event] = []
    add = events.append
    parser = expat.ParserCreate("UTF-8")
    parser.ordered_attributes = True
    parser.buffer_text = True
    parser.StartElementHandler = lambda qname, flat: add((qname, flat))
    parser.EndElementHandler = lambda _: add(None)
    parser.CharacterDataHandler = add
    parser.XmlDeclHandler = _require_declaration
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.EntityDeclHandler = _refuse_doctype
    parser.ProcessingInstructionHandler = _refuse_instruction
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, ValueError) as reason:
        raise bad_xml(f"not well-formed XML: {reason}"[:120]) from None
    return events


def _require_utf8(raw: bytes) -> None:
    """Expat takes UTF-16 where it sees it, whatever encoding it was told."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        raise bad_xml("the document is not in UTF-8") from None
    if b"\0" in raw:
        raise bad_xml("the document has a zero byte, which XML has nowhere")


def _require_short(events: list[_Event]) -> None:
    for event in events:
        if isinstance(event, str) and len(event) > MAX_TEXT:
            raise bad_xml("a text is too long", f"{len(event)} characters", f"at most {MAX_TEXT}")
        if isinstance(event, tuple) and any(len(value) > MAX_TEXT for value in event[1]):
            raise bad_xml("an attribute is too long", event[0][:60], f"at most {MAX_TEXT} characters")


class _Builder:
    """Takes expat's events and builds the tree."""

    def __init__(self, *, plain: bool) -> None:
        self._plain = plain
        # what names mean in a scope, which many elements share and which lives as long as they do
        self._shapes: dict[tuple[int, str, tuple[str, ...]], XmlShape] = {}
        self._scopes: dict[int, tuple[tuple[str, str], ...]] = {}
        self._attributes: dict[tuple[int, str], tuple[str, str, str]] = {}

    def build(self, events: list[_Event]) -> XmlElement:
        """The document's element."""
        top = XmlElement("", _NO_SHAPE, (), _NOTHING, {}, [], [])
        scope, children, elements = top.scope, top.children, top.elements
        above: list[tuple[Mapping[str, str], list[XmlElement | str], list[XmlElement]]] = []
        last: tuple[str, list[str], Mapping[str, str], XmlShape] = ("", [], scope, _NO_SHAPE)
        count = 0
        for event in events:
            if event is None:
                scope, children, elements = above.pop()
            elif isinstance(event, str):
                children.append(event)
            else:
                qname, flat = event
                count += 1
                if count > MAX_ELEMENTS or len(above) >= MAX_DEPTH or len(flat) > 2 * MAX_ATTRIBUTES:
                    raise bad_xml("too many elements or attributes, or nested too deep", qname[:60])
                names, values = flat[::2], tuple(flat[1::2])
                if scope is last[2] and qname == last[0] and names == last[1]:
                    element = _make(XmlElement, (qname, last[3], values, _NOTHING, scope, [], []))
                else:
                    element = self._start(qname, tuple(names), values, scope)
                    if element.scope is scope:  # declares nothing: its shape is what its names are
                        last = qname, names, scope, element.shape
                children.append(element)
                elements.append(element)
                above.append((scope, children, elements))
                _, _, _, _, scope, children, elements = element
        return top.elements[0]

    def _start(
        self, qname: str, names: tuple[str, ...], values: tuple[str, ...], scope: Mapping[str, str]
    ) -> XmlElement:
        shape = self._shapes.get((id(scope), qname, names))
        if shape is None:
            return self._first_of_shape(qname, names, values, scope)
        return XmlElement(qname, shape, values, _NOTHING, scope, [], [])

    def _first_of_shape(
        self, qname: str, names: tuple[str, ...], values: tuple[str, ...], scope: Mapping[str, str]
    ) -> XmlElement:
        if not names or "xmlns" not in "".join(names):
            shape = self._shapes[id(scope), qname, names] = self._shape_of(qname, names, scope)
            return XmlElement(qname, shape, values, _NOTHING, scope, [], [])
        declared = _declarations(names, values)
        within = {**scope, **declared} if declared else scope
        if len(within) > MAX_PREFIXES:
            raise bad_xml("too many namespaces in one place", qname[:60], f"at most {MAX_PREFIXES}")
        kept = [place for place, name in enumerate(names) if name != "xmlns" and not name.startswith("xmlns:")]
        shape = self._shape_of(qname, tuple([names[place] for place in kept]), within)
        return XmlElement(qname, shape, tuple([values[place] for place in kept]), declared, within, [], [])

    def _shape_of(self, qname: str, names: tuple[str, ...], scope: Mapping[str, str]) -> XmlShape:
        """A pure function of what it is given, and documents of one publisher have few of them: kept, as far as they
        are small."""
        items = self._scopes.get(id(scope)) or self._scopes.setdefault(id(scope), tuple(scope.items()))
        key = qname, names, items, self._plain
        shape = _KNOWN.get(key)
        if shape is None:
            shape = self._shape(qname, names, scope)
            if len(shape.opening) + sum([len(uri) for _, uri in items]) <= _MAX_KNOWN:
                if len(_KNOWN) >= _MAX_SHAPES:
                    _KNOWN.clear()
                _KNOWN[key] = shape
        return shape

    def _shape(self, qname: str, names: tuple[str, ...], scope: Mapping[str, str]) -> XmlShape:
        name = _expand(qname, scope, default=True)
        if not names:
            return XmlShape(name, (), "", tuple, f"<{qname}>", f"</{qname}>", self._plain)
        known = self._attributes
        meant = [known.get((id(scope), one)) or self._attribute(one, scope) for one in names]
        expanded = tuple([one[2] for one in meant])
        if len(set(expanded)) != len(expanded):
            raise bad_xml("an attribute stands twice under two prefixes")
        order = sorted(range(len(names)), key=meant.__getitem__)
        form = "".join([f' {names[place]}="%s"' for place in order])  # no name has a percent sign in it
        ordered = itemgetter(*order) if len(order) > 1 else tuple
        return XmlShape(name, expanded, form, ordered, f"<{qname}{form}>", f"</{qname}>", self._plain)

    def _attribute(self, name: str, scope: Mapping[str, str]) -> tuple[str, str, str]:
        """Where an attribute stands in canonical order, which is by namespace and local name and begins with those
        that have none; and its expanded name."""
        expanded = _expand(name, scope, default=False)
        namespace, brace, local = expanded.rpartition("}")
        found = self._attributes[id(scope), name] = (namespace[1:], local, expanded) if brace else ("", name, name)
        return found


def _require_declaration(version: str, encoding: str | None, _: int) -> None:
    if version != "1.0" or (encoding or "UTF-8").upper() != "UTF-8":
        raise bad_xml("the document is of another version or encoding", f"{version}, {encoding}"[:60],
                      "XML 1.0 in UTF-8")  # fmt: skip


def _refuse_doctype(*_: object) -> None:
    raise bad_xml("the document has a document type or entities", None, "neither")


def _refuse_instruction(*_: object) -> None:
    raise bad_xml("the document has a processing instruction", None, "none")


def _declarations(names: tuple[str, ...], values: tuple[str, ...]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, value in zip(names, values, strict=True):
        if name == "xmlns" or name.startswith("xmlns:"):
            prefix = name[6:]
            named = name == "xmlns" or (_NAME.fullmatch(prefix) and prefix not in {"xml", "xmlns"} and value)
            if not named or value in _RESERVED:
                raise bad_xml("a namespace declaration that XML forbids", name[:60])
            found[prefix] = value
    return found


def _expand(qname: str, scope: Mapping[str, str], *, default: bool) -> str:
    prefix, colon, local = qname.partition(":")
    if not _is_name(prefix) or (colon and not _is_name(local)):
        raise bad_xml("a name is none, or has two colons", qname[:60])
    if not colon:
        namespace = scope.get("") if default else None
        return f"{{{namespace}}}{qname}" if namespace else qname
    if prefix not in scope:
        raise bad_xml("a prefix that was not declared", qname[:60])
    return f"{{{scope[prefix]}}}{local}"


def _is_name(text: str) -> bool:
    return (text.isascii() and text.isidentifier()) or _NAME.fullmatch(text) is not None


def bad_xml(message: str, got: object = None, expected: object = None) -> MalformedError:
    """The error for a document that is not taken."""
    return MalformedError("nvidia.rim-xml", message, got=got, expected=expected)
