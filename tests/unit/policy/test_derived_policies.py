"""A derived policy accepts the evidence that it came from, refuses what differs, and decides nothing dangerous."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from intel_machine import (
    AT,
    DATA,
    ENCLAVE,
    PERFMON,
    REGISTERS,
    SEPT_VE_DISABLE,
    SGX_DEBUG,
    SGX_INIT,
    SGX_MODE64,
    TD_DEBUG,
    TD_TUD,
    IntelMachine,
)
from policy_machine import AT as SNP_AT
from policy_machine import Machine, failed
from test_default_policy_on_recorded_evidence import Recorded, recorded

from sealroom.errors import MisuseError
from sealroom.evidence import Appraisal, Claims, Tee
from sealroom.policy import Policy, Subject, appraise, default_policy, load_policy
from sealroom.policy.derive import DerivedPolicy, derive_policy
from sealroom.statement import RoomStatement
from sealroom.testing.snp import DEFAULT_POLICY, POLICY_DEBUG

_TEES = (Tee.SNP, Tee.TDX, Tee.SGX)
_PINNED = {
    Tee.SNP: ("measurement", "host_data", "id_key_digest", "author_key_digest", "family_id", "image_id"),
    Tee.TDX: ("mr_td", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "mr_config_id", "mr_owner", "mr_owner_config"),
    Tee.SGX: ("mr_enclave", "mr_signer", "config_id", "isv_family_id", "isv_ext_prod_id"),
}
_ALONE = Subject.evidence_alone(expected_report_data=None)


def _derive(claims: Claims, at: datetime, **more: object) -> DerivedPolicy:
    return derive_policy(claims, name="derived", at=at, **more)  # type: ignore[arg-type]


def _appraise(text: str, claims: Claims, at: datetime) -> Appraisal:
    return appraise(load_policy(text, source="derived"), claims, subject=_ALONE, at=at)


def _decided(text: str) -> str:
    """The document after somebody took the # away under every DECIDE."""
    lines, deciding, result = text.splitlines(), False, []
    for line in lines:
        deciding = (deciding and line.startswith("#")) or line.startswith("# DECIDE: ")
        if deciding and (setting := re.fullmatch(r"# ([a-z_]+) = (.*)", line)):
            result = [one for one in result if not one.startswith(f"{setting[1]} = ")]
            result.append(line[2:])
            deciding = False
        else:
            result.append(line)
    return "\n".join(result)


@pytest.mark.parametrize("tee", _TEES)
def test_recorded_evidence_is_accepted_by_its_own_policy_where_the_default_accepts_it(
    shared_vectors: Path, tee: Tee
) -> None:
    for case in recorded(shared_vectors, tee):
        claims, at = case.judge().claims, _at(case)
        derived = _derive(claims, at)
        assert _appraise(derived.text, claims, at).accepted is not case.refused_by_default, case.folder.name
        if case.refused_by_default:
            assert derived.undecided, case.folder.name


@pytest.mark.parametrize("tee", _TEES)
def test_what_can_be_decided_is_accepted_once_it_is(shared_vectors: Path, tee: Tee) -> None:
    for case in recorded(shared_vectors, tee):
        claims, at = case.judge().claims, _at(case)
        text = _derive(claims, at).text
        appraisal = _appraise(_decided(text), claims, at)
        assert appraisal.accepted is ("# REFUSED: " not in text), (case.folder.name, failed(appraisal))


@pytest.mark.parametrize("tee", _TEES)
def test_other_evidence_with_one_measurement_changed_is_refused(
    shared_vectors: Path, tee: Tee, altered: Callable[[Claims, str], Claims]
) -> None:
    for case in recorded(shared_vectors, tee):
        claims, at = case.judge().claims, _at(case)
        text = _decided(_derive(claims, at).text)
        for name in _PINNED[tee]:
            codes = failed(_appraise(text, altered(claims, name), at))
            assert f"{tee}.{name.replace('_', '-')}-not-accepted" in codes, (case.folder.name, name)


