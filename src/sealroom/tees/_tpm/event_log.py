"""The firmware's log that explains a quote's registers: replayed, and believed only as far as they prove it.

PCRs 0 to 7 are the firmware's, which logs whatever it extends: the log must lead to each of them that was quoted.
From PCR 8 on, running software extends without writing here (IMA has a list of its own; an agent's init-data has
none): where the log has events for such a PCR it must lead to it, and where it has none it says nothing, and the
quote alone counts. Events of PCRs that were not quoted are proved by nothing, and take part in nothing.
"""

from dataclasses import dataclass

from sealroom.errors import UnverifiedError
from sealroom.measure.boot_facts import boot_facts
from sealroom.measure.replay import NamedEvent
from sealroom.measure.tpm_replay import TpmReplay, replay_pcrs, require_pcrs
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees._tpm.quote import Pcrs

__all__ = [
    "NONE",
    "REPLAYED",
    "ReplayedLog",
    "log_details",
    "log_flags",
    "strongest_bank",
    "verify_log",
]

NONE, REPLAYED = "none", "replayed"
_FIRMWARE = range(8)
_SECURE_BOOT = 7
_BANKS = (TpmHash.SHA512, TpmHash.SHA384, TpmHash.SHA256, TpmHash.SHA1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedLog:
    """A log that leads to the quoted registers."""

    replay: TpmReplay
    events: tuple[NamedEvent, ...]
    """Those that went into a quoted register, in their order."""
    secure_boot: bool | None
    """By the firmware's own PCR 7; None: that was not quoted, or nothing in it says so."""


def strongest_bank(pcrs: Pcrs) -> TpmHash:
    """The bank that claims are made of."""
    return min(pcrs, key=_BANKS.index)


def verify_log(raw: bytes | None, pcrs: Pcrs) -> ReplayedLog | None:
    """Replay ``raw`` against ``pcrs``, which a quote was verified to be over; None if there is no log.

    Raises:
        MalformedError: ``eventlog.*``: no such log.
        UnverifiedError: ``eventlog.*``: it does not lead to a register, or has texts that were not measured;
            ``tpm.event-log-bank``: it has no digests of the strongest bank that was quoted;
            ``tpm.event-log-unquoted``: no quoted register has an event in it.
    """
    if not raw:
        return None
    replay, bank = replay_pcrs(raw), strongest_bank(pcrs)
    if bank.word not in replay.pcrs:
        raise UnverifiedError("tpm.event-log-bank", "the event log has no digests of the bank that was quoted",
                              got=", ".join(replay.pcrs), expected=bank.word)  # fmt: skip
    logged = replay.pcrs[bank.word]
    if not logged.keys() & pcrs[bank].keys():
        raise UnverifiedError("tpm.event-log-unquoted", "no register that was quoted is in the event log",
                              got=f"events of {len(logged)} registers")  # fmt: skip
    require_pcrs(replay, {one.word: {index: value for index, value in values.items()
                                     if index in _FIRMWARE or index in logged}
                          for one, values in pcrs.items()})  # fmt: skip
    quoted = {f"pcr{index}" for index in pcrs[bank]}
    events = tuple(named for named in replay.events if named.register in quoted)
    of_firmware = [named for named in events if named.register == f"pcr{_SECURE_BOOT}"]
    return ReplayedLog(replay=replay, events=events, secure_boot=boot_facts(of_firmware).secure_boot)


def log_flags(log: ReplayedLog | None) -> frozenset[str]:
    """``secure_boot_off`` unless the log proves that it is on. Without a log nothing is said: a policy wants one."""
    return frozenset() if log is None or log.secure_boot is True else frozenset({"secure_boot_off"})


def log_details(log: ReplayedLog | None) -> dict[str, str | int]:
    """``event_log``: `REPLAYED` or `NONE`; ``event_count``: events that the quote proves."""
    return {"event_log": NONE} if log is None else {"event_log": REPLAYED, "event_count": len(log.events)}
