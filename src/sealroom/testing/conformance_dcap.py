"""Runs TDX and SGX vectors: quotes with their collateral."""

from collections.abc import Callable

from sealroom.errors import SealroomError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.tees import sgx, tdx
from sealroom.tees._dcap.layouts import ENCLAVE_REPORT, TD_REPORT_10, TD_REPORT_15
from sealroom.tees._dcap.quote import Quote
from sealroom.testing.outcome import Outcome
from sealroom.testing.vector_store import VectorCase

__all__ = ["run_sgx", "run_tdx"]

_LAYOUTS = {1: ENCLAVE_REPORT, 2: TD_REPORT_10, 3: TD_REPORT_15}
_AS_BYTES = ("td_attributes", "xfam", "attributes", "xfrm")


def run_tdx(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``tdx-quote-vN``: parse, verify, claims."""
    evidence = tdx.parse(case.evidence_file)
    return _outcome(
        case,
        evidence.quote,
        lambda collateral: tdx.claims(tdx.verify(evidence, roots=roots, collateral=collateral, at=case.verify_at)),
    )


def run_sgx(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``sgx-quote-vN``: the same."""
    evidence = sgx.parse(case.evidence_file)
    return _outcome(
        case,
        evidence.quote,
        lambda collateral: sgx.claims(sgx.verify(evidence, roots=roots, collateral=collateral, at=case.verify_at)),
    )


def _outcome(case: VectorCase, quote: Quote, judge: Callable[[Collateral], Claims]) -> Outcome:
    fields = _quote_fields(quote)
    try:
        claims = judge(Collateral(items={name: case.file(path) for name, path in case.collateral.items()}))
    except SealroomError as refusal:
        return Outcome(fields=fields, refusal=refusal)
    details = claims.details
    fields |= {
        "fmspc": details["fmspc"],
        "pce_id": details["pce_id"],
        "pck_pcesvn": claims.tcb["pck"]["pcesvn"],
        "pck_cpusvn": bytes(claims.tcb["pck"][f"component_{index:02d}"] for index in range(1, 17)).hex(),
    }
    facts = {
        "advisory_ids": list(claims.advisories),
        "platform_tcb_status": details["platform_tcb_status"],
        "qe_status": details["qe_status"],
        "tdx_module_status": details.get("tdx_module_status"),
    }
    return Outcome(simulated=claims.simulated, tcb_status=claims.tcb_status, flags=claims.flags, fields=fields,
                   facts=facts, claims=claims)  # fmt: skip


def _quote_fields(quote: Quote) -> dict[str, object]:
    """The quote's fields under the names, and in the spelling, of the vectors."""
    layout = _LAYOUTS[quote.body_type]
    values = layout.parse(quote.body)
    fields: dict[str, object] = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()
    }
    for name in _AS_BYTES:
        if name in values:
            fields[name] = values.integer(name).to_bytes(8, "little").hex()
    if "xfrm" in values:  # ATTRIBUTES as one structure of flags and XFRM
        fields["attributes"] = f"{fields['attributes']}{fields['xfrm']}"
    return fields | {
        "version": quote.version,
        "tee_type": hex(quote.tee_type),
        "body_type": quote.body_type,
        "quote_len": quote.size,
        "qe_svn_hdr": quote.qe_svn,
        "pce_svn_hdr": quote.pce_svn,
        "user_data": quote.user_data.hex(),
    }
