"""What a verified quote says, in the words that every TEE shares. PCRs are named ``pcr00`` to ``pcr23``.

sha1_bank   the PCRs are of SHA-1, for which two logs can be made that give the same value
"""

from sealroom.errors import MisuseError
from sealroom.evidence import CLAIMED, Claims, Evidence, Tee, Verified
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees.tpm.verify import VerifiedTpm

__all__ = ["claims"]


def claims(verified: Verified[Evidence]) -> Claims:
    """Translate ``verified``.

    Raises:
        MisuseError: ``verified`` is no TPM evidence.
    """
    if not isinstance(verified, VerifiedTpm):
        raise MisuseError("tpm.other-tee", "this is no verified TPM quote", got=type(verified).__name__)
    quote = verified.evidence.quote
    (bank, values), *_ = quote.pcrs.items()
    return Claims(
        tee=Tee.TPM,
        hardware_model="TPM 2.0",
        measurements={f"pcr{index:02d}": value for index, value in values.items()},
        report_data=quote.attest.extra_data,
        tcb={},
        debug=False,
        migratable=False,
        tcb_status=None,
        tcb_date=None,
        advisories=(),
        flags=frozenset({"sha1_bank"} if bank is TpmHash.SHA1 else ()),
        signer="AK",
        device_id=verified.root,
        details={
            "pcr_bank": bank.word,
            "scheme": quote.signature.scheme.name.lower(),
            "firmware_version": quote.attest.firmware_version,
            "reset_count": quote.attest.reset_count,
            "restart_count": quote.attest.restart_count,
            "clock": quote.attest.clock,
            "event_log": "none" if quote.event_log is None else "present, not judged here",
        },
        root=verified.root,
        simulated=verified.simulated,
        validity=verified.validity,
        warrant=CLAIMED,
    )
