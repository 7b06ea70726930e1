"""Checks on claims of Arm realms and PSA devices (``spec/policy.md`` section 2.3.7)."""

from collections.abc import Iterator

from sealroom.evidence import Check, Claims
from sealroom.policy.checks import accepted_bytes, accepted_word, hex_or_none, left_open
from sealroom.policy.flags import Flag, flag_checks
from sealroom.policy.intel import measurement_checks
from sealroom.policy.model import Policy
from sealroom.policy.model_others import CcaRules, ComponentRules
from sealroom.policy.versions import at_least, parse_decimal, written

__all__ = ["FLAGS", "cca_checks"]

FLAGS = {
    "debug": Flag("debug", "use a device that is not opened for debugging: its owner reads everything"),
    "legacy_profile": Flag("legacy_profile", "update the firmware: its tokens are of a profile before the standard"),
    "test_key": Flag("test_key", "use a device with a key of its own: everybody has this one"),
    "unknown_claims": Flag("unknown_claims", "use a release that knows what this firmware says"),
}
"""Every flag of Arm claims but ``not_secured``, which `lifecycle` speaks of."""
_BY_LIFECYCLE = "not_secured"


def cca_checks(policy: Policy, claims: Claims) -> Iterator[Check]:
    """Every check on a realm or device; none under a policy without ``[cca]``."""
    if (rules := policy.cca) is None:
        return
    yield _word("token", rules, claims, rules.token, "a PSA token vouches for a device and no realm")
    yield _word("lifecycle", rules, claims, rules.lifecycle, "use a device whose life is at an accepted place")
    for check in flag_checks("cca", {**FLAGS, _BY_LIFECYCLE: Flag(None, "")}, rules.allow, claims):
        if check.code != "cca.not-secured":
            yield check
    if policy.leaves_open("measurement"):
        yield left_open(policy, "measurement", "cca.measurement", hex_or_none(claims.measurements.get("rim")))
    yield from measurement_checks("cca", rules.measurements, claims)
    if rules.platform_profile:
        yield _word("platform_profile", rules, claims, rules.platform_profile, "use a platform of this profile")
    for component in rules.components:
        yield from _component(component, claims)


def _word(key: str, rules: CcaRules, claims: Claims, accepted: tuple[str, ...], fix: str) -> Check:
    source = f"policy: [cca] {key}" if key in rules.named else "default"
    return accepted_word(f"cca.{key.replace('_', '-')}", str(claims.details.get(key)), accepted, source=source,
                         fix=fix)  # fmt: skip


def _component(rules: ComponentRules, claims: Claims) -> Iterator[Check]:
    """Firmware may name a type twice; then every one of them has to be accepted, and their versions are not told
    apart."""
    name, table = f"cca.component.{rules.type}", f"policy: [cca.components.{rules.type}]"
    names = [key for key in claims.measurements if _is_of(key, rules.type)]
    if rules.measurement or not names:  # a component that is not there fails, whatever is asked of it
        for key in names or [f"sw.{rules.type}"]:
            yield accepted_bytes(name, claims.measurements.get(key), rules.measurement, source=f"{table} measurement",
                                 code="cca.component-not-accepted", fix="run accepted firmware")  # fmt: skip
    once = len(names) == 1
    if rules.signer_id:
        signer = claims.details.get(f"sw_signer.{rules.type}") if once else None
        yield accepted_bytes(f"{name}.signer", None if signer is None else bytes.fromhex(str(signer)),
                             rules.signer_id, source=f"{table} signer_id", code="cca.component-signer-not-accepted",
                             fix="run firmware of an accepted signer")  # fmt: skip
    if rules.minimum_version is not None:
        got = str(claims.details.get(f"sw_version.{rules.type}")) if once else "not told apart"
        yield Check(name=f"{name}.version", got=got, wanted=f"{written(rules.minimum_version)} or later",
                    passed=at_least(parse_decimal(got), rules.minimum_version), source=f"{table} minimum_version",
                    code="cca.component-below-minimum", fix="update this piece of firmware")  # fmt: skip


def _is_of(key: str, kind: str) -> bool:
    """``sw.BL``, and ``sw.BL.3`` for one more of that type."""
    head, _, number = key.rpartition(".")
    return key == f"sw.{kind}" or (head == f"sw.{kind}" and number.isdecimal())
