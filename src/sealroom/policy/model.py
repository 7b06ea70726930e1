"""A policy as it is once read: typed, complete, and free of guesses (``spec/policy.md`` section 2).

An empty tuple stands for a key that the document leaves out; the reader refuses empty lists, so it can mean nothing
else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from sealroom.evidence import Tee, TrustRoots
from sealroom.policy.model_others import AzureRules, CcaRules, GcpRules, NitroRules, NvidiaRules, TpmRules
from sealroom.policy.references.model import ReferenceFile, ReferenceRules
from sealroom.policy.requirements import Requirement
from sealroom.tees._dcap.tcb_status import TcbStatus
from sealroom.tees.snp.tcb import PARTS

__all__ = [
    "INSECURE_LAYER",
    "INTEL_STATUSES",
    "SGX_ALLOWANCES",
    "SGX_MEASUREMENTS",
    "SNP_ALLOWANCES",
    "SNP_TCB_PARTS",
    "TDX_ALLOWANCES",
    "TDX_MEASUREMENTS",
    "UNCHECKABLE",
    "UNCHECKABLE_IN",
    "EngineRules",
    "IntelRules",
    "ModelRules",
    "Policy",
    "SgxRules",
    "SnpRules",
    "TdxRules",
    "TrustRules",
]

SNP_TCB_PARTS: Mapping[str, tuple[str, ...]] = {product.value: tuple(parts) for product, parts in PARTS.items()}
SNP_ALLOWANCES = ("debug", "migrate_ma", "masked_chip_id", "smt", "cxl")
"""What a policy must name to let pass."""

TDX_ALLOWANCES = ("debug", "migratable", "sept_ve_disable_off", "perfmon", "service_td", "xfam_unknown_bit")
SGX_ALLOWANCES = ("debug", "provision_key", "einittoken_key")

TDX_MEASUREMENTS: Mapping[str, int] = {
    "mr_td": 48, "rtmr0": 48, "rtmr1": 48, "rtmr2": 48, "rtmr3": 48, "mr_config_id": 48, "mr_owner": 48,
    "mr_owner_config": 48, "mr_seam": 48, "mr_service_td": 48,
}  # fmt: skip
SGX_MEASUREMENTS: Mapping[str, int] = {
    "mr_enclave": 32, "mr_signer": 32, "config_id": 64, "isv_family_id": 16, "isv_ext_prod_id": 16,
}  # fmt: skip
"""What a policy may pin, by the vendor's name, and its size in bytes."""

INTEL_STATUSES = tuple(status.value for status in TcbStatus if status is not TcbStatus.REVOKED)
"""What Intel may say of a platform that a policy can accept."""

UNCHECKABLE = ("measurement", "rtmr", "minimum_tcb", "minimum_driver", "support_attributes", "freshness",
               "report_data", "model", "engine", "init_data", "devices")  # fmt: skip
"""What a policy may leave open, by hand and with a reason."""

UNCHECKABLE_IN: Mapping[str, tuple[str, ...]] = {
    "snp": ("measurement", "minimum_tcb"),
    "tdx": ("measurement", "rtmr"),
    "sgx": ("measurement",),
    "nvidia": ("minimum_driver",),
    "nitro": ("measurement",),
    "cca": ("measurement",),
    "tpm": ("measurement",),
    "azure-vtpm": ("measurement",),
    "gcp": ("measurement", "support_attributes"),
}
"""The same for one table alone."""

