"""What a verifier of Azure's guests has to get right, each by name (gpu-cloud section 4, and section 7)."""

import dataclasses
import hashlib

import pytest
from azure_judged import BENCHES, code_of, judged

from sealroom.binding import carried
from sealroom.errors import MisuseError, UnverifiedError
from sealroom.evidence import Collateral, Evidence, Tee, TrustRoots, Verified
from sealroom.measure.replay import NOT_EXTENDED
from sealroom.policy import Subject, appraise, load_policy
from sealroom.tees import azure_vtpm, registry
from sealroom.tees._tpm.attest import TpmHash
from sealroom.testing.azure import SimulatedAzure
from sealroom.testing.azure_cases import AT, NONCE, AzureBench
from sealroom.testing.tpm import SoftTpm
from sealroom.testing.tpm_log import BootEvent, boot, logged_boot
from sealroom.verifier import appraise_evidence

both = pytest.mark.parametrize("bench", BENCHES.values(), ids=[tee.value for tee in BENCHES])
SNP = BENCHES[Tee.SNP]


def policy_for(bench: AzureBench, inner: str | None = None):
    """Nothing is pinned but what ``inner`` says of the hardware inside."""
    allowed = 'allow = ["smt"]' if bench.guest.inner is Tee.SNP else ""
    text = f"""
policy = 1
name = "t"
[unchecked]
init_data = "not here"
model = "not here"
engine = "not here"
freshness = "not here"
minimum_tcb = "not here"
rtmr = "not here"
[unchecked.azure-vtpm]
measurement = "not here"
{"" if inner else f"[unchecked.azure-vtpm.{bench.guest.inner}]"}
{"" if inner else 'measurement = "not here"'}
[trust]
tees = ["azure-vtpm"]
insecure_simulated = ["sha256:{bench.guest.root_fingerprint.hex()}"]
[azure-vtpm]
[azure-vtpm.{bench.guest.inner}]
{allowed}
{inner or ""}
"""
    return load_policy(text, source="t")


# Report data and nonces.


@both
@pytest.mark.parametrize("expected", [
    NONCE + b"\0", NONCE.ljust(50, b"\0"), NONCE.ljust(64, b"\0"), NONCE[:-1], NONCE[:32],
    b"\0" + NONCE, bytes(48),
], ids=bytes.hex)  # fmt: skip
def test_a_nonce_is_compared_whole_and_never_padded_or_cut(bench, expected):
    """Fault gpu-cloud 16: one side padded a nonce to 50 bytes, another to 32 or 64."""
    case = bench.case("")

    def appraisal(wanted: bytes):
        return appraise_evidence(tee=Tee.AZURE_VTPM, raw=case.raw, collateral=case.collateral, at=AT,
                                 policy=policy_for(bench), expected_report_data=wanted)  # fmt: skip

    assert appraisal(NONCE).accepted
    with pytest.raises(UnverifiedError) as refusal:
        appraisal(expected)
    assert refusal.value.code == "binding.report-data"


def test_a_quote_answers_a_nonce_that_ends_in_zeros_only_if_they_were_asked_for():
    """Fault gpu-cloud 16: zeros at the end are bytes like others."""
    short, long = b"asked", b"asked".ljust(32, b"\0")
    for nonce in (short, long):
        message, signature = SNP.guest.tpm.quote(nonce)
        assert judged(SNP.case("", message=message, signature=signature)).report_data == nonce


def test_evidence_for_a_room_carries_the_digest_of_report_data():
    data = bytes(range(64))
    assert carried("azure-vtpm", data) == hashlib.sha256(data).digest()
    collected = SNP.guest.collect(carried("azure-vtpm", data))
    claims = judged(dataclasses.replace(SNP.case(""), raw=collected.raw))
    assert claims.report_data == hashlib.sha256(data).digest()
    with pytest.raises(MisuseError, match=r"simulated\.report-data"):
        SNP.guest.collect(bytes(51))


# The hardware below.


def test_a_report_of_version_2_names_no_product_and_firmware_that_is_not_committed_yet_is_normal():
    """Fault gpu-cloud 17: no CPUID in reports of version 2, committed behind current."""
    hcl = SNP.guest.hcl_over(SNP.guest.runtime, version=2, cpuid_fam=0, cpuid_mod=0, cpuid_step=0, committed_build=39,
                             committed_minor=54)  # fmt: skip
    claims = judged(SNP.with_hcl("", None, hcl))
    assert claims.inner.hardware_model == "Genoa"
    assert claims.inner.flags == SNP_FLAGS
    assert claims.inner.details["committed_version"] != claims.inner.details["current_version"]


SNP_FLAGS = judged(SNP.case("")).inner.flags


