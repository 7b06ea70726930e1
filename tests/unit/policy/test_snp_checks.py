"""A machine that is weaker than the policy wants is refused, for its own reason and with what to do."""

from dataclasses import replace

import pytest
from policy_machine import AT, HOST_DATA, MEASUREMENT, REPORT_DATA, Machine, failed, honest_document

from sealroom.errors import MisuseError, UnverifiedError
from sealroom.evidence import CLAIMED, Appraisal, PolicyRefusedError, Tee, TrustRoots
from sealroom.policy import Subject, appraise, load_policy
from sealroom.tees.snp.layout import SigningKey
from sealroom.tees.snp.tcb import Product
from sealroom.testing.snp import DEFAULT_POLICY, POLICY_DEBUG, POLICY_MIGRATE_MA, SnpPlatform, SnpVendor, tcb_bytes

_CXL = 1 << 21
_SMT = 1 << 16


def test_the_machine_that_the_policy_describes_is_accepted_and_called_simulated(machine: Machine) -> None:
    appraisal = machine.judge()

    assert appraisal.accepted
    assert appraisal.simulated
    assert appraisal.failures == ()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"guest_policy": DEFAULT_POLICY | POLICY_DEBUG}, "snp.debug"),
        ({"guest_policy": DEFAULT_POLICY | POLICY_MIGRATE_MA}, "snp.migration-agent"),
        ({"guest_policy": DEFAULT_POLICY | _CXL}, "snp.cxl"),
        ({"chip_id": bytes(64)}, "snp.chip-id-masked"),
        ({"vmpl": 1}, "snp.vmpl-not-accepted"),
        ({"vmpl": 3}, "snp.vmpl-not-accepted"),
        ({"vmpl": 0xFFFFFFFF}, "snp.vmpl-not-accepted"),
        ({"measurement": bytes(48)}, "snp.measurement-not-accepted"),
    ],
)
def test_each_weakness_alone_is_refused_for_its_own_reason(machine: Machine, changes: dict, code: str) -> None:
    assert failed(machine.judge(**changes)) == [code]


@pytest.mark.parametrize(
    ("allowance", "changes"),
    [
        ("debug", {"guest_policy": DEFAULT_POLICY | POLICY_DEBUG}),
        ("migrate_ma", {"guest_policy": DEFAULT_POLICY | POLICY_MIGRATE_MA}),
        ("cxl", {"guest_policy": DEFAULT_POLICY | _CXL}),
        ("masked_chip_id", {"chip_id": bytes(64)}),
    ],
)
def test_a_weakness_passes_only_where_the_policy_names_it(machine: Machine, allowance: str, changes: dict) -> None:
    named = machine.policy(allow=f'["smt", "{allowance}"]')

    assert machine.judge(named, **changes).accepted


def test_a_policy_that_does_not_name_smt_refuses_a_guest_that_may_run_with_it(machine: Machine) -> None:
    strict = load_policy(machine.document.replace('allow = ["smt"]\n', ""), source="test.toml")

    assert failed(machine.judge(strict)) == ["snp.smt"]
    assert machine.judge(strict, guest_policy=DEFAULT_POLICY & ~_SMT).accepted


def test_all_reasons_are_given_and_not_only_the_first(machine: Machine) -> None:
    worst = machine.judge(
        guest_policy=DEFAULT_POLICY | POLICY_DEBUG | POLICY_MIGRATE_MA, vmpl=2, measurement=bytes(48)
    )

    assert failed(worst) == [
        "snp.vmpl-not-accepted", "snp.debug", "snp.migration-agent", "snp.measurement-not-accepted",
    ]  # fmt: skip
    with pytest.raises(PolicyRefusedError) as refused:
        worst.require_accepted()
    assert "4 reasons" in str(refused.value)


def test_every_failed_check_says_what_was_got_wanted_where_from_and_how_to_mend_it(machine: Machine) -> None:
    for check in machine.judge(vmpl=2, measurement=bytes(48), chip_id=bytes(64)).failures:
        assert all((check.got, check.wanted, check.source, check.code, check.fix)), check


@pytest.mark.parametrize("product", list(Product))
@pytest.mark.parametrize("kind", ["reported", "committed"])
def test_each_part_of_the_tcb_alone_below_the_minimum_is_refused(
    machine: Machine, product: Product, kind: str
) -> None:
    chip = SnpPlatform.create(product, vendor=SnpVendor.create(product, keys=machine.platform.vendor))
    newer = chip.at_tcb(**{part: level + 1 for part, level in chip.tcb.items()})
    policy = load_policy(honest_document(newer), source="test.toml")
    assert machine.judge(policy, platform=newer).accepted

    for part in newer.tcb:
        old = newer.at_tcb(**{part: newer.tcb[part] - 1})
        if kind == "reported":  # and so is what the chip may fall back to
            appraisal = machine.judge(policy, platform=old)
            assert failed(appraisal) == ["snp.tcb-below-minimum"] * 2
        else:  # reported as new, while the platform may fall back behind it
            appraisal = machine.judge(policy, platform=newer, committed_tcb=tcb_bytes(product, old.tcb))
            assert failed(appraisal) == ["snp.tcb-below-minimum", "snp.tcb-order"]
        assert part in appraisal.failures[0].fix


