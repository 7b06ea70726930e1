"""What a verifier of tokens of Azure's service has to get right, each by name (gpu-cloud section 4)."""

import dataclasses
import json
from typing import Any

import pytest
from azure_judged import TOKENS, code_of, judged

from sealroom.evidence import Tee, TrustRoots
from sealroom.jose import read_jwks
from sealroom.policy import Subject, appraise, load_policy
from sealroom.tees import azure_vtpm
from sealroom.testing.azure_cases import AT
from sealroom.testing.azure_maa import SimulatedMaa, certified, guest_claims, runtime_claims
from sealroom.testing.azure_maa_cases import USER_DATA
from sealroom.testing.tokens import TokenSigner

OTHER_DATA = bytes(64)


def policy_for(lines: str = ""):
    text = f"""
policy = 1
name = "t"
[unchecked]
init_data = "not here"
model = "not here"
engine = "not here"
freshness = "not here"
report_data = "not here"
measurement = "a token has no registers"
[trust]
tees = ["azure-vtpm"]
insecure_simulated = ["sha256:{TOKENS.maa.signer.fingerprint.hex()}"]
[azure-vtpm]
kind = ["maa"]
issuer = ["{TOKENS.maa.issuer}"]
{lines}
"""
    return load_policy(text, source="t")


def codes(case, lines: str = "") -> list[str]:
    verdict = appraise(policy_for(lines), judged(case), at=AT,
                       subject=Subject.evidence_alone(expected_report_data=None))  # fmt: skip
    return [check.code for check in verdict.failures]


def test_a_token_says_what_the_hardware_measured_under_its_own_names():
    claims = judged(TOKENS.case("", tee=Tee.SNP))
    assert claims.measurements["measurement"] == b"\x22" * 48
    assert claims.measurements["id_key_digest"] == b"\x55" * 48
    assert (claims.report_data, claims.signer, claims.tcb_status) == (USER_DATA, "MAA", None)
    said = {"issuer": TOKENS.maa.issuer, "attestation_type": "sevsnpvm", "compliance": "azure-compliant-cvm",
            "vmpl": 0, "secure_boot": 1, "vm_unique_id": "26F8BC30-774E-4290-8E7A-535F3B672AEE"}  # fmt: skip
    assert said.items() <= dict(claims.details).items()
    assert claims.root == TOKENS.maa.signer.fingerprint
    tdx = judged(TOKENS.case(""))
    assert (tdx.measurements["mr_td"], tdx.tcb_status) == (b"\x22" * 48, "UpToDate")


def test_a_token_without_runtime_data_binds_nothing_of_ours():
    """The report data is the paravisor's hash, and no value of the caller's."""
    claims = judged(TOKENS.case("", raw=TOKENS.maa.token(Tee.TDX, AT)))
    assert claims.report_data == b""
    assert claims.measurements["report_data"] == b"\x33" * 32 + bytes(32)


def test_two_runtime_data_that_differ_bind_nothing():
    inside = {"x-ms-attestation-type": "azurevm", "x-ms-isolation-tee": guest_claims(Tee.SNP, USER_DATA)}
    for outside, bound in ((USER_DATA, USER_DATA), (OTHER_DATA, b"")):
        raw = TOKENS.maa.sign({**TOKENS.maa.own_claims(AT), **inside, "x-ms-runtime": runtime_claims(outside)})
        assert judged(TOKENS.case("", raw=raw)).report_data == bound


def test_user_data_is_taken_in_either_case_of_its_letters():
    for spell in (str.upper, str.lower):
        runtime = {"user-data": spell(USER_DATA.hex())}
        assert judged(TOKENS.case("", x_ms_runtime=runtime)).report_data == USER_DATA


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, None),
        ({"tee": Tee.SNP}, None),
        ({"tdx_td_attributes_debug": True}, "azure-vtpm.debug"),
        ({"x_ms_compliance_status": "none"}, "azure-vtpm.not-compliant"),
        ({"attester_tcb_status": "OutOfDate"}, "azure-vtpm.tcb-not-current"),
        ({"x_ms_attestation_type": "sgx"}, "azure-vtpm.no-confidential-vm"),
        ({"secureboot": False}, "azure-vtpm.secure-boot-off"),
    ],
)
def test_a_policy_that_takes_tokens_refuses_what_they_say_is_weak(options: dict[str, Any], code: str | None):
    assert codes(TOKENS.case("", **options)) == ([] if code is None else [code])


def test_a_policy_names_the_issuer_since_others_have_providers_with_the_same_key():
    assert codes(TOKENS.case("")) == []
    other = dataclasses.replace(TOKENS, maa=dataclasses.replace(TOKENS.maa, issuer="https://b.neu.attest.azure.net"))
    assert codes(other.case("")) == ["azure-vtpm.issuer-not-accepted"]


def test_nothing_lets_a_token_about_an_enclave_pass():
    allowed = 'allow = ["not_compliant", "debug", "secure_boot_off", "outdated_tcb"]'
    assert codes(TOKENS.case("", x_ms_attestation_type="sgx"), allowed) == ["azure-vtpm.no-confidential-vm"]
    assert codes(TOKENS.case("", attester_tcb_status="OutOfDate"), allowed) == []


def test_a_key_counts_if_it_is_named_and_is_simulated_only_under_that_name():
    case = TOKENS.case("")
    named = TrustRoots(token_signers=case.roots)
    verified = azure_vtpm.verify(azure_vtpm.parse(case.raw), roots=named, collateral=case.collateral, at=AT)
    assert (verified.simulated, verified.root) == (False, TOKENS.maa.signer.fingerprint)
    assert code_of(dataclasses.replace(case, roots=frozenset())) == "azure-vtpm.unknown-signer"


def test_a_key_set_of_the_service_is_read_with_certificates_of_30_kilobytes():
    """The certificates are made anew often while the key stays: the key is what is named."""
    first, again = (certified(TOKENS.maa.signer) for _ in range(2))
    assert first != again
    entry = json.loads(first)["keys"][0]
    assert len(entry["x5c"][0]) > 29_000
    assert "n" not in entry
    (one,), (other,) = (read_jwks(raw, area="azure-vtpm") for raw in (first, again))
    assert one.spki_sha256 == other.spki_sha256 == TOKENS.maa.signer.fingerprint


def test_a_window_is_the_tokens_own():
    case = TOKENS.case("")
    claims = judged(case)
    assert claims.validity.not_before == AT
    assert (claims.validity.not_after - AT).total_seconds() == 8 * 3600


def test_a_set_of_many_keys_is_searched_by_name():
    signers = [TokenSigner(kid=f"{index}", key=TOKENS.other.key) for index in range(40)]
    jwks = json.dumps({"keys": [signer.jwk() for signer in (*signers, TOKENS.maa.signer)]}).encode()
    assert judged(TOKENS.case("", jwks=jwks)).root == TOKENS.maa.signer.fingerprint


def test_a_provider_has_a_name_of_its_own():
    assert SimulatedMaa().issuer.endswith(".attest.azure.net")
