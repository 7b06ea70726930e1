"""The canonical form of any small document, whole, less one element, and of an element in its place, against lxml's.

No ampersand in a namespace's name: there libxml2 writes a character reference, and the standard an entity. And an
element in its place is written out with what it inherits and read anew first: asked for the form of a part, lxml puts
``xmlns=""`` on elements far below that have a namespace.
"""

import base64
import json
import subprocess
from pathlib import Path
from random import Random

import pytest

from sealroom.tees.nvidia.canonical import canonical
from sealroom.tees.nvidia.xml_tree import read_xml

FOLDER = Path(__file__).parent / "nvidia" / ".build"
PYTHON = FOLDER / "venv" / "bin" / "python"
PEER = """
import base64, json, sys
from lxml import etree

def c14n(element):
    return base64.b64encode(etree.tostring(element, method="c14n", with_comments=False, with_tail=False)).decode()

def without(root, place):
    gone = root[place]
    before, tail = gone.getprevious(), gone.tail or ""
    if before is None:
        root.text = (root.text or "") + tail
    else:
        before.tail = (before.tail or "") + tail
    root.remove(gone)
    return c14n(root)

for line in sys.stdin:
    root = etree.fromstring(base64.b64decode(json.loads(line)), etree.XMLParser(resolve_entities=False))
    elements = [child for child in root if isinstance(child.tag, str)]
    parts = [c14n(etree.fromstring(etree.tostring(element, with_tail=False))) for element in elements]
    print(json.dumps([c14n(root), parts, without(root, root.index(elements[0])) if elements else None]))
"""
URIS = ("urn:a", "urn:b", "https://c.invalid/d")
PREFIXES = ("", "p", "q", "ns0")
TEXTS = (
    "",
    " ",
    "\n  ",
    "x",
    "&amp;&lt;&gt;",
    "&#13;\r\n",
    "&#x9;\t",
    "é€𝄞",
    '<![CDATA[<&"]]>',
    "<!-- no -->",
    '"',
    "a]b",
)
VALUES = ("", "x", "&lt;&amp;&quot;", "'", "&#9;&#10;&#13;", "a\tb\nc", "é", "&gt;")


def element(random: Random, scope: dict[str, str], depth: int) -> str:
    declared = {prefix: random.choice(URIS) for prefix in PREFIXES if random.random() < 0.2}
    if random.random() < 0.1:
        declared[""] = ""
    scope = {**scope, **declared}
    usable = [prefix for prefix in PREFIXES if prefix in scope]
    name = qualified(random.choice(["", *usable]), random.choice("abc"))
    attributes = {}
    for _ in range(random.randrange(4)):
        prefix, local = random.choice(["", *[prefix for prefix in usable if prefix]]), random.choice("xyzA")
        attributes.setdefault((scope[prefix] if prefix else "", local), qualified(prefix, local))
    written = [f'xmlns{":" if prefix else ""}{prefix}="{uri}"' for prefix, uri in declared.items()]
    written += [f'{name}="{random.choice(VALUES)}"' for name in attributes.values()]
    random.shuffle(written)
    inside = random.choice(TEXTS)
    for _ in range(random.randrange(4) if depth else 0):
        inside += element(random, scope, depth - 1) + random.choice(TEXTS)
    head = " ".join([name, *written])
    return f"<{head}/>" if not inside and random.random() < 0.5 else f"<{head}>{inside}</{name}>"


def qualified(prefix: str, local: str) -> str:
    return f"{prefix}:{local}" if prefix else local


@pytest.mark.skipif(not list(FOLDER.glob("stamp-*")), reason="lxml is not built here: scripts/setup-beside builds it")
@pytest.mark.parametrize("seed", range(4))
def test_the_same_bytes_as_lxml(seed):
    random = Random(seed)
    documents = [element(random, {}, 3).encode() for _ in range(400)]
    lines = "".join(json.dumps(base64.b64encode(document).decode()) + "\n" for document in documents)
    done = subprocess.run([PYTHON, "-c", PEER], input=lines, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for document, (whole, parts, rest) in zip(documents, answers, strict=True):
        root = read_xml(document)
        assert canonical(root) == base64.b64decode(whole), document
        assert [canonical(child) for child in root.elements] == [base64.b64decode(part) for part in parts], document
        if rest is not None:
            assert canonical(root, without=root.elements[0]) == base64.b64decode(rest), document
