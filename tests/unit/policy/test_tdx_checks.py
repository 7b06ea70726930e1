"""What a policy asks of a TD: each check alone refuses, and the code says which."""

import pytest
from intel_machine import (
    DATA,
    MIGRATABLE,
    PERFMON,
    REGISTERS,
    SEPT_VE_DISABLE,
    TD_DEBUG,
    TD_TUD,
    IntelMachine,
    pins,
)
from policy_machine import failed

from sealroom.errors import MalformedError
from sealroom.evidence import Tee
from sealroom.policy.model import INTEL_STATUSES, TDX_ALLOWANCES
from sealroom.policy.tdx import FLAGS

_TABLE = pins(REGISTERS)
_SOUND = SEPT_VE_DISABLE
_WEAK = {
    "td_debug": {"td_attributes": _SOUND | TD_DEBUG},
    "migratable": {"td_attributes": _SOUND | MIGRATABLE},
    "sept_ve_disable_off": {"td_attributes": 0},
    "perfmon": {"td_attributes": _SOUND | PERFMON},
    "mr_service_td_nonzero": {"td_15": True, "mr_service_td": b"\x01" + bytes(47)},
    "xfam_unknown_bit": {"xfam": 0xE7 | 1 << 40},
    "td_attributes_reserved": {"td_attributes": _SOUND | TD_TUD},
    "xfam_required_bit_clear": {"xfam": 0xE7 & ~1},
}


def test_a_sound_td_is_accepted(intel: IntelMachine) -> None:
    policy = intel.policy(Tee.TDX, _TABLE)

    for td_15 in (False, True):
        assert intel.judge(policy, Tee.TDX, intel.td(td_15=td_15)).accepted


@pytest.mark.parametrize("name", REGISTERS)
def test_each_register_is_compared(intel: IntelMachine, name: str) -> None:
    other = intel.judge(intel.policy(Tee.TDX, _TABLE), Tee.TDX, intel.td(**{name: b"\x99" * 48}))

    assert failed(other) == [f"tdx.{name.replace('_', '-')}-not-accepted"]


@pytest.mark.parametrize("name", ["mr_config_id", "mr_owner", "mr_owner_config", "mr_seam"])
def test_each_further_measurement_is_compared_where_it_is_named(intel: IntelMachine, name: str) -> None:
    value = b"\x77" * 48
    policy = intel.policy(Tee.TDX, pins({**REGISTERS, name: value}))

    assert intel.judge(policy, Tee.TDX, intel.td(**{name: value})).accepted
    assert failed(intel.judge(policy, Tee.TDX, intel.td())) == [f"tdx.{name.replace('_', '-')}-not-accepted"]


@pytest.mark.parametrize("flag", FLAGS)
def test_each_weakening_fact_is_refused_by_its_name(intel: IntelMachine, flag: str) -> None:
    appraisal = intel.judge(intel.policy(Tee.TDX, _TABLE), Tee.TDX, intel.td(**_WEAK[flag]))

    assert failed(appraisal) == [f"tdx.{flag.replace('_', '-')}"]


@pytest.mark.parametrize("flag", FLAGS)
def test_an_allowance_lets_its_own_fact_pass_and_no_other(intel: IntelMachine, flag: str) -> None:
    for allowance in TDX_ALLOWANCES:
        policy = intel.policy(Tee.TDX, _TABLE + f'\nallow = ["{allowance}"]')
        accepted = intel.judge(policy, Tee.TDX, intel.td(**_WEAK[flag])).accepted
        assert accepted is (FLAGS[flag].allowance == allowance), allowance


def test_every_allowance_is_somebodys() -> None:
    assert {flag.allowance for flag in FLAGS.values()} - {None} == set(TDX_ALLOWANCES)


