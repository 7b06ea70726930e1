"""SIGSTRUCT: what the author of an SGX enclave signed (Intel SDM volume 3D, SIGSTRUCT; 1808 bytes).

MRENCLAVE stands in it, and MRSIGNER is the SHA-256 of the signer's modulus. Both are only as good as its signature,
which is checked, with the two quotients that the processor needs.
"""

import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sealroom.errors import MalformedError, UnverifiedError

__all__ = ["Sigstruct", "read_sigstruct"]

SIZE = 1808
_HEADER = bytes.fromhex("06000000e10000000000010000000000")
_HEADER2 = bytes.fromhex("01010000600000006000000001000000")
_VENDORS = (0, 0x8086)
_EXPONENT = 3
_DEBUG = 1 << 1
_FIELDS = struct.Struct("<16sII16sI84s384sI384sII4s16s16s16s32s16s16sHH12s384s384s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigstruct:
    """A SIGSTRUCT whose signature holds."""

    mr_enclave: bytes
    mr_signer: bytes
    isv_prod_id: int
    isv_svn: int
    isv_family_id: bytes
    isv_ext_prod_id: bytes
    date: str
    """yyyymmdd."""
    attributes: bytes
    attribute_mask: bytes
    misc_select: int
    vendor: int

    @property
    def debug_allowed(self) -> bool:
        """Whether the attributes ask for a debug enclave."""
        return bool(self.attributes[0] & _DEBUG)

    @property
    def debug_forbidden(self) -> bool:
        """Whether the mask makes the processor refuse to start it for debugging."""
        return not self.debug_allowed and bool(self.attribute_mask[0] & _DEBUG)


def read_sigstruct(raw: bytes) -> Sigstruct:
    """Read and verify a SIGSTRUCT, such as Gramine's ``.sig``.

    Raises:
        MalformedError: ``sigstruct.malformed``.
        UnverifiedError: ``sigstruct.signature``.
    """
    if len(raw) != SIZE:
        raise _malformed("has another length", f"{len(raw)} bytes", f"{SIZE}")
    (header, vendor, date, header2, _swdefined, zeros, modulus, exponent, signature, misc_select, _misc_mask, cet,
     family, attributes, mask, enclave_hash, reserved, ext_prod_id, prod_id, svn, zeros2, q1, q2) = _FIELDS.unpack(
        raw
    )  # fmt: skip
    if (header, header2) != (_HEADER, _HEADER2):
        raise _malformed("has other headers", f"{header.hex()} {header2.hex()}", f"{_HEADER.hex()} {_HEADER2.hex()}")
    if vendor not in _VENDORS or exponent != _EXPONENT or any(zeros + reserved + zeros2 + cet[2:]):
        raise _malformed("has a vendor, exponent or reserved bytes that can not be",
                         f"vendor 0x{vendor:x}, exponent {exponent}",
                         "vendor 0 or 0x8086, exponent 3, zeros")  # fmt: skip
    _require_signature(raw, modulus, signature, q1, q2)
    return Sigstruct(
        mr_enclave=enclave_hash, mr_signer=hashlib.sha256(modulus).digest(), isv_prod_id=prod_id, isv_svn=svn,
        isv_family_id=family, isv_ext_prod_id=ext_prod_id, date=f"{date:08x}", attributes=attributes,
        attribute_mask=mask, misc_select=misc_select, vendor=vendor,
    )  # fmt: skip


def _require_signature(raw: bytes, modulus: bytes, signature: bytes, q1: bytes, q2: bytes) -> None:
    n, s, first, second = (int.from_bytes(part, "little") for part in (modulus, signature, q1, q2))
    if n.bit_length() != 3072 or not n % 2 or s >= n:
        raise _malformed("has a key or signature that can not be", f"{n.bit_length()} bits", "an odd modulus of 3072")
    try:
        key = rsa.RSAPublicNumbers(_EXPONENT, n).public_key()
        key.verify(s.to_bytes(384, "big"), raw[:128] + raw[900:1028], padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        raise UnverifiedError("sigstruct.signature", "the SIGSTRUCT does not bear its signer's signature",
                              where="SIGNATURE at 0x204", hint="it was changed, or cut together",
                              ) from None  # fmt: skip
    expected = s * s // n
    if (first, second) != (expected, (s**3 - expected * s * n) // n):
        raise UnverifiedError("sigstruct.quotients", "the SIGSTRUCT's quotients Q1 and Q2 are not those of its "
                              "signature: no processor would start this enclave", where="Q1 at 0x410")  # fmt: skip


def _malformed(what: str, got: str, expected: str) -> MalformedError:
    return MalformedError("sigstruct.malformed", f"this is no SIGSTRUCT: it {what}", got=got, expected=expected)
