"""The reader of XML: what stands there, with names resolved; and everything that XML can do besides, refused."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.errors import MalformedError
from sealroom.tees.nvidia.xml_tree import (
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_DOCUMENT,
    MAX_ELEMENTS,
    MAX_PREFIXES,
    MAX_TAGS,
    MAX_TEXT,
    read_xml,
)

DOCUMENT = b"""<a xmlns="urn:u" xmlns:p="urn:p" x="1" p:x="2">\r\n one <p:b>t&amp;u</p:b><!-- no -->
two<c xmlns=""><![CDATA[<&>]]>&#65;</c><p:b xmlns:p="urn:q"/></a>"""


def test_elements_attributes_and_text_with_names_resolved():
    root = read_xml(DOCUMENT)
    assert (root.name, root.qname, dict(root.attributes)) == ("{urn:u}a", "a", {"x": "1", "{urn:p}x": "2"})
    assert [child.name for child in root.elements] == ["{urn:p}b", "c", "{urn:q}b"]
    assert [element.text for element in root.all()] == ["\n one \ntwo", "t&u", "<&>A", ""]


def test_a_text_that_a_comment_divides_is_one_text():
    """A reader that takes the first piece alone can be told another text than the one that was signed."""
    assert read_xml(b"<a>12<!-- 9 -->34</a>").text == "1234"


def test_what_is_declared_holds_below_and_not_beside():
    root = read_xml(b'<a><b xmlns="urn:b" xmlns:p="urn:p"><p:c/><d/></b><e/></a>')
    assert [element.name for element in root.all()] == ["a", "{urn:b}b", "e", "{urn:p}c", "{urn:b}d"]
    assert root.elements[0].declared == {"": "urn:b", "p": "urn:p"}
    assert root.elements[1].scope == {}


@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf", b'<?xml version="1.0"?>',
                                  b'<?xml version="1.0" encoding="utf-8" standalone="no"?>\n'])  # fmt: skip
def test_a_declaration_of_utf8_is_taken(head):
    assert read_xml(head + b"<a/>").name == "a"


BILLION = b"<!DOCTYPE a [<!ENTITY a0 'x'>%b]><a>&a9;</a>" % b"".join(
    b"<!ENTITY a%d '%b'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)
)
REFUSED = {
    "an entity bomb": BILLION,
    "one entity, large, many times": b"<!DOCTYPE a [<!ENTITY x '%b'>]><a>%b</a>" % (b"x" * 50_000, b"&x;" * 50_000),
    "a document type": b"<!DOCTYPE a><a/>",
    "an external document type": b'<!DOCTYPE a SYSTEM "http://rim.invalid/a.dtd"><a/>',
    "an external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "a parameter entity": b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://rim.invalid/x"> %x;]><a/>',
    "an attribute with a default": b'<!DOCTYPE a [<!ATTLIST a active CDATA "True">]><a/>',
    "an entity that nobody declared": b"<a>&x;</a>",
    "an instruction": b"<a><?x y?></a>",
    "an instruction in front": b"<?xml-stylesheet href='x'?><a/>",
    "an instruction behind": b"<a/><?x y?>",
    "two roots": b"<a/><a/>",
    "text behind": b"<a/>x",
    "no element": b"",
    "an element that does not end": b"<a><b></a>",
    "an attribute twice": b'<a x="1" x="2"/>',
    "an attribute twice under two prefixes": b'<a xmlns:p="urn:u" xmlns:q="urn:u" p:x="1" q:x="2"/>',
    "a prefix that is not declared": b"<p:a/>",
    "a prefix of an attribute that is not declared": b'<a p:x=""/>',
    "a prefix declared beside": b'<a><b xmlns:p="urn:u"/><p:c/></a>',
    "a prefix undeclared": b'<a xmlns:p="urn:u"><b xmlns:p=""/></a>',
    "an xml: attribute": b'<a xml:base="http://rim.invalid/"/>',
    "xml: under another prefix": b'<a xmlns:p="http://www.w3.org/XML/1998/namespace" p:base="x"/>',
    "the prefix xml declared": b'<a xmlns:xml="http://www.w3.org/XML/1998/namespace"/>',
    "the prefix xmlns declared": b'<a xmlns:xmlns="urn:u"/>',
    "the namespace of declarations": b'<a xmlns="http://www.w3.org/2000/xmlns/"/>',
    "an element without a prefix before its colon": b'<a xmlns="urn:u"><:b/></a>',
    "an attribute without a prefix before its colon": b'<a xmlns="urn:u" :x=""/>',
    "a declaration without a prefix after its colon": b'<a xmlns="urn:u" xmlns:="urn:v"/>',
    "a declaration of two prefixes": b'<a xmlns:p:q="urn:u"/>',
    "a name of two colons": b'<a xmlns:p="urn:u"><p:q:b/></a>',
    "a name that begins with a number": b'<a xmlns:p="urn:u"><p:1/></a>',
    "a name that ends in a colon": b'<a xmlns:p="urn:u"><p:/></a>',
    "another encoding": b'<?xml version="1.0" encoding="ISO-8859-1"?><a/>',
    "another version": b'<?xml version="1.1"?><a/>',
    "UTF-16": '<a x="é"/>'.encode("utf-16"),
    "UTF-16 that no mark says": "<a/>".encode("utf-16-le"),
    "UTF-16, most significant byte first": "<a/>".encode("utf-16-be"),
    "UTF-7": b'<?xml version="1.0" encoding="UTF-7"?>+ADw-a/+AD4-',
    "a byte that is no UTF-8": b"<a>\xff</a>",
    "a surrogate": b"<a>\xed\xa0\x80</a>",
    "a zero byte": b"<a>\0</a>",
    "a reference to the zero character": b"<a>&#0;</a>",
    "a control character": b"<a>\x01</a>",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    began = time.process_time()
    with pytest.raises(MalformedError, match=r"nvidia\.rim-xml"):
        read_xml(REFUSED[name])
    assert time.process_time() - began < 1


