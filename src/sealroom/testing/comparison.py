"""Compares what a vector expects with what came out, to the type and the letter."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sealroom.evidence import Claims
from sealroom.policy import Subject, appraise, default_policy
from sealroom.testing.outcome import Outcome
from sealroom.testing.vector_store import Expectation, VectorCase

__all__ = ["Comparison", "compare_accepted", "compare_refused"]

_REMARKS = frozenset({"note", "label_maker_errors"})
"""Words for people among the fields."""
_NONCE_ROOM = 64
"""Bytes of report data that every TEE has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Where an outcome is not as expected. All empty: it is as expected."""

    flags_missing: tuple[str, ...] = ()
    differ: tuple[str, ...] = ()
    """Names of fields and of other expectations that came out otherwise."""
    unanswered: tuple[str, ...] = ()
    """Expectations of which the runner says nothing, so that nobody compared them."""


def compare_accepted(case: VectorCase, outcome: Outcome) -> Comparison:
    """Compare everything that the vector expects of evidence that we accepted."""
    wanted = [case.expect]
    if case.expect.verdict == "implementation_defined" and case.expect.if_accepted is not None:
        wanted.append(case.expect.if_accepted)
    differ: list[str] = []
    unanswered: list[str] = []
    missing: set[str] = set()
    for expect in wanted:
        missing |= (expect.policy_flags or frozenset()) - outcome.flags
        differ += [*_status(expect, outcome), *_differing(expect.fields or {}, outcome.fields)]
        differ += _differing({key: expect.facts[key] for key in expect.facts if key in outcome.facts}, outcome.facts)
        unanswered += [key for key in expect.facts if key not in outcome.facts]
        for name, answer in (("default_policy", _default_policy(case, expect, outcome.claims)),
                             ("nonce_file", _nonce(case, expect, outcome.claims))):  # fmt: skip
            differ += [name] if answer is False else []
            unanswered += [name] if answer is None else []
    return Comparison(flags_missing=tuple(sorted(missing)), differ=tuple(dict.fromkeys(differ)),
                      unanswered=tuple(dict.fromkeys(unanswered)))  # fmt: skip


def compare_refused(case: VectorCase, outcome: Outcome) -> Comparison:
    """Compare what the runner stated beside its refusal; the verdict is all that binds where it stated nothing."""
    differ = [*_status(case.expect, outcome)] if outcome.tcb_status is not None else []
    stated = {key: case.expect.facts[key] for key in case.expect.facts if key in outcome.facts}
    differ += _differing(stated, outcome.facts)
    wanted = case.expect.fields or {}
    differ += _differing({name: wanted[name] for name in wanted if name in outcome.fields}, outcome.fields)
    return Comparison(differ=tuple(dict.fromkeys(differ)))


def _status(expect: Expectation, outcome: Outcome) -> Iterator[str]:
    if expect.tcb_status not in {None, outcome.tcb_status}:
        yield "tcb_status"


def _differing(wanted: Mapping[str, object], got: Mapping[str, object]) -> Iterator[str]:
    for name, value in wanted.items():
        if name in _REMARKS:
            continue
        if name not in got or _canonical(name, got[name]) != _canonical(name, value):
            yield name


def _canonical(name: str, value: object) -> str:
    """As JSON: 1 is not true, and a list is a list. Lists of identifiers are sets: no vendor orders them."""
    if name.endswith("_ids") and isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        value = sorted(value)
    return json.dumps(value, sort_keys=True)


def _default_policy(case: VectorCase, expect: Expectation, claims: Claims | None) -> bool | None:
    """Whether the built-in policy says what it must; None: nobody can say."""
    if expect.default_policy in {None, "operator decides"}:
        return True
    if expect.default_policy not in {"refuse", "accept"} or claims is None:
        return None
    policy = default_policy(insecure_simulated=[claims.root] if claims.simulated else ())
    subject = Subject.evidence_alone(expected_report_data=None)
    accepted = appraise(policy, claims, subject=subject, at=case.verify_at).accepted
    return accepted is (expect.default_policy == "accept")


def _nonce(case: VectorCase, expect: Expectation, claims: Claims | None) -> bool | None:
    """Whether the report data is the nonce; None: nobody can say."""
    if expect.nonce_file is None:
        return True
    nonce = case.file(expect.nonce_file)
    if len(nonce) > _NONCE_ROOM:
        raise case.malformed("the nonce is longer than report data")
    return None if claims is None else claims.report_data == nonce.ljust(_NONCE_ROOM, b"\0")
