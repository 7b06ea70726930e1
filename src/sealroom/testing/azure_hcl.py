"""HCL reports as Azure's paravisor keeps them in the vTPM, each member to be changed (`tees.azure_vtpm.hcl`)."""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from sealroom.evidence import Tee
from sealroom.tees._dcap.layouts import TD_REPORT_10
from sealroom.testing.tokens import base64url

__all__ = ["HclForm", "jwk_of", "runtime_members", "tdreport_of"]

_SIZE, _HARDWARE, _TDREPORT = 2600, 1184, 1024
_KINDS = {Tee.SNP: 2, Tee.TDX: 4}
_TDREPORT_TYPE, _REPORT_DATA_AT, _TDINFO_AT = 0x81, 128, 512
_TDINFO = ("td_attributes", "xfam", "mr_td", "mr_config_id", "mr_owner", "mr_owner_config", "rtmr0", "rtmr1", "rtmr2",
           "rtmr3")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HclForm:
    """What goes into a report. Change one member with `dataclasses.replace` to have one fault."""

    inner: Tee
    hardware: bytes = field(repr=False)
    """An SNP report, or a TDREPORT."""
    runtime: bytes = field(repr=False)
    """The JSON."""
    magic: bytes = b"HCLA"
    version: int = 1
    request: int = 2
    status: int = 0
    reserved: bytes = bytes(12)
    runtime_version: int = 1
    kind: int | None = None
    """Of the hardware's report; None: as `inner` has it."""
    hash_type: int = 1
    data_size: int | None = None
    length: int | None = None
    """Of the JSON, as the report says it; None: as it is."""
    padding: bytes = b""
    """The first bytes behind the JSON, which are to be zero."""
    size: int = _SIZE

    def encode(self) -> bytes:
        """The contents of the NV index."""
        length = len(self.runtime) if self.length is None else self.length
        data_size = length + 20 if self.data_size is None else self.data_size
        kind = _KINDS[self.inner] if self.kind is None else self.kind
        used = 32 + _HARDWARE + 20 + len(self.runtime)
        header = self.magic + struct.pack("<4I", self.version, used, self.request, self.status) + self.reserved
        block = struct.pack("<5I", data_size, self.runtime_version, kind, self.hash_type, length)
        raw = header + self.hardware.ljust(_HARDWARE, b"\x00") + block + self.runtime + self.padding
        return raw.ljust(self.size, b"\x00")


def runtime_members(
    key: rsa.RSAPublicKey, endorsement: rsa.RSAPublicKey, *, vm_id: str, secure_boot: bool = True,
    user_data: bytes = bytes(64),
) -> dict[str, Any]:  # fmt: skip
    """What the runtime data of an unremarkable VM says."""
    return {
        "keys": [jwk_of(key, "HCLAkPub", "sign"), jwk_of(endorsement, "HCLEkPub", "encrypt")],
        "vm-configuration": {"console-enabled": True, "secure-boot": secure_boot, "tpm-enabled": True,
                             "tpm-persisted": True, "vmUniqueId": vm_id},
        "user-data": user_data.hex().upper(),
    }  # fmt: skip


def jwk_of(key: rsa.RSAPublicKey, kid: str, use: str) -> dict[str, Any]:
    """A key of the vTPM."""
    numbers = key.public_numbers()
    return {"kid": kid, "key_ops": [use], "kty": "RSA", "e": "AQAB", "n": base64url(numbers.n.to_bytes(256, "big"))}


def digest_data(runtime: bytes, hash_type: int = 1) -> bytes:
    """The report data that binds ``runtime``: its hash, then zeros."""
    algorithm = {1: "sha256", 2: "sha384", 3: "sha512"}[hash_type]
    return hashlib.new(algorithm, runtime).digest().ljust(64, b"\x00")


def runtime_text(members: Mapping[str, Any]) -> bytes:
    """The JSON as the paravisor writes it."""
    return json.dumps(members, separators=(",", ":")).encode()


def tdreport_of(body: bytes) -> bytes:
    """The TDREPORT (TDX module ABI, TDREPORT_STRUCT) that a quote with ``body`` (TD 1.0) was made of.

    Its MAC, which the quoting enclave alone can check, is zero.
    """
    values = TD_REPORT_10.parse(body)
    raw = bytearray(_TDREPORT)
    raw[0] = _TDREPORT_TYPE
    raw[_REPORT_DATA_AT : _REPORT_DATA_AT + 64] = values.octets("report_data")
    info = b"".join(
        value.to_bytes(8, "little") if isinstance(value := values[name], int) else value for name in _TDINFO
    )
    raw[_TDINFO_AT : _TDINFO_AT + len(info)] = info
    return bytes(raw)
