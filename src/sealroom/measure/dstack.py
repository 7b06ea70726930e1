"""dstack's event log: JSON, with the firmware's events as digests and the run-time events in full.

A run-time event (type 0x08000001) goes into RTMR3, and its digest is SHA-384 over type (four bytes, little-endian), a
colon, the name, a colon, and the payload. New releases leave that digest out: it is computed here, and where it is
there it must be the one. A boot event is its digest, and its name a rumour.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.measure.replay import RTMRS, extend
from sealroom.measure.uefi_variable import readable

__all__ = ["DstackReplay", "RuntimeEvent", "replay_dstack"]

MAX_LOG = 4 * 1024 * 1024
RUNTIME_EVENT = 0x08000001


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeEvent:
    """An event that the digest proves."""

    name: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DstackReplay:
    """What the log leads to."""

    registers: Mapping[str, bytes]
    extended: frozenset[str]
    runtime_events: tuple[RuntimeEvent, ...]
    dishonest: UnverifiedError | None
    """A run-time event whose text is not what was measured; the registers stand all the same."""


def replay_dstack(raw: bytes) -> DstackReplay:
    """Read and replay a log.

    Raises:
        MalformedError: ``eventlog.dstack``.
    """
    registers, extended = dict.fromkeys(RTMRS, bytes(48)), set()
    runtime: list[RuntimeEvent] = []
    dishonest: UnverifiedError | None = None
    for number, entry in enumerate(_entries(raw)):
        register = RTMRS[_integer(entry, "imr", number, 3)]
        digest = _hex(entry, "digest", number)
        if _integer(entry, "event_type", number, 2**32 - 1) == RUNTIME_EVENT:
            event = RuntimeEvent(name=str(entry.get("event", "")), payload=_hex(entry, "event_payload", number))
            measured = _measured(event)
            if digest and digest != measured and dishonest is None:
                dishonest = _edited(number, event, digest, measured)
            digest = digest or measured
            runtime.append(event)
        if len(digest) != 48:
            raise _malformed(number, "digest", f"{len(digest)} bytes", "48 bytes")
        registers[register] = extend(registers[register], digest)
        extended.add(register)
    return DstackReplay(registers=registers, extended=frozenset(extended), runtime_events=tuple(runtime),
                        dishonest=dishonest)  # fmt: skip


def _measured(event: RuntimeEvent) -> bytes:
    parts = RUNTIME_EVENT.to_bytes(4, "little"), event.name.encode(), event.payload
    return hashlib.sha384(b":".join(parts)).digest()


def _entries(raw: bytes) -> list[dict[str, Any]]:
    if len(raw) > MAX_LOG:
        raise _malformed(0, "log", f"{len(raw)} bytes", f"at most {MAX_LOG}")
    try:
        entries = json.loads(raw)
    except (ValueError, RecursionError):
        raise _malformed(0, "log", "no JSON", "a list of events") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _malformed(0, "log", type(entries).__name__, "a list of events")
    return entries


def _integer(entry: Mapping[str, Any], name: str, number: int, high: int) -> int:
    value = entry.get(name)
    if type(value) is not int or not 0 <= value <= high:
        raise _malformed(number, name, repr(value)[:40], f"0 to {high}")
    return value


def _hex(entry: Mapping[str, Any], name: str, number: int) -> bytes:
    value = entry.get(name, "")
    try:
        if isinstance(value, str):
            return bytes.fromhex(value)
    except ValueError:
        pass
    raise _malformed(number, name, repr(value)[:40], "hexadecimal digits")


def _edited(number: int, event: RuntimeEvent, digest: bytes, measured: bytes) -> UnverifiedError:
    return UnverifiedError("eventlog.text-not-measured", "the text of a run-time event is not what was measured",
                           where=f"event {number}, {readable(event.name.encode())}", got=digest.hex(),
                           expected=measured.hex(), hint="somebody edited the log")  # fmt: skip


def _malformed(number: int, field: str, got: str, expected: str) -> MalformedError:
    return MalformedError("eventlog.dstack", "the log is not as dstack writes it", where=f"event {number}, {field}",
                          got=got, expected=expected)  # fmt: skip
