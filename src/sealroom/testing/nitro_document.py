"""Nitro attestation documents as they are written: the members in the module's order, the map, the signature.

Every member is a pair of encoded bytes until the last moment, so that a document can have one twice, or one that no
writer of CBOR would write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.cbor import CborValue, cbor_head, encode_cbor

__all__ = ["ES384", "DocumentForm", "Member", "member", "raw_signature", "sign_document", "signed_bytes",
           "write_members"]  # fmt: skip

ES384 = encode_cbor({1: -35})
"""The protected header of every real document."""
_ARRAY, _MAP = 4, 5
_INDEFINITE_MAP, _BREAK = b"\xbf", b"\xff"
_TAG_18 = b"\xd2"
_EMPTY_MAP = b"\xa0"

Member = tuple[bytes, bytes]
"""Name and value, both encoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentForm:
    """What goes into a document. Change one field with `dataclasses.replace` to have one fault."""

    module_id: str
    timestamp_ms: int
    pcrs: Mapping[int, bytes] = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)
    """DER, leaf first, the root last."""
    digest: str = "SHA384"
    public_key: bytes | None = None
    user_data: bytes | None = None
    nonce: bytes | None = None
    is_nitro_tpm: bool = False

    def members(self) -> list[Member]:
        """In the order in which the module writes them; what was not asked for is null."""
        leaf, *above = self.chain
        return [
            member("module_id", self.module_id),
            member("digest", self.digest),
            member("timestamp", self.timestamp_ms),
            (encode_cbor("nitrotpm_pcrs" if self.is_nitro_tpm else "pcrs"), _pcrs(self.pcrs)),
            member("certificate", leaf),
            member("cabundle", [*reversed(above)]),
            member("public_key", self.public_key),
            member("user_data", self.user_data),
            member("nonce", self.nonce),
        ]


def member(name: CborValue, value: CborValue) -> Member:
    """One pair."""
    return encode_cbor(name), encode_cbor(value)


def write_members(members: Sequence[Member], *, indefinite: bool = True) -> bytes:
    """The payload: a map of indefinite length, as today's module writes it, or one that says how many it has."""
    pairs = b"".join(name + value for name, value in members)
    if indefinite:
        return _INDEFINITE_MAP + pairs + _BREAK
    return cbor_head(_MAP, len(members)) + pairs


def sign_document(
    payload: bytes,
    key: ec.EllipticCurvePrivateKey,
    *,
    protected: bytes = ES384,
    unprotected: bytes = _EMPTY_MAP,
    tagged: bool = False,
    signature: bytes | None = None,
) -> bytes:
    """A COSE_Sign1 (RFC 9052 section 4.2).

    Args:
        payload: what is signed; ``key``: by what.
        protected: the encoded header that is signed along; ``unprotected``: the one that is not.
        tagged: with tag 18 in front.
        signature: in place of the right one.
    """
    right = raw_signature(key, signed_bytes(payload, protected))
    strings = encode_cbor(protected) + unprotected + encode_cbor(payload)
    message = cbor_head(_ARRAY, 4) + strings + encode_cbor(right if signature is None else signature)
    return (_TAG_18 if tagged else b"") + message


def signed_bytes(payload: bytes, protected: bytes = ES384) -> bytes:
    """What the signature is over (RFC 9052 section 4.4)."""
    return encode_cbor(["Signature1", protected, b"", payload])


def raw_signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """r and s, 48 bytes each on P-384, under ECDSA with SHA-384."""
    size = (key.curve.key_size + 7) // 8
    numbers = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA384())))
    return b"".join(number.to_bytes(size, "big") for number in numbers)


def _pcrs(values: Mapping[int, bytes]) -> bytes:
    return cbor_head(_MAP, len(values)) + b"".join(encode_cbor(index) + encode_cbor(value)
                                                   for index, value in values.items())  # fmt: skip
