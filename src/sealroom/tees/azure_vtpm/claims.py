"""What a verified Azure guest, or Azure's service of it, says in the words that every TEE shares.

PCRs of the vTPM are ``pcr00`` to ``pcr23``; what the hardware measured is in ``inner``. ``report_data`` is what the
quote carries (extraData). Of a token, measurements are the hardware's, under its own names, and ``report_data`` is
the user data of ``x-ms-runtime``, or nothing: a token without it binds no key of the caller's.

    secure_boot_off   the VM's firmware starts unsigned software
    sha1_bank         the PCRs are of SHA-1, for which two logs can be made that give the same value
    debug             the service says that the guest may be debugged
    token             a service's word, and no evidence
    not_compliant     the service does not call the guest compliant
"""

import re
from collections.abc import Mapping
from typing import Any

from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import CLAIMED, Claims, Evidence, Tee, Verified
from sealroom.tees._token import member
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees._tpm.event_log import log_details, log_flags
from sealroom.tees.azure_vtpm.verify import VerifiedAzure, VerifiedMaa

__all__ = ["claims"]

_AREA = "azure-vtpm"
_CAPITAL = re.compile(r"(?<!^)(?<![-_])([A-Z])")
_TDX = {"tdx_mrtd": "mr_td", "tdx_rtmr0": "rtmr0", "tdx_rtmr1": "rtmr1", "tdx_rtmr2": "rtmr2", "tdx_rtmr3": "rtmr3",
        "tdx_mrseam": "mr_seam", "tdx_mrconfigid": "mr_config_id", "tdx_report_data": "report_data"}  # fmt: skip
_SNP = {"x-ms-sevsnpvm-launchmeasurement": "measurement", "x-ms-sevsnpvm-hostdata": "host_data",
        "x-ms-sevsnpvm-reportdata": "report_data"}  # fmt: skip
_DEBUG = ("tdx_td_attributes_debug", "x-ms-sevsnpvm-is-debuggable")
_MIGRATABLE = ("tdx_td_attributes_migratable", "x-ms-sevsnpvm-migration-allowed")


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
                 "hcl_version": guest.hcl.version, "inner_tee": inner.tee.value, **log_details(verified.log),
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
    said: Mapping[str, Any] = token.claims if token else {}
    body = member(said, "x-ms-isolation-tee", kind=dict, area=_AREA) or said
    debug = any(_holds(body, name) for name in _DEBUG) or said.get("dbgstat") == "enabled"
    compliance = body.get("x-ms-compliance-status")
    flags = {"token": True, "debug": debug, "not_compliant": compliance != "azure-compliant-cvm"}
    return Claims(
        tee=Tee.AZURE_VTPM, hardware_model=f"Azure {body.get('x-ms-attestation-type', 'unknown')}",
        measurements={name: _octets(body, claim) for claim, name in (_TDX | _SNP).items()
                      if body.get(claim) is not None},
        report_data=_user_data(said, body), tcb={}, debug=debug,
        migratable=any(_holds(body, name) for name in _MIGRATABLE),
        tcb_status=member(said, "attester_tcb_status", kind=str, area=_AREA), tcb_date=None, advisories=(),
        flags=frozenset(name for name, holds in flags.items() if holds), signer="MAA", device_id=None,
        details={"issuer": str(said.get("iss")), "attestation_type": str(body.get("x-ms-attestation-type")),
                 "compliance": str(compliance)},
        root=verified.root, simulated=verified.simulated, validity=verified.validity, warrant=CLAIMED,
    )  # fmt: skip


def _holds(body: Mapping[str, Any], claim: str) -> bool:
    """Whether a weakness may be there: what is said in other words than ``false`` counts as said."""
    return body.get(claim) is not None and body[claim] is not False


def _user_data(said: Mapping[str, Any], body: Mapping[str, Any]) -> bytes:
    """The one value, at the top or with the hardware's claims; of two that differ, none."""
    texts = {member(claims, "x-ms-runtime", "user-data", kind=str, area=_AREA) for claims in (said, body)} - {None}
    return _hex(texts.pop(), "x-ms-runtime.user-data") if len(texts) == 1 else b""


def _octets(body: Mapping[str, Any], claim: str) -> bytes:
    return _hex(member(body, claim, kind=str, area=_AREA), claim)


def _hex(text: str, where: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise MalformedError("azure-vtpm.token-claim", "a claim is not hexadecimal", where=where) from None
