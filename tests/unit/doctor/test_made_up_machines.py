"""Each kind of machine in the world, and what the doctor says of it."""

import json
from collections.abc import Callable
from pathlib import Path

import made_up_machines as made_up
import pytest
from made_up_machines import EPYC, TSM, XEON, MadeUp

from sealroom.cli import doctor as verb
from sealroom.cli.doctor import report_lines
from sealroom.cli.main import _run
from sealroom.collect import Places, this_machine
from sealroom.doctor.finding import Area, Diagnosis, Finding, State
from sealroom.errors import UnavailableError
from sealroom.tees.azure_vtpm.collect import AzureVtpm
from sealroom.tees.gcp.collect import GceVm
from sealroom.testing.nvidia import GpuMachine
from sealroom.testing.nvml import EmulatedNvml
from sealroom.testing.tsm import EmulatedTsm

KINDS: dict[str, tuple[Callable[[Path], MadeUp], list[str], bool]] = {
    "Azure SNP": (made_up.azure_snp, ["azure-vtpm", "tpm"], True),
    "Azure TDX": (made_up.azure_tdx, ["azure-vtpm", "tpm"], True),
    "GCE SNP": (made_up.google_snp, ["snp", "gcp", "tpm"], True),
    "GCE, not confidential": (made_up.google_shielded, ["gcp", "tpm"], False),
    "GCE TDX": (made_up.google_tdx, ["tdx", "gcp", "tpm"], True),
    "Nitro enclave": (made_up.nitro_enclave, ["nitro"], True),
    "AWS SNP": (made_up.amazon_snp, ["snp"], True),
    "AWS NitroTPM": (made_up.amazon_with_tpm, ["nitro", "tpm"], True),
    "AWS SNP with NitroTPM": (made_up.amazon_snp_with_tpm, ["snp", "nitro", "tpm"], True),
    "Confidential Space": (made_up.confidential_space, ["gcp"], True),
    "AWS instance": (made_up.amazon_plain, [], False),
    "TD without its module": (made_up.bare_tdx, [], False),
    "SNP without permission": (made_up.snp_without_permission, [], False),
    "TDX with eight H100": (made_up.tdx_with_eight_gpus, ["tdx"], True),
    "realm": (made_up.realm, ["cca"], True),
    "laptop": (made_up.laptop, [], False),
    "container without /sys": (made_up.container_without_sys, [], False),
}


def finding(diagnosis: Diagnosis, name: str) -> Finding:
    (found,) = [one for one in diagnosis.findings if one.name == name]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_what_each_kind_of_machine_proves(kind: str, tmp_path: Path) -> None:
    make, proves, confidential = KINDS[kind]
    diagnosis = make(tmp_path).diagnosis()
    assert [tee.value for tee in diagnosis.proves] == proves
    assert diagnosis.confidential is confidential


PROVIDERS = {"GCE SNP": "sev_guest", "AWS SNP": "sev_guest", "GCE TDX": "tdx_guest", "realm": "arm_cca_guest",
             "AWS SNP with NitroTPM": "sev_guest", "TDX with eight H100": "tdx_guest"}  # fmt: skip
"""What the kernel says of itself where configfs-tsm is there."""
PLACES = {"sev_guest": "dev/sev-guest", "tdx_guest": "dev/tdx_guest", "gramine": "dev/attestation", "nsm": "dev/nsm",
          "tpm": "dev/tpmrm0", "launcher": "run/container_launcher/teeserver.sock",
          "chassis": "sys/class/dmi/id/chassis_asset_tag", "product": "sys/class/dmi/id/product_name",
          "vendor": "sys/class/dmi/id/sys_vendor"}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"SNP without permission"}))
