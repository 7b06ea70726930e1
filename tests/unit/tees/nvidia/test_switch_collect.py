"""Switches asked through NVIDIA's library: a shared object with its interface, and simulated switches behind it."""

import ctypes
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealroom.collect import devices_of_this_machine
from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError
from sealroom.evidence import Collateral, Tee, TrustRoots
from sealroom.tees.nvidia import claims, parse, topology, verify
from sealroom.tees.nvidia.collect import nvidia_devices
from sealroom.tees.nvidia.collect_nscq import load_nscq
from sealroom.tees.nvidia.collect_switches import switches_of_this_machine
from sealroom.testing.nvidia import GpuMachine
from sealroom.testing.nvml import EmulatedNvml

NONCE = bytes(range(32))
_SOURCE = Path(__file__).with_name("nscq_stand_in.c")
_ANSWERING = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint8),
                              ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint8), ctypes.c_uint32)  # fmt: skip


def compiled(place: Path, *options: str) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", *options, "-o", place, _SOURCE]
    subprocess.run(command, check=True)
    return place


@pytest.fixture(scope="session")
def machine(vendor):
    return GpuMachine.create(gpus=8, switches=4, vendor=vendor)


@pytest.fixture
def stand_in(tmp_path, machine):
    return StandIn(compiled(tmp_path / "libnvidia-nscq.so.2"), machine.switches)


class StandIn:
    """The library, and what the test decides about it."""

    def __init__(self, path, switches):
        self.library, self.path, self.switches = ctypes.CDLL(str(path)), str(path), switches
        self.changed = lambda _name, raw: raw
        self.size = None
        self._answer = _ANSWERING(self.answer)
        self.library.stand_in(self._answer, len(switches))

    def answer(self, number, name, nonce, nonce_size, place, room):
        device = self.switches[number]
        if name == b"attestation_report":
            raw = self.changed(name, device.report(bytes(nonce[:nonce_size])))
        else:
            raw = self.changed(name, device.items()["cert_chain"] + b"\0")
        ctypes.memmove(place, raw, min(len(raw), room))
        return len(raw) if self.size is None else self.size

    def codes(self, *, session=0, question=0, call=0):
        self.library.stand_in_codes(session, question, call)

    def found(self, **along):
        return switches_of_this_machine(library=load_nscq(self.path), **along)

    def error(self, nonce=NONCE):
        with pytest.raises(SealroomError) as caught:
            self.found()["switch0"].collect(nonce)
        assert self.library.stand_in_open() == 0, "a session was left open"
        return caught.value


def judged(collected, vendor):
    roots = TrustRoots(insecure_simulated=vendor.root_fingerprints)
    return verify(parse(collected.raw), roots=roots, collateral=collected.collateral, at=datetime.now(UTC))


def test_every_switch_gives_a_report_that_verifies_with_what_lies_beside_it(stand_in, machine, vendor):
    along = {f"switch{index}": {name: value for name, value in switch.items().items() if name != "cert_chain"}
             for index, switch in enumerate(machine.switches)}  # fmt: skip
    found = stand_in.found(collateral=lambda name: Collateral(items=along[name]))
    assert list(found) == ["switch0", "switch1", "switch2", "switch3"]
    for device, switch in zip(found.values(), machine.switches, strict=True):
        collected = device.collect(NONCE)
        assert (device.tee, device.simulated, collected.tee) == (Tee.NVIDIA, False, Tee.NVIDIA)
        verified = judged(collected, vendor)
        assert verified.evidence.report.request_nonce == NONCE
        assert verified.references.compared
        assert claims(verified).details["pdi"] == switch.pdi.hex()
    assert stand_in.library.stand_in_open() == 0


def test_gpus_over_protected_pcie_bring_their_switches_and_all_of_it_is_one_machine(
    stand_in, machine, vendor, monkeypatch
):
    monkeypatch.setattr("sealroom.tees.nvidia.collect_switches.load_nscq", lambda: load_nscq(stand_in.path))
    nvml = EmulatedNvml(machine.gpus, ccFeature=0, multiGpuMode=1)
    along = {name: device.items() for name, device in machine.devices.items()}
    found = nvidia_devices(nvml=nvml, collateral=lambda name: Collateral(items=along[name]))
    assert sorted(found) == sorted(machine.devices)
    said = [claims(judged(device.collect(NONCE), vendor)) for device in found.values()]
    assert topology.problems(said) == ()
    assert topology.problems(said[:-1]) != ()


def test_what_goes_along_with_switches_is_not_what_goes_along_with_gpus(stand_in, machine, tmp_path, monkeypatch):
    nvml = EmulatedNvml(machine.gpus, ccFeature=0, multiGpuMode=1)
    monkeypatch.setattr("sealroom.tees.nvidia.collect.nvml_binding", lambda: nvml)
    monkeypatch.setattr("sealroom.tees.nvidia.collect_switches.load_nscq", lambda: load_nscq(stand_in.path))
    for name in ("nvidia/driver_rim", "nvswitch/vbios_rim", "switch2/ocsp"):
        (path := tmp_path / name).parent.mkdir(exist_ok=True)
        path.write_bytes(b"content")
    found = devices_of_this_machine(tmp_path)
    items = {name: set(found[name].collect(NONCE).collateral.items) for name in ("gpu0", "switch0", "switch2")}
    assert items == {"gpu0": {"cert_chain", "driver_rim"}, "switch0": {"cert_chain", "vbios_rim"},
                     "switch2": {"cert_chain", "vbios_rim", "ocsp"}}  # fmt: skip


