"""Reports asked for through NVML: a binding of the real one's shape, with simulated GPUs behind it."""

import ctypes
import re
from datetime import UTC, datetime

import pytest

from sealroom.collect import collateral_in, devices_of_this_machine
from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError
from sealroom.evidence import Collateral, Tee, TrustRoots
from sealroom.tees.nvidia import parse, verify
from sealroom.tees.nvidia.collect import gpus_of_this_machine
from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvml import REPORT_SIZE, Certificate, EmulatedNvml, Report, Settings, State

NONCE = bytes(range(32))


@pytest.fixture
def gpus(vendor):
    return [SimulatedGpu.create("hopper", vendor=vendor), SimulatedGpu.create("blackwell", vendor=vendor)]


@pytest.fixture
def nvml(gpus):
    return EmulatedNvml(gpus)


def test_every_gpu_gives_a_report_that_verifies_with_what_lies_beside_it(nvml, gpus, vendor):
    """Fault gpu-cloud 10: what collects and what verifies speak of one structure."""
    along = {f"gpu{index}": {name: value for name, value in gpu.items().items() if name != "cert_chain"}
             for index, gpu in enumerate(gpus)}  # fmt: skip
    found = gpus_of_this_machine(nvml=nvml, collateral=lambda name: Collateral(items=along[name]))
    assert list(found) == ["gpu0", "gpu1"]
    for device in found.values():
        collected = device.collect(NONCE)
        assert (device.tee, device.simulated, collected.tee) == (Tee.NVIDIA, False, Tee.NVIDIA)
        verified = verify(parse(collected.raw), roots=TrustRoots(insecure_simulated=vendor.root_fingerprints),
                          collateral=collected.collateral, at=datetime.now(UTC))  # fmt: skip
        assert verified.evidence.report.request_nonce == NONCE
        assert verified.references.compared


def test_what_goes_along_is_asked_for_anew_with_each_report(nvml):
    answers = [Collateral(items={"ocsp": b"old"}), Collateral(items={"ocsp": b"new"})]
    device = gpus_of_this_machine(nvml=nvml, collateral=lambda _: answers.pop(0))["gpu0"]
    assert [device.collect(NONCE).collateral.items["ocsp"] for _ in range(2)] == [b"old", b"new"]


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ({"ccFeature": 0}, "nvidia.cc-off"),
        ({"ccFeature": 0, "multiGpuMode": 2}, "nvidia.cc-off"),
        ({"environment": 0}, "nvidia.cc-simulation"),
        ({"environment": 1}, "nvidia.cc-simulation"),
        ({"devToolsMode": 1}, "nvidia.devtools"),
        ({"devToolsMode": 1, "environment": 1}, "nvidia.devtools"),  # as drivers say it
    ],
)
@pytest.mark.parametrize("status", [0, 3, 13, 25])
def test_gpus_whose_word_is_worth_nothing_are_not_asked(gpus, mode, code, status):
    nvml = EmulatedNvml(gpus, **mode)
    nvml.settings_status = status  # an older driver answers the older question alone
    assert refusal(nvml) == code


def test_protected_pcie_counts_as_switched_on(gpus):
    assert len(gpus_of_this_machine(nvml=EmulatedNvml(gpus, ccFeature=0, multiGpuMode=1))) == 2


def refusal(nvml):
    with pytest.raises(UnavailableError) as caught:
        gpus_of_this_machine(nvml=nvml)
    return caught.value.code


def test_a_machine_without_driver_gpu_or_binding_says_which(nvml, monkeypatch):
    nvml.errors["nvmlInit"] = 12
    assert refusal(nvml) == "nvidia.no-driver"
    nvml.errors.clear()
    nvml.settings_status = 999
    assert refusal(nvml) == "nvidia.no-driver"
    assert refusal(EmulatedNvml([])) == "nvidia.no-gpu"
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    assert refusal(None) == "nvidia.no-binding"


def collect_error(nvml, nonce=NONCE):
    with pytest.raises(SealroomError) as caught:
        gpus_of_this_machine(nvml=nvml)["gpu0"].collect(nonce)
    return caught.value


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_nonce_of_another_size_is_a_mistake_of_ours(nvml, size):
    error = collect_error(nvml, bytes(size))
    assert (type(error), error.code) == (MisuseError, "nvidia.nonce-size")


def test_a_gpu_that_does_not_answer_is_unavailable(nvml):
    nvml.errors["nvmlDeviceGetConfComputeGpuAttestationReport"] = 3
    error = collect_error(nvml)
    assert (type(error), error.code, error.got) == (UnavailableError, "nvidia.no-report", "Not Supported")


