"""Runs vectors of attestation results: signed tokens, and claims that nobody signed.

Some of what they expect is in words with a number or a name at the front. Such a text is compared by those; where
they agree the text itself is stated, so that the one comparison serves all. What a relying party asked for stands in
``collateral``: ``expected_nonce``, ``policy``.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from sealroom.cbor import Tagged, read_cbor
from sealroom.ear import Ear, Spelling, read_claims_cbor, read_claims_json, read_ear_cwt, read_ear_jwt
from sealroom.ear.names import NAMES
from sealroom.errors import SealroomError
from sealroom.evidence import TrustRoots
from sealroom.jose import JoseAlg, JwkKey, Jwt, parse_jwt, read_jwks, verify_jwt
from sealroom.tees._cose.key import read_key
from sealroom.testing.ear_asked import wanted_by
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase

__all__ = ["run_claims", "run_claims_cbor", "run_cwt", "run_jwt"]

_ALGORITHMS = (JoseAlg.ES256, JoseAlg.ES384)


def run_jwt(case: VectorCase, roots: TrustRoots) -> Outcome:
    """Verify a token as a strict relying party at the vector's time, or else at the token's own."""
    del roots
    raw = case.file(_named(case, "token", (".jwt",)))
    token = parse_jwt(raw, area="ear")
    keys = _keys(case)
    if not keys and token.alg in _ALGORITHMS:
        raise UnsupportedCaseError("the vector does not say by which key the token is to be verified")
    facts: dict[str, object] = {"header": dict(token.header), "claims": dict(token.claims),
                                "accept": _accept(case, token, keys)}  # fmt: skip
    wanted, at = wanted_by(case, token.claims, _ALGORITHMS), _at(case, token.claims)
    try:
        ear = read_ear_jwt(raw, keys, at=at, wanted=wanted)
    except SealroomError as refusal:
        return Outcome(facts=facts, refusal=refusal)
    return Outcome(facts=facts | _facts(case, ear, set()))


def run_cwt(case: VectorCase, roots: TrustRoots) -> Outcome:
    """The same of a token in CBOR."""
    del roots
    raw = case.file(_named(case, "token", (".cwt", ".cbor")))
    keys = _keys(case)
    if len(keys) != 1 or not isinstance(keys[0].key, EllipticCurvePublicKey):
        raise UnsupportedCaseError("the vector does not say by which one key the token is to be verified")
    claims = _claims_of(raw)
    ear = read_ear_cwt(raw, keys[0].key, at=_at(case, {"iat": claims.get(6), "nbf": claims.get(5)}),
                       wanted=wanted_by(case, {"eat_nonce": claims.get(10)}, _ALGORITHMS))  # fmt: skip
    return Outcome(facts=_facts(case, ear, set(_integers(claims))) | {"hex": raw.hex()})


def _claims_of(raw: bytes) -> Mapping[Any, Any]:
    """What stands in a token in CBOR, believed for nothing but the time and the nonce's form."""
    value = read_cbor(raw, area="ear")
    while isinstance(value, Tagged):
        value = value.value
    payload = value[2] if isinstance(value, list) and len(value) == 4 else None
    claims = read_cbor(payload, area="ear") if isinstance(payload, bytes) else None
    return claims if isinstance(claims, dict) else {}


def run_claims(case: VectorCase, roots: TrustRoots) -> Outcome:
    """Read claims in JSON."""
    del roots
    raw = case.file(_named(case, "claims", (".json",)))
    ear = read_claims_json(raw)
    return Outcome(facts=_facts(case, ear, set()) | {"claims": json.loads(raw)})


def run_claims_cbor(case: VectorCase, roots: TrustRoots) -> Outcome:
    """Read claims in CBOR."""
    del roots
    raw = case.file(_named(case, "claims", (".cbor",)))
    ear = read_claims_cbor(raw)
    return Outcome(facts=_facts(case, ear, set(_integers(read_cbor(raw, area="ear")))) | {"hex": raw.hex()})


def _named(case: VectorCase, what: str, endings: tuple[str, ...]) -> str:
    """The file that is called so, or the only one that is no key."""
    if isinstance(named := case.document.get("evidence"), str):
        return named
    files = [name for name in case.entries("files") if not _is_key(name)]
    found = [name for name in files if name.startswith(what) and name.endswith(endings)] or files
    if len(found) != 1:
        raise UnsupportedCaseError(f"the vector does not say which file is the {what}")
    return found[0]


