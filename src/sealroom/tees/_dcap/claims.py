"""What every DCAP quote lets a policy name, whichever TEE it is of."""

from sealroom.tees._dcap.quote import Quote
from sealroom.tees._dcap.verify import DcapVerdict

__all__ = ["dcap_details", "hardware_model", "pck_tcb"]


def hardware_model(verdict: DcapVerdict) -> str:
    """Intel's certificates name no product, but its family, model and platform type."""
    return f"FMSPC {verdict.pck.fmspc.hex()}"


def pck_tcb(verdict: DcapVerdict) -> dict[str, int]:
    """The versions that the PCK certificate is for."""
    components = {f"component_{index:02d}": svn for index, svn in enumerate(verdict.pck.components, start=1)}
    return components | {"pcesvn": verdict.pck.pcesvn}


def dcap_details(quote: Quote, verdict: DcapVerdict) -> dict[str, str | int]:
    """Vendor fields of the quote and its platform."""
    pck = verdict.pck
    details: dict[str, str | int] = {
        "version": quote.version,
        "body_type": quote.body_type,
        "fmspc": pck.fmspc.hex(),
        "pce_id": pck.pce_id.hex(),
        "pck_ca": pck.ca,
        "sgx_type": pck.sgx_type,
        "platform_tcb_status": verdict.platform_status.value,
        "qe_status": verdict.qe_status.value,
        "tcb_evaluation_data_number": verdict.tcb_evaluation_number,
        "qe_evaluation_data_number": verdict.qe_evaluation_number,
        "revocation": "checked",
    }
    if pck.platform_instance_id is not None:
        details["platform_instance_id"] = pck.platform_instance_id.hex()
    for name in ("dynamic_platform", "cached_keys", "smt_enabled"):
        flag = getattr(pck, name)
        if flag is not None:
            details[name] = int(flag)
    return details
