"""Machines that are made up: a folder in place of the file system, answers in place of drivers and TPMs."""

from collections.abc import Callable
from pathlib import Path

from sealroom.doctor.collect import Sight, look
from sealroom.doctor.diagnosis import diagnose
from sealroom.doctor.finding import Diagnosis
from sealroom.errors import UnavailableError
from sealroom.testing.nvidia import GpuMachine
from sealroom.testing.nvml import EmulatedNvml

AZURE = {"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine",
         "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77"}  # fmt: skip
GOOGLE = {"sys_vendor": "Google", "product_name": "Google Compute Engine"}
AMAZON = {"sys_vendor": "Amazon EC2", "product_name": "m6a.xlarge"}
EPYC, XEON = ("AuthenticAMD", "AMD EPYC 9V74 80-Core Processor"), ("GenuineIntel", "Intel(R) Xeon(R) Platinum 8481C")
TSM = "sys/kernel/config/tsm/report"
ALL_CAPABILITIES = "000001ffffffffff"


class MadeUp:
    """One machine. What is not said of it is as on a usual one: Linux 6.8, configfs mounted, root, no swap."""

    def __init__(self, root: Path, *, architecture: str = "x86_64") -> None:
        self.root, self.architecture = root, architecture
        self.forbidden: set[str] = set()
        self.tools = {"tpm2_getcap"}
        self.indices: frozenset[int] | str = frozenset()
        self.nvml: EmulatedNvml | UnavailableError = UnavailableError("nvidia.no-binding", "no binding", hint="pip")
        self.switches: Callable[[], object] = dict
        self.landlock: Callable[[], int] = lambda: 6
        self.engine = True
        self.engine_fault = ""
        self.file("proc/mounts", "sysfs /sys sysfs rw 0 0\nconfigfs /sys/kernel/config configfs rw 0 0\n")
        self.file("proc/self/status", f"Uid:\t0\t0\t0\t0\nCapEff:\t{ALL_CAPABILITIES}\nSeccomp:\t0\n")
        self.file("proc/self/limits", "Limit  Soft  Hard  Units\nMax locked memory  8388608  unlimited  bytes\n")
        self.file("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n")
        self.folder("sys/class")
        self.kernel("6.8.0-1015-generic")

    def folder(self, path: str) -> "MadeUp":
        (self.root / path).mkdir(parents=True, exist_ok=True)
        return self

    def file(self, path: str, text: str = "") -> "MadeUp":
        self.folder(str(Path(path).parent))
        (self.root / path).write_text(text)
        return self

    def kernel(self, release: str) -> "MadeUp":
        return self.file("proc/sys/kernel/osrelease", f"{release}\n")

    def cpu(self, kind: tuple[str, str], *flags: str) -> "MadeUp":
        one = f"vendor_id\t: {kind[0]}\nmodel name\t: {kind[1]}\nflags\t\t: fpu {' '.join(flags)}\n"
        return self.file("proc/cpuinfo", "\n".join(f"processor\t: {number}\n{one}" for number in range(4)))

    def dmi(self, said: dict[str, str]) -> "MadeUp":
        for name, text in said.items():
            self.file(f"sys/class/dmi/id/{name}", f"{text}\n")
        return self

    def pci(self, kind: str, count: int) -> "MadeUp":
        for number in range(count):
            place = f"sys/bus/pci/devices/{kind}-{number}"
            self.file(f"{place}/vendor", "0x10de\n").file(f"{place}/class", f"{kind}\n")
        return self

    def forbid(self, *paths: str) -> "MadeUp":
        self.forbidden |= set(paths)
        return self

    def without(self, path: str) -> "MadeUp":
        (self.root / path).unlink()
        return self

    def user(self, number: int = 1000) -> "MadeUp":
        return self.file("proc/self/status", f"Uid:\t{number}\t{number}\nCapEff:\t0000000000000000\nSeccomp:\t0\n")

    def sight(self) -> Sight:
        return Sight(
            root=self.root,
            architecture=self.architecture,
            may=self._may,
            tpm=self._tpm,
            nvml=self._nvml,
            switches=self.switches,
            landlock=self.landlock,
            has_tool=self.tools.__contains__,
            has_package=lambda _: self.engine,
            import_fault=lambda _: self.engine_fault,
        )

    def diagnosis(self) -> Diagnosis:
        return diagnose(look(self.sight()))

    def _may(self, path: Path) -> bool:
        return str(path.relative_to(self.root)) not in self.forbidden

    def _tpm(self) -> frozenset[int]:
        if isinstance(self.indices, str):
            raise UnavailableError(self.indices, "it was not to be", got="0x923")
        return self.indices

    def _nvml(self) -> EmulatedNvml:
        if isinstance(self.nvml, UnavailableError):
            raise self.nvml
        return self.nvml


