"""Runs vectors of Azure guests: the parts of the evidence in files of their own, or all of it in one.

A vector may have a report of the paravisor and no quote. What the hardware vouches for is verified all the same.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sealroom.errors import SealroomError, UnverifiedError
from sealroom.evidence import Claims, Collateral, Tee, TrustRoots
from sealroom.pem import as_pem
from sealroom.tees import azure_vtpm
from sealroom.tees._dcap.verify import verify_origin
from sealroom.tees._tpm.attest import Scheme, TpmHash
from sealroom.tees.azure_vtpm.hcl import HclReport, read_hcl, require_bound
from sealroom.tees.azure_vtpm.layout import AzureEvidence, AzureGuest
from sealroom.tees.azure_vtpm.runtime_data import RuntimeData, read_runtime_data
from sealroom.tees.azure_vtpm.tdreport import require_quote_of, tdreport_data
from sealroom.tees.azure_vtpm.verify import require_quote, verify_hardware
from sealroom.tees.snp.layout import layout_of
from sealroom.tees.tdx import parse as parse_tdx
from sealroom.testing.conformance_tpm import require_nonce
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase
from sealroom.x509_reader import read_certificate, read_certificates

__all__ = ["run_guest"]

_INTEL = frozenset({"tcb_info_response", "qe_identity_response", "tcb_info_issuer_chain", "qe_identity_issuer_chain",
                    "pck_crl", "root_ca_crl", "pck_crl_issuer_chain"})  # fmt: skip
_LEAVES, _CHAINS, _AS_THEY_ARE = ("vcek", "vlek", "leaf"), ("chain", "cert_chain"), ("crl", "event_log")
_QUOTE = ("quote_message", "quote_signature")
_KNOWN = _INTEL | {*_LEAVES, *_CHAINS, *_AS_THEY_ARE, *_QUOTE, "ask", "ark", "td_quote", "expected_nonce", "policy"}
_SCHEMES = {Scheme.RSASSA: "RSASSA-PKCS1-v1_5", Scheme.RSAPSS: "RSASSA-PSS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What a vector has, read."""

    hcl: HclReport
    runtime: RuntimeData
    td_quote: bytes | None
    evidence: AzureEvidence | None
    """Whole, if there is a quote."""


def run_guest(case: VectorCase, roots: TrustRoots) -> Outcome:
    """A guest's evidence."""
    if unknown := {name for name in case.collateral if name not in _KNOWN and not name.startswith("pcrs")}:
        raise UnsupportedCaseError(f"collateral that is not understood: {', '.join(sorted(unknown))}")
    parts = _read(case)
    guest = parts.evidence.guest if parts.evidence else None
    fields = _fields(parts, guest)
    try:
        outcome = _verified(case, parts, guest, roots)
        if guest is not None:
            require_nonce(case, guest.attest.extra_data)
        elif "expected_nonce" in case.collateral:
            raise UnverifiedError("tpm.nonce", "nothing came that could answer a nonce")
        _require_as_asked(case, fields, outcome.claims)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    return Outcome(simulated=outcome.simulated, tcb_status=outcome.tcb_status, flags=outcome.flags,
                   fields={**fields, **outcome.fields}, facts=outcome.facts, claims=outcome.claims)  # fmt: skip


def _read(case: VectorCase) -> _Parts:
    raw = case.evidence
    if raw.lstrip()[:1] == b"{" or _QUOTE[0] in case.collateral:
        evidence = azure_vtpm.parse(raw if raw.lstrip()[:1] == b"{" else _as_json(case))
        guest = evidence.guest
        assert guest is not None  # noqa: S101 - no token begins with a brace
        return _Parts(hcl=guest.hcl, runtime=guest.runtime, td_quote=guest.td_quote, evidence=evidence)
    hcl = read_hcl(raw)
    quote = case.file(case.collateral["td_quote"]) if "td_quote" in case.collateral else None
    return _Parts(hcl=hcl, runtime=read_runtime_data(hcl.runtime_data), td_quote=quote, evidence=None)


def _as_json(case: VectorCase) -> bytes:
    """The parts as a guest's agent writes them together."""
    message, signature = (case.file(case.collateral.get(name)) for name in _QUOTE)
    document: dict[str, object] = {
        "version": 1, "hcl_report": base64.b64encode(case.evidence).decode(),
        "tpm_quote": {"message": message.hex(), "signature": signature.hex(), "pcrs": _pcrs(case)},
    }  # fmt: skip
    if "td_quote" in case.collateral:
        document["td_quote"] = base64.b64encode(case.file(case.collateral["td_quote"])).decode()
    return json.dumps(document).encode()


def _pcrs(case: VectorCase) -> list[object]:
    """In the order of their indices; a vector may name them."""
    named = [name for name in case.collateral if name.startswith("pcrs")]
    if len(named) != 1:
        raise UnsupportedCaseError("a quote without its PCRs, or with those of several banks")
    values = json.loads(case.file(case.collateral[named[0]]))
    return [values[name] for name in sorted(values, key=int)] if isinstance(values, dict) else list(values)


