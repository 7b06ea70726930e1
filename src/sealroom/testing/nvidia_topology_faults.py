"""Devices each of which is authentic, and which together are not one machine."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from sealroom.evidence import CollectedEvidence
from sealroom.testing.nvidia import GpuMachine, SimulatedGpu
from sealroom.testing.nvidia_cases import NONCE
from sealroom.testing.nvidia_report import Links

__all__ = ["SetCase", "set_faults"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCase:
    """Several devices, and what is wrong with them as a machine."""

    name: str
    problem: str | None
    """Words of what is told; None: they are one machine."""
    devices: Mapping[str, CollectedEvidence] = field(repr=False)


def set_faults(machine: GpuMachine) -> Iterator[SetCase]:
    """Every fault that can be had with ``machine``, which has several GPUs and four switches."""
    honest = machine.collect(NONCE)
    other = GpuMachine.create(gpus=1, switches=1, vendor=machine.vendor)

    def case(name: str, problem: str | None, **devices: CollectedEvidence) -> SetCase:
        return SetCase(name=name, problem=problem, devices={**honest, **devices})

    gpu, switch = machine.gpus[0], machine.switches[0]
    yield case("one machine", None)
    yield case("a GPU in the place of another", "here twice", gpu1=gpu.collect(NONCE))
    yield case("a switch in the place of another", "here twice", switch1=switch.collect(NONCE))
    yield case("a GPU that answers another nonce", "different nonces", gpu1=machine.gpus[1].collect(bytes(32)))
    yield case("a GPU of another machine", "not linked", gpu1=other.gpus[0].collect(NONCE))
    yield case("a switch of another machine", "not here", switch1=other.switches[0].collect(NONCE))
    for name, device in (("gpu0", "GPU"), ("switch0", "switch")):
        less = {kept: collected for kept, collected in honest.items() if kept != name}
        yield SetCase(name=f"a {device} missing", problem="not here", devices=less)
    gpus = {name: collected for name, collected in honest.items() if name.startswith("gpu")}
    yield SetCase(name="no switch", problem="no switch is here", devices=gpus)
    alone = replace(gpu, protected_pcie=False)
    yield case("a GPU that is not over protected PCIe", "does not work over", gpu0=alone.collect(NONCE))
    posing = replace(switch, links=replace(switch.links, own=other.switches[0].pdi))
    yield case("a switch that calls itself another", "calls itself", switch0=posing.collect(NONCE))
    yield case("a GPU of another machine with the lists of this one", "not linked",
               gpu0=_with_links(other.gpus[0], gpu.links))  # fmt: skip
    yield case("a switch of another machine with the lists of this one", "not here",
               switch0=_with_links(other.switches[0], replace(switch.links, own=other.switches[0].pdi)))  # fmt: skip
    turned = Links(peers=tuple(pdi[::-1] for pdi in gpu.links.peers))
    yield case("a GPU that names switches in the other byte order", "not linked", gpu0=_with_links(gpu, turned))
    unused = Links(peers=(*gpu.links.peers[:-1], bytes(8)))
    yield case("a link that is not used", None, gpu0=_with_links(gpu, unused))
    blind = Links(peers=tuple(bytes(8) for _ in gpu.links.peers))
    yield case("a GPU that names no switch", "not linked", gpu0=_with_links(gpu, blind))
    deaf = replace(switch.links, peers=switch.links.peers[1:])
    yield case("a switch that leaves out a GPU", "not linked", switch0=_with_links(switch, deaf))


def _with_links(device: SimulatedGpu, links: Links) -> CollectedEvidence:
    return replace(device, links=links).collect(NONCE)
