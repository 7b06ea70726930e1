"""Checks on TDX and SGX claims (``spec/policy.md`` sections 2.3.2 and 2.3.3).

Offsets and bits are the matter of ``tees``; here are only the facts that they hand on, by name.
"""

from collections.abc import Iterator, Mapping, Sequence

from sealroom.evidence import Check, Claims
from sealroom.policy.checks import accepted_bytes, accepted_word, hex_or_none, left_open, one_of
from sealroom.policy.model import IntelRules, Policy, SgxRules, TdxRules

__all__ = ["sgx_checks", "tdx_checks"]

_TDX_FLAGS = {
    "td_debug": ("debug", "start the TD without DEBUG: with it, the host reads its memory"),
    "migratable": ("migratable", "start the TD without MIGRATABLE"),
    "sept_ve_disable_off": (
        "sept_ve_disable_off",
        "start the TD with SEPT_VE_DISABLE (Azure's paravisor leaves it off)",
    ),
    "perfmon": ("perfmon", "start the TD without PERFMON"),
    "mr_service_td_nonzero": ("service_td", "start the TD without a service TD, or name mr_service_td"),
    "xfam_unknown_bit": ("xfam_unknown_bit", "use a release that knows this processor's features"),
    "td_attributes_reserved": (None, "start the TD without attributes for testing"),
    "xfam_required_bit_clear": (None, "no TDX module makes such a TD: find out what this is"),
}
_SGX_FLAGS = {
    "enclave_debug": ("debug", "start the enclave without DEBUG: with it, the host reads its memory"),
    "provision_key": ("provision_key", "build the enclave without PROVISION_KEY"),
    "einittoken_key": ("einittoken_key", "build the enclave without EINITTOKEN_KEY"),
    "not_initialised": (None, "start the enclave as a whole: its measurement is not finished"),
    "attributes_unknown": (None, "use a release that knows these attributes"),
}
"""Every flag of the claims: what a policy must name to let it pass (None: nothing does), and how to mend it."""

_UP_TO_DATE, _OUT_OF_DATE = "UpToDate", "OutOfDate"


def tdx_checks(policy: Policy, rules: TdxRules, claims: Claims) -> Iterator[Check]:
    """Every check on a TD and its platform."""
    pinned_service = rules.measurements.get("mr_service_td", ())
    accepted_service = claims.measurements.get("mr_service_td") in pinned_service
    allowed = rules.platform.allow | ({"service_td"} if accepted_service else frozenset())
    yield from _flags("tdx", _TDX_FLAGS, allowed, claims, rules.platform)
    for name in ("mr_td", "rtmr1", "rtmr2"):
        if name not in rules.measurements:
            key = "rtmr" if name != "mr_td" and "rtmr" in policy.unchecked else "measurement"
            yield left_open(policy, key, f"tdx.{name.replace('_', '-')}", hex_or_none(claims.measurements.get(name)))
    yield from _measurements("tdx", rules.measurements, claims)
    yield from _platform("tdx", rules.platform, claims)


def sgx_checks(policy: Policy, rules: SgxRules, claims: Claims) -> Iterator[Check]:
    """Every check on an enclave and its platform."""
    yield from _flags("sgx", _SGX_FLAGS, rules.platform.allow, claims, rules.platform)
    if not {"mr_enclave", "mr_signer"} & rules.measurements.keys():
        yield left_open(policy, "measurement", "sgx.mr-enclave", hex_or_none(claims.measurements.get("mr_enclave")))
    yield from _measurements("sgx", rules.measurements, claims)
    if rules.isv_prod_id:
        product = claims.details.get("isv_prod_id")
        yield _check("sgx.isv-prod-id", str(product), one_of([str(one) for one in rules.isv_prod_id]),
                     passed=product in rules.isv_prod_id, source="policy: [sgx] isv_prod_id",
                     fix="run the product that the policy names")  # fmt: skip
    if rules.minimum_isv_svn is not None:
        svn = claims.details.get("isv_svn")
        yield _check("sgx.isv-svn", str(svn), f"at least {rules.minimum_isv_svn}",
                     passed=isinstance(svn, int) and svn >= rules.minimum_isv_svn,
                     source="policy: [sgx] minimum_isv_svn", fix="run a newer release of the enclave")  # fmt: skip
    yield from _platform("sgx", rules.platform, claims)


