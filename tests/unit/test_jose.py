"""Tokens of others: every way in which two readers could read one differently, and every key that is none."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.jose import MAX_JWKS, MAX_TOKEN, JoseAlg, JwkKey, parse_jwt, read_jwks, require_times, verify_jwt

_EC, _P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_ALL = tuple(JoseAlg)
_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384()}


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signature(key: Any, alg: str, signed: bytes) -> bytes:
    digest = _HASHES.get(alg[2:], hashes.SHA256())
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
        return key.sign(signed, pss if alg[:2] == "PS" else padding.PKCS1v15(), digest)
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(digest)))
    size = key.curve.key_size // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _token(key: Any = _EC, *, header: bytes | None = None, claims: bytes = b'{"a":1}', **members: Any) -> str:
    head = {"alg": "ES256"} | members
    signed = f"{_b64(header or json.dumps(head).encode())}.{_b64(claims)}"
    return f"{signed}.{_b64(_signature(key, head['alg'], signed.encode()))}"


def _verify(token: str, *keys: Any, algorithms: Any = _ALL, **named: str) -> JwkKey:
    given = tuple(JwkKey.of(key.public_key(), **named) for key in keys or (_EC,))
    return verify_jwt(parse_jwt(token, area="x"), given, algorithms=algorithms, area="x")


@pytest.mark.parametrize(("key", "alg"), [(_EC, "ES256"), (_P384, "ES384"), (_RSA, "RS256"), (_RSA, "RS384"),
                                          (_RSA, "PS256"), (_RSA, "PS384")])  # fmt: skip
def test_each_algorithm_and_its_key(key: Any, alg: str) -> None:
    assert _verify(_token(key, alg=alg), key)
    with pytest.raises(UnverifiedError, match=r"x\.token-algorithm"):
        _verify(_token(key, alg=alg), key, algorithms=[one for one in _ALL if one != alg])
    changed = parse_jwt(_token(key, alg=alg), area="x").signature
    for raw in (changed[:-1], changed + b"\0", bytes(len(changed)), bytes([changed[0] ^ 1]) + changed[1:]):
        head, claims, _ = _token(key, alg=alg).split(".")
        with pytest.raises(UnverifiedError, match=r"x\.token-signature"):
            _verify(f"{head}.{claims}.{_b64(raw)}", key)


@pytest.mark.parametrize(("signer", "alg", "key"), [
    (_RSA, "RS256", _EC), (_EC, "ES256", _RSA), (_P384, "ES384", _EC), (_EC, "ES256", _P384), (_P384, "ES256", _P384),
    (_RSA, "PS256", _EC),
])  # fmt: skip
def test_an_algorithm_never_meets_a_key_of_another_kind(signer: Any, alg: str, key: Any) -> None:
    with pytest.raises(UnverifiedError, match=r"x\.token-signature"):
        _verify(_token(signer, alg=alg), key)


def test_a_key_on_a_smaller_curve_does_not_sign_by_the_larger_one_s_algorithm() -> None:
    """Its r and s, filled up to the length that the algorithm has, are two numbers like any others."""
    head = f"{_b64(json.dumps({'alg': 'ES384'}).encode())}.{_b64(b'{}')}"
    r, s = decode_dss_signature(_EC.sign(head.encode(), ec.ECDSA(hashes.SHA384())))
    with pytest.raises(UnverifiedError, match=r"x\.token-signature"):
        _verify(f"{head}.{_b64(r.to_bytes(48, 'big') + s.to_bytes(48, 'big'))}", _EC)


def test_a_key_that_says_its_algorithm_serves_no_other() -> None:
    assert _verify(_token(_RSA, alg="PS256"), _RSA, alg="PS256")
    with pytest.raises(UnverifiedError, match=r"x\.token-signature"):
        _verify(_token(_RSA, alg="RS256"), _RSA, alg="PS256")


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "HS512", "ES256K", "EdDSA", "", "es256", "ES512"])
def test_no_other_algorithm_is_known_whatever_a_caller_lists(alg: str) -> None:
    with pytest.raises(UnverifiedError, match=r"x\.token-algorithm"):
        _verify(_token(alg=alg))


def test_a_name_leads_to_its_key_and_only_a_lone_key_without_one_is_tried_unnamed() -> None:
    named = JwkKey.of(_EC.public_key(), kid="a")
    nameless, other = JwkKey.of(_EC.public_key()), JwkKey.of(_P384.public_key(), kid="b")

    def outcome(token: str, *keys: JwkKey) -> str:
        try:
            return str(verify_jwt(parse_jwt(token, area="x"), keys, algorithms=_ALL, area="x").kid)
        except UnverifiedError as refused:
            return refused.code

    assert outcome(_token(kid="a"), other, named) == "a"
    assert outcome(_token(), named) == "a"
    assert outcome(_token(kid="whatever"), nameless) == "None"
    assert outcome(_token(kid="b"), named) == "x.token-key"
    assert outcome(_token(kid="whatever"), nameless, other) == "x.token-key"
    assert outcome(_token(), named, other) == "x.token-key"
    assert outcome(_token()) == "x.token-key"
    assert outcome(_token(kid="b"), other, named) == "x.token-signature"


@pytest.mark.parametrize("members", [
    {"crit": ["b64"], "b64": False}, {"b64": False}, {"b64": 0}, {"b64": "false"}, {"b64": None}, {"crit": ["exp"]},
    {"crit": []}, {"alg": 1}, {"kid": 7}, {"kid": ["a"]},
])  # fmt: skip
def test_a_header_that_asks_for_something_not_understood_is_refused(members: dict[str, Any]) -> None:
    header = json.dumps({"alg": "ES256"} | members).encode()
    with pytest.raises(MalformedError, match=r"x\.token"):
        parse_jwt(_token(header=header), area="x")


@pytest.mark.parametrize("raw", [
    b'{"alg":"none","alg":"ES256"}', b"[]", b'"ES256"', b'{"alg":"ES256"', b'{"alg":"ES256"}{}', b"\xff\xfe", b"null",
    b'\xef\xbb\xbf{"alg":"ES256"}', b'{"alg":"ES256","x":NaN}', b'{"alg":"ES256","x":1e400}', b"[" * 9999,
])  # fmt: skip
def test_a_header_or_payload_that_is_no_json_object_is_refused(raw: bytes) -> None:
    for token in (_token(header=raw), _token(claims=raw)):
        with pytest.raises(MalformedError, match=r"x\.token"):
            parse_jwt(token, area="x")


def test_a_member_twice_is_refused_at_any_depth() -> None:
    for claims in (b'{"a":1,"a":1}', b'{"a":{"b":1,"b":2}}', b'{"a":[{"b":1,"\\u0062":2}]}'):
        with pytest.raises(MalformedError, match="twice"):
            parse_jwt(_token(claims=claims), area="x")


def test_unusual_base64_is_refused() -> None:
    """Padding, the other alphabet, unused bits, white space, a character too many: each is a second spelling."""
    head, claims, signature = _token(header=b'{"alg":"ES256"}', claims=b'{"a":11}').split(".")
    assert parse_jwt(f"{head}.{claims}.{signature}", area="x")
    assert parse_jwt(f" {head}.{claims}.{signature}\n", area="x")
    loose = claims[:-1] + chr(ord(claims[-1]) + 1)
    for parts in (
        [f"{head}=", claims, signature], [head, loose, signature], [head, claims + "A", signature],
        [head, claims, signature + "="], [head, claims, "+/" + signature[2:]], [head + "\n", claims, signature],
        [head, claims, signature[:-2] + "?" + signature[-1:]], [head, "", signature], ["", claims, signature],
        [head, claims], [head, claims, signature, ""], [head, claims, signature, signature, signature],
        [head, claims + "é", signature],
    ):  # fmt: skip
        with pytest.raises(MalformedError, match=r"x\.token"):
            parse_jwt(".".join(parts), area="x")


def test_sizes_are_bounded() -> None:
    with pytest.raises(MalformedError, match="too large"):
        parse_jwt("a" * (MAX_TOKEN + 1), area="x")
    with pytest.raises(MalformedError, match=r"x\.jwks"):
        read_jwks(b" " * (MAX_JWKS + 1), area="x")
    with pytest.raises(MalformedError, match=r"x\.jwks"):
        read_jwks(json.dumps({"keys": [{"kty": "oct"}] * 257}).encode(), area="x")


def _jwk(**changes: Any) -> dict[str, Any]:
    numbers = _EC.public_key().public_numbers()
    entry = {"kty": "EC", "crv": "P-256", "x": _b64(numbers.x.to_bytes(32, "big")),
             "y": _b64(numbers.y.to_bytes(32, "big"))}  # fmt: skip
    return {name: value for name, value in (entry | changes).items() if value is not ...}


@pytest.mark.parametrize("entry", [
    _jwk(kty="oct", k="c2VjcmV0"), _jwk(kty="OKP", crv="Ed25519"), _jwk(use="enc"), _jwk(crv="P-521"),
    _jwk(crv="secp256k1"), _jwk(kty=["EC"]), _jwk(kty={}), _jwk(crv=["P-256"]), _jwk(kty=...),
])  # fmt: skip
def test_keys_of_other_kinds_and_uses_are_passed_over(entry: dict[str, Any]) -> None:
    assert read_jwks(json.dumps({"keys": [entry]}).encode(), area="x") == ()


@pytest.mark.parametrize("entry", [
    _jwk(x=_b64(b"\1" * 32)), _jwk(x=_b64(b"\1" * 31)), _jwk(y=_b64(b"\0" + b"\1" * 32)), _jwk(x=...), _jwk(y=7),
    _jwk(x="!"), _jwk(kid=1), _jwk(alg=["ES256"]), 7, [], None,
    {"kty": "RSA", "n": _b64(b"\xff" * 128), "e": "AQAB"}, {"kty": "RSA", "n": _b64(b"\xff" * 256), "e": "AQ"},
    {"kty": "RSA", "n": _b64(b"\xff" * 256), "e": "Ag"}, {"kty": "RSA", "n": _b64(b"\xff" * 2048), "e": "AQAB"},
    {"kty": "RSA", "e": "AQAB"}, {"kty": "RSA", "x5c": []}, {"kty": "RSA", "x5c": ["!"]}, {"kty": "RSA", "x5c": [7]},
])  # fmt: skip
def test_a_key_of_a_known_kind_that_is_none_breaks_the_set(entry: Any) -> None:
    with pytest.raises(MalformedError):
        read_jwks(json.dumps({"keys": [entry]}).encode(), area="x")


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[],"keys":[]}', b"\xff"])
def test_what_is_no_key_set_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        read_jwks(raw, area="x")


def test_times_of_a_token() -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    now = int(at.timestamp())
    window = require_times({"iat": now, "exp": now + 60}, at=at, area="x")
    assert window.not_after == at + timedelta(seconds=60)
    for claims, code in [
        ({"iat": now, "exp": now}, "token-expired"), ({"iat": now + 61, "exp": now + 90}, "token-not-yet-valid"),
        ({"iat": now, "nbf": now + 61, "exp": now + 90}, "token-not-yet-valid"),
    ]:  # fmt: skip
        with pytest.raises(UnverifiedError, match=rf"x\.{code}"):
            require_times(claims, at=at, area="x")
    for claims in ({"iat": now}, {"exp": now + 1}, {"iat": True, "exp": now + 1}, {"iat": now, "exp": "later"},
                   {"iat": now, "exp": 10**20}, {"iat": now, "exp": None}):  # fmt: skip
        with pytest.raises(MalformedError, match=r"x\.token"):
            require_times(claims, at=at, area="x")
    since_ever = -62135596800  # the first second of the year 1, before which there is no time to reckon with
    assert require_times({"iat": since_ever, "exp": now + 1}, at=at, area="x").not_before.year == 1