def test_a_new_part_does_not_outweigh_an_old_one(machine: Machine) -> None:
    tcb = machine.platform.tcb
    mixed = machine.platform.at_tcb(bootloader=tcb["bootloader"] - 1, microcode=tcb["microcode"] + 50)

    assert failed(machine.judge(platform=mixed)) == ["snp.tcb-below-minimum"] * 2


def test_a_committed_tcb_above_the_current_one_is_refused(machine: Machine) -> None:
    below = {**machine.platform.tcb, "microcode": machine.platform.tcb["microcode"] - 1}

    assert failed(machine.judge(current_tcb=tcb_bytes(Product.GENOA, below))) == ["snp.tcb-order"]


def test_a_current_tcb_above_the_reported_one_is_no_reason_to_refuse(machine: Machine) -> None:
    above = {**machine.platform.tcb, "microcode": machine.platform.tcb["microcode"] + 1}

    assert machine.judge(current_tcb=tcb_bytes(Product.GENOA, above)).accepted


def test_a_product_without_a_minimum_is_refused_and_its_tcb_is_not_taken_as_good(machine: Machine) -> None:
    milan = SnpPlatform.create(Product.MILAN, vendor=SnpVendor.create(Product.MILAN, keys=machine.platform.vendor))
    root = f'["sha256:{milan.root_fingerprint.hex()}"]'

    appraisal = machine.judge(machine.policy(insecure_simulated=root), platform=milan)

    assert failed(appraisal) == ["snp.product-not-accepted", *["snp.tcb-below-minimum"] * 2]


def test_a_vlek_is_refused_unless_named_and_then_needs_no_chip_id(machine: Machine) -> None:
    cloud = replace(machine.platform, kind=SigningKey.VLEK)
    named = machine.policy_with(header="[snp]", lines='signing_key = ["VLEK", "VCEK"]')

    assert failed(machine.judge(platform=cloud)) == ["snp.signing-key-not-accepted"]
    assert machine.judge(named, platform=cloud).accepted


def test_a_check_says_whether_its_wish_comes_from_the_policy_or_is_the_default(machine: Machine) -> None:
    named = machine.policy_with(header="[snp]", lines="vmpl = [0]")

    def source(appraisal: Appraisal) -> str:
        return next(check.source for check in appraisal.checks if check.name == "snp.vmpl")

    assert source(machine.judge()) == "default"
    assert source(machine.judge(named)) == "policy: [snp] vmpl"


def test_a_masked_chip_id_equals_no_named_chip_not_even_where_masking_is_allowed(machine: Machine) -> None:
    here = machine.policy_with(header="[snp]", lines=f'chip_id = ["{machine.platform.chip_id.hex()}"]')
    elsewhere = machine.policy_with(header="[snp]", lines=f'chip_id = ["{"ab" * 64}"]')

    assert machine.judge(here).accepted
    assert failed(machine.judge(elsewhere)) == ["snp.chip-id-not-accepted"]
    assert failed(machine.judge(here, chip_id=bytes(64))) == ["snp.chip-id-not-accepted"]


def test_the_short_chip_id_of_turin_is_taken_in_either_length(machine: Machine) -> None:
    turin = SnpPlatform.create(Product.TURIN, vendor=SnpVendor.create(Product.TURIN, keys=machine.platform.vendor))
    for written in (turin.chip_id, turin.chip_id.ljust(64, b"\x00")):
        document = honest_document(turin).replace("[snp]\n", f'[snp]\nchip_id = ["{written.hex()}"]\n')
        assert machine.judge(load_policy(document, source="test.toml"), platform=turin).accepted


@pytest.mark.parametrize(
    ("line", "accepted", "changes"),
    [
        (f'host_data = ["{HOST_DATA.hex()}"]', True, {}),
        (f'host_data = ["{"00" * 32}"]', False, {}),
        (f'id_key_digest = ["{"01" * 48}"]', False, {}),
        (f'id_key_digest = ["{"01" * 48}", "{"02" * 48}"]', True, {"id_key_digest": b"\x02" * 48}),
        (f'author_key_digest = ["{"01" * 48}"]', False, {}),
        (f'family_id = ["{"01" * 16}"]', False, {}),
        (f'image_id = ["{"01" * 16}"]', True, {"image_id": b"\x01" * 16}),
        ("minimum_guest_svn = 2", False, {"guest_svn": 1}),
        ("minimum_guest_svn = 2", True, {"guest_svn": 2}),
        ("vmpl = [1, 2]", True, {"vmpl": 2}),
        ("vmpl = [1, 2]", False, {"vmpl": 0}),
    ],
)
def test_what_the_policy_pins_beyond_the_measurement_is_compared(
    machine: Machine, line: str, accepted: bool, changes: dict
) -> None:
    appraisal = machine.judge(machine.policy_with(header="[snp]", lines=line), **changes)

    assert appraisal.accepted is accepted
    assert len(appraisal.failures) == (0 if accepted else 1)


