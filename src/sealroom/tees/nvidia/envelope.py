"""Devices' evidence as tools hand it on in JSON: any number of devices, each a report with its certificates.

NVIDIA's own tools and its service write a list of objects with ``evidence``, ``certificate``, ``nonce`` and ``arch``;
Confidential Containers puts that list under ``device_evidence_list``; NVIDIA's newer tools write a collection of
messages with their media types (CMW). All have in common an object with a report and a chain, and that is what is
looked for, at any depth. What an envelope says of itself is nobody's word: a device's family comes from its
certificates. Its nonce alone is compared, so that no report is taken for another's.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sealroom.errors import MalformedError, SealroomError
from sealroom.jose import read_json
from sealroom.tees.nvidia.layout import parse_report

__all__ = ["DeviceRecord", "read_envelope", "report_bytes"]

MAX_ENVELOPE = 4 << 20
"""Bytes; a device takes some sixteen thousand."""
MAX_DEVICES = 64
_MAX_DEPTH = 8
_REPORT, _CHAIN, _NONCE = "evidence", "certificate", "nonce"
_FIRST = b"\x11"
"""Of every report, and of no text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """One device's evidence, untrusted."""

    report: bytes = field(repr=False)
    cert_chain: bytes = field(repr=False)
    """PEM, leaf first."""


def read_envelope(raw: bytes) -> tuple[DeviceRecord, ...]:
    """Every device of an envelope, in the order in which they stand.

    Raises:
        MalformedError: ``nvidia.evidence-list``: no such JSON, no device or too many, or one without all its parts;
            ``nvidia.envelope-nonce``: the envelope speaks of another nonce than the report that is in it.
    """
    if len(raw) > MAX_ENVELOPE:
        raise _bad("the evidence is too large", f"{len(raw)} bytes")
    try:
        document = read_json(raw, area="nvidia")
    except SealroomError as reason:
        raise _bad(f"the evidence of several devices is no JSON: {reason.message}", None) from None
    records = tuple(_record(entry) for entry in _entries(document, 0))
    if not 1 <= len(records) <= MAX_DEVICES:
        raise _bad("an envelope holds the evidence of one device or more", len(records))
    return records


def report_bytes(raw: bytes) -> bytes:
    """A report's bytes out of a file that holds them as they are, or as text: hexadecimal digits, or base64.

    What is neither is returned as it is, for the report's own reader to refuse.
    """
    if raw[:1] == _FIRST:
        return raw
    try:
        return _decoded(raw.decode("ascii"))
    except (ValueError, binascii.Error):
        return raw


def _entries(value: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """Every object with a report in it, however deep below others."""
    if depth > _MAX_DEPTH:
        raise _bad("the evidence is nested too deep", depth)
    if isinstance(value, dict) and _message(value.get(_REPORT)) is not None:
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _entries(inner, depth + 1)


def _message(value: Any) -> str | None:
    """A text; in a CMW the second of a pair, after its media type."""
    match value:
        case str():
            return value
        case [str(kind), str(text), *_] if "/" in kind and len(value) <= 3:
            return text
    return None


def _record(entry: Mapping[str, Any]) -> DeviceRecord:
    report, chain = _part(entry, _REPORT), _part(entry, _CHAIN)
    said = _message(entry.get(_NONCE))
    if said is not None and report[:1] == _FIRST:
        _require_nonce(said, parse_report(report).report.request_nonce)
    return DeviceRecord(report=report, cert_chain=chain)


def _part(entry: Mapping[str, Any], name: str) -> bytes:
    text = _message(entry.get(name))
    if text is None:
        raise _bad(f"a device has no {name}", ", ".join(map(ascii, entry))[:120])
    if text.lstrip().startswith("-----BEGIN "):
        return text.encode("utf-8", "replace")
    try:
        return _decoded(text)
    except (ValueError, binascii.Error):
        raise _bad(f"a device's {name} is neither base64 nor hexadecimal", ascii(text)[:60]) from None


def _decoded(text: str) -> bytes:
    """Hexadecimal digits, or base64 with either alphabet, with or without the signs that fill it up."""
    plain = "".join(text.split())
    try:
        return bytes.fromhex(plain)
    except ValueError:
        standard = plain.rstrip("=").replace("-", "+").replace("_", "/")
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)


def _require_nonce(said: str, nonce: bytes) -> None:
    try:
        same = _decoded(said) == nonce
    except (ValueError, binascii.Error):
        same = False
    if not same:
        raise MalformedError("nvidia.envelope-nonce", "an envelope speaks of another nonce than the report in it",
                             got=ascii(said)[:80], expected=nonce.hex(),
                             hint="the envelope was put together of parts of different answers")  # fmt: skip


def _bad(message: str, got: object) -> MalformedError:
    return MalformedError("nvidia.evidence-list", message, got=got,
                          expected="JSON with an object for each device: evidence, certificate")  # fmt: skip
