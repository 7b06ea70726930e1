"""Our appraisal as a result: which check speaks for which member, and what comes back after a round trip."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from ear_tokens import AT, keys

from sealroom.ear import (
    Consumer,
    Tier,
    Wanted,
    claims_for,
    ear_of,
    issue_cwt,
    issue_jwt,
    read_claims_json,
    read_ear_cwt,
    read_ear_jwt,
)
from sealroom.errors import MisuseError
from sealroom.evidence import APPRAISED, CLAIMED, Check, Tee
from sealroom.policy import Subject, appraise, default_policy
from sealroom.testing.attested import SimulatedRoom

KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def simulated():
    return SimulatedRoom().release_key(b"{}", at=AT).appraisal


@pytest.fixture(scope="module")
def real(simulated):
    """The same verdict as it would be on silicon."""
    return changed(simulated, simulated=False)


def changed(appraisal, *, checks=None, devices=(), **claims):
    new = replace(appraisal.claims, warrant=CLAIMED, **claims)
    return replace(appraisal, warrant=APPRAISED, claims=new, devices=tuple(devices), simulated=new.simulated,
                   checks=appraisal.checks if checks is None else tuple(checks))  # fmt: skip


def failing(appraisal, name):
    found = [replace(check, passed=False) if check.name == name else check for check in appraisal.checks]
    assert found != list(appraisal.checks), f"no check is called {name}"
    return changed(appraisal, checks=found)


def a_check(name, *, passed=True):
    return Check(name=name, got="x", wanted="x", passed=passed, source="default", code=name, fix="")


def cpu(appraisal, **options):
    return ear_of(appraisal, issued_at=AT, **options).submodule("cpu0")


def test_real_silicon_that_a_policy_accepts_is_affirmed(real):
    result = ear_of(real, issued_at=AT)
    assert real.accepted
    assert result.status is Tier.AFFIRMING
    assert result.submodule("cpu0").vector.members() == {
        "instance-identity": 2, "configuration": 2, "executables": 3, "hardware": 2, "runtime-opaque": 2}  # fmt: skip


def test_simulated_silicon_is_contraindicated_though_a_policy_accepts_it(simulated):
    assert simulated.accepted
    assert cpu(simulated).status is Tier.CONTRAINDICATED
    assert cpu(simulated).vector.hardware == 96
    assert cpu(simulated).vector.runtime_opaque == 0
    assert cpu(simulated).extensions["sealroom_simulated"] is True


def test_a_machine_in_debug_mode_is_contraindicated_though_a_policy_accepts_it(real):
    found = cpu(changed(real, debug=True))
    assert (found.vector.hardware, found.vector.runtime_opaque, found.status) == (96, 96, Tier.CONTRAINDICATED)


@pytest.mark.parametrize(
    ("check", "member", "value"),
    [("trust.root", "hardware", 97), ("snp.tcb.reported", "hardware", 32), ("snp.debug", "hardware", 96),
     ("snp.other-flags", "hardware", 96), ("snp.measurement", "executables", 33), ("snp.vmpl", "configuration", 32),
     ("snp.chip-id", "instance_identity", 97), ("binding.report-data", "instance_identity", 96),
     ("freshness", "instance_identity", 96), ("snp.revocation-list", "hardware", 32)],
)  # fmt: skip
def test_a_check_that_failed_speaks_through_its_member_and_the_result_is_contraindicated(real, check, member, value):
    refused = failing(real, check)
    found = cpu(refused)
    assert getattr(found.vector, member) == value
    assert found.status is Tier.CONTRAINDICATED
    assert found.extensions["sealroom_refusals"]
    assert ear_of(refused, issued_at=AT).status is Tier.CONTRAINDICATED


def test_what_a_policy_leaves_open_claims_nothing(real):
    opened = [replace(check, code="policy.unchecked") if check.name == "snp.measurement" else check
              for check in real.checks]  # fmt: skip
    assert cpu(changed(real, checks=opened)).vector.executables == 0


SILENT = {
    Tee.SNP: {"details": {"vmpl": 0}, "hardware_model": "Genoa", "signer": "VCEK"},
    Tee.TDX: {"details": {"qe_status": "UpToDate"}, "tcb_status": "UpToDate"},
    Tee.SGX: {"details": {"qe_status": "UpToDate"}, "tcb_status": "UpToDate"},
    Tee.NITRO: {"details": {"document": "enclave", "timestamp_ms": int(AT.timestamp() * 1000)}},
    Tee.AZURE_VTPM: {"details": {"pcr_bank": "sha256", "event_log": "none"}},
    Tee.GCP: {"details": {"pcr_bank": "sha256", "event_log": "none"}},
}


@pytest.mark.parametrize("tee", SILENT)
def test_under_a_policy_that_knows_no_software_nobody_says_that_it_is_approved(real, tee):
    found = replace(
        real.claims, warrant=CLAIMED, **({"tee": tee, "flags": frozenset(), "measurements": {}} | SILENT[tee])
    )
    verdict = appraise(default_policy(), found, subject=Subject.evidence_alone(expected_report_data=None), at=AT)
    result = ear_of(verdict, issued_at=AT)
    assert [one.vector.executables for one in result.submodules] == [0]
    assert result.submodules[0].vector.hardware in {2, 32}


def test_a_check_that_takes_every_answer_claims_nothing(real):
    for name in ("gpu0.reference-values", "snp.smt", "azure-vtpm.event-log"):
        any_answer = replace(a_check(name), wanted="either")
        assert cpu(changed(real, checks=[any_answer])).vector.members() == {"runtime-opaque": 2}


def test_no_check_at_all_is_no_acceptance(real):
    assert cpu(changed(real, checks=())).status is Tier.CONTRAINDICATED


def test_an_engine_and_a_model_that_are_checked_say_more(real):
    found = cpu(changed(real, checks=[*real.checks, a_check("engine.config-digest"), a_check("model.digest")]))
    assert (found.vector.executables, found.vector.file_system) == (2, 2)
    bad = cpu(changed(real, checks=[*real.checks, a_check("model.digest", passed=False)]))
    assert bad.vector.file_system == 96


def test_each_device_is_an_attester_of_its_own(real):
    gpu = replace(real.claims, warrant=CLAIMED, tee=Tee.NVIDIA, details={"kind": "gpu"})
    switch = replace(gpu, warrant=CLAIMED, details={"kind": "switch"})
    checks = [*real.checks, a_check("nvidia.driver-version"), a_check("gpu1.measurements", passed=False)]
    result = ear_of(changed(real, checks=checks, devices=[gpu, gpu, switch]), issued_at=AT)
    assert [one.label for one in result.submodules] == ["cpu0", "gpu0", "gpu1", "switch0"]
    assert result.submodule("gpu0").vector.members() == {"hardware": 2}
    assert result.submodule("gpu1").vector.members() == {"hardware": 2, "executables": 33}
    assert result.submodule("gpu1").status is Tier.CONTRAINDICATED
    assert result.submodule("cpu0").status is Tier.AFFIRMING
    assert result.status is Tier.CONTRAINDICATED


@pytest.mark.parametrize("name", ["model", "model-images", "tcb", "measurement", "engine", "debug"])
def test_the_name_that_a_policy_gives_to_a_file_affirms_nothing(real, name):
    before, after = cpu(real).vector, cpu(changed(real, checks=[*real.checks, a_check(f"references.{name}")])).vector
    assert before == after
    refused = cpu(changed(real, checks=[*real.checks, a_check(f"references.{name}", passed=False)]))
    assert refused.vector.configuration == 32
    assert refused.status is Tier.CONTRAINDICATED


def test_a_device_under_a_root_that_does_not_count_is_no_genuine_hardware(real):
    gpu = replace(real.claims, warrant=CLAIMED, tee=Tee.NVIDIA, details={"kind": "gpu"})
    for check in ("gpu0.root", "gpu0.window"):
        checks = [*real.checks, a_check(check, passed=False)]
        found = ear_of(changed(real, checks=checks, devices=[gpu]), issued_at=AT).submodule("gpu0")
        assert found.vector.hardware == 97


def test_the_silicon_below_a_cloud_s_wrapper_is_its_own_attester(real):
    outer = changed(real, tee=Tee.AZURE_VTPM, inner=replace(real.claims, warrant=CLAIMED))
    result = ear_of(changed(outer, checks=[*real.checks, a_check("azure-vtpm.pcr11")]), issued_at=AT)
    assert [one.label for one in result.submodules] == ["vtpm0", "cpu0"]
    assert result.submodule("vtpm0").vector.members() == {"instance-identity": 2, "executables": 3, "hardware": 2}
    assert result.submodule("cpu0").vector.executables == 3


def test_a_failure_that_is_nobody_s_is_not_lost(real):
    result = ear_of(changed(real, checks=[*real.checks, a_check("novelty.thing", passed=False)]), issued_at=AT)
    assert result.status is Tier.CONTRAINDICATED


def test_a_result_never_outlives_its_evidence(real):
    end = real.validity.not_after
    assert ear_of(real, issued_at=AT).expires_at == end
    assert ear_of(real, issued_at=AT, expires_at=end + timedelta(days=1)).expires_at == end
    assert ear_of(real, issued_at=AT, expires_at=AT + timedelta(hours=1)).expires_at == AT + timedelta(hours=1)


@pytest.mark.parametrize("consumer", list(Consumer))
@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_a_result_comes_back_as_it_was_written(real, consumer, curve):
    key = ec.generate_private_key(curve)
    ear = ear_of(real, issued_at=AT, nonce=b"n" * 16, extensions={"aud": "us", "jti": "1"}, key=b"spki")
    found = read_ear_jwt(issue_jwt(ear, key, consumer=consumer), keys(key), at=AT,
                         wanted=Wanted(nonce=b"n" * 16, audience="us", least=Tier.AFFIRMING))  # fmt: skip
    assert found.profile == consumer.value.profile
    assert found.submodules[0].vector == ear.submodules[0].vector
    assert found.submodules[0].policy_ids == ear.submodules[0].policy_ids
    assert (found.issued_at, found.verifier) == (AT, ear.verifier)
    assert found.expires_at is not None
    name = "ear_veraison_key_attestation" if consumer is Consumer.IETF else "ear.veraison.key-attestation"
    assert found.submodules[0].extensions[name] == {"akpub": "c3BraQ"}


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_a_cbor_result_comes_back_as_it_was_written(real, curve):
    key = ec.generate_private_key(curve)
    ear = ear_of(real, issued_at=AT, nonce=b"n" * 16, extensions={"aud": "us"}, key=b"spki")
    raw = issue_cwt(ear, key, kid=b"key-1")
    found = read_ear_cwt(raw, key.public_key(), at=AT, wanted=Wanted(nonce=b"n" * 16, audience="us"))
    assert found.submodules[0].vector == ear.submodules[0].vector
    assert found.claimed is Tier.AFFIRMING
    assert found.nonces == (b"n" * 16,)
    assert found.submodules[0].nonces == (real.claims.report_data,)
    assert found.submodules[0].extensions[-70002] == {"akpub": "c3BraQ"}


def test_a_consumer_s_form(real):
    ear = ear_of(real, issued_at=AT)
    trustee = claims_for(ear, Consumer.TRUSTEE)["submods"]["cpu0"]
    assert len(trustee["ear.trustworthiness-vector"]) == 8
    assert trustee["ear.appraisal-policy-id"].startswith("simulated room#sha256:")
    ietf = claims_for(ear)
    assert ietf["ear_status"] == "affirming"
    assert read_claims_json(ietf).submodules[0].nonces


def test_what_can_not_be_written_is_refused(real):
    ear = ear_of(real, issued_at=AT)
    with pytest.raises(MisuseError, match=r"ear\.key"):
        issue_jwt(ear, ec.generate_private_key(ec.SECP521R1()))
    with pytest.raises(MisuseError, match=r"ear\.extension"):
        issue_cwt(replace(ear, extensions={"x": 1.5}), KEY)
    with pytest.raises(MisuseError, match=r"ear\.naive-time"):
        claims_for(replace(ear, issued_at=AT.replace(tzinfo=None)))
