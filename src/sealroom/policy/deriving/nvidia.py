"""``[nvidia]`` of a derived policy: from the devices of a room, or from one report."""

from collections.abc import Iterator, Sequence

from sealroom.evidence import Claims
from sealroom.policy.deriving.entry import Entry, Notes, decide, heading, option, pin, quoted, texts
from sealroom.policy.deriving.others import weakening_entries
from sealroom.policy.flags import Flag
from sealroom.policy.nvidia import FLAGS, is_switch
from sealroom.tees.nvidia.topology import is_protected_pcie, problems

__all__ = ["device_entries", "nvidia_entries"]

_NO_WEAKNESS = frozenset({"protected_pcie", "reference_values_missing"})
"""Asked by `mode` and the topology, and by `reference_values`."""


def nvidia_entries(claims: Claims, _notes: Notes) -> Iterator[Entry]:
    """The table, from claims of one verified report."""
    yield from device_entries([claims])


def device_entries(devices: Sequence[Claims]) -> Iterator[Entry]:
    """The table, from claims of every device of a machine."""
    gpus, switches = ([one for one in devices if is_switch(one) is kind] for kind in (False, True))
    yield heading("nvidia", "What every GPU and switch must be, and how many there are.")
    if gpus:
        yield pin("architectures", texts(_each(gpus, "architecture")), "Pins the generations. Changes with: other "
                  "GPUs.")  # fmt: skip
        yield pin("count", str(len(gpus)), "Pins how many GPUs: all of them have to prove themselves. Changes with: "
                  "the machine.")  # fmt: skip
    if switches:
        yield pin("switches", str(len(switches)), "Pins how many NVLink switches. Changes with: the machine.")
    yield from _floors(gpus)
    modes = _each(gpus, "mode")
    if modes and len(modes) == len({one for one in modes if not one.startswith("unknown")}):
        yield pin("mode", texts(modes), "Pins how the GPUs share the machine. Changes with: the driver's settings.")
    serials = _each(devices, "ueid")
    if serials:
        yield option("ueid", texts(serials), "these devices alone. Changes with: the machine.")
    yield from _reference_values(devices)
    yield from _weakening(devices)


def _floors(gpus: Sequence[Claims]) -> Iterator[Entry]:
    oldest: dict[str, str] = {}
    for gpu in gpus:
        oldest.setdefault(str(gpu.details["architecture"]), str(gpu.details.get("driver_version")))
    if oldest:
        table = ", ".join(f"{name} = {quoted(version)}" for name, version in oldest.items())
        yield pin("minimum_driver", f"{{ {table} }}", "Pins the oldest driver; newer pass. Changes with: nothing; "
                  "raise it after a security bulletin.")  # fmt: skip


def _reference_values(devices: Sequence[Claims]) -> Iterator[Entry]:
    """Which of them came, where not all did."""
    if not any("reference_values_missing" in device.flags for device in devices):
        return
    came = [name for name in ("driver_rim", "vbios_rim") if all(device.details.get(name) for device in devices)]
    yield decide("reference_values", quoted(came[0].removesuffix("_rim") if came else "none"),
                 "refused, unless this line counts: LETS PASS devices that were not compared with all that NVIDIA "
                 "released.", "reference values of a device are missing")  # fmt: skip


def _weakening(devices: Sequence[Claims]) -> Iterator[Entry]:
    """What weakens any of them: one line of ``allow`` can count, so it is said of all together."""
    flags = frozenset[str]().union(*(device.flags for device in devices)) - _NO_WEAKNESS
    if is_protected_pcie(devices) and problems(devices):
        flags |= {"open_topology"}
    yield from weakening_entries(flags, FLAGS | {"open_topology": Flag("open_topology", "")})


def _each(devices: Sequence[Claims], detail: str) -> list[str]:
    return sorted({str(device.details[detail]) for device in devices if detail in device.details})
