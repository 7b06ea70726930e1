"""Reports through a file system that is really mounted: a simulator in place of the kernel's configfs."""

import pytest

from sealroom.errors import UnavailableError
from sealroom.tees._tsm.collect import TsmDirectory, provider_of
from sealroom.tees.snp.collect import SnpConfigfs
from sealroom.testing.snp import SimulatedSnp
from sealroom.testing.tsm import certificate_table
from sealroom.testing.tsm_fuse import mounted_tsm

DATA = bytes(range(64))


@pytest.fixture
def guest(snp_platform):
    return SimulatedSnp(platform=snp_platform)


@pytest.fixture
def mounted(tmp_path, guest, snp_platform):
    """What mounts; the test skips with the reason where nothing can be mounted."""
    table = certificate_table({"vcek": snp_platform.leaf})

    def mount(**options):
        return mounted_tsm(tmp_path, guest.report, auxblob=table, **({"provider": "sev_guest"} | options))

    try:
        with mount():
            pass
    except UnavailableError as reason:
        pytest.skip(str(reason))
    return mount


def test_a_report_is_asked_for_with_system_calls_alone_and_nothing_is_left(mounted, snp_platform):
    with mounted() as directory:
        assert provider_of(TsmDirectory(directory)) == "sev_guest"
        collected = SnpConfigfs(TsmDirectory(directory)).collect(DATA)
        assert collected.raw[0x50:0x90] == DATA
        assert collected.collateral.items["leaf"] == snp_platform.leaf
        assert list(directory.iterdir()) == []


def test_a_privilege_level_below_the_floor_is_refused_by_the_mounted_system(mounted):
    with mounted(privlevel_floor=2) as directory:
        assert SnpConfigfs(TsmDirectory(directory), privlevel=2).collect(DATA).raw
        with pytest.raises(UnavailableError) as error:
            SnpConfigfs(TsmDirectory(directory), privlevel=1).collect(DATA)
    assert "EINVAL" in error.value.got


def test_another_provider_is_named(mounted):
    with mounted(provider="arm_cca_guest") as directory, pytest.raises(UnavailableError) as error:
        SnpConfigfs(TsmDirectory(directory)).collect(DATA)
    assert (error.value.code, error.value.got) == ("tsm.other-provider", "arm_cca_guest")
