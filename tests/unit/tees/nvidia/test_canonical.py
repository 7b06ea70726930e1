"""Canonical XML 1.1 without comments: bytes written by hand.

Against lxml's, on documents of every small shape: tests/interop/test_canonical_form.py.
"""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.tees.nvidia.canonical import canonical
from sealroom.tees.nvidia.xml_tree import read_xml

WHOLE = {
    "an empty element is written in two tags": ("<a/>", "<a></a>"),
    "white space inside tags is of no account": ('<a   x = "1"\n\ty="2"  ></a  >', '<a x="1" y="2"></a>'),
    "white space between tags is": ("<a>\n <b/>\t</a>", "<a>\n <b></b>\t</a>"),
    "what stands around the root is left out": ('<?xml version="1.0"?>\n<!-- x --><a/><!-- y -->\n', "<a></a>"),
    "comments are left out": ("<a>x<!-- y -->z<!----></a>", "<a>xz</a>"),
    "single quotes become double": ("<a x='\"'/>", '<a x="&quot;"></a>'),
    "line ends are one character": ("<a>\r\n\r\n</a>", "<a>\n\n</a>"),
    "a carriage return that was meant stays": ("<a>&#13;&#xD;</a>", "<a>&#xD;&#xD;</a>"),
    "characters are written out": ("<a>&#65;&#x1D11E;é</a>", "<a>A\U0001d11eé</a>"),
    "CDATA becomes text": ("<a><![CDATA[<b>&amp;]]></a>", "<a>&lt;b&gt;&amp;amp;</a>"),
    "text is escaped": ("<a>&lt;&gt;&amp;&quot;'</a>", "<a>&lt;&gt;&amp;\"'</a>"),
    "attributes are escaped": ('<a x="&lt;>&amp;&quot;\'"/>', '<a x="&lt;>&amp;&quot;\'"></a>'),
    "spaces in attributes": ('<a x="\t\n &#9;&#10;&#13;"/>', '<a x="   &#x9;&#xA;&#xD;"></a>'),
    "attributes by name": ('<a z="1" b="2" Z="3"/>', '<a Z="3" b="2" z="1"></a>'),
    "attributes by namespace first": (
        '<a xmlns:b="urn:z" xmlns:c="urn:a" b:x="1" c:y="2" z="3" c:x="4"/>',
        '<a xmlns:b="urn:z" xmlns:c="urn:a" z="3" c:x="4" c:y="2" b:x="1"></a>',
    ),
    "declarations before attributes, the default first": (
        '<a x="1" xmlns:z="urn:z" xmlns:b="urn:b" xmlns="urn:a"/>',
        '<a xmlns="urn:a" xmlns:b="urn:b" xmlns:z="urn:z" x="1"></a>',
    ),
    "a declaration that says nothing new": (
        '<a xmlns="urn:a" xmlns:p="urn:p"><b xmlns="urn:a" xmlns:p="urn:p"/></a>',
        '<a xmlns="urn:a" xmlns:p="urn:p"><b></b></a>',
    ),
    "a declaration that is not used stays": ('<a xmlns:p="urn:p"/>', '<a xmlns:p="urn:p"></a>'),
    "a prefix bound anew, and back": (
        '<p:a xmlns:p="urn:p"><p:b xmlns:p="urn:q"><p:c xmlns:p="urn:p"/></p:b><p:d/></p:a>',
        '<p:a xmlns:p="urn:p"><p:b xmlns:p="urn:q"><p:c xmlns:p="urn:p"></p:c></p:b><p:d></p:d></p:a>',
    ),
    "the default taken away": ('<a xmlns="urn:a"><b xmlns=""/></a>', '<a xmlns="urn:a"><b xmlns=""></b></a>'),
    "the default taken away where there was none": ('<a xmlns=""><b xmlns=""/></a>', "<a><b></b></a>"),
    "an ampersand in a namespace": ('<a xmlns="urn:&amp;a"/>', '<a xmlns="urn:&amp;a"></a>'),
    "all of it at once": (
        '<p:a xmlns="u:b"\n x="&#9;" xmlns:p="u:a"><b xmlns=""><p:c p:y=\'>\' xmlns:p="u:c"/></b><b/></p:a>',
        '<p:a xmlns="u:b" xmlns:p="u:a" x="&#x9;"><b xmlns=""><p:c xmlns:p="u:c" p:y=">"></p:c></b><b></b></p:a>',
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_document(name):
    document, expected = WHOLE[name]
    assert canonical(read_xml(document.encode())).decode() == expected


@pytest.mark.parametrize("name", WHOLE)
def test_the_form_of_the_form_is_the_form(name):
    form = WHOLE[name][1].encode()
    assert canonical(read_xml(form)) == form


INSIDE = {
    "what it inherits is written, used or not": (
        '<a xmlns="urn:a" xmlns:p="urn:p"><b xmlns:q="urn:q"><p:c x="1"/></b></a>',
        '<p:c xmlns="urn:a" xmlns:p="urn:p" xmlns:q="urn:q" x="1"></p:c>',
    ),
    "what it declares itself goes before": (
        '<a xmlns="urn:a" xmlns:p="urn:p"><b><c xmlns="urn:c" xmlns:p="urn:q"/></b></a>',
        '<c xmlns="urn:c" xmlns:p="urn:q"></c>',
    ),
    "a default taken away above is none": ('<a xmlns="urn:a"><b xmlns=""><c/></b></a>', "<c></c>"),
    "below it nothing is repeated": (
        '<a xmlns:p="urn:p"><b><c><p:d/></c></b></a>', '<c xmlns:p="urn:p"><p:d></p:d></c>'
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", INSIDE)
def test_an_element_in_its_place(name):
    document, expected = INSIDE[name]
    assert canonical(read_xml(document.encode()).elements[0].elements[0]).decode() == expected


def test_less_one_element_and_all_below_it_but_not_the_text_after_it():
    root = read_xml(b'<a xmlns="urn:a">1<b xmlns:p="urn:p"><c/>2</b>3<d/></a>')
    assert canonical(root, without=root.elements[0]) == b'<a xmlns="urn:a">13<d></d></a>'


def test_less_that_element_and_no_other_that_is_like_it():
    root = read_xml(b"<a><b/><b/></a>")
    assert canonical(root, without=root.elements[1]) == b"<a><b></b></a>"
    assert canonical(root, without=read_xml(b"<b/>")) == b"<a><b></b><b></b></a>"


TEXT = st.text(alphabet="<&>\"' \t\n\raé𝄞", max_size=6)
NAMES = st.sampled_from(["a", "b", "C", "x1", "_y", "é"])


@st.composite
def trees(draw, depth=3):
    element = ET.Element(draw(NAMES), draw(st.dictionaries(NAMES, TEXT, max_size=3)))
    element.text = draw(TEXT)
    for child in draw(st.lists(trees(depth - 1), max_size=3)) if depth else []:
        child.tail = draw(TEXT)
        element.append(child)
    return element


@given(trees())
def test_without_namespaces_it_is_what_the_standard_library_writes(tree):
    """Its canonical form is version 2.0's, which differs in namespaces alone."""
    document = ET.tostring(tree, encoding="unicode")
    assert canonical(read_xml(document.encode())).decode() == ET.canonicalize(document)