def _is_key(name: str) -> bool:
    return "jwk" in name or "key" in name or name.endswith(".pem")


def _keys(case: VectorCase) -> tuple[JwkKey, ...]:
    """The one key, or the set, that lies beside the token; none where none does."""
    names = [name for name in case.entries("files") if _is_key(name)]
    names += [str(path) for name, path in case.collateral.items() if _is_key(name)]
    if len(names) > 1:
        raise UnsupportedCaseError("the vector does not say which key the token is to be verified by")
    try:
        raw = case.file(names[0]) if names else b'{"keys":[]}'
        if raw.lstrip()[:1] == b"{" and b'"keys"' in raw:
            return read_jwks(raw, area="conformance")
        if b'"RSA"' in raw:
            return read_jwks(b'{"keys":[' + raw + b"]}", area="conformance")
        return (JwkKey.of(read_key(raw, area="conformance")),)
    except (ValueError, SealroomError):
        raise case.malformed("the key is none") from None


def _at(case: VectorCase, claims: Mapping[str, Any]) -> datetime:
    """A token without a time to verify at is verified when it begins to be valid."""
    if "verify_at" in case.document:
        return case.verify_at
    starts = [value for name in ("iat", "nbf") if isinstance(value := claims.get(name), int | float)]
    try:
        return datetime.fromtimestamp(max(starts, default=0), tz=_UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, tz=_UTC)


_UTC = datetime.fromisoformat("1970-01-01T00:00:00+00:00").tzinfo


def _accept(case: VectorCase, token: Jwt, keys: tuple[JwkKey, ...]) -> object:
    """What the vector says of the token, if the signature is as it says there."""
    wanted = case.expect.facts.get("accept")
    if not isinstance(wanted, str):
        return wanted
    try:
        verify_jwt(token, keys, algorithms=_ALGORITHMS, area="ear")
    except SealroomError:
        return wanted if "signature valid" not in wanted else "signature not valid"
    return wanted if "signature invalid" not in wanted else "signature valid"


def _facts(case: VectorCase, ear: Ear, integers: set[int]) -> dict[str, object]:
    status = ear.status.name.lower()
    stated: dict[str, object] = {
        "accept": case.expect.facts.get("accept", True), "profile": ear.profile,
        "submods": [one.label for one in ear.submodules],
        "statuses": {one.label: one.status.name.lower() for one in ear.submodules},
        "vectors": {one.label: dict(one.vector.members()) for one in ear.submodules if one.vector is not None},
    }  # fmt: skip
    checks: Mapping[str, Callable[[str], bool]] = {
        "status": lambda text: text.split()[0] == status and _members_agree(text, ear),
        "overall": lambda text: text.split()[0] == status and _numbers(text) in ([], [int(ear.status)]),
        "spelling": lambda text: text.split()[0] == ear.spelling.value and _profile_agrees(text, ear),
        "keys": lambda text: bool(_numbers(text)) and set(_numbers(text)) <= integers,
    }
    for name, agrees in checks.items():
        text = case.expect.facts.get(name)
        if isinstance(text, str):
            stated[name] = text if text.split() and agrees(text) else status
    return stated


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"(?<![\w.-])-?\d+(?![\w.])", text)]


def _members_agree(text: str, ear: Ear) -> bool:
    """Every ``member number`` that the text names is one of a submodule's vector."""
    named = re.findall(r"([a-z][a-z-]+) (-?\d+)", text)
    return all(any((one.vector.members() if one.vector else {}).get(name) == int(value) for one in ear.submodules)
               for name, value in named)  # fmt: skip


def _profile_agrees(text: str, ear: Ear) -> bool:
    found = re.search(r"profile (\S+)", text)
    names = [
        str(name) for name in NAMES[Spelling.DOTS if ear.spelling is Spelling.DOTS else Spelling.UNDERSCORES].values()
    ]
    status = re.search(r"\((ear[^)]+)\)", text)
    return (found is None or found[1] == ear.profile) and (status is None or status[1] in names)


def _integers(value: Any) -> Iterator[int]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(key, int):
                yield key
            yield from _integers(inner)
