"""Checks on SEV-SNP claims (``spec/policy.md`` section 2.3).

Offsets and bits are the matter of ``tees/snp``; here are only the facts that it hands on, by name.
"""

from collections.abc import Iterator, Mapping

from sealroom.evidence import Check, Claims
from sealroom.policy.checks import accepted_bytes, accepted_word, left_open
from sealroom.policy.model import Policy, SnpRules

__all__ = ["ALLOWANCES", "snp_checks"]

ALLOWANCES = {
    "guest_debug": "debug",
    "migrate_ma": "migrate_ma",
    "smt_allowed": "smt",
    "cxl_allowed": "cxl",
    "chip_id_masked": "masked_chip_id",
}
"""Flags of SNP claims, and what a policy must name to let each pass."""

_HOST_VMPL = 0xFFFFFFFF
_ASKED_ELSEWHERE = frozenset(ALLOWANCES) | {"committed_tcb_above_current"}
"""Flags of SNP claims for which there is a check of their own; ``vmpl_N`` too."""


def snp_checks(policy: Policy, claims: Claims) -> Iterator[Check]:
    """Every check on an SNP guest and its platform; none under a policy without ``[snp]``."""
    if (rules := policy.snp) is None:
        return
    yield accepted_word("snp.product", claims.hardware_model, rules.products, source=_source(rules, "products"),
                        fix="use an accepted product line, or name this one with its minimum_tcb")  # fmt: skip
    yield accepted_word("snp.signing-key", claims.signer, rules.signing_key, source=_source(rules, "signing_key"),
                        fix="VLEK reports name no chip: accept them only from a cloud that is trusted to "
                        "place guests, with signing_key")  # fmt: skip
    yield _revocation_list(rules, claims)
    yield _chip_id(rules, claims)
    yield _vmpl(rules, claims)
    yield from _guest_policy(rules, claims)
    yield _other_flags(claims)
    yield _measurement(policy, rules, claims)
    yield from _tcb(policy, rules, claims)
    yield from _pinned_if_named(policy, rules, claims)


def _revocation_list(rules: SnpRules, claims: Claims) -> Check:
    """Made always: the list comes from whoever hands out the evidence, and leaving it out must be seen."""
    checked = claims.details.get("revocation") == "checked"
    until = claims.details.get("revocation_until")
    return Check(
        name="snp.revocation-list",
        got=f"checked, the list holds until {until}" if checked else "no revocation list came with the evidence",
        wanted="a revocation list" if rules.revocation_list_required else "either",
        passed=checked or not rules.revocation_list_required,
        source=_source(rules, "revocation_list"),
        code="snp.no-revocation-list",
        fix="have the vendor's current revocation list sent along with the evidence (collateral `crl`)",
    )


def _source(rules: SnpRules, key: str) -> str:
    return f"policy: [snp] {key}" if key in rules.named else "default"


def _chip_id(rules: SnpRules, claims: Claims) -> Check:
    if rules.chip_id:
        chip_id = None if claims.device_id is None else claims.device_id.ljust(64, b"\x00")
        return accepted_bytes("snp.chip-id", chip_id, rules.chip_id, source="policy: [snp] chip_id",
                              fix="use one of the named machines; a masked chip id equals none")  # fmt: skip
    masked = claims.device_id is None
    inherent = claims.signer == "VLEK"  # which never names a chip; whether VLEK is acceptable is asked above
    return Check(
        name="snp.chip-id",
        got="masked" if masked else "named",
        wanted="any (a VLEK names none)" if inherent else "named",
        passed=not masked or inherent or "masked_chip_id" in rules.allow,
        source=_allow_source(rules, "masked_chip_id"),
        code="snp.chip-id-masked",
        fix='the platform hides its chip (MaskChipId): have it named, or [snp] allow = ["masked_chip_id"]',
    )


def _vmpl(rules: SnpRules, claims: Claims) -> Check:
    got = claims.details.get("vmpl")
    return Check(
        name="snp.vmpl",
        got="asked for by the host" if got == _HOST_VMPL else str(got),
        wanted=", ".join(str(level) for level in rules.vmpl),
        passed=got in rules.vmpl,
        source=_source(rules, "vmpl"),
        code="snp.vmpl-not-accepted",
        fix="ask for evidence at an accepted privilege level, or name this one in [snp] vmpl",
    )


def _guest_policy(rules: SnpRules, claims: Claims) -> Iterator[Check]:
    for name, flag, fix in (
        ("debug", "guest_debug", "start the guest without DEBUG: with it, the host reads its memory"),
        ("migration-agent", "migrate_ma", "start the guest without MIGRATE_MA"),
        ("smt", "smt_allowed", 'start the guest without SMT, or accept it: [snp] allow = ["smt"]'),
        ("cxl", "cxl_allowed", 'start the guest without CXL, or accept it: [snp] allow = ["cxl"]'),
    ):
        found, allowance = flag in claims.flags, ALLOWANCES[flag]
        yield Check(
            name=f"snp.{name}",
            got="allowed by the guest policy" if found else "not allowed by the guest policy",
            wanted="either" if allowance in rules.allow else "not allowed by the guest policy",
            passed=not found or allowance in rules.allow,
            source=_allow_source(rules, allowance),
            code=f"snp.{name}",
            fix=fix,
        )


