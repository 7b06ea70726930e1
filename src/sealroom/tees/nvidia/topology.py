"""Several devices as one machine: each once, one nonce for all, and over protected PCIe all of them by name.

Eight GPUs and four switches in one case name each other by an identifier that NVIDIA's certificates carry. The graph
has to close against the certificates: counts and equal lists alone would let a device of another machine, with the
same list in its report, take the place of one.
"""

from collections.abc import Sequence

from sealroom.evidence import Claims

__all__ = ["is_protected_pcie", "problems"]


def is_protected_pcie(devices: Sequence[Claims]) -> bool:
    """Whether any of them works over protected PCIe."""
    return any("protected_pcie" in device.flags for device in devices)


def problems(devices: Sequence[Claims]) -> tuple[str, ...]:
    """Why ``devices`` are not one machine's; empty if nothing speaks against it.

    1. No device twice: not by its leaf certificate, and not by its identifier.
    2. One nonce for all.
    3. If one works over protected PCIe: all GPUs do; every link of every GPU ends at a switch that is here, and every
       port of every switch at a GPU that is here; every GPU names every switch, and every switch every GPU; a switch
       calls itself what its certificate calls it.
    """
    found = [*_twice(devices)]
    if len({device.report_data for device in devices}) > 1:
        found.append("the devices answer different nonces")
    if is_protected_pcie(devices):
        found += _open_ends(devices)
    return tuple(found)


def _twice(devices: Sequence[Claims]) -> list[str]:
    found = []
    for name, identities in (("serial", [device.device_id for device in devices]),
                             ("identifier", [device.details.get("pdi") for device in devices])):  # fmt: skip
        known = [identity for identity in identities if identity is not None]
        if len(set(known)) != len(known):
            found.append(f"a device is here twice: {len(known)} reports with {len(set(known))} {name}s")
    return found


def _open_ends(devices: Sequence[Claims]) -> list[str]:
    gpus = [device for device in devices if device.details.get("kind") == "gpu"]
    switches = [device for device in devices if device.details.get("kind") == "switch"]
    found = [f"GPU {_name(gpu)} does not work over protected PCIe, and another one does"
             for gpu in gpus if "protected_pcie" not in gpu.flags]  # fmt: skip
    if not switches:
        found.append("no switch is here, and protected PCIe goes over switches")
    for switch in switches:
        if switch.details.get("own_pdi") not in {None, switch.details.get("pdi")}:
            found.append(f"switch {_name(switch)} calls itself {switch.details['own_pdi']}")
    found += _unmatched("GPU", gpus, "switch", switches)
    found += _unmatched("switch", switches, "GPU", gpus)
    return found


def _unmatched(kind: str, devices: Sequence[Claims], other_kind: str, others: Sequence[Claims]) -> list[str]:
    """Differences between what ``devices`` say of their links and who the ``others`` are by their certificates."""
    present = {str(other.details["pdi"]) for other in others if "pdi" in other.details}
    found = []
    for device in devices:
        linked = set(str(device.details.get("linked", "")).split())
        found += [f"{kind} {_name(device)} is linked to {other_kind} {pdi}, which is not here"
                  for pdi in sorted(linked - present)]  # fmt: skip
        found += [f"{kind} {_name(device)} is not linked to {other_kind} {pdi}" for pdi in sorted(present - linked)]
    return found


def _name(device: Claims) -> str:
    return str(device.details.get("pdi") or device.details.get("ueid"))
