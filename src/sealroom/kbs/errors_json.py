"""The error body: ``{"type", "detail"}``, and the reason codes at the end of the detail. Section 10."""

import re
from dataclasses import dataclass
from enum import StrEnum

from sealroom.errors import MalformedError, SealroomError
from sealroom.evidence import PolicyRefusedError
from sealroom.kbs.json_text import compact, parse_object, text_member

__all__ = ["ERROR_TYPE", "ErrorName", "ErrorReply", "detail_of", "parse_error", "write_error"]

ERROR_TYPE = "https://github.com/confidential-containers/kbs/errors/"

_CODES = re.compile(r"\[([a-z0-9.-]{1,64})\]")


class ErrorName(StrEnum):
    """The names of Trustee's errors that we answer with."""

    SERDE = "SerdeError"
    ATTESTATION = "AttestationError"
    TOKEN_NOT_FOUND = "TokenNotFound"  # noqa: S105 -- a name on the wire
    TOKEN_VERIFIER = "TokenVerifierError"  # noqa: S105
    POLICY_DENY = "PolicyDeny"
    ADMIN_AUTH = "AdminAuthAccess"
    PLUGIN_INTERNAL = "PluginInternalError"
    PLUGIN_NOT_FOUND = "PluginNotFound"
    INVALID_PATH = "InvalidRequestPath"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReply:
    """An error as a client reads it. The text is the other side's: show it, never act on it."""

    name: str
    detail: str
    codes: tuple[str, ...]


def detail_of(error: SealroomError) -> str:
    """What an outsider may read of ``error``: the sentence and the codes, never what was found or wanted."""
    codes = [error.code]
    if isinstance(error, PolicyRefusedError):
        codes = list(dict.fromkeys(check.code for check in error.appraisal.failures)) or codes
    return f"{error.message}" + "".join(f" [{code}]" for code in codes)


def write_error(name: ErrorName, detail: str) -> bytes:
    """The body of a refusal."""
    return compact({"type": ERROR_TYPE + name, "detail": detail})


def parse_error(raw: bytes) -> ErrorReply:
    """Read a refusal, ours or Trustee's (whose details carry no codes)."""
    obj = parse_object(raw, what="the error body")
    kind, detail = (text_member(obj, name, what="the error body") for name in ("type", "detail"))
    if not kind.startswith(ERROR_TYPE):
        raise MalformedError("kbs.error-type", "the error body is of an unknown type")
    printable = "".join(char if char.isprintable() else "?" for char in detail[:1000])
    name = kind.removeprefix(ERROR_TYPE)[:64]
    return ErrorReply(name=name, detail=printable, codes=tuple(_CODES.findall(printable)))
