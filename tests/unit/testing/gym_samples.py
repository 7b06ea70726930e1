"""Samples for the gym's own tests: minted, and two recorded ones."""

from datetime import UTC, datetime

from sealroom.evidence import Tee, TrustRoots
from sealroom.testing.gym.mutation import Sample
from sealroom.testing.gym.originals import originals
from sealroom.testing.snp import SimulatedSnp

AT = datetime(2026, 6, 1, tzinfo=UTC)


def snp_sample(platform, name="minted", **guest):
    report = SimulatedSnp(platform=platform, measurement=b"m" * 48, **guest).report(b"r" * 64)
    return Sample(
        name=name, tee=Tee.SNP, raw=report, collateral=dict(platform.collateral().items), at=AT,
        roots=TrustRoots(insecure_simulated=frozenset({platform.root_fingerprint})),
        own_root=platform.vendor.ark.certificate,
    )  # fmt: skip


def recorded(shared_vectors, *names):
    """The recorded samples whose folders have these names, as in ``tdx/v4-b0c06f-uptodate``."""
    return [sample for name in names for sample in originals(shared_vectors / name)]