@pytest.mark.parametrize(
    ("number", "code", "hint"),
    [
        (15, "nvidia.gpu-lost", "started anew"),
        (16, "nvidia.reset-required", "started anew|start the machine anew"),
        (4, "nvidia.no-report", "root"),
        (6, "nvidia.no-report", "confidential computing"),
        (999, "nvidia.no-report", "nvidia-smi"),
    ],
)
def test_what_is_wrong_with_one_gpu_of_several_is_told_and_leaves_the_others_alone(nvml, number, code, hint):
    nvml.lost[1] = number
    found = gpus_of_this_machine(nvml=nvml)
    with pytest.raises(UnavailableError) as caught:
        found["gpu1"].collect(NONCE)
    assert (caught.value.code, caught.value.where) == (code, "GPU 1")
    assert re.search(hint, caught.value.hint or "")
    assert found["gpu0"].collect(NONCE).raw


def test_certificates_that_do_not_come_are_no_missing_report(nvml):
    nvml.errors["nvmlDeviceGetConfComputeGpuCertificate"] = 3
    assert collect_error(nvml).code == "nvidia.no-certificates"


def test_an_answer_to_another_nonce_is_not_handed_on(nvml, gpus):
    nvml.changed = lambda raw: gpus[0].report(bytes(32))
    assert collect_error(nvml).code == "nvidia.other-report"


@pytest.mark.parametrize("changed", [lambda raw: raw[:-1], lambda raw: raw[37:], lambda _: b"",
                                     lambda raw: raw + bytes(REPORT_SIZE)])  # fmt: skip
def test_what_is_no_report_is_not_handed_on(nvml, changed):
    nvml.changed = changed
    assert isinstance(collect_error(nvml), MalformedError)


def test_zeros_after_the_certificates_are_cut_and_anything_else_is_none(nvml, gpus):
    nvml.chain = lambda raw: raw + bytes(9)
    device = gpus_of_this_machine(nvml=nvml)["gpu0"]
    assert device.collect(NONCE).collateral.items["cert_chain"] == gpus[0].items()["cert_chain"]
    nvml.chain = lambda raw: b"\x30" + raw
    assert collect_error(nvml).code == "nvidia.no-certificates"


def test_what_goes_along_lies_in_folders_that_of_one_device_before_that_of_all(tmp_path, nvml, monkeypatch):
    monkeypatch.setattr("sealroom.tees.nvidia.collect.nvml_binding", lambda: nvml)
    for name, content in {"nvidia/driver_rim": b"all", "nvidia/ocsp": b"all", "gpu1/ocsp": b"one",
                          "nvidia/README.md": b"no item"}.items():  # fmt: skip
        (path := tmp_path / name).parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    found = {
        name: device.collect(NONCE).collateral.items for name, device in devices_of_this_machine(tmp_path).items()
    }
    assert [items["ocsp"] for items in found.values()] == [b"all", b"one"]
    assert set(found["gpu0"]) == {"cert_chain", "driver_rim", "ocsp"}
    assert set(devices_of_this_machine()["gpu0"].collect(NONCE).collateral.items) == {"cert_chain"}


@pytest.mark.parametrize("content", [b"", bytes(1024 * 1024 + 1)])
def test_a_file_that_can_not_go_along_is_told(tmp_path, content):
    (tmp_path / "ocsp").write_bytes(content)
    with pytest.raises(UnavailableError, match=r"collect\.collateral"):
        collateral_in(tmp_path)


def test_the_fake_has_the_shape_of_the_real_binding():
    real = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    for name in (name for name in vars(EmulatedNvml) if name.startswith("nvml")):
        assert callable(getattr(real, name)), name
    ours = {Settings: real.c_nvmlSystemConfComputeSettings_v1_t, State: real.c_nvmlConfComputeSystemState_t,
            Report: real.c_nvmlConfComputeGpuAttestationReport_t,
            Certificate: real.c_nvmlConfComputeGpuCertificate_t}  # fmt: skip
    for fake, shape in ours.items():
        real_fields = {name: ctypes.sizeof(kind) for name, kind in shape._fields_}
        assert all(real_fields[name] == ctypes.sizeof(kind) for name, kind in fake._fields_)
    assert (real.NVML_ERROR_NOT_SUPPORTED, real.NVML_ERROR_FUNCTION_NOT_FOUND,
            real.NVML_ERROR_ARGUMENT_VERSION_MISMATCH) == (3, 13, 25)  # fmt: skip
    with pytest.raises(UnavailableError, match=r"nvidia\.no-driver"):  # no GPU here: told, and no traceback
        gpus_of_this_machine(nvml=real)
