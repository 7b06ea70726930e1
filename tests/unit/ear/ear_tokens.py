"""Results made by hand, in each spelling, to be changed by one test each."""

import base64
import copy
import json
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.jose import JwkKey, read_jwks

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
AT = datetime(2026, 6, 1, tzinfo=UTC)
NOW = int(AT.timestamp())

UNDERSCORES: dict[str, Any] = {
    "eat_profile": "tag:ietf.org,2026:rats/ear#03",
    "iat": NOW,
    "ear_verifier_id": {"developer": "https://verifier.example", "build": "v 1"},
    "submods": {
        "cpu0": {
            "ear_status": "affirming",
            "ear_trustworthiness_vector": {"hardware": 2, "executables": 3},
            "ear_appraisal_policy_ids": ["policy-1"],
        }
    },
}
DOTS: dict[str, Any] = {
    "eat_profile": "tag:github.com,2024:confidential-containers/Trustee",
    "iat": NOW,
    "ear.verifier-id": {"developer": "https://verifier.example", "build": "v 1"},
    "submods": {
        "cpu0": {
            "ear.status": "affirming",
            "ear.trustworthiness-vector": {"hardware": 2, "executables": 3, "configuration": 0},
            "ear.appraisal-policy-id": "policy-1",
        }
    },
}
INTEGERS: dict[Any, Any] = {
    265: "tag:ietf.org,2026:rats/ear#03",
    6: NOW,
    1004: {0: "https://verifier.example", 1: "v 1"},
    266: {"cpu0": {1000: 2, 1001: {4: 2, 2: 3}, 1003: ["policy-1"]}},
}
ALL = (UNDERSCORES, DOTS, INTEGERS)


def changed(claims: dict[Any, Any], *path: Any, to: Any) -> dict[Any, Any]:
    """A copy with one value changed; `...` takes it away."""
    copied = copy.deepcopy(claims)
    inner = copied
    for step in path[:-1]:
        inner = inner[step]
    if to is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return copied


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(claims: Any, *, header: dict[str, Any] | None = None, key: Any = KEY) -> str:
    head = {"alg": "ES256", "typ": "JWT"} | (header or {})
    signed = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def jwk(key: Any, **more: str) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    size = (key.curve.key_size + 7) // 8
    return {"kty": "EC", "crv": f"P-{key.curve.key_size}", "x": b64(numbers.x.to_bytes(size, "big")),
            "y": b64(numbers.y.to_bytes(size, "big")), **more}  # fmt: skip


def keys(*several: Any) -> tuple[JwkKey, ...]:
    return read_jwks(json.dumps({"keys": [jwk(key) for key in several or (KEY,)]}).encode(), area="ear")
