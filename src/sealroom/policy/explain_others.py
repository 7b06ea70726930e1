"""GPUs, Nitro, Arm, TPMs and clouds in words."""

from collections.abc import Iterator, Mapping, Sequence

from sealroom.policy.allowances import OTHER_WARNINGS
from sealroom.policy.load_clouds import QUOTE
from sealroom.policy.model import Policy
from sealroom.policy.model_others import (
    AZURE_ALLOWANCES,
    CCA_ALLOWANCES,
    GCP_ALLOWANCES,
    NITRO_ALLOWANCES,
    NVIDIA_ALLOWANCES,
    TPM_ALLOWANCES,
    AzureRules,
    CcaRules,
    GcpRules,
    NitroRules,
    NvidiaRules,
    PcrRules,
)
from sealroom.policy.versions import Version, written

__all__ = ["explain_others", "pinned"]


def explain_others(policy: Policy) -> Iterator[str]:
    """The lines on these; none for a table that the policy does not have."""
    if policy.nvidia is not None:
        yield from _nvidia(policy.nvidia)
    if policy.nitro is not None:
        yield from _nitro(policy.nitro)
    if policy.cca is not None:
        yield from _cca(policy.cca)
    if policy.tpm is not None:
        yield from ("", "TPM: accepts", "  keys that were enrolled by name, and no others")
        yield from _pcrs(policy.tpm.pcrs, TPM_ALLOWANCES)
    for title, rules, allowances in (("Azure", policy.azure_vtpm, AZURE_ALLOWANCES),
                                     ("Google Cloud", policy.gcp, GCP_ALLOWANCES)):  # fmt: skip
        if rules is not None:
            yield from _cloud(title, rules, allowances)


def pinned(measurements: Mapping[str, Sequence[bytes]]) -> Iterator[str]:
    """A line for each accepted value."""
    for name, accepted in measurements.items():
        yield from (f"  {name}: {value.hex()}" for value in accepted)


def _nvidia(rules: NvidiaRules) -> Iterator[str]:
    yield from ("", "NVIDIA devices: accepts")
    yield f"  {f'{rules.count}' if rules.count is not None else f'{rules.minimum_count} or more'} GPUs"
    if rules.switches is not None:
        yield f"  {rules.switches} switches"
    yield f"  generations: {', '.join(rules.architectures)}; modes: {', '.join(rules.mode)}"
    yield from _floors("driver", rules.minimum_driver)
    yield from _floors("VBIOS", rules.minimum_vbios)
    if rules.minimum_switch_bios is not None:
        yield f"  firmware of switches from {written(rules.minimum_switch_bios)}"
    for name in ("driver_version", "vbios_version", "ueid"):
        yield from (f"  {name}: {value}" for value in getattr(rules, name))
    yield from (f"  fwid: {value.hex()}" for value in rules.fwid)
    yield f"  compared with NVIDIA's signed reference values: {rules.reference_values}"
    yield from _allowed(rules.allow, NVIDIA_ALLOWANCES)


def _floors(what: str, floors: Mapping[str, Version]) -> Iterator[str]:
    for name, floor in floors.items():
        yield f"  {what} from {written(floor)} ({'any' if name == '*' else name})"


def _nitro(rules: NitroRules) -> Iterator[str]:
    yield from ("", "AWS Nitro: accepts", f"  documents of: {rules.document}")
    yield from pinned(rules.measurements)
    yield from (f"  module: {name}" for name in rules.module_id)
    if rules.maximum_age_seconds is not None:
        yield f"  documents of at most {rules.maximum_age_seconds} seconds"
    yield from _allowed(rules.allow, NITRO_ALLOWANCES)


def _cca(rules: CcaRules) -> Iterator[str]:
    yield from ("", "Arm: accepts", f"  tokens: {', '.join(rules.token)}; life cycle: {', '.join(rules.lifecycle)}")
    yield "  device keys that were enrolled by name, and no others"
    yield from pinned(rules.measurements)
    yield from (f"  platform profile: {name}" for name in rules.platform_profile)
    for component in rules.components:
        yield from pinned({f"{component.type} measurement": component.measurement,
                           f"{component.type} signer": component.signer_id})  # fmt: skip
        if component.minimum_version is not None:
            yield f"  {component.type} from {written(component.minimum_version)}"
    yield from _allowed(rules.allow, CCA_ALLOWANCES)


def _cloud(title: str, rules: AzureRules | GcpRules, allowances: Sequence[str]) -> Iterator[str]:
    yield from ("", f"{title}: accepts", f"  evidence: {', '.join(rules.kind)}")
    if tokens := [kind for kind in rules.kind if kind != QUOTE]:
        yield f"  LETS PASS tokens ({', '.join(tokens)}), a service's word: no rule for the hardware is asked of them"
    for name, accepted in rules.words.items():
        yield from (f"  {name}: {value}" for value in accepted)
    if isinstance(rules, GcpRules) and rules.support_attributes:
        yield f"  images with: {', '.join(rules.support_attributes)}"
    yield from _pcrs(rules.pcrs, allowances)


def _pcrs(rules: PcrRules, allowances: Sequence[str]) -> Iterator[str]:
    yield from pinned(rules.measurements)
    yield f"  banks: {', '.join(rules.bank)}; event log: {'required' if rules.event_log_required else 'not required'}"
    yield from _allowed(rules.allow, allowances)


def _allowed(allowed: frozenset[str], known: Sequence[str]) -> Iterator[str]:
    for allowance in known:
        yield f"  {OTHER_WARNINGS[allowance]}" if allowance in allowed else f"  refuses: {allowance}"
