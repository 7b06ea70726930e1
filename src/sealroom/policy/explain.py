"""A policy in words: what it accepts, what pins what, and what is not checked."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from sealroom.evidence import Tee
from sealroom.policy.allowances import SNP_WARNINGS
from sealroom.policy.explain_intel import explain_intel
from sealroom.policy.explain_others import explain_others
from sealroom.policy.load_clouds import QUOTE
from sealroom.policy.model import EngineRules, ModelRules, Policy, SnpRules
from sealroom.policy.references.accepting import files_in_words

__all__ = ["explain"]


def explain(policy: Policy, *, at: datetime | None = None) -> str:
    """Render ``policy`` as plain text for the person who must answer for it.

    Args:
        policy: with its reference files, if there are any.
        at: when to judge those, timezone-aware; None: they are not judged.
    """
    return "\n".join(_lines(policy, at)) + "\n"


def _lines(policy: Policy, at: datetime | None) -> Iterator[str]:
    yield f'Policy "{policy.name}" from {policy.source}'
    yield f"  sha256:{policy.digest.hex()}"
    if policy.description:
        yield f"  {policy.description}"
    yield from _trust(policy)
    if policy.snp is not None:
        yield from _snp(policy.snp, policy)
    yield from explain_intel(policy)
    yield from explain_others(policy)
    yield from _inner(policy)
    yield from _references(policy, at)
    yield from _room(policy)
    if policy.init_data:
        yield from _section("Releases keys only to guests whose bound init-data says")
        yield from (f'  {key} = "{value}"' for key, value in policy.init_data.items())
    if policy.require:
        yield from _section("Also requires")
        for requirement in policy.require:
            yield f"  {requirement.number}. {requirement.when}"
            yield f"     because {requirement.because}"
    yield from _unchecked(policy)


def _section(title: str) -> Iterator[str]:
    yield ""
    yield title


def _trust(policy: Policy) -> Iterator[str]:
    yield from _section("Trusts")
    yield f"  evidence of: {', '.join(policy.trust.tees)}"
    yield "  roots: the vendors' own, pinned in the code"
    for root in sorted(policy.trust.insecure_simulated):
        yield f"  SIMULATED root sha256:{root.hex()}: whoever holds its key can forge everything"
    yield from (f"  tokens signed by sha256:{key.hex()}" for key in sorted(policy.trust.token_signers))
    yield from (f"  the enrolled key sha256:{key.hex()}" for key in sorted(policy.trust.device_keys))
    if policy.trust.minimum_vendors > 1:
        yield f"  only evidence of at least {policy.trust.minimum_vendors} makers together"
    yield f"  a verdict lasts {int(policy.trust.max_age.total_seconds())} seconds from the making of the evidence"
    if "freshness" not in policy.unchecked:
        yield "  only evidence that answers the verifier's own nonce"
    yield from _nothing(policy)


def _nothing(policy: Policy) -> Iterator[str]:
    """Of which kinds nothing can be accepted, though the policy names them."""
    trust = policy.trust
    if not trust.device_keys and not trust.insecure_simulated:
        yield from (f"  NOTHING of {tee} yet: no key is enrolled under device_keys"
                    for tee in (Tee.CCA, Tee.TPM) if tee in trust.tees)  # fmt: skip
    for tee, rules in ((Tee.AZURE_VTPM, policy.azure_vtpm), (Tee.GCP, policy.gcp)):
        if rules is None or QUOTE not in rules.kind or "no_hardware_evidence" in rules.pcrs.allow:
            continue
        if not (policy.snp or policy.tdx or any(path.startswith(f"{tee}.") for path in policy.inner)):
            yield f"  NOTHING of {tee} by quote yet: no table is for its hardware, [{tee}.snp] or [{tee}.tdx]"


def _inner(policy: Policy) -> Iterator[str]:
    """A wrapper's own rules for the hardware in it."""
    for path, rules in policy.inner.items():
        yield from _section(f"Inside {path.partition('.')[0]}")
        if isinstance(rules, SnpRules):
            lines = _snp(rules, replace(policy, scope=path))
        else:
            lines = explain_intel(replace(policy, sgx=None, tdx=rules))
        yield from (f"  {line}" for line in lines if line)


def _references(policy: Policy, at: datetime | None) -> Iterator[str]:
    if not policy.reference_rules:
        return
    yield from _section("Accepts too what these reference files say")
    for rules in policy.reference_rules:
        serial = f", serial {rules.minimum_serial} or later" if rules.minimum_serial else ""
        yield f"  {rules.name}, for [{rules.table}] {', '.join(rules.keys)}:"
        yield f"    signed by {rules.threshold} of {len(rules.signers)}{serial}"
        yield from (f"    signer sha256:{signer.hex()}" for signer in rules.signers)
    if at is not None:
        yield from _section(f"Reference files as of {at.isoformat()}")
        yield from files_in_words(policy, at)


def _snp(rules: SnpRules, policy: Policy) -> Iterator[str]:
    yield from _section("SEV-SNP: accepts")
    yield f"  products: {', '.join(rules.products)}"
    yield f"  reports signed by: {', '.join(rules.signing_key)}"
    yield f"  revocation list: {'required' if rules.revocation_list_required else 'looked at if one is sent along'}"
    yield f"  asked for at VMPL: {', '.join(map(str, rules.vmpl))}"
    for label in (
        "measurement",
        "host_data",
        "id_key_digest",
        "author_key_digest",
        "family_id",
        "image_id",
        "chip_id",
    ):
        for value in getattr(rules, label):
            yield f"  {label}: {value.hex()}"
    for product, floor in rules.minimum_tcb.items():
        parts = ", ".join(f"{part} {least}" for part, least in floor.items())
        yield f"  minimum TCB, reported and committed, {product}: {parts}"
    if rules.minimum_guest_svn:
        yield f"  guest SVN from {rules.minimum_guest_svn}"
    for allowance, words in SNP_WARNINGS.items():
        yield f"  {words}" if allowance in rules.allow else f"  refuses: {allowance}"
    if policy.leaves_open("minimum_tcb"):
        yield "  firmware of any age"


def _room(policy: Policy) -> Iterator[str]:
    if policy.model is not None:
        yield from _model(policy.model)
    elif "model" not in policy.unchecked:
        yield from _section("Rooms: none, for want of a table [model]")
    if policy.engine is not None:
        yield from _engine(policy.engine)
    elif policy.model is not None and "engine" not in policy.unchecked:
        yield from _section("Rooms: none, for want of a table [engine]")


def _model(rules: ModelRules) -> Iterator[str]:
    yield from _section("Rooms that serve")
    yield f'  model "{rules.name}", version {rules.minimum_version} or later'
    yield from (f"  weights sha256:{digest.hex()}" for digest in rules.digest)
    yield from (f"  sealed package sha256:{digest.hex()}" for digest in rules.package_digest)


def _engine(rules: EngineRules) -> Iterator[str]:
    yield from _section("in an engine")
    yield from (f"  {name}" for name in rules.name)
    yield from (f"  configuration sha256:{digest.hex()}" for digest in rules.config_digest)
    if rules.sandbox_layers:
        yield f"  inside all of: {', '.join(rules.sandbox_layers)}"
    yield from (f"  LETS PASS the layer {layer}" for layer in rules.insecure_layers)


def _unchecked(policy: Policy) -> Iterator[str]:
    yield from _section("NOT CHECKED" if policy.unchecked else "Nothing is left unchecked by hand.")
    for key, reason in policy.unchecked.items():
        yield f"  {key}: {reason}"
