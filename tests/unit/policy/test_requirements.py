"""An expression passes only if it is true; everything else, errors included, is a refusal."""

import pytest
from policy_machine import AT, REPORT_DATA, Machine, failed

from sealroom.errors import MalformedError
from sealroom.evidence import Appraisal
from sealroom.policy import InitData, Policy, Subject, appraise

_INIT_DATA = InitData(facts={"sealroom.model": "smollm2"}, digest=bytes(32))


def _policy(machine: Machine, when: str) -> Policy:
    return machine.policy_with(
        header="[[require]]", lines=f"when = '''{when}'''\nbecause = \"it matters\"\nfix = \"do\""
    )


def _judge(machine: Machine, when: str, subject: Subject | None = None) -> Appraisal:
    policy = _policy(machine, when)
    subject = subject or Subject.guest(expected_report_data=REPORT_DATA, init_data=_INIT_DATA)
    return appraise(policy, machine.claims(policy), subject=subject, at=AT)


@pytest.mark.parametrize(
    "when",
    [
        "claims.details.abi_major >= 0",
        "claims.tee == 'snp' && claims.hardware_model in ['Genoa', 'Milan']",
        "claims.tcb.reported.microcode >= 84",
        "claims.measurements.measurement.startsWith('4d4d')",
        "!('guest_debug' in claims.flags)",
        "claims.flags.all(flag, flag == 'smt_allowed')",
        "claims.simulated",
        "claims.device_id != null",
        "init_data['sealroom.model'] == 'smollm2'",
        "size(claims.report_data) == 128",
    ],
)
def test_a_true_expression_passes(machine: Machine, when: str) -> None:
    assert _judge(machine, when).accepted


@pytest.mark.parametrize(
    "when",
    [
        "claims.tee == 'tdx'",
        "false",
        "1",
        "'true'",
        "claims.flags",
        "claims",
        "null",
        "claims.nothing",
        "claims.details.nothing == 1",
        "claims.details.abi_major / 0 == 1",
        "claims.details.version + 9223372036854775807 > 0",
        "claims.tee < 1",
        "claims.flags[7] == 'x'",
        "claims.tee.matches('(')",
        "statement.model_version >= 1",
    ],
)
def test_anything_but_true_is_a_failed_check(machine: Machine, when: str) -> None:
    appraisal = _judge(machine, when)

    assert failed(appraisal) == ["policy.requirement"]
    assert appraisal.failures[0].fix == "do"
    assert "it matters" in appraisal.failures[0].wanted


@pytest.mark.parametrize(
    "when",
    [
        "claims.tee ==",
        "((((",
        "",
        "misspelt == 1",
        "true || misspelt",
        "true || misspelt(1)",
        "claims.flags.exists(flag, flag == other)",
        "environ.HOME == 'x'",
    ],
)
def test_an_expression_that_can_not_mean_anything_is_an_error_of_the_document(machine: Machine, when: str) -> None:
    with pytest.raises(MalformedError) as refused:
        _policy(machine, when)

    assert refused.value.code in {"policy.bad-expression", "policy.bad-value"}


def test_each_requirement_has_its_own_number_and_all_are_asked(machine: Machine) -> None:
    two = "when = 'claims.nothing'\nbecause = 'a'\n[[require]]\nwhen = 'false'\nbecause = 'b'"
    policy = machine.policy_with(header="[[require]]", lines=two)

    appraisal = machine.judge(policy)

    assert [check.name for check in appraisal.failures] == ["require.1", "require.2"]
