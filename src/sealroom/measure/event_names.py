"""What an event is called and what it says, for people (TCG PC Client Platform Firmware Profile, section 10.4.1).

The text is what the log says. Whether the digest proves it is the matter of `event_digests`.
"""

import struct
from collections.abc import Mapping

from sealroom.measure.tcg2 import Event
from sealroom.measure.uefi_variable import UefiVariable, read_variable, readable

__all__ = ["EVENT_TYPES", "describe", "image_path", "type_name"]

EVENT_TYPES: Mapping[int, str] = {
    0x0: "EV_PREBOOT_CERT",
    0x1: "EV_POST_CODE",
    0x3: "EV_NO_ACTION",
    0x4: "EV_SEPARATOR",
    0x5: "EV_ACTION",
    0x6: "EV_EVENT_TAG",
    0x7: "EV_S_CRTM_CONTENTS",
    0x8: "EV_S_CRTM_VERSION",
    0x9: "EV_CPU_MICROCODE",
    0xA: "EV_PLATFORM_CONFIG_FLAGS",
    0xB: "EV_TABLE_OF_DEVICES",
    0xC: "EV_COMPACT_HASH",
    0xD: "EV_IPL",
    0xE: "EV_IPL_PARTITION_DATA",
    0xF: "EV_NONHOST_CODE",
    0x10: "EV_NONHOST_CONFIG",
    0x11: "EV_NONHOST_INFO",
    0x12: "EV_OMIT_BOOT_DEVICE_EVENTS",
    0x80000001: "EV_EFI_VARIABLE_DRIVER_CONFIG",
    0x80000002: "EV_EFI_VARIABLE_BOOT",
    0x80000003: "EV_EFI_BOOT_SERVICES_APPLICATION",
    0x80000004: "EV_EFI_BOOT_SERVICES_DRIVER",
    0x80000005: "EV_EFI_RUNTIME_SERVICES_DRIVER",
    0x80000006: "EV_EFI_GPT_EVENT",
    0x80000007: "EV_EFI_ACTION",
    0x80000008: "EV_EFI_PLATFORM_FIRMWARE_BLOB",
    0x80000009: "EV_EFI_HANDOFF_TABLES",
    0x8000000A: "EV_EFI_PLATFORM_FIRMWARE_BLOB2",
    0x8000000B: "EV_EFI_HANDOFF_TABLES2",
    0x8000000C: "EV_EFI_VARIABLE_BOOT2",
    0x8000000D: "EV_EFI_GPT_EVENT2",
    0x80000010: "EV_EFI_HCRTM_EVENT",
    0x800000E0: "EV_EFI_VARIABLE_AUTHORITY",
    0x800000E1: "EV_EFI_SPDM_FIRMWARE_BLOB",
    0x800000E2: "EV_EFI_SPDM_FIRMWARE_CONFIG",
}

_VARIABLES = frozenset({0x80000001, 0x80000002, 0x8000000C, 0x800000E0})
_IMAGES = frozenset({0x80000003, 0x80000004, 0x80000005})
_BLOBS2 = frozenset({0x8000000A, 0x8000000B})
_TAG = struct.Struct("<II")
_TAGS = {0x8F3B22ED: "kernel load options", 0x8F3B22EC: "initrd", 0x4141454C: "application event",
         0xF5BC582A: "kernel options", 0x13AED6DB: "initrd part", 0xDAC08E1A: "credentials"}  # fmt: skip
_SEPARATORS = {bytes(4): "end of firmware", b"\xff" * 4: "end of firmware", b"\x01\x00\x00\x00": "FIRMWARE ERROR"}


def type_name(event: Event) -> str:
    """The type's name, or its number."""
    return EVENT_TYPES.get(event.type, f"0x{event.type:x}")


def describe(event: Event) -> str:
    """What the event says, in one line that no terminal obeys."""
    data = event.data
    if event.type in _VARIABLES and (variable := read_variable(data)) is not None:
        return _variable(variable)
    if event.type in _IMAGES:
        return image_path(event) or "an image without a path"
    if event.type == 0x4:
        return _SEPARATORS.get(data, readable(data))
    if event.type == 0x6 and len(data) >= _TAG.size:
        tag, size = _TAG.unpack_from(data)
        return f"{_TAGS.get(tag, f'tag 0x{tag:x}')}: {readable(data[_TAG.size : _TAG.size + size])}"
    if event.type in _BLOBS2 and data:
        return readable(data[1 : 1 + data[0]])
    return readable(data)


def _variable(variable: UefiVariable) -> str:
    if variable.name == "SecureBoot":
        return f"SecureBoot = {variable.data.hex() or 'not set up'}"
    return f"{readable(variable.name.encode())}, {len(variable.data)} bytes"


def image_path(event: Event) -> str | None:
    """The file that a loaded image's device path names (UEFI 2.10 section 10.3.5.4), if it names one."""
    if event.type not in _IMAGES or len(event.data) < 32:
        return None
    path = event.data[32:]
    while len(path) >= 4:
        kind, subtype, size = struct.unpack_from("<BBH", path)
        if size < 4 or size > len(path) or kind == 0x7F:
            return None
        if (kind, subtype) == (4, 4):
            text = path[4:size].decode("utf-16-le", "replace").rstrip("\x00")
            return readable(text.encode())
        path = path[size:]
    return None