@both
def test_report_data_is_the_paravisors_and_a_nonce_of_the_guest_in_it_never_works(bench):
    """Fault gpu-cloud 18: report data is set by the paravisor."""
    assert judged(bench.case("")).inner.report_data == hashlib.sha256(bench.guest.runtime).digest() + bytes(32)
    own = bench.guest.hardware_report(NONCE.ljust(64, b"\0"))
    if bench.guest.inner is Tee.SNP:
        wrong = bench.with_hcl("", None, dataclasses.replace(bench.guest.hcl, hardware=own))
    else:
        wrong = bench.case("", td_quote=own)
    assert code_of(wrong) == "azure-vtpm.runtime-data"


@both
def test_exactly_the_json_is_hashed_and_nothing_behind_it(bench):
    """Fault gpu-cloud 19: padding hashed along, a size that lies, a key that was swapped."""
    hcl = bench.guest.hcl
    padded = hcl.runtime + bytes(2600 - 1236 - len(hcl.runtime))
    assert code_of(bench.bound("", None, padded)) is not None
    over_padding = dataclasses.replace(bench.guest.hcl_over(padded), runtime=hcl.runtime)
    own = bench.guest.form(NONCE, hcl=bench.guest.hcl_over(padded))
    assert code_of(bench.case("", hcl_report=over_padding.encode(), td_quote=own.td_quote)) == \
        "azure-vtpm.runtime-data"  # fmt: skip
    for change in ({"length": len(hcl.runtime) + 1}, {"length": len(hcl.runtime) - 1}, {"data_size": 20}):
        assert code_of(bench.with_hcl("", None, dataclasses.replace(hcl, **change))) is not None
    swapped = dataclasses.replace(hcl, runtime=bench.other.runtime)
    message, signature = bench.other.tpm.quote(NONCE)
    case = bench.case("", hcl_report=swapped.encode(), message=message, signature=signature)
    assert code_of(case) == "azure-vtpm.runtime-data"


@both
def test_the_hardware_inside_is_verified_by_its_own_verifier_from_the_registry(bench, monkeypatch):
    asked = []

    class Refusing:
        verify = claims = None

        def parse(self, raw: bytes) -> Evidence:
            asked.append(raw)
            raise LookupError

    monkeypatch.setattr(registry, "for_tee", lambda tee: asked.append(tee) or Refusing())
    case = bench.case("")
    with pytest.raises(LookupError):
        judged(case)
    guest = azure_vtpm.parse(case.raw).guest
    whole = guest.hcl.hardware_report if bench.guest.inner is Tee.SNP else guest.td_quote
    assert asked == [bench.guest.inner, whole]


def test_a_vcek_that_came_along_does_for_the_leaf_and_ours_goes_before_it():
    case = SNP.case("")
    stale = SNP.other.form(NONCE).vcek
    items = {**case.collateral.items, "leaf": SNP.guest.machine.platform.leaf}
    assert judged(SNP.case("", vcek=None, collateral=items)).inner.signer == "VCEK"
    assert judged(SNP.case("", vcek=stale, collateral=items)).inner.signer == "VCEK"
    assert code_of(SNP.case("", vcek=stale)) == "snp.signature"


@both
def test_evidence_of_a_machine_under_another_root_is_refused(bench):
    case = dataclasses.replace(bench.case(""), roots=frozenset({bytes(32)}))
    assert code_of(case) == "x509.untrusted-root"


# Claims.


@both
def test_claims_say_what_the_quote_the_paravisor_and_the_hardware_say(bench):
    tpm = SoftTpm(key=bench.guest.tpm.key)
    tpm.measure(4, b"a kernel")
    guest = SimulatedAzure(machine=bench.guest.machine, tpm=tpm, user_data=bytes(range(64)))
    claims = judged(dataclasses.replace(bench.case(""), raw=guest.collect(NONCE).raw))
    assert claims.measurements["pcr04"] == tpm.pcrs[TpmHash.SHA256][4]
    assert claims.hardware_model.startswith(f"Azure {bench.guest.inner} ")
    assert (claims.signer, claims.debug, claims.migratable) == ("HCLAkPub", False, False)
    assert (claims.flags, claims.root) == (frozenset(), bench.guest.root_fingerprint)
    details = {"pcr_bank": "sha256", "event_log": "none", "inner_tee": bench.guest.inner.value,
               "secure_boot": 1, "tpm_enabled": 1, "vm_unique_id": bench.guest.machine.vm_id,
               "user_data": bytes(range(64)).hex().upper()}  # fmt: skip
    assert details.items() <= dict(claims.details).items()
    inner = claims.inner
    assert (claims.tcb, claims.device_id, claims.tcb_status) == (inner.tcb, inner.device_id, inner.tcb_status)


@both
def test_debug_and_migration_of_the_hardware_are_the_guests_too(bench):
    weak = {"policy": 0x3001F | 1 << 19 | 1 << 18} if bench.guest.inner is Tee.SNP else {"td_attributes": 1}
    guest = SimulatedAzure(machine=bench.guest.machine, values=weak)
    claims = judged(dataclasses.replace(bench.case(""), raw=guest.collect(NONCE).raw))
    assert claims.debug is claims.inner.debug is True


