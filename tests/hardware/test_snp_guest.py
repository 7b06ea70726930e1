"""On a real SEV-SNP guest: the silicon's own evidence, all the way to claims. Skipped, with the reason, elsewhere."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealroom.evidence import Collateral, Tee, TrustRoots
from sealroom.tees import snp
from sealroom.tees.snp.collect import SnpConfigfs

_TSM = Path("/sys/kernel/config/tsm/report")


@pytest.fixture
def attester() -> SnpConfigfs:
    if not Path("/dev/sev-guest").exists():
        pytest.skip("this machine is no SEV-SNP guest (/dev/sev-guest is missing)")
    if not _TSM.is_dir():
        pytest.skip(f"the kernel offers no {_TSM} (Linux 6.7 and configfs mounted)")
    if not os.access(_TSM, os.W_OK):
        pytest.skip(f"{_TSM} is not writable for this user")
    return SnpConfigfs()


def test_the_report_carries_what_was_asked_for(attester: SnpConfigfs) -> None:
    asked = os.urandom(64)
    collected = attester.collect(asked)
    assert collected.tee is Tee.SNP
    assert snp.parse(collected.raw).report.report_data == asked


def test_the_report_verifies_under_amds_root_with_the_hosts_certificates(attester: SnpConfigfs) -> None:
    collected = attester.collect(bytes(64))
    if "leaf" not in collected.collateral.items:
        pytest.skip("the host hands out no certificates with the report")
    items = dict(collected.collateral.items)
    if chain := os.environ.get("SEALROOM_TEST_SNP_CHAIN"):
        items["chain"] = Path(chain).read_bytes()
    verified = snp.verify(
        snp.parse(collected.raw), roots=TrustRoots(), collateral=Collateral(items=items), at=datetime.now(UTC)
    )
    assert not snp.claims(verified).simulated