def azure_snp(root: Path) -> MadeUp:
    made = MadeUp(root).cpu(EPYC, "hypervisor").dmi(AZURE).kernel("6.11.0-1018-azure").file("dev/tpmrm0")
    made.indices = frozenset({0x01400001, 0x01400002})
    return made


def azure_tdx(root: Path) -> MadeUp:
    return azure_snp(root).cpu(XEON, "hypervisor")


def google_snp(root: Path) -> MadeUp:
    made = MadeUp(root).cpu(EPYC, "hypervisor").dmi(GOOGLE).folder(TSM).file("dev/sev-guest").file("dev/tpmrm0")
    made.indices = frozenset({0x01C10000, 0x01C10001, 0x01C10002, 0x01C10003})
    return made.folder("sys/bus/platform/devices/sev-guest")


def google_shielded(root: Path) -> MadeUp:
    """One of Google's that is not confidential."""
    made = MadeUp(root).cpu(XEON, "hypervisor").dmi(GOOGLE).file("dev/tpmrm0")
    made.indices = frozenset({0x01C10000})
    return made


def google_tdx(root: Path) -> MadeUp:
    made = MadeUp(root).cpu(XEON, "hypervisor", "tdx_guest").dmi(GOOGLE).folder(TSM).file("dev/tdx_guest")
    made.indices = frozenset({0x01C10000})
    return made.file("dev/tpmrm0")


def nitro_enclave(root: Path) -> MadeUp:
    return MadeUp(root).cpu(XEON, "hypervisor").kernel("4.14.256").file("dev/nsm").file("proc/mounts")


def amazon_snp(root: Path) -> MadeUp:
    return google_snp(root).cpu(EPYC).dmi(AMAZON).without("dev/tpmrm0")


def amazon_with_tpm(root: Path) -> MadeUp:
    made = MadeUp(root).cpu(EPYC, "hypervisor").dmi(AMAZON).file("dev/tpmrm0")
    made.tools.add("nitro-tpm-attest")
    return made


def amazon_snp_with_tpm(root: Path) -> MadeUp:
    return amazon_with_tpm(root).folder(TSM).file("dev/sev-guest").cpu(EPYC)


def confidential_space(root: Path) -> MadeUp:
    """A workload's container: it sees no device of the VM."""
    made = MadeUp(root).cpu(XEON, "hypervisor", "tdx_guest").dmi(GOOGLE)
    return made.file("run/container_launcher/teeserver.sock").file("run/.containerenv")


def amazon_plain(root: Path) -> MadeUp:
    return MadeUp(root).cpu(EPYC, "hypervisor").dmi(AMAZON).file("dev/nitro_enclaves")


def bare_tdx(root: Path) -> MadeUp:
    """A TD on a host of one's own, whose module is not loaded."""
    return MadeUp(root).cpu(XEON, "hypervisor", "tdx_guest").dmi({"sys_vendor": "QEMU"})


def snp_without_permission(root: Path) -> MadeUp:
    return google_snp(root).dmi({"sys_vendor": "QEMU"}).without("dev/tpmrm0").user().forbid(TSM, "dev/sev-guest")


def tdx_with_eight_gpus(root: Path) -> MadeUp:
    made = google_tdx(root).dmi({"sys_vendor": "QEMU"}).without("dev/tpmrm0").pci("0x030200", 8).pci("0x068000", 4)
    made.nvml = EmulatedNvml(GpuMachine.preset("h100x8").gpus, ccFeature=0, multiGpuMode=1)
    return made


def realm(root: Path) -> MadeUp:
    made = MadeUp(root, architecture="aarch64").kernel("6.13.2").folder(TSM)
    made.folder("sys/bus/platform/devices/arm-cca-dev")
    return made.file("proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n")


def laptop(root: Path) -> MadeUp:
    made = MadeUp(root).cpu(("GenuineIntel", "Intel(R) Core(TM) i7-1365U")).dmi({"sys_vendor": "LENOVO"}).user()
    made.file("proc/swaps", "Filename\tType\n/dev/dm-1\tpartition\n").file("dev/tpmrm0").forbid("dev/tpmrm0")
    made.file("proc/self/limits", "Max locked memory         8388608              8388608              bytes\n")
    made.engine = False
    return made


def container_without_sys(root: Path) -> MadeUp:
    made = MadeUp(root).cpu(EPYC, "hypervisor").file(".dockerenv").file("proc/mounts")
    (root / "sys/class").rmdir()
    return made