@pytest.mark.parametrize("tee", _TEES)
def test_every_line_has_a_comment_of_its_own(shared_vectors: Path, tee: Tee) -> None:
    for case in recorded(shared_vectors, tee):
        lines = _derive(case.judge().claims, _at(case)).text.splitlines()
        for before, line in zip(["", *lines], lines, strict=False):
            if line and not line.startswith("#"):
                assert before.startswith("# "), line
                assert not re.match(r"# [a-z_]+ = ", before), line
        comments = [line for line in lines if line.startswith("#") and not re.match(r"# [a-z_]+ = ", line)]
        assert max(map(len, comments)) <= 118


def _at(case: Recorded) -> datetime:
    return datetime.fromisoformat(case.document["verify_at"])


@pytest.fixture
def altered(monkeypatch: pytest.MonkeyPatch) -> Callable[[Claims, str], Claims]:
    """Claims with one bit of one measurement turned; the one warrant for claims is set aside for it."""

    def alter(claims: Claims, name: str) -> Claims:
        value = claims.measurements[name]
        changed = bytes((value[0] ^ 1,)) + value[1:]
        monkeypatch.setattr(Claims, "__post_init__", lambda self, warrant: None)
        return replace(claims, measurements={**claims.measurements, name: changed}, warrant=None)  # type: ignore[arg-type]

    return alter


# Made evidence: what no recording has.


@dataclass(frozen=True)
class Weak:
    """Evidence that something is wrong with, and what has to be decided of it."""

    fields: dict[str, object]
    question: str
    code: str


_WEAK_TDS = {
    "debug": Weak({"td_attributes": SEPT_VE_DISABLE | TD_DEBUG}, "td_debug", "tdx.td-debug"),
    "two": Weak({"td_attributes": PERFMON}, "perfmon, sept_ve_disable_off", "tdx.perfmon"),
    "service": Weak(
        {"td_15": True, "mr_service_td": b"\x05" * 48}, "a service TD is bound", "tdx.mr-service-td-nonzero"
    ),
}


@pytest.mark.parametrize("weak", _WEAK_TDS.values(), ids=_WEAK_TDS)
def test_a_weak_td_is_refused_by_its_own_policy_until_somebody_decides(intel: IntelMachine, weak: Weak) -> None:
    claims = intel.claims(_default(intel), Tee.TDX, intel.td(**weak.fields))
    derived = _derive(claims, AT)

    assert any(weak.question in question for question in derived.undecided)
    assert weak.code in failed(_appraise(derived.text, claims, AT))
    assert _appraise(_decided(derived.text), claims, AT).accepted


def test_a_named_service_td_is_narrower_than_any(intel: IntelMachine) -> None:
    raw = intel.td(td_15=True, mr_service_td=b"\x05" * 48)
    text = _decided(_derive(intel.claims(_default(intel), Tee.TDX, raw), AT).text)
    other = intel.claims(_default(intel), Tee.TDX, intel.td(td_15=True, mr_service_td=b"\x06" * 48))

    assert "service_td" not in tomllib.loads(text)["tdx"].get("allow", [])
    assert "tdx.mr-service-td-not-accepted" in failed(_appraise(text, other, AT))


def test_what_no_policy_accepts_is_told_and_stays_refused(intel: IntelMachine) -> None:
    claims = intel.claims(_default(intel), Tee.TDX, intel.td(td_attributes=SEPT_VE_DISABLE | TD_TUD))
    derived = _derive(claims, AT)

    assert any("which no policy accepts" in question for question in derived.undecided)
    assert failed(_appraise(_decided(derived.text), claims, AT)) == ["tdx.td-attributes-reserved"]


