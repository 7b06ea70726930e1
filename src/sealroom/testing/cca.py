"""Arm's realms in software: tokens that are right to the byte, under a key that nobody should trust.

    CcaPlatform    a machine: the platform's attestation key (CPAK) and its firmware
    SimulatedCca   one realm on it: tokens as RMM hands them out, as an `Attester`

Every claim can be changed before it is signed (`CcaForm`), so that each fault can be had alone.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.cbor import CborKey, CborValue, Tagged, encode_cbor
from sealroom.errors import MisuseError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees._cose.key import spki_of
from sealroom.tees.cca.second_profile import PLATFORM_2, REALM_2
from sealroom.tees.cca.tokens import LEGACY_PLATFORM

__all__ = ["CcaForm", "CcaPlatform", "SimulatedCca", "component", "cose_key", "sign1", "signed_part", "wrapped"]

_PLATFORM, _REALM, _CONTENT_FORMAT = 44234, 44241, 263
_LEGACY_TAG, _CMW_TAG = 399, 907
_CURVES = {"secp256r1": (-7, 1, 32, hashes.SHA256()), "secp384r1": (-35, 2, 48, hashes.SHA384()),
           "secp521r1": (-36, 3, 66, hashes.SHA512())}  # fmt: skip
"""COSE algorithm and curve, size of a coordinate, digest."""
_HASHES = {"sha-256": hashlib.sha256, "sha-384": hashlib.sha384, "sha-512": hashlib.sha512}
_SECURED = 0x3003

Claims = dict[CborKey, CborValue]


def sign1(payload: bytes, key: ec.EllipticCurvePrivateKey, *, protected: bytes | None = None) -> Tagged:
    """A COSE_Sign1 under tag 18; ``protected``: a header in place of the one that names the key's algorithm."""
    alg, _, size, digest = _CURVES[key.curve.name]
    protected = encode_cbor({1: alg}) if protected is None else protected
    r, s = decode_dss_signature(key.sign(signed_part(protected, payload), ec.ECDSA(digest)))
    return Tagged(18, [protected, {}, payload, r.to_bytes(size, "big") + s.to_bytes(size, "big")])


def signed_part(protected: bytes, payload: bytes) -> bytes:
    """What is signed (RFC 9052 section 4.4)."""
    return encode_cbor(["Signature1", protected, b"", payload])


def cose_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half, as a COSE_Key."""
    _, curve, size, _ = _CURVES[key.curve.name]
    numbers = key.public_key().public_numbers()
    return encode_cbor({1: 2, -1: curve, -2: numbers.x.to_bytes(size, "big"), -3: numbers.y.to_bytes(size, "big")})


@dataclass(frozen=True, kw_only=True)
class CcaPlatform:
    """A machine with realms."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    implementation_id: bytes
    instance_id: bytes
    """33 bytes, the first 1."""

    @classmethod
    def create(cls, curve: ec.EllipticCurve | None = None) -> "CcaPlatform":
        """New keys."""
        return cls(key=ec.generate_private_key(curve or ec.SECP384R1()), instance_id=b"\x01" + os.urandom(32),
                   implementation_id=hashlib.sha256(b"simulated Arm machine").digest())  # fmt: skip

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the key's SubjectPublicKeyInfo: what a policy names under ``insecure_simulated``."""
        return hashlib.sha256(spki_of(self.key.public_key())).digest()

    def claims(self, challenge: bytes) -> Claims:
        """What its token says (profile ``cca_platform#1.0.0``)."""
        return {
            265: "tag:arm.com,2023:cca_platform#1.0.0", 10: challenge, 2396: self.implementation_id,
            256: self.instance_id, 2395: _SECURED, 2402: "sha-256", 2401: b"\xcf\xcf",
            2399: [component(name) for name in ("BL1", "BL2", "BL31", "RMM")],
        }  # fmt: skip