def test_what_is_collected_is_what_the_doctor_names(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = KINDS[kind][0](tmp_path)
    machine.forbidden.clear()
    indices = machine.indices
    assert isinstance(indices, frozenset)
    monkeypatch.setattr(AzureVtpm, "is_confidential", lambda _: 0x01400001 in indices)
    monkeypatch.setattr(GceVm, "is_certified", lambda _: 0x01C10000 in indices)
    monkeypatch.setattr("shutil.which", lambda name, **_: name if name in machine.tools else None)
    tsm = EmulatedTsm(tmp_path / TSM, bytes, provider=PROVIDERS.get(kind, "none"))
    places = Places(tsm=tsm, **{name: tmp_path / path for name, path in PLACES.items()})
    proves = machine.diagnosis().proves
    if proves:
        assert this_machine(places=places).tee is proves[0]
        assert [this_machine(tee=tee, places=places).tee for tee in proves] == list(proves)
    else:
        with pytest.raises(UnavailableError, match=r"collect\.no-tee"):
            this_machine(places=places)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_comes_with_a_way_to_mend_it_and_all_fits_a_terminal(kind: str, tmp_path: Path) -> None:
    diagnosis = KINDS[kind][0](tmp_path).diagnosis()
    assert all(one.mend for one in diagnosis.findings if one.state is State.MISSING)
    assert not any(one.mend for one in diagnosis.findings if one.state is State.OK)
    lines = list(report_lines(diagnosis, (), columns=80))
    assert max(map(len, lines)) <= 80
    assert sum(len(diagnosis.of(area)) for area in Area) == len(diagnosis.findings)


@pytest.mark.parametrize("kind", KINDS)
def test_the_exit_status_and_the_json_say_the_same(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, proves, confidential = KINDS[kind]
    machine, look = make(tmp_path), verb.look
    monkeypatch.setattr(verb, "look", lambda: look(machine.sight()))
    assert _run(["doctor"]) == (0 if proves else 5)
    assert ("NOTHING" in capsys.readouterr().out) is not bool(proves)
    assert _run(["doctor", "--json"]) == (0 if proves else 5)
    said = json.loads(capsys.readouterr().out)
    assert (said["proves"], said["confidential"], said["answers"]) == (proves, confidential, [])
    assert {one["state"] for one in said["findings"]} <= {"ok", "missing", "not here"}


@pytest.mark.parametrize(
    ("kind", "name", "state", "words"),
    [
        ("Azure SNP", "AMD SEV-SNP", State.ABSENT, "vTPM"),
        ("Azure TDX", "Intel TDX", State.ABSENT, "vTPM"),
        ("Azure SNP", "Google vTPM", State.ABSENT, "Google"),
        ("GCE, not confidential", "Intel TDX", State.ABSENT, "--confidential-compute-type=TDX"),
        ("AWS instance", "AWS NitroTPM", State.ABSENT, "--tpm-support"),
        ("GCE TDX", "Google vTPM", State.OK, "around the hardware's report"),
        ("Confidential Space", "Intel TDX", State.ABSENT, "launcher answers"),
        ("AWS instance", "AWS Nitro enclave", State.ABSENT, "inside of an enclave"),
        ("AWS instance", "AMD SEV-SNP", State.ABSENT, "AmdSevSnp=enabled"),
        ("TD without its module", "Intel TDX", State.MISSING, "modprobe tdx-guest"),
        ("SNP without permission", "AMD SEV-SNP", State.MISSING, "root"),
        ("SNP without permission", "sandbox: user", State.MISSING, "root"),
        ("TDX with eight H100", "NVIDIA GPUs", State.OK, "8 x NVIDIA GH100"),
        ("TDX with eight H100", "NVIDIA GPUs", State.OK, "protected PCIe"),
        ("TDX with eight H100", "NVLink switches", State.OK, "4 on the bus"),
        ("TDX with eight H100", "GPUs take work", State.OK, "use them"),
        ("realm", "AMD SEV-SNP", State.ABSENT, "not AMD's"),
        ("laptop", "TPM", State.MISSING, "tss"),
        ("laptop", "swap", State.MISSING, "swapoff"),
        ("laptop", "locked memory", State.MISSING, "8 MiB"),
        ("laptop", "engine", State.MISSING, "sealroom[engine]"),
        ("laptop", "Intel TDX", State.ABSENT, "not started"),
        ("container without /sys", "AMD SEV-SNP", State.ABSENT, "no /sys"),
    ],
)
def test_what_is_said_of_one_thing(kind: str, name: str, state: State, words: str, tmp_path: Path) -> None:
    found = finding(KINDS[kind][0](tmp_path).diagnosis(), name)
    assert found.state is state
    assert words in f"{found.found} {found.mend}"


def test_an_engine_that_can_not_be_loaded_is_not_called_installed(tmp_path: Path) -> None:
    machine = MadeUp(tmp_path).cpu(EPYC)
    machine.engine_fault = "ImportError: libgomp.so.1: cannot open shared object file"
    found = finding(machine.diagnosis(), "engine")
    assert found.state is State.MISSING
    assert "libgomp.so.1" in found.found
    assert "apt-get install libgomp1" in found.mend


def test_without_configfs_an_older_kernel_is_asked_through_its_device(tmp_path: Path) -> None:
    machine = MadeUp(tmp_path).cpu(EPYC).file("dev/sev-guest").kernel("6.1.0-18-amd64")
    found = finding(machine.diagnosis(), "AMD SEV-SNP")
    assert (found.state, "before 6.7" in found.found) == (State.OK, True)
    machine.forbid("dev/sev-guest")
    assert finding(machine.diagnosis(), "AMD SEV-SNP").state is State.MISSING
    machine.kernel("6.12.1").file("proc/mounts").forbidden.clear()
    assert "not mounted" in finding(machine.diagnosis(), "AMD SEV-SNP").found


def test_a_td_without_configfs_needs_a_way_to_its_host(tmp_path: Path) -> None:
    machine = MadeUp(tmp_path).cpu(XEON, "tdx_guest").file("dev/tdx_guest").kernel("6.5.0")
    assert "vsock" in (finding(machine.diagnosis(), "Intel TDX").mend or "")
    assert finding(machine.file("dev/vsock").diagnosis(), "Intel TDX").state is State.OK


@pytest.mark.parametrize(
    ("release", "words"), [("5.15.0", "5.19"), ("6.8.0", "modprobe sev-guest"), ("gibberish", "5.19")]
)
def test_a_guest_that_the_kernel_knows_of_and_has_no_device_for(tmp_path: Path, release: str, words: str) -> None:
    machine = MadeUp(tmp_path).cpu(EPYC).folder("sys/bus/platform/devices/sev-guest").kernel(release)
    assert words in (finding(machine.diagnosis(), "AMD SEV-SNP").mend or "")


def test_a_container_is_given_the_device_and_loads_no_module(tmp_path: Path) -> None:
    machine = MadeUp(tmp_path).cpu(EPYC).folder("sys/bus/platform/devices/sev-guest").file("run/.containerenv")
    assert "--device /dev/sev-guest" in (finding(machine.diagnosis(), "AMD SEV-SNP").mend or "")


@pytest.mark.parametrize(("vendor", "module", "kind"), [(EPYC, "kvm_amd/parameters/sev_snp", "AMD SEV-SNP"),
                                                        (XEON, "kvm_intel/parameters/tdx", "Intel TDX")])  # fmt: skip
def test_a_host_is_no_guest(tmp_path: Path, vendor: tuple[str, str], module: str, kind: str) -> None:
    machine = MadeUp(tmp_path).cpu(vendor, "sev_snp").file(f"sys/module/{module}", "Y\n")
    found = finding(machine.diagnosis(), kind)
    assert (found.state, found.mend) == (State.ABSENT, "run this inside of a guest")
    assert finding(machine.file(f"sys/module/{module}", "N\n").diagnosis(), kind).mend is None


@pytest.mark.parametrize(
    ("release", "tsm", "mounts", "state", "words"),
    [
        ("6.12.4", True, True, State.MISSING, "6.13"),
        ("6.13.0", False, True, State.MISSING, "modprobe arm-cca-guest"),
        ("6.13.0", False, False, State.MISSING, "mount -t configfs"),
        ("7.0.0", True, True, State.OK, "None"),
    ],
)
def test_a_realm_needs_a_kernel_that_knows_of_realms(
    tmp_path: Path, release: str, tsm: bool, mounts: bool, state: State, words: str
) -> None:
    machine = made_up.realm(tmp_path).kernel(release)
    if not tsm:
        (tmp_path / TSM).rmdir()
    if not mounts:
        machine.file("proc/mounts")
    found = finding(machine.diagnosis(), "Arm CCA realm")
    assert found.state is state
    assert words in str(found.mend)


@pytest.mark.parametrize(("kind", "state"), [("dcap", State.OK), ("none", State.MISSING), ("epid", State.MISSING)])
def test_gramine_says_which_quotes_it_makes(tmp_path: Path, kind: str, state: State) -> None:
    machine = MadeUp(tmp_path).cpu(XEON).file("dev/attestation/attestation_type", f"{kind}\n")
    assert finding(machine.diagnosis(), "Intel SGX").state is state


def test_sgx_outside_of_an_enclave_is_a_matter_of_starting_one(tmp_path: Path) -> None:
    found = finding(MadeUp(tmp_path).cpu(XEON).file("dev/sgx_enclave").diagnosis(), "Intel SGX")
    assert (found.state, "Gramine" in (found.mend or "")) == (State.MISSING, True)


def test_azures_other_machines_have_a_tpm_and_no_report_of_the_hardware(tmp_path: Path) -> None:
    machine = made_up.azure_snp(tmp_path)
    machine.indices = frozenset({0x01C00002})
    diagnosis = machine.diagnosis()
    assert finding(diagnosis, "Azure vTPM").state is State.ABSENT
    assert "ConfidentialVM" in (finding(diagnosis, "Azure vTPM").mend or "")
    assert (list(diagnosis.proves), diagnosis.confidential) == (["tpm"], False)
    assert "and not that nobody looks" in " ".join(report_lines(diagnosis, (), columns=80))


@pytest.mark.parametrize(
    ("problem", "words"),
    [("no tools", "apt install tpm2-tools"), ("tpm.tool", "0x923"), ("tpm.timeout", "0x923")],
)
@pytest.mark.parametrize("kind", ["Azure SNP", "GCE SNP", "GCE TDX"])
def test_a_tpm_that_can_not_be_asked_is_told_with_its_reason(
    tmp_path: Path, kind: str, problem: str, words: str
) -> None:
    machine = KINDS[kind][0](tmp_path)
    machine.indices = problem
    if problem == "no tools":
        machine.tools.clear()
    diagnosis = machine.diagnosis()
    for name in (f"{'Azure' if 'Azure' in kind else 'Google'} vTPM", "TPM"):
        found = finding(diagnosis, name)
        assert found.state is State.MISSING
        assert words in f"{found.found} {found.mend}"


def test_what_aws_and_google_need_beside_their_device(tmp_path: Path) -> None:
    machine = made_up.amazon_with_tpm(tmp_path)
    machine.tools.remove("nitro-tpm-attest")
    assert "aws-nitro-tpm-tools" in (finding(machine.diagnosis(), "AWS NitroTPM").mend or "")
    machine.tools.add("nitro-tpm-attest")
    assert finding(machine.forbid("dev/tpmrm0").diagnosis(), "AWS NitroTPM").state is State.MISSING
    space = made_up.confidential_space(tmp_path / "space").forbid("run/container_launcher/teeserver.sock")
    assert finding(space.diagnosis(), "Confidential Space").state is State.MISSING


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ({"ccFeature": 0}, "switched off"),
        ({"devToolsMode": 1, "environment": 1}, "developers' mode"),
        ({"environment": 1}, "production"),
    ],
)
def test_gpus_in_no_confidential_mode_prove_nothing(tmp_path: Path, mode: dict[str, int], words: str) -> None:
    machine = MadeUp(tmp_path).cpu(EPYC).pci("0x030200", 1)
    machine.nvml = EmulatedNvml(GpuMachine.preset("h100").gpus, **mode)
    found = finding(machine.diagnosis(), "NVIDIA GPUs")
    assert found.state is State.MISSING
    assert words in found.found


