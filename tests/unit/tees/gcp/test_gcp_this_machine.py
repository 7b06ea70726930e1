"""Which evidence a machine of Google's is asked for: its silicon's, unless the wrapper is wanted."""

from pathlib import Path

import pytest

from sealroom.collect import Places, this_machine
from sealroom.errors import UnavailableError
from sealroom.evidence import Collateral, Tee
from sealroom.tees._tsm.collect import TsmDirectory
from sealroom.tees.gcp.collect import GceVm, is_google
from sealroom.tees.gcp.collect_space import SpaceLauncher
from sealroom.tees.snp.collect import SnpConfigfs, SnpDevice
from sealroom.tees.tdx.collect import TdxConfigfs
from sealroom.tees.tpm.collect import TpmTools
from sealroom.testing.tsm import EmulatedTsm

ALONG = Collateral(items={"ak_issuers": b"x"})


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A VM of Google's with a vTPM and nothing else."""
    names = ("sev_guest", "tdx_guest", "gramine", "nsm", "tpm", "chassis", "product", "launcher")
    found = Places(tsm=TsmDirectory(tmp_path / "none"), **{name: tmp_path / name for name in names})
    found.product.write_text("Google Compute Engine\n")
    found.tpm.touch()
    return found


def with_tsm(places: Places, folder: Path, provider: str) -> Places:
    folder.mkdir()
    names = ("sev_guest", "tdx_guest", "gramine", "nsm", "tpm", "chassis", "product", "launcher")
    return Places(
        tsm=EmulatedTsm(folder, bytes, provider=provider), **{name: getattr(places, name) for name in names}
    )


@pytest.mark.parametrize(("provider", "tee", "kind"), [
    ("sev_guest", Tee.SNP, SnpConfigfs), ("tdx_guest", Tee.TDX, TdxConfigfs),
])  # fmt: skip
def test_the_silicon_is_asked_unless_google_s_word_is_wanted_around_it(places, tmp_path, provider, tee, kind):
    places = with_tsm(places, tmp_path / "tsm", provider)
    assert isinstance(this_machine(places=places), kind)
    assert this_machine(places=places, tee=tee).tee is tee
    found = this_machine(places=places, tee=Tee.GCP, collateral=ALONG)
    assert isinstance(found, GceVm)
    assert isinstance(found.hardware, kind)
    assert (found.tcti, found.collateral) == (f"device:{places.tpm}", ALONG)
    assert isinstance(this_machine(places=places, tee=Tee.TPM), TpmTools)


def test_the_older_device_serves_as_well(places):
    places.sev_guest.touch()
    found = this_machine(places=places, tee=Tee.GCP)
    assert isinstance(found, GceVm)
    assert isinstance(found.hardware, SnpDevice)


def test_a_vm_without_confidential_memory_has_its_vtpm_alone(places, monkeypatch):
    found = this_machine(places=places, tee=Tee.GCP)
    assert isinstance(found, GceVm)
    assert found.hardware is None
    monkeypatch.setattr(GceVm, "is_certified", lambda _self: True)
    assert isinstance(this_machine(places=places), GceVm)
    monkeypatch.setattr(GceVm, "is_certified", lambda _self: False)
    assert isinstance(this_machine(places=places), TpmTools)


def test_a_vtpm_that_can_not_be_asked_is_not_certified(places, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not GceVm(tcti="nothing").is_certified()


def test_a_workload_of_confidential_space_asks_its_launcher(places):
    places.launcher.touch()
    for tee in (None, Tee.GCP):
        found = this_machine(places=places, tee=tee, collateral=ALONG)
        assert isinstance(found, SpaceLauncher)
        assert (found.socket, found.collateral) == (places.launcher, ALONG)


@pytest.mark.parametrize("tee", [Tee.GCP, Tee.SNP, Tee.AZURE_VTPM, Tee.NITRO])
def test_what_a_machine_does_not_have_is_refused_and_what_it_has_is_told(places, tee):
    places.product.write_text("Standard PC (Q35 + ICH9, 2009)")
    with pytest.raises(UnavailableError) as error:
        this_machine(places=places, tee=tee)
    assert (error.value.code, error.value.got, error.value.expected) == ("collect.other-tee", "tpm", tee.value)


def test_a_machine_with_nothing_says_so_whatever_is_wanted(places):
    places.tpm.unlink()
    for tee in (None, Tee.GCP, Tee.TPM):
        with pytest.raises(UnavailableError, match=r"collect\.no-tee"):
            this_machine(places=places, tee=tee)


def test_a_machine_is_google_s_by_its_firmware_s_word(tmp_path):
    assert not is_google(tmp_path / "none")
    (tmp_path / "name").write_bytes(b"\xffGoogle Compute Engine")
    assert not is_google(tmp_path / "name")
    (tmp_path / "name").write_bytes(b"Google Compute Engine\n")
    assert is_google(tmp_path / "name")
