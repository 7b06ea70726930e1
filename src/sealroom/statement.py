"""The room statement: what a room says about itself and binds into its evidence.

``spec/evidence-bundle.md`` section 3. JSON in RFC 8785 form with a fixed set of members, which are the fields of
`RoomStatement` under the same names. The evidence vouches for the bytes, so the reader takes one encoding only.
"""

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sealroom.device_statement import DeviceStatement, read_devices, write_devices
from sealroom.errors import MalformedError, SealroomError
from sealroom.evidence import CollectedEvidence

__all__ = [
    "DIGEST_SIZE",
    "MAX_STATEMENT_SIZE",
    "NONCE_SIZE",
    "STATEMENT_VERSION",
    "RoomStatement",
    "parse_statement",
    "statement_members",
]

STATEMENT_VERSION = 2
MAX_STATEMENT_SIZE = 64 * 1024
NONCE_SIZE = 32
DIGEST_SIZE = 32

_MAX_TEXT = 200
_MAX_LAYERS = 32
_MAX_KEY_CONFIGS = 8192
_TIME = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_HEX32 = re.compile(r"[0-9a-f]{64}")
_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomStatement:
    """A statement as its members say it. Trusted only once `sealroom.verifier` has bound it to evidence.

    Times are timezone-aware and whole seconds; digests are SHA-256.
    """

    nonce: bytes
    key_configs: bytes = field(repr=False)
    """``application/ohttp-keys`` (RFC 9458 section 3)."""
    model_name: str
    model_version: int
    model_digest: bytes
    package_digest: bytes
    engine_name: str
    engine_version: str
    engine_config_digest: bytes
    sandbox_layers: tuple[str, ...]
    software_version: str
    created_at: datetime
    not_after: datetime
    devices: tuple[DeviceStatement, ...] = ()
    """In the order of their names."""

    def encode(self) -> bytes:
        """The canonical bytes, which the evidence binds.

        Raises:
            MalformedError: a value is outside its form or range; `parse_statement` would refuse it too.
        """
        raw = _canonical(statement_members(self))
        parse_statement(raw)
        return raw

    def without_devices(self) -> bytes:
        """The canonical bytes with an empty list of devices: what the nonce of their evidence is a hash of. Not read
        back: what is handed out is the statement with its devices (`encode`), or was read before."""
        return _canonical(statement_members(replace(self, devices=())))

    def with_devices(self, collected: Mapping[str, CollectedEvidence]) -> "RoomStatement":
        """This statement with what each device gave, by the device's name."""
        devices = tuple(DeviceStatement.of(name, collected[name]) for name in sorted(collected))
        return replace(self, devices=devices)


def statement_members(statement: RoomStatement) -> dict[str, Any]:
    """The members of ``statement`` as JSON values, as a policy's expressions see them."""
    members = {name: form.write(getattr(statement, name)) for name, form in _FORMS.items()}
    return {"version": STATEMENT_VERSION, **members}


def parse_statement(raw: bytes) -> RoomStatement:
    """Read a statement strictly.

    Raises:
        MalformedError: ``statement.*``, for every row of section 3.2.
    """
    if len(raw) > MAX_STATEMENT_SIZE:
        raise MalformedError("statement.too-large", "the room statement is too large", got=f"{len(raw)} bytes",
                             expected=f"at most {MAX_STATEMENT_SIZE}")  # fmt: skip
    document = _read_json(raw)
    _check_members(document)
    if _canonical(document) != raw:
        raise MalformedError("statement.not-canonical", "the room statement is not in RFC 8785 form")
    values = {name: form.read(document[name], name) for name, form in _FORMS.items()}
    if values["created_at"] >= values["not_after"]:
        raise _bad_value("not_after", document["not_after"], "later than created_at")
    return RoomStatement(**values)


def _read_json(raw: bytes) -> dict[str, Any]:
    try:
        document = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float
        )
    except SealroomError:
        raise
    except (ValueError, RecursionError):
        raise MalformedError("statement.not-json", "the room statement is not JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise MalformedError("statement.not-json", "the room statement is not a JSON object",
                             got=type(document).__name__)  # fmt: skip
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise MalformedError("statement.duplicate-member", "a member stands twice", got=repr(twice)[:100])
    return found


def _no_float(text: str) -> Any:
    raise MalformedError("statement.not-json", "the room statement has no fractions", got=text[:40])


def _canonical(document: dict[str, Any]) -> bytes:
    """RFC 8785 form, by the library's own writer, which writes it for what a statement can have: names in ASCII,
    integers within 2^53, and text. Whatever else a document has, the forms of the members refuse."""
    try:
        return _WRITER.encode(document).encode()
    except (ValueError, UnicodeEncodeError, RecursionError):
        raise MalformedError("statement.not-canonical", "the room statement has no RFC 8785 form") from None