def test_gpus_that_take_no_work_yet_and_a_driver_that_does_not_say(tmp_path: Path) -> None:
    machine = MadeUp(tmp_path).cpu(EPYC).pci("0x030200", 1)
    machine.nvml = nvml = EmulatedNvml(GpuMachine.preset("b200").gpus)
    nvml.ready = 0
    found = finding(machine.diagnosis(), "GPUs take work")
    assert (found.state, found.mend) == (State.MISSING, "nvidia-smi conf-compute -srs 1")
    assert finding(machine.diagnosis(), "NVIDIA GPUs").state is State.OK
    nvml.errors["nvmlSystemGetConfComputeGpusReadyState"] = 3
    assert finding(machine.diagnosis(), "GPUs take work").state is State.MISSING


@pytest.mark.parametrize(("number", "words"), [(9, "modprobe nvidia"), (18, "start the machine anew"), (4, "root")])
def test_a_driver_that_does_not_answer_is_told_with_a_way_out(tmp_path: Path, number: int, words: str) -> None:
    machine = MadeUp(tmp_path).cpu(EPYC).pci("0x030200", 2)
    machine.nvml = EmulatedNvml(())
    machine.nvml.errors["nvmlInit"] = number
    found = finding(machine.diagnosis(), "NVIDIA GPUs")
    assert found.found.startswith("2 on the bus")
    assert words in (found.mend or "")


