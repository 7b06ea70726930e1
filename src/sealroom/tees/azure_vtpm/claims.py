"""What a verified Azure guest, or Azure's service of it, says in the words that every TEE shares.

PCRs of the vTPM are ``pcr00`` to ``pcr23``; what the hardware measured is in ``inner``. ``report_data`` is what the
quote carries (extraData). Of a token, measurements are the hardware's, under its own names, and ``report_data`` is
the user data of ``x-ms-runtime``, or nothing: a token without it binds no key of the caller's.

    secure_boot_off     the VM's firmware starts unsigned software; of a token, only where it says so
    sha1_bank           the PCRs are of SHA-1, for which two logs can be made that give the same value
    debug               the service says that the guest may be debugged
    token               a service's word, and no evidence
    not_compliant       the service does not call the guest compliant
    tcb_not_current     the service calls the TDX machine other than UpToDate
    no_confidential_vm  the token is about something else: the service vouches for enclaves with the same key
    migratable          the service says that the guest may be moved
    guest_vmpl          the token is about a report that a guest asked for at a level below the paravisor's
"""

import re
from collections.abc import Mapping

from sealroom.errors import MisuseError
from sealroom.evidence import CLAIMED, Claims, Evidence, Tee, Verified
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees._tpm.event_log import log_details, log_flags
from sealroom.tees.azure_vtpm.maa import MaaClaims
from sealroom.tees.azure_vtpm.verify import VerifiedAzure, VerifiedMaa

__all__ = ["claims"]

_CAPITAL = re.compile(r"(?<!^)(?<![-_])([A-Z])")
_COMPLIANT, _CURRENT = "azure-compliant-cvm", "UpToDate"
_CONFIDENTIAL = frozenset({"sevsnpvm", "tdxvm"})


def claims(verified: Verified[Evidence]) -> Claims:
    """Translate ``verified``.

    Raises:
        MisuseError: ``verified`` is not of Azure.
        MalformedError: ``azure-vtpm.token-claim``: a token's claim is of another type.
    """
    if isinstance(verified, VerifiedMaa):
        return _of_token(verified)
    if not isinstance(verified, VerifiedAzure):
        raise MisuseError("azure-vtpm.other-tee", "this is no verified Azure guest", got=type(verified).__name__)
    guest, inner = verified.guest, verified.inner
    (bank, values), *_ = guest.pcrs.items()
    secure_boot = guest.runtime.configuration.get("secure-boot")
    flags = {"secure_boot_off": secure_boot is not True, "sha1_bank": bank is TpmHash.SHA1}
    disproved = log_flags(verified.log) if verified.log and verified.log.secure_boot is False else frozenset()
    return Claims(
        tee=Tee.AZURE_VTPM, hardware_model=f"Azure {inner.tee} {inner.hardware_model}",
        measurements={f"pcr{index:02d}": value for index, value in values.items()},
        report_data=guest.attest.extra_data, tcb=inner.tcb, debug=inner.debug, migratable=inner.migratable,
        tcb_status=inner.tcb_status, tcb_date=inner.tcb_date, advisories=inner.advisories,
        flags=frozenset(name for name, holds in flags.items() if holds) | disproved, signer="HCLAkPub",
        device_id=inner.device_id,
        details={**_configuration(guest.runtime.configuration), "pcr_bank": bank.word,
                 "inner_tee": inner.tee.value, **log_details(verified.log),
                 "user_data": guest.runtime.user_data or "", "reset_count": guest.attest.reset_count,
                 **{name: inner.details[name] for name in ("vmpl",) if name in inner.details}},
        root=verified.root, simulated=verified.simulated, validity=verified.validity, warrant=CLAIMED, inner=inner,
    )  # fmt: skip


def _configuration(said: Mapping[str, str | bool | int]) -> dict[str, str | int]:
    """``vmUniqueId`` as ``vm_unique_id``, ``secure-boot`` as ``secure_boot``: 1 or 0."""
    return {
        _CAPITAL.sub(r"_\1", name).lower().replace("-", "_"): int(value) if isinstance(value, bool) else value
        for name, value in said.items()
    }


def _of_token(verified: VerifiedMaa) -> Claims:
    token = verified.evidence.token
    said = MaaClaims(token.claims if token else {})
    flags = {"token": True, "debug": said.debug, "not_compliant": said.compliance != _COMPLIANT,
             "secure_boot_off": said.secure_boot_off, "tcb_not_current": said.tcb_status not in {None, _CURRENT},
             "no_confidential_vm": said.kind not in _CONFIDENTIAL, "migratable": said.migratable,
             "guest_vmpl": said.vmpl not in {None, 0}}  # fmt: skip
    return Claims(
        tee=Tee.AZURE_VTPM, hardware_model=f"Azure {said.kind}", measurements=said.measurements,
        report_data=said.user_data, tcb={}, debug=said.debug, migratable=said.migratable,
        tcb_status=said.tcb_status, tcb_date=None, advisories=(),
        flags=frozenset(name for name, holds in flags.items() if holds), signer="MAA", device_id=None,
        details={**_configuration(said.configuration), "issuer": said.issuer, "attestation_type": said.kind,
                 "compliance": said.compliance, **({} if said.vmpl is None else {"vmpl": said.vmpl})},
        root=verified.root, simulated=verified.simulated, validity=verified.validity, warrant=CLAIMED,
    )  # fmt: skip
