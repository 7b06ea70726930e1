"""The three sets of claims: of a CCA platform, of a realm, and of a PSA device."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.cbor import CborValue
from sealroom.errors import MalformedError
from sealroom.tees._cose.key import read_cose_key, sec1_point
from sealroom.tees.cca.claim_reader import HASHES, ClaimReader
from sealroom.tees.cca.components import MAX_COMPONENTS, Component, read_components
from sealroom.tees.cca.second_profile import (
    PLATFORM_2,
    REALM_2,
    PlatformExtras,
    read_platform_extras,
    read_realm_extras,
)

__all__ = ["DeviceClaims", "RealmClaims", "read_platform", "read_psa", "read_realm"]

LEGACY_PLATFORM = "http://arm.com/CCA-SSD/1.0.0"
_PLATFORM_PROFILES = (LEGACY_PLATFORM, "tag:arm.com,2023:cca_platform#1.0.0", PLATFORM_2)
_REALM_PROFILES = ("tag:arm.com,2023:realm#1.0.0", REALM_2)
_PSA_2 = ("http://arm.com/psa/2.0.0", "tag:psacertified.org,2023:psa#tfm")
_PSA_1 = ("PSA_IOT_PROFILE_1",)
_PSA_1_CLAIMS = range(-75010, -74999)

_PROFILE, _CHALLENGE, _INSTANCE = 265, 10, 256
_CLIENT, _LIFECYCLE, _IMPLEMENTATION, _SEED, _REFERENCE, _COMPONENTS, _SERVICE, _CONFIG, _HASH = range(2394, 2403)
_PERSONALIZATION, _REALM_HASH, _REALM_KEY, _INITIAL, _EXTENSIBLE, _KEY_HASH = range(44235, 44241)
_CHALLENGES = (32, 48, 64)
_INSTANCE_SIZE, _INSTANCE_TYPE = 33, 1
_MOST_LIFECYCLE = 0xFFFF
_NO_SOFTWARE = -75007


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceClaims:
    """Of a CCA platform, or of a PSA device, which say nearly the same."""

    profile: str
    challenge: bytes
    implementation_id: bytes
    instance_id: bytes
    lifecycle: int
    components: tuple[Component, ...]
    hash_name: str | None
    """None: of a PSA device."""
    config: bytes | None
    client_id: int | None
    """Of a PSA device: negative, who asked was not the secure side."""
    boot_seed: bytes | None
    reference: str | None
    """Certification reference of the hardware."""
    unknown: tuple[str, ...]
    """Claims that are not known here."""
    extras: PlatformExtras = field(default_factory=PlatformExtras)
    """Of the platform profile of 2024."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealmClaims:
    """Of a realm."""

    profile: str | None
    """None: firmware before the profile had a name."""
    challenge: bytes
    personalization: bytes
    initial_measurement: bytes
    extensible_measurements: tuple[bytes, ...]
    hash_name: str
    key: ec.EllipticCurvePublicKey = field(repr=False)
    key_raw: bytes
    """As it stands in the claim: what the platform's challenge is a hash of."""
    key_form: str
    """``sec1`` or ``cose_key``."""
    key_hash_name: str
    unknown: tuple[str, ...]
    instance_id: bytes | None = None
    memory: str | None = None
    """``shared`` or ``private``: of the realm profile of 2024."""


def read_platform(claims: CborValue) -> DeviceClaims:
    """The platform token's claims.

    Raises:
        MalformedError: ``cca.*``.
    """
    reader = ClaimReader(claims, "platform")
    profile = reader.profile(_PROFILE, _PLATFORM_PROFILES)
    if _SERVICE in reader:
        reader.text(_SERVICE)  # where to verify it is no matter of trust
    extras = read_platform_extras(reader) if profile == PLATFORM_2 else PlatformExtras()
    return DeviceClaims(
        profile=profile, extras=extras, challenge=reader.octets(_CHALLENGE, _CHALLENGES),
        implementation_id=reader.octets(_IMPLEMENTATION, (32,)),
        instance_id=_instance(reader, _INSTANCE), lifecycle=reader.integer(_LIFECYCLE, low=0, high=_MOST_LIFECYCLE),
        components=read_components(reader.list_of(_COMPONENTS, MAX_COMPONENTS), "platform"),
        hash_name=reader.hash_name(_HASH), config=reader.octets(_CONFIG), boot_seed=None,
        client_id=1 if profile == PLATFORM_2 else None,
        reference=None, unknown=reader.left_over,
    )  # fmt: skip


