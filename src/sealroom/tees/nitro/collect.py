"""Asks the Nitro security module of the enclave that we run in for an attestation document."""

from pathlib import Path

from sealroom.errors import UnavailableError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees._tsm.collect import require_report_data
from sealroom.tees.nitro.collect_device import NsmDevice
from sealroom.tees.nitro.layout import NitroDocument, parse

__all__ = ["NitroModule", "require_answer"]


class NitroModule:
    """The silicon of the enclave that we run in: an `Attester`.

    Args:
        device: the character device.
    """

    tee = Tee.NITRO
    simulated = False

    def __init__(self, device: NsmDevice | Path | None = None) -> None:
        self._device = device if isinstance(device, NsmDevice) else NsmDevice(device)

    def document(self, user_data: bytes, *, nonce: bytes | None = None, public_key: bytes | None = None) -> bytes:
        """A document that carries these: user data and nonce of at most 512 bytes, a key of at most 1024.

        AWS KMS wraps what it releases for ``public_key``: an RSA key as SubjectPublicKeyInfo (`sealroom.clouds.aws`).

        Raises:
            UnavailableError: ``nitro.no-document``: the module gave none; ``nitro.other-document``: it gave one that
                says something else.
            MalformedError: ``nitro.*``: what it gave is no document.
        """
        raw = self._device.document(user_data=user_data, nonce=nonce, public_key=public_key)
        require_answer(parse(raw).document, (user_data, nonce, public_key), where=str(self._device.path))
        return raw

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return a document whose user data is ``report_data`` (64 bytes).

        Raises:
            MisuseError: ``evidence.report-data-size``.
            UnavailableError, MalformedError: as `document`.
        """
        require_report_data(report_data)
        return CollectedEvidence(tee=Tee.NITRO, raw=self.document(report_data), collateral=Collateral(items={}))


def require_answer(
    document: NitroDocument, asked: tuple[bytes, bytes | None, bytes | None], *, where: str, tpm: bool = False
) -> None:
    """Raise ``nitro.other-document`` unless it carries the user data, nonce and key that were asked for.

    Args:
        document: what was answered; ``asked``: user data, nonce and key.
        where: who answered.
        tpm: whether it is to be of a NitroTPM, and not of an enclave.
    """
    carried = (document.user_data, document.nonce, document.public_key)
    if carried != asked or document.is_nitro_tpm is not tpm:
        raise UnavailableError("nitro.other-document", "the module answered with a document for something else",
                               where=where, got=document.module_id)  # fmt: skip
