"""Asks for attestation documents: the Nitro security module of the enclave that we run in, or the NitroTPM of the
instance."""

from pathlib import Path
from typing import Protocol

from sealroom.errors import UnavailableError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees._tsm.collect import require_report_data
from sealroom.tees.nitro.collect_device import NsmDevice
from sealroom.tees.nitro.collect_program import VENDOR, AttestProgram, has_nitro_tpm
from sealroom.tees.nitro.layout import parse

__all__ = ["VENDOR", "NitroModule", "NitroTpm", "has_nitro_tpm"]


class _Source(Protocol):
    """The device, or the program."""

    @property
    def path(self) -> Path | str: ...

    def document(self, *, user_data: bytes, nonce: bytes | None, public_key: bytes | None) -> bytes: ...


class _Documents:
    """What both have in common."""

    tee = Tee.NITRO
    simulated = False
    _of_tpm = False
    _source: _Source

    def document(self, user_data: bytes, *, nonce: bytes | None = None, public_key: bytes | None = None) -> bytes:
        """A document that carries these: user data and nonce of at most 512 bytes, a key of at most 1024.

        AWS KMS wraps what it releases for ``public_key``: an RSA key as SubjectPublicKeyInfo (`sealroom.clouds.aws`).

        Raises:
            UnavailableError: ``nitro.no-document``: there is none; ``nitro.other-document``: there is one that says
                something else, or is of the other kind.
            MalformedError: ``nitro.*``: what came is no document.
        """
        raw = self._source.document(user_data=user_data, nonce=nonce, public_key=public_key)
        document = parse(raw).document
        carried = (document.user_data, document.nonce, document.public_key)
        if carried != (user_data, nonce, public_key) or document.is_nitro_tpm is not self._of_tpm:
            raise UnavailableError("nitro.other-document", "the module answered with a document for something else",
                                   where=str(self._source.path), got=document.module_id)  # fmt: skip
        return raw

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return a document whose user data is ``report_data`` (64 bytes).

        Raises:
            MisuseError: ``evidence.report-data-size``.
            UnavailableError, MalformedError: as `document`.
        """
        require_report_data(report_data)
        return CollectedEvidence(tee=Tee.NITRO, raw=self.document(report_data), collateral=Collateral(items={}))


class NitroModule(_Documents):
    """The silicon of the enclave that we run in: an `Attester`.

    Args:
        device: the character device.
    """

    def __init__(self, device: NsmDevice | Path | None = None) -> None:
        self._source: _Source = device if isinstance(device, NsmDevice) else NsmDevice(device)


class NitroTpm(_Documents):
    """The NitroTPM of the instance that we run in: an `Attester`.

    Args:
        program: AWS's ``nitro-tpm-attest``.
    """

    _of_tpm = True

    def __init__(self, program: AttestProgram | None = None) -> None:
        self._source: _Source = program or AttestProgram()