def _check_members(document: dict[str, Any]) -> None:
    if document.get("version", STATEMENT_VERSION) != STATEMENT_VERSION or document.get("version") is True:
        raise MalformedError("statement.version", "a statement of a version that is not known here",
                             got=repr(document["version"])[:40], expected=STATEMENT_VERSION,
                             hint="a newer room may need a newer sealroom here")  # fmt: skip
    wanted = {"version", *_FORMS}
    if unknown := sorted(document.keys() - wanted):
        raise MalformedError("statement.unknown-member", "the statement has a member that its version does not know",
                             got=ascii(unknown[0])[:100])  # fmt: skip
    if missing := sorted(wanted - document.keys()):
        raise MalformedError("statement.missing-member", "the statement lacks a member", expected=missing[0])


def _bad_value(name: str, got: object, expected: str) -> MalformedError:
    return MalformedError("statement.bad-value", "a member of the statement has a value that it can not have",
                          where=name, got=ascii(got)[:120], expected=expected)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Form:
    """How the values of one kind are read from JSON and written to it."""

    read: Callable[[Any, str], Any]
    write: Callable[[Any], Any]


def _read_text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_TEXT:
        raise _bad_value(name, value, f"text of 1 to {_MAX_TEXT} characters")
    # Names reach terminals and logs: no escape sequence, no line that was not ours.
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in value):
        raise _bad_value(name, value, "text without control characters")
    return value


def _read_count(value: Any, name: str) -> int:
    if type(value) is not int or not 1 <= value < 2**53:
        raise _bad_value(name, value, "an integer from 1 to 2^53 - 1")
    return value


def _read_nonce(value: Any, name: str) -> bytes:
    if not isinstance(value, str) or not _HEX32.fullmatch(value):
        raise _bad_value(name, value, "64 hexadecimal digits, lower case")
    return bytes.fromhex(value)


def _read_digest(value: Any, name: str) -> bytes:
    if not isinstance(value, str) or not value.startswith("sha256:"):
        raise _bad_value(name, value, "sha256: and 64 hexadecimal digits, lower case")
    return _read_nonce(value.removeprefix("sha256:"), name)


def _read_key_configs(value: Any, name: str) -> bytes:
    if not isinstance(value, str) or not _BASE64URL.fullmatch(value):
        raise _bad_value(name, value, "base64url without padding")
    try:
        raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except binascii.Error:
        raise _bad_value(name, value, "base64url without padding") from None
    if _write_base64(raw) != value:
        raise _bad_value(name, value, "base64url with unused bits zero")
    if len(raw) > _MAX_KEY_CONFIGS:
        raise _bad_value(name, f"{len(raw)} bytes", f"at most {_MAX_KEY_CONFIGS} bytes")
    return raw


def _read_time(value: Any, name: str) -> datetime:
    try:
        if isinstance(value, str) and _TIME.fullmatch(value):
            return datetime(int(value[:4]), int(value[5:7]), int(value[8:10]), int(value[11:13]), int(value[14:16]),
                            int(value[17:19]), tzinfo=UTC)  # fmt: skip
    except ValueError:  # the 31st of February
        pass
    raise _bad_value(name, value, "YYYY-MM-DDTHH:MM:SSZ")


def _read_layers(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MAX_LAYERS:
        raise _bad_value(name, value, f"an array of at most {_MAX_LAYERS} texts")
    layers = tuple(_read_text(layer, name) for layer in value)
    if len(set(layers)) != len(layers):
        raise _bad_value(name, value, "no layer twice")
    return layers


def _write_base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _write_time(value: datetime) -> str:
    if value.tzinfo is None or value.microsecond:
        raise _bad_value("time", value.isoformat(), "a timezone-aware time in whole seconds")
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _same(value: Any) -> Any:
    return value


_TEXT = _Form(_read_text, _same)
_COUNT = _Form(_read_count, _same)
_DIGEST = _Form(_read_digest, lambda value: f"sha256:{value.hex()}")
_INSTANT = _Form(_read_time, _write_time)

_FORMS: dict[str, _Form] = {
    "nonce": _Form(_read_nonce, bytes.hex),
    "key_configs": _Form(_read_key_configs, _write_base64),
    "model_name": _TEXT,
    "model_version": _COUNT,
    "model_digest": _DIGEST,
    "package_digest": _DIGEST,
    "engine_name": _TEXT,
    "engine_version": _TEXT,
    "engine_config_digest": _DIGEST,
    "sandbox_layers": _Form(_read_layers, list),
    "software_version": _TEXT,
    "created_at": _INSTANT,
    "not_after": _INSTANT,
    "devices": _Form(read_devices, write_devices),
}
