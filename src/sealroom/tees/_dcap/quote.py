"""A quote, taken apart: header, body, and signature data (Intel DCAP Quoting Library API, appendix A).

    v3, v4   header 48 | body 384 or 584             | u32 length | signature data
    v5       header 48 | u16 type, u32 size | body   | u32 length | signature data

    v3       signature 64 | key 64 | QE report 384 | its signature 64 | u16 length, auth data | u16 5, u32 size, chain
    v4, v5   signature 64 | key 64 | u16 6, u32 size, { QE report … chain as in v3 }

Every inner size fills the outer one exactly, and none is believed before it is compared with what is there. What
follows the stated end of a quote (buffers are padded) belongs to nobody: it is not read, hashed or kept.
"""

import struct
from dataclasses import dataclass, field

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.tees._dcap.layouts import HEADER

__all__ = ["SGX", "TDX", "Quote", "read_quote"]

SGX, TDX = 0, 0x81
"""TEE types."""
VERSIONS = (3, 4, 5)
INTEL_QE = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
MAX_SIGNATURE_DATA = 64 * 1024
"""Bytes; real ones are under 5 KB."""

_ECDSA_P256 = 2
_BODIES = {1: (SGX, 384), 2: (TDX, 584), 3: (TDX, 648)}
"""Body type: TEE type, size. Type 4, TD 1.5 extended, is known by name alone."""
_CERTIFICATION = {
    1: "PPID in the clear",
    2: "PPID encrypted, RSA-2048",
    3: "PPID encrypted, RSA-3072",
    4: "PCK leaf without its chain",
    5: "PCK chain",
    6: "QE report with certification data",
}
_PCK_CHAIN, _QE_REPORT = 5, 6
_HEADER = struct.Struct("<HHIHH16s20s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The parts of a quote. Untrusted."""

    version: int
    tee_type: int
    body_type: int
    """1: SGX, 2: TD 1.0, 3: TD 1.5; before version 5 it follows from the TEE type."""
    qe_svn: int
    pce_svn: int
    """Header words; nothing about the TCB is decided by them."""
    user_data: bytes
    body: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    """From the first byte to the end of the body."""
    signature: bytes = field(repr=False)
    """r and s, 32 bytes each, big-endian."""
    attestation_key: bytes = field(repr=False)
    """x and y, 32 bytes each."""
    qe_report: bytes = field(repr=False)
    qe_report_signature: bytes = field(repr=False)
    qe_auth_data: bytes = field(repr=False)
    pck_chain: bytes = field(repr=False)
    """PEM: leaf, intermediate, root."""
    size: int
    """Bytes of the quote itself."""


def read_quote(raw: bytes) -> Quote:
    """Take the quote at the start of ``raw`` apart.

    Raises:
        MalformedError: ``dcap.*``: the bytes are no such quote.
        UnverifiedError: ``dcap.unsupported-certification``: it is one, and brings no certificates to verify it with.
    """
    cursor = _Cursor(raw, 0, len(raw), "quote")
    version, key_type, tee_type, qe_svn, pce_svn, vendor, user_data = _HEADER.unpack(cursor.take(48, "header"))
    _require_header(version, key_type, tee_type, vendor)
    body_type, size = _body_kind(cursor, version, tee_type)
    body = cursor.take(size, "body")
    signed = raw[: cursor.offset]
    data = cursor.sized("signature data", MAX_SIGNATURE_DATA)
    signature, key = data.take(64, "signature"), data.take(64, "attestation key")
    inner = data if version == 3 else data.typed({_QE_REPORT})
    qe_report, qe_signature = inner.take(384, "QE report"), inner.take(64, "QE report signature")
    auth = inner.take(inner.integer(2, "auth data size"), "QE auth data")
    chain = inner.typed({_PCK_CHAIN}).rest()
    inner.end()
    data.end()
    return Quote(
        version=version, tee_type=tee_type, body_type=body_type, qe_svn=qe_svn, pce_svn=pce_svn, user_data=user_data,
        body=body, signed=signed, signature=signature, attestation_key=key, qe_report=qe_report,
        qe_report_signature=qe_signature, qe_auth_data=auth, pck_chain=chain, size=data.limit,
    )  # fmt: skip


def _require_header(version: int, key_type: int, tee_type: int, vendor: bytes) -> None:
    for name, got, wanted, code in (
        ("version", version, VERSIONS, "unsupported-version"),
        ("attestation_key_type", key_type, (_ECDSA_P256,), "attestation-key-type"),
        ("tee_type", tee_type, (SGX,) if version == 3 else (SGX, TDX), "tee-type"),
    ):
        if got not in wanted:
            raise MalformedError(f"dcap.{code}", f"the quote's {name} is not one that this release reads",
                                 where=HEADER.where(name), got=hex(got), expected=" or ".join(map(hex, wanted)),
                                 )  # fmt: skip
    if vendor != INTEL_QE:
        raise MalformedError("dcap.qe-vendor", "the quote was not made by Intel's quoting enclave",
                             where=HEADER.where("qe_vendor_id"), got=vendor.hex(),
                             expected=INTEL_QE.hex())  # fmt: skip


def _body_kind(cursor: "_Cursor", version: int, tee_type: int) -> tuple[int, int]:
    """Type and size of the body."""
    if version < 5:
        return (1, 384) if tee_type == SGX else (2, 584)
    kind, size = cursor.integer(2, "body type"), cursor.integer(4, "body size")
    if _BODIES.get(kind) != (tee_type, size):
        known = "; ".join(f"type {kind}: TEE 0x{tee:x}, {size} bytes" for kind, (tee, size) in _BODIES.items())
        raise MalformedError("dcap.body-type", "the quote's body type, its size and the TEE type do not agree",
                             where="body type at 0x030", got=f"type {kind}, TEE 0x{tee_type:x}, {size} bytes",
                             expected=known)  # fmt: skip
    return kind, size


class _Cursor:
    """Takes bytes one part after the other, up to a limit that holds them all."""

    __slots__ = ("_raw", "_what", "limit", "offset")

    def __init__(self, raw: bytes, offset: int, limit: int, what: str) -> None:
        self._raw = raw
        self._what = what
        self.offset = offset
        self.limit = limit

    def take(self, size: int, name: str) -> bytes:
        """The next ``size`` bytes."""
        end = self.offset + size
        if end > self.limit:
            raise MalformedError("dcap.too-short", f"the {self._what} ends before its {name} does",
                                 where=f"{name} at 0x{self.offset:03x}", got=f"{self.limit - self.offset} bytes",
                                 expected=f"{size} bytes")  # fmt: skip
        part = self._raw[self.offset : end]
        self.offset = end
        return part

    def integer(self, size: int, name: str) -> int:
        """A little-endian number."""
        return int.from_bytes(self.take(size, name), "little")

    def sized(self, name: str, most: int) -> "_Cursor":
        """A part that begins with its own length, four bytes."""
        size = self.integer(4, f"{name} length")
        start = self.offset
        if size > most or start + size > self.limit:
            raise MalformedError("dcap.too-short", f"the {name} is longer than what holds it",
                                 where=f"{name} length at 0x{start - 4:03x}", got=f"{size} bytes",
                                 expected=f"at most {min(most, self.limit - start)}")  # fmt: skip
        self.offset = start + size
        return _Cursor(self._raw, start, start + size, name)

    def typed(self, wanted: set[int]) -> "_Cursor":
        """Certification data of one of the types ``wanted``; it fills what holds it."""
        place, kind = self.offset, self.integer(2, "certification data type")
        if kind not in wanted:
            known = _CERTIFICATION.get(kind, "unknown")
            raise UnverifiedError("dcap.unsupported-certification", "the quote's certification data is of a kind "
                                  "that can not be verified by itself",
                                  where=f"certification data type at 0x{place:03x}",
                                  got=f"{kind} ({known})",
                                  expected=", ".join(f"{one} ({_CERTIFICATION[one]})" for one in sorted(wanted)),
                                  hint="have the platform registered, so that its quotes bring their certificates",
                                  )  # fmt: skip
        inner = self.sized("certification data", MAX_SIGNATURE_DATA)
        self.end()
        return inner

    def rest(self) -> bytes:
        """Everything up to the limit."""
        return self.take(self.limit - self.offset, "rest")

    def end(self) -> None:
        """Raise unless nothing is left."""
        if self.offset != self.limit:
            raise MalformedError("dcap.trailing-bytes", f"bytes follow the last part of the {self._what}",
                                 where=f"0x{self.offset:03x}", got=f"{self.limit - self.offset} bytes",
                                 expected="none")  # fmt: skip
