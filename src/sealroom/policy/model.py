"""A policy as it is once read: typed, complete, and free of guesses (``spec/policy.md`` section 2).

An empty tuple stands for a key that the document leaves out; the reader refuses empty lists, so it can mean nothing
else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sealroom.evidence import Tee, TrustRoots
from sealroom.policy.requirements import Requirement
from sealroom.tees.snp.tcb import PARTS

__all__ = [
    "INSECURE_LAYER",
    "SNP_ALLOWANCES",
    "SNP_TCB_PARTS",
    "UNCHECKABLE",
    "EngineRules",
    "ModelRules",
    "Policy",
    "SnpRules",
    "TrustRules",
]

SNP_TCB_PARTS: Mapping[str, tuple[str, ...]] = {product.value: tuple(parts) for product, parts in PARTS.items()}
SNP_ALLOWANCES = ("debug", "migrate_ma", "masked_chip_id", "smt", "cxl")
"""What a policy must name to let pass."""

UNCHECKABLE = ("measurement", "minimum_tcb", "freshness", "report_data", "model", "engine", "init_data")
"""What a policy may leave open, by hand and with a reason."""

INSECURE_LAYER = "insecure-"
"""How the name of a sandbox layer begins that takes protection away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRules:
    """``[trust]``: whose evidence counts, and for how long."""

    tees: tuple[Tee, ...]
    insecure_simulated: frozenset[bytes]
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
    model: ModelRules | None
    engine: EngineRules | None
    init_data: Mapping[str, str]
    require: tuple[Requirement, ...]
    unchecked: Mapping[str, str]
    """What is left open, and the author's reason."""

    @property
    def trust_roots(self) -> TrustRoots:
        """The anchors to verify under."""
        return TrustRoots(insecure_simulated=self.trust.insecure_simulated)
