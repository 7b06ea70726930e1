"""Evidence that travels in a JSON object: the object itself, and the same written otherwise."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample

__all__ = ["object_mutations"]

_WRONG: Mapping[str, Any] = {
    "null": None, "a number": 5, "true": True, "an empty text": "", "an empty list": [], "an empty object": {},
    "text that is no number": "*", "a list of texts": ["00"], "a number that is no octet": [256],
}  # fmt: skip


def object_mutations(sample: Sample, *, optional: frozenset[str] = frozenset()) -> Iterator[Mutation]:
    """Of the object: its members, its ends, its spelling; ``optional``: members without which it says less."""
    document: dict[str, Any] = json.loads(sample.raw)
    for name, value in document.items():
        for word, wrong in _WRONG.items():
            # that an optional member is null is how some agents say that it is not there
            if wrong != value and not (name in optional and wrong is None):
                yield _made(sample, f"{name} is {word}", {**document, name: wrong})
        if name not in optional:
            less = {other: item for other, item in document.items() if other != name}
            yield _made(sample, f"without {name}", less)
        if isinstance(value, dict):
            for inner in value:
                kept = {other: item for other, item in value.items() if other != inner}
                yield _made(sample, f"{name} without {inner}", {**document, name: kept})
            yield _made(sample, f"{name} with a member more", {**document, name: {**value, "more": 1}}, neutral=True)
    yield _made(sample, "a member more", {**document, "more": 1}, neutral=True)
    yield from _texts(sample, document)


def _texts(sample: Sample, document: dict[str, Any]) -> Iterator[Mutation]:
    raw = sample.raw
    name, value = next(iter(document.items()))
    twice = raw.rstrip()[:-1] + f",{json.dumps(name)}:{json.dumps(value)}}}".encode()
    yield _text(sample, f"{name} twice", twice, Expectation.NEUTRAL)
    yield _text(sample, "written again with spaces", json.dumps(document, indent=1).encode(), Expectation.BENIGN)
    turned = json.dumps(dict(reversed(document.items()))).encode()
    yield _text(sample, "members in another order", turned, Expectation.BENIGN)
    yield _text(sample, "octets in hexadecimal", json.dumps(_respelled(document, bytes.hex)).encode(),
                Expectation.BENIGN)  # fmt: skip
    urls = json.dumps(_respelled(document, lambda octets: base64.urlsafe_b64encode(octets).decode())).encode()
    yield _text(sample, "octets in base64 for addresses", urls, Expectation.BENIGN)
    for word, changed in (("nothing", b""), ("a list around it", b"[" + raw + b"]"), ("a byte in front", b"\0" + raw),
                          ("twice", raw + raw), ("a brace behind it", raw + b"}"), ("a NUL behind it", raw + b"\0"),
                          ("half", raw[: len(raw) // 2]), ("UTF-16", raw.decode().encode("utf-16"))):  # fmt: skip
        yield _text(sample, word, changed, Expectation.FORGERY)


def _respelled(value: Any, spell: Any) -> Any:
    """Every text that is octets, spelled otherwise; what is not stays as it is."""
    if isinstance(value, dict):
        return {name: _respelled(item, spell) for name, item in value.items()}
    if isinstance(value, list):
        return [_respelled(item, spell) for item in value]
    if not isinstance(value, str) or len(value) < 16:
        return value
    is_hex = all(letter in "0123456789abcdefABCDEF" for letter in value)
    if is_hex:
        return spell(bytes.fromhex(value))
    return spell(base64.urlsafe_b64decode(value.replace("+", "-").replace("/", "_") + "=" * (-len(value) % 4)))


def _made(sample: Sample, label: str, document: dict[str, Any], *, neutral: bool = False) -> Mutation:
    expectation = Expectation.NEUTRAL if neutral else Expectation.FORGERY
    return _text(sample, label, json.dumps(document).encode(), expectation)


def _text(sample: Sample, label: str, raw: bytes, expectation: Expectation) -> Mutation:
    return Mutation(label=f"evidence: {label}", level=Level.JSON, expectation=expectation,
                    sample=replace(sample, raw=raw))  # fmt: skip
