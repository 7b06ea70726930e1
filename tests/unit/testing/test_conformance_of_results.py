"""Vectors of attestation results and wrappers, made here: each is as its verdict says, and none passes otherwise."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.cbor import Tagged, encode_cbor
from sealroom.testing.conformance import CaseResult, run_folder

_KEY, _OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
_AT, _NOW = "2026-06-01T00:00:00Z", 1780272000
_CLAIMS: dict[str, Any] = {
    "eat_profile": "tag:ietf.org,2026:rats/ear#04", "iat": _NOW, "exp": _NOW + 300, "iss": "https://v.example",
    "aud": "us", "eat_nonce": "YSBub25jZSBvZiBvdXJzIQ",
    "ear_verifier_id": {"developer": "https://v.example", "build": "1"},
    "submods": {"CCA Platform": {"ear_status": "affirming", "ear_trustworthiness_vector": {"hardware": 2}},
                "CCA Realm": {"ear_status": "warning", "ear_trustworthiness_vector": {"executables": 33}}},
}  # fmt: skip
_INTEGERS: dict[Any, Any] = {
    265: "tag:ietf.org,2026:rats/ear#03", 6: _NOW, 4: _NOW + 300, 10: b"a nonce of ours!",
    1004: {0: "https://v.example", 1: "1"},
    266: {"PSA": {1000: 0, 1001: {0: 2, 4: 2}, 1003: ["p"], 65000: {10: b"12345678"}}},
}  # fmt: skip


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signature(key: Any, signed: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _jwt(claims: Any = None, *, key: Any = _KEY, **header: Any) -> bytes:
    head = {"alg": "ES256", "typ": "JWT"} | header
    signed = f"{_b64(json.dumps(head).encode())}.{_b64(json.dumps(claims or _CLAIMS).encode())}".encode()
    return signed + b"." + _b64(_signature(key, signed)).encode()


def _cwt(claims: Any = None, *, key: Any = _KEY) -> bytes:
    head, payload = encode_cbor({1: -7}), encode_cbor(claims or _INTEGERS)
    return encode_cbor(
        Tagged(18, [head, {}, payload, _signature(key, encode_cbor(["Signature1", head, b"", payload]))])
    )


def _jwk(key: Any = _KEY, **more: str) -> bytes:
    numbers = key.public_key().public_numbers()
    x, y = (_b64(one.to_bytes(32, "big")) for one in (numbers.x, numbers.y))
    return json.dumps({"kty": "EC", "crv": "P-256", "x": x, "y": y, **more}).encode()


def _pem(key: Any = _KEY) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _run(folder: Path, kind: str, files: dict[str, bytes], expect: dict[str, Any], **more: Any) -> CaseResult:
    case = folder / "case"
    case.mkdir()
    for name, raw in files.items():
        (case / name).write_bytes(raw)
    document = {"id": "case", "kind": kind, "expect": expect, "files": dict.fromkeys(files, ""), **more}
    (case / "vector.json").write_text(json.dumps(document))
    (result,) = run_folder(folder)
    return result


_KEYED = {"key.jwk.json": _jwk()}
_SET = b'{"keys":[' + _jwk(_OTHER, kid="2") + b"," + _jwk(kid="1") + b"]}"
_TOKENS: list[tuple[dict[str, bytes], dict[str, Any], bool]] = [
    ({"token.jwt": _jwt(), **_KEYED}, {}, True),
    ({"token.jwt": _jwt(), "key.pem": _pem()}, {}, True),
    ({"token.jwt": _jwt(kid="1"), **_KEYED}, {}, True),
    ({"token.jwt": _jwt(kid="1"), "jwks.json": _SET}, {}, True),
    ({"token.jwt": _jwt(kid="3"), "jwks.json": _SET}, {}, False),
    ({"token.jwt": _jwt(key=_OTHER), **_KEYED}, {}, False),
    ({"token.jwt": _jwt(key=_OTHER, jwk=json.loads(_jwk(_OTHER))), **_KEYED}, {}, False),
    ({"token.jwt": _jwt(alg="none"), **_KEYED}, {}, False),
    ({"token.jwt": _jwt(alg="none")}, {}, False),
    ({"token.jwt": _jwt(alg="HS256"), **_KEYED}, {}, False),
    ({"token.jwt": _jwt(alg="ES384"), **_KEYED}, {}, False),
    ({"token.jwt": _jwt() + b".more", **_KEYED}, {}, False),
    ({"token.jwt": b"." + _jwt(), **_KEYED}, {}, False),
    ({"token.jwt": _jwt(crit=["exp"]), **_KEYED}, {}, False),
    ({"token.jwt": _jwt(_CLAIMS | {"exp": _NOW}), **_KEYED}, {}, False),
    ({"token.jwt": _jwt(_CLAIMS | {"iat": _NOW + 90}), **_KEYED}, {}, False),
    ({"token.jwt": _jwt(_CLAIMS | {"iat": float(_NOW)}), **_KEYED}, {}, False),
    ({"token.jwt": _jwt(_CLAIMS | {"eat_profile": "tag:example.com,2026:other"}), **_KEYED}, {}, False),
    ({"token.jwt": _jwt(_CLAIMS | {"ear_status": "affirming"}), **_KEYED}, {}, False),
    ({"token.jwt": _jwt(_CLAIMS | {"submods": {"gpu": ["JWT", "a.b.c"]}}), **_KEYED}, {}, False),
    ({"token.jwt": _jwt(_CLAIMS | {"vendor": {"x": 1}}), **_KEYED}, {}, True),
    ({"token.jwt": _jwt(), **_KEYED}, {"expected_nonce": b"a nonce of ours!".hex()}, True),
    ({"token.jwt": _jwt(_CLAIMS | {"eat_nonce": "00112233"}), **_KEYED}, {"expected_nonce": "00112233"}, True),
    ({"token.jwt": _jwt(), **_KEYED}, {"expected_nonce": b"another nonce!!!".hex()}, False),
    ({"token.jwt": _jwt(), **_KEYED}, {"policy": {"iss": "https://v.example", "aud": "us"}}, True),
    ({"token.jwt": _jwt(), **_KEYED}, {"policy": {"aud": "them"}}, False),
    ({"token.jwt": _jwt(), **_KEYED}, {"policy": {"iss": "https://w.example"}}, False),
    ({"token.jwt": _jwt(), **_KEYED}, {"policy": {"ear_status": "warning"}}, True),
    ({"token.jwt": _jwt(), **_KEYED}, {"policy": {"ear_status": "affirming"}}, False),
    ({"token.jwt": _jwt(), **_KEYED}, {"policy": {"submods": ["GPU"]}}, False),
]  # fmt: skip


@pytest.mark.parametrize(("files", "collateral", "accept"), _TOKENS)
def test_a_token_is_as_its_vector_says_and_never_as_the_opposite(
    tmp_path: Path, files: dict[str, bytes], collateral: dict[str, Any], accept: bool
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    right = _run(tmp_path / "a", "ear-jwt", files, {"accept": accept}, verify_at=_AT, collateral=collateral)
    wrong = _run(tmp_path / "b", "ear-jwt", files, {"accept": not accept}, verify_at=_AT, collateral=collateral)

    assert right.passed, right
    assert wrong.supported
    assert not wrong.passed


def test_what_a_vector_asks_and_nobody_here_knows_is_not_supported(tmp_path: Path) -> None:
    for number, (files, more) in enumerate([
        ({"token.jwt": _jwt()}, {}),
        ({"token.jwt": _jwt(), **_KEYED, "key.pem": _pem()}, {}),
        ({"token.jwt": _jwt(), **_KEYED}, {"collateral": {"policy": {"colour": "red"}}}),
        ({"token.jwt": _jwt(), **_KEYED}, {"collateral": {"policy": {"ear_status": "splendid"}}}),
        ({"token.jwt": _jwt(), "key.pem": b"none"}, {}),
    ]):  # fmt: skip
        (folder := tmp_path / str(number)).mkdir()
        result = _run(folder, "ear-jwt", files, {"accept": True}, verify_at=_AT, **more)
        assert (result.passed, result.supported) == (False, False), result


@pytest.mark.parametrize(
    ("expect", "passes"),
    [
        ({"submods": ["CCA Platform", "CCA Realm"]}, True),
        ({"submods": ["CCA Platform"]}, False),
        ({"statuses": {"CCA Platform": "affirming", "CCA Realm": "warning"}}, True),
        ({"vectors": {"CCA Platform": {"hardware": 2}, "CCA Realm": {"executables": 33}}}, True),
        ({"status": "warning because executables 33"}, True),
        ({"status": "warning because executables 34"}, False),
        ({"status": "affirming"}, False),
        ({"overall": "warning (32)"}, True),
        ({"overall": "warning (96)"}, False),
        ({"spelling": "underscores (ear_status), profile tag:ietf.org,2026:rats/ear#04"}, True),
        ({"spelling": "dots (ear.status)"}, False),
        ({"profile": "tag:ietf.org,2026:rats/ear#03"}, False),
    ],
)
def test_claims_are_compared_with_what_a_vector_expects(tmp_path: Path, expect: dict[str, Any], passes: bool) -> None:
    assert _run(tmp_path, "ear-claims", {"claims.json": json.dumps(_CLAIMS).encode()}, expect).passed is passes


@pytest.mark.parametrize(
    ("claims", "accept"),
    [
        (_INTEGERS, True),
        (_INTEGERS | {1000: 2}, False),
        (_INTEGERS | {266: {"PSA": {1000: 2, 1001: {4: 97}}}}, False),
        (_INTEGERS | {266: {"PSA": {1000: 2, 1001: {8: 2}}}}, False),
        (_INTEGERS | {266: {"PSA": b"nested"}}, False),
        (_INTEGERS | {"ear_status": "none"}, False),
        (_INTEGERS | {-70000: {"a": 1}, "a text": [1, 2]}, True),
    ],
)
def test_claims_in_cbor_and_signed_ones(tmp_path: Path, claims: dict[Any, Any], accept: bool) -> None:
    for number, (kind, files) in enumerate([
        ("ear-claims-cbor", {"claims.cbor": encode_cbor(claims), "claims.diag": b""}),
        ("ear-cwt", {"token.cwt": _cwt(claims), "key.pem": _pem()}),
    ]):  # fmt: skip
        (folder := tmp_path / str(number)).mkdir()
        result = _run(folder, kind, files, {"accept": accept}, verify_at=_AT)
        assert result.passed, result


def test_a_token_in_cbor_by_another_key_or_for_another_nonce_is_invalid(tmp_path: Path) -> None:
    for number, (files, collateral) in enumerate([
        ({"token.cwt": _cwt(key=_OTHER), "key.pem": _pem()}, {}),
        ({"token.cwt": _cwt(), "key.pem": _pem()}, {"expected_nonce": b"another nonce!!!".hex()}),
        ({"token.cwt": _cwt(_INTEGERS | {4: _NOW}), "key.pem": _pem()}, {}),
        ({"token.cwt": _cwt()[:-1], "key.pem": _pem()}, {}),
    ]):  # fmt: skip
        (folder := tmp_path / str(number)).mkdir()
        assert _run(folder, "ear-cwt", files, {"accept": False}, verify_at=_AT, collateral=collateral).passed


_RECORD = ["application/eat+jwt", "I0faVQ", 8]
_BYTES = bytes.fromhex("2347da55")
_COLLECTION = {"__cmwc_t": "tag:example.com,2024:composite", 0: [30001, _BYTES, 4], 1: Tagged(1668576935, _BYTES),
               "c": ["application/eat+jwt", _BYTES, 8]}  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "expect", "passes"),
    [
        (json.dumps(_RECORD).encode(), {"form": "json-record", "ind": "8 = bit 3 = attestation results"}, True),
        (json.dumps(_RECORD).encode(), {"form": "json-record", "ind": "8 = bit 2 = evidence"}, False),
        (json.dumps(_RECORD).encode(), {"type": "application/eat+jwt", "value_hex": "2347da55", "ind": 8}, True),
        (encode_cbor(["application/rim+cose", b"\xd2", 3]), {"form": "cbor-record", "ind": 3}, True),
        (encode_cbor(Tagged(1668576818, _BYTES)), {"tag": 1668576818, "content_format": 29884}, True),
        (encode_cbor(Tagged(60000, _BYTES)), {"accept": False}, True),
        (encode_cbor(_COLLECTION), {"form": "cbor-collection", "members": 3, "labels": [0, 1, "c"]}, True),
        (encode_cbor(_COLLECTION), {"forms": ["cbor-record", "cbor-tag", "cbor-record"]}, True),
        (encode_cbor(_COLLECTION), {"forms": ["cbor-record", "cbor-record", "cbor-record"]}, False),
        (json.dumps({"a": {"b": _RECORD}}).encode(), {"form": "json-collection", "members": 1, "ind": 8}, True),
        (json.dumps({"a": {"__cmwc_t": "1.2.3.4"}}).encode(), {"accept": False}, True),
        (json.dumps([*_RECORD[:2], 32]).encode(), {"accept": False}, True),
        (json.dumps([*_RECORD[:2], 0]).encode(), {"accept": False}, True),
        (json.dumps([30001, "I0faVQ"]).encode(), {"accept": False}, True),
        (json.dumps(_RECORD).encode(), {"accept": False}, False),
        (b"\x84\x01\x02\x03\x04", {"accept": False}, True),
    ],
)  # fmt: skip
def test_wrappers_are_as_their_vectors_say(tmp_path: Path, raw: bytes, expect: dict[str, Any], passes: bool) -> None:
    name = "cmw.json" if raw[:1] in b"[{" else "cmw.cbor"
    result = _run(tmp_path, "cmw", {name: raw}, expect)
    assert result.supported
    assert result.passed is passes, result