def read_realm(claims: CborValue) -> RealmClaims:
    """The realm token's claims.

    Raises:
        MalformedError: ``cca.*``.
    """
    reader = ClaimReader(claims, "realm")
    profile = reader.profile(_PROFILE, _REALM_PROFILES) if _PROFILE in reader else None
    hash_name = reader.hash_name(_REALM_HASH)
    raw = reader.octets(_REALM_KEY)
    key, form = _realm_key(raw)
    is_second = profile == REALM_2
    return RealmClaims(
        memory=read_realm_extras(reader) if is_second else None,
        instance_id=_instance(reader, _INSTANCE) if is_second else None,
        profile=profile, challenge=reader.octets(_CHALLENGE, (64,)),
        personalization=reader.octets(_PERSONALIZATION, (64,)),
        initial_measurement=reader.digest(_INITIAL), extensible_measurements=_extensible(reader),
        hash_name=hash_name, key=key, key_raw=raw, key_form=form, key_hash_name=reader.hash_name(_KEY_HASH),
        unknown=reader.left_over,
    )  # fmt: skip


def read_psa(claims: CborValue) -> DeviceClaims:
    """A PSA token's claims, of profile 2 or of profile 1 with its numbers below -75000.

    Raises:
        MalformedError: ``cca.*``.
    """
    reader = ClaimReader(claims, "PSA")
    if _PROFILE not in reader and any(number in reader for number in _PSA_1_CLAIMS):
        return _psa_1(reader)
    profile = reader.profile(_PROFILE, _PSA_2)
    if _SERVICE in reader:
        reader.text(_SERVICE)
    return DeviceClaims(
        profile=profile, challenge=reader.octets(_CHALLENGE, _CHALLENGES),
        implementation_id=reader.octets(_IMPLEMENTATION, (32,)),
        instance_id=_instance(reader, _INSTANCE), lifecycle=reader.integer(_LIFECYCLE, low=0, high=_MOST_LIFECYCLE),
        components=read_components(reader.list_of(_COMPONENTS, MAX_COMPONENTS), "PSA"), hash_name=None,
        config=None, client_id=reader.integer(_CLIENT, low=-(2**31), high=2**31 - 1),
        boot_seed=reader.octets(_SEED, range(8, 33)) if _SEED in reader else None,
        reference=reader.text(_REFERENCE) if _REFERENCE in reader else None, unknown=reader.left_over,
    )  # fmt: skip


def _psa_1(reader: ClaimReader) -> DeviceClaims:
    """Its profile is the one that need not be named."""
    profile = reader.profile(-75000, _PSA_1) if -75000 in reader else _PSA_1[0]
    if -75010 in reader:
        reader.text(-75010)
    components: tuple[Component, ...] = ()
    if -75006 in reader:
        components = read_components(reader.list_of(-75006, MAX_COMPONENTS), "PSA")
        if _NO_SOFTWARE in reader:
            raise MalformedError("cca.claim", "measured firmware beside the claim that there is none",
                                 where=f"claim {_NO_SOFTWARE}")  # fmt: skip
    else:  # says aloud that there is nothing to measure
        reader.integer(_NO_SOFTWARE, low=1, high=1)
    return DeviceClaims(
        profile=profile, challenge=reader.octets(-75008, _CHALLENGES), implementation_id=reader.octets(-75003, (32,)),
        instance_id=_instance(reader, -75009), lifecycle=reader.integer(-75002, low=0, high=_MOST_LIFECYCLE),
        components=components, hash_name=None, config=None,
        client_id=reader.integer(-75001, low=-(2**31), high=2**31 - 1),
        boot_seed=reader.octets(-75004, (32,)) if -75004 in reader else None,
        reference=reader.text(-75005) if -75005 in reader else None, unknown=reader.left_over,
    )  # fmt: skip


def _instance(reader: ClaimReader, number: int) -> bytes:
    value = reader.octets(number, (_INSTANCE_SIZE,))
    if value[0] != _INSTANCE_TYPE:
        raise MalformedError("cca.claim", "an instance is not named by a random number", where=f"claim {number}",
                             got=f"0x{value[0]:02x}", expected="0x01, then 32 bytes")  # fmt: skip
    return value


def _extensible(reader: ClaimReader) -> tuple[bytes, ...]:
    values = reader.list_of(_EXTENSIBLE, 4)
    found = tuple(value for value in values if isinstance(value, bytes) and len(value) in HASHES.values())
    if len(found) != 4 or len(values) != 4:
        raise MalformedError("cca.claim", "a realm has four extensible measurements", where=f"claim {_EXTENSIBLE}",
                             got=len(found), expected=4)  # fmt: skip
    return found


def _realm_key(raw: bytes) -> tuple[ec.EllipticCurvePublicKey, str]:
    """A point in older firmware, a COSE_Key since; a point begins with 4, which begins no map."""
    if raw[0] == 0x04:
        return sec1_point(raw, area="cca"), "sec1"
    return read_cose_key(raw, area="cca"), "cose_key"
