"""Evidence of the machine that we run in, whatever its TEE: one call.

    attester = this_machine()
    collected = attester.collect(report_data)

Which interface a machine has is found by looking: Linux configfs-tsm first, then Gramine, then each TEE's own
device; a TPM is the last: that of a confidential VM of Azure's answers for the hardware, that of a VM of Google's has
a certificate, and one by itself makes no machine confidential.

    attester = this_machine(tee=Tee.GCP)

Where a machine has several, the silicon's own evidence goes before a cloud's: whoever wants the cloud's facts as well
(project, zone, what was booted) names the wrapper, and gets the hardware's report within.

    devices = devices_of_this_machine(folder)

What goes along with the evidence lies in a folder, each item in a file of its name (``tcb_info_response``); that of
devices in folders below it, of one device (``gpu0/vbios_rim``) or of all of a kind (``nvidia/driver_rim``,
``nvswitch/vbios_rim``).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sealroom.errors import UnavailableError
from sealroom.evidence import Attester, Collateral, DeviceAttester, Tee
from sealroom.tees._tsm.collect import REPORT_DIRECTORY, TsmDirectory, provider_of
from sealroom.tees.azure_vtpm.collect import CHASSIS, AzureVtpm, is_azure
from sealroom.tees.cca.collect import PROVIDER as CCA
from sealroom.tees.cca.collect import CcaConfigfs
from sealroom.tees.gcp.collect import PRODUCT, GceVm, is_google
from sealroom.tees.gcp.collect_space import SOCKET, SpaceLauncher
from sealroom.tees.nitro.collect import VENDOR, NitroModule, NitroTpm, has_nitro_tpm
from sealroom.tees.nvidia.collect import nvidia_devices
from sealroom.tees.sgx.collect import DIRECTORY as GRAMINE
from sealroom.tees.sgx.collect import GramineAttestation
from sealroom.tees.snp.collect import PROVIDER as SNP
from sealroom.tees.snp.collect import SnpConfigfs, SnpDevice
from sealroom.tees.tdx.collect import PROVIDER as TDX
from sealroom.tees.tdx.collect import TdxConfigfs, TdxDevice
from sealroom.tees.tpm.collect import DEVICE as TPM
from sealroom.tees.tpm.collect import TpmTools

__all__ = ["Places", "collateral_in", "devices_of_this_machine", "this_machine"]

_ITEM = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LARGEST_ITEM = 1024 * 1024
_OF_ALL = {"gpu": "nvidia", "switch": "nvswitch"}
"""Of every device of a kind, whose names begin so."""

_Make = Callable[[TsmDirectory, Collateral], Attester]
_PROVIDERS: Mapping[str, _Make] = {
    SNP: lambda directory, collateral: SnpConfigfs(directory, collateral=collateral),
    TDX: lambda directory, collateral: TdxConfigfs(directory, collateral=collateral),
    CCA: lambda directory, collateral: CcaConfigfs(directory, collateral=collateral),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where to look: the machine's own, unless a test says otherwise."""

    tsm: TsmDirectory = field(default_factory=TsmDirectory)
    sev_guest: Path = Path("/dev/sev-guest")
    tdx_guest: Path = Path("/dev/tdx_guest")
    gramine: Path = GRAMINE
    nsm: Path = Path("/dev/nsm")
    tpm: Path = TPM
    chassis: Path = CHASSIS
    product: Path = PRODUCT
    launcher: Path = SOCKET
    vendor: Path = VENDOR


def this_machine(
    *, tee: Tee | None = None, collateral: Collateral | None = None, places: Places | None = None
) -> Attester:
    """The attester of this machine.

    Args:
        tee: which kind of evidence is wanted, where a machine has several; the first that is found unless given.
        collateral: what goes along with every piece of evidence, under the names of `Collateral`.
        places: where to look.

    Raises:
        UnavailableError: ``collect.no-tee``: there is none that this release knows, or none that we may ask;
            ``collect.other-tee``: there is another than ``tee``.
    """
    places, ours = places or Places(), collateral or Collateral(items={})
    if tee in _BESIDE and (asked := _BESIDE[tee](places, ours)) is not None:
        return asked
    found = _silicon(places, ours) or _of_cloud(places, ours)
    if found is None:
        raise _nothing(places)
    if tee not in {None, found.tee}:
        raise UnavailableError("collect.other-tee", "this machine offers other evidence than was asked for",
                               got=found.tee.value, expected=str(tee), hint="`sealroom doctor` says what this "
                               "machine can prove")  # fmt: skip
    return found


