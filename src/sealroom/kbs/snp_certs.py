"""The ``cert_chain`` of SNP evidence, to and from `Collateral`. ``spec/key-release.md`` section 4."""

import base64
from collections.abc import Iterator
from typing import cast

from sealroom.errors import MalformedError
from sealroom.evidence import Collateral
from sealroom.kbs.json_text import Json
from sealroom.pem import as_pem

__all__ = ["byte_list", "parse_cert_chain", "unreadable", "write_cert_chain"]

_CHAIN_TYPES = ("VCEK", "VLEK", "ASK", "ARK", "CRL")
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


def parse_cert_chain(chain: Json) -> Collateral:
    """The certificates by the role that they play; which of them are good is not asked here."""
    if chain is None:
        return Collateral(items={})
    if not isinstance(chain, list):
        raise unreadable("cert_chain", "it is not a list")
    found: dict[str, bytes] = {}
    for entry in chain:
        if not isinstance(entry, dict):
            raise unreadable("cert_chain", "it has an item that is not an object")
        kind = entry.get("cert_type")
        if isinstance(kind, str) and kind in _CHAIN_TYPES:
            if kind in found:
                raise unreadable("cert_chain", f"it has two of type {kind}")
            found[kind] = _der(byte_list(entry.get("data"), "cert_chain.data"))
    return _by_role(found)


def _by_role(found: dict[str, bytes]) -> Collateral:
    if "VCEK" in found and "VLEK" in found:
        raise unreadable("cert_chain", "it has both a VCEK and a VLEK")
    items: dict[str, bytes] = {}
    for kind in {"VCEK", "VLEK"} & found.keys():
        items["leaf"] = found[kind]
    if chain := [found[name] for name in ("ASK", "ARK") if name in found]:
        items["chain"] = as_pem(*chain)
    if "CRL" in found:
        items["crl"] = found["CRL"]
    return Collateral(items=items)


def write_cert_chain(collateral: Collateral, *, vlek: bool) -> list[Json]:
    """The list for ``collateral``; ``vlek`` says of which kind the leaf is."""
    items = collateral.items
    by_type = {}
    if "leaf" in items:
        by_type["VLEK" if vlek else "VCEK"] = items["leaf"]
    by_type |= dict(zip(("ASK", "ARK"), _pem_blocks(items.get("chain", b"")), strict=False))
    if "crl" in items:
        by_type["CRL"] = items["crl"]
    return [{"cert_type": kind, "data": list(data)} for kind, data in by_type.items()]


def _pem_blocks(text: bytes) -> Iterator[bytes]:
    for block in text.split(_BEGIN)[1:]:
        yield _der(_BEGIN + block)


def _der(data: bytes) -> bytes:
    """DER as it is; a single PEM certificate, as some hosts hand out, taken out of its wrapping."""
    if not data.lstrip().startswith(_BEGIN):
        return data
    body = data.split(_BEGIN, 1)[1].split(_END, 1)[0]
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except ValueError as error:
        raise unreadable("cert_chain", "it has PEM that is not base64") from error


def byte_list(value: Json, name: str, size: int | None = None) -> bytes:
    """The bytes that a list of numbers stands for; of exactly ``size``, if given."""
    if not isinstance(value, list) or (size is not None and len(value) != size):
        raise unreadable(
            name, "it is not a list of numbers" if size is None else f"it is not a list of {size} numbers"
        )
    try:
        if any(kind is not int for kind in set(map(type, value))):  # True is no number here
            raise unreadable(name, "it has an item that is not a byte")
        return bytes(cast(list[int], value))
    except ValueError as error:
        raise unreadable(name, "it has an item that is not a byte") from error


def unreadable(name: str, why: str) -> MalformedError:
    """The error for one member of the evidence."""
    return MalformedError("kbs.snp-evidence", f"{name} of the SNP evidence can not be read: {why}")
