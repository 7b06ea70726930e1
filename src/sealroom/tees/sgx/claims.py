"""What a verified SGX quote says, in the words that every TEE shares.

Flags are the facts that a policy has to see because they can weaken what the measurements promise:

    enclave_debug        the host may read and write the enclave's memory
    not_initialised      the enclave's measurement was not finished
    provision_key        the enclave may derive keys that identify the platform, as only Intel's own should
    einittoken_key       the enclave may license other enclaves, as only a launch enclave should
    attributes_unknown   attributes that this release does not know

Everything else that may be asked for is in `details`, under Intel's names.
"""

from functools import lru_cache

from sealroom.errors import MisuseError
from sealroom.evidence import CLAIMED, Claims, Evidence, Tee, Verified
from sealroom.tees._dcap.claims import dcap_details, hardware_model, pck_tcb
from sealroom.tees.sgx.layout import EnclaveReport
from sealroom.tees.sgx.verify import VerifiedSgx

__all__ = ["claims", "forget"]

_INIT, _DEBUG, _MODE64, _PROVISION_KEY, _EINITTOKEN_KEY = 1 << 0, 1 << 1, 1 << 2, 1 << 4, 1 << 5
_CET, _KSS, _AEX_NOTIFY = 1 << 6, 1 << 7, 1 << 10
_KNOWN = _INIT | _DEBUG | _MODE64 | _PROVISION_KEY | _EINITTOKEN_KEY | _CET | _KSS | _AEX_NOTIFY
"""ATTRIBUTES (SDM volume 3D, table of the ATTRIBUTES structure)."""
_MEASUREMENTS = ("mr_enclave", "mr_signer", "config_id", "isv_family_id", "isv_ext_prod_id")


def claims(verified: Verified[Evidence]) -> Claims:
    """Translate ``verified``.

    Raises:
        MisuseError: ``verified`` is not SGX evidence.
    """
    if not isinstance(verified, VerifiedSgx):
        raise MisuseError("sgx.other-tee", "this is no verified SGX quote", got=type(verified).__name__)
    return _claims(verified)


def forget() -> None:
    """Drop what is remembered: for measurements of the cold case."""
    _claims.cache_clear()


@lru_cache(maxsize=256)
def _claims(verified: VerifiedSgx) -> Claims:
    # remembered by identity: what is verified never changes
    report, verdict = verified.evidence.report, verified.verdict
    flags = _flags(report)
    return Claims(
        tee=Tee.SGX,
        hardware_model=hardware_model(verdict),
        measurements={name: getattr(report, name) for name in _MEASUREMENTS},
        report_data=report.report_data,
        tcb={"pck": pck_tcb(verdict)},
        debug="enclave_debug" in flags,
        migratable=False,  # an enclave's memory is bound to its processor
        tcb_status=verdict.status.value,
        tcb_date=verdict.tcb_date,
        advisories=verdict.advisories,
        flags=flags,
        signer="PCK",
        device_id=verdict.pck.ppid,
        details=_details(verified),
        root=verified.root,
        simulated=verified.simulated,
        validity=verified.validity,
        warrant=CLAIMED,
    )


def _flags(report: EnclaveReport) -> frozenset[str]:
    attributes = report.attributes
    found = {
        "enclave_debug": attributes & _DEBUG,
        "not_initialised": not attributes & _INIT,
        "provision_key": attributes & _PROVISION_KEY,
        "einittoken_key": attributes & _EINITTOKEN_KEY,
        "attributes_unknown": attributes & ~_KNOWN,
    }
    return frozenset(name for name, holds in found.items() if holds)


def _details(verified: VerifiedSgx) -> dict[str, str | int]:
    report = verified.evidence.report
    return dcap_details(verified.evidence.quote, verified.verdict) | {
        "isv_prod_id": report.isv_prod_id,
        "isv_svn": report.isv_svn,
        "config_svn": report.config_svn,
        "cpu_svn": report.cpu_svn.hex(),
        "misc_select": report.misc_select.hex(),
        "attributes": f"0x{report.attributes:016x}",
        "xfrm": f"0x{report.xfrm:016x}",
        "mode64": int(bool(report.attributes & _MODE64)),
    }
