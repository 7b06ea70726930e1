"""Runs Azure vectors: the parts of a guest's evidence in files of their own, and tokens of Azure's service."""

import base64
import hmac
import json

from sealroom.errors import SealroomError, UnverifiedError
from sealroom.evidence import Collateral, Tee, TrustRoots
from sealroom.jose import read_jwks
from sealroom.pem import as_pem
from sealroom.tees import azure_vtpm
from sealroom.tees._dcap.verify import verify_origin
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees.azure_vtpm.hcl import require_bound, tdreport_data
from sealroom.tees.azure_vtpm.layout import AzureGuest
from sealroom.tees.azure_vtpm.verify import require_quote
from sealroom.tees.snp.layout import layout_of
from sealroom.tees.tdx import parse as parse_tdx
from sealroom.testing.conformance_tpm import require_nonce
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase
from sealroom.x509_reader import read_certificate

__all__ = ["run", "token_roots"]

_ASKED = {"iss", "require_runtime_user_data"}


def run(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``azure``."""
    return _run_token(case, roots) if "jwks" in case.collateral else _run_guest(case, roots)


def token_roots(case: VectorCase, area: str) -> tuple[TrustRoots, Collateral]:
    """The keys that the case's relying party trusts: those that it brings."""
    raw = case.file(case.collateral["jwks"])
    signers = frozenset(key.spki_sha256 for key in read_jwks(raw, area=area))
    return TrustRoots(token_signers=signers), Collateral(items={"jwks": raw})


def _run_token(case: VectorCase, roots: TrustRoots) -> Outcome:
    trusted, collateral = token_roots(case, "azure-vtpm")
    trusted = TrustRoots(token_signers=trusted.token_signers, insecure_simulated=roots.insecure_simulated)
    evidence = azure_vtpm.parse(case.evidence)
    said = dict(evidence.token.claims) if evidence.token else {}
    fields: dict[str, object] = {
        "iss": said.get("iss"), "iat": said.get("iat"), "exp": said.get("exp"), "dbgstat": said.get("dbgstat"),
        "type": said.get("x-ms-attestation-type"), "tdx_mrtd": said.get("tdx_mrtd"),
        "tdx_report_data": said.get("tdx_report_data"), "compliance": said.get("x-ms-compliance-status"),
        "runtime_present": "x-ms-runtime" in said, "x-ms-runtime": said.get("x-ms-runtime"),
    }  # fmt: skip
    try:
        verified = azure_vtpm.verify(evidence, roots=trusted, collateral=collateral, at=case.verify_at)
        claims = azure_vtpm.claims(verified)
        _require_as_asked(case, claims.report_data, str(said.get("iss")))
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    return Outcome(simulated=claims.simulated, flags=claims.flags, fields=fields, claims=claims)


def _require_as_asked(case: VectorCase, user_data: bytes, issuer: str) -> None:
    asked = case.entries("collateral").get("policy", {})
    if not isinstance(asked, dict) or set(asked) - _ASKED:
        raise UnsupportedCaseError("a relying party that asks for something that is not known here")
    if "iss" in asked and asked["iss"] != issuer:
        raise UnverifiedError("azure-vtpm.issuer", "another issuer", got=issuer, expected=str(asked["iss"]))
    if "require_runtime_user_data" in asked:
        wanted = bytes.fromhex(str(asked["require_runtime_user_data"]))
        if not user_data or not hmac.compare_digest(user_data, wanted):
            raise UnverifiedError("azure-vtpm.user-data", "the token binds nothing of ours", got=user_data.hex())


def _run_guest(case: VectorCase, roots: TrustRoots) -> Outcome:
    evidence = azure_vtpm.parse(_as_json(case))
    guest = evidence.guest
    if guest is None:
        raise UnsupportedCaseError("neither a guest's evidence nor a token")
    fields = _fields(guest)
    try:
        simulated, flags, model = _verified(case, evidence, guest, roots)
        require_nonce(case, guest.attest.extra_data)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    return Outcome(simulated=simulated, flags=flags, fields=fields | {"amd_product_line": model})


def _verified(
    case: VectorCase, evidence: azure_vtpm.AzureEvidence, guest: AzureGuest, roots: TrustRoots
) -> tuple[bool, frozenset[str], str | None]:
    """A TD without Intel's collateral is authentic and of unknown standing: the product refuses it."""
    if guest.hcl.inner is Tee.TDX and "tcb_info_response" not in case.collateral:
        quote = parse_tdx(guest.td_quote or b"")
        chain = verify_origin(quote.quote, roots=roots, at=case.verify_at)
        require_bound(guest.hcl, quote.report.report_data)
        require_bound(guest.hcl, tdreport_data(guest.hcl))
        require_quote(guest)
        return chain.root.fingerprint in roots.insecure_simulated, frozenset({"tcb_status_unknown"}), None
    items = {name: case.file(path) for name, path in case.collateral.items() if name in _INTEL}
    if guest.hcl.inner is Tee.SNP:
        issuers = [read_certificate(case.file(case.collateral[name])).der for name in ("ask", "ark")]
        items = {"chain": as_pem(*issuers)}
    verified = azure_vtpm.verify(evidence, roots=roots, collateral=Collateral(items=items), at=case.verify_at)
    claims = azure_vtpm.claims(verified)
    model = claims.inner.hardware_model.lower() if claims.inner and guest.hcl.inner is Tee.SNP else None
    return claims.simulated, claims.flags, model


_INTEL = frozenset({"tcb_info_response", "qe_identity_response", "tcb_info_issuer_chain", "qe_identity_issuer_chain",
                    "pck_crl", "root_ca_crl", "pck_crl_issuer_chain"})  # fmt: skip


def _as_json(case: VectorCase) -> bytes:
    """The parts as a guest's agent writes them together."""
    document: dict[str, object] = {
        "version": 1,
        "hcl_report": base64.b64encode(case.evidence).decode(),
        "tpm_quote": {
            "message": case.file(case.collateral["quote_message"]).hex(),
            "signature": case.file(case.collateral["quote_signature"]).hex(),
            "pcrs": json.loads(case.file(case.collateral["pcrs_sha256"])),
        },
    }
    if "vcek" in case.collateral:
        document["vcek"] = base64.b64encode(read_certificate(case.file(case.collateral["vcek"])).der).decode()
    if "td_quote" in case.collateral:
        document["td_quote"] = base64.b64encode(case.file(case.collateral["td_quote"])).decode()
    return json.dumps(document).encode()


def _fields(guest: AzureGuest) -> dict[str, object]:
    (bank, indices), *_ = guest.attest.selection
    return {
        "hcl_version": guest.hcl.version, "hcl_request_type": guest.hcl.request_type,
        "report_type": guest.hcl.report_type, "variable_data_size": len(guest.hcl.runtime_data),
        "data_size": guest.hcl.data_size, "header_report_size": guest.hcl.report_size,
        "runtime_user_data": guest.runtime.user_data, "vm_configuration": dict(guest.runtime.configuration),
        "quote_nonce": guest.attest.extra_data.hex(), "pcr_bank": TpmHash(bank).word,
        "pcr_selection": list(indices), "pcr_digest": guest.attest.pcr_digest.hex(),
        "qualified_signer": guest.attest.qualified_signer.hex(), "reset_count": guest.attest.reset_count,
        "snp": _snp(guest), "amd_product_line": None, "quote_sig_scheme": "RSASSA-PKCS1-v1_5/SHA-256",
    }  # fmt: skip


def _snp(guest: AzureGuest) -> dict[str, object] | None:
    if guest.hcl.inner is not Tee.SNP:
        return None
    values = layout_of(guest.hcl.hardware_report).parse(guest.hcl.hardware_report)
    named = ("report_data", "measurement", "chip_id", "reported_tcb")
    return {"version": values.integer("version"), "policy": hex(values.integer("policy")),
            "vmpl": values.integer("vmpl"), **{name: values.octets(name).hex() for name in named}}  # fmt: skip
