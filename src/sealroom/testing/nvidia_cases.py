"""Minted NVIDIA evidence as cases: what was done to it, and what a verifier has to make of it.

nvidia_cases            a case, and the bench on which it is made
nvidia_faults           one fault each in report, device certificates and revocation answers: to be refused
nvidia_rim_faults       one fault each in reference values: to be refused
nvidia_weaknesses       authentic, and what a policy has to see of it
nvidia_topology_faults  devices that are authentic one by one, and are not one machine
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sealroom.evidence import Validity
from sealroom.pem import as_pem
from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvidia_report import ReportForm
from sealroom.testing.nvidia_rim import RimForm, RimSigner, write_rim

__all__ = ["AT", "FUTURE", "NONCE", "PAST", "Bench", "NvidiaCase"]

AT = datetime(2026, 6, 1, tzinfo=UTC)
"""The time at which every case is to be verified."""
PAST = Validity(not_before=AT - timedelta(days=60), not_after=AT - timedelta(seconds=1))
FUTURE = Validity(not_before=AT + timedelta(seconds=1), not_after=AT + timedelta(days=60))
NONCE = bytes(range(32))


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaCase:
    """Evidence of one device with its collateral, and what is to come of it."""

    name: str
    code: str | None
    """Of our refusal; None: authentic."""
    raw: bytes = field(repr=False)
    items: Mapping[str, bytes] = field(repr=False)
    anchors: frozenset[bytes]
    """SHA-256 of the private roots to trust."""
    flags: frozenset[str] = frozenset()
    """Where authentic: what a policy has to see."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One device on which cases are made; whatever a case does not change is right."""

    gpu: SimulatedGpu

    def form(self) -> ReportForm:
        """An honest report before it is signed."""
        return self.gpu.form(NONCE)

    def on(self, gpu: SimulatedGpu) -> "Bench":
        """The same with another device."""
        return replace(self, gpu=gpu)

    def case(
        self, name: str, code: str | None = None, *, form: ReportForm | None = None, raw: bytes | None = None,
        chain: tuple[bytes, ...] | None = None, items: Mapping[str, bytes] | None = None,
        without: tuple[str, ...] = (), flags: frozenset[str] = frozenset(),
    ) -> NvidiaCase:  # fmt: skip
        """A case; everything that is not given is honest.

        Args:
            name: what was done.
            code: of the refusal; None: authentic.
            form: a report to be signed; ``raw``: or its bytes.
            chain: the device's certificates, DER, leaf first.
            items: collateral in place of the honest.
            without: collateral to leave out.
            flags: of an authentic one.
        """
        held = self.gpu.items() | dict(items or {})
        if chain is not None:
            held["cert_chain"] = as_pem(*chain)
        raw = self.gpu.sign(form or self.form()) if raw is None else raw
        return NvidiaCase(
            name=f"{self.gpu.family.chip}: {name}", code=code, raw=raw, flags=flags,
            items={item: value for item, value in held.items() if item not in without},
            anchors=self.gpu.root_fingerprints,
        )  # fmt: skip

    def rim_case(
        self, name: str, code: str | None, *, kind: str = "vbios", form: RimForm | None = None,
        signer: RimSigner | None = None, flags: frozenset[str] = frozenset(),
    ) -> NvidiaCase:  # fmt: skip
        """A case with other reference values: ``form`` as ``signer`` signs it, the honest ones if not given."""
        honest = self.gpu.driver_rim() if kind == "driver" else self.gpu.vbios_rim()
        form = form or honest
        rim = write_rim(form, signer or self.gpu.vendor.rim_signer(form.product))
        return self.case(f"{kind} RIM {name}", code, items={f"{kind}_rim": rim}, flags=flags)
