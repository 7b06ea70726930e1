"""What a policy asks of GPUs and switches: each check alone refuses, and the code says which."""

from typing import Any

import pytest
from made_claims import AT, changed, codes, document, judged, made

from sealroom.errors import MalformedError
from sealroom.evidence import Appraisal, Claims, Tee, Validity
from sealroom.policy import Policy, Subject, appraise, load_policy
from sealroom.policy.model_others import NVIDIA_ALLOWANCES
from sealroom.policy.nvidia import FLAGS

_FLOOR = 'minimum_driver = "550.90.07"'
_CPU = made(Tee.SNP, hardware_model="Genoa", signer="VCEK", measurements={"measurement": bytes(48)},
            details={"vmpl": 0}, flags=frozenset(),
            tcb={kind: {"snp": 1} for kind in ("reported", "committed", "current")})  # fmt: skip
_GPU = made(
    Tee.NVIDIA, hardware_model="GH100 A01 GSP BROM", device_id=b"\x01", report_data=b"\x0a" * 32,
    details={"kind": "gpu", "architecture": "hopper", "driver_version": "550.90.07", "ueid": "17", "mode": "single",
             "vbios_version": "96.00.a5.00.01", "driver_rim": "d", "vbios_rim": "v", "measurements_compared": 40,
             "pdi": "aa", "fwid": "11" * 48},
)  # fmt: skip
_SWITCH = made(
    Tee.NVIDIA, hardware_model="LS10", device_id=b"\x02", report_data=b"\x0a" * 32,
    flags=frozenset({"protected_pcie"}),
    details={"kind": "switch", "architecture": "ls10", "vbios_version": "96.10.6d.00.01", "ueid": "18",
             "vbios_rim": "v", "measurements_compared": 8, "pdi": "bb", "own_pdi": "bb", "linked": "aa"},
)  # fmt: skip


def _policy(lines: str = _FLOOR, *, unchecked: str = "") -> Policy:
    tables = f"[snp]\n[nvidia]\n{lines}\n"
    left = f'[unchecked.snp]\nmeasurement = "tests of devices"\nminimum_tcb = "tests of devices"\n{unchecked}'
    return load_policy(document(Tee.SNP, tables, unchecked=left), source="test.toml")


def _judge(policy: Policy | None = None, *devices: Claims, **changes: Any) -> Appraisal:
    return judged(policy or _policy(), _CPU, devices=devices or (changed(_GPU, **changes),))


def test_a_sound_gpu_is_accepted() -> None:
    assert _judge().accepted, codes(_judge())


@pytest.mark.parametrize("flag", sorted(FLAGS))
def test_each_weakening_fact_is_refused_and_let_pass_by_its_own_word_alone(flag: str) -> None:
    code = f"nvidia.{flag.replace('_', '-')}"
    allowance = FLAGS[flag].allowance

    assert codes(_judge(flags=frozenset({flag}))) == [code]
    assert _judge(_policy(f'{_FLOOR}\nallow = ["{allowance}"]'), flags=frozenset({flag})).accepted
    others = [word for word in NVIDIA_ALLOWANCES if word != allowance]
    assert codes(_judge(_policy(f"{_FLOOR}\nallow = {others}"), flags=frozenset({flag}))) == [code]


def test_a_fact_that_nobody_here_knows_is_refused() -> None:
    assert codes(_judge(flags=frozenset({"something_new"}))) == ["nvidia.flag-not-known"]


@pytest.mark.parametrize(
    ("details", "code"),
    [
        ({"driver_version": "550.54.15"}, "nvidia.driver-below-minimum"),
        ({"driver_version": "550.90.6"}, "nvidia.driver-below-minimum"),
        ({"driver_version": None}, "nvidia.driver-below-minimum"),
        ({"driver_version": "not a version"}, "nvidia.driver-below-minimum"),
        ({"architecture": "ampere"}, "nvidia.architecture-not-accepted"),
        ({"mode": "unknown 7"}, "nvidia.mode-not-accepted"),
        ({"measurements_compared": 0}, "nvidia.no-reference-values"),
        ({"measurements_compared": None}, "nvidia.no-reference-values"),
    ],
)
def test_one_thing_wrong_with_a_gpu_is_one_refusal(details: dict[str, Any], code: str) -> None:
    assert code in codes(_judge(details=details))


@pytest.mark.parametrize("driver", ["550.90.07", "550.90.7", "550.90.12", "570.1", "1000.0.0"])
def test_versions_are_compared_number_by_number(driver: str) -> None:
    assert _judge(details={"driver_version": driver}).accepted


def test_reference_values_that_did_not_come_are_a_refusal_by_default() -> None:
    lacking = frozenset({"reference_values_missing"})
    partly = {"driver_rim": None}

    assert codes(_judge(flags=lacking)) == ["nvidia.no-reference-values"]
    assert _judge(_policy(f'{_FLOOR}\nreference_values = "vbios"'), flags=lacking, details=partly).accepted
    assert codes(_judge(_policy(f'{_FLOOR}\nreference_values = "driver"'), flags=lacking, details=partly)) == [
        "nvidia.no-reference-values"
    ]
    for wish in ("driver", "vbios"):  # that they came says nothing where nothing of them was compared
        policy = _policy(f'{_FLOOR}\nreference_values = "{wish}"')
        assert codes(_judge(policy, details={"measurements_compared": 0})) == ["nvidia.no-reference-values"]
    nothing = {"driver_rim": None, "vbios_rim": None, "measurements_compared": 0}
    assert _judge(_policy(f'{_FLOOR}\nreference_values = "none"'), flags=lacking, details=nothing).accepted


