"""Minted Intel evidence as cases: what was done to it, and what a verifier has to make of it.

intel_cases        a case, and the bench on which it is made
intel_faults       one fault each in what the quote and its enclave say: to be refused
intel_fault_chain  one fault each in certificates, lists and documents: to be refused
intel_weaknesses   authentic, and what a policy has to see of it
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sealroom.evidence import Tee, Validity
from sealroom.testing.dcap import DcapPlatform, QuoteForm, SimulatedSgx, SimulatedTdx

__all__ = ["AT", "FUTURE", "PAST", "REPORT_DATA", "Bench", "MintedCase"]

AT = datetime(2026, 6, 1, tzinfo=UTC)
"""The time at which every case is to be verified."""
PAST = Validity(not_before=AT - timedelta(days=60), not_after=AT - timedelta(seconds=1))
FUTURE = Validity(not_before=AT + timedelta(seconds=1), not_after=AT + timedelta(days=60))
REPORT_DATA = bytes(range(64))


@dataclass(frozen=True, slots=True, kw_only=True)
class MintedCase:
    """Evidence with its collateral, and what is to come of it."""

    name: str
    code: str | None
    """Of our refusal; None: authentic."""
    tee: Tee
    raw: bytes = field(repr=False)
    items: Mapping[str, bytes] = field(repr=False)
    root: bytes = field(repr=False)
    """The private root to trust, DER."""
    status: str = "UpToDate"
    """Where authentic."""
    flags: frozenset[str] = frozenset()
    """Where authentic: what a policy has to see."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One machine on which cases are made; whatever a case does not change is right."""

    platform: DcapPlatform
    tee: Tee = Tee.TDX

    def guest(self, **values: Any) -> SimulatedTdx | SimulatedSgx:
        """A TD or an enclave on it."""
        return (SimulatedTdx if self.tee is Tee.TDX else SimulatedSgx)(platform=self.platform, **values)

    def form(self, **values: Any) -> QuoteForm:
        """An honest quote before it is signed."""
        return self.guest(**values).form(REPORT_DATA)

    def items(self, **options: Any) -> dict[str, bytes]:
        """Honest collateral, but for ``options``."""
        return self.platform.collateral(self.tee, **options)

    def on(self, platform: DcapPlatform) -> "Bench":
        """The same with another machine."""
        return replace(self, platform=platform)

    def case(
        self, name: str, code: str | None = None, *, form: QuoteForm | None = None, raw: bytes | None = None,
        leaf: bytes | None = None, items: Mapping[str, bytes] | None = None, **expected: Any,
    ) -> MintedCase:  # fmt: skip
        """A case; everything that is not given is honest.

        Args:
            name: what was done.
            code: of the refusal; None: authentic.
            form: a quote to be signed; ``raw``: or its bytes.
            leaf: the platform's certificate, DER.
            items: the collateral.
            expected: ``status`` and ``flags`` of an authentic one.
        """
        if raw is None:
            raw = self.platform.quote(form or self.form(), leaf=leaf)
        held = self.items() if items is None else items
        return MintedCase(name=f"{self.tee}: {name}", code=code, tee=self.tee, raw=raw, items=held,
                          root=self.platform.vendor.root.certificate, **expected)  # fmt: skip