@both
@pytest.mark.parametrize("said", [False, None, "true", 1])
def test_secure_boot_that_is_not_said_to_be_on_is_off(bench, said):
    case = bench.with_runtime("", None, lambda members: members["vm-configuration"].update({"secure-boot": said}))
    assert judged(case).flags == {"secure_boot_off"}
    assert judged(bench.with_runtime("", None, lambda members: members.pop("vm-configuration"))).flags == \
        {"secure_boot_off"}  # fmt: skip


def test_another_bank_is_quoted_and_sha1_is_flagged():
    guest = SNP.guest
    for bank in (TpmHash.SHA1, TpmHash.SHA384):
        message, signature = guest.tpm.quote(NONCE, guest.tpm.all_of(bank))
        pcrs = tuple(guest.tpm.values({bank: range(24)})[bank].values())
        claims = judged(SNP.case("", message=message, signature=signature, pcrs=pcrs))
        assert claims.details["pcr_bank"] == bank.word
        assert claims.flags == ({"sha1_bank"} if bank is TpmHash.SHA1 else frozenset())


def test_a_quote_of_some_registers_says_nothing_of_the_others():
    tpm = SNP.guest.tpm
    message, signature = tpm.quote(NONCE, {TpmHash.SHA256: (4, 7)})
    values = tuple(tpm.values()[TpmHash.SHA256].values())
    for pcrs in (values, (values[4], values[7])):
        claims = judged(SNP.case("", message=message, signature=signature, pcrs=pcrs))
        assert set(claims.measurements) == {"pcr04", "pcr07"}
    assert code_of(SNP.case("", message=message, signature=signature, pcrs=values[:3])) == "azure-vtpm.pcrs"


# Event logs.


def with_log(bench: AzureBench, events: tuple[BootEvent, ...]) -> tuple[SimulatedAzure, bytes]:
    tpm = SoftTpm(key=bench.guest.tpm.key)
    log = logged_boot(tpm, events)
    return SimulatedAzure(machine=bench.guest.machine, tpm=tpm, event_log=log), log


@both
def test_a_log_that_leads_to_the_registers_is_replayed_and_each_event_has_a_name(bench):
    guest, log = with_log(bench, boot())
    collected = guest.collect(NONCE)
    roots = TrustRoots(insecure_simulated=frozenset({guest.root_fingerprint}))
    verified = azure_vtpm.verify(azure_vtpm.parse(collected.raw), collateral=collected.collateral, at=AT, roots=roots)
    header, *events = verified.log.events
    assert header.digest_of == NOT_EXTENDED
    assert [(named.register, named.event.type) for named in events] == \
        [(f"pcr{event.index}", event.type) for event in boot()]  # fmt: skip
    claims = azure_vtpm.claims(verified)
    assert (claims.details["event_log"], claims.details["event_count"]) == ("replayed", len(boot()) + 1)
    beside = Collateral(items={**collected.collateral.items, "event_log": log})
    form = dataclasses.replace(guest.form(NONCE), event_log=None)
    case = dataclasses.replace(bench.case(""), raw=form.encode(), collateral=beside)
    assert judged(case).details["event_log"] == "replayed"


@both
def test_a_log_that_leads_elsewhere_is_refused_for_the_register(bench):
    guest, _ = with_log(bench, boot())
    _, other = with_log(bench, boot(application=b"another loader"))
    form = dataclasses.replace(guest.form(NONCE), event_log=other)
    assert code_of(dataclasses.replace(bench.case(""), raw=form.encode())) == "eventlog.register-mismatch"


def test_firmware_that_logged_secure_boot_off_outweighs_a_configuration_that_says_on():
    guest, _ = with_log(SNP, boot(secure_boot=False))
    claims = judged(dataclasses.replace(SNP.case(""), raw=guest.collect(NONCE).raw))
    assert (claims.flags, claims.details["secure_boot"]) == ({"secure_boot_off"}, 1)


# Under a policy, whole.


@both
def test_rules_for_the_hardware_inside_are_asked_beside_those_for_the_vtpm(bench):
    claims = judged(bench.case(""))
    wrong = "00" * 47 + "01"
    name = "measurement" if bench.guest.inner is Tee.SNP else "mr_td"
    verdict = appraise(policy_for(bench, f'{name} = ["{wrong}"]'), claims, at=AT,
                       subject=Subject.evidence_alone(expected_report_data=None))  # fmt: skip
    codes = {check.code for check in verdict.failures}
    assert any(code.startswith(f"{bench.guest.inner}.") for code in codes)


def test_claims_are_made_of_azures_evidence_alone():
    class Other(Verified[Evidence]):
        pass

    other = object.__new__(Other)
    with pytest.raises(MisuseError, match=r"azure-vtpm\.other-tee"):
        azure_vtpm.claims(other)
    with pytest.raises(MisuseError, match=r"azure-vtpm\.other-tee"):
        azure_vtpm.AzureEvidence(tee=Tee.TPM, raw=b"{}")
