"""Runs Google vectors: vTPM attestations, certificates of attestation keys, Confidential Space tokens."""

from collections.abc import Mapping
from dataclasses import replace

from sealroom.errors import SealroomError
from sealroom.evidence import Collateral, TrustRoots
from sealroom.pem import as_pem
from sealroom.tees import gcp
from sealroom.tees._tpm.public import TpmPublic
from sealroom.tees.gcp.certificates import GCE_ROOTS, verify_ak_certificate
from sealroom.tees.gcp.layout import VtpmAttestation
from sealroom.testing.conformance_azure import token_roots
from sealroom.testing.conformance_tpm import require_nonce
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_asked import require_as_asked, submods_of
from sealroom.testing.vector_endorsement import is_for_encryption, verify_endorsement
from sealroom.testing.vector_store import VectorCase
from sealroom.x509_reader import read_certificate, read_certificates

__all__ = ["run"]

_HARDWARE = {"tcb_info_response", "qe_identity_response", "tcb_info_issuer_chain", "qe_identity_issuer_chain",
             "pck_crl", "root_ca_crl", "pck_crl_issuer_chain", "leaf", "chain", "crl", "event_log"}  # fmt: skip
_INSTANCE = "1.3.6.1.4.1.11129.2.1.21"
_RSA_WORDS = {True: "RSA", False: "ECC"}


def run(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``gcp``."""
    if case.evidence.lstrip()[:3] == b"eyJ":
        return _run_token(case, roots)
    if case.evidence[:1] == b"-" or case.evidence[:2] == b"\x30\x82":
        return _run_certificate(case, roots)
    return _run_vtpm(case, roots)


def _issuers(case: VectorCase) -> bytes:
    """The CAs above the key, root last: one file or several under each name."""
    found: list[bytes] = []
    for name in ("intermediate", "intermediates", "root"):
        listed = case.collateral.get(name, [])
        for path in listed if isinstance(listed, list) else [listed]:
            found += [certificate.der for certificate in read_certificates(case.file(path))]
    return as_pem(*found)


def _run_certificate(case: VectorCase, roots: TrustRoots) -> Outcome:
    leaf, issuers = read_certificate(case.evidence), _issuers(case)
    if is_for_encryption(leaf):
        verify_endorsement(leaf, issuers, roots=roots, at=case.verify_at)
    else:
        verify_ak_certificate(case.evidence, issuers, roots=roots, at=case.verify_at)
    extension, root = leaf.extensions.get(_INSTANCE), read_certificates(issuers)[-1].fingerprint
    return Outcome(
        simulated=root not in GCE_ROOTS,
        fields={"gce_instance_extension_der": None if extension is None else extension.value.hex()},
    )


def _run_vtpm(case: VectorCase, roots: TrustRoots) -> Outcome:
    evidence = gcp.parse(case.evidence)
    vtpm = evidence.vtpm
    if vtpm is None:
        raise UnsupportedCaseError("neither an attestation nor a token")
    fields: dict[str, object] = {
        "ak": _key(vtpm.public),
        "quotes": [
            {"bank": int(quote.bank), "extra": quote.attest.extra_data.hex(),
             "pcr0": quote.pcrs[quote.bank].get(0, b"").hex(), "n": len(quote.pcrs[quote.bank])}
            for quote in vtpm.quotes
        ],
    }  # fmt: skip
    if vtpm.certificate:
        window = read_certificate(vtpm.certificate).validity
        fields["ak_cert_validity"] = [window.not_before.isoformat(), window.not_after.isoformat()]
    try:
        claims = gcp.claims(gcp.verify(evidence, roots=roots, collateral=_collateral(case, vtpm), at=case.verify_at))
        require_nonce(case, claims.report_data)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    return Outcome(simulated=claims.simulated, tcb_status=claims.tcb_status, flags=claims.flags, fields=fields,
                   claims=claims)  # fmt: skip


def _collateral(case: VectorCase, vtpm: VtpmAttestation) -> Collateral:
    """The vTPM's, and the hardware's under its own names."""
    items = {name: case.file(path) for name, path in case.collateral.items() if name in _HARDWARE}
    if issuers := _issuers(case):
        items["ak_issuers"] = issuers
    if vtpm.hardware is not None and {"ask", "ark"} <= case.collateral.keys():
        above = [read_certificate(case.file(case.collateral[name])).der for name in ("ask", "ark")]
        items["chain"] = as_pem(*above)
    return Collateral(items=items)


def _key(public: TpmPublic) -> dict[str, object]:
    return {
        "type": _RSA_WORDS[hasattr(public.key, "public_numbers") and hasattr(public.key.public_numbers(), "n")],
        "nameAlg": public.name_alg, "attr": hex(public.attributes), "scheme": hex(public.scheme),
        "hash": public.scheme_hash, "bits": public.key.key_size,
    }  # fmt: skip


def _run_token(case: VectorCase, roots: TrustRoots) -> Outcome:
    trusted, items = TrustRoots(insecure_simulated=roots.insecure_simulated), dict[str, bytes]()
    if "jwks" in case.collateral:
        named, collateral = token_roots(case, "gcp")
        trusted = replace(trusted, token_signers=named.token_signers)
        items |= collateral.items
    if "root" in case.collateral:
        items["token_root"] = case.file(case.collateral["root"])
    evidence = gcp.parse(case.evidence)
    said = dict(evidence.token.claims) if evidence.token else {}
    fields = _token_fields(said)
    try:
        verified = gcp.verify(evidence, roots=trusted, collateral=Collateral(items=items), at=case.verify_at)
        claims = gcp.claims(verified)
        require_as_asked(case.collateral.get("policy", {}), said, claims)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    return Outcome(simulated=claims.simulated, tcb_status=claims.tcb_status, flags=claims.flags, fields=fields,
                   claims=claims)  # fmt: skip


def _token_fields(said: Mapping[str, object]) -> dict[str, object]:
    plain = ("iss", "aud", "iat", "exp", "hwmodel", "swname", "dbgstat", "secboot", "eat_nonce", "tdx")
    found = {name: said.get(name) for name in (*plain, *said)}
    for name, members in submods_of(said):
        found |= {member: value for member, value in members.items() if member not in found}
        found[name] = members
    return {"image_digest": None, "support_attributes": None, **found}
