"""What a policy asks of a realm or a PSA device: each check alone refuses, and the code says which."""

from typing import Any

import pytest
from made_claims import changed, codes, judged, made, policy_for

from sealroom.errors import MalformedError
from sealroom.evidence import Tee
from sealroom.policy.cca import FLAGS

_REALM = made(
    Tee.CCA, signer="CPAK", hardware_model="CCA realm",
    measurements={"rim": b"\x01" * 32, "rem0": bytes(32), "rpv": bytes(64), "implementation_id": b"\x02" * 32,
                  "instance_id": b"\x01" * 33, "sw.BL": b"\x0b" * 32},
    details={"token": "cca", "lifecycle": "secured", "platform_profile": "tag:arm.com,2023:cca_platform#1.0.0",
             "sw_version.BL": "1.10.2", "sw_signer.BL": "0c" * 32},
)  # fmt: skip
_DEVICE = made(
    Tee.CCA, signer="IAK", hardware_model="PSA device",
    measurements={"implementation_id": b"\x02" * 32, "instance_id": b"\x01" * 33, "sw.BL": b"\x0b" * 32},
    details={"token": "psa", "lifecycle": "secured", "platform_profile": "tag:psacertified.org,2023:psa#tfm",
             "sw_version.BL": "1.10.2", "sw_signer.BL": "0c" * 32},
)  # fmt: skip
_RIM = f'[cca]\nrim = ["{"01" * 32}"]\n'
_PSA = f'[cca]\ntoken = ["psa"]\n[cca.components.BL]\nmeasurement = ["{"0b" * 32}"]\n'


def test_a_realm_is_accepted_by_its_initial_measurement_and_a_device_by_its_firmware() -> None:
    assert judged(policy_for(Tee.CCA, _RIM), _REALM).accepted
    assert judged(policy_for(Tee.CCA, _PSA), _DEVICE).accepted


@pytest.mark.parametrize("flag", sorted(FLAGS))
def test_each_weakening_fact_is_refused_and_let_pass_by_its_own_word_alone(flag: str) -> None:
    weak = changed(_REALM, flags=frozenset({flag}))

    assert codes(judged(policy_for(Tee.CCA, _RIM), weak)) == [f"cca.{flag.replace('_', '-')}"]
    assert judged(policy_for(Tee.CCA, f'{_RIM}allow = ["{FLAGS[flag].allowance}"]\n'), weak).accepted


@pytest.mark.parametrize(
    ("lines", "changes", "code"),
    [
        ("", {"measurements": {"rim": b"\x02" * 32}}, "cca.rim-not-accepted"),
        ("", {"details": {"lifecycle": "decommissioned"}, "flags": frozenset({"not_secured"})},
         "cca.lifecycle-not-accepted"),
        ('lifecycle = ["decommissioned"]', {"details": {"lifecycle": "decommissioned"},
                                            "flags": frozenset({"not_secured"})}, None),
        ("", {"flags": frozenset({"new"})}, "cca.flag-not-known"),
        (f'rem0 = ["{"aa" * 32}"]', {}, "cca.rem0-not-accepted"),
        (f'rpv = ["{"aa" * 64}"]', {}, "cca.rpv-not-accepted"),
        (f'implementation_id = ["{"aa" * 32}"]', {}, "cca.implementation-id-not-accepted"),
        ('platform_profile = ["another"]', {}, "cca.platform-profile-not-accepted"),
        (f'[cca.components.BL]\nmeasurement = ["{"aa" * 32}"]', {}, "cca.component-not-accepted"),
        (f'[cca.components.RMM]\nmeasurement = ["{"0b" * 32}"]', {}, "cca.component-not-accepted"),
        (f'[cca.components.RMM]\nsigner_id = ["{"0c" * 32}"]', {}, "cca.component-not-accepted"),
        (f'[cca.components.BL]\nsigner_id = ["{"aa" * 32}"]', {}, "cca.component-signer-not-accepted"),
        (f'[cca.components.BL]\nsigner_id = ["{"0c" * 32}"]', {}, None),
        ('[cca.components.BL]\nminimum_version = "1.10.3"', {}, "cca.component-below-minimum"),
        ('[cca.components.BL]\nminimum_version = "1.9.9"', {}, None),
        ('[cca.components.BL]\nminimum_version = "1.9"', {"measurements": {"sw.BL.3": b"\x0b" * 32}},
         "cca.component-below-minimum"),
        (f'[cca.components.BL]\nmeasurement = ["{"0b" * 32}"]', {"measurements": {"sw.BL.3": b"\xaa" * 32}},
         "cca.component-not-accepted"),
    ],
)  # fmt: skip
def test_one_thing_wrong_is_one_refusal(lines: str, changes: dict[str, Any], code: str | None) -> None:
    refused = codes(judged(policy_for(Tee.CCA, f"{_RIM}{lines}\n"), changed(_REALM, **changes)))

    assert code in refused if code else not refused


def test_a_device_is_no_realm() -> None:
    assert "cca.token-not-accepted" in codes(judged(policy_for(Tee.CCA, _RIM), _DEVICE))
    assert "cca.token-not-accepted" in codes(judged(policy_for(Tee.CCA, _PSA), _REALM))


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("", "policy.nothing-pinned"),
        (f'rem0 = ["{"01" * 32}"]', "policy.nothing-pinned"),
        ('token = ["psa"]', "policy.nothing-pinned"),
        ('token = ["psa"]\n[cca.components.BL]\nminimum_version = "1.0"', "policy.nothing-pinned"),
        (f'rim = ["{"01" * 31}"]', "policy.bad-value"),
        (f'rim = ["{"01" * 32}"]\n[cca.components.BL]', "policy.bad-value"),
        (f'rim = ["{"01" * 32}"]\n[cca.components.BL]\nminimum_version = "new"', "policy.bad-value"),
    ],
)
def test_a_table_that_pins_nothing_is_no_policy(lines: str, code: str) -> None:
    with pytest.raises(MalformedError) as refused:
        policy_for(Tee.CCA, f"[cca]\n{lines}\n")

    assert refused.value.code == code
