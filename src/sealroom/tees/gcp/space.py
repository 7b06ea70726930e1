"""What a Confidential Space token says, member by member (Google Cloud, "Confidential Space token claims").

Nothing here is believed: `claims` reads tokens through this, once they are verified.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sealroom.errors import MalformedError
from sealroom.tees._token import member

__all__ = ["image_of", "is_debug", "is_overridden", "nonce_of", "support_of", "tcb_of", "text_of", "token_details"]

_NO_DEBUG = "disabled-since-boot"
_CONTAINER, _SPACE, _GCE, _GPU = "container", "confidential_space", "gce", "nvidia_gpu"
_DATE = "%Y-%m-%dT%H:%M:%SZ"


def is_debug(said: Mapping[str, Any]) -> bool:
    """Whether it is the debug image, or there was a debugger since boot."""
    return said.get("dbgstat") != _NO_DEBUG


def is_overridden(said: Mapping[str, Any]) -> bool:
    """Whether who started the workload gave it environment or arguments of their own."""
    return any(_at(said, "submods", _CONTAINER, name, kind=kind)
               for name, kind in (("env_override", dict), ("cmd_override", list)))  # fmt: skip


def support_of(said: Mapping[str, Any]) -> tuple[str, ...]:
    """How Google supports the image: ``STABLE`` … A debug image has none."""
    found = _at(said, "submods", _SPACE, "support_attributes", kind=list) or []
    return tuple(sorted(str(one) for one in found))


def image_of(said: Mapping[str, Any]) -> bytes | None:
    """The digest of the workload's container; None: not said, or not as SHA-256."""
    text = (text_of(said, "submods", _CONTAINER, "image_digest") or "").removeprefix("sha256:")
    return bytes.fromhex(text) if _is_digest(text) else None


def nonce_of(said: Mapping[str, Any]) -> bytes:
    """The one nonce: the bytes of 64 hexadecimal digits, otherwise the text as it is; of several, none."""
    value = _alone(said.get("eat_nonce"))
    if not isinstance(value, str):
        return b""
    return bytes.fromhex(value) if _is_digest(value) else value.encode()


def tcb_of(said: Mapping[str, Any]) -> tuple[str | None, datetime | None]:
    """TCB status and date of a TDX machine, in Intel's words, as they were when Google took its firmware into use.

    Raises:
        MalformedError: ``gcp.token-claim``: several, or of another type.
    """
    found = {"tdx": _alone(said.get("tdx"))}
    status, date = (text_of(found, "tdx", f"gcp_attester_tcb_{name}") for name in ("status", "date"))
    try:
        return status, None if date is None else datetime.strptime(date, _DATE).replace(tzinfo=UTC)
    except ValueError:
        raise MalformedError("gcp.token-claim", "a date is none", where="tdx.gcp_attester_tcb_date",
                             got=ascii(date)[:40], expected="2024-03-13T00:00:00Z") from None  # fmt: skip


def token_details(said: Mapping[str, Any]) -> dict[str, str | int]:
    """Facts that a policy may name. Of several audiences, all of them with spaces between, which equal no one's."""
    audience = _alone(said.get("aud"))
    found = {
        "issuer": text_of(said, "iss"), "audience": audience if isinstance(audience, str) else _words(audience),
        "swname": text_of(said, "swname"), "dbgstat": text_of(said, "dbgstat"), "hardware": text_of(said, "hwmodel"),
        "software_version": _words(_at(said, "swversion", kind=list)),
        "image_digest": text_of(said, "submods", _CONTAINER, "image_digest"),
        "image_reference": text_of(said, "submods", _CONTAINER, "image_reference"),
        **{name: text_of(said, "submods", _GCE, name)
           for name in ("project_id", "project_number", "zone", "instance_id", "instance_name")},
        "service_accounts": _words(_at(said, "google_service_accounts", kind=list)),
        "support_attributes": " ".join(support_of(said)) or None,
        "gpu_mode": text_of(said, "submods", _GPU, "cc_mode"),
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def text_of(said: Mapping[str, Any], *path: str) -> str | None:
    """The text at ``path``; None where it is absent.

    Raises:
        MalformedError: ``gcp.token-claim``: it is of another type.
    """
    value = _at(said, *path, kind=str)
    return None if value is None else str(value)


def _at(said: Mapping[str, Any], *path: str, kind: type) -> Any:
    return member(said, *path, kind=kind, area="gcp")


def _alone(value: Any) -> Any:
    """What stands alone in a list, in place of the list: the service writes either."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _words(found: Any) -> str | None:
    """A list of texts as one, in order of the alphabet; None if it is empty or not there."""
    return " ".join(sorted(str(one) for one in found)) or None if isinstance(found, list) else None


def _is_digest(text: str) -> bool:
    return len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)