def test_gpus_without_the_binding_or_without_switches_are_told(tmp_path: Path) -> None:
    machine = MadeUp(tmp_path).cpu(EPYC).pci("0x030200", 8)
    assert finding(machine.diagnosis(), "NVIDIA GPUs").mend == "pip"
    machine.nvml = EmulatedNvml(GpuMachine.preset("h100x8").gpus, ccFeature=0, multiGpuMode=1)
    assert "pass the switches" in (finding(machine.diagnosis(), "NVLink switches").mend or "")

    def no_library() -> None:
        raise UnavailableError("nvidia.no-nscq", "no library", hint="install libnvidia-nscq")

    machine.pci("0x068000", 4).switches = no_library
    assert finding(machine.diagnosis(), "NVLink switches").mend == "install libnvidia-nscq"
    machine.nvml.mode = {**machine.nvml.mode, "ccFeature": 1, "multiGpuMode": 0}
    assert finding(machine.diagnosis(), "NVLink switches").state is State.ABSENT


def test_what_a_room_needs_and_a_kernel_lacks(tmp_path: Path) -> None:
    machine = MadeUp(tmp_path).cpu(EPYC).file("proc/self/status", "Uid:\t0\nCapEff:\t0\n").kernel("5.10.0")
    machine.landlock = lambda: 0
    diagnosis = machine.diagnosis()
    states = {one.name: one.state for one in diagnosis.of(Area.ROOM)}
    assert [name for name, state in states.items() if state is State.MISSING] == [
        "sandbox: files", "sandbox: calls", "sandbox: user"]  # fmt: skip


