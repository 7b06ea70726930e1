"""Confidential Space tokens of the kind PKI: who signed stands in the header, with certificates to Google's root.

The header names a chain and no judge: it counts only where it ends in the root that is pinned here, or in a simulated
one that the policy names. A key, or an address of keys, that stands there is looked at by nobody.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import rsa

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import Collateral, TrustRoots
from sealroom.jose import JoseAlg, JwkKey, Jwt, verify_jwt
from sealroom.tees._token import TokenVerdict, require_issued_by
from sealroom.x509_chain import VerifiedChain, public_key, verify_certificates
from sealroom.x509_reader import Certificate, read_certificate
from sealroom.x509_scheme import SignatureScheme

__all__ = ["SPACE_ROOTS", "has_certificates", "verify_pki_token"]

SPACE_ROOTS: Mapping[bytes, str] = {
    # 2024-01-19 to 2034-01-16
    bytes.fromhex("148b293821bb0c6a317f413c8ba475814091cb22d49b9e3c94198db8e8f86c39"): "Confidential Space Root CA",
}
"""SHA-256 of the root's DER. Computed on 2026-11-29 from the certificate whose SHA-1, which Google publishes, is
B9:51:20:74:2C:24:E3:AA:34:04:2E:1C:3B:A3:AA:D2:8B:21:23:21 (codelab "Confidential Space with a PKI token")."""

_SCHEMES = frozenset({SignatureScheme.RSA_PKCS1_SHA256, SignatureScheme.RSA_PKCS1_SHA384,
                      SignatureScheme.RSA_PKCS1_SHA512, SignatureScheme.ECDSA_SHA256,
                      SignatureScheme.ECDSA_SHA384})  # fmt: skip
_X5C, _ROOT_ITEM = "x5c", "token_root"
_MAX_CERTIFICATES = 5


def has_certificates(token: Jwt) -> bool:
    """Whether the token is of this kind: its header has certificates."""
    return _X5C in token.header


def verify_pki_token(
    token: Jwt, *, roots: TrustRoots, collateral: Collateral, at: datetime, issuers: tuple[str, ...]
) -> TokenVerdict:
    """Verify ``token`` by the certificates in its header (RFC 7515 section 4.1.6: of the signer first).

    1. The certificates lead to Google's root. Where the header leaves the root out, it may be the item
       ``token_root`` of the collateral: a certificate that is believed for its fingerprint alone.
    2. Signed with RS256 by the key of the first.
    3. Google's service issued it, and ``at`` lies in its time and in that of every certificate.

    Raises:
        MalformedError, UnverifiedError: ``gcp.*``, ``x509.*``: a step does not hold.
    """
    # 1.
    chain = _chain(token, roots, collateral, at)
    # 2.
    key = public_key(chain.leaf)
    if not isinstance(key, rsa.RSAPublicKey):
        raise UnverifiedError("gcp.token-key", "the certificate is of a key that can not sign such a token",
                              got=type(key).__name__, expected="an RSA key")  # fmt: skip
    signer = JwkKey(kid=token.kid, alg=None, key=key, spki_sha256=chain.leaf.fingerprint)
    verify_jwt(token, [signer], algorithms=(JoseAlg.RS256,), area="gcp")
    # 3.
    window = require_issued_by(token, issuers=issuers, at=at, area="gcp")
    root = chain.root.fingerprint
    return TokenVerdict(signer=root, simulated=root not in SPACE_ROOTS, validity=window.meet(chain.validity))


def _chain(token: Jwt, roots: TrustRoots, collateral: Collateral, at: datetime) -> VerifiedChain:
    anchors = frozenset(SPACE_ROOTS) | roots.insecure_simulated
    certificates = _certificates(token.header[_X5C])
    if certificates[-1].fingerprint not in anchors and _ROOT_ITEM in collateral.items:
        certificates.append(read_certificate(collateral.require(_ROOT_ITEM)))
    return verify_certificates(certificates, anchors=anchors, schemes=_SCHEMES, at=at)


def _certificates(listed: object) -> list[Certificate]:
    if not isinstance(listed, list) or not 1 <= len(listed) <= _MAX_CERTIFICATES:
        raise MalformedError("gcp.token", "the header's certificates are no list of a chain's length", where=_X5C,
                             expected=f"1 to {_MAX_CERTIFICATES} certificates")  # fmt: skip
    return [read_certificate(_der(one)) for one in listed]


def _der(text: object) -> bytes:
    try:
        if isinstance(text, str):
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise MalformedError("gcp.token", "a certificate in the header is not base64", where=_X5C, got=ascii(text)[:40])
