"""CMS envelopes as AWS KMS writes them (BER, to the byte), and one fault each.

The shape is that of messages of KMS that others published: lengths are indefinite from the outside in to the
recipients, which are definite, and again in what holds the content, whose chunks are octet strings of their own.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.testing import der

__all__ = ["EnvelopeFault", "EnvelopeForm", "envelope_faults", "padded"]

_NULL, _END = b"\x05\x00", b"\x00\x00"
_SHA1, _SHA256, _SHA384 = "1.3.14.3.2.26", "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.2"
_OAEP, _RSA, _MGF1 = "1.2.840.113549.1.1.7", "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.8"
_ENVELOPED, _SIGNED, _DATA = "1.2.840.113549.1.7.3", "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.1"
_AES_256_CBC, _AES_128_CBC, _AES_256_GCM = (f"2.16.840.1.101.3.4.1.{arc}" for arc in (42, 2, 46))
_BLOCK = 16


@dataclass(frozen=True, kw_only=True)
class EnvelopeForm:
    """An envelope before it is written. Change one field with `dataclasses.replace` to have one fault."""

    public_key: rsa.RSAPublicKey
    content: bytes = field(repr=False)
    """What is put in, padded already."""
    content_key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    chunk: int = 1000
    """Bytes of the content in one octet string; 0: whole, and of definite length."""
    encrypted_key: bytes | None = None
    """In place of the right one."""
    content_type: str = _ENVELOPED
    versions: tuple[int, int] = (2, 2)
    """Of envelope and recipient."""
    identifier: bytes | None = None
    """The element that names the recipient; None: 32 bytes that come of the key."""
    transport: bytes | None = None
    """The AlgorithmIdentifier; None: the one of KMS."""
    recipients: int = 1
    before_recipients: bytes = b""
    inner_type: str = _DATA
    cipher: str = _AES_256_CBC
    iv: bytes = field(default_factory=lambda: os.urandom(_BLOCK))
    ending: bytes = b""
    """What stands behind the content, inside."""

    def write(self) -> bytes:
        """The bytes."""
        outer, inner = self.versions
        recipient = der.sequence(der.integer(inner), self._identifier(), self.transport or oaep(), der.octet_string(
            self._encrypted_key() if self.encrypted_key is None else self.encrypted_key
        ))  # fmt: skip
        recipients = der.element(0x31, recipient * self.recipients)
        info = indefinite(0x30, der.oid(self.inner_type), der.sequence(der.oid(self.cipher),
                          der.octet_string(self.iv)), self._content())  # fmt: skip
        data = indefinite(0x30, der.integer(outer), self.before_recipients, recipients, info, self.ending)
        return indefinite(0x30, der.oid(self.content_type), indefinite(0xA0, data))

    def _identifier(self) -> bytes:
        if self.identifier is not None:
            return self.identifier
        spki = self.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return der.element(0x80, hashlib.sha256(spki).digest())

    def _encrypted_key(self) -> bytes:
        return wrapped(self.public_key, self.content_key)

    def _content(self) -> bytes:
        size = {16: 16, 24: 24}.get(len(self.content_key), 32)
        encryptor = Cipher(
            AES(self.content_key[:size].ljust(size, b"\0")), CBC(self.iv[:_BLOCK].ljust(_BLOCK, b"\0"))
        )
        whole = -len(self.content) % _BLOCK
        secret = encryptor.encryptor().update(self.content + bytes(whole))[: len(self.content)]
        if not self.chunk:
            return der.element(0x80, secret)
        chunks = [secret[at : at + self.chunk] for at in range(0, len(secret), self.chunk)]
        return indefinite(0xA0, *map(der.octet_string, chunks))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeFault:
    """An envelope that is not to be opened."""

    name: str
    code: str
    raw: bytes = field(repr=False)


def padded(content: bytes) -> bytes:
    """PKCS #7 (RFC 5652 section 6.3)."""
    count = _BLOCK - len(content) % _BLOCK
    return content + bytes((count,)) * count


def oaep(
    digest: str | None = _SHA256, mask: str | None = _SHA256, *, label: bytes = b"", null: bytes = _NULL
) -> bytes:
    """RSAES-OAEP (RFC 4055 section 4.1); None: not named, which is SHA-1."""
    parts = []
    if digest is not None:
        parts.append(der.element(0xA0, der.sequence(der.oid(digest), null)))
    if mask is not None:
        parts.append(der.element(0xA1, der.sequence(der.oid(_MGF1), der.sequence(der.oid(mask), null))))
    return der.sequence(der.oid(_OAEP), der.sequence(*parts, label))


def wrapped(key: rsa.RSAPublicKey, secret: bytes, *, digest: hashes.HashAlgorithm | None = None,
            mask: hashes.HashAlgorithm | None = None, label: bytes | None = None) -> bytes:  # fmt: skip
    """``secret`` for the holder of ``key``; SHA-256 unless another hash is given."""
    scheme = padding.OAEP(mgf=padding.MGF1(mask or hashes.SHA256()), algorithm=digest or hashes.SHA256(), label=label)
    return key.encrypt(secret, scheme)


def indefinite(tag: int, *parts: bytes) -> bytes:
    """One element whose end is marked."""
    return bytes((tag, 0x80)) + b"".join(parts) + _END


def envelope_faults(key: rsa.RSAPublicKey) -> Iterator[EnvelopeFault]:
    """Every fault of an envelope for the holder of ``key``."""
    form = EnvelopeForm(public_key=key, content=padded(bytes(range(200))))
    for make in (_encoding, _structure, _algorithms, _opening):
        for name, code, raw in make(form):
            yield EnvelopeFault(name=name, code=code, raw=raw.write() if isinstance(raw, EnvelopeForm) else raw)


