"""What a verified quote says, in the words that every TEE shares. PCRs are named ``pcr00`` to ``pcr23``.

sha1_bank        the PCRs are of SHA-1, for which two logs can be made that give the same value
secure_boot_off  the log does not prove that the firmware starts signed software alone
ak_unrestricted  the key may sign what no TPM made, or came without its attributes, and nobody here knows what it may

Attributes are the sender's word where the key was enrolled by its SubjectPublicKeyInfo, and as good as the enrolment
where it was enrolled by its public area; the detail ``enrolled_by`` says which.
"""

import hashlib

from sealroom.errors import MisuseError
from sealroom.evidence import CLAIMED, Claims, Evidence, Tee, Verified
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees._tpm.event_log import log_details, log_flags
from sealroom.tees._tpm.public import is_restricted
from sealroom.tees.tpm.layout import TpmQuote
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
        flags=_flags(quote, bank) | log_flags(verified.log),
        signer="AK",
        device_id=verified.root,
        details={
            "pcr_bank": bank.word,
            "scheme": quote.signature.scheme.name.lower(),
            "firmware_version": quote.attest.firmware_version,
            "reset_count": quote.attest.reset_count,
            "restart_count": quote.attest.restart_count,
            "clock": quote.attest.clock,
            "enrolled_by": "key" if verified.root == hashlib.sha256(quote.key).digest() else "name",
            **log_details(verified.log),
        },
        root=verified.root,
        simulated=verified.simulated,
        validity=verified.validity,
        warrant=CLAIMED,
    )


def _flags(quote: TpmQuote, bank: TpmHash) -> frozenset[str]:
    holds = {
        "sha1_bank": bank is TpmHash.SHA1,
        "ak_unrestricted": quote.public is None or not is_restricted(quote.public),
    }
    return frozenset(name for name, holding in holds.items() if holding)
