"""The model key and what is derived from it (section 5), and the file that keeps it outside a broker (section 10)."""

import hmac
import secrets
from typing import Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sealroom.errors import MalformedError, MisuseError, UnverifiedError
from sealroom.sealed import strict_json
from sealroom.sealed.format import digest_text, parse_digest, parse_hex
from sealroom.sealed.manifest import Identity, Manifest

__all__ = ["MODEL_KEY_SIZE", "ModelKey", "PackageKeys", "encode_key_file", "parse_key_file"]

MODEL_KEY_SIZE = 32
_COMMITMENT = b"sealroom-sealed-model-v1 key commitment\x00"
_FILE_KEY = b"sealroom-sealed-model-v1 file key\x00"
_KEY_FILE = "sealroom-model-key"
_MALFORMED = "sealed.malformed-key"


class ModelKey:
    """The 32 bytes that open a package. Shows itself nowhere; `secret` is the only way to the bytes."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != MODEL_KEY_SIZE:
            raise MalformedError(_MALFORMED, "this is not a model key", where="model key", got=f"{len(secret)} bytes",
                                 expected=f"{MODEL_KEY_SIZE} bytes")  # fmt: skip
        self._secret = bytes(secret)

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(secrets.token_bytes(MODEL_KEY_SIZE))

    @property
    def secret(self) -> bytes:
        """The raw key, for the broker or a wrap; never for a log."""
        return self._secret

    def __repr__(self) -> str:
        return "ModelKey(<redacted>)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelKey) and hmac.compare_digest(self._secret, other._secret)

    __hash__ = None  # type: ignore[assignment]  # a hash would be a second place where the key leaks

    def __reduce__(self) -> str:
        raise MisuseError("sealed.key-not-copied", "a model key is not pickled or copied")


class PackageKeys:
    """A model key at work in one package: derives each file's key, states and checks the commitment."""

    __slots__ = ("_identity", "_model_key")

    def __init__(self, model_key: ModelKey, identity: Identity) -> None:
        self._model_key = model_key
        self._identity = identity

    @classmethod
    def matching(cls, model_key: ModelKey, manifest: Manifest) -> Self:
        """The keys of the package of ``manifest``; raises ``sealed.wrong-key`` if ``model_key`` is not its key."""
        keys = cls(model_key, manifest.identity)
        if not hmac.compare_digest(keys.commitment, manifest.key_commitment):
            raise UnverifiedError(
                "sealed.wrong-key",
                "this key is not the key of this package",
                where=f"{manifest.name} version {manifest.version}, package {manifest.package_id.hex()[:16]}",
                hint="the key may belong to another version of the model: each package has its own",
            )
        return keys

    @property
    def identity(self) -> Identity:
        """The package that the keys are for."""
        return self._identity

    @property
    def commitment(self) -> bytes:
        """What the manifest says about the key without telling it (32 bytes)."""
        return self._derive(_COMMITMENT)

    def file_key(self, file_index: int) -> bytes:
        """The AES-256 key of one file (32 bytes)."""
        return self._derive(_FILE_KEY + file_index.to_bytes(4, "big"))

    def _derive(self, info: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt=self._identity.digest, info=info).derive(self._model_key.secret)

    def __repr__(self) -> str:
        return f"PackageKeys(<redacted>, package {self._identity.package_id.hex()[:16]})"


def encode_key_file(model_key: ModelKey, package_digest: bytes) -> bytes:
    """The bytes of a key file. They are secret."""
    return strict_json.encode({
        "format": _KEY_FILE,
        "format_version": 1,
        "key": model_key.secret.hex(),
        "package_digest": digest_text(package_digest),
    })  # fmt: skip


def parse_key_file(raw: bytes, *, package_digest: bytes, where: str = "key file") -> ModelKey:
    """The key in a key file, if the file is for the package of ``package_digest``; errors name it ``where``."""
    document = strict_json.parse(raw, code=_MALFORMED, where=where)
    strict_json.check_header(document, _KEY_FILE, 1, where=where)
    members = frozenset({"format", "format_version", "key", "package_digest"})
    strict_json.check_members(document, members, code=_MALFORMED, where=where)
    found = parse_digest(document["package_digest"], code=_MALFORMED, where=f"{where}, package_digest")
    if found != package_digest:
        raise UnverifiedError("sealed.wrong-key", "the key file belongs to another package", where=where,
                              got=digest_text(found), expected=digest_text(package_digest))  # fmt: skip
    return ModelKey(parse_hex(document["key"], MODEL_KEY_SIZE, code=_MALFORMED, where=f"{where}, key"))
