"""Simulated Intel machines, and the verification of what is made on them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from sealroom.errors import SealroomError
from sealroom.evidence import Claims, Collateral, Tee, TrustRoots
from sealroom.tees.registry import for_tee
from sealroom.testing.dcap import DcapPlatform, SimulatedSgx, SimulatedTdx
from sealroom.testing.intel import IntelVendor

AT = datetime(2026, 6, 1, tzinfo=UTC)
DATA = bytes(range(64))


@dataclass(frozen=True)
class World:
    """One machine, and everything that can be asked of it."""

    platform: DcapPlatform

    def td(self, **values: object) -> SimulatedTdx:
        return SimulatedTdx(platform=self.platform, **values)

    def enclave(self, **values: object) -> SimulatedSgx:
        return SimulatedSgx(platform=self.platform, **values)

    def claims(self, raw: bytes, items: dict[str, bytes], tee: Tee = Tee.TDX, at: datetime = AT) -> Claims:
        verifier = for_tee(tee)
        roots = TrustRoots(insecure_simulated=frozenset({self.platform.vendor.root_fingerprint}))
        verified = verifier.verify(verifier.parse(raw), roots=roots, collateral=Collateral(items=items), at=at)
        return verifier.claims(verified)

    def refusal(self, raw: bytes, items: dict[str, bytes], tee: Tee = Tee.TDX, at: datetime = AT) -> str:
        """The code of the refusal; a verdict without one fails the test."""
        with pytest.raises(SealroomError) as error:
            self.claims(raw, items, tee, at)
        return error.value.code

    def items(self, tee: Tee = Tee.TDX, **forms: object) -> dict[str, bytes]:
        return self.platform.collateral(tee, **forms)


@pytest.fixture(scope="session")
def world() -> World:
    return World(DcapPlatform.create(IntelVendor.create()))


@pytest.fixture
def make_world() -> Callable[[DcapPlatform], World]:
    return World