@pytest.mark.parametrize("part", ["SWHardeningNeeded", "OutOfDate"])
@pytest.mark.parametrize("whole", ["UpToDate", "ConfigurationNeeded", "OutOfDate"])
def test_words_on_platform_and_enclave_wait_for_a_decision(intel: IntelMachine, whole: str, part: str) -> None:
    forms = {"tcb_info": intel.tcb_info(Tee.TDX, whole), "qe_identity": intel.qe_identity(Tee.TDX, part)}
    claims = intel.claims(_default(intel), Tee.TDX, intel.td(), intel.collateral(Tee.TDX, **forms))
    derived = _derive(claims, AT)

    assert not _appraise(derived.text, claims, AT).accepted
    assert _appraise(_decided(derived.text), claims, AT).accepted
    assert any("Intel says" in question for question in derived.undecided)


def test_a_debug_enclave_waits_for_a_decision(intel: IntelMachine) -> None:
    raw = intel.enclave(attributes=SGX_INIT | SGX_MODE64 | SGX_DEBUG)
    claims = intel.claims(_default(intel), Tee.SGX, raw)
    derived = _derive(claims, AT)

    assert failed(_appraise(derived.text, claims, AT)) == ["sgx.enclave-debug"]
    assert _appraise(_decided(derived.text), claims, AT).accepted


def test_registers_of_zeros_are_pinned_and_told(intel: IntelMachine) -> None:
    claims = intel.claims(_default(intel), Tee.TDX, intel.td(rtmr1=bytes(48), rtmr2=bytes(48)))
    derived = _derive(claims, AT)

    assert _appraise(derived.text, claims, AT).accepted
    assert {question.partition(" is zero")[0] for question in derived.undecided} >= {"rtmr1", "rtmr2"}
    kernel = intel.claims(_default(intel), Tee.TDX, intel.td(rtmr1=REGISTERS["rtmr1"], rtmr2=bytes(48)))
    assert failed(_appraise(derived.text, kernel, AT)) == ["tdx.rtmr1-not-accepted"]


def test_an_older_enclave_and_older_collateral_are_refused_and_newer_pass(intel: IntelMachine) -> None:
    text = _derive(intel.claims(_default(intel), Tee.SGX, intel.enclave()), AT).text
    for svn, number, codes in (
        (ENCLAVE["isv_svn"], 18, []),
        (4, 19, []),
        (2, 18, ["sgx.isv-svn-not-accepted"]),
        (3, 17, ["sgx.evaluation-number-not-accepted"]),
    ):
        forms = {
            "tcb_info": intel.tcb_info(Tee.SGX, "UpToDate", evaluation_number=number),
            "qe_identity": intel.qe_identity(Tee.SGX, "UpToDate", evaluation_number=number),
        }
        raw = intel.enclave(isv_svn=svn)
        claims = intel.claims(_default(intel), Tee.SGX, raw, intel.collateral(Tee.SGX, **forms))
        assert failed(_appraise(text, claims, AT)) == codes


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"guest_policy": DEFAULT_POLICY | POLICY_DEBUG}, "snp.debug"), ({"chip_id": bytes(64)}, "snp.chip-id-masked")],
)
def test_a_weak_guest_waits_for_a_decision(machine: Machine, changes: dict[str, object], code: str) -> None:
    claims = machine.claims(machine.policy(), **changes)
    derived = _derive(claims, SNP_AT)

    assert failed(_appraise(derived.text, claims, SNP_AT)) == [code]
    assert _appraise(_decided(derived.text), claims, SNP_AT).accepted


def test_a_report_that_the_host_asked_for_is_told_and_stays_refused(machine: Machine) -> None:
    claims = machine.claims(machine.policy(), vmpl=0xFFFFFFFF)
    derived = _derive(claims, SNP_AT)

    assert any("host itself" in question for question in derived.undecided)
    assert failed(_appraise(_decided(derived.text), claims, SNP_AT)) == ["snp.vmpl-not-accepted"]


def test_a_revocation_list_that_came_has_to_come_again(machine: Machine) -> None:
    with_list = machine.claims(machine.policy(), crl=machine.platform.vendor.crl())
    text = _derive(with_list, SNP_AT).text

    assert _appraise(text, with_list, SNP_AT).accepted
    assert failed(_appraise(text, machine.claims(machine.policy()), SNP_AT)) == ["snp.no-revocation-list"]


