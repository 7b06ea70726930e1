"""Ways to the model key, outside the signed core: to re-key is to replace this file (section 8)."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.sealed import strict_json
from sealroom.sealed.format import WRAPS_FILE, digest_text, parse_digest, parse_hex
from sealroom.sealed.keys import ModelKey
from sealroom.sealed.manifest import Manifest

__all__ = [
    "HeldByBroker",
    "HpkeWrap",
    "KbsWrap",
    "Recipient",
    "SealedToKey",
    "UnknownWrap",
    "Wrap",
    "broker_tag",
    "encode_wraps",
    "load_recipient",
    "load_recipient_key",
    "open_wrap",
    "parse_wraps",
]

_FORMAT = "sealroom-sealed-model-wraps"
_MALFORMED = "sealed.malformed-wraps"
_MEMBERS = frozenset({"format", "format_version", "package_digest", "wraps"})
_MAX_WRAPS = 1024
_SEGMENT = r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}"
_KBS_URI = re.compile(rf"kbs:///{_SEGMENT}/{_SEGMENT}/{_SEGMENT}")
_HPKE_DOMAIN = b"sealroom-sealed-model-v1 wrap\x00"
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_ENC_SIZE = 32
_SEALED_KEY_SIZE = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class KbsWrap:
    """The key is held by a broker, under ``uri``. Which broker is asked is never the package's to say."""

    uri: str

    @property
    def resource(self) -> str:
        """The resource path at the broker: ``models/<name>/<tag>``."""
        return self.uri.removeprefix("kbs:///")

    def as_json(self) -> dict[str, object]:
        """The entry as it stands in ``wraps.json``."""
        return {"kind": "kbs", "uri": self.uri}


