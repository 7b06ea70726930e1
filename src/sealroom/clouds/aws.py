"""A key that AWS KMS releases to what runs on Nitro: an enclave, or an instance with a NitroTPM.

    RSA key, made here ─┐
                        ├─ document of the Nitro module ─ Recipient ─→ KMS ─ CiphertextForRecipient ─→ opened here
    key id and context ─┘

KMS verifies the document, and the key's own policy says which PCRs may have the plaintext: the policy is the owner's
word, and this end can not see whether there is one. Whoever carries the messages (the parent instance) reads none of
it, may swap all of it, and gains nothing:

* a ciphertext under another key: the request names the key, and a reply for another one is refused;
* a ciphertext of the same key that was made for something else: the encryption context is part of the request;
* an answer of his own making: it opens (anybody can seal for a public key), so what comes out is to be checked
  against what was known before, as a model's key is against the commitment in the manifest;
* an answer with the plaintext beside the envelope: refused, and the key counts as seen.

No I/O: the module that makes documents and the way to KMS are handed in.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.binding import Label, report_data
from sealroom.clouds.aws_envelope import open_envelope
from sealroom.errors import MalformedError, MisuseError, UnverifiedError

__all__ = ["DataKey", "Kms", "KmsKey", "NitroDocuments", "decrypt", "generate_data_key"]

_ARN = re.compile(r"arn:(aws[a-z-]*):kms:([a-z]{2,4}(?:-[a-z]+)+-[0-9]):([0-9]{12}):key/((?:mrk-)?[0-9a-f-]{32,36})")
_RSA_SIZE = 2048
"""What AWS's own SDK for enclaves uses, and the only size that every description of `Recipient` shows."""
_LARGEST_CIPHERTEXT = 6144
_LARGEST_CONTEXT = 8192
_PLAINTEXTS = ("Plaintext", "PrivateKeyPlaintext", "SharedSecret")
"""Fields in which KMS gives what it releases to whoever has no Recipient."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsKey:
    """A key of KMS by its whole name. An alias would leave to somebody else which key it is."""

    arn: str
    region: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an ARN.

        Raises:
            MalformedError: ``aws.key-arn``.
        """
        if (found := _ARN.fullmatch(text)) is None:
            raise MalformedError("aws.key-arn", "this names no key of KMS", got=ascii(text[:200]),
                                 expected="arn:aws:kms:REGION:ACCOUNT:key/ID",
                                 hint="`aws kms describe-key` shows it; an alias is not enough")  # fmt: skip
        return cls(arn=text, region=found[2])


