"""AWS KMS in software: keys that never leave it, policies over attestation documents, answers as KMS gives them.

    SimulatedKms   keys, callers, and what it does with one request
    kms_policy     the key policy that decides
    kms_envelope   the envelope that an attested caller gets in place of the plaintext
    kms_service    the same behind HTTP, in the protocol of the real one

Documents are verified by our own verifier, under roots that a test names: the verifier under test is not the one that
is asked here, since a machine that asks for a key verifies nobody. What it is not: KMS takes AES-256-GCM blobs of its
own form, knows grants and IAM, and may read a condition otherwise than `kms_policy` does.
"""

import base64
import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sealroom.errors import SealroomError
from sealroom.evidence import Collateral, TrustRoots
from sealroom.tees import nitro
from sealroom.testing.kms_envelope import EnvelopeForm, padded
from sealroom.testing.kms_policy import allows, facts_of

__all__ = ["KmsCaller", "KmsError", "SimulatedKms", "attested_policy"]

_ACCOUNT = "111122223333"
_OLDEST = timedelta(minutes=5)
_ALGORITHM = "RSAES_OAEP_SHA_256"
_NONCE = 12

Reply = dict[str, Any]


class KmsError(Exception):
    """KMS says no, with the name of its exception."""

    def __init__(self, name: str, message: str, *, status: int = 400) -> None:
        super().__init__(name)
        self.name, self.message, self.status = name, message, status


@dataclass(frozen=True, kw_only=True)
class KmsCaller:
    """Who may sign requests."""

    access_key: str = "AKIAIOSFODNN7EXAMPLE"
    secret: str = field(default_factory=lambda: base64.b64encode(os.urandom(30)).decode(), repr=False)
    principal: str = f"arn:aws:iam::{_ACCOUNT}:role/room"


@dataclass(kw_only=True)
class SimulatedKms:
    """One region's KMS.

    Args:
        roots: what attestation documents may lead to.
        clock: what time it is.
        change_reply: done to every reply to Decrypt and GenerateDataKey; change_envelope: to every envelope before it
            is written. A test's faults.
    """

    roots: TrustRoots
    region: str = "eu-central-1"
    caller: KmsCaller = field(default_factory=KmsCaller)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    change_reply: Callable[[Reply], Reply] = lambda reply: reply
    change_envelope: Callable[[EnvelopeForm], EnvelopeForm] = lambda form: form
    asked: list[tuple[str, Reply]] = field(default_factory=list)
    """Each operation, with its parameters as they came."""
    _keys: dict[str, tuple[AESGCM, Mapping[str, Any]]] = field(default_factory=dict, repr=False)

    def create_key(self, policy: Mapping[str, Any]) -> str:
        """A new key's ARN."""
        arn = f"arn:aws:kms:{self.region}:{_ACCOUNT}:key/{uuid.uuid4()}"
        self._keys[arn] = AESGCM(os.urandom(32)), policy
        return arn

    def answer(self, operation: str, request: Reply) -> Reply:
        """The reply to one request of `caller`, whose members are as in JSON.

        Raises:
            KmsError: it says no.
        """
        self.asked.append((operation, request))
        handlers = {"Encrypt": self._encrypt, "Decrypt": self._decrypt, "GenerateDataKey": self._generate}
        if operation not in handlers:
            raise KmsError("UnknownOperationException", "")
        return handlers[operation](request)

    def _encrypt(self, request: Reply) -> Reply:
        arn = self._authorized("Encrypt", request, None)
        blob = self._sealed(arn, base64.b64decode(request["Plaintext"]), request)
        return {"KeyId": arn, "CiphertextBlob": _text(blob), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}

    def _decrypt(self, request: Reply) -> Reply:
        document = self._document(request)
        arn = self._authorized("Decrypt", request, document)
        blob = base64.b64decode(request["CiphertextBlob"])
        if blob[:16] != uuid.UUID(arn.rpartition("/")[2]).bytes:
            raise KmsError("IncorrectKeyException", "")
        try:
            plaintext = self._keys[arn][0].decrypt(blob[16 : 16 + _NONCE], blob[16 + _NONCE :], _bound(arn, request))
        except InvalidTag:
            raise KmsError("InvalidCiphertextException", "") from None
        reply = {"KeyId": arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        return self.change_reply(reply | self._given(plaintext, document))

    def _generate(self, request: Reply) -> Reply:
        document = self._document(request)
        arn = self._authorized("GenerateDataKey", request, document)
        plaintext = os.urandom(32)
        reply = {"KeyId": arn, "CiphertextBlob": _text(self._sealed(arn, plaintext, request))}
        return self.change_reply(reply | self._given(plaintext, document))

    def _document(self, request: Reply) -> nitro.NitroDocument | None:
        """The caller's, verified; None if it has none."""
        if (recipient := request.get("Recipient")) is None:
            return None
        if recipient.get("KeyEncryptionAlgorithm") != _ALGORITHM:
            raise KmsError("ValidationException", "KeyEncryptionAlgorithm")
        at = self.clock()
        try:
            evidence = nitro.parse(base64.b64decode(recipient["AttestationDocument"]))
            verified = nitro.verify(evidence, roots=self.roots, collateral=Collateral(items={}), at=at)
        except SealroomError as error:
            raise KmsError(
                "ValidationException", f"Failed to verify the attestation document: {error.code}"
            ) from None
        if at - verified.made_at > _OLDEST:
            raise KmsError("ValidationException", "Attestation document is too old")
        return evidence.document

    def _authorized(self, action: str, request: Reply, document: nitro.NitroDocument | None) -> str:
        arn = str(request["KeyId"])
        if arn not in self._keys:
            raise KmsError("NotFoundException", arn)
        facts = facts_of(document, request.get("EncryptionContext", {}))
        if not allows(self._keys[arn][1], self.caller.principal, f"kms:{action}", facts):
            raise KmsError("AccessDeniedException", f"{self.caller.principal} is not authorized")
        return arn

    def _sealed(self, arn: str, plaintext: bytes, request: Reply) -> bytes:
        nonce = os.urandom(_NONCE)
        secret = self._keys[arn][0].encrypt(nonce, plaintext, _bound(arn, request))
        return uuid.UUID(arn.rpartition("/")[2]).bytes + nonce + secret

    def _given(self, plaintext: bytes, document: nitro.NitroDocument | None) -> Reply:
        """To an attested caller, the plaintext in an envelope; to others, the plaintext."""
        if document is None:
            return {"Plaintext": _text(plaintext)}
        try:
            key = load_der_public_key(document.public_key or b"")
        except ValueError:
            key = None
        if not isinstance(key, rsa.RSAPublicKey):
            raise KmsError("ValidationException", "public_key of the attestation document")
        form = EnvelopeForm(public_key=key, content=padded(plaintext))
        return {"CiphertextForRecipient": _text(self.change_envelope(form).write())}


def attested_policy(conditions: Mapping[str, str], *, principal: str = KmsCaller().principal) -> dict[str, Any]:
    """A policy that lets anybody of the account encrypt, and ``principal`` decrypt under ``conditions``."""
    owner = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{_ACCOUNT}:root"}, "Action": "kms:Encrypt",
             "Resource": "*"}  # fmt: skip
    machine = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
               "Resource": "*", "Condition": {"StringEqualsIgnoreCase": dict(conditions)}}  # fmt: skip
    return {"Version": "2012-10-17", "Statement": [owner, machine]}


def _bound(arn: str, request: Reply) -> bytes:
    return json.dumps([arn, request.get("EncryptionContext", {})], sort_keys=True).encode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
