"""Runs Azure vectors: evidence of guests (`conformance_azure_guest`), and tokens of Azure's service."""

import hmac
import re
from collections.abc import Mapping

from sealroom.errors import SealroomError, UnverifiedError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.jose import read_jwks
from sealroom.tees import azure_vtpm
from sealroom.testing.conformance_azure_guest import run_guest
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase

__all__ = ["run", "token_roots"]

_USER_DATA = "require_runtime_user_data"
_CLAIM = re.compile(r"(x-ms-|tdx_|attester_)[A-Za-z0-9_-]+|iss|aud|sub|jti|dbgstat|intuse|eat_profile|secureboot")
"""Names that claims of such a token have: one that is asked for and is not there is a refusal."""


def run(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``azure``."""
    is_token = "jwks" in case.collateral or case.evidence.lstrip()[:3] == b"eyJ"
    return _run_token(case, roots) if is_token else run_guest(case, roots)


def token_roots(case: VectorCase, area: str) -> tuple[TrustRoots, Collateral]:
    """The keys that the case's relying party trusts: those that it brings."""
    if "jwks" not in case.collateral:
        raise UnsupportedCaseError("a token without the keys that its relying party trusts")
    raw = case.file(case.collateral["jwks"])
    signers = frozenset(key.spki_sha256 for key in read_jwks(raw, area=area))
    return TrustRoots(token_signers=signers), Collateral(items={"jwks": raw})


def _run_token(case: VectorCase, roots: TrustRoots) -> Outcome:
    trusted, collateral = token_roots(case, "azure-vtpm")
    trusted = TrustRoots(token_signers=trusted.token_signers, insecure_simulated=roots.insecure_simulated)
    evidence = azure_vtpm.parse(case.evidence)
    fields = _fields(dict(evidence.token.claims) if evidence.token else {})
    try:
        verified = azure_vtpm.verify(evidence, roots=trusted, collateral=collateral, at=case.verify_at)
        claims = azure_vtpm.claims(verified)
        _require_as_asked(case, claims, fields)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    return Outcome(simulated=claims.simulated, flags=claims.flags, tcb_status=claims.tcb_status, fields=fields,
                   claims=claims)  # fmt: skip


def _fields(said: Mapping[str, object]) -> dict[str, object]:
    """Every claim by its own name, the hardware's where they stand inside, and the vectors' names for some."""
    inside = said.get("x-ms-isolation-tee")
    body: Mapping[str, object] = inside if isinstance(inside, Mapping) else {}
    known = {**body, **said}
    return {
        **known, "iss": known.get("iss"), "iat": known.get("iat"), "exp": known.get("exp"),
        "dbgstat": known.get("dbgstat"), "type": known.get("x-ms-attestation-type"),
        "tdx_mrtd": known.get("tdx_mrtd"), "tdx_report_data": known.get("tdx_report_data"),
        "compliance": body.get("x-ms-compliance-status", said.get("x-ms-compliance-status")),
        "runtime_present": "x-ms-runtime" in said, "x-ms-runtime": said.get("x-ms-runtime"),
    }  # fmt: skip


def _require_as_asked(case: VectorCase, claims: Claims, fields: Mapping[str, object]) -> None:
    """Compare what the relying party asks for: user data that binds something of its own; any claim by its name."""
    asked = case.collateral.get("policy", {})
    if not isinstance(asked, dict):
        raise UnsupportedCaseError("a relying party's policy that is no object")
    for name, wanted in asked.items():
        if name == _USER_DATA:
            _require_user_data(claims.report_data, wanted)
        elif name not in fields and not _CLAIM.fullmatch(name):
            raise UnsupportedCaseError(f"a relying party that asks for {name}, which is not known here")
        elif fields.get(name) != wanted:
            raise UnverifiedError("azure-vtpm.issuer" if name == "iss" else "azure-vtpm.claim",
                                  f"{name} is not what was asked for", got=ascii(fields.get(name))[:120],
                                  expected=ascii(wanted)[:120])  # fmt: skip


def _require_user_data(got: bytes, wanted: object) -> None:
    """``wanted``: hexadecimal, or whether there has to be any."""
    if wanted is False:
        return
    if not got or (isinstance(wanted, str) and not hmac.compare_digest(got, bytes.fromhex(wanted))):
        raise UnverifiedError("azure-vtpm.user-data", "the token binds nothing of ours", got=got.hex(),
                              expected=str(wanted)[:128])  # fmt: skip