class Kms(Protocol):
    """The way to KMS: `aws_transport.KmsTransport`, or a test's."""

    def ask(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """The reply's members to one operation (``Decrypt``), bytes as bytes.

        Raises:
            SealroomError: ``aws.*``: there is none.
        """
        ...


@runtime_checkable
class NitroDocuments(Protocol):
    """Who makes documents that carry a key: `tees.nitro.collect.NitroModule`, or `testing`'s."""

    def document(self, user_data: bytes, *, nonce: bytes | None = None, public_key: bytes | None = None) -> bytes:
        """An attestation document that carries these."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """A key that KMS made."""

    plaintext: bytes = field(repr=False)
    ciphertext: bytes
    """The same under the KMS key, to be kept: `decrypt` takes it."""


def decrypt(
    kms: Kms, module: NitroDocuments, key: KmsKey, ciphertext: bytes, *, context: Mapping[str, str],
    on_document: Callable[[], object] = lambda: None,
) -> bytes:  # fmt: skip
    """What ``ciphertext`` holds.

    Args:
        kms: the way to KMS.
        module: this machine's; asked once.
        key: under which it was encrypted.
        ciphertext: what ``aws kms encrypt`` gave, or `generate_data_key`.
        context: the encryption context under which that was done: at least one pair, for without one any ciphertext
            of the key would do.
        on_document: told when there is a document, before KMS is asked.

    Raises:
        UnverifiedError: ``aws.other-key``, ``aws.plaintext-in-reply``, ``aws.envelope-*``.
        MalformedError: ``aws.reply``, ``aws.envelope``.
        MisuseError: ``aws.context``, ``aws.ciphertext``.
        SealroomError: as ``kms`` and ``module`` raise.
    """
    if not 0 < len(ciphertext) <= _LARGEST_CIPHERTEXT:
        raise MisuseError("aws.ciphertext", "this is no ciphertext of KMS", got=f"{len(ciphertext)} bytes",
                          expected=f"1 to {_LARGEST_CIPHERTEXT} bytes",
                          hint="is it still in base64? `base64 -d` makes the file that is wanted")  # fmt: skip
    asked = {"CiphertextBlob": ciphertext, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
    return _Released.by(kms, module, key, "Decrypt", asked, context, on_document).content


def generate_data_key(kms: Kms, module: NitroDocuments, key: KmsKey, *, context: Mapping[str, str]) -> DataKey:
    """A new AES-256 key, readable here and, by whoever the key's policy lets, again later.

    Raises:
        SealroomError: as `decrypt`.
    """
    released = _Released.by(kms, module, key, "GenerateDataKey", {"KeySpec": "AES_256"}, context, lambda: None)
    return DataKey(plaintext=released.content, ciphertext=_field(released.reply, "CiphertextBlob", bytes))


@dataclass(frozen=True, slots=True)
class _Released:
    """What an exchange gave."""

    content: bytes = field(repr=False)
    reply: Mapping[str, Any] = field(repr=False)

    @classmethod
    def by(
        cls, kms: Kms, module: NitroDocuments, key: KmsKey, operation: str, asked: Mapping[str, Any],
        context: Mapping[str, str], on_document: Callable[[], object],
    ) -> Self:  # fmt: skip
        """Ask once.

        1. A key is made, for this one answer.
        2. The module vouches for it; what the document is for is bound into it as well.
        3. KMS answers for the key that was named, with an envelope and nothing that can be read on the way.
        4. The envelope opens.
        """
        _require_context(context)
        # 1.
        private = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_SIZE)
        spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        # 2.
        purpose = report_data(Label.KMS_RECIPIENT, key.arn.encode(), spki)
        document = module.document(purpose, public_key=spki)
        on_document()
        # 3.
        recipient = {"AttestationDocument": document, "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
        reply = kms.ask(operation, {"KeyId": key.arn, "EncryptionContext": dict(context), "Recipient": recipient,
                                    **asked})  # fmt: skip
        _require_this_key(reply, key)
        _require_nothing_readable(reply)
        # 4.
        return cls(open_envelope(_field(reply, "CiphertextForRecipient", bytes), private), reply)


def _require_context(context: Mapping[str, str]) -> None:
    size = sum(len(name.encode()) + len(value.encode()) for name, value in context.items())
    if not context or not all(context) or size > _LARGEST_CONTEXT:
        raise MisuseError("aws.context", "an encryption context says what a ciphertext is for", got=f"{size} bytes",
                          expected="at least one name with its value",
                          hint="without one, any ciphertext of the same key could stand in for it")  # fmt: skip


def _require_this_key(reply: Mapping[str, Any], key: KmsKey) -> None:
    if (named := _field(reply, "KeyId", str)) != key.arn:
        raise UnverifiedError("aws.other-key", "KMS answered with another key than it was asked for",
                              got=ascii(named)[:200], expected=key.arn,
                              hint="somebody swapped the ciphertext or the reply")  # fmt: skip


def _require_nothing_readable(reply: Mapping[str, Any]) -> None:
    if readable := [name for name in _PLAINTEXTS if reply.get(name)]:
        raise UnverifiedError("aws.plaintext-in-reply", "the reply holds the key where others can read it",
                              where=readable[0], expected="CiphertextForRecipient alone",
                              hint="count this key as known to others: KMS, or what is in between, ignored the "
                              "Recipient")  # fmt: skip


def _field(reply: Mapping[str, Any], name: str, kind: type[T]) -> T:
    value = reply.get(name)
    if not isinstance(value, kind) or not value:
        raise MalformedError("aws.reply", "the reply of KMS lacks a field", where=name,
                             got="nothing" if value is None else type(value).__name__, expected=kind.__name__,
                             hint="a service that knows no Recipient leaves it out")  # fmt: skip
    return value
