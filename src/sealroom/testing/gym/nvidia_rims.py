"""Forgeries of reference values: of the document, its digest, its signature, its certificates, and tricks of XML."""

import base64
import random
import re
from collections.abc import Iterator

from sealroom.testing.gym.byte_edits import flipped
from sealroom.testing.gym.mutation import Expectation

__all__ = ["certificates_of", "rim_edits", "with_certificates"]

RimEdit = tuple[str, Expectation, bytes]

_BITS = 24
_VALUE = re.compile(rb"<ds:(DigestValue|SignatureValue|X509Certificate)>([^<]*)<")
_ACTIVE = re.compile(rb'active="True" alternatives="\d+" ns2:Hash0="([0-9a-f]{96})"')


def rim_edits(document: bytes, draw: random.Random) -> Iterator[RimEdit]:
    """Label, what is to come of it, and the changed document."""
    end = document.index(b"<ds:Signature ")
    for bit in sorted(draw.sample(range(8 * end), _BITS)):
        yield f"document: bit {bit}", Expectation.FORGERY, flipped(document, bit)
    for place, match in enumerate(_VALUE.finditer(document)):
        yield from _value_edits(document, place, match, draw)
    for label, changed in _rewritten(document):
        if changed != document:
            yield label, Expectation.FORGERY, changed
    for label, changed in _tricks(document, end):
        yield label, Expectation.FORGERY, changed
    for label, changed in _otherwise(document):
        yield f"written otherwise: {label}", Expectation.NEUTRAL, changed


def certificates_of(document: bytes) -> list[bytes]:
    """Those in KeyInfo, DER, signer first."""
    return [base64.b64decode(match[2]) for match in _VALUE.finditer(document) if match[1] == b"X509Certificate"]


def with_certificates(document: bytes, certificates: list[bytes]) -> bytes:
    """The document with others in KeyInfo."""
    text = b"".join(
        b"<ds:X509Certificate>" + base64.encodebytes(one) + b"</ds:X509Certificate>" for one in certificates
    )
    start, end = document.index(b"<ds:X509Data>") + len(b"<ds:X509Data>"), document.index(b"</ds:X509Data>")
    return document[:start] + text + document[end:]


def _value_edits(document: bytes, place: int, match: re.Match[bytes], draw: random.Random) -> Iterator[RimEdit]:
    """A bit of what is written in base64, and the lack of it."""
    raw = base64.b64decode(match[2])
    name = f"{match[1].decode()} {place}"
    for word, bit in (("the first bit", 0), ("a bit", draw.randrange(8, 8 * len(raw) - 8))):
        changed = base64.b64encode(flipped(raw, bit))
        yield f"{name}: {word}", Expectation.FORGERY, _with(document, match, changed)
    for word, value in (("empty", b""), ("zeros", base64.b64encode(bytes(len(raw)))), ("no base64", b"!!!!"),
                        ("cut off", base64.b64encode(raw[:-1]))):  # fmt: skip
        yield f"{name}: {word}", Expectation.FORGERY, _with(document, match, value)


def _with(document: bytes, match: re.Match[bytes], value: bytes) -> bytes:
    return document[: match.start(2)] + value + document[match.end(2) :]


def _rewritten(document: bytes) -> Iterator[tuple[str, bytes]]:
    """What the values are for, and which they are."""
    yield "of another version", document.replace(b'colloquialVersion="', b'colloquialVersion="1', 1)
    yield "of another product", document.replace(b'product="', b'product="X', 1)
    yield "every index switched off", document.replace(b'"True"', b'"False"')
    yield "every index switched on", document.replace(b'"False"', b'"True"')
    for number, match in enumerate(list(_ACTIVE.finditer(document))[:4]):
        other = b"11" * 48
        yield f"active value {number}: another", document[: match.start(1)] + other + document[match.end(1) :]
    first = re.search(rb"<ns0:Resource [^>]*/>", document)
    if first is not None:
        yield "an index left out", document[: first.start()] + document[first.end() :]
        yield "an index twice", document[: first.end()] + first[0] + document[first.end() :]


def _tricks(document: bytes, end: int) -> Iterator[tuple[str, bytes]]:
    """Ways around a signature in XML."""
    tail = document[document.index(b"</ds:Signature>") + len(b"</ds:Signature>") :]
    signature = document[end : len(document) - len(tail)]
    payload = document[document.index(b"<ns0:Payload") : document.index(b"</ns0:Payload>") + len(b"</ns0:Payload>")]
    evil = payload.replace(b"True", b"False")
    yield "no signature", document[:end] + tail
    yield "the signature twice", document[:end] + signature * 2 + tail
    yield "a payload inside the signature", document.replace(b"</ds:KeyInfo>", b"</ds:KeyInfo>" + evil, 1)
    yield "a second payload in front", document.replace(b"<ns0:Payload", evil + b"<ns0:Payload", 1)
    yield "a second payload behind", document[:end] + evil + document[end:]
    yield "wrapped in another document", b"<x>" + document + b"</x>"
    yield "the reference to a part", document.replace(b'URI=""', b'URI="#p"', 1)
    yield "no reference at all", re.sub(rb"<ds:Reference.*?</ds:Reference>", b"", document, count=1, flags=re.DOTALL)
    yield "the reference without its transforms", re.sub(rb"<ds:Transforms>.*?</ds:Transforms>", b"", document)
    yield "another digest", document.replace(b"xmldsig-more#sha384", b"xmlenc#sha256", 1)
    yield "another signature algorithm", document.replace(b"#ecdsa-sha384", b"#hmac-sha384", 1)
    yield "cut off", document[:-20]
    yield "empty", b""


def _otherwise(document: bytes) -> Iterator[tuple[str, bytes]]:
    """Other bytes for the same document: may be refused, and may not mean anything else."""
    yield "a document type with an entity", b'<!DOCTYPE x [<!ENTITY e "x">]>' + document
    yield "a document type from elsewhere", b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + document
    yield (
        "an object in the signature",
        document.replace(b"</ds:KeyInfo>", b"</ds:KeyInfo><ds:Object>x</ds:Object>", 1),
    )
    yield "a comment", document.replace(b"<ns0:Payload", b"<!-- x --><ns0:Payload", 1)
    yield "lines that end in two characters", document.replace(b"\n", b"\r\n")
    yield "a declaration in front", b'<?xml version="1.0" encoding="UTF-8"?>\n' + document
    yield "a space in a tag", document.replace(b"<ns0:Payload ", b"<ns0:Payload  ", 1)
    yield "single quotes", document.replace(b'edition="GPU"', b"edition='GPU'", 1)
    yield "a character by its number", document.replace(b'edition="GPU"', b'edition="G&#80;U"', 1)
    yield "a section of characters", document.replace(b"</ns0:Payload>", b"<![CDATA[]]></ns0:Payload>", 1)
    yield (
        "an element with an end of its own",
        re.sub(rb"(<ns0:Entity [^>]*)/>", rb"\1></ns0:Entity>", document, count=1),
    )
    yield "a line end behind it", document + b"\n"
