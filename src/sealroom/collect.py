"""Evidence of the machine that we run in, whatever its TEE: one call.

    attester = this_machine()
    collected = attester.collect(report_data)

Which interface a machine has is found by looking: Linux configfs-tsm first, then Gramine, then each TEE's own
device.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sealroom.errors import UnavailableError
from sealroom.evidence import Attester, Collateral
from sealroom.tees._tsm.collect import REPORT_DIRECTORY, TsmDirectory, provider_of
from sealroom.tees.nitro.collect import NitroModule
from sealroom.tees.sgx.collect import DIRECTORY as GRAMINE
from sealroom.tees.sgx.collect import GramineAttestation
from sealroom.tees.snp.collect import PROVIDER as SNP
from sealroom.tees.snp.collect import SnpConfigfs, SnpDevice
from sealroom.tees.tdx.collect import PROVIDER as TDX
from sealroom.tees.tdx.collect import TdxConfigfs, TdxDevice

__all__ = ["Places", "this_machine"]

_Make = Callable[[TsmDirectory, Collateral], Attester]
_PROVIDERS: Mapping[str, _Make] = {
    SNP: lambda directory, collateral: SnpConfigfs(directory, collateral=collateral),
    TDX: lambda directory, collateral: TdxConfigfs(directory, collateral=collateral),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where to look: the machine's own, unless a test says otherwise."""

    tsm: TsmDirectory = field(default_factory=TsmDirectory)
    sev_guest: Path = Path("/dev/sev-guest")
    tdx_guest: Path = Path("/dev/tdx_guest")
    gramine: Path = GRAMINE
    nsm: Path = Path("/dev/nsm")


def this_machine(*, collateral: Collateral | None = None, places: Places | None = None) -> Attester:
    """The attester of this machine.

    Args:
        collateral: what goes along with every piece of evidence, under the names of `Collateral`.
        places: where to look.

    Raises:
        UnavailableError: ``collect.no-tee``: there is none that this release knows, or none that we may ask.
    """
    places, ours = places or Places(), collateral or Collateral(items={})
    provider = provider_of(places.tsm)
    if provider is not None and provider in _PROVIDERS:
        return _PROVIDERS[provider](places.tsm, ours)
    if (places.gramine / "attestation_type").exists():
        return GramineAttestation(places.gramine, collateral=ours)
    if places.sev_guest.exists():
        return SnpDevice(places.sev_guest, collateral=ours)
    if places.tdx_guest.exists():
        return TdxDevice(collateral=ours)
    if places.nsm.exists():
        return NitroModule(places.nsm)
    raise UnavailableError(
        "collect.no-tee",
        "this machine offers no evidence that this release can ask for",
        got="nothing" if provider is None else f"the provider {provider}",
        expected=f"{REPORT_DIRECTORY} with {' or '.join(_PROVIDERS)}, {places.sev_guest}, {places.tdx_guest}, "
        f"{places.gramine} or {places.nsm}",
        hint="inside a confidential guest, load its module (sev-guest, tdx-guest, nsm) and be root; elsewhere, "
        "`sealroom up` runs on simulated hardware",
    )
