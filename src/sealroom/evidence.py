"""The shared words: what evidence is, what becomes of it, and who may say so.

    bytes ─parse→ Evidence ─verify→ Verified[Evidence] ─claims→ Claims ─appraise→ Appraisal ─bind→ AttestedKey

Each arrow is one function, and only that function can make what stands on its right: every type from `Verified` on
wants a warrant, and `tests/unit/test_trust_chain.py` proves that no other module holds it. RFC 9334 names throughout.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from sealroom.errors import MisuseError, RefusedError, UnverifiedError

__all__ = [
    "APPRAISED",
    "BOUND",
    "CLAIMED",
    "VERIFIED",
    "Appraisal",
    "AttestedKey",
    "Attester",
    "Check",
    "Claims",
    "Collateral",
    "CollectedEvidence",
    "DeviceAttester",
    "Evidence",
    "KeyPurpose",
    "PolicyRefusedError",
    "Tee",
    "TrustRoots",
    "Validity",
    "Verified",
    "Warrant",
]


class Tee(StrEnum):
    """A kind of trusted execution environment, spelled as in commands and policies."""

    TDX = "tdx"
    SGX = "sgx"
    SNP = "snp"
    CCA = "cca"
    NITRO = "nitro"
    NVIDIA = "nvidia"
    AZURE_VTPM = "azure-vtpm"
    GCP = "gcp"
    TPM = "tpm"


class Warrant:
    """The right to make one of the trusted types. Held by one module each; see `test_trust_chain.py`."""

    __slots__ = ("_for",)

    def __init__(self, made_type: str) -> None:
        self._for = made_type

    def covers(self, made: object) -> None:
        """Raise `MisuseError` unless this warrant is for the type of ``made``."""
        if self._for not in [base.__name__ for base in type(made).__mro__]:
            raise MisuseError("evidence.no-warrant", f"a {type(made).__name__} can not be made here")


VERIFIED = Warrant("Verified")  # held by tees/*/verify.py
CLAIMED = Warrant("Claims")  # held by tees/*/claims.py
APPRAISED = Warrant("Appraisal")  # held by policy/appraise.py
BOUND = Warrant("AttestedKey")  # held by verifier.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """A window of time, both ends included, timezone-aware."""

    not_before: datetime
    not_after: datetime

    def meet(self, other: "Validity") -> "Validity":
        """The intersection; empty (``not_before`` after ``not_after``) if they do not overlap."""
        return Validity(
            not_before=max(self.not_before, other.not_before), not_after=min(self.not_after, other.not_after)
        )

    def holds_at(self, at: datetime) -> bool:
        """Whether ``at`` lies inside."""
        return self.not_before <= at <= self.not_after


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What an attester said, parsed and untrusted. Each TEE adds its own parsed report in a subclass."""

    tee: Tee
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """What verification needs from outside, as untrusted bytes under the names that the TEE gives them.

    SNP: ``leaf`` (VCEK or VLEK, DER), ``chain`` (PEM: ASK or ASVK, then ARK), ``crl`` (DER, optional).
    TDX and SGX: ``tcb_info_response``, ``qe_identity_response`` (JSON, the exact bytes that the service sent),
    ``tcb_info_issuer_chain``, ``qe_identity_issuer_chain`` (PEM, signer first), ``pck_crl`` and ``root_ca_crl``
    (DER, PEM or hexadecimal text), ``pck_crl_issuer_chain`` (PEM, optional).
    """

    items: Mapping[str, bytes] = field(repr=False)
    _digests: dict[str, bytes] = field(init=False, default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", MappingProxyType(dict(self.items)))

    @classmethod
    def of_digested(cls, items: Mapping[str, bytes], digests: Mapping[str, bytes]) -> "Collateral":
        """For whoever has computed the SHA-256 of these very items already: what is remembered is found by them."""
        made = cls(items=items)
        made._digests.update(digests)
        return made

    def digest(self, name: str) -> bytes | None:
        """SHA-256 of the item called ``name``; None if there is none."""
        if name not in self.items:
            return None
        if name not in self._digests:
            self._digests[name] = hashlib.sha256(self.items[name]).digest()
        return self._digests[name]

    def require(self, name: str) -> bytes:
        """The item called ``name``; its absence is a refusal, never a skip."""
        if name not in self.items:
            raise UnverifiedError(
                "collateral.missing",
                f"the collateral lacks {name}",
                got=", ".join(sorted(self.items)) or "nothing",
                hint="it comes with the evidence, or from the vendor: sealroom collateral fetch",
            )
        return self.items[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRoots:
    """Which anchors count, by SHA-256 of their DER certificate.

    Vendor anchors are pinned in each TEE's code; `insecure_simulated` ones are named by a policy and mark every
    verdict that rests on them as SIMULATED.
    """

    insecure_simulated: frozenset[bytes] = frozenset()
    """SHA-256 of a simulated root's DER; for evidence without a chain, of its key's SubjectPublicKeyInfo, DER."""
    token_signers: frozenset[bytes] = frozenset()
    """SHA-256 of the SubjectPublicKeyInfo of keys that sign a verification service's tokens: the relying party's own
    choice, since no vendor root stands above them."""
    device_keys: frozenset[bytes] = frozenset()
    """The same of attestation keys that were enrolled by hand, for devices whose evidence brings no chain."""


E_co = TypeVar("E_co", bound=Evidence, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Verified(Generic[E_co]):
    """Evidence that is authentic: signatures, chain, windows and revocation hold. Says nothing of acceptable."""

    evidence: E_co
    root: bytes
    """SHA-256 of the DER of the anchor that the chain ended in."""
    simulated: bool
    validity: Validity
    """Intersection of every window met on the way."""
    warrant: InitVar[Warrant]

    def __post_init__(self, warrant: Warrant) -> None:
        warrant.covers(self)


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What verified evidence says, in words that are the same for every TEE."""

    tee: Tee
    hardware_model: str
    """Product as the vendor names it: ``Milan``, ``Genoa``, ``Turin``; Intel names none but the family and model
    (FMSPC)."""
    measurements: Mapping[str, bytes]
    """Under the vendor's field names: ``measurement``, ``host_data``, ``id_key_digest``."""
    report_data: bytes
    tcb: Mapping[str, Mapping[str, int]]
    """TCB by kind (``current``, ``reported``, ``committed``, ``launch``), then by part (``microcode``)."""
    debug: bool
    """Whether the host may look into it: then nothing else that the evidence says protects anything."""
    migratable: bool
    """Whether it may be moved, with its secrets, to a machine that nobody here has verified."""
    tcb_status: str | None
    """The vendor's own word on how current the platform is (``UpToDate`` …), or None: this vendor gives none."""
    tcb_date: datetime | None
    """Until when the vendor's advisories are mended at this TCB level, or None."""
    advisories: tuple[str, ...]
    """The vendor's advisories that this TCB level is still open to, in order of their names."""
    flags: frozenset[str]
    """Facts that a policy has to see: ``guest_debug``, ``smt_allowed``, ``vmpl_0`` …"""
    signer: str
    """Kind of key that signed: ``VCEK``, ``VLEK``."""
    device_id: bytes | None
    """The chip's own id, or None where the evidence masks it: a masked id equals no other."""
    details: Mapping[str, str | int]
    """Further vendor fields that a policy may name: ``vmpl``, ``guest_svn``, ``abi_major`` …"""
    root: bytes
    simulated: bool
    validity: Validity
    warrant: InitVar[Warrant]
    inner: "Claims | None" = None
    """What the silicon itself said, where ``tee`` is a wrapper that a cloud puts around it."""

    def __post_init__(self, warrant: Warrant) -> None:
        warrant.covers(self)
        for name in ("measurements", "tcb", "details"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question that a policy asked, and its answer."""

    name: str
    """Dotted, stable: ``snp.measurement``, ``freshness``."""
    got: str
    wanted: str
    passed: bool
    source: str
    """Where the wish came from: ``policy: [snp] measurement`` or ``default``."""
    code: str
    """The error code if this is the reason for a refusal: ``snp.tcb-below-minimum``."""
    fix: str
    """What to do if it failed."""


@dataclass(frozen=True, kw_only=True)
class Appraisal:
    """The verdict of a policy on claims: every check, failed or not. No check at all is no acceptance."""

    checks: tuple[Check, ...]
    simulated: bool
    policy_name: str
    policy_digest: bytes
    """SHA-256 over the policy document's bytes."""
    claims: Claims
    warrant: InitVar[Warrant]
    devices: tuple[Claims, ...] = ()
    """What the devices say that the CPU's evidence vouches for."""
    rests_on: tuple[Validity, ...] = ()
    """When the policy's own grounds hold: the windows of reference files without which it had refused."""

    def __post_init__(self, warrant: Warrant) -> None:
        warrant.covers(self)

    @property
    def validity(self) -> Validity:
        """When all of it holds: the evidence of the CPU and of every device, and the grounds of the verdict."""
        window = self.claims.validity
        for other in (*(device.validity for device in self.devices), *self.rests_on):
            window = window.meet(other)
        return window

    @property
    def accepted(self) -> bool:
        """True only if something was asked and every answer was as wanted."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that did not pass, in the order in which they were made."""
        return tuple(check for check in self.checks if not check.passed)

    def require_accepted(self) -> None:
        """Raise `PolicyRefusedError` with every reason unless accepted."""
        if not self.accepted:
            raise PolicyRefusedError(self)


class PolicyRefusedError(RefusedError):
    """A policy said no; `appraisal` lists every reason. The code is that of the first."""

    def __init__(self, appraisal: Appraisal) -> None:
        self.appraisal = appraisal
        first = appraisal.failures[0] if appraisal.failures else None
        more = len(appraisal.failures) - 1
        super().__init__(
            first.code if first else "policy.nothing-checked",
            f"the policy {appraisal.policy_name!r} refuses this evidence"
            + (f" for {more + 1} reasons, the first of which is" if more > 0 else ""),
            where=first.name if first else None,
            got=first.got if first else None,
            expected=first.wanted if first else None,
            hint=first.fix if first else None,
        )


class KeyPurpose(StrEnum):
    """What an attested key may be used for. A key for one purpose is refused by every other."""

    CHANNEL = "channel"
    """`key` is an application/ohttp-keys list (RFC 9458 section 3), exactly as the evidence binds it."""
    KEY_RELEASE = "key-release"
    """`key` is the ``tee-pubkey`` JWK of KBS runtime data, in RFC 8785 form."""


@dataclass(frozen=True, kw_only=True)
class AttestedKey:
    """A public key that accepted evidence vouches for: the only thing that a secret may be sealed to."""

    purpose: KeyPurpose
    key: bytes
    appraisal: Appraisal
    validity: Validity
    warrant: InitVar[Warrant]

    def __post_init__(self, warrant: Warrant) -> None:
        warrant.covers(self)
        self.appraisal.require_accepted()

    def key_for(self, purpose: KeyPurpose, at: datetime) -> bytes:
        """The key, if it serves ``purpose`` and is valid at ``at``."""
        if purpose is not self.purpose:
            raise MisuseError("key.wrong-purpose", "an attested key was used for another purpose than its own",
                              got=purpose.value, expected=self.purpose.value)  # fmt: skip
        if not self.validity.holds_at(at):
            raise UnverifiedError("key.expired", "the attested key is outside its window", got=at.isoformat(),
                                  expected=f"{self.validity.not_before.isoformat()} to "
                                  f"{self.validity.not_after.isoformat()}",
                                  hint="verify the room anew")  # fmt: skip
        return self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedEvidence:
    """What an attester hands out: evidence in the vendor's own bytes, and what came with it."""

    tee: Tee
    raw: bytes = field(repr=False)
    collateral: Collateral


class Attester(Protocol):
    """The machine's own silicon, asked for evidence. Implemented by `tees.*.collect` and by `testing`."""

    @property
    def tee(self) -> Tee:
        """What kind of evidence it gives: told before there is any."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether there is no silicon behind it. A room on such hardware listens on loopback alone."""
        ...

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return evidence that carries ``report_data``: 64 bytes, or what `binding.carried` makes of them."""
        ...


class DeviceAttester(Protocol):
    """One GPU or switch of this machine, asked for evidence. Implemented by `tees.nvidia.collect` and `testing`."""

    @property
    def tee(self) -> Tee:
        """What kind of evidence it gives."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether there is no silicon behind it."""
        ...

    def collect(self, nonce: bytes) -> CollectedEvidence:
        """Return evidence that answers ``nonce`` (32 bytes), with its collateral. May take seconds."""
        ...
