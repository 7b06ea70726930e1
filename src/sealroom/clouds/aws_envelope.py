"""The envelope in which AWS KMS puts what it releases to an attested machine: CMS EnvelopedData (RFC 5652 section 6).

KMS writes BER with indefinite lengths, and the content in chunks where it is long. Everything else is one choice:
one recipient, named by a key identifier; RSAES-OAEP with SHA-256, for MGF1 too, and no label; AES-256-CBC. All else
is refused by name.

An envelope proves nothing of who made it: whoever sees the public key can make one, and CBC lets its content be
changed. What comes out is authentic only when its reader says so (a model's key: by the commitment in the manifest).
That the padding is wrong is told in the same words as that the key is: the private key is used once, and a second
question to it would have to come through here.
"""

import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from sealroom.clouds.ber import definite
from sealroom.der import CONTEXT_0, INTEGER, NULL, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, DerReader
from sealroom.der import read_whole as read_der
from sealroom.errors import MalformedError, UnverifiedError

__all__ = ["Envelope", "open_envelope", "parse_envelope"]

_MAX_SIZE = 16 * 1024
"""KMS gives 6144 bytes at most."""
_CONTEXT_1 = 0xA1
_PRIMITIVE_0 = 0x80
_VERSION = 2
"""Of the envelope and of its recipient, where that is named by a key identifier (RFC 5652 sections 6.1, 6.2.1)."""
_ENVELOPED_DATA, _DATA = "1.2.840.113549.1.7.3", "1.2.840.113549.1.7.1"
_OAEP, _MGF1 = "1.2.840.113549.1.1.7", "1.2.840.113549.1.1.8"
_SHA256, _AES_256_CBC = "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.1.42"
_BLOCK, _KEY_SIZE = 16, 32
_MAX_IDENTIFIER = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What an envelope is made of, all of it encrypted."""

    recipient: bytes
    """A key identifier by the sender's own rule, so it is compared with nothing."""
    encrypted_key: bytes = field(repr=False)
    iv: bytes = field(repr=False)
    content: bytes = field(repr=False)


