"""Another model, an old version, a missing sandbox, foreign init-data: each is refused for its own reason."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from policy_machine import AT, HOST_DATA, REPORT_DATA, Machine, failed

from sealroom.evidence import Appraisal
from sealroom.policy import InitData, Policy, Subject, appraise, load_policy
from sealroom.statement import RoomStatement

_STATEMENT = RoomStatement(
    nonce=bytes(32),
    key_configs=b"keys",
    model_name="SmolLM2",
    model_version=3,
    model_digest=b"\x11" * 32,
    package_digest=b"\x22" * 32,
    engine_name="llama.cpp",
    engine_version="1",
    engine_config_digest=b"\x33" * 32,
    sandbox_layers=("landlock", "seccomp"),
    software_version="0.1.0",
    created_at=AT,
    not_after=AT + timedelta(hours=1),
)
_MODEL = f"""\
[model]
name = "SmolLM2"
digest = ["sha256:{"11" * 32}"]
package_digest = ["sha256:{"22" * 32}"]
minimum_version = 3
"""
_ENGINE = f"""\
[engine]
name = ["llama.cpp"]
config_digest = ["sha256:{"33" * 32}"]
sandbox_layers = ["landlock"]
"""


def _room(machine: Machine, *, seconds: float = 0, document: str = _MODEL + _ENGINE, **changes: Any) -> Appraisal:
    policy = load_policy(machine.document + document, source="test.toml")
    statement = replace(_STATEMENT, **changes)
    subject = Subject.room(statement, expected_report_data=REPORT_DATA, nonce_answered=True)
    return appraise(policy, machine.claims(policy), subject=subject, at=AT + timedelta(seconds=seconds))


def test_the_room_that_the_policy_describes_is_accepted(machine: Machine) -> None:
    assert _room(machine).accepted


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model_name": "Other"}, "model.name-not-accepted"),
        ({"model_digest": bytes(32)}, "model.digest-not-accepted"),
        ({"package_digest": bytes(32)}, "model.package-digest-not-accepted"),
        ({"model_version": 2}, "model.version-below-minimum"),
        ({"engine_name": "vllm"}, "engine.name-not-accepted"),
        ({"engine_config_digest": bytes(32)}, "engine.config-digest-not-accepted"),
        ({"sandbox_layers": ("seccomp",)}, "engine.sandbox-layer-missing"),
        ({"sandbox_layers": ()}, "engine.sandbox-layer-missing"),
        ({"sandbox_layers": ("landlock", "insecure-missing-layers-allowed")}, "engine.insecure-layer"),
        ({"seconds": 3601}, "statement.expired"),
        ({"seconds": -61}, "statement.not-yet-valid"),
        ({"not_after": AT + timedelta(seconds=10), "seconds": 11}, "statement.expired"),
        ({"not_after": AT + timedelta(days=9), "seconds": 3601}, "statement.expired"),
    ],
)
def test_each_difference_alone_is_refused_for_its_own_reason(
    machine: Machine, changes: dict[str, Any], code: str
) -> None:
    assert failed(_room(machine, **changes)) == [code]


def test_clocks_may_differ_by_a_minute(machine: Machine) -> None:
    assert _room(machine, seconds=-60).accepted


def test_a_policy_without_a_model_refuses_every_room_unless_it_says_why(machine: Machine) -> None:
    assert failed(_room(machine, document=_ENGINE)) == ["policy.no-model"]
    assert _room(machine, document='model = "any will do here"\n' + _ENGINE).accepted


def test_a_policy_without_an_engine_refuses_every_room_unless_it_says_why(machine: Machine) -> None:
    assert failed(_room(machine, document=_MODEL)) == ["policy.no-engine"]
    left_open = _room(machine, document='engine = "a laboratory"\n' + _MODEL)

    assert left_open.accepted
    (shown,) = [check for check in left_open.checks if check.name == "engine"]
    assert shown.code == "policy.unchecked"
    assert "a laboratory" in shown.wanted
    for stated in ("llama.cpp", "33" * 32, "landlock, seccomp"):
        assert stated in shown.got


_PINNED = f'config_digest = ["sha256:{"33" * 32}"]\n'


@pytest.mark.parametrize("engine", ["[engine]\n" + _PINNED, ""])
def test_an_insecure_layer_is_refused_even_where_layers_are_not_pinned_or_the_engine_is_left_open(
    machine: Machine, engine: str
) -> None:
    """An engine without its sandbox must not pass because nobody thought of asking."""
    document = ("" if engine else 'engine = "any"\n') + _MODEL + engine
    appraisal = _room(machine, document=document, sandbox_layers=("landlock", "insecure-stub"))

    assert failed(appraisal) == ["engine.insecure-layer"]
    assert "insecure-stub" in appraisal.failures[0].got


def test_an_insecure_layer_passes_where_the_policy_names_it_and_no_other_does(machine: Machine) -> None:
    document = _MODEL + "[engine]\n" + _PINNED + 'insecure_layers = ["insecure-stub"]\n'

    named = _room(machine, document=document, sandbox_layers=("insecure-stub",))
    assert named.accepted
    assert "insecure-stub" in next(check.got for check in named.checks if check.name == "engine.insecure-layers")
    assert _room(machine, document=document).accepted
    other = _room(machine, document=document, sandbox_layers=("insecure-stub", "insecure-missing-layers-allowed"))
    assert failed(other) == ["engine.insecure-layer"]


def test_evidence_without_our_nonce_is_not_fresh_unless_the_policy_leaves_it_open(machine: Machine) -> None:
    for document, codes in (("", ["freshness.no-nonce"]), ('freshness = "a recording"\n', [])):
        policy = load_policy(machine.document + document + _MODEL + _ENGINE, source="test.toml")
        subject = Subject.room(_STATEMENT, expected_report_data=REPORT_DATA, nonce_answered=False)
        assert failed(appraise(policy, machine.claims(policy), subject=subject, at=AT)) == codes


def test_evidence_alone_is_refused_where_nothing_says_what_it_is_bound_to(machine: Machine) -> None:
    policy = machine.policy()
    subject = Subject.evidence_alone(expected_report_data=None)

    assert failed(appraise(policy, machine.claims(policy), subject=subject, at=AT)) == [
        "binding.report-data", "freshness.no-nonce",
    ]  # fmt: skip


def test_other_report_data_than_expected_is_a_failed_check_too(machine: Machine) -> None:
    other = Subject.guest(expected_report_data=bytes(64), init_data=None)

    assert failed(machine.judge(subject=other)) == ["binding.report-data"]


def _guest_policy(machine: Machine, wanted: str = '"sealroom.model" = "smollm2"') -> Policy:
    head = machine.document.partition("[unchecked]")[0]
    return load_policy(f"{head}[init_data]\n{wanted}\n", source="test.toml")


def _guest(machine: Machine, policy: Policy, facts: Mapping[str, str] | None, digest: bytes = HOST_DATA) -> list[str]:
    data = None if facts is None else InitData(facts=facts, digest=digest)
    return failed(machine.judge(policy, subject=Subject.guest(expected_report_data=REPORT_DATA, init_data=data)))


def test_a_guest_gets_the_key_of_the_model_for_which_it_was_started_and_of_no_other(machine: Machine) -> None:
    policy = _guest_policy(machine)

    assert _guest(machine, policy, {"sealroom.model": "smollm2", "more": "is no harm"}) == []
    assert _guest(machine, policy, {"sealroom.model": "other"}) == ["init-data.not-accepted"]
    assert _guest(machine, policy, {}) == ["init-data.not-accepted"]


def test_init_data_that_the_evidence_does_not_carry_counts_for_nothing(machine: Machine) -> None:
    policy = _guest_policy(machine)

    assert _guest(machine, policy, {"sealroom.model": "smollm2"}, bytes(32)) == ["binding.init-data"]
    assert _guest(machine, policy, None) == ["binding.init-data", "init-data.not-accepted"]


def test_a_policy_that_says_nothing_of_init_data_releases_nothing(machine: Machine) -> None:
    silent = load_policy(machine.document.partition("[unchecked]")[0], source="test.toml")

    assert _guest(machine, silent, {"sealroom.model": "smollm2"}) == ["policy.no-init-data"]
    assert _guest(machine, silent, None) == ["policy.no-init-data"]
