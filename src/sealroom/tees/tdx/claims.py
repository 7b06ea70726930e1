"""What a verified TDX quote says, in the words that every TEE shares.

Flags are the facts that a policy has to see because they can weaken what the measurements promise:

    td_debug                 the host may read and write the TD's memory
    td_attributes_reserved   other bits that make a TD one under test, or bits that this release does not know
    sept_ve_disable_off      a page that the host takes away raises an exception in the TD, which it may mishandle
    migratable               the TD may be moved, with its secrets, to another machine
    perfmon                  the TD uses performance counters, which the host may share
    mr_service_td_nonzero    a service TD is bound to this one, and may reach into it
    xfam_required_bit_clear  a feature that every TD has is off: no TDX module makes such a TD
    xfam_unknown_bit         a processor feature that this release does not know

Everything else that may be asked for is in `details`, under Intel's names.
"""

from functools import lru_cache

from sealroom.errors import MisuseError
from sealroom.evidence import CLAIMED, Claims, Evidence, Tee, Verified
from sealroom.tees._dcap.claims import dcap_details, hardware_model, pck_tcb
from sealroom.tees.tdx.layout import TdReport
from sealroom.tees.tdx.verify import VerifiedTdx

__all__ = ["claims", "forget"]

_DEBUG, _SEPT_VE_DISABLE, _MIGRATABLE, _PERFMON = 1 << 0, 1 << 28, 1 << 29, 1 << 63
_HARMLESS = {27: "lass", 30: "pks", 31: "kl", 62: "tpa"}
"""Further attributes (TDX module ABI, TDATTRIBUTES); in `details`."""
_KNOWN = _DEBUG | _SEPT_VE_DISABLE | _MIGRATABLE | _PERFMON | sum(1 << bit for bit in _HARMLESS)
_XFAM_REQUIRED, _XFAM_KNOWN = 0b11, 0x0006DBE7
"""Bits that every TD has (x87 and SSE), and those that are known (the TDX module's XFAM_FIXED0, as peers read it)."""

_MEASUREMENTS = ("mr_td", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "mr_config_id", "mr_owner", "mr_owner_config",
                 "mr_seam", "mr_signer_seam")  # fmt: skip


def claims(verified: Verified[Evidence]) -> Claims:
    """Translate ``verified``.

    Raises:
        MisuseError: ``verified`` is not TDX evidence.
    """
    if not isinstance(verified, VerifiedTdx):
        raise MisuseError("tdx.other-tee", "this is no verified TDX quote", got=type(verified).__name__)
    return _claims(verified)


def forget() -> None:
    """Drop what is remembered: for measurements of the cold case."""
    _claims.cache_clear()


@lru_cache(maxsize=256)
def _claims(verified: VerifiedTdx) -> Claims:
    # remembered by identity: what is verified never changes
    report, verdict = verified.evidence.report, verified.verdict
    flags = _flags(report)
    measurements = {name: getattr(report, name) for name in _MEASUREMENTS}
    tcb = {"pck": pck_tcb(verdict), "tee": _parts(report.tee_tcb_svn)}
    if report.mr_service_td is not None and report.tee_tcb_svn_2 is not None:
        measurements["mr_service_td"] = report.mr_service_td
        tcb["tee_2"] = _parts(report.tee_tcb_svn_2)
    return Claims(
        tee=Tee.TDX,
        hardware_model=hardware_model(verdict),
        measurements=measurements,
        report_data=report.report_data,
        tcb=tcb,
        debug="td_debug" in flags,
        migratable="migratable" in flags,
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


def _flags(report: TdReport) -> frozenset[str]:
    attributes = report.td_attributes
    found = {
        "td_debug": attributes & _DEBUG,
        "td_attributes_reserved": attributes & ~_KNOWN,
        "sept_ve_disable_off": not attributes & _SEPT_VE_DISABLE,
        "migratable": attributes & _MIGRATABLE,
        "perfmon": attributes & _PERFMON,
        "mr_service_td_nonzero": report.mr_service_td is not None and any(report.mr_service_td),
        "xfam_required_bit_clear": report.xfam & _XFAM_REQUIRED != _XFAM_REQUIRED,
        "xfam_unknown_bit": report.xfam & ~_XFAM_KNOWN,
    }
    return frozenset(name for name, holds in found.items() if holds)


def _details(verified: VerifiedTdx) -> dict[str, str | int]:
    report, verdict = verified.evidence.report, verified.verdict
    details = dcap_details(verified.evidence.quote, verdict)
    details["td_attributes"] = f"0x{report.td_attributes:016x}"
    details["xfam"] = f"0x{report.xfam:016x}"
    details["seam_attributes"] = report.seam_attributes.hex()
    details["tdx_module"] = f"TDX_{report.tee_tcb_svn[1]:02X} {report.tee_tcb_svn[0]}"
    if verdict.module_status is not None:
        details["tdx_module_status"] = verdict.module_status.value
    for bit, name in _HARMLESS.items():
        details[f"td_attributes_{name}"] = report.td_attributes >> bit & 1
    return details


def _parts(svn: bytes) -> dict[str, int]:
    return {f"component_{index:02d}": value for index, value in enumerate(svn, start=1)}
