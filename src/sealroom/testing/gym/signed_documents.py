"""Forgeries of Intel's signed JSON: each member changed, and the same thing written otherwise."""

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sealroom.testing.gym.byte_edits import flipped
from sealroom.testing.gym.json_spans import JsonSpan, json_spans, signed_body
from sealroom.testing.gym.mutation import Expectation, Level

__all__ = ["DocumentEdit", "document_edits", "favourable", "with_signature"]

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_RANDOM_BITS = 32


@dataclass(frozen=True, slots=True)
class DocumentEdit:
    """One change to a document as the service sends it: the signed object and its signature."""

    label: str
    level: Level
    expectation: Expectation
    text: bytes


def document_edits(text: bytes, draw: random.Random) -> Iterator[DocumentEdit]:
    """Changes to ``text``, ``{"tcbInfo":{…},"signature":"…"}`` or the one of the QE identity."""
    yield from _members(text)
    yield from _written_otherwise(text)
    yield from _envelopes(text)
    yield from _signatures(text)
    for bit in sorted(draw.sample(range(8 * len(text)), _RANDOM_BITS)):
        span = signed_body(text)
        inside = span.start <= bit // 8 < span.end
        # outside it a changed name or quotation mark changes nothing that is signed, and a changed digit does
        yield DocumentEdit(f"bit {bit}", Level.JSON, Expectation.FORGERY if inside else Expectation.NEUTRAL,
                           flipped(text, bit))  # fmt: skip


def with_signature(text: bytes, body: bytes, signature: bytes) -> bytes:
    """The document with another signed object and another signature, all else as it was."""
    span, sign = signed_body(text), _member(text, "/signature")
    pieces = sorted([(span.start, span.end, body), (sign.start, sign.end, b'"' + signature.hex().encode() + b'"')],
                    reverse=True)  # fmt: skip
    for start, end, value in pieces:
        text = text[:start] + value + text[end:]
    return text


def favourable(body: bytes) -> bytes:
    """The signed object as a forger would like it: every status good, every advisory gone, and valid for long."""
    body = re.sub(rb'"tcbStatus":"[A-Za-z]+"', b'"tcbStatus":"UpToDate"', body)
    body = re.sub(rb'"advisoryIDs":\[[^\]]*\]', b'"advisoryIDs":[]', body)
    body = re.sub(rb'"svn":\d+', b'"svn":0', body)
    return re.sub(rb'"nextUpdate":"\d{4}', b'"nextUpdate":"2045', body)


def _member(text: bytes, path: str) -> JsonSpan:
    return next(span for span in json_spans(text) if span.path == path)


def _members(text: bytes) -> Iterator[DocumentEdit]:
    body = signed_body(text)
    for span in json_spans(text):
        if not body.start <= span.start < body.end:
            continue
        if span.is_scalar:
            yield _forged(text, span, _another(span.of(text)), f"{span.path} changed")
        if span.start != body.start:
            yield _forged(text, span, None, f"{span.path} taken out")


def _another(value: bytes) -> bytes:
    """Another value of the same kind, as a forger would like it where that can be said."""
    if value.startswith(b'"'):
        favoured = {
            b'"OutOfDate"': b'"UpToDate"',
            b'"UpToDate"': b'"OutOfDate"',
            b'"TDX"': b'"SGX"',
            b'"SGX"': b'"TDX"',
        }
        last = value[-2:-1]
        return favoured.get(value, value[:-2] + (b"1" if last != b"1" else b"2") + b'"')
    return b"0" if value != b"0" else b"1"


def _forged(text: bytes, span: JsonSpan, value: bytes | None, label: str) -> DocumentEdit:
    if value is None:
        end = span.end
        begin = span.member_start
        if text[end : end + 1] == b",":
            end += 1
        elif text[begin - 1 : begin] == b",":
            begin -= 1
        changed = text[:begin] + text[end:]
    else:
        changed = text[: span.start] + value + text[span.end :]
    return DocumentEdit(label, Level.JSON, Expectation.FORGERY, changed)