def component(name: str, **changes: CborValue) -> dict[CborKey, CborValue]:
    """One piece of firmware; ``changes``: ``measurement``, ``version``."""
    measured = changes.get("measurement", hashlib.sha256(f"simulated {name}".encode()).digest())
    return {1: name, 2: measured, 4: changes.get("version", "3.4.2"), 5: hashlib.sha256(b"its signer").digest(),
            6: "sha-256"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CcaForm:
    """Both tokens before they are signed."""

    platform: Mapping[CborKey, CborValue]
    realm: Mapping[CborKey, CborValue]
    platform_key: ec.EllipticCurvePrivateKey = field(repr=False)
    realm_key: ec.EllipticCurvePrivateKey = field(repr=False)
    legacy: bool = False
    """Wrapped as older firmware does, under tag 399."""

    def changed(self, **claims: Mapping[Any, Any]) -> "CcaForm":
        """With other claims of ``platform`` or ``realm``; None takes one away."""
        made = {name: {**getattr(self, name), **changes} for name, changes in claims.items()}
        kept = {
            name: {key: value for key, value in found.items() if value is not None} for name, found in made.items()
        }
        return replace(self, **kept)  # type: ignore[arg-type]

    def encode(self) -> bytes:
        """The tokens, signed and wrapped."""
        return wrapped(self.platform_token(), self.realm_token(), legacy=self.legacy)

    def platform_token(self) -> bytes:
        """Signed by the platform."""
        return encode_cbor(sign1(encode_cbor(dict(self.platform)), self.platform_key))

    def realm_token(self) -> bytes:
        """Signed by the realm's key."""
        return encode_cbor(sign1(encode_cbor(dict(self.realm)), self.realm_key))


def wrapped(platform: CborValue, realm: CborValue, *, legacy: bool = False) -> bytes:
    """Both tokens as one piece of evidence."""
    tokens: Claims = {_PLATFORM: platform, _REALM: realm}
    if legacy:
        return encode_cbor(Tagged(_LEGACY_TAG, tokens))
    return encode_cbor(Tagged(_CMW_TAG, {number: [_CONTENT_FORMAT, token] for number, token in tokens.items()}))


class SimulatedCca:
    """A realm on simulated hardware: an `Attester` that nobody should trust.

    Args:
        platform: where it runs; a new one if none is given.
        initial_measurement: 32, 48 or 64 bytes, by ``hash_name``.
        personalization: at most 64 bytes, padded with zero bytes.
        hash_name: of the realm's measurements.
        curve: of the realm's key.
    """

    tee = Tee.CCA
    simulated = True
    """Asked by a room before it listens: simulated hardware never serves the world."""

    def __init__(
        self,
        *,
        platform: CcaPlatform | None = None,
        initial_measurement: bytes = b"\x5a" * 32,
        personalization: bytes = b"",
        hash_name: str = "sha-256",
        curve: ec.EllipticCurve | None = None,
    ) -> None:
        self.platform = platform or CcaPlatform.create()
        self._key = ec.generate_private_key(curve or ec.SECP384R1())
        self._initial, self._hash_name = initial_measurement, hash_name
        self._personalization = personalization.ljust(64, b"\x00")
        if len(initial_measurement) != _HASHES[hash_name]().digest_size or len(self._personalization) != 64:
            raise MisuseError("simulated.sizes", "a realm's measurement has the size of its hash, and RPV 64 bytes")

    @property
    def root_fingerprint(self) -> bytes:
        """What a policy names under ``insecure_simulated``."""
        return self.platform.fingerprint

    def form(self, challenge: bytes, *, key_hash: str = "sha-256", key: bytes | None = None) -> CcaForm:
        """Both tokens before they are signed; the platform's challenge is the hash of the realm's key.

        Args:
            challenge: 64 bytes.
            key_hash: of the realm's key.
            key: how that is written, in place of a plain COSE_Key.
        """
        key = cose_key(self._key) if key is None else key
        size = len(self._initial)
        realm: Claims = {
            265: "tag:arm.com,2023:realm#1.0.0", 10: challenge, 44235: self._personalization, 44236: self._hash_name,
            44237: key, 44238: self._initial, 44239: [bytes(size)] * 4, 44240: key_hash,
        }  # fmt: skip
        return CcaForm(platform=self.platform.claims(_HASHES[key_hash](key).digest()), realm=realm,
                       platform_key=self.platform.key, realm_key=self._key)  # fmt: skip

    def legacy_form(self, challenge: bytes) -> CcaForm:
        """As firmware wrote before the profile had its present name: another wrapper, the key as a point."""
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        form = self.form(challenge, key=point).changed(platform={265: LEGACY_PLATFORM}, realm={265: None})
        return replace(form, legacy=True)

    def second_form(self, challenge: bytes) -> CcaForm:
        """Of the profiles of 2024: with two attached devices, and a root of the boot chain."""
        memory: Claims = {1: "sha-256", 2: bytes(32), 3: b"\1" * 48, 4: True, 5: "spdm-1.3.0", 6: b"\2" * 48,
                          7: "cxl-type-3", 8: 0}  # fmt: skip
        other: Claims = {2: bytes(32), 3: b"\3" * 32, 4: False, 5: "another-1.0", 7: "another"}
        platform = {265: PLATFORM_2, 2394: 1, 2403: b"\4", 2404: [memory, other], 2406: b"\5",
                    2405: [{1: "DM", 2: 0, 3: 1, 4: b"\6" * 32}]}  # fmt: skip
        realm = {265: REALM_2, 44243: 1, 256: b"\1" + b"\7" * 32}
        return self.form(challenge).changed(platform=platform, realm=realm)

    def collateral(self) -> Collateral:
        """The platform's key, which a real one's maker would hand out."""
        return Collateral(items={"platform_key": cose_key(self.platform.key)})

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return tokens whose challenge is ``report_data`` (64 bytes)."""
        if len(report_data) != 64:
            raise MisuseError("simulated.report-data", "report data is 64 bytes", got=len(report_data), expected=64)
        return CollectedEvidence(tee=Tee.CCA, raw=self.form(report_data).encode(), collateral=self.collateral())
