"""Checks on the hardware inside a cloud's wrapper, by its own rules or by those for such hardware anywhere."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sealroom.evidence import Check, Claims, Tee
from sealroom.policy.load_trust import WRAPPERS
from sealroom.policy.model import Policy
from sealroom.policy.snp import snp_checks
from sealroom.policy.tdx import tdx_checks
from sealroom.policy.trust import root_check

__all__ = ["inner_checks"]

_CHECKS: Mapping[Tee, Callable[[Policy, Claims], Iterator[Check]]] = {Tee.SNP: snp_checks, Tee.TDX: tdx_checks}
_FIELDS: Mapping[Tee, str] = {Tee.SNP: "snp", Tee.TDX: "tdx"}
_WITHOUT = frozenset({"token", "no_hardware_proof"})
"""Flags of a wrapper that say why nothing is in it. Each is refused unless the policy names it."""


def inner_checks(policy: Policy, claims: Claims) -> Iterator[Check]:
    """Every check on the hardware in ``claims``; none where evidence of this kind wraps none.

    ``[azure-vtpm.snp]`` before ``[snp]``: a cloud's firmware and launch are seldom those of one's own machines.
    Without either, the hardware is refused: nobody said what it may be.
    """
    inner = claims.inner
    if inner is None:
        if claims.tee in WRAPPERS and not claims.flags & _WITHOUT:
            yield _empty(claims)
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


def _empty(claims: Claims) -> Check:
    """A wrapper that has nothing in it and does not say why: no reader of ours makes such claims."""
    return Check(name=f"{claims.tee.value}.inner", got="none", wanted="the hardware's own evidence", passed=False,
                 source="default", code="policy.no-inner-evidence",
                 fix="have the hardware's own report sent along")  # fmt: skip
