"""The attestation document: a COSE_Sign1 over a CBOR map (AWS, "Validating attestation documents", section 3.1).

The module writes a map of indefinite length and older ones wrote a definite one, so the encoding is free; members,
types and sizes are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from sealroom.cbor import CborKey, CborValue, read_cbor
from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Evidence, Tee
from sealroom.tees._cose.sign1 import Sign1, parse_sign1

__all__ = ["NitroDocument", "NitroEvidence", "parse"]

_DIGEST, _PCR_SIZE = "SHA384", 48
"""The only one that the documentation allows; the module's own interface knows others, which no module uses."""
_MUST = frozenset({"module_id", "digest", "timestamp", "certificate", "cabundle"})
_PCRS = ("pcrs", "nitrotpm_pcrs")
"""Of an enclave, and of an instance with a NitroTPM."""
_OPTIONAL = {"public_key": (1, 1024), "user_data": (0, 512), "nonce": (0, 512)}
"""Members that may be absent or null, and how many bytes they can have otherwise."""
_MAX_PCR = 31
_MAX_CERTIFICATE = 1024
_MAX_BUNDLE = 8
_MAX_MODULE = 256
_MAX_PAYLOAD = 16384
_LATEST_MS = 253402300799_000
"""The end of the year 9999."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class NitroDocument:
    """The document's members. Untrusted until `verify` has said otherwise."""

    module_id: str
    digest: str
    timestamp_ms: int
    """Milliseconds since 1970, UTC."""
    pcrs: Mapping[int, bytes]
    """As many as the module gives; one that is absent equals nothing."""
    is_nitro_tpm: bool
    """Whether they are of an instance with a NitroTPM (``nitrotpm_pcrs``) and not of an enclave (``pcrs``)."""
    certificate: bytes = field(repr=False)
    """DER, of the key that signs."""
    cabundle: tuple[bytes, ...] = field(repr=False)
    """DER, root first."""
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None


@dataclass(frozen=True, kw_only=True)
class NitroEvidence(Evidence):
    """A document, parsed. Everything here is read from `raw` when this is made."""

    tee: Tee = Tee.NITRO
    message: Sign1 = field(init=False, repr=False)
    document: NitroDocument = field(init=False)

    def __post_init__(self) -> None:
        if self.tee is not Tee.NITRO:
            raise MisuseError("nitro.other-tee", "a Nitro document is of the TEE nitro", got=self.tee.value)
        message = parse_sign1(self.raw, area="nitro")
        object.__setattr__(self, "message", message)
        object.__setattr__(self, "document", _document(message))


def parse(raw: bytes) -> NitroEvidence:
    """Read an attestation document, tagged or not.

    Raises:
        MalformedError: ``nitro.*``: the bytes are no such document.
    """
    return NitroEvidence(raw=bytes(raw))


def _document(message: Sign1) -> NitroDocument:
    if message.unprotected or set(message.protected) != {1}:
        raise _bad("headers", "the message has other headers than the algorithm", None)
    if len(message.payload) > _MAX_PAYLOAD:
        raise _bad("document", "the payload is larger than any", f"{len(message.payload)} bytes",
                   f"at most {_MAX_PAYLOAD}")  # fmt: skip
    members = read_cbor(message.payload, area="nitro")
    if not isinstance(members, dict):
        raise _bad("document", "the payload is not a map", None)
    kind = _require_members(members)
    digest = _typed(members, "digest", str)
    if digest != _DIGEST:
        raise _bad("digest", "the PCRs are of a digest that no module has", ascii(digest)[:40], _DIGEST)
    return NitroDocument(
        module_id=_module_id(members),
        digest=digest,
        timestamp_ms=_timestamp(members),
        pcrs=_pcrs(_typed(members, kind, dict)),
        is_nitro_tpm=kind == "nitrotpm_pcrs",
        certificate=_sized(members["certificate"], "certificate", _MAX_CERTIFICATE),
        cabundle=_cabundle(_typed(members, "cabundle", list)),
        public_key=_optional(members, "public_key"),
        user_data=_optional(members, "user_data"),
        nonce=_optional(members, "nonce"),
    )


def _require_members(members: dict[CborKey, CborValue]) -> str:
    """Which of the two kinds of PCRs the document has."""
    kinds = [kind for kind in _PCRS if kind in members]
    known = _MUST | set(_PCRS) | set(_OPTIONAL)
    if len(kinds) != 1 or not set(members) >= _MUST:
        raise _bad("member", "the document lacks a member", ", ".join(sorted(map(str, members))),
                   ", ".join(sorted(_MUST)) + ", pcrs")  # fmt: skip
    if unknown := [key for key in members if key not in known]:
        raise _bad("member", "the document has a member that is not known", ascii(unknown[0])[:80])
    return kinds[0]


def _module_id(members: dict[CborKey, CborValue]) -> str:
    name = _typed(members, "module_id", str)
    if not 1 <= len(name) <= _MAX_MODULE or not name.isascii() or not name.isprintable():
        raise _bad("module-id", "the module has no name", ascii(name)[:80])
    return name


def _timestamp(members: dict[CborKey, CborValue]) -> int:
    value = _typed(members, "timestamp", int)
    if not 0 < value <= _LATEST_MS:
        raise _bad("timestamp", "the document has no time", value)
    return value


def _pcrs(given: dict[CborKey, CborValue]) -> Mapping[int, bytes]:
    found: dict[int, bytes] = {}
    for index, value in given.items():
        if not isinstance(index, int) or not 0 <= index <= _MAX_PCR:
            raise _bad("pcr", "there is no such PCR", ascii(index)[:40], f"0 to {_MAX_PCR}")
        if not isinstance(value, bytes) or len(value) != _PCR_SIZE:
            raise _bad("pcr", f"PCR{index} is not as long as its digest", None, f"{_PCR_SIZE} bytes")
        found[index] = value
    if not found:
        raise _bad("pcr", "the document has no PCRs", 0)
    return MappingProxyType(found)


def _cabundle(given: list[CborValue]) -> tuple[bytes, ...]:
    if not 1 <= len(given) <= _MAX_BUNDLE:
        raise _bad("cabundle", "the chain has a wrong number of certificates", len(given), f"1 to {_MAX_BUNDLE}")
    return tuple(_sized(one, "cabundle", _MAX_CERTIFICATE) for one in given)


def _optional(members: dict[CborKey, CborValue], name: str) -> bytes | None:
    value = members.get(name)
    least, most = _OPTIONAL[name]
    return None if value is None else _sized(value, name, most, least=least)


def _sized(value: CborValue, name: str, most: int, *, least: int = 1) -> bytes:
    if not isinstance(value, bytes) or not least <= len(value) <= most:
        raise _bad(name.replace("_", "-"), f"{name} is no byte string of a length that it can have",
                   f"{len(value)} bytes" if isinstance(value, bytes) else type(value).__name__,
                   f"{least} to {most} bytes")  # fmt: skip
    return value


def _typed(members: dict[CborKey, CborValue], name: str, kind: type[T]) -> T:
    value = members[name]
    if isinstance(value, bool) or not isinstance(value, kind):
        raise _bad(name.replace("_", "-"), f"{name} is of another type", type(value).__name__, kind.__name__)
    return value


def _bad(what: str, message: str, got: object, expected: object = None) -> MalformedError:
    return MalformedError(f"nitro.{what}", message, got=got, expected=expected)
