"""What each spelling calls each claim (draft-ietf-rats-ear section 4; EAT, RFC 9711 section 4; CWT, RFC 8392)."""

from collections.abc import Mapping

from sealroom.ear.model import Spelling

__all__ = ["NAMES", "VERIFIER_NAMES", "ClaimKey", "extension_key"]

ClaimKey = str | int

_SHARED: Mapping[str, ClaimKey] = {
    "profile": "eat_profile", "issued_at": "iat", "expires_at": "exp", "not_before": "nbf", "submodules": "submods",
    "nonce": "eat_nonce",
}  # fmt: skip

NAMES: Mapping[Spelling, Mapping[str, ClaimKey]] = {
    Spelling.UNDERSCORES: {
        **_SHARED,
        "status": "ear_status", "verifier": "ear_verifier_id", "raw_evidence": "ear_raw_evidence",
        "vector": "ear_trustworthiness_vector", "policy_ids": "ear_appraisal_policy_ids",
    },
    Spelling.DOTS: {
        **_SHARED,
        "status": "ear.status", "verifier": "ear.verifier-id", "raw_evidence": "ear.raw-evidence",
        "vector": "ear.trustworthiness-vector", "policy_ids": "ear.appraisal-policy-ids",
        "policy_id": "ear.appraisal-policy-id",
    },
    Spelling.INTEGERS: {
        "profile": 265, "issued_at": 6, "expires_at": 4, "not_before": 5, "submodules": 266, "nonce": 10,
        "status": 1000, "verifier": 1004, "raw_evidence": 1002, "vector": 1001, "policy_ids": 1003,
    },
}  # fmt: skip
"""Our word for each claim, and its key."""

VERIFIER_NAMES: Mapping[Spelling, Mapping[str, ClaimKey]] = {
    Spelling.UNDERSCORES: {"developer": "developer", "build": "build"},
    Spelling.DOTS: {"developer": "developer", "build": "build"},
    Spelling.INTEGERS: {"developer": 0, "build": 1},
}
"""The members of the verifier's identity."""

_EXTENSIONS: Mapping[str, Mapping[Spelling, ClaimKey]] = {
    "ear_veraison_annotated_evidence": {Spelling.DOTS: "ear.veraison.annotated-evidence", Spelling.INTEGERS: -70000},
    "ear_veraison_policy_claims": {Spelling.DOTS: "ear.veraison.policy-claims", Spelling.INTEGERS: -70001},
    "ear_veraison_key_attestation": {Spelling.DOTS: "ear.veraison.key-attestation", Spelling.INTEGERS: -70002},
    "iss": {Spelling.INTEGERS: 1},
    "sub": {Spelling.INTEGERS: 2},
    "aud": {Spelling.INTEGERS: 3},
}
"""Claims beyond the draft's own that have other names elsewhere: Veraison's extensions, and RFC 8392's."""


def extension_key(key: ClaimKey, spelling: Spelling) -> ClaimKey:
    """What ``spelling`` calls the extension that new results in JSON call ``key``."""
    return _EXTENSIONS.get(key, {}).get(spelling, key) if isinstance(key, str) else key