def test_a_simulated_root_that_the_policy_does_not_name_is_not_even_verified(machine: Machine) -> None:
    line = f'insecure_simulated = ["sha256:{machine.platform.root_fingerprint.hex()}"]\n'
    silicon_only = load_policy(machine.document.replace(line, ""), source="test.toml")

    with pytest.raises(UnverifiedError):
        machine.claims(silicon_only)


def test_claims_verified_under_a_simulated_root_are_refused_by_a_policy_that_does_not_name_it(
    machine: Machine,
) -> None:
    claims = machine.claims(machine.policy())
    other = machine.policy(insecure_simulated=f'["sha256:{"00" * 32}"]')

    appraisal = appraise(
        other, claims, subject=Subject.guest(expected_report_data=REPORT_DATA, init_data=None), at=AT
    )

    assert failed(appraisal) == ["trust.root-not-accepted"]
    assert appraisal.simulated


def test_a_fact_that_no_rule_knows_is_refused_and_not_overlooked(machine: Machine) -> None:
    claims = machine.claims(machine.policy())
    with_new_flag = replace(claims, flags=claims.flags | {"shadow_stack_off"}, warrant=CLAIMED)

    appraisal = appraise(machine.policy(), with_new_flag,
                         subject=Subject.guest(expected_report_data=REPORT_DATA, init_data=None), at=AT)  # fmt: skip

    assert failed(appraisal) == ["snp.flag-not-known"]


def test_evidence_of_a_tee_that_the_policy_does_not_name_is_refused(machine: Machine) -> None:
    claims = replace(machine.claims(machine.policy()), tee=Tee.TDX, warrant=CLAIMED)
    subject = Subject.guest(expected_report_data=REPORT_DATA, init_data=None)

    assert failed(appraise(machine.policy(), claims, subject=subject, at=AT)) == ["trust.tee-not-accepted"]


def test_evidence_outside_the_window_of_its_chain_is_refused(machine: Machine) -> None:
    policy = machine.policy()
    late = AT.replace(year=2099)

    subject = Subject.guest(expected_report_data=REPORT_DATA, init_data=None)
    appraisal = appraise(policy, machine.claims(policy), subject=subject, at=late)

    assert failed(appraisal) == ["trust.expired"]


def test_a_time_without_a_zone_is_our_callers_mistake(machine: Machine) -> None:
    policy = machine.policy()

    with pytest.raises(MisuseError):
        appraise(policy, machine.claims(policy), subject=Subject.evidence_alone(expected_report_data=None),
                 at=AT.replace(tzinfo=None))  # fmt: skip


def test_what_is_left_open_shows_as_passed_by_the_policys_own_word(machine: Machine) -> None:
    line = f'measurement = ["{MEASUREMENT.hex()}"]\n'
    opened = load_policy(
        machine.document.replace(line, "") + 'measurement = "the image changes daily"\n', source="test.toml"
    )

    appraisal = machine.judge(opened, measurement=bytes(48))

    check = next(check for check in appraisal.checks if check.name == "snp.measurement")
    assert appraisal.accepted
    assert check.passed
    assert check.wanted == "not checked, by the policy's own word: the image changes daily"
    assert check.source == "policy: [unchecked] measurement"
    assert check.got == "00" * 48


def test_trust_roots_are_those_that_the_policy_names_and_no_others(machine: Machine) -> None:
    assert machine.policy().trust_roots == TrustRoots(
        insecure_simulated=frozenset({machine.platform.root_fingerprint})
    )
    assert machine.policy().trust.tees == (Tee.SNP,)


def test_a_revocation_list_that_was_left_out_is_seen_and_refused_where_one_is_required(machine: Machine) -> None:
    """Whoever hands out the evidence hands out the list; leaving it out must not go unnoticed."""
    crl = machine.platform.vendor.crl()
    required = machine.policy_with(header="[snp]", lines='revocation_list = "required"')

    without = machine.judge(required)
    assert failed(without) == ["snp.no-revocation-list"]
    assert without.failures[0].source == "policy: [snp] revocation_list"
    assert machine.judge(required, crl=crl).accepted


def test_without_that_wish_the_verdict_says_whether_there_was_a_list(machine: Machine) -> None:
    def shown(appraisal: Appraisal) -> str:
        assert appraisal.accepted
        return next(check.got for check in appraisal.checks if check.name == "snp.revocation-list")

    assert shown(machine.judge()) == "no revocation list came with the evidence"
    assert shown(machine.judge(crl=machine.platform.vendor.crl())).startswith("checked, the list holds until 20")
