"""PCRs of a quote as vectors list them: of one bank in a list or by their numbers, of several by the banks' names."""

from collections.abc import Mapping
from typing import Any

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.tees._tpm.attest import QuoteAttest, TpmHash
from sealroom.tees._tpm.evidence_json import octets, pcr_values
from sealroom.tees._tpm.quote import Pcrs

__all__ = ["pcrs_of"]


def pcrs_of(listed: Any, attest: QuoteAttest, *, asked: object = None) -> Pcrs:
    """The values by bank and number.

    Args:
        listed: of the vector's file.
        attest: the quote, which says of which registers a list is.
        asked: the bank that the relying party wants (``sha256``), if it wants one.

    Raises:
        MalformedError: ``tpm.pcrs``.
        UnverifiedError: ``tpm.pcr-bank``: that bank was not quoted.
    """
    banks = {bank: indices for bank, indices in attest.selection if indices}
    if isinstance(asked, str) and asked.lower().replace("-", "") not in {bank.word for bank in banks}:
        raise UnverifiedError("tpm.pcr-bank", "another bank was quoted than was asked for",
                              got=", ".join(bank.word for bank in banks), expected=asked)  # fmt: skip
    if isinstance(listed, list):
        return _in_order(listed, banks) if len(banks) > 1 else pcr_values(listed, attest, area="tpm")
    if not isinstance(listed, dict):
        raise MalformedError("tpm.pcrs", "the PCRs are neither a list nor by name", got=type(listed).__name__)
    by_bank = {bank: listed[bank.word] for bank in TpmHash if bank.word in listed}
    if not by_bank and len(banks) == 1:
        by_bank = dict.fromkeys(banks, listed)
    return {bank: _numbered(values, banks.get(bank, ())) for bank, values in by_bank.items()}


def _in_order(listed: list[Any], banks: Mapping[TpmHash, tuple[int, ...]]) -> Pcrs:
    """One list for several banks: as the quote selects them."""
    places = [(bank, index) for bank, indices in banks.items() for index in indices]
    if len(places) != len(listed):
        raise MalformedError("tpm.pcrs", "there are not as many PCRs as the quote selects", got=len(listed),
                             expected=len(places))  # fmt: skip
    found: dict[TpmHash, dict[int, bytes]] = {bank: {} for bank in banks}
    for (bank, index), value in zip(places, listed, strict=True):
        found[bank][index] = octets(value, f"pcrs {index}", area="tpm")
    return found


def _numbered(values: Any, selected: tuple[int, ...]) -> dict[int, bytes]:
    if isinstance(values, list):
        numbers = selected if len(values) == len(selected) else range(len(values))
        values = dict(zip(numbers, values, strict=True))
        values = {index: value for index, value in values.items() if index in selected}
    if not isinstance(values, dict):
        raise MalformedError("tpm.pcrs", "the PCRs of a bank are neither a list nor by number")
    return {_number(name): octets(value, f"pcrs {name}", area="tpm") for name, value in values.items()}


def _number(name: object) -> int:
    text = str(name).lower().removeprefix("pcr")
    if not text.isdecimal() or len(text) > 2:
        raise MalformedError("tpm.pcrs", "a PCR has no number", got=ascii(name)[:20])
    return int(text)
