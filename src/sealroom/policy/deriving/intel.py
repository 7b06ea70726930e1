"""The lines on flags, platform and machine that ``[tdx]`` and ``[sgx]`` share."""

from collections.abc import Iterator, Mapping

from sealroom.evidence import Claims
from sealroom.policy.allowances import INTEL_WARNINGS
from sealroom.policy.deriving.entry import Entry, decide, hexes, note, option, pin, texts
from sealroom.policy.flags import Flag
from sealroom.policy.intel import accepted_for_part

__all__ = ["flag_entries", "platform_entries"]

_UP_TO_DATE = "UpToDate"


def flag_entries(flags: frozenset[str], known: Mapping[str, Flag]) -> Iterator[Entry]:
    """What weakens protection: nothing of it is accepted before somebody has decided."""
    yield from _never(flags, known)
    asked = {flag: known[flag].allowance for flag in sorted(flags & known.keys()) if known[flag].allowance}
    if asked:
        words = sorted(str(allowance) for allowance in asked.values())
        meaning = "; ".join(f"{word} {INTEL_WARNINGS[word]}" for word in words)
        yield decide("allow", texts(words), f"refused, unless this line counts: {meaning}.",
                     f"the evidence says {', '.join(asked)}")  # fmt: skip


def _never(flags: frozenset[str], known: Mapping[str, Flag]) -> Iterator[Entry]:
    for flag in sorted(flags):
        if flag not in known or known[flag].allowance is None:
            yield note(f"REFUSED: the evidence says {flag}, and no policy lets that pass.",
                       question=f"the evidence says {flag}, which no policy accepts")  # fmt: skip


def platform_entries(claims: Claims) -> Iterator[Entry]:
    """How current the platform must be, and which platforms are meant."""
    yield from _status(claims)
    least = min(int(claims.details[f"{part}_evaluation_data_number"]) for part in ("tcb", "qe"))
    if least:
        yield pin("minimum_tcb_evaluation_number", str(least), "Pins the age of Intel's data: collateral of an older "
                  "data set is refused, newer passes. Changes with: nothing; raise it as Intel does.")  # fmt: skip
    if claims.tcb_date is not None:
        yield option("minimum_tcb_date", claims.tcb_date.date().isoformat(), "the TCB level must be of this day or "
                     "later; tcb_status says the same of today's firmware. Changes with: the next TCB recovery, and "
                     "the family of processors.")  # fmt: skip
    yield option("fmspc", texts([str(claims.details["fmspc"])]), "this family and model of processors alone. Changes "
                 "with: another kind of host.")  # fmt: skip
    if claims.device_id is not None:
        yield option("ppid", hexes(claims.device_id), "this one machine alone. Changes with: the host.")


def _status(claims: Claims) -> Iterator[Entry]:
    yield pin("tcb_status", texts([_UP_TO_DATE]), "Pins how current platform, quoting enclave and TDX module must "
              "be, in Intel's words. Changes with: nothing here, but Intel's word on the same firmware changes as it "
              "publishes; the host has to follow.")  # fmt: skip
    words = _needed(claims)
    if len(words) > 1:
        open_to = f", open to {', '.join(claims.advisories)}" if claims.advisories else ""
        yield decide("tcb_status", texts(words), f"Intel says {', '.join(words[1:])} of this platform{open_to}. Have "
                     "it updated, or accept that with this line in place of the one above.",
                     f"Intel says {', '.join(words[1:])} of this platform{open_to}")  # fmt: skip
    if claims.advisories:
        yield option("accepted_advisories", texts(claims.advisories), "a platform that is open to any other advisory "
                     "than these is refused. Changes with: the host's firmware, and as Intel publishes.")  # fmt: skip


def _needed(claims: Claims) -> tuple[str, ...]:
    """The words that accept this platform, with the one that always counts."""
    words = tuple(dict.fromkeys((_UP_TO_DATE, claims.tcb_status or _UP_TO_DATE)))
    for part in ("qe_status", "tdx_module_status"):
        status = claims.details.get(part)
        if status is not None and status not in accepted_for_part(part, words, claims.tcb_status):
            words = (*words, str(status))
    return words
