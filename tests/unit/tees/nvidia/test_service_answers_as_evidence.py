"""What NVIDIA's service says of one device is evidence like a report, for whoever names the service's key."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from sealroom.binding import carried
from sealroom.errors import SealroomError
from sealroom.evidence import Claims, Collateral, Tee, TrustRoots
from sealroom.policy import Subject, appraise, load_policy
from sealroom.tees.nvidia.claims import SAMPLE_NONCE
from sealroom.tees.nvidia.nras import verify_nras
from sealroom.tees.recognise import recognise
from sealroom.tees.registry import for_tee
from sealroom.testing.nras import SimulatedNras, bundle, device_claims, overall_claims
from sealroom.testing.nvidia_cases import AT

_NONCE = carried(Tee.NVIDIA, bytes(64))
_HOLD = {"x-nvidia-cert-status": "invalid", "x-nvidia-cert-ocsp-status": "revoked",
         "x-nvidia-cert-revocation-reason": "certificate_hold"}  # fmt: skip
_UNASKED = {"x-nvidia-cert-status": "valid", "x-nvidia-cert-revocation-reason": None}
_REPORT_CHAIN = "x-nvidia-gpu-attestation-report-cert-chain"


@pytest.fixture(scope="module")
def service() -> SimulatedNras:
    return SimulatedNras()


def _claims(service: SimulatedNras, raw: bytes, roots: TrustRoots | None = None) -> Claims:
    verifier = for_tee(Tee.NVIDIA)
    roots = roots or TrustRoots(token_signers=frozenset({service.spki_sha256}))
    collateral = Collateral(items={"jwks": service.jwks})
    return verifier.claims(verifier.verify(verifier.parse(raw), roots=roots, at=AT, collateral=collateral))


def test_an_answer_says_what_a_report_says(service: SimulatedNras) -> None:
    raw = service.answer(_NONCE, AT)
    claims = _claims(service, raw)

    assert recognise(raw) is Tee.NVIDIA
    assert (claims.signer, claims.report_data, claims.root) == ("NRAS", _NONCE, service.spki_sha256)
    assert (claims.flags, claims.simulated, claims.debug) == (frozenset(), False, False)
    assert claims.details["architecture"] == "hopper"
    assert claims.details["driver_version"] == "550.90.07"
    assert claims.device_id is not None
    assert str(int.from_bytes(claims.device_id, "big")) == claims.details["ueid"]


def test_a_key_that_nobody_named_is_no_key(service: SimulatedNras) -> None:
    with pytest.raises(SealroomError, match=r"nvidia\.unknown-key"):
        _claims(service, service.answer(_NONCE, AT), TrustRoots())
    named = TrustRoots(insecure_simulated=frozenset({service.spki_sha256}))
    assert _claims(service, service.answer(_NONCE, AT), named).simulated


@pytest.mark.parametrize("devices", [{"GPU-0": {}, "GPU-1": {}}, {"GPU-0": {}, "SWITCH-0": {}}])
def test_an_answer_about_several_devices_is_for_none(service: SimulatedNras, devices: Mapping[str, Any]) -> None:
    with pytest.raises(SealroomError, match=r"nvidia\.nras-several"):
        _claims(service, service.answer(_NONCE, AT, devices=devices))


@pytest.mark.parametrize(
    ("changes", "nonce", "flags"),
    [
        ({"dbgstat": "enabled"}, _NONCE, {"devtools"}),
        ({"dbgstat": ...}, _NONCE, {"devtools"}),
        ({"secboot": False}, _NONCE, {"devtools"}),
        ({_REPORT_CHAIN: _HOLD}, _NONCE, {"certificate_hold"}),
        ({_REPORT_CHAIN: _UNASKED}, _NONCE, {"revocation_not_checked"}),
        ({}, SAMPLE_NONCE, {"sample_nonce"}),
    ],
)
def test_what_weakens_an_answer_is_told(
    service: SimulatedNras, changes: Mapping[str, Any], nonce: bytes, flags: set[str]
) -> None:
    claims = _claims(service, service.answer(nonce, AT, devices={"GPU-0": changes}))

    assert claims.flags == flags
    assert claims.debug is ("devtools" in flags)


def test_a_policy_takes_an_answer_as_it_takes_a_report(service: SimulatedNras) -> None:
    document = f"""