def open_envelope(raw: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """What is in the envelope ``raw``.

    1. The encoding: BER, one element, nothing behind it (`parse_envelope`).
    2. The structure and the only algorithms there are.
    3. The content key by ``key``; another one in its place if there is none, so that failing takes as long.
    4. The content, and its padding.

    Raises:
        MalformedError: ``aws.envelope``: 1, or the structure.
        UnverifiedError: ``aws.envelope-algorithm``: 2; ``aws.envelope-not-opened``: 3 or 4.
    """
    envelope = parse_envelope(raw)
    # 3.
    content_key = _content_key(envelope, key)
    # 4.
    decryptor = Cipher(AES256(content_key or os.urandom(_KEY_SIZE)), CBC(envelope.iv)).decryptor()
    padded = decryptor.update(envelope.content) + decryptor.finalize()
    unpadder = PKCS7(8 * _BLOCK).unpadder()
    try:
        content = unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise _not_opened() from None
    if content_key is None:
        raise _not_opened()
    return content


def parse_envelope(raw: bytes) -> Envelope:
    """Read an envelope without opening it.

    Raises:
        MalformedError: ``aws.envelope``.
        UnverifiedError: ``aws.envelope-algorithm``.
    """
    if not 0 < len(raw) <= _MAX_SIZE:
        raise MalformedError("aws.envelope", "the envelope has no size that KMS gives", got=f"{len(raw)} bytes",
                             expected=f"1 to {_MAX_SIZE} bytes")  # fmt: skip
    try:
        return _envelope(definite(raw))
    except MalformedError as error:
        raise MalformedError("aws.envelope", f"the answer of KMS is no CMS envelope: {error.message}",
                             where=error.where, got=error.got, expected=error.expected,
                             hint="is this KMS, asked with a Recipient?") from None  # fmt: skip


def _envelope(der: bytes) -> Envelope:
    info = read_der(der, SEQUENCE).reader()
    _require("content type", info.take(OBJECT_IDENTIFIER).oid(), _ENVELOPED_DATA)
    data = read_der(info.take(CONTEXT_0).content, SEQUENCE).reader()
    info.end()
    _require_version(data)
    recipients = data.take(SET).reader()  # an originator's certificates ([0]) would stand before it
    recipient, encrypted_key = _recipient(recipients.take(SEQUENCE).reader())
    recipients.end()
    iv, content = _content(data.take(SEQUENCE).reader())
    data.end()  # attributes ([1]) are in no envelope of KMS
    return Envelope(recipient=recipient, encrypted_key=encrypted_key, iv=iv, content=content)


def _recipient(reader: DerReader) -> tuple[bytes, bytes]:
    """KeyTransRecipientInfo (section 6.2.1)."""
    _require_version(reader)
    identifier = reader.take(_PRIMITIVE_0).content
    if not 0 < len(identifier) <= _MAX_IDENTIFIER:
        raise _bad("the recipient's key identifier has no length that it can have", f"{len(identifier)} bytes")
    _require_oaep(reader.take(SEQUENCE).reader())
    encrypted_key = reader.take(OCTET_STRING).content
    reader.end()
    return identifier, encrypted_key


def _require_oaep(algorithm: DerReader) -> None:
    """RFC 4055 section 4.1: hash and mask are named, since SHA-1 is what they are if not; a label ([2]) is not."""
    _require("key transport", algorithm.take(OBJECT_IDENTIFIER).oid(), _OAEP)
    parameters = algorithm.take(SEQUENCE).reader()
    algorithm.end()
    if not parameters.next_is(CONTEXT_0):
        raise _other("hash of OAEP", "SHA-1", _SHA256)
    _require_sha256("hash of OAEP", parameters.take(CONTEXT_0).reader())
    if not parameters.next_is(_CONTEXT_1):
        raise _other("mask of OAEP", "MGF1 with SHA-1", f"{_MGF1} with {_SHA256}")
    whole = parameters.take(_CONTEXT_1).reader()
    mask = whole.take(SEQUENCE).reader()
    whole.end()
    _require("mask of OAEP", mask.take(OBJECT_IDENTIFIER).oid(), _MGF1)
    _require_sha256("hash of MGF1", mask)
    parameters.end()


def _require_sha256(what: str, holder: DerReader) -> None:
    """The one AlgorithmIdentifier in ``holder``; its parameters are NULL or absent."""
    algorithm = holder.take(SEQUENCE).reader()
    holder.end()
    _require(what, algorithm.take(OBJECT_IDENTIFIER).oid(), _SHA256)
    if (parameters := algorithm.take_if(NULL)) is not None and parameters.content:
        raise _bad("a NULL holds something", f"{len(parameters.content)} bytes")
    algorithm.end()


def _content(reader: DerReader) -> tuple[bytes, bytes]:
    """EncryptedContentInfo (section 6.1): initialization vector and content."""
    _require("type of the content", reader.take(OBJECT_IDENTIFIER).oid(), _DATA)
    algorithm = reader.take(SEQUENCE).reader()
    _require("cipher", algorithm.take(OBJECT_IDENTIFIER).oid(), _AES_256_CBC)
    iv = algorithm.take(OCTET_STRING).content
    algorithm.end()
    if len(iv) != _BLOCK:
        raise _bad("the initialization vector is not as long as a block", f"{len(iv)} bytes")
    element = reader.take(_PRIMITIVE_0, CONTEXT_0)  # [0] OCTET STRING, whole or in chunks
    reader.end()
    content = element.content if element.tag == _PRIMITIVE_0 else _joined(element.reader())
    if not content or len(content) % _BLOCK:
        raise _bad("the content is not of whole blocks", f"{len(content)} bytes")
    return iv, content


def _joined(chunks: DerReader) -> bytes:
    found = []
    while not chunks.at_end():
        found.append(chunks.take(OCTET_STRING).content)
    return b"".join(found)


def _content_key(envelope: Envelope, key: rsa.RSAPrivateKey) -> bytes | None:
    mask = padding.MGF1(algorithm=hashes.SHA256())
    try:
        found = key.decrypt(envelope.encrypted_key, padding.OAEP(mgf=mask, algorithm=hashes.SHA256(), label=None))
    except ValueError:
        return None
    return found if len(found) == _KEY_SIZE else None


def _require_version(reader: DerReader) -> None:
    if (version := reader.take(INTEGER).integer()) != _VERSION:
        raise _bad("the envelope, or its recipient, is of another version", version, _VERSION)


def _require(what: str, got: str, expected: str) -> None:
    if got != expected:
        raise _other(what, got, expected)


def _other(what: str, got: str, expected: str) -> UnverifiedError:
    return UnverifiedError("aws.envelope-algorithm", "the envelope is made in a way that is not accepted here",
                           where=what, got=got, expected=expected)  # fmt: skip


def _bad(message: str, got: object, expected: object = None) -> MalformedError:
    return MalformedError("aws.envelope", message, got=got, expected=expected)


def _not_opened() -> UnverifiedError:
    return UnverifiedError("aws.envelope-not-opened", "the envelope does not open with this machine's key",
                           hint="it was made for another document, or changed on its way; ask KMS again")  # fmt: skip
