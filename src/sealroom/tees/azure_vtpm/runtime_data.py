"""The runtime data: JSON with the vTPM's keys, the VM's configuration, and 64 bytes of the guest's choice."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from sealroom.errors import MalformedError
from sealroom.jose import read_json

__all__ = ["RuntimeData", "read_runtime_data"]

_AK = "HCLAkPub"
_USER_DATA_SIZE = 64
_NUMBER = re.compile(r"[A-Za-z0-9_-]+={0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeData:
    """What the runtime data says; as good as the hardware's report data that is a hash of it."""

    key: rsa.RSAPublicKey
    """The vTPM's attestation key."""
    configuration: Mapping[str, str | bool | int] = field(repr=False)
    """``secure-boot``, ``tpm-enabled``, ``vmUniqueId`` …"""
    user_data: str | None
    """Hexadecimal, as it stands there."""


def read_runtime_data(raw: bytes) -> RuntimeData:
    """Read the JSON, member by member: their order changes from version to version.

    Raises:
        MalformedError: ``azure-vtpm.runtime-json``, ``azure-vtpm.token``.
    """
    document = read_json(raw, area="azure-vtpm")
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise _bad("the runtime data is no object with keys")
    found = [key for key in document["keys"] if isinstance(key, dict) and key.get("kid") == _AK]
    if len(found) != 1:
        raise _bad(f"the runtime data has not exactly one key {_AK}")
    return RuntimeData(
        key=_rsa(found[0]), configuration=_configuration(document.get("vm-configuration")),
        user_data=_user_data(document.get("user-data")),
    )  # fmt: skip


def _rsa(jwk: Mapping[str, Any]) -> rsa.RSAPublicKey:
    n, e = (_number(jwk.get(name)) for name in ("n", "e"))
    if jwk.get("kty") != "RSA" or not 2048 <= n.bit_length() <= 4096 or not n & 1 or e != 65537:
        raise _bad("the vTPM's key is no RSA key of 2048 to 4096 bits")
    try:
        return rsa.RSAPublicNumbers(e, n).public_key()
    except ValueError:
        raise _bad("the vTPM's key is none") from None


def _number(value: Any) -> int:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise _bad("a key lacks a number in base64url")
    try:
        raw = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _bad("a number of a key is not base64url") from None
    return int.from_bytes(raw, "big")


def _configuration(value: Any) -> Mapping[str, str | bool | int]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _bad("the configuration is no object")
    return {name: item for name, item in value.items() if isinstance(item, str | bool | int)}


def _user_data(value: Any) -> str | None:
    if value is None:
        return None
    try:
        if isinstance(value, str) and len(bytes.fromhex(value)) == _USER_DATA_SIZE:
            return value
    except ValueError:
        pass
    raise _bad("the user data is not 64 bytes in hexadecimal")


def _bad(message: str) -> MalformedError:
    return MalformedError("azure-vtpm.runtime-json", message)