policy = 1
name = "answers"
[trust]
tees = ["nvidia"]
token_signers = ["sha256:{service.spki_sha256.hex()}"]
[nvidia]
minimum_driver = "%s"
[unchecked]
freshness = "a test"
"""
    claims = _claims(service, service.answer(_NONCE, AT))
    subject = Subject.evidence_alone(expected_report_data=_NONCE)

    taken = appraise(load_policy(document % "550", source="x"), claims, subject=subject, at=AT)
    refused = appraise(load_policy(document % "570", source="x"), claims, subject=subject, at=AT)

    assert taken.accepted, taken.failures
    assert [check.code for check in refused.failures] == ["nvidia.driver-below-minimum"]


_BROKEN = {"x-nvidia-cert-status": "invalid", "x-nvidia-cert-ocsp-status": "good",
           "x-nvidia-cert-revocation-reason": None}  # fmt: skip
_REVOKED = {"x-nvidia-cert-status": "valid", "x-nvidia-cert-ocsp-status": "revoked",
            "x-nvidia-cert-revocation-reason": None}  # fmt: skip
_WITHDRAWN = {"x-nvidia-cert-status": "valid", "x-nvidia-cert-revocation-reason": "key_compromise"}
_FAILED: dict[str, tuple[dict[str, Any], str]] = {
    "measurements that differ": ({"measres": "fail"}, "nras-measurements"),
    "measurements in a truth value": ({"measres": True}, "nras-measurements"),
    "no word on measurements": ({"measres": ...}, "nras-measurements"),
    "a check that failed": ({"x-nvidia-gpu-vbios-rim-signature-verified": False}, "nras-check"),
    "a check whose result is a word": ({"x-nvidia-gpu-driver-rim-fetched": "true"}, "nras-check"),
    "a check that was left out": ({"x-nvidia-gpu-vbios-rim-version-match": None}, "nras-check"),
    "no word on the nonce": ({"x-nvidia-gpu-attestation-report-nonce-match": ...}, "nras-check"),
    "no word on the signature": ({"x-nvidia-gpu-attestation-report-signature-verified": ...}, "nras-check"),
    "another architecture": ({"x-nvidia-gpu-arch-check": False}, "nras-check"),
    "an architecture that is a word": ({"x-nvidia-gpu-arch-check": "false"}, "nras-check"),
    "a chain that is not valid": ({_REPORT_CHAIN: _BROKEN}, "nras-certificate"),
    "a chain that a responder calls revoked": ({_REPORT_CHAIN: _REVOKED}, "nras-certificate"),
    "a chain withdrawn for a reason": ({_REPORT_CHAIN: _WITHDRAWN}, "nras-certificate"),
    "a chain that is no object": ({_REPORT_CHAIN: "valid"}, "nras"),
    "no serial number": ({"ueid": ...}, "nras"),
    "another issuer": ({"iss": "https://nras.invalid"}, "nras-issuer"),
    "over": ({"exp": int(AT.timestamp()) - 1}, "token-expired"),
    "another nonce than the whole": ({"eat_nonce": "00" * 32}, "nras-nonce"),
}  # fmt: skip


@pytest.mark.parametrize("name", _FAILED)
def test_what_the_service_says_of_a_device_counts_only_where_all_of_it_is_in_order(
    service: SimulatedNras, name: str
) -> None:
    changes, code = _FAILED[name]

    with pytest.raises(SealroomError) as refused:
        _claims(service, service.answer(_NONCE, AT, devices={"GPU-0": changes}))
    assert refused.value.code == f"nvidia.{code}"


@pytest.mark.parametrize("result", [False, None, "true", 1, ...])
def test_the_whole_has_to_be_in_order_and_said_to_be(service: SimulatedNras, result: object) -> None:
    with pytest.raises(SealroomError, match=r"nvidia\.nras-result"):
        _claims(service, service.answer(_NONCE, AT, overall={"x-nvidia-overall-att-result": result}))


def test_one_device_under_two_names_is_not_two(service: SimulatedNras) -> None:
    twice = service.answer(_NONCE, AT, devices={"GPU-0": {"ueid": "17"}, "GPU-1": {"ueid": "17"}})
    roots = TrustRoots(token_signers=frozenset({service.spki_sha256}))

    with pytest.raises(SealroomError, match=r"nvidia\.nras-device-twice"):
        verify_nras(twice, jwks=service.jwks, roots=roots, nonce=_NONCE, at=AT)


def test_each_token_is_signed_by_a_key_that_counts(service: SimulatedNras) -> None:
    """The overall token names the digest of the device's; a key that signed only the first would vouch for both."""
    stranger = replace(SimulatedNras(), kid="another")
    device = stranger.sign(device_claims("GPU-0", _NONCE, AT))
    raw = bundle(service.sign(overall_claims({"GPU-0": device}, _NONCE, AT)), {"GPU-0": device})
    keys = {"keys": [key for one in (service, stranger) for key in json.loads(one.jwks)["keys"]]}
    collateral, verifier = Collateral(items={"jwks": json.dumps(keys).encode()}), for_tee(Tee.NVIDIA)

    def judged(roots: TrustRoots) -> Claims:
        return verifier.claims(verifier.verify(verifier.parse(raw), roots=roots, at=AT, collateral=collateral))

    with pytest.raises(SealroomError, match=r"nvidia\.unknown-key"):
        judged(TrustRoots(token_signers=frozenset({service.spki_sha256})))
    mixed = TrustRoots(token_signers=frozenset({service.spki_sha256}),
                       insecure_simulated=frozenset({stranger.spki_sha256}))  # fmt: skip
    assert judged(mixed).simulated
