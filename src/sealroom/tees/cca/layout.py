"""How the tokens are wrapped: a CCA token is a platform and a realm token, a PSA token stands alone.

    tag 399  { 44234: bytes of the platform token, 44241: bytes of the realm token }        older firmware
    tag 907  { 44234: [263, bytes], 44241: [263, bytes] }                                    a CMW collection
    tag 18   a COSE_Sign1 with the claims of a PSA device; tag 61 (a CWT) may stand before it

Each inner token is a COSE_Sign1 under tag 18, and a byte string: nothing else is looked into.
"""

from dataclasses import dataclass, field

from sealroom.cbor import CborKey, CborValue, Tagged, read_cbor
from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Evidence, Tee
from sealroom.tees._cose.sign1 import SIGN1_TAG, Sign1, parse_sign1, sign1_of
from sealroom.tees.cca.tokens import DeviceClaims, RealmClaims, read_platform, read_psa, read_realm

__all__ = ["CcaEvidence", "DeviceToken", "RealmToken", "parse"]

_LEGACY_TAG, _CMW_TAG, _CWT_TAG, _MAC0_TAG = 399, 907, 61, 17
_PLATFORM, _REALM = 44234, 44241
_CONTENT_FORMAT = 263
_MAX_TOKEN = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceToken:
    """The token of a platform, or of a PSA device."""

    message: Sign1
    claims: DeviceClaims


@dataclass(frozen=True, slots=True, kw_only=True)
class RealmToken:
    """The token of a realm."""

    message: Sign1
    claims: RealmClaims


@dataclass(frozen=True, kw_only=True)
class CcaEvidence(Evidence):
    """The tokens, parsed. Everything here is read from `raw` when this is made."""

    tee: Tee = Tee.CCA
    device: DeviceToken = field(init=False)
    realm: RealmToken | None = field(init=False)
    """None: a PSA token."""
    wrapper: int | None = field(init=False)
    """The tag of the whole."""

    def __post_init__(self) -> None:
        if self.tee is not Tee.CCA:
            raise MisuseError("cca.other-tee", "an Arm token is of the TEE cca", got=self.tee.value)
        if len(self.raw) > _MAX_TOKEN:
            raise _bad("the token is too large", f"{len(self.raw)} bytes", f"at most {_MAX_TOKEN}")
        whole = read_cbor(self.raw, area="cca")
        tag = whole.tag if isinstance(whole, Tagged) else None
        device, realm = _tokens(whole)
        object.__setattr__(self, "device", device)
        object.__setattr__(self, "realm", realm)
        object.__setattr__(self, "wrapper", tag)


def parse(raw: bytes) -> CcaEvidence:
    """Read a CCA token or a PSA token.

    Raises:
        MalformedError: ``cca.*``: the bytes are no such token.
    """
    return CcaEvidence(raw=bytes(raw))


def _tokens(whole: CborValue) -> tuple[DeviceToken, RealmToken | None]:
    if isinstance(whole, Tagged) and whole.tag in {_LEGACY_TAG, _CMW_TAG}:
        return _pair(whole)
    message = whole.value if isinstance(whole, Tagged) and whole.tag == _CWT_TAG else whole
    if isinstance(message, Tagged) and message.tag == _MAC0_TAG:
        raise _bad("a shared secret's code proves nothing to a third party", "COSE_Mac0", "COSE_Sign1")
    if isinstance(message, Tagged) and message.tag != SIGN1_TAG:
        raise _bad("neither a CCA token nor a PSA token", f"tag {message.tag}", "tag 399, 907, or 18")
    tagged = isinstance(message, Tagged)
    signed = sign1_of(message.value if isinstance(message, Tagged) else message, area="cca", tagged=tagged)
    return DeviceToken(message=signed, claims=read_psa(read_cbor(signed.payload, area="cca"))), None


def _pair(whole: Tagged) -> tuple[DeviceToken, RealmToken]:
    members = whole.value
    if not isinstance(members, dict) or set(members) != {_PLATFORM, _REALM}:
        raise _bad("the collection is not a platform token and a realm token",
                   ", ".join(map(ascii, members))[:80] if isinstance(members, dict) else None,
                   f"{_PLATFORM} and {_REALM}")  # fmt: skip
    platform, realm = (
        parse_sign1(_inner(members, number, whole.tag), area="cca", tags=(SIGN1_TAG,))
        for number in (_PLATFORM, _REALM)
    )
    return (
        DeviceToken(message=platform, claims=read_platform(read_cbor(platform.payload, area="cca"))),
        RealmToken(message=realm, claims=read_realm(read_cbor(realm.payload, area="cca"))),
    )


def _inner(members: dict[CborKey, CborValue], number: int, tag: int) -> bytes:
    value = members[number]
    if tag == _CMW_TAG:
        if not isinstance(value, list) or len(value) != 2 or type(value[0]) is not int or value[0] != _CONTENT_FORMAT:
            raise _bad(f"member {number} is no record of a CCA token", None, f"[{_CONTENT_FORMAT}, bytes]")
        value = value[1]
    if not isinstance(value, bytes):
        raise _bad(f"member {number} is no byte string", type(value).__name__, "a byte string")
    return value


def _bad(message: str, got: object, expected: object) -> MalformedError:
    return MalformedError("cca.token", message, got=got, expected=expected)
