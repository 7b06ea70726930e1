"""Runs Google vectors: vTPM attestations, certificates of attestation keys, Confidential Space tokens."""

import hmac
from collections.abc import Mapping

from sealroom.errors import SealroomError, UnverifiedError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.pem import as_pem
from sealroom.tees import gcp
from sealroom.tees._tpm.public import TpmPublic
from sealroom.tees.gcp.certificates import verify_ak_certificate
from sealroom.testing.conformance_azure import token_roots
from sealroom.testing.conformance_tpm import require_nonce
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase
from sealroom.x509_reader import read_certificate

__all__ = ["run"]

_ASKED = {"iss", "aud", "eat_nonce", "allow_debug", "image_digest"}
_INSTANCE = "1.3.6.1.4.1.11129.2.1.21"
_RSA_WORDS = {True: "RSA", False: "ECC"}


def run(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``gcp``."""
    if "jwks" in case.collateral:
        return _run_token(case)
    if case.evidence[:1] == b"-" or case.evidence[:2] == b"\x30\x82":
        return _run_certificate(case, roots)
    return _run_vtpm(case, roots)


def _issuers(case: VectorCase) -> bytes:
    named = [case.collateral[name] for name in ("intermediate", "root") if name in case.collateral]
    return as_pem(*(read_certificate(case.file(path)).der for path in named))


def _run_certificate(case: VectorCase, roots: TrustRoots) -> Outcome:
    chain = verify_ak_certificate(case.evidence, _issuers(case), roots=roots, at=case.verify_at)
    extension = chain.leaf.extensions.get(_INSTANCE)
    return Outcome(fields={"gce_instance_extension_der": None if extension is None else extension.value.hex()})


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
        verified = gcp.verify(
            evidence, roots=roots, collateral=Collateral(items={"ak_issuers": _issuers(case)}), at=case.verify_at
        )
        claims = gcp.claims(verified)
        require_nonce(case, claims.report_data)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    return Outcome(simulated=claims.simulated, flags=claims.flags, fields=fields, claims=claims)


def _key(public: TpmPublic) -> dict[str, object]:
    return {
        "type": _RSA_WORDS[hasattr(public.key, "public_numbers") and hasattr(public.key.public_numbers(), "n")],
        "nameAlg": public.name_alg, "attr": hex(public.attributes), "scheme": hex(public.scheme),
        "hash": public.scheme_hash, "bits": public.key.key_size,
    }  # fmt: skip


def _run_token(case: VectorCase) -> Outcome:
    trusted, collateral = token_roots(case, "gcp")
    evidence = gcp.parse(case.evidence)
    fields = _token_fields(dict(evidence.token.claims) if evidence.token else {})
    try:
        claims = gcp.claims(gcp.verify(evidence, roots=trusted, collateral=collateral, at=case.verify_at))
        _require_as_asked(case, claims)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    return Outcome(simulated=claims.simulated, flags=claims.flags, fields=fields, claims=claims)


def _token_fields(said: Mapping[str, object]) -> dict[str, object]:
    plain = ("iss", "aud", "iat", "exp", "hwmodel", "swname", "dbgstat", "secboot", "eat_nonce", "tdx")
    submods = said.get("submods")
    container, space = ((submods.get(name, {}) if isinstance(submods, dict) else {})
                        for name in ("container", "confidential_space"))  # fmt: skip
    return {
        **{name: said.get(name) for name in plain},
        "image_digest": container.get("image_digest"),
        "support_attributes": space.get("support_attributes"),
    }


def _require_as_asked(case: VectorCase, claims: Claims) -> None:
    asked = case.collateral.get("policy", {})
    if not isinstance(asked, Mapping) or set(asked) - _ASKED:
        raise UnsupportedCaseError("a relying party that asks for something that is not known here")
    if claims.debug and not asked.get("allow_debug", False):
        raise UnverifiedError("gcp.debug", "the debug image, or a debugger since boot")
    for name, detail in (("iss", "issuer"), ("aud", "audience"), ("image_digest", "image_digest")):
        if name in asked and claims.details.get(detail) != asked[name]:
            raise UnverifiedError(f"gcp.{detail}", f"{name} is not what was asked for",
                                  got=str(claims.details.get(detail)), expected=str(asked[name]))  # fmt: skip
    if "eat_nonce" in asked:
        text = str(asked["eat_nonce"])
        wanted = bytes.fromhex(text) if len(text) == 64 else text.encode()
        if not hmac.compare_digest(claims.report_data, wanted):
            raise UnverifiedError("gcp.nonce", "the token answers another nonce", got=claims.report_data.hex())
