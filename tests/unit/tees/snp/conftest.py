"""SNP platforms of every product and kind of key, on one set of RSA keys."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.tees import snp
from sealroom.tees.snp.layout import SigningKey
from sealroom.tees.snp.tcb import Product
from sealroom.testing.snp import SnpPlatform, SnpVendor

AT = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Bench:
    """A platform, and the verification of what is made of it."""

    platform: SnpPlatform

    def verify(self, raw: bytes, collateral: Collateral | None = None, *, at: datetime = AT) -> Claims:
        """Parse, verify and translate ``raw`` under the platform's own root."""
        roots = TrustRoots(insecure_simulated=frozenset({self.platform.root_fingerprint}))
        collateral = collateral or self.platform.collateral()
        return snp.claims(snp.verify(snp.parse(raw), roots=roots, collateral=collateral, at=at))

    def report(self, *, version: int = 3, **changes: int | bytes) -> bytes:
        """A signed report with these fields changed before the signature."""
        return self.platform.sign(self.platform.report_values(version=version) | changes)


@pytest.fixture(scope="session")
def vendors(snp_platform) -> dict[Product, SnpVendor]:
    return {product: SnpVendor.create(product, keys=snp_platform.vendor) for product in Product}


@pytest.fixture(scope="session")
def bench_of(vendors) -> Callable[..., Bench]:
    def make(product: Product = Product.GENOA, kind: SigningKey = SigningKey.VCEK, **options: object) -> Bench:
        return Bench(SnpPlatform.create(product, vendor=vendors[product], kind=kind, **options))

    return make


@pytest.fixture(scope="session")
def genoa(bench_of) -> Bench:
    return bench_of()


@pytest.fixture(scope="session")
def turin(bench_of) -> Bench:
    return bench_of(Product.TURIN)


@pytest.fixture(scope="session")
def vlek(bench_of) -> Bench:
    return bench_of(Product.MILAN, SigningKey.VLEK)
