"""Who made a package: the publisher's key, and the signature over the manifest (section 4)."""

import hashlib
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.sealed import strict_json
from sealroom.sealed.format import MANIFEST_FILE, SIGNATURE_FILE, digest_text, parse_hex
from sealroom.sealed.manifest import Manifest, parse_manifest

__all__ = ["PublisherKey", "verify_manifest"]

_DOMAIN = b"sealroom-sealed-model-v1 manifest\x00"
_FORMAT = "sealroom-sealed-model-signature"
_ALGORITHM = "Ed25519"
_MEMBERS = frozenset({"algorithm", "format", "format_version", "public_key", "signature"})
_MALFORMED = "sealed.malformed-signature"


class PublisherKey:
    """A publisher's private Ed25519 key. Readers pin `digest`."""

    __slots__ = ("_key",)

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """The key in an unencrypted PKCS #8 PEM (``openssl genpkey -algorithm ed25519`` writes one)."""
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise MalformedError("sealed.malformed-publisher-key", "this is not a publisher's key",
                                 expected="an unencrypted PKCS #8 PEM with an Ed25519 private key",
                                 hint="make one with: openssl genpkey -algorithm ed25519")  # fmt: skip
        return cls(key)

    def to_pem(self) -> bytes:
        """The key as PKCS #8 PEM; secret."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public_key(self) -> bytes:
        """The raw public key (32 bytes)."""
        return self._key.public_key().public_bytes_raw()

    @property
    def digest(self) -> bytes:
        """What readers pin: SHA-256 of `public_key` (32 bytes)."""
        return hashlib.sha256(self.public_key).digest()

    def sign(self, manifest: bytes) -> bytes:
        """The bytes of ``signature.json`` for the bytes of a manifest."""
        return strict_json.encode({
            "algorithm": _ALGORITHM,
            "format": _FORMAT,
            "format_version": 1,
            "public_key": self.public_key.hex(),
            "signature": self._key.sign(_DOMAIN + manifest).hex(),
        })  # fmt: skip

    def __repr__(self) -> str:
        return f"PublisherKey(<redacted>, {digest_text(self.digest)})"


def verify_manifest(manifest: bytes, signature: bytes, *, publisher: bytes | None) -> Manifest:
    """The manifest in ``manifest``, if ``signature`` holds, checked in the order of section 4.

    Args:
        manifest: bytes of ``manifest.json``, not parsed before the signature is found good.
        signature: bytes of ``signature.json``.
        publisher: SHA-256 of the public key that must have signed. With None the manifest is merely intact: anybody
            may have made it.
    """
    public_key, value = _parse_signature(signature)
    signer = hashlib.sha256(public_key).digest()
    if publisher is not None and publisher != signer:
        raise _wrong_publisher(got=signer, expected=publisher, swapped=publisher == public_key)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(value, _DOMAIN + manifest)
    except (InvalidSignature, ValueError):
        raise UnverifiedError(
            "sealed.manifest-not-authentic",
            "the publisher's signature does not fit the manifest",
            where=MANIFEST_FILE,
            hint="fetch the package again from its publisher",
        ) from None
    parsed = parse_manifest(manifest)
    if parsed.publisher != signer:
        raise _wrong_publisher(got=signer, expected=parsed.publisher, swapped=False)
    return parsed


def _parse_signature(raw: bytes) -> tuple[bytes, bytes]:
    document = strict_json.parse(raw, code=_MALFORMED, where=SIGNATURE_FILE)
    strict_json.check_header(document, _FORMAT, 1, where=SIGNATURE_FILE)
    strict_json.check_members(document, _MEMBERS, code=_MALFORMED, where=SIGNATURE_FILE)
    if document["algorithm"] != _ALGORITHM:
        raise MalformedError("sealed.unknown-algorithm", "the manifest is signed with an algorithm that is not known",
                             where="signature.json, algorithm", got=repr(document["algorithm"])[:80],
                             expected=_ALGORITHM)  # fmt: skip
    public_key = parse_hex(document["public_key"], 32, code=_MALFORMED, where="signature.json, public_key")
    return public_key, parse_hex(document["signature"], 64, code=_MALFORMED, where="signature.json, signature")


def _wrong_publisher(*, got: bytes, expected: bytes, swapped: bool) -> UnverifiedError:
    hint = "pin the SHA-256 of the public key, not the key" if swapped else "the package is another publisher's"
    return UnverifiedError(
        "sealed.wrong-publisher",
        "the package is not signed by the publisher that was asked for",
        where=SIGNATURE_FILE,
        got=digest_text(got),
        expected=digest_text(expected),
        hint=hint,
    )
