"""The model's key from AWS KMS: its owner encrypted the key file of the package, and this machine alone opens it."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sealroom.clouds.aws import NitroDocuments, decrypt
from sealroom.clouds.aws_transport import KmsTransport
from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Attester
from sealroom.room.hardening import wipe
from sealroom.room.key_client import Step
from sealroom.room.kms_settings import CONTEXT_NAME, KmsSettings
from sealroom.sealed.format import digest_text
from sealroom.sealed.keys import ModelKey, parse_key_file

__all__ = ["fetch_key_from_kms"]


async def fetch_key_from_kms(
    settings: KmsSettings, attester: Attester, *, package_digest: bytes, on_step: Callable[[Step], None]
) -> ModelKey:
    """Prove this machine to KMS, once, and return the key of the package.

    Args:
        settings: which key of KMS, and what it shall open.
        attester: this machine's Nitro module.
        package_digest: of the package, whose signature holds: the encryption context and the key file name it.
        on_step: told in the loop's thread that there is a document, and that KMS has answered.

    Raises:
        SealroomError: as `clouds.aws.decrypt` raises; ``room.kms-needs-nitro``, ``room.kms-ciphertext``,
            ``room.kms-key``; ``sealed.wrong-key``: the key of another package.
    """
    if not isinstance(attester, NitroDocuments):
        raise MisuseError("room.kms-needs-nitro", "AWS KMS releases keys for Nitro's documents alone",
                          where="[release.aws_kms]", got=attester.tee.value, expected="a Nitro enclave",
                          hint="elsewhere a broker releases the key: [release] broker and resource")  # fmt: skip
    ciphertext = await asyncio.to_thread(_read, settings.ciphertext)
    way, context = KmsTransport(settings.key, endpoint=settings.endpoint), {CONTEXT_NAME: digest_text(package_digest)}
    collected = partial(asyncio.get_running_loop().call_soon_threadsafe, on_step, Step.COLLECTED)
    released = await asyncio.to_thread(
        decrypt, way, attester, settings.key, ciphertext, context=context, on_document=collected
    )
    on_step(Step.ATTESTED)
    return _model_key(released, package_digest)


def _model_key(released: bytes, package_digest: bytes) -> ModelKey:
    """The key in a key file. What is wrong with one is not told in its reader's words: they could quote it."""
    try:
        return parse_key_file(released, package_digest=package_digest, where="what AWS KMS released")
    except MalformedError:
        raise MalformedError("room.kms-key", "what AWS KMS released is no key file of Sealroom",
                             expected="the file that `sealroom seal --key-file` wrote, encrypted as it is",
                             ) from None  # fmt: skip
    finally:
        wipe(released)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MalformedError("room.kms-ciphertext", "the encrypted key can not be read", where=str(path),
                             got=error.strerror) from None  # fmt: skip
