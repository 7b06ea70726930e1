"""A confidential VM of Azure's, with an emulator for its vTPM."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure_host import Host, running
from azure_judged import BENCHES
from azure_vm import ATTRIBUTES, LARGEST_INDEX, Vm, run

from sealroom.evidence import Collateral, Tee
from sealroom.pem import as_pem
from sealroom.tees._tpm.public import read_public
from sealroom.tees.azure_vtpm.collect import AzureVtpm
from sealroom.tees.azure_vtpm.collect_host import HostServices
from sealroom.testing.azure import SimulatedAzure


@pytest.fixture
def vm(tcti: str, tmp_path: Path) -> Iterator[Callable[[Tee], Vm]]:
    """A VM on hardware of a kind."""
    context, public = str(tmp_path / "ak.ctx"), tmp_path / "ak.pub"
    run(tcti, "tpm2_createprimary", "-C", "e", "-G", "rsa2048:rsassa-sha256:null", "-a", ATTRIBUTES, "-c", context,
        "-f", "tss", "-o", str(public))  # fmt: skip
    run(tcti, "tpm2_evictcontrol", "-C", "o", "-c", context, "0x81000003")
    run(tcti, "tpm2_flushcontext", "-t")
    run(tcti, "tpm2_nvdefine", "0x01400001", "-C", "o", "-s", str(LARGEST_INDEX))
    key = read_public(public.read_bytes()[2:]).key
    with running(Host()) as host:

        def made(tee: Tee) -> Vm:
            guest = SimulatedAzure(machine=BENCHES[tee].guest.machine)
            platform = guest.machine.platform
            if tee is Tee.SNP:
                host.vcek, host.chain = as_pem(platform.leaf), platform.vendor.chain()
            items = {} if tee is Tee.SNP else platform.collateral(Tee.TDX)
            attester = AzureVtpm(tcti, host=HostServices(host.address, pause=lambda _: None),
                                 event_log=tmp_path / "none", collateral=Collateral(items=items))  # fmt: skip
            return Vm(tcti=tcti, host=host, attester=attester, folder=tmp_path, guest=guest, key=key)

        yield made
