"""Linux IMA's measurement list: what files ran, and PCR 10 (Linux Documentation/security/IMA-templates.rst).

    10 TEMPLATE-HASH TEMPLATE-NAME FIELDS

The template hash is over the fields, each with its length before it; PCR 10's SHA-1 bank takes that hash, other banks
a hash of their own over the same fields (kernel 5.8 and later; before, the SHA-1 hash with zeros after it). A
violation, a file that changed while it was measured, is a hash of zeros, which goes into the register as ones.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.measure.replay import extend
from sealroom.measure.uefi_variable import readable

__all__ = ["ImaEntry", "ImaList", "read_ima", "require_pcr10"]

MAX_LIST = 64 * 1024 * 1024
_PCR = 10
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "ima": ("d", "n"),
    "ima-ng": ("d-ng", "n-ng"),
    "ima-sig": ("d-ng", "n-ng", "sig"),
    "ima-buf": ("d-ng", "n-ng", "buf"),
    "ima-ngv2": ("d-ngv2", "n-ng"),
    "ima-sigv2": ("d-ngv2", "n-ng", "sig"),
    "ima-modsig": ("d-ng", "n-ng", "sig", "d-modsig", "modsig"),
}
_OLD_NAME = 256
_HASHES = {20: "sha1", 32: "sha256", 48: "sha384", 64: "sha512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImaEntry:
    """One line."""

    number: int
    template: str
    template_hash: bytes
    data: bytes
    """The template data: what is hashed."""
    name: str
    violation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImaList:
    """A list whose template hashes are those of its fields."""

    entries: tuple[ImaEntry, ...]
    pcr10: Mapping[str, bytes]
    """By bank; ``sha256_zero_padded_sha1`` is what a kernel before 5.8 makes of the SHA-256 bank."""

    @property
    def violations(self) -> int:
        """How many files changed while they were measured."""
        return sum(entry.violation for entry in self.entries)


def read_ima(raw: bytes) -> ImaList:
    """Read a list in its ASCII form and compute PCR 10.

    Raises:
        MalformedError: ``ima.malformed``.
        UnverifiedError: ``ima.template-hash``: a line's hash is not that of its fields.
    """
    if len(raw) > MAX_LIST:
        raise _malformed(0, f"{len(raw)} bytes", f"at most {MAX_LIST}")
    entries = tuple(_entry(number, line) for number, line in enumerate(_lines(raw), start=1))
    if not entries:
        raise _malformed(0, "nothing", "one line or more")
    return ImaList(entries=entries, pcr10=dict(_registers(entries)))


def require_pcr10(measured: ImaList, quoted: Mapping[str, bytes]) -> None:
    """Refuse a list that does not lead to the ``quoted`` PCR 10, in any bank.

    Raises:
        UnverifiedError: ``ima.register-mismatch``.
    """
    for bank, value in quoted.items():
        accepted = [measured.pcr10.get(bank)]
        if bank == "sha256":
            accepted.append(measured.pcr10.get("sha256_zero_padded_sha1"))
        if value not in accepted:
            raise UnverifiedError("ima.register-mismatch", "the list does not lead to PCR 10", where=f"pcr10, {bank}",
                                  got=(accepted[0] or b"").hex(), expected=value.hex(),
                                  hint="a line is missing, was changed, or came after the quote")  # fmt: skip


def _lines(raw: bytes) -> Iterator[str]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as reason:
        raise _malformed(0, f"byte 0x{reason.start:x}", "text in UTF-8") from None
    yield from (line for line in text.split("\n") if line)


def _entry(number: int, line: str) -> ImaEntry:
    pcr, _, rest = line.partition(" ")
    written, _, rest = rest.partition(" ")
    template, _, rest = rest.partition(" ")
    fields = _TEMPLATES.get(template)
    values = rest.split(" ") if fields else []
    if pcr != str(_PCR) or fields is None or len(values) != len(fields):
        raise _malformed(number, readable(line.encode()), f"{_PCR} HASH TEMPLATE FIELDS, template one of "
                         + ", ".join(_TEMPLATES))  # fmt: skip
    template_hash = _hex(number, written)
    if len(template_hash) not in _HASHES:
        raise _malformed(number, f"a hash of {len(template_hash)} bytes", "20, 32, 48 or 64")
    data = _template_data(number, template, fields, values)
    violation = not any(template_hash)
    if (
        not violation
        and hashlib.new(_HASHES[len(template_hash)], data, usedforsecurity=False).digest() != template_hash
    ):
        raise UnverifiedError("ima.template-hash", "a line's hash is not that of its fields", where=f"line {number}",
                              got=template_hash.hex(), hint="somebody edited the list")  # fmt: skip
    return ImaEntry(number=number, template=template, template_hash=template_hash, data=data,
                    name=readable(values[1].encode()), violation=violation)  # fmt: skip


def _template_data(number: int, template: str, fields: tuple[str, ...], values: list[str]) -> bytes:
    if template == "ima":
        name = values[1].encode()
        return _hex(number, values[0]) + name.ljust(_OLD_NAME, b"\x00")
    contents = [_FIELDS[field](number, value) for field, value in zip(fields, values, strict=True)]
    return b"".join(len(content).to_bytes(4, "little") + content for content in contents)


def _digest_field(number: int, value: str) -> bytes:
    algorithm, colon, digest = value.rpartition(":")
    if not colon:
        raise _malformed(number, readable(value.encode()), "ALGORITHM:DIGEST")
    return algorithm.encode() + b":\x00" + _hex(number, digest)


def _name_field(_number: int, value: str) -> bytes:
    return value.encode() + b"\x00"


def _hex(number: int, value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise _malformed(number, readable(value.encode()), "hexadecimal digits") from None


_FIELDS: Mapping[str, Callable[[int, str], bytes]] = {
    "d-ng": _digest_field,
    "d-ngv2": _digest_field,
    "d-modsig": _digest_field,
    "n-ng": _name_field,
    "sig": _hex,
    "modsig": _hex,
    "buf": _hex,
}


def _registers(entries: tuple[ImaEntry, ...]) -> Iterator[tuple[str, bytes]]:
    for size, bank in _HASHES.items():
        register = bytes(size)
        for entry in entries:
            own = hashlib.new(bank, entry.data, usedforsecurity=False).digest()
            register = extend(register, b"\xff" * size if entry.violation else own, bank)
        yield bank, register
    register = bytes(32)
    for entry in entries:
        sha1 = hashlib.sha1(entry.data, usedforsecurity=False).digest()
        register = extend(register, b"\xff" * 32 if entry.violation else sha1.ljust(32, b"\x00"), "sha256")
    yield "sha256_zero_padded_sha1", register


def _malformed(number: int, got: str, expected: str) -> MalformedError:
    return MalformedError("ima.malformed", "this is no measurement list of IMA's", where=f"line {number}", got=got,
                          expected=expected)  # fmt: skip