def test_a_flag_that_the_policy_does_not_know_is_refused(
    intel: IntelMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(FLAGS, "perfmon")

    appraisal = intel.judge(intel.policy(Tee.TDX, _TABLE), Tee.TDX, intel.td(**_WEAK["perfmon"]))
    assert failed(appraisal) == ["tdx.flag-not-known"]


def test_a_service_td_passes_where_it_is_named_and_another_does_not(intel: IntelMachine) -> None:
    service = b"\x01" + bytes(47)
    policy = intel.policy(Tee.TDX, pins({**REGISTERS, "mr_service_td": service}))

    assert intel.judge(policy, Tee.TDX, intel.td(td_15=True, mr_service_td=service)).accepted
    for other in ({"td_15": True, "mr_service_td": b"\x02" * 48}, {"td_15": True}, {}):
        assert "tdx.mr-service-td-not-accepted" in failed(intel.judge(policy, Tee.TDX, intel.td(**other)))


@pytest.mark.parametrize("left_out", ["mr_td", "rtmr1", "rtmr2"])
def test_firmware_kernel_and_command_line_must_be_pinned(intel: IntelMachine, left_out: str) -> None:
    lines = pins(REGISTERS, **{left_out: ""})

    with pytest.raises(MalformedError) as error:
        intel.policy(Tee.TDX, lines)
    assert error.value.code == "policy.nothing-pinned"
    assert left_out in error.value.message


def test_what_a_td_booted_may_be_left_open_by_name_and_every_verdict_says_so(intel: IntelMachine) -> None:
    policy = intel.policy(Tee.TDX, pins({"mr_td": REGISTERS["mr_td"]}), unchecked='rtmr = "a paravisor"')

    appraisal = intel.judge(policy, Tee.TDX, intel.td(rtmr1=bytes(48), rtmr2=b"\x01" * 48))
    assert appraisal.accepted
    open_ = {check.name: check.wanted for check in appraisal.checks if check.code == "policy.unchecked"}
    assert set(open_) == {"tdx.rtmr1", "tdx.rtmr2", "init-data"}
    assert "a paravisor" in open_["tdx.rtmr1"]
    assert failed(intel.judge(policy, Tee.TDX, intel.td(mr_td=b"\x01" * 48))) == ["tdx.mr-td-not-accepted"]


@pytest.mark.parametrize(
    ("lines", "unchecked"),
    [
        (pins(REGISTERS), 'measurement = "why"'),
        (pins(REGISTERS), 'rtmr = "why"'),
        (pins({"mr_td": REGISTERS["mr_td"], "rtmr0": REGISTERS["rtmr0"]}), 'rtmr = "why"'),
        (pins({"rtmr3": REGISTERS["rtmr3"]}), 'measurement = "why"'),
    ],
)
def test_what_is_pinned_can_not_be_left_open(intel: IntelMachine, lines: str, unchecked: str) -> None:
    with pytest.raises(MalformedError) as error:
        intel.policy(Tee.TDX, lines, unchecked=unchecked)
    assert error.value.code == "policy.contradiction"


@pytest.mark.parametrize("status", [status for status in INTEL_STATUSES if not status.startswith("TDRelaunch")])
def test_the_platform_has_to_be_up_to_date_unless_its_word_is_accepted(intel: IntelMachine, status: str) -> None:
    raw, forms = intel.td(), {"tcb_info": intel.tcb_info(Tee.TDX, status)}
    strict = failed(intel.judge(intel.policy(Tee.TDX, _TABLE), Tee.TDX, raw, **forms))

    assert strict == ([] if status == "UpToDate" else ["tdx.tcb-status-not-accepted"])
    lenient = intel.policy(Tee.TDX, f'{_TABLE}\ntcb_status = ["{status}"]')
    assert intel.judge(lenient, Tee.TDX, raw, **forms).accepted


@pytest.mark.parametrize("status", ["SWHardeningNeeded", "ConfigurationNeeded", "OutOfDateConfigurationNeeded"])
def test_a_status_of_the_quoting_enclave_that_the_whole_does_not_show_is_seen(
    intel: IntelMachine, status: str
) -> None:
    raw, forms = intel.td(), {"qe_identity": intel.qe_identity(Tee.TDX, status)}

    appraisal = intel.judge(intel.policy(Tee.TDX, _TABLE), Tee.TDX, raw, **forms)
    assert appraisal.claims.tcb_status == "UpToDate"
    assert failed(appraisal) == ["tdx.qe-status-not-accepted"]
    lenient = intel.policy(Tee.TDX, f'{_TABLE}\ntcb_status = ["UpToDate", "{status}"]')
    assert intel.judge(lenient, Tee.TDX, raw, **forms).accepted


def test_an_outdated_enclave_passes_with_the_word_that_says_so_of_the_whole(intel: IntelMachine) -> None:
    forms = {
        "tcb_info": intel.tcb_info(Tee.TDX, "ConfigurationNeeded"),
        "qe_identity": intel.qe_identity(Tee.TDX, "OutOfDate"),
    }
    for words, codes in (
        ('"OutOfDateConfigurationNeeded"', []),
        ('"ConfigurationNeeded"', ["tdx.tcb-status-not-accepted", "tdx.qe-status-not-accepted"]),
        ('"OutOfDate"', ["tdx.tcb-status-not-accepted"]),
    ):
        policy = intel.policy(Tee.TDX, f"{_TABLE}\ntcb_status = [{words}]")
        assert failed(intel.judge(policy, Tee.TDX, intel.td(), **forms)) == codes


def test_a_word_for_one_platform_lets_no_outdated_enclave_of_another_pass(intel: IntelMachine) -> None:
    """To accept a relaunch is no acceptance of an outdated quoting enclave under an up-to-date platform."""
    policy = intel.policy(Tee.TDX, f'{_TABLE}\ntcb_status = ["UpToDate", "TDRelaunchAdvised"]')

    codes = failed(intel.judge(policy, Tee.TDX, intel.td(), qe_identity=intel.qe_identity(Tee.TDX, "OutOfDate")))
    assert codes == ["tdx.tcb-status-not-accepted", "tdx.qe-status-not-accepted"]


def test_advisories_days_and_data_sets_are_floors(intel: IntelMachine) -> None:
    forms = {"tcb_info": intel.tcb_info(Tee.TDX, "SWHardeningNeeded", "INTEL-SA-1", "INTEL-SA-2")}
    for line, code in (
        ('accepted_advisories = ["INTEL-SA-1", "INTEL-SA-2", "INTEL-SA-3"]', None),
        ('accepted_advisories = ["INTEL-SA-1"]', "tdx.advisories-not-accepted"),
        ("minimum_tcb_date = 2026-02-11", None),
        ('minimum_tcb_date = "2026-02-11"', None),
        ("minimum_tcb_date = 2026-02-12", "tdx.tcb-date-not-accepted"),
        ("minimum_tcb_evaluation_number = 18", None),
        ("minimum_tcb_evaluation_number = 19", "tdx.evaluation-number-not-accepted"),
        ('fmspc = ["90c06f000000"]', None),
        ('fmspc = ["00806f050000"]', "tdx.fmspc-not-accepted"),
        (f'ppid = ["{intel.platform.pck.ppid.hex()}"]', None),
        (f'ppid = ["{"ff" * 16}"]', "tdx.ppid-not-accepted"),
    ):
        policy = intel.policy(Tee.TDX, f'{_TABLE}\ntcb_status = ["SWHardeningNeeded"]\n{line}')
        assert failed(intel.judge(policy, Tee.TDX, intel.td(), **forms)) == ([] if code is None else [code]), line


@pytest.mark.parametrize("older", ["tcb_info", "qe_identity"])
def test_a_data_set_is_as_old_as_its_older_half(intel: IntelMachine, older: str) -> None:
    numbers = {"tcb_info": 20, "qe_identity": 20, older: 17}
    forms = {
        "tcb_info": intel.tcb_info(Tee.TDX, "UpToDate", evaluation_number=numbers["tcb_info"]),
        "qe_identity": intel.qe_identity(Tee.TDX, "UpToDate", evaluation_number=numbers["qe_identity"]),
    }
    policy = intel.policy(Tee.TDX, f"{_TABLE}\nminimum_tcb_evaluation_number = 18")

    assert failed(intel.judge(policy, Tee.TDX, intel.td(), **forms)) == ["tdx.evaluation-number-not-accepted"]


@pytest.mark.parametrize(
    "day", ['"20260211"', '"2026-W07-3"', '"2026-2-11"', '"soon"', "2026-02-11T00:00:00Z", "2026", '""']
)
def test_a_day_has_one_spelling(intel: IntelMachine, day: str) -> None:
    with pytest.raises(MalformedError) as error:
        intel.policy(Tee.TDX, f"{_TABLE}\nminimum_tcb_date = {day}")
    assert error.value.code in {"policy.bad-value", "policy.wrong-type"}


@pytest.mark.parametrize("word", ["Revoked", "uptodate", "Unknown"])
def test_no_policy_accepts_what_is_revoked_or_no_word_of_intels(intel: IntelMachine, word: str) -> None:
    with pytest.raises(MalformedError):
        intel.policy(Tee.TDX, f'{_TABLE}\ntcb_status = ["{word}"]')


def test_td_evidence_under_a_policy_for_enclaves_is_refused(intel: IntelMachine) -> None:
    policy = intel.policy(Tee.SGX, f'mr_enclave = ["{"e1" * 32}"]')

    assert failed(intel.judge(policy, Tee.TDX, intel.td())) == ["trust.tee-not-accepted"]


def test_expressions_see_what_intel_says(intel: IntelMachine) -> None:
    rule = (
        'claims.debug == false && claims.migratable == false && claims.tcb_status == "UpToDate"'
        ' && claims.tcb_date.startsWith("2026-02-11") && size(claims.advisories) == 0'
        f' && claims.report_data == "{DATA.hex()}" && claims.details.fmspc == "90c06f000000"'
    )
    policy = intel.policy(Tee.TDX, f"{_TABLE}\n[[require]]\nwhen = '{rule}'\nbecause = \"so\"")

    assert intel.judge(policy, Tee.TDX, intel.td()).accepted
