# ruff: noqa: INP001 - a folder of programs
"""First inputs of the readers of results, wrappers and reference files: one of each form, right to the byte."""

import json
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.cbor import Tagged, encode_cbor
from sealroom.policy.references.signing import sign_reference_values

_NOW = 1780272000
_UNDERSCORES: dict[str, Any] = {
    "eat_profile": "tag:ietf.org,2026:rats/ear#03", "iat": _NOW, "exp": _NOW + 300, "eat_nonce": ["0123456789abcdef"],
    "ear_verifier_id": {"developer": "d", "build": "b"}, "ear_status": "none", "ear_raw_evidence": "3q2-7w",
    "submods": {"cpu0": {"ear_status": "affirming", "ear_trustworthiness_vector": {"hardware": 2, "executables": 3},
                         "ear_appraisal_policy_ids": ["p"], "more": {"x": 1}}, "gpu0": {"ear_status": "none"}},
}  # fmt: skip
_DOTS: dict[str, Any] = {
    "eat_profile": "tag:github.com,2023:veraison/ear", "iat": _NOW,
    "ear.verifier-id": {"developer": "d", "build": "b"},
    "submods": {"t": {"ear.status": "warning", "ear.trustworthiness-vector": {"configuration": 36},
                      "ear.appraisal-policy-id": "p"}},
}  # fmt: skip
_INTEGERS: dict[Any, Any] = {
    265: "tag:ietf.org,2026:rats/ear#03", 6: _NOW, 10: b"12345678", 1002: b"raw", 1004: {0: "d", 1: "b"},
    266: {"PSA": {1000: 96, 1001: {0: 2, 2: 96}, 1003: ["p"], -70000: {"a": 1}}},
}  # fmt: skip
_RECORD = ["application/eat+jwt", "I0faVQ", 8]
_SOURCE = f"""\
name = "n"
publisher = "p"
for = "nitro"
serial = 1
until = 2030-01-01T00:00:00Z
[values]
pcr0 = ["{"01" * 48}"]
"""


def result_seeds() -> Iterator[tuple[str, bytes]]:
    """Target and input."""
    for claims in (_UNDERSCORES, _DOTS):
        yield "attestation-result", json.dumps(claims).encode()
    yield "attestation-result", encode_cbor(_INTEGERS)
    yield "message-wrapper", json.dumps(_RECORD).encode()
    yield "message-wrapper", json.dumps({"__cmwc_t": "urn:x", "a": {"b": _RECORD}}).encode()
    yield "message-wrapper", encode_cbor({0: [30001, b"x", 4], "b": Tagged(1668576818, b"y")})
    yield "message-wrapper", encode_cbor({0: ["#cmw-j2c-tunnel", json.dumps(_RECORD).encode()]})
    payload = {"version": 1, "name": "n", "iss": "p", "for": "nitro", "serial": 1, "iat": _NOW, "exp": _NOW + 1,
               "values": {"pcr0": ["01" * 48]}}  # fmt: skip
    yield "reference-file", sign_reference_values(payload, [ec.derive_private_key(7, ec.SECP256R1())])
    yield "reference-file", _SOURCE.encode()
