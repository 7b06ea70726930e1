"""A simulated machine in a directory: one for all processes, and for its owner's eyes alone."""

from datetime import UTC, datetime

import pytest

from sealroom.errors import MalformedError, UnavailableError
from sealroom.evidence import TrustRoots
from sealroom.tees import snp
from sealroom.testing.snp import SimulatedSnp, SnpPlatform
from sealroom.testing.snp_store import load_platform, platform_at, save_platform


@pytest.fixture
def kept(tmp_path, snp_platform):
    save_platform(snp_platform, tmp_path / "machine")
    return tmp_path / "machine"


def test_what_one_process_collects_another_verifies(kept, snp_platform):
    loaded = load_platform(kept)
    assert loaded.root_fingerprint == snp_platform.root_fingerprint
    collected = SimulatedSnp(platform=loaded).collect(bytes(64))
    roots = TrustRoots(insecure_simulated=frozenset({snp_platform.root_fingerprint}))
    at = datetime(2026, 6, 1, tzinfo=UTC)
    claims = snp.claims(snp.verify(snp.parse(collected.raw), roots=roots, collateral=collected.collateral, at=at))
    assert claims.device_id == snp_platform.chip_id


def test_directory_and_file_are_for_their_owner_alone(kept):
    assert kept.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in kept.iterdir()] == [0o600]


def test_a_machine_that_is_there_is_never_replaced(kept, snp_platform):
    other = SnpPlatform.create(vendor=snp_platform.vendor)
    save_platform(other, kept)
    assert platform_at(kept).chip_id == snp_platform.chip_id
    assert len(list(kept.iterdir())) == 1


def test_a_missing_and_a_damaged_machine_are_told_apart(kept, tmp_path):
    with pytest.raises(UnavailableError):
        load_platform(tmp_path / "nowhere")
    (path,) = kept.iterdir()
    whole = path.read_bytes()
    for damaged in (
        b"",
        b"[]",
        whole[:-20],
        whole.replace(b"Genoa", b"Venice"),
        whole.replace(b'"secret"', b'"hidden"'),
    ):
        path.write_bytes(damaged)
        with pytest.raises(MalformedError):
            load_platform(kept)


def test_secrets_do_not_show_in_the_representation(snp_platform):
    shown = repr(snp_platform)
    assert snp_platform.secret.hex() not in shown
    assert repr(snp_platform.secret) not in shown
    assert "PRIVATE" not in shown