@pytest.mark.parametrize(
    ("lines", "details", "code"),
    [
        ('minimum_vbios = "96.00.A6.00.01"', {}, "nvidia.vbios-below-minimum"),
        ('minimum_vbios = "96.00.A5.00.01"', {}, None),
        ('minimum_vbios = {GB100 = "97.0"}', {}, "nvidia.vbios-below-minimum"),
        ('driver_version = ["550.90.08"]', {}, "nvidia.driver-version-not-accepted"),
        ('vbios_version = ["96.00.a5.00.01"]', {}, None),
        (f'fwid = ["{"22" * 48}"]', {}, "nvidia.fwid-not-accepted"),
        (f'fwid = ["{"11" * 48}"]', {"fwid": None}, "nvidia.fwid-not-accepted"),
        ('ueid = ["18"]', {}, "nvidia.ueid-not-accepted"),
        ('mode = ["multi"]', {}, "nvidia.mode-not-accepted"),
        ('mode = ["single"]', {"mode": None}, "nvidia.mode-not-accepted"),
        ("count = 2", {}, "nvidia.count-not-accepted"),
        ("minimum_count = 2", {}, "nvidia.count-not-accepted"),
        ("switches = 4", {}, "nvidia.switches-not-accepted"),
    ],
)
def test_what_a_policy_names_is_asked(lines: str, details: dict[str, Any], code: str | None) -> None:
    assert codes(_judge(_policy(f"{_FLOOR}\n{lines}"), details=details)) == ([] if code is None else [code])


def test_an_architecture_that_is_not_accepted_has_no_minimum_that_it_could_meet() -> None:
    refused = codes(_judge(_policy(f'{_FLOOR}\narchitectures = ["blackwell"]')))

    assert refused == ["nvidia.architecture-not-accepted", "nvidia.driver-below-minimum"]


def test_a_driver_of_any_age_takes_a_reason() -> None:
    old = {"driver_version": "535.104"}
    left_open = _policy("", unchecked='[unchecked.nvidia]\nminimum_driver = "measured elsewhere"\n')

    assert _judge(left_open, details=old).accepted
    with pytest.raises(MalformedError) as refused:
        _policy("")
    assert refused.value.code == "policy.no-minimum-driver"


def test_links_are_closed_unless_the_policy_leaves_them_open() -> None:
    linked = changed(_GPU, flags=frozenset({"protected_pcie"}), details={"linked": "bb", "mode": "protected-pcie"})
    stranger = changed(_SWITCH, details={"pdi": "cc", "own_pdi": "cc"})

    assert _judge(None, linked, _SWITCH).accepted
    assert codes(_judge(None, linked, stranger)) == ["nvidia.topology"]
    assert codes(_judge(None, linked)) == ["nvidia.topology"]
    open_ = _policy(f'{_FLOOR}\nallow = ["open_topology"]')
    assert _judge(open_, linked).accepted
    assert codes(_judge(open_, linked, linked)) == ["nvidia.topology"], "one device twice is no topology"


def test_a_verdict_holds_no_longer_than_each_of_its_devices() -> None:
    soon = Validity(not_before=AT.replace(year=2021), not_after=AT.replace(year=2027))
    verdict = _judge(None, changed(_GPU, validity=soon))

    assert verdict.accepted
    assert verdict.validity == soon
    assert _CPU.validity.not_after > soon.not_after


def test_one_device_under_two_certificates_is_one_device() -> None:
    again = changed(_GPU, device_id=b"\x09", details={"ueid": "99"})
    other = changed(again, details={"pdi": "ff"})

    assert _judge(None, _GPU, other).accepted
    assert codes(_judge(None, _GPU, again)) == ["nvidia.topology"]
    assert codes(_judge(_policy(f'{_FLOOR}\nallow = ["open_topology"]'), _GPU, again)) == ["nvidia.topology"]


def test_a_switch_says_no_mode_and_machines_with_switches_can_be_held_to_one() -> None:
    linked = changed(_GPU, flags=frozenset({"protected_pcie"}), details={"linked": "bb", "mode": "protected-pcie"})
    protected = _policy(f'{_FLOOR}\nmode = ["protected-pcie"]')

    assert _judge(protected, linked, _SWITCH).accepted
    assert codes(_judge(protected, changed(linked, details={"mode": None}), _SWITCH)) == ["nvidia.mode-not-accepted"]


def test_a_switch_is_asked_for_its_own_firmware() -> None:
    linked = changed(_GPU, flags=frozenset({"protected_pcie"}), details={"linked": "bb"})
    policy = _policy(f'{_FLOOR}\nminimum_switch_bios = "96.10.6E.00.00"')

    assert codes(_judge(policy, linked, _SWITCH)) == ["nvidia.switch-bios-below-minimum"]


def test_a_simulated_gpu_beside_a_genuine_cpu_is_refused_until_its_root_is_named() -> None:
    gpu = changed(_GPU, simulated=True, root=b"\x5e" * 32)

    appraisal = _judge(None, gpu)

    assert codes(appraisal) == ["trust.root-not-accepted"]
    assert appraisal.simulated


def test_a_device_whose_window_is_over_is_refused() -> None:
    late = AT.replace(year=2031)

    assert "gpu0.window" in [check.name for check in judged(_policy(), _CPU, devices=(_GPU,), at=late).failures]


def test_a_report_alone_is_judged_as_the_whole_set_and_vouches_for_no_guest() -> None:
    policy = load_policy(document(Tee.NVIDIA, f"[nvidia]\n{_FLOOR}\n",
                                  unchecked='report_data = "a report alone"\nfreshness = "a report alone"'),
                         source="test.toml")  # fmt: skip
    alone = Subject.evidence_alone(expected_report_data=None)

    assert appraise(policy, _GPU, subject=alone, at=AT).accepted
    assert codes(judged(policy, _GPU)) == ["trust.tee-not-accepted"]
