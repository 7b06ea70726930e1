"""``[tdx]`` of a derived policy."""

from collections.abc import Iterator, Sequence

from sealroom.evidence import Claims
from sealroom.policy.deriving.entry import Entry, Notes, decide, heading, hexes, option, pin
from sealroom.policy.deriving.intel import flag_entries, platform_entries
from sealroom.policy.tdx import FLAGS

__all__ = ["tdx_entries"]

_MEANINGS = {
    "mr_td": "Pins the firmware of the TD (sealroom measure tdx computes it from the image). Changes with: the next "
    "firmware, and how the host's QEMU adds pages.",
    "rtmr0": "Pins the firmware's configuration: memory layout, Secure Boot keys, ACPI tables, boot order. Changes "
    "with: memory size, devices, QEMU version, firmware settings. Take it out where hosts differ.",
    "rtmr1": "Pins boot loader and kernel. Changes with: the next kernel or boot loader.",
    "rtmr2": "Pins kernel command line and initrd. Changes with: each of them.",
    "rtmr3": "Pins what programs measured while they ran. Changes with: the application, and with each instance "
    "where an instance measures its own name.",
    "mr_config_id": "Pins the configuration that the host stated at launch. Changes with: other init-data.",
    "mr_owner": "Pins the owner that the host stated at launch. Changes with: the owner.",
    "mr_owner_config": "Pins the owner's configuration that the host stated at launch. Changes with: it.",
}
_STATED = ("mr_config_id", "mr_owner", "mr_owner_config")
_SERVICE = "mr_service_td_nonzero"
_KERNEL = ("rtmr1", "rtmr2")


def tdx_entries(claims: Claims, notes: Notes) -> Iterator[Entry]:
    """The table, from claims of a verified TDX quote."""
    yield heading("tdx", "What a TD must be, and the platform under it.")
    yield from (_measurement(name, claims.measurements[name], notes.get(name, ())) for name in _MEANINGS)
    yield option("mr_seam", hexes(claims.measurements["mr_seam"]), "this build of Intel's TDX module alone; "
                 "tcb_status judges the module too. Changes with: the host's next firmware.")  # fmt: skip
    yield from _service(claims.measurements.get("mr_service_td", b""))
    yield from flag_entries(claims.flags - {_SERVICE}, FLAGS)
    yield from platform_entries(claims)


def _service(measurement: bytes) -> Iterator[Entry]:
    """To name a service TD is narrower than to allow any."""
    if any(measurement):
        yield decide("mr_service_td", hexes(measurement), "a service TD is bound to this one and may reach into it. "
                     "Refused, unless this line names it.", "a service TD is bound to this one")  # fmt: skip


def _measurement(name: str, value: bytes, notes: Sequence[str]) -> Entry:
    meaning, question = _MEANINGS[name], None
    if not any(value) and name in _STATED:
        meaning += " Zero: nothing was stated."
    elif not any(value):
        meaning += " ZERO: nothing was measured into it."
    if not any(value) and name in _KERNEL:
        meaning += (
            " So this line keeps nothing out that is measured nowhere. Find out what measures the kernel instead, "
            "such as the vTPM of Azure's paravisor; [unchecked] rtmr with a reason would be the honest word."
        )
        question = f"{name} is zero: the policy pins no {'kernel' if name == 'rtmr1' else 'command line'}"
    return pin(name, hexes(value), meaning, question=question, details=notes)
