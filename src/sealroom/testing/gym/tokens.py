"""All that can be done to a token of a service: its claims, its header, its signature, the key set beside it."""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sealroom.jose import parse_jwt
from sealroom.testing.gym.byte_edits import flipped
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.own_keys import own_service
from sealroom.testing.tokens import base64url

__all__ = ["is_token", "token_mutations"]

_BITS, _CUTS = 160, 24
_LEEWAY = timedelta(seconds=60)
_LONG = timedelta(days=3650)


def is_token(sample: Sample) -> bool:
    """Whether the sample is a service's word, and not evidence."""
    return sample.raw[:3] == b"eyJ"


def token_mutations(sample: Sample, others: Sequence[Sample], draw: random.Random) -> Iterator[Mutation]:
    """Every mutation of ``sample``; the other tokens among ``others`` lend their parts."""
    yield from _texts(sample, draw)
    yield from _claims(sample)
    yield from _headers(sample)
    yield from _signatures(sample, draw)
    yield from _key_sets(sample)
    yield from _times(sample)
    for other in others:
        if is_token(other) and other.raw != sample.raw:
            mine, theirs = sample.raw.split(b"."), other.raw.split(b".")
            for word, parts in (("claims", [mine[0], theirs[1], mine[2]]), ("signature", [*mine[:2], theirs[2]])):
                yield _forgery(sample, b".".join(parts), f"{word} of {other.name}", Level.PLATFORM)


