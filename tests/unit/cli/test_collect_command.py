"""Evidence into files: of the machine, of its GPUs and switches, or of nothing."""

import json
from pathlib import Path

import pytest

from sealroom.cli import collect as verb
from sealroom.cli.main import _run
from sealroom.errors import UnavailableError
from sealroom.evidence import CollectedEvidence, Tee
from sealroom.testing.machines import Launched, power_on
from sealroom.testing.nitro import NitroMachine, SimulatedNitro
from sealroom.testing.nvidia import GpuMachine

BOUND = "00" * 63 + "01"


class Lost:
    """A device that fell off the bus."""

    tee, simulated = Tee.NVIDIA, False

    def collect(self, nonce: bytes) -> CollectedEvidence:
        raise UnavailableError("nvidia.gpu-lost", "it fell off the bus", where="GPU 1")


@pytest.fixture(scope="module")
def machine() -> GpuMachine:
    return GpuMachine.create(gpus=2, switches=1)


@pytest.fixture
def hardware(machine: GpuMachine, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    devices: dict[str, object] = dict(machine.devices)

    def this_machine(*, tee: Tee | None) -> SimulatedNitro:
        if tee not in {None, Tee.NITRO}:
            raise UnavailableError("collect.other-tee", "other evidence", got="nitro")
        return SimulatedNitro(machine=NitroMachine.create())

    monkeypatch.setattr(verb, "this_machine", this_machine)
    monkeypatch.setattr(verb, "devices_of_this_machine", lambda: devices)
    return devices


@pytest.mark.usefixtures("hardware")
def test_each_device_has_a_folder_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["collect", str(tmp_path / "all"), "--report-data", BOUND, "--devices", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["tee"], [one["tee"] for one in said["devices"]]) == ("nitro", ["nvidia"] * 3)
    found = sorted(str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("evidence.bin"))
    assert found == ["all", "all/gpu0", "all/gpu1", "all/switch0"]
    assert (tmp_path / "all/switch0/cert_chain").exists()


@pytest.mark.usefixtures("hardware")
def test_without_being_told_no_device_is_asked(tmp_path: Path) -> None:
    assert _run(["collect", str(tmp_path), "--report-data", BOUND]) == 0
    assert [path.parent for path in tmp_path.rglob("evidence.bin")] == [tmp_path]


def test_where_one_device_gives_nothing_no_file_is_written(
    tmp_path: Path, hardware: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    hardware["gpu1"] = Lost()
    assert _run(["collect", str(tmp_path / "all"), "--report-data", BOUND, "--devices"]) == 5
    assert "(nvidia.gpu-lost)" in capsys.readouterr().err
    assert not (tmp_path / "all").exists()


@pytest.mark.usefixtures("hardware")
def test_evidence_of_another_kind_than_was_asked_for_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["collect", str(tmp_path / "a"), "--report-data", BOUND, "--tee", "gcp"]) == 5
    assert "collect.other-tee" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    assert _run(["collect", str(tmp_path / "a"), "--report-data", BOUND, "--tee", "nitro"]) == 0


def test_a_simulated_guest_has_one_kind_of_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine, launched = power_on("nitro", tmp_path / "m"), Launched(measurement=bytes(48), init_data=bytes(32))
    machine.launch(tmp_path / "m", launched)
    asked = ["collect", str(tmp_path / "a"), "--report-data", BOUND, "--insecure-simulated", str(tmp_path / "m")]
    assert _run([*asked, "--tee", "gcp"]) == 5
    assert "collect.other-tee" in capsys.readouterr().err
    assert _run([*asked, "--tee", "nitro"]) == 0