def _flags(
    tee: str, known: Mapping[str, tuple[str | None, str]], allowed: frozenset[str], claims: Claims, rules: IntelRules
) -> Iterator[Check]:
    for flag, (allowance, fix) in known.items():
        lets_pass = allowance is not None and allowance in allowed
        found = flag in claims.flags
        yield Check(
            name=f"{tee}.{flag.replace('_', '-')}",
            got="yes" if found else "no",
            wanted="either" if lets_pass else "no",
            passed=not found or lets_pass,
            source=f"policy: [{tee}] allow" if lets_pass and "allow" in rules.named else "default",
            code=f"{tee}.{flag.replace('_', '-')}",
            fix=fix + (f', or accept it: [{tee}] allow = ["{allowance}"]' if allowance else ""),
        )
    unknown = sorted(claims.flags - known.keys())
    yield Check(name=f"{tee}.other-flags", got=", ".join(unknown) or "none", wanted="none", passed=not unknown,
                source="default", code=f"{tee}.flag-not-known",
                fix="this release can not judge these facts: use one that can")  # fmt: skip


def _measurements(tee: str, pinned: Mapping[str, tuple[bytes, ...]], claims: Claims) -> Iterator[Check]:
    for name, accepted in pinned.items():
        yield accepted_bytes(f"{tee}.{name.replace('_', '-')}", claims.measurements.get(name), accepted,
                             source=f"policy: [{tee}] {name}",
                             fix="run the software that the policy names, or measure this one and add it",
                             )  # fmt: skip


def _platform(tee: str, rules: IntelRules, claims: Claims) -> Iterator[Check]:
    status = claims.tcb_status or "none"
    source = _source(tee, rules, "tcb_status")
    yield accepted_word(f"{tee}.tcb-status", status, rules.tcb_status, source=source,
                        fix=f"update the platform's firmware and software, or accept it: [{tee}] tcb_status",
                        )  # fmt: skip
    yield from _part_statuses(tee, rules, claims, source)
    if rules.accepted_advisories:
        others = sorted(set(claims.advisories) - set(rules.accepted_advisories))
        yield _check(f"{tee}.advisories", ", ".join(claims.advisories) or "none",
                     "none but " + ", ".join(rules.accepted_advisories), passed=not others,
                     source=f"policy: [{tee}] accepted_advisories",
                     fix=f"mend what {', '.join(others)} describe, or accept them" if others else "")  # fmt: skip
    if rules.minimum_tcb_date is not None:
        got = claims.tcb_date
        yield _check(f"{tee}.tcb-date", "none" if got is None else got.date().isoformat(),
                     f"{rules.minimum_tcb_date.isoformat()} or later",
                     passed=got is not None and got.date() >= rules.minimum_tcb_date,
                     source=f"policy: [{tee}] minimum_tcb_date", fix="update the platform")  # fmt: skip
    yield from _evaluation_number(tee, rules, claims)
    yield from _machines(tee, rules, claims)


def _part_statuses(tee: str, rules: IntelRules, claims: Claims, source: str) -> Iterator[Check]:
    """The enclave and the module by themselves: out of date already shows in the whole, anything else does not."""
    accepted: Sequence[str] = tuple(dict.fromkeys((_UP_TO_DATE, *rules.tcb_status)))
    if claims.tcb_status != _UP_TO_DATE and claims.tcb_status in rules.tcb_status:
        accepted = (*accepted, _OUT_OF_DATE)
    for part, fix in (("qe_status", "update the platform's quoting enclave"),
                      ("tdx_module_status", "update the platform's TDX module")):  # fmt: skip
        got = claims.details.get(part)
        if got is not None or part == "qe_status":
            yield accepted_word(f"{tee}.{part.replace('_', '-')}", str(got), accepted, source=source, fix=fix)


def _evaluation_number(tee: str, rules: IntelRules, claims: Claims) -> Iterator[Check]:
    if not rules.minimum_evaluation_number:
        return
    got = claims.details.get("tcb_evaluation_data_number")
    yield _check(f"{tee}.evaluation-number", str(got), f"at least {rules.minimum_evaluation_number}",
                 passed=isinstance(got, int) and got >= rules.minimum_evaluation_number,
                 source=f"policy: [{tee}] minimum_tcb_evaluation_number",
                 fix="fetch current collateral")  # fmt: skip


def _machines(tee: str, rules: IntelRules, claims: Claims) -> Iterator[Check]:
    if rules.fmspc:
        got = claims.details.get("fmspc")
        yield accepted_bytes(f"{tee}.fmspc", bytes.fromhex(str(got)), rules.fmspc, source=f"policy: [{tee}] fmspc",
                             fix="use a platform of an accepted kind")  # fmt: skip
    if rules.ppid:
        yield accepted_bytes(f"{tee}.ppid", claims.device_id, rules.ppid, source=f"policy: [{tee}] ppid",
                             fix="use one of the named machines")  # fmt: skip


def _source(tee: str, rules: IntelRules, key: str) -> str:
    return f"policy: [{tee}] {key}" if key in rules.named else "default"


def _check(name: str, got: str, wanted: str, *, passed: bool, source: str, fix: str) -> Check:
    return Check(
        name=name, got=got, wanted=wanted, passed=passed, source=source, code=f"{name}-not-accepted", fix=fix
    )
