"""Rules for devices, for clouds' enclaves, for Arm and for vTPMs, as they are once read (``spec/policy.md`` 2.3).

As in `model`, an empty tuple stands for a key that the document leaves out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sealroom.policy.versions import Version

__all__ = [
    "AZURE_ALLOWANCES",
    "CCA_ALLOWANCES",
    "CCA_MEASUREMENTS",
    "GCP_ALLOWANCES",
    "NITRO_ALLOWANCES",
    "NITRO_MEASUREMENTS",
    "NITRO_TPM_MEASUREMENTS",
    "NVIDIA_ALLOWANCES",
    "PCRS",
    "TPM_ALLOWANCES",
    "AzureRules",
    "CcaRules",
    "ComponentRules",
    "GcpRules",
    "NitroRules",
    "NvidiaRules",
    "PcrRules",
    "TpmRules",
]

NVIDIA_ALLOWANCES = (
    "devtools", "sample_nonce", "certificate_hold", "revocation_not_checked", "fwid_missing",
    "opaque_version_unknown", "nvdec0_unknown", "open_topology",
)  # fmt: skip
NITRO_ALLOWANCES = ("debug",)
CCA_ALLOWANCES = ("debug", "legacy_profile", "test_key", "unknown_claims")
TPM_ALLOWANCES = ("secure_boot_off", "ak_unrestricted")
AZURE_ALLOWANCES = (*TPM_ALLOWANCES, "debug", "not_compliant", "outdated_tcb")
GCP_ALLOWANCES = (*TPM_ALLOWANCES, "debug", "overrides", "no_hardware_evidence", "outdated_tcb")
"""What a policy must name to let pass."""

NITRO_MEASUREMENTS: Mapping[str, int] = {f"pcr{index}": 48 for index in range(32)}
NITRO_TPM_MEASUREMENTS: Mapping[str, int] = {f"nitrotpm_pcr{index}": 48 for index in range(32)}
CCA_MEASUREMENTS: Mapping[str, tuple[int, ...]] = {
    "rim": (32, 48, 64), "rem0": (32, 48, 64), "rem1": (32, 48, 64), "rem2": (32, 48, 64), "rem3": (32, 48, 64),
    "rpv": (64,), "implementation_id": (32,), "instance_id": (33,),
}  # fmt: skip
PCRS = tuple(f"pcr{index:02d}" for index in range(24))
"""What a policy may pin, by the name that claims have for it, and its sizes in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaRules:
    """``[nvidia]``: what every device must be, and how many there are."""

    architectures: tuple[str, ...]
    minimum_driver: Mapping[str, Version]
    """By architecture."""
    minimum_vbios: Mapping[str, Version]
    """By family, ``*`` for every one."""
    minimum_switch_bios: Version | None
    driver_version: tuple[str, ...]
    vbios_version: tuple[str, ...]
    fwid: tuple[bytes, ...]
    ueid: tuple[str, ...]
    mode: tuple[str, ...]
    count: int | None
    minimum_count: int
    switches: int | None
    reference_values: str
    allow: frozenset[str]
    named: frozenset[str]
    """The keys that the document itself has; the rest are defaults, and checks say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NitroRules:
    """``[nitro]``."""

    document: str
    measurements: Mapping[str, tuple[bytes, ...]]
    module_id: tuple[str, ...]
    maximum_age_seconds: int | None
    """None: that of ``[trust]``."""
    allow: frozenset[str]
    named: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRules:
    """One piece of firmware, by the type that it has in the token."""

    type: str
    measurement: tuple[bytes, ...]
    signer_id: tuple[bytes, ...]
    minimum_version: Version | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CcaRules:
    """``[cca]``: of realms and of PSA devices."""

    token: tuple[str, ...]
    measurements: Mapping[str, tuple[bytes, ...]]
    lifecycle: tuple[str, ...]
    platform_profile: tuple[str, ...]
    components: tuple[ComponentRules, ...]
    allow: frozenset[str]
    named: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PcrRules:
    """What ``[tpm]``, ``[azure-vtpm]`` and ``[gcp]`` share: a TPM's registers and how they were made."""

    measurements: Mapping[str, tuple[bytes, ...]]
    bank: tuple[str, ...]
    event_log_required: bool
    allow: frozenset[str]
    named: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmRules:
    """``[tpm]``."""

    pcrs: PcrRules


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureRules:
    """``[azure-vtpm]``: the quote of the vTPM, or a token of Azure's service."""

    pcrs: PcrRules
    kind: tuple[str, ...]
    words: Mapping[str, tuple[str, ...]]
    """Further facts, by their name among the claims' details: ``vm_unique_id``, ``issuer`` …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpRules:
    """``[gcp]``: the quote of the vTPM, or a token of Confidential Space."""

    pcrs: PcrRules
    kind: tuple[str, ...]
    words: Mapping[str, tuple[str, ...]]
    """``project_id``, ``zone``, ``image_digest`` …"""
    support_attributes: tuple[str, ...]
    """All of them are asked for."""
