"""A forger's keys and certificates: the vendor's names and extensions, whole, under keys of one's own.

Keys on curves follow from the seed. RSA keys are made anew in each process (no library makes them from a seed), so
that of a forgery with one everything but the key is the same in each run.
"""

import hashlib
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.der import CONTEXT_0, SEQUENCE, DerReader, read_whole
from sealroom.testing import der
from sealroom.testing.tokens import TokenSigner

__all__ = ["FUTURE", "PAST", "RSA_SHA256", "PrivateKey", "elements", "own_p256", "own_p384", "own_rsa",
           "own_rsa_2048", "own_service",
           "raw_point", "raw_signature", "reissued", "signature_of", "signed", "unsigned", "with_window"]  # fmt: skip

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
RSA_SHA256 = der.oid("1.2.840.113549.1.1.11")
"""How Google's certificates say that they are signed with RSA."""
_BEFORE_KEY = 5
"""Serial number, algorithm, issuer, validity, subject."""
_BEFORE_WINDOW = 3
_UTC_TIME = 0x17
PAST, FUTURE = (("000101000000Z", "010101000000Z"), ("480101000000Z", "490101000000Z"))
"""Windows that no recorded evidence is from."""


@cache
def own_p256(name: str) -> ec.EllipticCurvePrivateKey:
    """A key on P-256 that follows from ``name``."""
    return ec.derive_private_key(_scalar(name), ec.SECP256R1())


@cache
def own_p384(name: str) -> ec.EllipticCurvePrivateKey:
    """A key on P-384 that follows from ``name``."""
    return ec.derive_private_key(_scalar(name), ec.SECP384R1())


@cache
def own_rsa(_name: str) -> rsa.RSAPrivateKey:
    """An RSA-4096 key, as AMD's issuers have; takes a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=4096)


@cache
def own_rsa_2048(_name: str) -> rsa.RSAPrivateKey:
    """An RSA-2048 key, as Google's issuers have."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def own_service(_name: str, kid: str) -> TokenSigner:
    """A service that signs tokens by a key of 2048 bits under the name ``kid``."""
    return TokenSigner(kid=kid)


def raw_point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """x and y of the public key, big-endian, as quotes carry it."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def raw_signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """r and s over SHA-256 of ``message``, big-endian, 32 bytes each; the same each time (RFC 6979)."""
    signature = key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))


def reissued(certificate: bytes, *, key: PrivateKey | None, signer: PrivateKey) -> bytes:
    """The certificate (DER) with every word as it was, with ``key`` for its own (None: as it was), signed anew."""
    return signed(unsigned(certificate, key=key), signer)


def unsigned(certificate: bytes, *, key: PrivateKey | None) -> bytes:
    """The signed part of a certificate, with ``key`` for its own (None: as it was)."""
    body = read_whole(certificate, SEQUENCE).reader().take(SEQUENCE)
    if key is None:
        return body.whole
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    parts = elements(body.content)
    place = (parts[0][0] == CONTEXT_0) + _BEFORE_KEY
    return der.sequence(*parts[:place], spki, *parts[place + 1 :])


def with_window(body: bytes, first: str, last: str) -> bytes:
    """The signed part of a certificate, with another window (UTCTime)."""
    parts = elements(read_whole(body, SEQUENCE).content)
    place = (parts[0][0] == CONTEXT_0) + _BEFORE_WINDOW
    window = der.sequence(*(der.element(_UTC_TIME, moment.encode()) for moment in (first, last)))
    return der.sequence(*parts[:place], window, *parts[place + 1 :])


def signed(body: bytes, signer: PrivateKey) -> bytes:
    """A certificate or revocation list: ``body``, the algorithm that it names, and a signature."""
    parts = elements(read_whole(body, SEQUENCE).content)
    algorithm = next(part for part in parts if part[0] == SEQUENCE)
    if isinstance(signer, rsa.RSAPrivateKey) and RSA_SHA256 in algorithm:
        return der.sequence(body, algorithm, der.bit_string(signer.sign(body, padding.PKCS1v15(), hashes.SHA256())))
    return der.sequence(body, algorithm, der.bit_string(signature_of(signer, body)))


def elements(content: bytes) -> list[bytes]:
    """The elements that stand side by side in ``content``, each whole."""
    reader, found = DerReader(content), []
    while not reader.at_end():
        found.append(reader.take().whole)
    return found


def signature_of(key: PrivateKey, message: bytes) -> bytes:
    """A signature as certificates carry it: RSA-PSS as AMD signs, or ECDSA in DER."""
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=48)
        return key.sign(message, pss, hashes.SHA384())
    digest = hashes.SHA256() if isinstance(key.curve, ec.SECP256R1) else hashes.SHA384()
    return key.sign(message, ec.ECDSA(digest, deterministic_signing=True))


def _scalar(name: str) -> int:
    return int.from_bytes(hashlib.sha512(b"gym key " + name.encode()).digest(), "big") % (_ORDER_P256 - 1) + 1
