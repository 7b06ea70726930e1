"""Our JWE against another implementation, both ways, and against whoever changes it."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto import jwe as jwcrypto_jwe
from jwcrypto.jwk import JWK

from sealroom.errors import MalformedError, RefusedError, SealroomError, UnverifiedError
from sealroom.kbs.json_text import JsonObject, b64url_decode, b64url_encode
from sealroom.kbs.jwe import PrivateKey, open_jwe, seal_jwe
from sealroom.kbs.tee_key import TeeKey, ec_jwk, parse_tee_key

_RSA = rsa.generate_private_key(65537, 2048)
_PRIVATE: dict[str, PrivateKey] = {
    "P-256": ec.generate_private_key(ec.SECP256R1()), "P-521": ec.generate_private_key(ec.SECP521R1()), "RSA": _RSA,
}  # fmt: skip


def _tee_key(private: PrivateKey) -> TeeKey:
    alg = "RSA-OAEP-256" if isinstance(private, rsa.RSAPrivateKey) else "ECDH-ES+A256KW"
    return TeeKey(alg=alg, public=private.public_key())


@pytest.mark.parametrize("kind", _PRIVATE)
@pytest.mark.parametrize("size", [1, 32, 100_000])
def test_jwcrypto_opens_what_we_seal(kind: str, size: int) -> None:
    answer = jwcrypto_jwe.JWE()
    answer.deserialize(seal_jwe(_tee_key(_PRIVATE[kind]), bytes(size)).decode(), JWK.from_pyca(_PRIVATE[kind]))
    assert answer.payload == bytes(size)


@pytest.mark.parametrize("kind", _PRIVATE)
def test_we_open_what_jwcrypto_seals(kind: str) -> None:
    header = {"alg": _tee_key(_PRIVATE[kind]).alg, "enc": "A256GCM"}
    sealed = jwcrypto_jwe.JWE(b"a key", json.dumps(header))
    sealed.add_recipient(JWK.from_pyca(_PRIVATE[kind].public_key()))
    names = ("protected", "encrypted_key", "iv", "ciphertext", "tag")
    flattened = dict(zip(names, sealed.serialize(compact=True).split("."), strict=True))
    assert open_jwe(_PRIVATE[kind], json.dumps(flattened).encode()) == b"a key"


def test_the_header_is_what_a_stock_client_writes_again() -> None:
    answer = json.loads(seal_jwe(_tee_key(_PRIVATE["P-256"]), b"x"))
    assert list(answer) == ["protected", "encrypted_key", "iv", "ciphertext", "tag"]
    text = b64url_decode(answer["protected"], what="protected").decode()
    parsed = json.loads(text)
    again = {"alg": parsed["alg"], "enc": parsed["enc"], "epk": dict(sorted(parsed["epk"].items()))}
    assert json.dumps(again, separators=(",", ":")) == text
    assert text.startswith('{"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":{"crv":"P-256","kty":"EC","x":"')


def test_two_answers_share_nothing() -> None:
    one, other = (json.loads(seal_jwe(_tee_key(_PRIVATE["P-256"]), b"x")) for _ in range(2))
    assert all(one[part] != other[part] for part in one)


def test_an_answer_for_another_key_does_not_open() -> None:
    with pytest.raises(UnverifiedError, match=r"kbs\.jwe"):
        open_jwe(ec.generate_private_key(ec.SECP256R1()), seal_jwe(_tee_key(_PRIVATE["P-256"]), b"x"))


@settings(max_examples=200, deadline=None)
@given(where=st.sampled_from(["encrypted_key", "iv", "ciphertext", "tag", "protected"]), bit=st.integers(0, 10_000))
def test_any_bit_changed_is_noticed(where: str, bit: int) -> None:
    answer = json.loads(seal_jwe(_tee_key(_PRIVATE["P-256"]), b"thirty-two bytes of a model key!"))
    raw = bytearray(b64url_decode(answer[where], what=where))
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    answer[where] = b64url_encode(bytes(raw))
    with pytest.raises(SealroomError):
        open_jwe(_PRIVATE["P-256"], json.dumps(answer).encode())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_noise_is_refused_as_malformed(noise: bytes) -> None:
    with pytest.raises(MalformedError):
        open_jwe(_PRIVATE["P-256"], noise)


@pytest.mark.parametrize(
    "change", [{"alg": "ECDH-ES"}, {"enc": "A128GCM"}, {"zip": "DEF"}, {"crit": ["x"]}, {"epk": {"kty": "OKP"}}]
)
def test_headers_that_ask_for_something_else_are_refused(change: JsonObject) -> None:
    answer = json.loads(seal_jwe(_tee_key(_PRIVATE["P-256"]), b"x"))
    header = json.loads(b64url_decode(answer["protected"], what="protected")) | change
    answer["protected"] = b64url_encode(json.dumps(header).encode())
    with pytest.raises(SealroomError):
        open_jwe(_PRIVATE["P-256"], json.dumps(answer).encode())


def _jwk(**changes: object) -> JsonObject:
    private = _PRIVATE["P-256"]
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return {**ec_jwk(private.public_key(), alg="ECDH-ES+A256KW"), **changes}  # type: ignore[dict-item]


def test_short_coordinates_of_old_clients_are_padded() -> None:
    while True:
        private = ec.generate_private_key(ec.SECP256R1())
        jwk = ec_jwk(private.public_key(), alg="ECDH-ES+A256KW")
        x = b64url_decode(str(jwk["x"]), what="x")
        if x[0] == 0:
            break
    jwk["x"] = b64url_encode(x.lstrip(b"\x00"))
    assert parse_tee_key(jwk).public == private.public_key()


@pytest.mark.parametrize(
    "jwk",
    [
        _jwk(alg="RSA1_5"), _jwk(alg="ECDH-ES"), _jwk(crv="P-384"), _jwk(crv="secp256k1"), _jwk(kty="OKP"),
        {"kty": "AKP", "alg": "ML-KEM-768+A192KW", "pub": "AA"},
        {"kty": "RSA", "alg": "RSA1_5", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "alg": "RSA-OAEP-256", "n": b64url_encode(b"\xff" * 128), "e": "AQAB"},
        {"kty": "RSA", "alg": "RSA-OAEP-256", "n": b64url_encode(b"\xff" * 256), "e": "Aw"}, {},
    ],
)  # fmt: skip
def test_keys_of_other_kinds_are_refused(jwk: JsonObject) -> None:
    with pytest.raises(RefusedError, match=r"kbs\.tee-key-algorithm"):
        parse_tee_key(jwk)


@pytest.mark.parametrize(
    "jwk", [_jwk(d="AA"), _jwk(kid="x"), _jwk(x="AA"), _jwk(x=1), _jwk(x="="), _jwk(x=b64url_encode(bytes(33)))]
)
def test_keys_that_are_none_are_malformed(jwk: JsonObject) -> None:
    with pytest.raises(MalformedError):
        parse_tee_key(jwk)