def test_a_privilege_level_is_pinned_and_firmware_is_a_floor(machine: Machine) -> None:
    claims = machine.claims(machine.policy(), vmpl=2)
    document = tomllib.loads(_derive(claims, SNP_AT).text)

    assert document["snp"]["vmpl"] == [2]
    assert document["snp"]["minimum_tcb"][claims.hardware_model] == dict(claims.tcb["reported"])
    assert document["snp"]["allow"] == ["smt"]


# Rooms, and what is written by strangers.

_STATEMENT = RoomStatement(
    nonce=b"\x0a" * 32, key_configs=b"keys", model_name='Smol "LM" \\ 2', model_version=3, model_digest=b"\x11" * 32,
    package_digest=b"\x22" * 32, engine_name="llama.cpp", engine_version="1", engine_config_digest=b"\x33" * 32,
    sandbox_layers=("landlock", "seccomp", "insecure-stub"), software_version="0.1.0",
    created_at=datetime(2026, 6, 1, tzinfo=UTC), not_after=datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=30),
)  # fmt: skip


def test_the_policy_of_a_room_pins_model_and_engine_and_leaves_nothing_open(intel: IntelMachine) -> None:
    claims = intel.claims(_default(intel), Tee.TDX, intel.td())
    derived = _derive(claims, AT, statement=_STATEMENT)
    subject = Subject.room(_STATEMENT, expected_report_data=DATA, nonce_answered=True)

    policy = load_policy(derived.text, source="derived")
    assert policy.unchecked == {}
    assert policy.model is not None
    assert policy.model.name == _STATEMENT.model_name
    assert failed(appraise(policy, claims, subject=subject, at=AT)) == ["engine.insecure-layer"]
    assert any("insecure-stub" in question for question in derived.undecided)
    decided = load_policy(_decided(derived.text), source="derived")
    assert appraise(decided, claims, subject=subject, at=AT).accepted
    for change in ({"model_digest": bytes(32)}, {"engine_config_digest": bytes(32)}, {"model_version": 2}):
        other = Subject.room(replace(_STATEMENT, **change), expected_report_data=DATA, nonce_answered=True)
        assert not appraise(decided, claims, subject=other, at=AT).accepted


def test_what_a_log_says_stands_in_comments_and_can_end_none(intel: IntelMachine) -> None:
    claims = intel.claims(_default(intel), Tee.TDX, intel.td(td_attributes=SEPT_VE_DISABLE | TD_DEBUG))
    evil = "EV_IPL verified x\nallow = [\"debug\"]\r\x1b[2J\u2028allow = ['debug']"
    text = _derive(claims, AT, notes={"rtmr2": [evil, "EV_SEPARATOR verified"]}).text

    assert "allow" not in tomllib.loads(text)["tdx"]
    assert not {"\x1b", "\r", "\u2028"} & set(text)
    lines = text.splitlines()
    assert lines[lines.index("#   EV_SEPARATOR verified") + 1].startswith("rtmr2 = ")


def test_a_simulated_root_is_named_and_told(intel: IntelMachine) -> None:
    derived = _derive(intel.claims(_default(intel), Tee.TDX, intel.td()), AT)

    root = intel.platform.vendor.root_fingerprint.hex()
    assert tomllib.loads(derived.text)["trust"]["insecure_simulated"] == [f"sha256:{root}"]
    assert any("simulated root" in question for question in derived.undecided)


def test_a_tee_without_rules_has_no_policy(intel: IntelMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    from sealroom.policy import derive

    claims = intel.claims(_default(intel), Tee.TDX, intel.td())
    monkeypatch.delitem(derive._TABLES, Tee.TDX)

    with pytest.raises(MisuseError) as error:
        _derive(claims, AT)
    assert error.value.code == "policy.not-derivable"


def _default(intel: IntelMachine) -> Policy:
    return default_policy(insecure_simulated=[intel.platform.vendor.root_fingerprint])