def test_a_machine_whose_system_calls_we_do_not_know_runs_no_room(tmp_path: Path) -> None:
    machine = MadeUp(tmp_path, architecture="riscv64").file("proc/self/status", "Uid:\tnone\n")

    def unknown() -> int:
        raise UnavailableError("sandbox.unknown-architecture", "no table")

    machine.landlock = unknown
    diagnosis = machine.diagnosis()
    assert finding(diagnosis, "sandbox: files").state is State.ABSENT
    assert finding(diagnosis, "Arm CCA realm").state is State.ABSENT


def test_a_machine_without_anything_to_read_is_told_of_without_a_complaint(tmp_path: Path) -> None:
    from sealroom.doctor.collect import look
    from sealroom.doctor.diagnosis import diagnose

    machine = MadeUp(tmp_path / "empty")
    machine.root = tmp_path / "nothing"
    diagnosis = diagnose(look(machine.sight()))
    assert diagnosis.proves == ()
    assert finding(diagnosis, "swap").state is State.MISSING  # a table that can not be read counts as swap


def test_what_a_host_wrote_into_its_tables_can_not_steer_a_terminal(tmp_path: Path) -> None:
    diagnosis = MadeUp(tmp_path).cpu(EPYC).dmi({"sys_vendor": "\x1b[2Jevil"}).diagnosis()
    assert "\x1b" not in "\n".join(report_lines(diagnosis, (), columns=80))
