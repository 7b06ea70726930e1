"""What a policy asks of an enclave: each check alone refuses, and the code says which."""

import pytest
from intel_machine import (
    ENCLAVE,
    SGX_DEBUG,
    SGX_EINITTOKEN,
    SGX_INIT,
    SGX_MODE64,
    SGX_PROVISION,
    IntelMachine,
    pins,
)
from policy_machine import failed

from sealroom.errors import MalformedError
from sealroom.evidence import Tee
from sealroom.policy.model import SGX_ALLOWANCES
from sealroom.policy.sgx import FLAGS

_MR_ENCLAVE, _MR_SIGNER = {"mr_enclave": ENCLAVE["mr_enclave"]}, {"mr_signer": ENCLAVE["mr_signer"]}
_BY_BUILD = pins(_MR_ENCLAVE)
_BY_SIGNER = pins(_MR_SIGNER, isv_prod_id="[7]", minimum_isv_svn="3")
_SOUND = SGX_INIT | SGX_MODE64
_WEAK = {
    "enclave_debug": _SOUND | SGX_DEBUG,
    "provision_key": _SOUND | SGX_PROVISION,
    "einittoken_key": _SOUND | SGX_EINITTOKEN,
    "not_initialised": SGX_MODE64,
    "attributes_unknown": _SOUND | 1 << 40,
}


@pytest.mark.parametrize("lines", [_BY_BUILD, _BY_SIGNER])
def test_a_sound_enclave_is_accepted_by_its_build_or_by_its_signer(intel: IntelMachine, lines: str) -> None:
    assert intel.judge(intel.policy(Tee.SGX, lines), Tee.SGX, intel.enclave()).accepted


def test_another_build_is_refused_by_build_and_accepted_by_signer(intel: IntelMachine) -> None:
    raw = intel.enclave(mr_enclave=b"\x02" * 32)

    assert failed(intel.judge(intel.policy(Tee.SGX, _BY_BUILD), Tee.SGX, raw)) == ["sgx.mr-enclave-not-accepted"]
    assert intel.judge(intel.policy(Tee.SGX, _BY_SIGNER), Tee.SGX, raw).accepted


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"mr_signer": b"\x01" * 32}, "sgx.mr-signer-not-accepted"),
        ({"isv_prod_id": 8}, "sgx.isv-prod-id-not-accepted"),
        ({"isv_svn": 2}, "sgx.isv-svn-not-accepted"),
        ({"isv_svn": 4}, None),
    ],
)
def test_a_signer_is_asked_for_product_and_version(
    intel: IntelMachine, fields: dict[str, int | bytes], code: str | None
) -> None:
    codes = failed(intel.judge(intel.policy(Tee.SGX, _BY_SIGNER), Tee.SGX, intel.enclave(**fields)))

    assert codes == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("lines", "unchecked", "code"),
    [
        ("", "", "policy.nothing-pinned"),
        ('config_id = ["' + "00" * 64 + '"]', "", "policy.nothing-pinned"),
        (pins(_MR_SIGNER), "", "policy.missing-key"),
        (pins(_MR_SIGNER, isv_prod_id="[7]"), "", "policy.missing-key"),
        (pins(_MR_SIGNER, minimum_isv_svn="3"), "", "policy.missing-key"),
        (_BY_BUILD, 'measurement = "why"', "policy.contradiction"),
        (_BY_SIGNER, 'measurement = "why"', "policy.contradiction"),
        ('mr_enclave = ["' + "00" * 48 + '"]', "", "policy.bad-value"),
    ],
)
def test_what_is_not_pinned_is_said_or_refused(intel: IntelMachine, lines: str, unchecked: str, code: str) -> None:
    with pytest.raises(MalformedError) as error:
        intel.policy(Tee.SGX, lines, unchecked=unchecked)
    assert error.value.code == code


def test_an_enclave_may_be_left_open_by_name_and_every_verdict_says_so(intel: IntelMachine) -> None:
    policy = intel.policy(Tee.SGX, "", unchecked='measurement = "any"')

    appraisal = intel.judge(policy, Tee.SGX, intel.enclave(mr_enclave=bytes(32)))
    assert appraisal.accepted
    assert "sgx.mr-enclave" in {check.name for check in appraisal.checks if check.code == "policy.unchecked"}


@pytest.mark.parametrize(
    ("name", "size"), [("config_id", 64), ("isv_family_id", 16), ("isv_ext_prod_id", 16), ("mr_signer", 32)]
)
def test_each_further_measurement_is_compared_where_it_is_named(intel: IntelMachine, name: str, size: int) -> None:
    value = b"\x77" * size
    policy = intel.policy(Tee.SGX, pins({**_MR_ENCLAVE, name: value}))

    assert intel.judge(policy, Tee.SGX, intel.enclave(**{name: value})).accepted
    assert failed(intel.judge(policy, Tee.SGX, intel.enclave())) == [f"sgx.{name.replace('_', '-')}-not-accepted"]


@pytest.mark.parametrize("flag", FLAGS)
def test_each_weakening_fact_is_refused_by_its_name_unless_allowed_by_its_own(intel: IntelMachine, flag: str) -> None:
    raw = intel.enclave(attributes=_WEAK[flag])

    assert failed(intel.judge(intel.policy(Tee.SGX, _BY_BUILD), Tee.SGX, raw)) == [f"sgx.{flag.replace('_', '-')}"]
    for allowance in SGX_ALLOWANCES:
        policy = intel.policy(Tee.SGX, _BY_BUILD + f'\nallow = ["{allowance}"]')
        assert intel.judge(policy, Tee.SGX, raw).accepted is (FLAGS[flag].allowance == allowance), allowance


def test_every_allowance_is_somebodys() -> None:
    assert {flag.allowance for flag in FLAGS.values()} - {None} == set(SGX_ALLOWANCES)


def test_a_flag_that_the_policy_does_not_know_is_refused(
    intel: IntelMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(FLAGS, "provision_key")

    raw = intel.enclave(attributes=_WEAK["provision_key"])
    assert failed(intel.judge(intel.policy(Tee.SGX, _BY_BUILD), Tee.SGX, raw)) == ["sgx.flag-not-known"]


def test_platform_and_quoting_enclave_are_asked_for_as_of_a_td(intel: IntelMachine) -> None:
    policy = intel.policy(Tee.SGX, _BY_BUILD)

    for forms, codes in (
        ({}, []),
        ({"tcb_info": intel.tcb_info(Tee.SGX, "OutOfDate")}, ["sgx.tcb-status-not-accepted"]),
        ({"qe_identity": intel.qe_identity(Tee.SGX, "SWHardeningNeeded")}, ["sgx.qe-status-not-accepted"]),
        (
            {"qe_identity": intel.qe_identity(Tee.SGX, "OutOfDate")},
            ["sgx.tcb-status-not-accepted", "sgx.qe-status-not-accepted"],
        ),
    ):
        assert failed(intel.judge(policy, Tee.SGX, intel.enclave(), **forms)) == codes