def _written_otherwise(text: bytes) -> Iterator[DocumentEdit]:
    """The signed object parses to the same, and its bytes are not those that were signed."""
    span = signed_body(text)
    body, value = span.of(text), json.loads(span.of(text))
    others = {
        "written again with spaces": json.dumps(value).encode(),
        "written again, names in order": json.dumps(value, sort_keys=True, separators=(",", ":")).encode(),
        "written again, names backwards": _backwards(value),
        "indented": json.dumps(value, indent=1).encode(),
        "a space inside": body[:1] + b" " + body[1:],
        "a space before its end": body[:-1] + b" }",
        "a line end inside": body[:-1] + b"\n}",
        "an escape in a name": body.replace(b'"version"', b'"\\u0076ersion"', 1),
        "a number with a fraction": re.sub(rb'"version":(\d)', rb'"version":\1.0', body, count=1),
        "a number with an exponent": re.sub(rb'"version":(\d)', rb'"version":\1e0', body, count=1),
        "its first member twice": body[:1] + _first_member(body) + b"," + body[1:],
        "a further member": body[:-1] + b',"x":1}',
        "a comma too many": body[:-1] + b",}",
        "a byte order mark inside": b"\xef\xbb\xbf" + body,
        "lower case": body.lower(),
    }
    for label, other in others.items():
        if other != body:
            yield DocumentEdit(label, Level.JSON, Expectation.FORGERY, text[: span.start] + other + text[span.end :])


def _backwards(value: object) -> bytes:
    def turned(inner: object) -> object:
        if isinstance(inner, dict):
            return {name: turned(member) for name, member in reversed(inner.items())}
        return [turned(element) for element in inner] if isinstance(inner, list) else inner

    return json.dumps(turned(value), separators=(",", ":")).encode()


def _first_member(body: bytes) -> bytes:
    first = next(span for span in json_spans(body) if span.path.count("/") == 1)
    return body[first.member_start : first.end]


def _envelopes(text: bytes) -> Iterator[DocumentEdit]:
    """The object around the signed one: a second one of either name hides which of them was meant."""
    body, sign = signed_body(text), _member(text, "/signature")
    name = text[body.member_start : body.start]
    other = name + favourable(body.of(text))
    signature = text[sign.member_start : sign.end]
    forged = {
        "another object of its name first": text.replace(name, other + b"," + name, 1),
        "another object of its name last": text.rstrip()[:-1] + b"," + other + b"}",
        "another signature first": text[: sign.member_start] + b'"signature":"' + b"00" * 64 + b'",'
        + text[sign.member_start :],
        "another signature last": text.rstrip()[:-1] + b',"signature":"' + b"00" * 64 + b'"}',
        "an array": b"[" + text + b"]",
        "cut off": text[: len(text) // 2],
        "cut off before its end": text.rstrip()[:-1],
        "empty": b"",
        "no JSON": b"not JSON",
        "null": b"null",
        "nested deep": b"[" * 100_000,
        "the signed object alone": body.of(text),
        "the signature alone": b"{" + signature + b"}",
    }  # fmt: skip
    for label, changed in forged.items():
        yield DocumentEdit(f"around it: {label}", Level.JSON, Expectation.FORGERY, changed)
    harmless = {
        "a further member": text.rstrip()[:-1] + b',"x":1}',
        "members in the other order": b"{" + signature + b"," + name + body.of(text) + b"}",
        "white space": b" " + text.replace(name, b"\n" + name + b" ", 1) + b"\n",
        "a byte order mark": b"\xef\xbb\xbf" + text,
        "a NUL after it": text + b"\0",
        "the signature in capitals": text[: sign.start] + sign.of(text).upper() + text[sign.end :],
    }
    for label, changed in harmless.items():
        yield DocumentEdit(f"around it: {label}", Level.JSON, Expectation.NEUTRAL, changed)


def _signatures(text: bytes) -> Iterator[DocumentEdit]:
    span = _member(text, "/signature")
    value = bytes.fromhex(span.of(text).strip(b'"').decode())
    r, s = value[:32], value[32:]
    others = {"all zero": bytes(64), "r and s swapped": s + r, "empty": b"", "cut off": value[:-1],
              "one byte longer": value + b"\0", "bit 0": flipped(value, 0), "bit 511": flipped(value, 511),
              "s zero": r + bytes(32), "r zero": bytes(32) + s}  # fmt: skip
    for label, other in others.items():
        yield _resigned(text, span, other, label, Expectation.FORGERY)
    twin = r + (_ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
    yield _resigned(text, span, twin, "s negated", Expectation.NEUTRAL)


def _resigned(text: bytes, span: JsonSpan, value: bytes, label: str, expectation: Expectation) -> DocumentEdit:
    changed = text[: span.start] + b'"' + value.hex().encode() + b'"' + text[span.end :]
    return DocumentEdit(f"signature: {label}", Level.SIGNATURE, expectation, changed)