def _texts(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    raw = sample.raw
    for bit in sorted(draw.sample(range(8 * len(raw)), _BITS)):
        changed = flipped(raw, bit)
        if not _is_spelling(changed, raw):
            yield _forgery(sample, changed, f"bit {bit}", Level.FIELD)
    for cut in sorted({len(raw) * number // _CUTS for number in range(_CUTS)} | {len(raw) - 3}):
        yield _forgery(sample, raw[:cut], f"cut off after {cut} bytes", Level.LENGTH)
    header, claims, signature = raw.split(b".")
    whole = {"two parts": b".".join((header, claims)), "four parts": raw + b"." + signature,
             "an empty signature": header + b"." + claims + b".", "another letter behind it": raw + b"A",
             "parts in another order": b".".join((claims, header, signature)), "padding": raw + b"==",
             "a NUL behind it": raw + b"\0", "a line end within": header + b"\n." + claims + b"." + signature,
             "the JSON form": json.dumps({"payload": claims.decode(), "protected": header.decode(),
                                          "signature": signature.decode()}).encode()}  # fmt: skip
    for word, changed in whole.items():
        neutral = word == "padding"
        yield _made(sample, changed, word, Level.LENGTH, Expectation.NEUTRAL if neutral else Expectation.FORGERY)
    yield _made(sample, raw + b"\n", "a line end behind it", Level.LENGTH, Expectation.BENIGN)


def _is_spelling(changed: bytes, raw: bytes) -> bool:
    """Whether the same octets are signed: a letter of base64 has bits at its end that are nobody's."""
    first, second = changed.split(b"."), raw.split(b".")
    if len(first) != 3 or first[:2] != second[:2]:
        return False
    try:
        return _decoded(first[2]) == _decoded(second[2])
    except ValueError:
        return False


def _decoded(part: bytes) -> bytes:
    return base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _claims(sample: Sample) -> Iterator[Mutation]:
    """Another payload under the old signature."""
    claims: dict[str, Any] = json.loads(_decoded(sample.raw.split(b".")[1]))
    for path, value in _walk(claims):
        name = ".".join(path)
        for word, other in _others(value):
            yield _forgery(
                sample, _with_claims(sample, _put(claims, path, other)), f"claim {name}: {word}", Level.JSON
            )
        yield _forgery(sample, _with_claims(sample, _put(claims, path, ...)), f"claim {name}: left out", Level.JSON)
    yield _forgery(sample, _with_claims(sample, {**claims, "more": 1}), "a claim more", Level.JSON)
    yield _forgery(sample, _with_claims(sample, claims), "claims written again", Level.JSON)


def _walk(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, item in value.items():
        yield (*path, name), item
        if isinstance(item, dict):
            yield from _walk(item, (*path, name))


def _put(claims: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    name, *rest = path
    found = dict(claims)
    if rest:
        found[name] = _put(claims[name], tuple(rest), value)
    elif value is ...:
        del found[name]
    else:
        found[name] = value
    return found


def _others(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, bool):
        yield "the other", not value
    elif isinstance(value, int):
        yield from (("one more", value + 1), ("a year more", value + 31_536_000), ("a text", str(value)))
    elif isinstance(value, str):
        yield from (("longer", value + "x"), ("empty", ""), ("in a list", [value]))
    elif isinstance(value, list):
        yield from (("empty", []), ("one more", [*value, "x"]))
    elif isinstance(value, dict):
        yield "empty", {}
    yield "null" if value is not None else "a text", None if value is not None else "x"


def _with_claims(sample: Sample, claims: Mapping[str, Any]) -> bytes:
    header, _, signature = sample.raw.split(b".")
    return b".".join((header, base64url(json.dumps(claims, separators=(" ,", " :")).encode()).encode(), signature))


def _headers(sample: Sample) -> Iterator[Mutation]:
    header, claims, signature = sample.raw.split(b".")
    said: dict[str, Any] = json.loads(_decoded(header))
    own = own_service("stranger", said.get("kid") or "")
    changes: dict[str, dict[str, Any]] = {
        "algorithm none": {"alg": "none"}, "algorithm NONE": {"alg": "NONE"}, "algorithm HS256": {"alg": "HS256"},
        "algorithm ES256": {"alg": "ES256"}, "algorithm RS512": {"alg": "RS512"}, "another key's name": {"kid": "x"},
        "a key of its own": {"jwk": own.jwk()}, "an address of keys": {"jku": "https://keys.invalid"},
        "what must be understood": {"crit": ["x"], "x": 1}, "no encoding": {"b64": False, "crit": ["b64"]},
    }  # fmt: skip
    for word, change in changes.items():
        head = base64url(json.dumps({**said, **change}).encode()).encode()
        yield _forgery(sample, b".".join((head, claims, signature)), f"header with {word}", Level.SIGNATURE)
        unsigned = b".".join((head, claims, b""))
        yield _forgery(sample, unsigned, f"header with {word}, unsigned", Level.SIGNATURE)
    body = _decoded(claims)
    for word, change in changes.items():
        yield _forgery(sample, own.sign_text({**said, **change}, body), f"signed by a stranger, header with {word}",
                       Level.SIGNATURE)  # fmt: skip
    for word, secret in (("the key set", sample.collateral.get("jwks", b"")), ("nothing", b"")):
        head = base64url(json.dumps({**said, "alg": "HS256"}).encode()).encode() + b"." + claims
        code = base64url(hmac.new(secret, head, hashlib.sha256).digest()).encode()
        yield _forgery(sample, head + b"." + code, f"a code keyed by {word}", Level.SIGNATURE)


def _signatures(sample: Sample, draw: random.Random) -> Iterator[Mutation]:
    token = parse_jwt(sample.raw, area="gym")
    right = token.signature
    wrong = {"zero": bytes(len(right)), "ones": b"\xff" * len(right), "turned around": right[::-1],
             "without its last byte": right[:-1], "a zero byte behind it": right + b"\0",
             "a zero byte in front": b"\0" + right, "random": draw.randbytes(len(right)), "one": b"\1"}  # fmt: skip
    for word, value in wrong.items():
        yield _forgery(sample, token.signing_input + b"." + base64url(value).encode(), f"signature {word}",
                       Level.SIGNATURE)  # fmt: skip
    own = own_service("stranger", token.kid or "")
    body = _decoded(sample.raw.split(b".")[1])
    yield _forgery(sample, own.sign_text(dict(token.header), body), "signed by a stranger", Level.SIGNATURE)


def _key_sets(sample: Sample) -> Iterator[Mutation]:
    if "jwks" not in sample.collateral:
        return
    token, jwks = parse_jwt(sample.raw, area="gym"), sample.collateral["jwks"]
    said: dict[str, Any] = json.loads(jwks)
    own = own_service("stranger", token.kid or "")
    strangers = json.dumps({"keys": [own.jwk()]}).encode()
    body = _decoded(sample.raw.split(b".")[1])
    by_stranger = replace(sample, raw=own.sign_text(dict(token.header), body))
    mine = [key for key in said["keys"] if key.get("kid") == token.kid]
    sets = {
        "without": None, "empty": b"", "of no key": b'{"keys":[]}', "no object": b"[]",
        "of a stranger's key": strangers,
        "without the token's key": json.dumps({"keys": [key for key in said["keys"] if key not in mine]}).encode(),
        "with a key for encryption": json.dumps({"keys": [{**key, "use": "enc"} for key in mine]}).encode(),
        "with a key for another algorithm": json.dumps({"keys": [{**key, "alg": "PS256"} for key in mine]}).encode(),
        "with a member twice": jwks.rstrip()[:-1] + b',"keys":[]}',
    }  # fmt: skip
    for word, text in sets.items():
        changed = sample.without_item("jwks") if text is None else sample.with_item("jwks", text)
        yield _of(changed, f"key set {word}", Level.COLLATERAL, Expectation.FORGERY)
    yield _of(by_stranger.with_item("jwks", strangers), "token and key set of a stranger", Level.COLLATERAL,
              Expectation.FORGERY)  # fmt: skip
    both = json.dumps({"keys": [own.jwk(), *said["keys"]]}).encode()
    yield _of(by_stranger.with_item("jwks", both), "token of a stranger, whose key is in the set", Level.COLLATERAL,
              Expectation.FORGERY)  # fmt: skip
    yield _of(sample.with_item("jwks", both), "a stranger's key in the set", Level.COLLATERAL, Expectation.BENIGN)
    yield _of(sample.with_item("jwks", json.dumps(said, indent=2).encode()), "key set written again",
              Level.COLLATERAL, Expectation.BENIGN)  # fmt: skip


def _times(sample: Sample) -> Iterator[Mutation]:
    """The end is no longer in the token's time, and clocks may differ by a minute before its beginning."""
    claims = parse_jwt(sample.raw, area="gym").claims
    begins = datetime.fromtimestamp(max(claims[name] for name in ("iat", "nbf") if name in claims), tz=UTC)
    ends = datetime.fromtimestamp(claims["exp"], tz=UTC)
    second = timedelta(seconds=1)
    good, bad = Expectation.BENIGN, Expectation.FORGERY
    moments = (
        ("the last second", ends - second, good), ("the second of its end", ends, bad),
        ("a second after its end", ends + second, bad), ("ten years after", ends + _LONG, bad),
        ("the first second", begins, good), ("a minute before", begins - _LEEWAY, good),
        ("more than a minute before", begins - _LEEWAY - second, bad), ("ten years before", begins - _LONG, bad),
    )  # fmt: skip
    for word, at, expectation in moments:
        yield _of(replace(sample, at=at), f"time: {word}", Level.TIME, expectation)


def _forgery(sample: Sample, raw: bytes, label: str, level: Level) -> Mutation:
    return _made(sample, raw, label, level, Expectation.FORGERY)


def _made(sample: Sample, raw: bytes, label: str, level: Level, expectation: Expectation) -> Mutation:
    return _of(replace(sample, raw=raw), f"token: {label}", level, expectation)


def _of(sample: Sample, label: str, level: Level, expectation: Expectation) -> Mutation:
    return Mutation(label=label, level=level, expectation=expectation, sample=sample)
