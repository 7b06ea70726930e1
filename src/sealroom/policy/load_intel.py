"""The tables ``[tdx]`` and ``[sgx]`` of a policy (``spec/policy.md`` sections 2.3.2 and 2.3.3)."""

from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType

from sealroom.errors import MalformedError
from sealroom.policy.document import Table
from sealroom.policy.model import INTEL_STATUSES, SGX_ALLOWANCES, TDX_ALLOWANCES, IntelRules, SgxRules, TdxRules
from sealroom.policy.pinning import not_both, pinned_or_unchecked

__all__ = ["sgx_rules", "tdx_rules"]

_PLATFORM = ("tcb_status", "minimum_tcb_date", "accepted_advisories", "minimum_tcb_evaluation_number", "fmspc",
             "ppid", "allow")  # fmt: skip
_TDX = {
    "mr_td": 48, "rtmr0": 48, "rtmr1": 48, "rtmr2": 48, "rtmr3": 48, "mr_config_id": 48, "mr_owner": 48,
    "mr_owner_config": 48, "mr_seam": 48, "mr_service_td": 48,
}  # fmt: skip
_SGX = {"mr_enclave": 32, "mr_signer": 32, "config_id": 64, "isv_family_id": 16, "isv_ext_prod_id": 16}
"""Measurements by their sizes in bytes."""
_CURRENT = ("UpToDate",)


def tdx_rules(top: Table, unchecked: Mapping[str, str]) -> TdxRules:
    """Read ``[tdx]``.

    A TD is its firmware and everything that this starts: MRTD alone would let any kernel in.

    Raises:
        MalformedError: ``policy.*``.
    """
    table = top.table("tdx", (*_TDX, *_PLATFORM))
    pinned_or_unchecked(table, "mr_td", unchecked, by="measurement")
    for register in ("rtmr1", "rtmr2"):
        pinned_or_unchecked(table, register, unchecked, by="rtmr" if "rtmr" in unchecked else "measurement")
    for register in ("rtmr0", "rtmr3"):
        if register in table:
            not_both(table, register, unchecked, by="rtmr")
    return TdxRules(measurements=_measurements(table, _TDX), platform=_platform(table, TDX_ALLOWANCES))


def sgx_rules(top: Table, unchecked: Mapping[str, str]) -> SgxRules:
    """Read ``[sgx]``.

    A signer signs many things: naming one takes the product and the oldest version that is accepted of it.

    Raises:
        MalformedError: ``policy.*``.
    """
    table = top.table("sgx", (*_SGX, "isv_prod_id", "minimum_isv_svn", *_PLATFORM))
    if "mr_enclave" not in table and "mr_signer" not in table:
        pinned_or_unchecked(table, "mr_enclave", unchecked, by="measurement")
    elif "measurement" in unchecked:
        not_both(table, "mr_enclave" if "mr_enclave" in table else "mr_signer", unchecked, by="measurement")
    if "mr_signer" in table and "mr_enclave" not in table:
        table.must_have("isv_prod_id", "minimum_isv_svn")
    return SgxRules(
        measurements=_measurements(table, _SGX),
        isv_prod_id=table.integers("isv_prod_id", low=0, high=0xFFFF),
        minimum_isv_svn=table.integer("minimum_isv_svn", low=0, high=0xFFFF, default=0)
        if "minimum_isv_svn" in table
        else None,
        platform=_platform(table, SGX_ALLOWANCES),
    )


def _measurements(table: Table, sizes: Mapping[str, int]) -> Mapping[str, tuple[bytes, ...]]:
    return MappingProxyType({name: table.hexes(name, size) for name, size in sizes.items() if name in table})


def _platform(table: Table, allowances: Sequence[str]) -> IntelRules:
    return IntelRules(
        tcb_status=table.choices("tcb_status", INTEL_STATUSES) or _CURRENT,
        minimum_tcb_date=_date(table),
        accepted_advisories=table.texts("accepted_advisories"),
        minimum_evaluation_number=table.integer("minimum_tcb_evaluation_number", low=0, high=2**31, default=0),
        fmspc=table.hexes("fmspc", 6),
        ppid=table.hexes("ppid", 16),
        allow=frozenset(table.choices("allow", allowances)),
        named=frozenset(table),
    )


def _date(table: Table) -> date | None:
    text = table.text("minimum_tcb_date")
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise MalformedError("policy.bad-value", "the policy has a date that is none",
                             where=table.where("minimum_tcb_date"), got=text,
                             expected="2026-02-11") from None  # fmt: skip