@pytest.mark.parametrize("declared", ["DOCTYPE", "ENTITY"])
def test_a_document_type_is_refused_before_anything_in_it_is_read(declared):
    with pytest.raises(MalformedError, match="document type"):
        read_xml(BILLION[: BILLION.index(declared.encode()) + 40] + b" broken")


def nested(depth):
    return b"<a>" * depth + b"</a>" * depth


def declaring(numbers):
    return b"<a " + b" ".join(b'xmlns:p%d="u"' % number for number in numbers) + b"/>"


LIMITS = {
    "elements": (MAX_ELEMENTS, lambda count: b"<a>" + b"<b/>" * (count - 1) + b"</a>"),
    "comments": (MAX_TAGS - 1, lambda count: b"<a>" + b"<!---->" * (count - 1) + b"</a>"),
    "depth": (MAX_DEPTH, nested),
    "namespaces": (MAX_PREFIXES, lambda count: declaring(range(1, count)).replace(b"/>", b"><b xmlns:q='u'/></a>")),
    "attributes": (MAX_ATTRIBUTES, lambda count: b"<a " + b" ".join(b'x%d=""' % n for n in range(count)) + b"/>"),
    "an attribute's length": (MAX_TEXT, lambda size: b'<a x="' + b"x" * size + b'"/>'),
    "the document's length": (MAX_DOCUMENT, lambda size: b"<a/>" + b" " * (size - 4)),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_met_and_kept(name):
    limit, document = LIMITS[name]
    assert read_xml(document(limit)).name == "a"
    with pytest.raises(MalformedError, match=r"nvidia\.rim-xml"):
        read_xml(document(limit + 1))


def test_a_text_has_a_limit():
    """Expat hands a long text over in pieces, of which one at least is too long here."""
    with pytest.raises(MalformedError, match="a text is too long"):
        read_xml(b"<a>" + b"x" * (MAX_DOCUMENT - 7) + b"</a>")


@pytest.mark.parametrize("document", [nested(200_000 // 7), b"<a>" * 170_000, b"<a x='" * 80_000, b"<" * 500_000,
                                      b"<a>" + b"&" * 400_000, b"<a " + b"x " * 200_000])  # fmt: skip
def test_hostile_lengths_are_refused_at_once(document):
    began = time.process_time()
    with pytest.raises(MalformedError):
        read_xml(document)
    assert time.process_time() - began < 2


@given(st.binary(max_size=200) | st.text(alphabet="<>/a:x=\"'!?-[]&;# \n", max_size=80).map(str.encode))
def test_any_bytes_get_our_own_error_or_a_tree(raw):
    try:
        read_xml(raw)
    except MalformedError as error:
        (error.code + error.diagnostics()).encode()


@given(st.data())
def test_a_document_cut_off_anywhere_is_refused(data):
    with pytest.raises(MalformedError):
        read_xml(DOCUMENT[: data.draw(st.integers(0, len(DOCUMENT) - 1))])