INSECURE_LAYER = "insecure-"
"""How the name of a sandbox layer begins that takes protection away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRules:
    """``[trust]``: whose evidence counts, and for how long."""

    tees: tuple[Tee, ...]
    insecure_simulated: frozenset[bytes]
    token_signers: frozenset[bytes]
    device_keys: frozenset[bytes]
    minimum_vendors: int
    max_age: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpRules:
    """``[snp]``."""

    measurement: tuple[bytes, ...]
    minimum_tcb: Mapping[str, Mapping[str, int]]
    """Product, then part."""
    products: tuple[str, ...]
    signing_key: tuple[str, ...]
    vmpl: tuple[int, ...]
    host_data: tuple[bytes, ...]
    id_key_digest: tuple[bytes, ...]
    author_key_digest: tuple[bytes, ...]
    family_id: tuple[bytes, ...]
    image_id: tuple[bytes, ...]
    chip_id: tuple[bytes, ...]
    minimum_guest_svn: int
    allow: frozenset[str]
    revocation_list_required: bool
    named: frozenset[str]
    """The keys that the document itself has; the rest are defaults, and checks say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntelRules:
    """What ``[tdx]`` and ``[sgx]`` share: how current the platform must be, and which platforms."""

    tcb_status: tuple[str, ...]
    minimum_tcb_date: date | None
    accepted_advisories: tuple[str, ...]
    """Empty: none is asked about."""
    minimum_evaluation_number: int
    fmspc: tuple[bytes, ...]
    ppid: tuple[bytes, ...]
    allow: frozenset[str]
    named: frozenset[str]
    """The keys that the document itself has; the rest are defaults, and checks say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxRules:
    """``[tdx]``."""

    measurements: Mapping[str, tuple[bytes, ...]]
    """``mr_td``, ``rtmr0`` … as the document names them."""
    platform: IntelRules


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxRules:
    """``[sgx]``."""

    measurements: Mapping[str, tuple[bytes, ...]]
    """``mr_enclave``, ``mr_signer`` … as the document names them."""
    isv_prod_id: tuple[int, ...]
    minimum_isv_svn: int | None
    platform: IntelRules


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRules:
    """``[model]``: which model a room may serve."""

    name: str
    digest: tuple[bytes, ...]
    package_digest: tuple[bytes, ...]
    minimum_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRules:
    """``[engine]``: what may run the model, and in which sandbox."""

    name: tuple[str, ...]
    config_digest: tuple[bytes, ...]
    sandbox_layers: tuple[str, ...]
    insecure_layers: tuple[str, ...]
    """Layers that take protection away, and are accepted all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What somebody accepts. Made by `sealroom.policy.load_policy` alone."""

    name: str
    description: str
    source: str
    """Where the document came from, for messages."""
    digest: bytes
    """SHA-256 of the document's bytes."""
    trust: TrustRules
    snp: SnpRules | None
    tdx: TdxRules | None
    sgx: SgxRules | None
    nvidia: NvidiaRules | None
    nitro: NitroRules | None
    cca: CcaRules | None
    tpm: TpmRules | None
    azure_vtpm: AzureRules | None
    gcp: GcpRules | None
    inner: Mapping[str, SnpRules | TdxRules]
    """A wrapper's own rules for the hardware in it, by path: ``azure-vtpm.snp``. Without, ``[snp]`` or ``[tdx]``."""
    model: ModelRules | None
    engine: EngineRules | None
    init_data: Mapping[str, str]
    require: tuple[Requirement, ...]
    unchecked: Mapping[str, str]
    """What is left open, and the author's reason; ``TABLE.key`` where it is left open for one table."""
    reference_rules: tuple[ReferenceRules, ...] = ()
    """``[[reference_files]]``: whose files count, and for what."""
    references: Mapping[str, ReferenceFile] = field(default_factory=dict)
    """The files that came along, by name, not verified yet: `sealroom.policy.with_references`."""
    scope: str = ""
    """The table that is being judged: what is left open for it alone."""

    def supplied(self, table: str) -> frozenset[str]:
        """The keys of ``table`` that reference files may fill in."""
        return frozenset(key for rule in self.reference_rules if rule.table == table for key in rule.keys)

    def leaves_open(self, key: str) -> bool:
        """Whether ``key`` is left open, for all or for the table that is being judged."""
        return f"{self.scope}.{key}" in self.unchecked or key in self.unchecked

    def reason_for(self, key: str) -> tuple[str, str]:
        """In which table of the document it is left open, and why."""
        own = f"{self.scope}.{key}"
        return (f"unchecked.{self.scope}", self.unchecked[own]) if own in self.unchecked else (
            "unchecked", self.unchecked[key])  # fmt: skip

    @property
    def trust_roots(self) -> TrustRoots:
        """The anchors to verify under."""
        return TrustRoots(
            insecure_simulated=self.trust.insecure_simulated,
            token_signers=self.trust.token_signers,
            device_keys=self.trust.device_keys,
        )
