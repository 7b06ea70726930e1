"""What a TPM signs when it quotes: TPMS_ATTEST (part 2, 10.12.12), and the signature: TPMT_SIGNATURE (11.3.4)."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.tees._tpm.reader import TpmReader

__all__ = ["HASHES", "QuoteAttest", "Scheme", "TpmHash", "TpmSignature", "read_attest", "read_signature"]

_MAGIC, _QUOTE = 0xFF544347, 0x8018
_MAX_SELECTIONS = 8
_MAX_SELECT = 4


class TpmHash(IntEnum):
    """TPM_ALG_ID of digests (part 2, table 9)."""

    SHA1 = 0x0004
    SHA256 = 0x000B
    SHA384 = 0x000C
    SHA512 = 0x000D

    @property
    def word(self) -> str:
        """``sha256``."""
        return self.name.lower()


HASHES: dict[TpmHash, Callable[[bytes], Any]] = {
    TpmHash.SHA1: lambda data: hashlib.sha1(data, usedforsecurity=False),
    TpmHash.SHA256: hashlib.sha256,
    TpmHash.SHA384: hashlib.sha384,
    TpmHash.SHA512: hashlib.sha512,
}


class Scheme(IntEnum):
    """TPM_ALG_ID of signatures that are taken."""

    RSASSA = 0x0014
    RSAPSS = 0x0016
    ECDSA = 0x0018


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteAttest:
    """A quote as it is once read; untrusted."""

    qualified_signer: bytes
    extra_data: bytes
    """What the asker chose."""
    clock: int
    """Milliseconds that the TPM has run."""
    reset_count: int
    restart_count: int
    safe: int
    """1: the clock never went back since it was last recorded; 0: it may have."""
    firmware_version: int
    selection: tuple[tuple[TpmHash, tuple[int, ...]], ...]
    """Banks in their order, and the PCRs of each in ascending order."""
    pcr_digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmSignature:
    """A signature with its scheme."""

    scheme: Scheme
    digest: TpmHash
    rsa: bytes = b""
    r: int = 0
    s: int = 0


def read_attest(raw: bytes) -> QuoteAttest:
    """Read a quote.

    1. The magic says that a TPM made the structure: without it, a key that signs anything could have been asked.
    2. It is a quote, and not another thing that a TPM attests.

    Raises:
        MalformedError: ``tpm.truncated``, ``tpm.trailing``, ``tpm.selection``, ``tpm.clock``.
        UnverifiedError: ``tpm.magic``, ``tpm.not-a-quote``.
    """
    reader = TpmReader(raw, "the quote")
    # 1.
    if (magic := reader.number(4)) != _MAGIC:
        raise UnverifiedError("tpm.magic", "no TPM made this structure", where="0x0", got=f"0x{magic:08x}",
                              expected=f"0x{_MAGIC:08x}")  # fmt: skip
    # 2.
    if (kind := reader.number(2)) != _QUOTE:
        raise UnverifiedError("tpm.not-a-quote", "the TPM attests something else than PCRs", where="0x4",
                              got=f"0x{kind:04x}", expected=f"0x{_QUOTE:04x}")  # fmt: skip
    attest = QuoteAttest(
        qualified_signer=reader.sized(), extra_data=reader.sized(), clock=reader.number(8),
        reset_count=reader.number(4), restart_count=reader.number(4), safe=_yes_no(reader),
        firmware_version=reader.number(8), selection=_selections(reader), pcr_digest=reader.sized(),
    )  # fmt: skip
    reader.end()
    return attest


def read_signature(raw: bytes) -> TpmSignature:
    """Read a marshalled signature.

    Raises:
        MalformedError: ``tpm.truncated``, ``tpm.trailing``.
        UnverifiedError: ``tpm.signature-algorithm``: a scheme or digest that is not taken; SHA-1 is none.
    """
    reader = TpmReader(raw, "the signature")
    scheme, digest = reader.number(2), reader.number(2)
    if scheme not in set(Scheme) or digest not in set(TpmHash) - {TpmHash.SHA1}:
        raise UnverifiedError("tpm.signature-algorithm", "the quote is signed in a way that is not accepted here",
                              got=f"0x{scheme:04x} with 0x{digest:04x}",
                              expected="RSASSA, RSAPSS or ECDSA, with SHA-256, SHA-384 or SHA-512")  # fmt: skip
    if scheme == Scheme.ECDSA:
        r, s = (int.from_bytes(reader.sized(), "big") for _ in range(2))
        signature = TpmSignature(scheme=Scheme.ECDSA, digest=TpmHash(digest), r=r, s=s)
    else:
        signature = TpmSignature(scheme=Scheme(scheme), digest=TpmHash(digest), rsa=reader.sized())
    reader.end()
    return signature


def _yes_no(reader: TpmReader) -> int:
    """TPMI_YES_NO (part 2, 9.2)."""
    if (value := reader.number(1)) > 1:
        raise MalformedError("tpm.clock", "the clock is neither safe nor unsafe", got=value, expected="0 or 1")
    return value


def _selections(reader: TpmReader) -> tuple[tuple[TpmHash, tuple[int, ...]], ...]:
    count = reader.number(4)
    if not 1 <= count <= _MAX_SELECTIONS:
        raise _bad("a quote selects no bank, or too many", count)
    found = tuple(_selection(reader) for _ in range(count))
    if len({bank for bank, _ in found}) != len(found) or not any(indices for _, indices in found):
        raise _bad("a bank stands twice, or no PCR is selected", count)
    return found


def _selection(reader: TpmReader) -> tuple[TpmHash, tuple[int, ...]]:
    bank, size = reader.number(2), reader.number(1)
    if bank not in set(TpmHash) or not 1 <= size <= _MAX_SELECT:
        raise _bad("a bank or a bitmap is not known", f"0x{bank:04x}, {size} bytes")
    bitmap = int.from_bytes(reader.octets(size), "little")
    return TpmHash(bank), tuple(index for index in range(8 * size) if bitmap >> index & 1)


def _bad(message: str, got: object) -> MalformedError:
    return MalformedError("tpm.selection", message, got=got, expected="banks with their PCRs")
