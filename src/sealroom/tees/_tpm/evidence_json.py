"""The JSON in which Confidential Containers' agents carry quotes: strict, and tolerant of its two spellings only.

Numbers are octets in hexadecimal, in base64 with or without its URL alphabet; version 1 of Azure's evidence had
arrays of integers in some fields.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from sealroom.errors import MalformedError
from sealroom.jose import read_json
from sealroom.tees._tpm.attest import QuoteAttest, TpmHash
from sealroom.tees._tpm.quote import Pcrs

__all__ = ["octets", "pcr_values", "read_object", "require_members"]

_SIZES = {TpmHash.SHA1: 20, TpmHash.SHA256: 32, TpmHash.SHA384: 48, TpmHash.SHA512: 64}
_MAX_PCRS = 32


def read_object(raw: bytes, *, must: frozenset[str], may: frozenset[str], area: str) -> Mapping[str, Any]:
    """A JSON object with exactly these members.

    Raises:
        MalformedError: ``AREA.token`` or ``AREA.evidence``.
    """
    document = read_json(raw, area=area)
    return require_members(document, must=must, may=may, area=area)


def require_members(document: Any, *, must: frozenset[str], may: frozenset[str], area: str) -> Mapping[str, Any]:
    """``document``, which is an object with exactly these members."""
    if not isinstance(document, dict) or not must <= set(document) <= must | may:
        raise MalformedError(f"{area}.evidence", "the evidence has other members than it must have",
                             got=", ".join(sorted(map(str, document)))[:120] if isinstance(document, dict) else None,
                             expected=", ".join(sorted(must)))  # fmt: skip
    return document


def octets(value: Any, where: str, *, area: str) -> bytes:
    """Octets in one of the spellings.

    Raises:
        MalformedError: ``AREA.evidence``.
    """
    try:
        if isinstance(value, list) and value and all(type(one) is int and 0 <= one < 256 for one in value):
            return bytes(value)
        if isinstance(value, str) and value:
            return _text(value)
    except (ValueError, binascii.Error):
        pass
    raise MalformedError(f"{area}.evidence", "a value is neither hexadecimal nor base64", where=where,
                         got=ascii(value)[:40])  # fmt: skip


def pcr_values(values: Any, attest: QuoteAttest, *, area: str) -> Pcrs:
    """The list of values of the quote's one bank, by index.

    A list of all 24 is indexed by its place; a shorter one has the selected ones in their order.

    Raises:
        MalformedError: ``AREA.pcrs``.
    """
    banks = [(bank, indices) for bank, indices in attest.selection if indices]  # some TPMs list every bank they have
    if len(banks) != 1 or not isinstance(values, list) or len(values) > _MAX_PCRS:
        raise MalformedError(f"{area}.pcrs", "the PCRs are no list for one bank", got=len(banks))
    bank, selected = banks[0]
    found = [octets(value, f"pcrs {index}", area=area) for index, value in enumerate(values)]
    if any(len(value) != _SIZES[bank] for value in found):
        raise MalformedError(f"{area}.pcrs", "a PCR is not as long as its bank's digest", expected=bank.word)
    if len(found) == len(selected):
        return {bank: dict(zip(selected, found, strict=True))}
    if selected and len(found) > max(selected):
        return {bank: {index: found[index] for index in selected}}
    raise MalformedError(f"{area}.pcrs", "there are fewer PCRs than the quote selects", got=len(found),
                         expected=len(selected))  # fmt: skip


def _text(value: str) -> bytes:
    if len(value) % 2 == 0 and all(letter in "0123456789abcdefABCDEF" for letter in value):
        return bytes.fromhex(value)
    plain = value.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
