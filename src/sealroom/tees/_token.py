"""Tokens of a cloud's verification service: verified by a key that the relying party named, and nothing else.

No vendor's root stands above such a key, and the service's own word for where its keys are is not followed. Whoever
accepts a token trusts the service to have done what this package does with the evidence itself.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import Collateral, TrustRoots, Validity
from sealroom.jose import JoseAlg, Jwt, read_jwks, require_times, verify_jwt

__all__ = ["TokenVerdict", "member", "require_issued_by", "verify_token"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVerdict:
    """Whose key signed, and how long the token holds."""

    signer: bytes
    """SHA-256 of the key's SubjectPublicKeyInfo; of a key with certificates, of their root's DER."""
    simulated: bool
    validity: Validity


def verify_token(
    token: Jwt, *, roots: TrustRoots, collateral: Collateral, at: datetime, issuers: Collection[str], area: str
) -> TokenVerdict:
    """Verify ``token`` with the key set ``jwks`` of ``collateral``.

    1. Signed with RS256 by a key of the set, and that key is one of ``token_signers`` (or a simulated one).
    2. The issuer is one that may issue such tokens: an address, or the end of a host's name that begins with a dot.
    3. ``at`` lies in the token's time.

    Raises:
        MalformedError, UnverifiedError: ``AREA.*``: a step does not hold.
    """
    # 1.
    key = verify_jwt(token, read_jwks(collateral.require("jwks"), area=area), algorithms=(JoseAlg.RS256,), area=area)
    simulated = key.spki_sha256 in roots.insecure_simulated
    if not simulated and key.spki_sha256 not in roots.token_signers:
        raise UnverifiedError(f"{area}.unknown-signer", "nobody here trusts the key that signed this token",
                              got=f"sha256:{key.spki_sha256.hex()}", expected="a key under [trust] token_signers",
                              hint="take the service's keys from its own address, and name them")  # fmt: skip
    # 2. and 3.
    window = require_issued_by(token, issuers=issuers, at=at, area=area)
    return TokenVerdict(signer=key.spki_sha256, simulated=simulated, validity=window)


def require_issued_by(token: Jwt, *, issuers: Collection[str], at: datetime, area: str) -> Validity:
    """Raise unless one of ``issuers`` issued ``token`` (as `verify_token` has them) and ``at`` lies in its time.

    Raises:
        MalformedError, UnverifiedError: ``AREA.issuer``, ``AREA.token-*``.
    """
    issuer = token.claims.get("iss")
    if not isinstance(issuer, str) or not any(_is_of(issuer.rstrip("/"), known) for known in issuers):
        raise UnverifiedError(f"{area}.issuer", "the token is of another issuer", got=ascii(issuer)[:80],
                              expected=", ".join(issuers))  # fmt: skip
    return require_times(token.claims, at=at, area=area)


def member(claims: Mapping[str, Any], *path: str, kind: type, area: str) -> Any:
    """The value at ``path``, which is of ``kind``; None where it is absent.

    Raises:
        MalformedError: ``AREA.token-claim``.
    """
    value: Any = claims
    for name in path:
        if not isinstance(value, Mapping):
            raise MalformedError(f"{area}.token-claim", "a claim is of another type", where=".".join(path))
        value = value.get(name)
        if value is None:
            return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise MalformedError(f"{area}.token-claim", "a claim is of another type", where=".".join(path),
                             got=type(value).__name__, expected=kind.__name__)  # fmt: skip
    return value


def _is_of(issuer: str, known: str) -> bool:
    if not known.startswith("."):
        return issuer == known
    host = issuer.removeprefix("https://")
    return issuer.startswith("https://") and host.endswith(known) and host.replace("-", "").replace(".", "").isalnum()
