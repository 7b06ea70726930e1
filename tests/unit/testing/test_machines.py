"""Simulated machines of every kind: kept in a folder, launched, accepted by the policy made for them and no other."""

import json
import stat
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from itertools import cycle
from pathlib import Path
from types import MappingProxyType

import pytest

from sealroom.binding import INIT_DATA_FIELD, carried, carried_init_data
from sealroom.errors import MalformedError, MisuseError, UnavailableError
from sealroom.evidence import Appraisal, TrustRoots
from sealroom.policy import load_policy
from sealroom.tees.registry import for_tee
from sealroom.testing.machines import CPUS, GPUS, Launched, guest_at, kind_at, power_on
from sealroom.testing.nitro import NitroMachine
from sealroom.testing.nvidia import PRESETS
from sealroom.testing.object_store import keep, kept
from sealroom.verifier import appraise_evidence

LAUNCHED = Launched(measurement=b"\x07" * 48, init_data=b"\x09" * 32)
DATA = bytes(range(64))
OPEN = """\
policy = 1
name = "t"
[unchecked]
init_data = "no guest here"
freshness = "no nonce here"
model = "no room here"
engine = "no room here"
"""
kinds = pytest.mark.parametrize("kind", [*CPUS, "azure-snp+h100"])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Machines are made once: an RSA-4096 key takes a second."""
    return tmp_path_factory.mktemp("machines")


def verdict(folder: Path, kind: str, *, accepted: Launched = LAUNCHED) -> Appraisal:
    guest = guest_at(folder)
    cpu_alone = replace(power_on(kind, folder).accepted(accepted), device_tables="", device_roots=())
    policy = load_policy(OPEN + cpu_alone.sections(), source="t")
    expected = carried(guest.cpu.tee, DATA)
    collected = guest.cpu.collect(expected)
    return appraise_evidence(tee=collected.tee, raw=collected.raw, collateral=collected.collateral, policy=policy,
                             at=datetime.now(UTC), expected_report_data=expected)  # fmt: skip


@kinds
def test_what_was_launched_is_accepted_and_nothing_else(folders: Path, kind: str) -> None:
    machine = power_on(kind, folders / kind)
    machine.launch(folders / kind, LAUNCHED)
    judged = verdict(folders / kind, kind)
    assert judged.accepted, judged.failures
    assert judged.simulated
    other = Launched(measurement=b"\x08" * 48, init_data=LAUNCHED.init_data)
    assert not verdict(folders / kind, kind, accepted=other).accepted


@kinds
def test_its_evidence_carries_what_it_was_launched_for(folders: Path, kind: str) -> None:
    power_on(kind, folders / kind).launch(folders / kind, LAUNCHED)
    bound = verdict(folders / kind, kind).claims
    held = bound.measurements[INIT_DATA_FIELD[bound.tee]]
    assert held == carried_init_data(bound.tee, LAUNCHED.init_data, size=len(held))
    assert held.strip(b"\x00")


@kinds
def test_the_machine_is_the_same_after_it_was_kept(folders: Path, kind: str) -> None:
    first, second = (power_on(kind, folders / kind).accepted(LAUNCHED).sections() for _ in range(2))
    assert first == second
    assert kind_at(folders / kind) == kind
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (folders / kind).glob("*.json")
               if path.name != "guest.json")  # fmt: skip


@pytest.mark.parametrize("kind", [f"{cpu}+{gpus}" for cpu, gpus in zip(cycle(CPUS), GPUS)])
def test_every_device_answers_and_the_policy_counts_them(folders: Path, kind: str) -> None:
    machine = power_on(kind, folders / kind)
    machine.launch(folders / kind, LAUNCHED)
    guest, accepted = guest_at(folders / kind), machine.accepted(LAUNCHED)
    roots = TrustRoots(insecure_simulated=frozenset(accepted.device_roots))
    for device in guest.devices.values():
        collected, verifier = device.collect(bytes(32)), for_tee(device.tee)
        verified = verifier.verify(verifier.parse(collected.raw), roots=roots, collateral=collected.collateral,
                                   at=datetime.now(UTC))  # fmt: skip
        assert verifier.claims(verified).report_data == bytes(32)
    assert f"count = {sum(name.startswith('gpu') for name in guest.devices)}\n" in accepted.sections()


def test_an_unknown_kind_is_told_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"simulated\.kind") as caught:
        power_on("abacus", tmp_path)
    assert caught.value.expected is not None
    assert all(kind in caught.value.expected for kind in (*CPUS, *GPUS))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["snp+", "snp+abacus", "+h100", "snp+h100+h100", "h100"])
def test_half_a_kind_is_none(tmp_path: Path, kind: str) -> None:
    with pytest.raises(MisuseError, match=r"simulated\.kind"):
        power_on(kind, tmp_path)


def test_every_set_of_gpus_that_can_be_minted_is_to_be_had() -> None:
    assert set(GPUS) == set(PRESETS)


def test_a_folder_holds_one_kind(tmp_path: Path) -> None:
    power_on("nitro", tmp_path)
    with pytest.raises(MisuseError, match=r"simulated\.other-kind"):
        power_on("tdx", tmp_path)


def test_where_nothing_was_launched_there_is_no_guest(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"simulated\.store"):
        guest_at(tmp_path)
    power_on("tdx", tmp_path)
    with pytest.raises(UnavailableError, match=r"simulated\.store"):
        guest_at(tmp_path)


@dataclass
class Foreign:
    """Not of our packages."""

    value: int = 1


class Word(Enum):
    ONE = 1


def test_every_value_comes_back_and_one_object_is_one_again(tmp_path: Path) -> None:
    machine = NitroMachine.create()
    values = (machine, machine.vendor, {"a": (1, None, True, "x"), 2: b"\x00"}, frozenset({b"s"}),
              datetime(2026, 1, 1, tzinfo=UTC), MappingProxyType({"m": 1}))  # fmt: skip
    keep(values, tmp_path / "f.json")
    again = kept(tmp_path / "f.json")
    assert again[0].vendor is again[1]
    assert again[0].vendor.root_fingerprint == machine.vendor.root_fingerprint
    assert again[2:] == values[2:]


@pytest.mark.parametrize("value", [1.5, object(), Foreign, {"a": object()}])
def test_what_can_not_be_kept_is_not(tmp_path: Path, value: object) -> None:
    with pytest.raises(TypeError):
        keep(value, tmp_path / "f.json")
    assert not (tmp_path / "f.json").exists()


@pytest.mark.parametrize("value", [Foreign(), Word.ONE])
def test_a_file_can_name_no_type_but_ours(tmp_path: Path, value: object) -> None:
    keep(value, tmp_path / "f.json")
    with pytest.raises(MalformedError, match=r"simulated\.store"):
        kept(tmp_path / "f.json")


@pytest.mark.parametrize(
    "root",
    [
        {"enum": "os:environ", "is": "x"},
        {"enum": "sealroom.testing.object_store:os", "is": "x"},
        {"enum": "sealroom.testing.object_store:_Reader", "is": "x"},
        {"enum": "sealroom.testing.nowhere:Thing", "is": "x"},
        {"object": 0},
        {"bytes": "xy"},
        {"other": 1},
        {},
    ],
)
def test_a_damaged_file_is_told_and_runs_nothing(tmp_path: Path, root: object) -> None:
    for objects in ([], [{"type": "sealroom.testing.object_store:_Writer", "fields": {}}], [{"key": "no key"}]):
        (tmp_path / "f.json").write_text(json.dumps({"objects": objects, "root": root}))
        with pytest.raises(MalformedError, match=r"simulated\.store"):
            kept(tmp_path / "f.json")
    (tmp_path / "f.json").write_text("{")
    with pytest.raises(MalformedError):
        kept(tmp_path / "f.json")


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match=r"simulated\.store"):
        keep(1, tmp_path / "file" / "f.json")