def test_gpus_that_work_alone_need_no_switch_library(machine, monkeypatch):
    monkeypatch.setattr("sealroom.tees.nvidia.collect_switches.load_nscq", lambda: pytest.fail("asked"))
    for several in (0, 2):  # 2: links are encrypted, and whoever switches them is trusted with nothing
        assert len(nvidia_devices(nvml=EmulatedNvml(machine.gpus, multiGpuMode=several))) == 8


def test_a_machine_without_the_library_or_with_an_old_one_says_which(tmp_path, machine):
    nvml = EmulatedNvml(machine.gpus, ccFeature=0, multiGpuMode=1)
    with pytest.raises(UnavailableError) as caught:
        nvidia_devices(nvml=nvml)
    assert (caught.value.code, caught.value.where) == ("nvidia.no-nscq", "libnvidia-nscq.so.2")
    assert "install libnvidia-nscq" in caught.value.hint
    with pytest.raises(UnavailableError, match=r"nvidia\.nscq-too-old.*nscq_session_set_input"):
        load_nscq(str(compiled(tmp_path / "old.so", "-DOLD")))


def test_a_warning_of_the_library_is_no_refusal(stand_in):
    stand_in.codes(session=1, question=1, call=1)
    assert stand_in.found()["switch3"].collect(NONCE).raw


@pytest.mark.parametrize(
    ("codes", "code", "words"),
    [
        ({"session": -6}, "nvidia.no-nscq-session", "does not fit the driver"),
        ({"question": -8}, "nvidia.no-switch-answer", "timeout"),
        ({"call": -7}, "nvidia.no-switch-answer", "the driver failed"),
        ({"call": -128}, "nvidia.no-switch-answer", "unspecified"),
        ({"call": -99}, "nvidia.no-switch-answer", "code -99"),
    ],
)
def test_each_way_of_the_library_to_fail_is_told(stand_in, codes, code, words):
    found = stand_in.found()
    stand_in.codes(**codes)
    with pytest.raises(UnavailableError) as caught:
        found["switch1"].collect(NONCE)
    assert caught.value.code == code
    assert words in caught.value.got
    assert stand_in.error().code == code
    assert stand_in.library.stand_in_open() == 0


def test_protected_pcie_without_a_switch_is_told(stand_in):
    stand_in.library.stand_in(stand_in._answer, 0)
    with pytest.raises(UnavailableError, match=r"nvidia\.no-switch"):
        stand_in.found()


@pytest.mark.parametrize("mode", [-1, 0, 1, 2])
def test_a_switch_whose_links_are_not_trusted_and_locked_is_not_asked(stand_in, mode):
    stand_in.library.stand_in_mode(mode)
    stand_in.changed = lambda *_: pytest.fail("asked")
    assert stand_in.error().code == "nvidia.switch-not-protected"


@pytest.mark.parametrize("times", [0, 2])
def test_two_answers_to_one_question_and_none_are_no_answer(stand_in, times):
    stand_in.library.stand_in_times(times)
    assert stand_in.error().code == "nvidia.no-switch-answer"


@pytest.mark.parametrize("size", [0, 0x2001, 0xFFFFFFFF])
def test_a_size_outside_of_the_buffer_is_not_read(stand_in, size):
    stand_in.size = size
    error = stand_in.error()
    assert (type(error), error.code) == (MalformedError, "nvidia.wrong-length")


def test_an_answer_to_another_nonce_and_one_without_certificates_are_not_handed_on(stand_in, machine):
    stand_in.changed = lambda name, raw: machine.switches[0].report(bytes(32)) if name[0] == ord("a") else raw
    assert stand_in.error().code == "nvidia.other-report"
    stand_in.changed = lambda name, raw: b"\x30" + raw if name[0] == ord("c") else raw
    assert stand_in.error().code == "nvidia.no-certificates"
    stand_in.changed = lambda _name, raw: raw[:-1]
    assert isinstance(stand_in.error(), MalformedError)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_nonce_of_another_size_is_a_mistake_of_ours(stand_in, size):
    error = stand_in.error(bytes(size))
    assert (type(error), error.code) == (MisuseError, "nvidia.nonce-size")


def test_several_callers_at_the_same_time_get_each_the_answer_to_his_own_nonce(stand_in):
    found = list(stand_in.found().values())
    nonces = [bytes((number,)) * 32 for number in range(24)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda nonce: found[nonce[0] % 4].collect(nonce), nonces))
    assert [parse(answer.raw).report.request_nonce for answer in answers] == nonces
    assert stand_in.library.stand_in_most() == 1
