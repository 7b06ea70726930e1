"""Checks on what Azure and Google put around the hardware: vTPMs, and tokens of their services (section 2.3.9).

The hardware inside is judged by its own rules: `sealroom.policy.inner`.
"""

from collections.abc import Iterator, Mapping

from sealroom.evidence import Check, Claims
from sealroom.policy.checks import accepted_word, asked, left_open
from sealroom.policy.flags import Flag, flag_checks, other_flags
from sealroom.policy.load_clouds import CONFIDENTIAL_SPACE, MAA, QUOTE
from sealroom.policy.load_tpm import KERNEL_PCRS
from sealroom.policy.model import Policy
from sealroom.policy.model_others import AzureRules, GcpRules, PcrRules
from sealroom.policy.tpm import FLAGS as TPM_FLAGS
from sealroom.policy.tpm import bank_check, log_check, measurements

__all__ = ["AZURE_FLAGS", "GCP_FLAGS", "azure_checks", "gcp_checks"]

_DEBUG = Flag("debug", "use a machine that nobody can look into")
AZURE_FLAGS: Mapping[str, Flag] = {
    **TPM_FLAGS,
    "debug": _DEBUG,
    "not_compliant": Flag("not_compliant", "use a machine that Azure's service calls compliant"),
    "tcb_not_current": Flag("outdated_tcb", "use a machine whose firmware Azure's service calls up to date"),
    "no_confidential_vm": Flag(
        None, "use a token about a confidential VM: the service signs others with the same key"
    ),
    "migratable": Flag(None, "start the guest so that nobody may move it to a machine that was not looked at"),
    "guest_vmpl": Flag(None, "use a token about the paravisor's report, which nothing in the guest can ask for"),
}
GCP_FLAGS: Mapping[str, Flag] = {
    **TPM_FLAGS,
    "debug": Flag("debug", "use the production image of Confidential Space: the debug image lets its owner log in"),
    "env_or_args_set": Flag("overrides", "start the workload as its image says, with no environment of its own"),
    "tcb_not_current": Flag("outdated_tcb", "use a machine whose firmware Google's service calls up to date"),
    "no_hardware_proof": Flag("no_hardware_evidence", "use a confidential VM, and send its hardware's own report "
                              "along: a vTPM alone does not prove that memory is encrypted"),
}  # fmt: skip
"""Every flag of the clouds' claims, but those that checks of their own are about."""
_JUDGED = frozenset({"token", "not_stable"})
_IMAGE = "image_digest"
_SAID_BY_TOKENS = frozenset({"issuer", "attestation_type", "compliance"})


def azure_checks(policy: Policy, claims: Claims) -> Iterator[Check]:
    """Every check on Azure's wrapping; none under a policy without ``[azure-vtpm]``."""
    if (rules := policy.azure_vtpm) is None:
        return
    kind = MAA if "token" in claims.flags else QUOTE
    yield _kind("azure-vtpm", kind, rules, claims)
    yield from _flags("azure-vtpm", AZURE_FLAGS, rules.pcrs, claims)
    if kind == QUOTE:
        yield from _pcrs(policy, "azure-vtpm", rules.pcrs, claims)
    else:
        yield from measurements(policy, "azure-vtpm", rules.pcrs, claims)
    # where both kinds are taken, what tokens alone say is asked of tokens alone
    unsaid = _SAID_BY_TOKENS if kind == QUOTE and MAA in rules.kind else frozenset()
    yield from _words("azure-vtpm", {name: rules.words[name] for name in rules.words if name not in unsaid}, claims)


def gcp_checks(policy: Policy, claims: Claims) -> Iterator[Check]:
    """Every check on Google's wrapping; none under a policy without ``[gcp]``."""
    if (rules := policy.gcp) is None:
        return
    kind = CONFIDENTIAL_SPACE if "token" in claims.flags else QUOTE
    yield _kind("gcp", kind, rules, claims)
    yield from _flags("gcp", GCP_FLAGS, rules.pcrs, claims)
    if kind == QUOTE:
        yield from _words("gcp", {name: rules.words[name] for name in rules.words if name != _IMAGE}, claims)
        yield from _pcrs(policy, "gcp", rules.pcrs, claims)
        pinned = bool(set(KERNEL_PCRS) & rules.pcrs.measurements.keys())
    else:
        yield from _words("gcp", rules.words, claims)
        if policy.leaves_open("measurement"):
            yield left_open(policy, "measurement", "gcp.measurement", str(claims.details.get(_IMAGE)))
        yield _support(rules, claims)
        pinned = _IMAGE in rules.words
    if not pinned and not policy.leaves_open("measurement"):
        yield _nothing_pinned(kind)


def _kind(tee: str, kind: str, rules: AzureRules | GcpRules, claims: Claims) -> Check:
    named = "kind" in rules.pcrs.named
    fix = f"name {kind} in [{tee}] kind if that is what is meant; a token is a service's word and no evidence"
    return asked(f"{tee}.kind", f"{kind} ({claims.hardware_model})", ", ".join(rules.kind), passed=kind in rules.kind,
                 source=f"policy: [{tee}] kind" if named else "default", fix=fix)  # fmt: skip


def _flags(tee: str, known: Mapping[str, Flag], rules: PcrRules, claims: Claims) -> Iterator[Check]:
    for check in flag_checks(tee, known, rules.allow, claims):
        if check.name != f"{tee}.other-flags":
            yield check
    yield other_flags(tee, frozenset(known) | _JUDGED, claims)


def _pcrs(policy: Policy, tee: str, rules: PcrRules, claims: Claims) -> Iterator[Check]:
    yield bank_check(tee, rules, claims)
    yield log_check(tee, rules, claims)
    yield from measurements(policy, tee, rules, claims)


def _words(tee: str, words: Mapping[str, tuple[str, ...]], claims: Claims) -> Iterator[Check]:
    """Facts of the cloud, where evidence proves them; what it does not say equals nothing."""
    for name, accepted in words.items():
        yield accepted_word(f"{tee}.{name.replace('_', '-')}", str(claims.details.get(name, "not said")), accepted,
                            source=f"policy: [{tee}] {name}", fix="use a machine of which this is true")  # fmt: skip


def _nothing_pinned(kind: str) -> Check:
    """Where a policy takes both kinds, each needs something that says which software is meant."""
    wanted = f"one of {', '.join(KERNEL_PCRS)}" if kind == QUOTE else _IMAGE
    return Check(name="gcp.measurement", got=kind, wanted=f"a policy with {wanted}", passed=False,
                 source="policy: [gcp] kind", code="gcp.measurement-not-accepted",
                 fix=f"name {wanted} in [gcp], or take {kind} out of kind")  # fmt: skip


def _support(rules: GcpRules, claims: Claims) -> Check:
    got = str(claims.details.get("support_attributes", ""))
    missing = set(rules.support_attributes) - set(got.split())
    named = "support_attributes" in rules.pcrs.named
    return asked("gcp.support-attributes", got or "none", ", ".join(rules.support_attributes) or "any or none",
                 passed=not missing, source="policy: [gcp] support_attributes" if named else "default",
                 fix="use an image of Confidential Space that Google still supports so")  # fmt: skip