def _items(case: VectorCase) -> Mapping[str, bytes]:
    """What goes along with the hardware's report, under the names of its verifier."""
    named = case.collateral
    items = {name: case.file(named[name]) for name in (*_INTEL, *_AS_THEY_ARE) if name in named}
    for name in _LEAVES:
        if name in named:
            items["leaf"] = read_certificate(case.file(named[name])).der
    issuers = [read_certificate(case.file(named[name])).der for name in ("ask", "ark") if name in named]
    for name in _CHAINS:
        if name in named:
            issuers += [certificate.der for certificate in read_certificates(case.file(named[name]))]
    return {**items, **({"chain": as_pem(*issuers)} if issuers else {})}


def _verified(case: VectorCase, parts: _Parts, guest: AzureGuest | None, roots: TrustRoots) -> Outcome:
    collateral = Collateral(items=_items(case))
    if parts.hcl.inner is Tee.TDX and not _INTEL & collateral.items.keys():
        return _of_unknown_standing(case, parts, guest, roots)
    if parts.evidence is not None:
        claims = azure_vtpm.claims(
            azure_vtpm.verify(parts.evidence, roots=roots, collateral=collateral, at=case.verify_at)
        )
        return _outcome(claims, claims.inner or claims)
    inner = verify_hardware(parts.hcl, vcek=None, td_quote=parts.td_quote, roots=roots, collateral=collateral,
                            at=case.verify_at)  # fmt: skip
    return _outcome(inner, inner)


def _outcome(claims: Claims, inner: Claims) -> Outcome:
    model = inner.hardware_model.lower() if inner.tee is Tee.SNP else None
    return Outcome(simulated=claims.simulated, tcb_status=claims.tcb_status, flags=claims.flags, claims=claims,
                   fields={"amd_product_line": model},
                   facts={"advisory_ids": list(inner.advisories)})  # fmt: skip


def _require_as_asked(case: VectorCase, fields: Mapping[str, object], claims: Claims | None) -> None:
    """Compare what the relying party asks for with the facts of these names: ``secure-boot``, ``vmpl``."""
    asked = case.collateral.get("policy", {})
    known = dict(fields)
    for inside in (fields["vm_configuration"], fields["snp"]):
        known |= inside if isinstance(inside, dict) else {}
    if claims is not None:
        known |= {name: value.hex() for name, value in claims.measurements.items()}
        known |= {"debug": claims.debug, **claims.details}
    if not isinstance(asked, dict) or set(asked) - set(known):
        raise UnsupportedCaseError("a relying party that asks for something that is not known here")
    for name, wanted in asked.items():
        if known[name] != wanted:
            raise UnverifiedError("azure-vtpm.asked", f"{name} is not what was asked for",
                                  got=ascii(known[name])[:120], expected=ascii(wanted)[:120])  # fmt: skip


def _of_unknown_standing(case: VectorCase, parts: _Parts, guest: AzureGuest | None, roots: TrustRoots) -> Outcome:
    """A TD without Intel's collateral is authentic and of unknown standing: the product refuses it."""
    if parts.td_quote is None:
        raise UnverifiedError("azure-vtpm.no-td-quote", "a TDREPORT proves nothing without the quote made of it")
    quote = parse_tdx(parts.td_quote)
    chain = verify_origin(quote.quote, roots=roots, at=case.verify_at)
    require_bound(parts.hcl, quote.report.report_data)
    require_bound(parts.hcl, tdreport_data(parts.hcl))
    require_quote_of(parts.hcl, parts.td_quote)
    if guest is not None:
        require_quote(guest)
    return Outcome(simulated=chain.root.fingerprint in roots.insecure_simulated,
                   flags=frozenset({"tcb_status_unknown"}))  # fmt: skip


def _fields(parts: _Parts, guest: AzureGuest | None) -> dict[str, object]:
    hcl = parts.hcl
    return {
        "hcl_version": hcl.version, "hcl_request_type": hcl.request_type, "report_type": hcl.report_type,
        "hash_type": hcl.hash_type, "variable_data_size": len(hcl.runtime_data), "data_size": hcl.data_size,
        "header_report_size": hcl.report_size, "runtime_user_data": parts.runtime.user_data,
        "vm_configuration": dict(parts.runtime.configuration), "snp": _snp(hcl), "amd_product_line": None,
        **dict(_quote_fields(guest) if guest else ()),
    }  # fmt: skip


def _quote_fields(guest: AzureGuest) -> Iterator[tuple[str, object]]:
    attest, signature = guest.attest, guest.signature
    (bank, indices), *_ = attest.selection
    yield "quote_nonce", attest.extra_data.hex()
    yield "pcr_bank", TpmHash(bank).word
    yield "pcr_selection", list(indices)
    yield "pcr_digest", attest.pcr_digest.hex()
    yield "qualified_signer", attest.qualified_signer.hex()
    yield "reset_count", attest.reset_count
    scheme = _SCHEMES.get(signature.scheme, signature.scheme.name)
    yield "quote_sig_scheme", f"{scheme}/SHA-{signature.digest.name.removeprefix('SHA')}"


def _snp(hcl: HclReport) -> dict[str, object] | None:
    if hcl.inner is not Tee.SNP:
        return None
    values = layout_of(hcl.hardware_report).parse(hcl.hardware_report)
    named = ("report_data", "measurement", "chip_id", "reported_tcb")
    return {"version": values.integer("version"), "policy": hex(values.integer("policy")),
            "vmpl": values.integer("vmpl"), **{name: values.octets(name).hex() for name in named}}  # fmt: skip