def _other_flags(claims: Claims) -> Check:
    """A fact that weakens protection and that this file does not know is refused, not overlooked."""
    unknown = sorted(flag for flag in claims.flags - _ASKED_ELSEWHERE if not flag.startswith("vmpl_"))
    return Check(name="snp.other-flags", got=", ".join(unknown) or "none", wanted="none", passed=not unknown,
                 source="default", code="snp.flag-not-known",
                 fix="this release can not judge these facts: use one that can")  # fmt: skip


def _allow_source(rules: SnpRules, allowance: str) -> str:
    return "policy: [snp] allow" if allowance in rules.allow else "default"


def _measurement(policy: Policy, rules: SnpRules, claims: Claims) -> Check:
    got = claims.measurements.get("measurement")
    if policy.leaves_open("measurement"):
        return left_open(policy, "measurement", "snp.measurement", "none" if got is None else got.hex())
    return accepted_bytes("snp.measurement", got, rules.measurement, source="policy: [snp] measurement",
                          fix="run the software that the policy names, or measure this one and add it")  # fmt: skip


def _tcb(policy: Policy, rules: SnpRules, claims: Claims) -> Iterator[Check]:
    floor = rules.minimum_tcb.get(claims.hardware_model)
    for kind in ("reported", "committed"):
        found = claims.tcb.get(kind, {})
        name = f"snp.tcb.{kind}"
        if floor is not None:
            yield _floor(name, found, floor, claims.hardware_model)
        elif policy.leaves_open("minimum_tcb"):
            yield left_open(policy, "minimum_tcb", name, _in_words(found))
        else:  # a product that the policy does not accept: its own check has failed, and no floor is no pass
            yield Check(name=name, got=_in_words(found), wanted="a product with a minimum TCB", passed=False,
                        source="policy: [snp] minimum_tcb", code="snp.tcb-below-minimum",
                        fix=f"name [snp.minimum_tcb.{claims.hardware_model}]")  # fmt: skip
    yield _order(claims)


def _floor(name: str, found: Mapping[str, int], floor: Mapping[str, int], product: str) -> Check:
    low = [part for part, least in floor.items() if found.get(part, -1) < least]
    return Check(
        name=name,
        got=_in_words(found),
        wanted=", ".join(f"{part} ≥ {least}" for part, least in floor.items()),
        passed=not low,
        source=f"policy: [snp.minimum_tcb.{product}]",
        code="snp.tcb-below-minimum",
        fix=f"update the firmware of the machine ({', '.join(low)} too old)" if low else "",
    )


def _order(claims: Claims) -> Check:
    """Reported ≤ committed ≤ current in every part: otherwise the platform can go back behind what it reports."""
    reported, committed, current = (claims.tcb.get(kind, {}) for kind in ("reported", "committed", "current"))
    parts = sorted({*reported, *committed, *current})
    wrong = [
        part for part in parts if not reported.get(part, 256) <= committed.get(part, -1) <= current.get(part, -1)
    ]
    return Check(
        name="snp.tcb.order",
        got=f"out of order in {', '.join(wrong)}" if wrong else "in order",
        wanted="reported ≤ committed ≤ current in every part",
        passed=bool(parts) and not wrong,
        source="default",
        code="snp.tcb-order",
        fix="commit the platform's firmware, so that it can not be rolled back behind what it reports",
    )


def _pinned_if_named(policy: Policy, rules: SnpRules, claims: Claims) -> Iterator[Check]:
    """What only reference files name is asked for too, and refused where none of them came."""
    for field in ("host_data", "id_key_digest", "author_key_digest", "family_id", "image_id"):
        accepted: tuple[bytes, ...] = getattr(rules, field)
        if accepted or field in policy.supplied(policy.scope):
            name = f"snp.{field.replace('_', '-')}"
            yield accepted_bytes(name, claims.measurements.get(field), accepted, source=f"policy: [snp] {field}",
                                 fix=f"start the guest with an accepted {field}")  # fmt: skip
    if rules.minimum_guest_svn:
        got = claims.details.get("guest_svn")
        yield Check(
            name="snp.guest-svn",
            got=str(got),
            wanted=f"at least {rules.minimum_guest_svn}",
            passed=isinstance(got, int) and got >= rules.minimum_guest_svn,
            source="policy: [snp] minimum_guest_svn",
            code="snp.guest-svn-below-minimum",
            fix="start a newer release of the guest",
        )


def _in_words(tcb: Mapping[str, int]) -> str:
    return ", ".join(f"{part} {level}" for part, level in tcb.items()) or "none"
