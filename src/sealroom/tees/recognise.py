"""Which TEE a bare piece of evidence is of, by how it begins. Decides nothing: the parser of that TEE does.

An SNP report begins with its version in four bytes; a quote with its version in two, the type of its attestation key
in two, which is never zero, and its TEE type in four; a GPU's report with the SPDM request that it answers. Tokens
say in their claims who issued them, COSE messages by the kind of their claims' names.
"""

import json

from sealroom.cbor import CborValue, Tagged, read_cbor
from sealroom.errors import SealroomError
from sealroom.evidence import Tee
from sealroom.jose import parse_jwt

__all__ = ["recognise"]

_SNP_SIZE, _SNP_VERSIONS = 0x4A0, range(2, 6)
_QUOTE_VERSIONS, _HEADER_SIZE = range(3, 6), 48
_QUOTES = {0x00: Tee.SGX, 0x81: Tee.TDX}
_SPDM = bytes((0x11, 0xE0, 0x01, 0xFF))
_CCA_TAGS = (399, 907)
_ISSUERS = {"attest.azure.net": Tee.AZURE_VTPM, "attest.azure.us": Tee.AZURE_VTPM,
            "confidentialcomputing.googleapis.com": Tee.GCP}  # fmt: skip
_LARGEST = 4 * 1024 * 1024
_PROTOBUF_FIRST = 0x0A
"""Field 1, a message: the public key with which Google's attestation begins."""


def recognise(raw: bytes) -> Tee | None:  # noqa: PLR0911 - one row for each beginning
    """The TEE that ``raw`` looks like evidence of; None if of none."""
    if not 4 <= len(raw) <= _LARGEST:
        return None
    if raw[:4] == _SPDM:
        return Tee.NVIDIA
    if raw[:3] == b"eyJ":
        return _of_token(raw)
    if raw[:1] in {b"{", b"["}:
        return _of_json(raw)
    if raw[0] in {0x84, 0x9F, 0xD2, 0xD8, 0xD9}:
        return _of_cbor(raw)
    if raw[0] == _PROTOBUF_FIRST and raw[1] != 0:
        return Tee.GCP
    return _of_quote(raw)


def _of_quote(raw: bytes) -> Tee | None:
    version, key_type, tee_type = (int.from_bytes(raw[at:end], "little") for at, end in ((0, 2), (2, 4), (4, 8)))
    if key_type == 0:
        return Tee.SNP if version in _SNP_VERSIONS or (version and len(raw) == _SNP_SIZE) else None
    if version in _QUOTE_VERSIONS and len(raw) >= _HEADER_SIZE:
        return _QUOTES.get(tee_type)
    return None


def _of_token(raw: bytes) -> Tee | None:
    try:
        issuer = str(parse_jwt(raw, area="recognise").claims.get("iss"))
    except SealroomError:
        return None
    return next((tee for end, tee in _ISSUERS.items() if issuer.rstrip("/").endswith(end)), None)


def _of_json(raw: bytes) -> Tee | None:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, list):
        return Tee.NVIDIA
    if {"quote", "report", "vcek"} <= document.keys():
        return Tee.AZURE_VTPM  # of an agent that knew no versions
    if "tpm_quote" not in document:
        return None
    return Tee.AZURE_VTPM if "hcl_report" in document else Tee.TPM


def _of_cbor(raw: bytes) -> Tee | None:
    try:
        value = read_cbor(raw)
        if isinstance(value, Tagged) and value.tag in _CCA_TAGS:
            return Tee.CCA
        while isinstance(value, Tagged):  # a CWT has two
            value = value.value
        return _of_message(value)
    except SealroomError:
        return None


def _of_message(message: CborValue) -> Tee | None:
    """Nitro's claims have names, PSA's numbers."""
    if not isinstance(message, list) or len(message) != 4 or not isinstance(message[2], bytes):
        return None
    claims = read_cbor(message[2])
    if not isinstance(claims, dict):
        return None
    return Tee.NITRO if "module_id" in claims else Tee.CCA if all(isinstance(key, int) for key in claims) else None
