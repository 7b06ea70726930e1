"""What a policy and a verdict say to the people who must answer for them."""

import json

import pytest
from policy_machine import MEASUREMENT, Machine
from test_policy_documents import WHOLE

from sealroom.policy import appraisal_as_dict, default_policy, explain, load_policy, render_appraisal


def test_the_explanation_names_everything_that_is_pinned_and_everything_that_is_not() -> None:
    text = explain(load_policy(WHOLE, source="demo.toml"))

    for expected in (
        "ab" * 48, "cd" * 32, "microcode 84", "SmolLM2-135M-Instruct", "version 2 or later", "llama.cpp", "landlock",
        "LETS PASS the layer insecure-stub",
        "sealroom.model", "claims.details.abi_major >= 1", "older firmware is not tested", "SIMULATED root",
        "revocation list: required", "refuses: debug",
        "refuses: migrate_ma", "NOT CHECKED", "freshness: recordings", "600 seconds",
    ):  # fmt: skip
        assert expected in text


def test_the_explanation_warns_of_what_a_policy_lets_pass() -> None:
    text = explain(load_policy(WHOLE.replace('allow = ["smt"]', 'allow = ["debug"]'), source="x"))

    assert "LETS PASS debug guests" in text


def test_the_explanation_says_that_a_service_s_token_stands_for_the_hardware() -> None:
    document = (
        'policy = 1\nname = "x"\n[trust]\ntees = ["{0}"]\n[{0}]\nkind = ["{1}"]\nissuer = ["i"]\n'
        '[unchecked]\nmeasurement = "x"\n'
    )
    for tee, kind, warned in (("azure-vtpm", "maa", True), ("azure-vtpm", "quote", False),
                              ("gcp", "confidential-space", True), ("gcp", "quote", False)):  # fmt: skip
        text = explain(load_policy(document.format(tee, kind), source="x"))
        assert (f"LETS PASS tokens ({kind})" in text) is warned


@pytest.mark.parametrize(
    ("tee", "lines", "more", "nothing"),
    [
        ("cca", f'rim = ["{"0f" * 32}"]', "", "NOTHING of cca yet"),
        ("cca", f'rim = ["{"0f" * 32}"]', f'device_keys = ["sha256:{"0f" * 32}"]', ""),
        ("tpm", f'pcr04 = ["{"0f" * 32}"]', "", "NOTHING of tpm yet"),
        ("azure-vtpm", f'pcr04 = ["{"0f" * 32}"]', "", "NOTHING of azure-vtpm by quote yet"),
        ("azure-vtpm", f'pcr04 = ["{"0f" * 32}"]\n[azure-vtpm.tdx]\nmr_td = ["{"0f" * 48}"]', "", ""),
        ("gcp", f'pcr04 = ["{"0f" * 32}"]', "", "NOTHING of gcp by quote yet"),
        ("gcp", f'pcr04 = ["{"0f" * 32}"]\nallow = ["no_hardware_evidence"]', "", ""),
        ("gcp", f'kind = ["confidential-space"]\nimage_digest = ["sha256:{"0f" * 32}"]', "", ""),
    ],
)
def test_the_explanation_says_of_what_nothing_can_be_accepted(tee: str, lines: str, more: str, nothing: str) -> None:
    document = f'policy = 1\nname = "x"\n[trust]\ntees = ["{tee}"]\n{more}\n[{tee}]\n{lines}\n'
    if ".tdx]" in lines:
        document += '[unchecked]\nrtmr = "the wrapper measures what is started"\n'

    text = explain(load_policy(document, source="x"))
    assert nothing in text
    assert ("NOTHING" in text) is bool(nothing)


def test_the_explanation_of_a_policy_that_leaves_nothing_open_says_so() -> None:
    closed = WHOLE.partition("[unchecked]")[0]

    assert "Nothing is left unchecked by hand." in explain(load_policy(closed, source="x"))


def test_a_verdict_on_simulated_hardware_says_so_whatever_it_is(machine: Machine) -> None:
    for appraisal in (machine.judge(), machine.judge(vmpl=1)):
        assert "SIMULATED" in render_appraisal(appraisal)
        assert appraisal_as_dict(appraisal)["simulated"] is True


def test_a_refusal_shows_every_reason_with_got_wanted_source_and_fix(machine: Machine) -> None:
    appraisal = machine.judge(vmpl=1, measurement=bytes(48))
    text = render_appraisal(appraisal)

    assert text.startswith("REFUSED for 2 reasons")
    for check in appraisal.failures:
        assert all(part in text for part in (check.code, check.got, check.wanted, check.source, check.fix))


def test_an_acceptance_says_what_was_not_checked(machine: Machine) -> None:
    text = render_appraisal(machine.judge())

    assert text.startswith('ACCEPTED by policy "test"')
    assert "not checked  init-data" in text
    assert "1 thing not checked, by the policy's own word" in text


def test_the_json_of_a_verdict_has_exactly_the_members_that_programs_rely_on(machine: Machine) -> None:
    verdict = json.loads(json.dumps(appraisal_as_dict(machine.judge(measurement=bytes(48)))))

    assert set(verdict) == {"accepted", "simulated", "checks"}
    assert verdict["accepted"] is False
    assert all(
        set(check) == {"check", "got", "wanted", "passed", "source", "code", "fix"} for check in verdict["checks"]
    )
    (failure,) = [check for check in verdict["checks"] if not check["passed"]]
    assert failure["check"] == "snp.measurement"
    assert failure["wanted"] == MEASUREMENT.hex()


def test_the_built_in_default_explains_itself_too() -> None:
    assert "no policy was given" in explain(default_policy())