def _silicon(places: Places, ours: Collateral) -> Attester | None:
    provider = provider_of(places.tsm)
    if provider is not None and provider in _PROVIDERS:
        return _PROVIDERS[provider](places.tsm, ours)
    if (places.gramine / "attestation_type").exists():
        return GramineAttestation(places.gramine, collateral=ours)
    if places.sev_guest.exists():
        return SnpDevice(places.sev_guest, collateral=ours)
    if places.tdx_guest.exists():
        return TdxDevice(collateral=ours)
    return NitroModule(places.nsm) if places.nsm.exists() else None


def _of_cloud(places: Places, ours: Collateral) -> Attester | None:
    """Of a cloud's vTPM, what the cloud put into it: in Azure's confidential VMs the hardware's report, in Google's a
    certificate, in AWS's a document. The last: every other confidential guest has better to offer, many of them
    beside a TPM.
    """
    if places.launcher.exists():
        return SpaceLauncher(socket=places.launcher, collateral=ours)
    if not places.tpm.exists():
        return None
    if has_nitro_tpm(places.vendor):
        return NitroTpm()
    if is_azure(places.chassis):
        azure = AzureVtpm(_tcti(places), collateral=ours)
        if azure.is_confidential():
            return azure
    if is_google(places.product):
        google = GceVm(tcti=_tcti(places), collateral=ours)
        if google.is_certified():
            return google
    return TpmTools(tcti=_tcti(places), collateral=ours)


def _google(places: Places, ours: Collateral) -> Attester | None:
    """Google's word for the machine, around what its silicon says."""
    if places.launcher.exists() or not places.tpm.exists() or not is_google(places.product):
        return None
    hardware = _silicon(places, ours)
    inside = hardware if hardware is not None and hardware.tee in {Tee.SNP, Tee.TDX} else None
    return GceVm(hardware=inside, tcti=_tcti(places), collateral=ours)


def _tpm(places: Places, ours: Collateral) -> Attester | None:
    return TpmTools(tcti=_tcti(places), collateral=ours) if places.tpm.exists() else None


def _nitro(places: Places, _ours: Collateral) -> Attester | None:
    """AWS's word for an instance, beside what its silicon says; of an enclave there is no other."""
    instance = places.tpm.exists() and not places.nsm.exists() and has_nitro_tpm(places.vendor)
    return NitroTpm() if instance else None


_BESIDE: Mapping[Tee | None, Callable[[Places, Collateral], Attester | None]] = {
    Tee.GCP: _google,
    Tee.NITRO: _nitro,
    Tee.TPM: _tpm,
}
"""What stands beside the evidence that is found first."""


def _tcti(places: Places) -> str:
    return f"device:{places.tpm}"


def _nothing(places: Places) -> UnavailableError:
    provider = provider_of(places.tsm)
    return UnavailableError(
        "collect.no-tee",
        "this machine offers no evidence that this release can ask for",
        got="nothing" if provider is None else f"the provider {provider}",
        expected=f"{REPORT_DIRECTORY} with {' or '.join(_PROVIDERS)}, {places.sev_guest}, {places.tdx_guest}, "
        f"{places.gramine}, {places.nsm}, {places.launcher} or {places.tpm}",
        hint="`sealroom doctor` says what is missing and how to mend it; `sealroom up` runs on simulated hardware",
    )


def devices_of_this_machine(folder: Path | None = None) -> Mapping[str, DeviceAttester]:
    """The GPUs of this machine by name, and its NVLink switches where GPUs work over protected PCIe.

    Args:
        folder: where what goes along with their evidence lies; read anew for each, since it does not last.

    Raises:
        UnavailableError: ``nvidia.*``: there are none that can prove anything.
    """

    def of(name: str) -> Collateral:
        if folder is None:
            return Collateral(items={})
        of_all = folder / _OF_ALL[name.rstrip("0123456789")]
        return Collateral(items={**collateral_in(of_all).items, **collateral_in(folder / name).items})

    return nvidia_devices(collateral=of)


def collateral_in(folder: Path) -> Collateral:
    """The items in ``folder``, by the names of its files; other files, and a folder that is not there, have none.

    Raises:
        UnavailableError: ``collect.collateral``: a file can not be read, or is too large for an item.
    """
    items = {}
    try:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if _ITEM.fullmatch(path.name) and path.is_file():
                items[path.name] = _read_item(path)
    except OSError as error:
        raise UnavailableError("collect.collateral", "what goes along with evidence can not be read",
                               where=str(folder), got=error.strerror) from None  # fmt: skip
    return Collateral(items=items)


def _read_item(path: Path) -> bytes:
    with path.open("rb") as file:
        raw = file.read(_LARGEST_ITEM + 1)
    if not 0 < len(raw) <= _LARGEST_ITEM:
        raise UnavailableError("collect.collateral", "a file is empty, or too large to go along with evidence",
                               where=str(path), expected=f"1 to {_LARGEST_ITEM} bytes")  # fmt: skip
    return raw
