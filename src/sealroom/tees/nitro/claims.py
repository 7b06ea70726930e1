"""What a verified Nitro document says, in the words that every TEE shares.

An enclave's PCRs are ``pcr0`` and so on: 0 the image, 1 kernel and boot ramdisk, 2 application, 3 the parent's IAM
role, 4 the parent instance, 8 the certificate that signed the image (0, 1, 2 and 8 as `measure.eif` names them). One
that the document does not have has no name here, so that nothing equals it. An enclave in debug mode has zeros in 0,
1 and 2, and says so by nothing else.

The PCRs of a NitroTPM are ``nitrotpm_pcr0`` and so on. They mean something else under the same numbers, and software
in the instance extends most of them: whoever has an instance could extend PCR8 to what another's signed image has.

``report_data`` is ``user_data``; ``nonce`` and ``public_key`` are in the details, in hexadecimal.
"""

from sealroom.errors import MisuseError
from sealroom.evidence import CLAIMED, Claims, Evidence, Tee, Verified
from sealroom.tees.nitro.layout import NitroDocument
from sealroom.tees.nitro.verify import VerifiedNitro

__all__ = ["claims"]

_IMAGE_PCRS = (0, 1, 2)


def claims(verified: Verified[Evidence]) -> Claims:
    """Translate ``verified``.

    Raises:
        MisuseError: ``verified`` is no Nitro document.
    """
    if not isinstance(verified, VerifiedNitro):
        raise MisuseError("nitro.other-tee", "this is no verified Nitro document", got=type(verified).__name__)
    document = verified.evidence.document
    debug = _is_debug(document)
    name = "nitrotpm_pcr" if document.is_nitro_tpm else "pcr"
    return Claims(
        tee=Tee.NITRO,
        hardware_model="NitroTPM" if document.is_nitro_tpm else "Nitro Enclave",
        measurements={f"{name}{index}": value for index, value in document.pcrs.items()},
        report_data=document.user_data or b"",
        tcb={},
        debug=debug,
        migratable=False,
        tcb_status=None,
        tcb_date=None,
        advisories=(),
        flags=frozenset({"debug"} if debug else ()),
        signer="NSM",
        device_id=None,
        details=_details(verified),
        root=verified.root,
        simulated=verified.simulated,
        validity=verified.validity,
        warrant=CLAIMED,
    )


def _is_debug(document: NitroDocument) -> bool:
    """What is absent counts as zero: nothing was measured, or nothing is said of it."""
    return not any(any(document.pcrs.get(index, b"")) for index in _IMAGE_PCRS)


def _details(verified: VerifiedNitro) -> dict[str, str | int]:
    document = verified.evidence.document
    optional = {"nonce": document.nonce, "public_key": document.public_key}
    return {
        "module_id": document.module_id,
        "timestamp_ms": document.timestamp_ms,
        "made_at": verified.made_at.isoformat(),
        "digest": document.digest,
        "document": "nitro-tpm" if document.is_nitro_tpm else "enclave",
        **{name: value.hex() for name, value in optional.items() if value is not None},
    }
