"""Checks on the hardware inside a cloud's wrapper, by its own rules or by those for such hardware anywhere."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sealroom.evidence import Check, Claims, Tee
from sealroom.policy.model import Policy
from sealroom.policy.snp import snp_checks
from sealroom.policy.tdx import tdx_checks
from sealroom.policy.trust import root_check

__all__ = ["inner_checks"]

_CHECKS: Mapping[Tee, Callable[[Policy, Claims], Iterator[Check]]] = {Tee.SNP: snp_checks, Tee.TDX: tdx_checks}
_FIELDS: Mapping[Tee, str] = {Tee.SNP: "snp", Tee.TDX: "tdx"}


def inner_checks(policy: Policy, claims: Claims) -> Iterator[Check]:
    """Every check on the hardware in ``claims``; none where there is no hardware's own evidence.

    ``[azure-vtpm.snp]`` before ``[snp]``: a cloud's firmware and launch are seldom those of one's own machines.
    Without either, the hardware is refused: nobody said what it may be.
    """
    inner = claims.inner
    if inner is None:
        return
    path = f"{claims.tee.value}.{inner.tee.value}"
    if inner.root != claims.root:
        yield replace(root_check(policy, inner), name="trust.inner-root")
    if path in policy.inner:
        changes: dict[str, Any] = {_FIELDS[inner.tee]: policy.inner[path], "scope": path}
        for check in _CHECKS[inner.tee](replace(policy, **changes), inner):
            yield replace(check, source=check.source.replace(f"[{inner.tee.value}", f"[{path}"))
    elif inner.tee in _CHECKS and getattr(policy, _FIELDS[inner.tee]) is not None:
        yield from _CHECKS[inner.tee](replace(policy, scope=inner.tee.value), inner)
    else:
        yield Check(
            name=f"{claims.tee.value}.inner",
            got=f"{inner.tee.value}, {inner.hardware_model}",
            wanted="hardware for which the policy has rules",
            passed=False,
            source="default",
            code="policy.no-inner-rules",
            fix=f"add a table [{path}] or [{inner.tee.value}] with what this hardware may be",
        )
