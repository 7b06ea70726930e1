"""Is this token what an Arm platform said, and is the realm's token the one that the platform vouches for?

A realm's token is signed by a key that it brings itself. What makes it worth anything is that the platform's token,
signed by a key that was enrolled, has a hash of that key as its challenge.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sealroom.errors import UnverifiedError
from sealroom.evidence import VERIFIED, Collateral, TrustRoots, Validity, Verified
from sealroom.tees._cose.algorithms import CoseAlg
from sealroom.tees._cose.key import read_key, spki_of
from sealroom.tees._cose.sign1 import verify_sign1
from sealroom.tees.cca.layout import CcaEvidence, RealmToken

__all__ = ["PUBLIC_TEST_KEYS", "VerifiedCca", "require_bound", "require_realm_signature", "verify"]

PUBLIC_TEST_KEYS: Mapping[bytes, str] = {
    bytes.fromhex("0928f896cb02326566530a62a1e36329a12d0a4a308f4fc81e8ff5560bca6bca"): "TF-A's and TF-RMM's CPAK",
    bytes.fromhex("51b944cdfa544d4c3273aa6bf350625a7dd53bbb6a71723274f538b19a207760"): "veraison's CPAK",
    # P-256
    bytes.fromhex("7b1a17147ca907e16cad79901fef13991ec6206e3d148b657068ad6c4cba4626"): "TF-M's IAK",
}
"""SHA-256 of the SubjectPublicKeyInfo of keys whose private halves are public. Never a device's, whoever enrols them;
named under `insecure_simulated` they pass as what they are."""

_ALGORITHMS = (CoseAlg.ES256, CoseAlg.ES384, CoseAlg.ES512)
_HASHES = {"sha-256": hashlib.sha256, "sha-384": hashlib.sha384, "sha-512": hashlib.sha512}
_ALWAYS = Validity(not_before=datetime(2000, 1, 1, tzinfo=UTC), not_after=datetime(2999, 12, 31, tzinfo=UTC))
"""Tokens have no time of their own: freshness is the challenge's alone."""


@dataclass(frozen=True, kw_only=True)
class VerifiedCca(Verified[CcaEvidence]):
    """An authentic token, and whether its key is one that everybody has."""

    test_key: str | None


def verify(evidence: CcaEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime) -> VerifiedCca:
    """Verify that ``evidence`` was signed by an enrolled platform, and that it vouches for the realm.

    0. Wrapping, claims, types, sizes: done by `layout.parse`.
    1. ``platform_key`` is one that ``roots`` names, by its fingerprint: tokens bring no chain. Keys that are public
       in the literature count only as simulated ones.
    2. The device's token is signed by it, with an algorithm of its own curve.
    3. The realm's token is signed by the key that it names, and the platform's challenge is the hash of that claim.

    Args:
        evidence: what `layout.parse` read.
        roots: ``device_keys`` that were enrolled, ``insecure_simulated`` ones for tests.
        collateral: ``platform_key``: of the CPAK or IAK, in JWK, COSE_Key or PEM.
        at: not used: nothing here has a window.

    Raises:
        MalformedError, UnverifiedError: ``cca.*``: a step does not hold.
    """
    del at
    # 1.
    key = read_key(collateral.require("platform_key"), area="cca")
    fingerprint = hashlib.sha256(spki_of(key)).digest()
    simulated = _require_known(fingerprint, roots)
    # 2.
    verify_sign1(evidence.device.message, key, algorithms=_ALGORITHMS, area="cca")
    # 3.
    if evidence.realm is not None:
        require_realm_signature(evidence.realm)
        require_bound(evidence)
    return VerifiedCca(evidence=evidence, root=fingerprint, simulated=simulated, validity=_ALWAYS,
                       test_key=PUBLIC_TEST_KEYS.get(fingerprint), warrant=VERIFIED)  # fmt: skip


def require_realm_signature(realm: RealmToken) -> None:
    """Raise unless the realm's token bears the signature of the key that it names itself."""
    verify_sign1(realm.message, realm.claims.key, algorithms=_ALGORITHMS, area="cca")


def require_bound(evidence: CcaEvidence) -> None:
    """Raise unless the platform's challenge is the hash of the realm's key, as the realm names hash and key.

    Raises:
        UnverifiedError: ``cca.binding``.
    """
    if evidence.realm is None:
        return
    realm = evidence.realm.claims
    bound = _HASHES[realm.key_hash_name](realm.key_raw).digest()
    if not hmac.compare_digest(bound, evidence.device.claims.challenge):
        raise UnverifiedError("cca.binding", "the platform does not vouch for this realm's key",
                              where="platform token, challenge", got=evidence.device.claims.challenge.hex(),
                              expected=bound.hex(),
                              hint="the two tokens are not of one realm: do not go on")  # fmt: skip


def _require_known(fingerprint: bytes, roots: TrustRoots) -> bool:
    """Whether the key is a simulated one; raises unless it is known at all."""
    if fingerprint in roots.insecure_simulated:
        return True
    if fingerprint in PUBLIC_TEST_KEYS:
        raise UnverifiedError("cca.public-test-key", "the platform's key is one whose private half everybody has",
                              got=PUBLIC_TEST_KEYS[fingerprint], expected="a device's own key")  # fmt: skip
    if fingerprint not in roots.device_keys:
        raise UnverifiedError("cca.unknown-key", "nobody here has enrolled this platform's key",
                              got=f"sha256:{fingerprint.hex()}", expected="a key under [trust] device_keys",
                              hint="get the key from the device's maker, not with the evidence")  # fmt: skip
    return False