_Faults = Iterator[tuple[str, str, bytes | EnvelopeForm]]


def _encoding(form: EnvelopeForm) -> _Faults:
    code, raw = "aws.envelope", form.write()
    yield "nothing", code, b""
    yield "larger than any", code, replace(form, content=padded(bytes(20_000)))
    for count in (1, 2, 4):
        yield f"without its last {count} bytes", code, raw[:-count]
    yield "followed by a zero byte", code, raw + b"\0"
    yield "followed by two more zero bytes", code, raw + _END
    yield "twice", code, raw * 2
    yield "a primitive element of unknown length", code, b"\x04\x80\0\0"
    yield "an end in what has a length", code, b"\x30\x02\0\0"
    yield "a length in a longer form than needed", code, b"\x30\x81" + bytes((len(b"\x05\0"),)) + _NULL
    yield "a length that begins with zero", code, b"\x30\x82\0\x80" + bytes(128)
    yield "a length of five octets", code, b"\x30\x85\1\0\0\0\0"
    yield "a reserved length", code, b"\x30\xff" + bytes(127)
    yield "a tag of two bytes", code, b"\x3f\x1f\x02\x05\0"
    yield "nested without end", code, b"\x30\x80" * 2000
    yield "chunks in chunks without end", code, b"\x24\x80" * 2000 + _END * 2000
    yield "longer inside than outside", code, b"\x30\x04\x04\x03\0\0"
    yield "not BER", code, b"\xff" * 64


def _structure(form: EnvelopeForm) -> _Faults:
    code, chunked = "aws.envelope", replace(form, chunk=16)
    yield "of version 0", code, replace(form, versions=(0, 2))
    yield "of version 3", code, replace(form, versions=(3, 2))
    yield "a recipient of version 0", code, replace(form, versions=(2, 0))
    yield "no recipient", code, replace(form, recipients=0)
    yield "two recipients", code, replace(form, recipients=2)
    name = der.sequence(der.sequence(), der.integer(1))
    yield "a recipient by issuer and serial number", code, replace(form, identifier=name)
    yield "a recipient without a name", code, replace(form, identifier=der.element(0x80, b""))
    yield "a recipient with a name that is too long", code, replace(form, identifier=der.element(0x80, bytes(65)))
    yield "with an originator", code, replace(form, before_recipients=der.element(0xA0, b""))
    yield "with attributes", code, replace(form, ending=der.element(0xA1, der.sequence()))
    yield "with two contents", code, replace(form, ending=der.sequence())
    yield "an initialization vector of 15 bytes", code, replace(form, iv=bytes(15))
    yield "content of half a block", code, replace(form, content=bytes(24))
    yield "no content", code, replace(form, content=b"")
    yield "no content, whole", code, replace(form, content=b"", chunk=0)
    last = form.content[:0] + chunked.write()
    at = last.rindex(b"\x04\x10")
    yield "a chunk that is no string", code, last[:at] + b"\x02" + last[at + 1 :]
    yield "a NULL that holds something", code, replace(form, transport=oaep(null=b"\x05\x01\0"))


def _algorithms(form: EnvelopeForm) -> _Faults:
    code = "aws.envelope-algorithm"
    yield "signed data", code, replace(form, content_type=_SIGNED)
    yield "an envelope in an envelope", code, replace(form, inner_type=_ENVELOPED)
    yield "RSA with PKCS #1 v1.5", code, replace(form, transport=der.sequence(der.oid(_RSA), _NULL))
    yield "OAEP with SHA-1", code, replace(form, transport=oaep(_SHA1, _SHA1))
    yield "OAEP of nothing named", code, replace(form, transport=oaep(None, None))
    yield "OAEP with SHA-384", code, replace(form, transport=oaep(_SHA384))
    yield "MGF1 with SHA-1", code, replace(form, transport=oaep(mask=_SHA1))
    yield "MGF1 not named", code, replace(form, transport=oaep(mask=None))
    yield "AES-128-CBC", code, replace(form, cipher=_AES_128_CBC)
    yield "AES-256-GCM", code, replace(form, cipher=_AES_256_GCM)
    label = der.element(0xA2, der.sequence(der.oid("1.2.840.113549.1.1.9"), der.octet_string(b"label")))
    yield "OAEP with a label", "aws.envelope", replace(form, transport=oaep(label=label))


def _opening(form: EnvelopeForm) -> _Faults:
    """All of these look alike from outside: they have one code, one text, and no detail."""
    code, key = "aws.envelope-not-opened", form.public_key
    right = wrapped(key, form.content_key)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    keys = {
        "for another key": wrapped(other, form.content_key), "its key flipped": right[:-1] + bytes((right[-1] ^ 1,)),
        "its key cut off": right[:-1], "no key": b"", "a key that is larger than the modulus": b"\xff" * len(right),
        "a key of SHA-1": wrapped(key, form.content_key, digest=hashes.SHA1()),  # noqa: S303
        "a mask of SHA-1": wrapped(key, form.content_key, mask=hashes.SHA1()),  # noqa: S303
        "a label that is not told": wrapped(key, form.content_key, label=b"x"),
        "a content key of 16 bytes": wrapped(key, bytes(16)), "a content key of 33 bytes": wrapped(key, bytes(33)),
        "another content key": wrapped(key, bytes(32)),
    }  # fmt: skip
    for name, encrypted in keys.items():
        yield name, code, replace(form, encrypted_key=encrypted)
    for name, end in (("zero", b"\0"), ("17", b"\x11"), ("255", b"\xff"), ("of two kinds", b"\x01\x02")):
        yield f"padding of {name}", code, replace(form, content=bytes(32 - len(end)) + end)