@dataclass(frozen=True, slots=True, kw_only=True)
class HpkeWrap:
    """The key is sealed to an X25519 public key."""

    recipient: bytes
    """SHA-256 of the recipient's raw public key."""
    enc: bytes
    sealed_key: bytes

    def as_json(self) -> dict[str, object]:
        """The entry as it stands in ``wraps.json``."""
        return {
            "enc": self.enc.hex(),
            "kind": "hpke-x25519",
            "recipient": digest_text(self.recipient),
            "sealed_key": self.sealed_key.hex(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownWrap:
    """An entry of a kind that this version does not know: kept as it is, never used."""

    entry: Mapping[str, object] = field(repr=False)

    def as_json(self) -> dict[str, object]:
        """The entry as it stood in ``wraps.json``."""
        return dict(self.entry)


Wrap = KbsWrap | HpkeWrap | UnknownWrap


class Recipient(Protocol):
    """Somebody who shall be able to get at the model key."""

    def wrap(self, model_key: ModelKey, manifest: Manifest) -> Wrap:
        """The entry for this recipient."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldByBroker:
    """The recipient is whoever satisfies the broker's policy; handing the key to the broker is the caller's work."""

    tag: str | None = None
    """Last segment of the resource path; None takes `broker_tag`, which no two packages share."""

    def wrap(self, model_key: ModelKey, manifest: Manifest) -> KbsWrap:  # noqa: ARG002  the broker gets the key itself
        """A reference to the key at the broker."""
        uri = f"kbs:///models/{manifest.name}/{self.tag or broker_tag(manifest.version, manifest.package_id)}"
        return KbsWrap(uri=_check_uri(uri, "recipient"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedToKey:
    """The recipient holds an X25519 private key."""

    public_key: X25519PublicKey

    def wrap(self, model_key: ModelKey, manifest: Manifest) -> HpkeWrap:
        """The key, sealed with HPKE to the recipient and to this package."""
        sealed = _SUITE.encrypt(model_key.secret, self.public_key, _hpke_info(manifest.package_digest))
        return HpkeWrap(
            recipient=_recipient_id(self.public_key), enc=sealed[:_ENC_SIZE], sealed_key=sealed[_ENC_SIZE:]
        )


def broker_tag(version: int, package_id: bytes) -> str:
    """The last segment of a package's key path at a broker: readable, and never another package's."""
    return f"v{version}-{package_id.hex()[:16]}"


def load_recipient(pem: bytes) -> SealedToKey:
    """A recipient from the PEM of an X25519 public key (SubjectPublicKeyInfo)."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, X25519PublicKey):
        raise MalformedError("sealed.malformed-recipient", "this is not a recipient's public key",
                             expected="a PEM with an X25519 public key",
                             hint="openssl pkey -in recipient.pem -pubout")  # fmt: skip
    return SealedToKey(public_key=key)


def load_recipient_key(pem: bytes) -> X25519PrivateKey:
    """The private key of a recipient, from unencrypted PKCS #8 PEM."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, X25519PrivateKey):
        raise MalformedError("sealed.malformed-recipient", "this is not a recipient's private key",
                             expected="an unencrypted PKCS #8 PEM with an X25519 private key",
                             hint="make one with: openssl genpkey -algorithm x25519")  # fmt: skip
    return key


def open_wrap(wraps: Sequence[Wrap], private_key: X25519PrivateKey, package_digest: bytes) -> ModelKey:
    """The model key, from the entry that is sealed to ``private_key``."""
    recipient = _recipient_id(private_key.public_key())
    for wrap in wraps:
        if isinstance(wrap, HpkeWrap) and wrap.recipient == recipient:
            return _open(wrap, private_key, package_digest)
    raise UnverifiedError("sealed.no-wrap", "the package's key is not sealed to this recipient", where=WRAPS_FILE,
                          got=f"{len(wraps)} wraps", expected=digest_text(recipient),
                          hint="ask the publisher to re-key the package for this recipient")  # fmt: skip


def _open(wrap: HpkeWrap, private_key: X25519PrivateKey, package_digest: bytes) -> ModelKey:
    try:
        secret = _SUITE.decrypt(wrap.enc + wrap.sealed_key, private_key, _hpke_info(package_digest))
    except (InvalidTag, ValueError):
        raise UnverifiedError(
            "sealed.wrap-not-authentic",
            "the wrap for this recipient does not open",
            where=WRAPS_FILE,
            hint="wraps.json was damaged or copied from another package",
        ) from None
    return ModelKey(secret)


def encode_wraps(wraps: Sequence[Wrap], package_digest: bytes) -> bytes:
    """The bytes of ``wraps.json``."""
    return strict_json.encode({
        "format": _FORMAT,
        "format_version": 1,
        "package_digest": digest_text(package_digest),
        "wraps": [wrap.as_json() for wrap in wraps],
    })  # fmt: skip


def parse_wraps(raw: bytes, *, package_digest: bytes) -> tuple[Wrap, ...]:
    """The wraps in ``raw``, which anybody may have written; the key commitment refuses wrong keys later."""
    document = strict_json.parse(raw, code=_MALFORMED, where=WRAPS_FILE)
    strict_json.check_header(document, _FORMAT, 1, where=WRAPS_FILE)
    strict_json.check_members(document, _MEMBERS, code=_MALFORMED, where=WRAPS_FILE)
    found = parse_digest(document["package_digest"], code=_MALFORMED, where=f"{WRAPS_FILE}, package_digest")
    if found != package_digest:
        raise UnverifiedError(
            "sealed.wraps-of-another-package",
            "the key wraps belong to another package",
            where=WRAPS_FILE,
            got=digest_text(found),
            expected=digest_text(package_digest),
        )
    entries = document["wraps"]
    if not isinstance(entries, list) or len(entries) > _MAX_WRAPS:
        raise _malformed("wraps", f"a list of at most {_MAX_WRAPS}")
    return tuple(_parse_wrap(entry, f"{WRAPS_FILE}, wraps[{index}]") for index, entry in enumerate(entries))


def _parse_wrap(entry: object, where: str) -> Wrap:
    if not isinstance(entry, dict) or not isinstance(kind := entry.get("kind"), str):
        raise _malformed(where, "an object with a kind")
    if kind == "kbs":
        strict_json.check_members(entry, frozenset({"kind", "uri"}), code=_MALFORMED, where=where)
        return KbsWrap(uri=_check_uri(entry["uri"], f"{where}, uri"))
    if kind == "hpke-x25519":
        members = frozenset({"enc", "kind", "recipient", "sealed_key"})
        strict_json.check_members(entry, members, code=_MALFORMED, where=where)
        return HpkeWrap(
            recipient=parse_digest(entry["recipient"], code=_MALFORMED, where=f"{where}, recipient"),
            enc=parse_hex(entry["enc"], _ENC_SIZE, code=_MALFORMED, where=f"{where}, enc"),
            sealed_key=parse_hex(
                entry["sealed_key"], _SEALED_KEY_SIZE, code=_MALFORMED, where=f"{where}, sealed_key"
            ),
        )
    return UnknownWrap(entry=entry)


def _check_uri(uri: object, where: str) -> str:
    if not isinstance(uri, str) or not _KBS_URI.fullmatch(uri):
        raise _malformed(where, "kbs:///<repository>/<type>/<tag> with no host, query or fragment")
    return uri


def _malformed(where: str, expected: str) -> MalformedError:
    return MalformedError(_MALFORMED, "the key wraps are not what the format allows", where=where, expected=expected)


def _recipient_id(key: X25519PublicKey) -> bytes:
    return hashlib.sha256(key.public_bytes_raw()).digest()


def _hpke_info(package_digest: bytes) -> bytes:
    return _HPKE_DOMAIN + package_digest
