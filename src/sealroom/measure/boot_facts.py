"""What a log says of a boot, of its verified events alone where there are such: Secure Boot, command line, images."""

from collections.abc import Sequence
from dataclasses import dataclass

from sealroom.measure.event_names import image_path
from sealroom.measure.replay import NamedEvent
from sealroom.measure.uefi_variable import read_variable

__all__ = ["BootFacts", "boot_facts", "remarks"]

_DRIVER_CONFIG, _IPL, _FLAGS, _APPLICATION = 0x80000001, 0xD, 0xA, 0x80000003
_COMMAND_LINES = (b"kernel_cmdline: ", b"grub_kernel_cmdline ")
_TD_PAYLOAD = b"td_payload_info\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFacts:
    """Facts that a person asks for first."""

    secure_boot: bool | None
    """None: not set up, or not in the log."""
    kernel_cmdline: str | None
    """Proved by its digest; None if no event proves one."""
    boot_chain: tuple[str, ...]
    """Paths of the images that were loaded; a name only, the digest is of the file."""


def boot_facts(events: Sequence[NamedEvent]) -> BootFacts:
    """Read them off ``events``."""
    command_lines = [line for named in events if named.verified and (line := _command_line(named)) is not None]
    paths = [image_path(named.event) for named in events if named.event.type == _APPLICATION]
    return BootFacts(
        secure_boot=_secure_boot(events),
        kernel_cmdline=command_lines[-1] if command_lines else None,
        boot_chain=tuple(path for path in paths if path),
    )


def remarks(events: Sequence[NamedEvent], facts: BootFacts) -> tuple[str, ...]:
    """What is worth a line of its own."""
    found = []
    if facts.secure_boot is not True:
        found.append("Secure Boot is off, or nothing in the log says that it is on")
    found += [f"a shell was loaded: {path}" for path in facts.boot_chain if "shell" in path.lower()]
    opaque = sum(named.event.type == _APPLICATION and not image_path(named.event) for named in events)
    if opaque:
        found.append(f"{opaque} images were loaded without a path: known by their digests alone")
    return tuple(found)


def _secure_boot(events: Sequence[NamedEvent]) -> bool | None:
    for named in events:
        if named.event.type == _DRIVER_CONFIG and named.verified:
            variable = read_variable(named.event.data)
            if variable is not None and variable.name == "SecureBoot":
                return None if not variable.data else variable.data == b"\x01"
    return None


def _command_line(named: NamedEvent) -> str | None:
    data = named.event.data
    if named.event.type == _IPL:
        for prefix in _COMMAND_LINES:
            if data.startswith(prefix):
                return data[len(prefix) :].split(b"\x00", 1)[0].decode("utf-8", "replace")
    if named.event.type == _FLAGS and data.startswith(_TD_PAYLOAD):
        return data[20:].split(b"\x00", 1)[0].decode("utf-8", "replace")
    return None
