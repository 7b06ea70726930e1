"""The messages of the handshake. ``spec/key-release.md`` section 2.

Strict where a second reading could be abused, tolerant where stock clients differ (``extra-params``, an absent
``init-data`` or ``additional_evidence``).
"""

import re
from dataclasses import dataclass, field
from typing import cast

from sealroom.errors import MalformedError, RefusedError
from sealroom.kbs.json_text import (
    Json,
    JsonObject,
    b64_decode,
    b64_encode,
    compact,
    members,
    parse_object,
    text_member,
)

__all__ = [
    "COOKIE",
    "NONCE_SIZE",
    "PREFIX",
    "PROTOCOL_VERSION",
    "Attestation",
    "Request",
    "ResourceId",
    "parse_attestation",
    "parse_challenge",
    "parse_request",
    "parse_token",
    "write_challenge",
]

PROTOCOL_VERSION = "0.4.0"
PREFIX = "/kbs/v0"
COOKIE = "kbs-session-id"
NONCE_SIZE = 32

_VERSION = re.compile(r"0\.4\.(0|[1-9][0-9]{0,5})")
_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class ResourceId:
    """``<repository>/<type>/<tag>``: what a key is called. Three segments, none of them ``..``."""

    repository: str
    type: str
    tag: str

    def __str__(self) -> str:
        return f"{self.repository}/{self.type}/{self.tag}"

    @classmethod
    def parse(cls, text: str) -> "ResourceId":
        """Read ``models/smollm2/v1`` or ``kbs:///models/smollm2/v1``."""
        segments = text.removeprefix("kbs:///").split("/")
        if len(segments) != 3 or not all(_SEGMENT.fullmatch(segment) for segment in segments):
            raise MalformedError("kbs.resource-id", "a resource is named by three segments", got=repr(text[:200]),
                                 expected="<repository>/<type>/<tag>, each of letters, digits and _ . -")  # fmt: skip
        return cls(*segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a guest says first: which kind of hardware it is."""

    tee: str
    """The protocol's name: ``snp``, ``az-tdx-vtpm`` …"""

    def encode(self) -> bytes:
        """As the client sends it."""
        hashes: list[Json] = ["sha256", "sha384", "sha512", "sm3"]
        extra: JsonObject = {"supported-hash-algorithms": hashes}
        return compact({"version": PROTOCOL_VERSION, "tee": self.tee, "extra-params": extra})


def parse_request(raw: bytes) -> Request:
    """Read the body of ``/auth``.

    Raises:
        MalformedError: not a request.
        RefusedError: ``kbs.protocol-version``.
    """
    body = parse_object(raw, what="the request")
    optional = frozenset({"extra-params"})
    obj = members(body, what="the request", required=frozenset({"version", "tee"}), optional=optional)
    version, tee = text_member(obj, "version", what="the request"), text_member(obj, "tee", what="the request")
    if not _VERSION.fullmatch(version):
        raise RefusedError("kbs.protocol-version", "this version of the KBS protocol is not spoken here",
                           got=repr(version[:32]), expected=PROTOCOL_VERSION,
                           hint="0.4.0 came with guest-components of June 2025: use those or newer")  # fmt: skip
    if not re.fullmatch(r"[a-z0-9-]{1,32}", tee):
        raise MalformedError("kbs.tee", "tee is not a name")
    return Request(tee=tee)


def write_challenge(nonce: bytes) -> bytes:
    """The answer to ``/auth``; ``extra-params`` is the empty string for every TEE that is served."""
    return compact({"nonce": b64_encode(nonce), "extra-params": ""})


def parse_challenge(raw: bytes) -> str:
    """The nonce of a challenge, as text: it is hashed and sent back as it came."""
    obj = parse_object(raw, what="the challenge")
    nonce = text_member(obj, "nonce", what="the challenge")
    if len(b64_decode(nonce, what="nonce")) < NONCE_SIZE:
        raise MalformedError("kbs.nonce", "the nonce is too short", expected=f"{NONCE_SIZE} bytes")
    extra = obj.get("extra-params")
    if isinstance(extra, dict) and extra.get("selected-hash-algorithm", "sha384") != "sha384":
        raise MalformedError("kbs.hash-algorithm", "the broker asks for another hash than SHA-384")
    return nonce


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """The body of ``/attest``: evidence, and what it vouches for."""

    runtime_data: JsonObject = field(repr=False)
    """``{"nonce": string, "tee-pubkey": object}``, verbatim."""
    primary_evidence: JsonObject = field(repr=False)
    additional_evidence: str = field(default="", repr=False)
    init_data: bytes | None = field(default=None, repr=False)

    @property
    def nonce(self) -> str:
        """The nonce, as text."""
        return cast(str, self.runtime_data["nonce"])

    @property
    def tee_pubkey(self) -> JsonObject:
        """The key that the evidence vouches for, as its JWK."""
        return cast(JsonObject, self.runtime_data["tee-pubkey"])

    def encode(self) -> bytes:
        """As the client sends it."""
        init: Json = None if self.init_data is None else {"format": "toml", "body": self.init_data.decode("utf-8")}
        evidence: JsonObject = {
            "primary_evidence": self.primary_evidence,
            "additional_evidence": self.additional_evidence,
        }
        return compact({"init-data": init, "runtime-data": self.runtime_data, "tee-evidence": evidence})


def parse_attestation(raw: bytes) -> Attestation:
    """Read the body of ``/attest``."""
    body = members(
        parse_object(raw, what="the attestation"), what="the attestation",
        required=frozenset({"runtime-data", "tee-evidence"}), optional=frozenset({"init-data"}),
    )  # fmt: skip
    runtime = members(body["runtime-data"], what="runtime-data", required=frozenset({"nonce", "tee-pubkey"}))
    evidence = members(body["tee-evidence"], what="tee-evidence", required=frozenset({"primary_evidence"}),
                       optional=frozenset({"additional_evidence"}))  # fmt: skip
    text_member(runtime, "nonce", what="runtime-data")
    primary = evidence["primary_evidence"]
    if not isinstance(runtime["tee-pubkey"], dict) or not isinstance(primary, dict):
        raise MalformedError("kbs.member-type", "tee-pubkey and primary_evidence are objects")
    evidence.setdefault("additional_evidence", "")
    return Attestation(
        runtime_data=runtime,
        primary_evidence=primary,
        additional_evidence=text_member(evidence, "additional_evidence", what="tee-evidence"),
        init_data=_init_data(body.get("init-data")),
    )


def _init_data(value: Json) -> bytes | None:
    if value is None:
        return None
    obj = members(value, what="init-data", required=frozenset({"format", "body"}))
    if obj["format"] != "toml":
        raise MalformedError("kbs.init-data-format", "init-data has an unknown format", expected="toml")
    return text_member(obj, "body", what="init-data").encode("utf-8")


def parse_token(raw: bytes) -> str:
    """The token of the answer to ``/attest``; opaque to a client."""
    return text_member(parse_object(raw, what="the answer to /attest"), "token", what="the answer to /attest")
