"""Which silicon a room that is served asks: the machine's, with its GPUs if they are wanted, or a folder's."""

from pathlib import Path

import pytest

from sealroom.cli import serve
from sealroom.errors import UnavailableError
from sealroom.evidence import Collateral, Tee
from sealroom.room.config import RoomConfig
from sealroom.testing.machines import Launched, power_on


def config(**changes: object) -> RoomConfig:
    needed: dict[str, object] = {"package": Path("p"), "publisher": bytes(32), "broker": "x", "resource": "a/b/c"}
    return RoomConfig(**needed | changes)  # type: ignore[arg-type]


def test_a_folder_has_the_guest_and_the_devices_of_its_machine(tmp_path: Path) -> None:
    launched = Launched(measurement=bytes(48), init_data=bytes(32))
    power_on("tdx+h100x8", tmp_path).launch(tmp_path, launched)
    attester, devices = serve._hardware(config(), tmp_path)
    assert attester.simulated
    assert sorted(devices) == sorted([*(f"gpu{index}" for index in range(8)), *(f"switch{i}" for i in range(4))])


def test_the_machines_own_is_asked_with_what_its_folder_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, object] = {}

    def this_machine(*, tee: Tee | None, collateral: Collateral | None) -> str:
        told["collateral"], told["tee"] = collateral, tee
        return "the machine"

    def devices_of_this_machine(folder: Path | None) -> dict[str, str]:
        return {"gpu0": f"below {folder}"}

    monkeypatch.setattr("sealroom.collect.this_machine", this_machine)
    monkeypatch.setattr("sealroom.collect.devices_of_this_machine", devices_of_this_machine)
    (tmp_path / "pck_crl").write_bytes(b"list")

    assert serve._hardware(config(), None) == ("the machine", {})
    assert told["collateral"] is None
    assert told["tee"] is None
    found = serve._hardware(config(gpus=True, collateral=tmp_path, tee=Tee.GCP), None)
    assert told["tee"] is Tee.GCP
    assert found == ("the machine", {"gpu0": f"below {tmp_path}"})
    assert isinstance(told["collateral"], Collateral)
    assert told["collateral"].items == {"pck_crl": b"list"}


def test_gpus_that_were_asked_for_and_are_not_there_end_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> None:
        raise UnavailableError("nvidia.no-binding", "none")

    monkeypatch.setattr("sealroom.tees.nvidia.collect.nvml_binding", no_driver)
    with pytest.raises(UnavailableError, match=r"nvidia\.no-binding"):
        serve._hardware(config(gpus=True), None)
