"""What a vector says that a measurement is, beside what its inputs come to: claims, and the quote of the machine."""

from collections.abc import Mapping

from sealroom.errors import SealroomError, UnverifiedError
from sealroom.tees import tdx
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase

__all__ = ["compared"]

_CLAIM = "claimed_"
_OTHER_NAMES = {"measurement": "launch_digest", "mr_td": "mrtd", "mr_enclave": "mrenclave", "mr_signer": "mrsigner"}
_EITHER = {"mrtd": ("mrtd", "mrtd_two_pass")}
"""Where hosts differ, either value may be claimed, unless the vector says how its host does it."""
_OF_QUOTES = {"mrtd": "mr_td", "rtmr0": "rtmr0", "rtmr1": "rtmr1", "rtmr2": "rtmr2"}


def compared(case: VectorCase, fields: Mapping[str, object]) -> Outcome:
    """The outcome with ``fields``, refused where what came out is not what was claimed or quoted."""
    refusal: SealroomError | None = None
    for name, claimed in {**_quoted(case, fields), **_claims(case)}.items():
        found = [fields[one] for one in _names(case, name) if one in fields]
        if not found:
            raise UnsupportedCaseError(f"the inputs do not suffice for what is claimed: {name}")
        if claimed not in found:
            refusal = refusal or UnverifiedError(
                "measure.claim-differs", "the measurement is not what was claimed or quoted", where=name,
                got=str(found[0]), expected=str(claimed),
            )  # fmt: skip
    return Outcome(fields=fields, refusal=refusal)


def _claims(case: VectorCase) -> dict[str, object]:
    """Every ``claimed_…``, wherever the vector has it."""
    places = (case.document, case.input, case.expect.facts)
    found = {key.removeprefix(_CLAIM): value for place in places for key, value in place.items()
             if key.startswith(_CLAIM)}  # fmt: skip
    return {_OTHER_NAMES.get(name, name): value.lower().removeprefix("0x") if isinstance(value, str) else value
            for name, value in found.items()}  # fmt: skip


def _quoted(case: VectorCase, fields: Mapping[str, object]) -> dict[str, object]:
    if "quote" not in case.input:
        return {}
    report = tdx.parse(case.file(case.input["quote"])).report
    return {name: getattr(report, register).hex() for name, register in _OF_QUOTES.items() if name in fields}


def _names(case: VectorCase, name: str) -> tuple[str, ...]:
    order = str(case.input.get("page_add_order", ""))
    if name == "mrtd" and order:
        return ("mrtd_two_pass",) if "two" in order else ("mrtd",)
    return _EITHER.get(name, (name,))
