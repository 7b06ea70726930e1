"""What an event's digest proves of its text.

A replay that equals a quote proves every digest, and not one word of what stands beside it. Where the digest is that
of the text (or of a known part of it), recomputing it proves the text as well: such an event is *verified*. Where it
is of something that is not in the log, a file or a firmware volume, the event is *digest only*, and its text is a
rumour.

Types whose digest is always of their own data are held to it: other data beside such a digest was put there by
somebody. The rules are those that firmware and boot loaders follow in fact, each seen to reproduce recorded digests.
"""

import hashlib
import re
from collections.abc import Callable, Iterator

from sealroom.errors import UnverifiedError
from sealroom.measure.event_names import type_name
from sealroom.measure.tcg2 import EV_NO_ACTION, Event
from sealroom.measure.uefi_variable import read_variable

__all__ = ["NOT_EXTENDED", "OPAQUE", "digest_of", "require_honest"]

NOT_EXTENDED, OPAQUE = "not-extended", "opaque"
"""Not verified: the event goes into no register; the digest is of something that is not in the log."""

_EVENT_TAG, _PLATFORM_FLAGS, _SEPARATOR, _IPL = 0x6, 0xA, 0x4, 0xD
_VARIABLE_BOOT = 0x80000002
_ALWAYS_OF_DATA = frozenset(
    {_SEPARATOR, 0x5, 0x8, 0x11, 0x80000001, _VARIABLE_BOOT, 0x80000006, 0x80000007, 0x8000000C, 0x8000000D}
)
"""Separators, actions, CRTM version, non-host information, variables of the drivers and of booting, partition tables.
Not EV_EFI_VARIABLE_AUTHORITY: one old boot loader (Debian 10's shim) writes stray bytes after it."""

_PREFIX = re.compile(rb"(?:grub_cmd|kernel_cmdline|module_cmdline|grub_kernel_cmdline|grub_cmdline):? ")
_HEADER_OF_FLAGS = 20
"""td-shim: a name of 16 bytes and a length of 4 before the data."""
_SEPARATOR_ERROR = b"\x01\x00\x00\x00"
_SEPARATORS = (bytes(4), b"\xff" * 4)
_HASHES: dict[str, Callable[[bytes], "hashlib._Hash"]] = {
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}
"""SM3 is in no library that we use: what only it covers stays digest only."""


def digest_of(event: Event) -> str:
    """What the digest covers: `NOT_EXTENDED`, `OPAQUE`, or the name of the rule that reproduces it.

    ``event-data``, ``event-data-less-final-nul``, ``event-data-plus-nul``, ``variable-data``, ``after-prefix``,
    ``ascii-form-of-event-data``, ``data-after-header``.
    """
    if event.type == EV_NO_ACTION:
        return NOT_EXTENDED
    for rule, covered in _candidates(event):
        if _fits(event, covered):
            return rule
    return OPAQUE


def require_honest(event: Event) -> None:
    """Refuse an event whose text is not what its digest is of, or that reports a failure.

    Raises:
        UnverifiedError: ``eventlog.text-not-measured``, ``eventlog.firmware-error``.
    """
    if event.type == _SEPARATOR and event.data == _SEPARATOR_ERROR:
        raise UnverifiedError("eventlog.firmware-error", "the firmware reported a failure in a separator",
                              where=_where(event), got=event.data.hex(), expected="00000000 or ffffffff",
                              hint="the machine did not boot as it should: look at what came before")  # fmt: skip
    held = event.type in _ALWAYS_OF_DATA or (event.type == _IPL and _PREFIX.match(event.data) is not None)
    if not held or not set(event.digests) & set(_HASHES):
        return
    if digest_of(event) == OPAQUE or (event.type == _SEPARATOR and event.data not in _SEPARATORS):
        raise UnverifiedError("eventlog.text-not-measured", f"the text of an event of type {type_name(event)} is not "
                              "what was measured", where=_where(event),
                              hint="somebody edited the log: the digest stands, the text does not")  # fmt: skip


def _candidates(event: Event) -> Iterator[tuple[str, bytes]]:
    data = event.data
    yield "event-data", data
    if data.endswith(b"\x00"):
        yield "event-data-less-final-nul", data[:-1]
    if event.type in {_VARIABLE_BOOT, 0x8000000C} and (variable := read_variable(data)) is not None:
        yield "variable-data", variable.data
    if event.type == _IPL:
        yield from _of_boot_loader(data)
    if event.type == _PLATFORM_FLAGS and len(data) > _HEADER_OF_FLAGS:
        yield "data-after-header", data[_HEADER_OF_FLAGS:]
    if event.type == _EVENT_TAG and len(data) > 8:
        yield "data-after-header", data[8:]
    yield "event-data-plus-nul", data + b"\x00"


def _of_boot_loader(data: bytes) -> Iterator[tuple[str, bytes]]:
    if prefix := _PREFIX.match(data):
        text = data[prefix.end() :]
        line = text.split(b"\x00", 1)[0]  # an old boot loader leaves garbage after it
        for covered in dict.fromkeys((text.removesuffix(b"\x00"), text, line, line + b"\x00")):
            yield "after-prefix", covered
    if len(data) % 2 == 0 and not any(data[1::2]):
        yield "ascii-form-of-event-data", data[::2]  # a section's name, which systemd-stub logs in UTF-16


def _fits(event: Event, covered: bytes) -> bool:
    """Every digest that can be recomputed is that of ``covered``, and there is one."""
    known = [(_HASHES[name], digest) for name, digest in event.digests.items() if name in _HASHES]
    return bool(known) and all(make(covered).digest() == digest for make, digest in known)


def _where(event: Event) -> str:
    return f"event {event.number} at byte 0x{event.offset:x}"
