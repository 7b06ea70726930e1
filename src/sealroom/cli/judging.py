"""Evidence from a file, judged under a policy: what `verify` and `policy derive` share."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sealroom.binding import carried
from sealroom.cli.collateral_files import collateral_from
from sealroom.collateral import parse_bundle
from sealroom.errors import MalformedError, MisuseError, UnverifiedError
from sealroom.evidence import Appraisal, Tee
from sealroom.policy import Policy
from sealroom.statement import RoomStatement, parse_statement
from sealroom.tees.recognise import recognise
from sealroom.tees.registry import known_tees
from sealroom.verifier import appraise_evidence, appraise_room

__all__ = ["REPORT_DATA_SIZE", "Exhibit", "is_bundle", "recognised", "refuse_options"]

REPORT_DATA_SIZE = 64
"""Bytes that `collect` takes and most silicon carries; the longest that is compared."""


class Exhibit:
    """A room's bundle, or a bare report with its collateral.

    Args:
        raw: the file.
        at: the time to judge at, timezone-aware.
        tee: of a bare report; None: its first bytes tell.
        collateral: files and folders; of a bare report alone.

    Raises:
        MalformedError: ``cli.not-evidence``: neither.
        MisuseError, MalformedError: as `collateral_from`.
    """

    def __init__(self, raw: bytes, *, at: datetime, tee: Tee | None, collateral: Sequence[Path]) -> None:
        self._raw, self._at = raw, at
        self.is_bundle = is_bundle(raw)
        if not self.is_bundle:
            self._tee = tee or recognised(raw)
            self._collateral = collateral_from(collateral, self._tee, raw)

    @property
    def tee(self) -> Tee:
        """Of a bare report, or of the CPU in a bundle."""
        return parse_bundle(self._raw).cpu.tee if self.is_bundle else self._tee

    def statement(self) -> RoomStatement | None:
        """What the room says of itself; None of a bare report. As good as the verdict of `under`."""
        return parse_statement(parse_bundle(self._raw).statement) if self.is_bundle else None

    def under(self, policy: Policy, *, nonce: bytes | None = None, report_data: bytes | None = None) -> Appraisal:
        """The verdict of ``policy``.

        Args:
            policy: what is accepted.
            nonce: that a bundle must answer.
            report_data: that a bare report must carry, itself or, where its field is too short for the 64 bytes that
                `collect` takes, as their SHA-256.

        Raises:
            MalformedError, UnverifiedError: as `appraise_room` and `appraise_evidence`.
        """
        if self.is_bundle:
            return appraise_room(self._raw, policy, nonce=nonce, at=self._at)
        try:
            return self._report_under(policy, report_data)
        except UnverifiedError as mismatch:
            digest = carried(self._tee, report_data) if report_data is not None else b""
            if len(report_data or b"") != REPORT_DATA_SIZE or mismatch.got != digest.hex():
                raise
            return self._report_under(policy, digest)

    def _report_under(self, policy: Policy, report_data: bytes | None) -> Appraisal:
        return appraise_evidence(
            tee=self._tee,
            raw=self._raw,
            collateral=self._collateral,
            policy=policy,
            at=self._at,
            expected_report_data=report_data,
        )


def is_bundle(raw: bytes) -> bool:
    """A CMW collection starts with a CBOR map, which no report of a TEE that we know does."""
    return raw[:1] != b"" and 0xA0 <= raw[0] <= 0xBF


def refuse_options(why: str, **given: object) -> None:
    """Refuse options that do not go with this evidence.

    Raises:
        MisuseError: ``cli.option-not-for-this``.
    """
    for name, value in given.items():
        if value:
            option = "--" + name.replace("_", "-")
            raise MisuseError("cli.option-not-for-this", f"{option} can not be used here: {why}")


def recognised(raw: bytes) -> Tee:
    """What kind of evidence it is.

    Raises:
        MalformedError: ``cli.not-evidence``.
    """
    tee = recognise(raw)
    if tee is None:
        raise MalformedError("cli.not-evidence", "this is no evidence that this release knows",
                             got=f"{len(raw)} bytes, beginning {raw[:8].hex()}" if raw else "nothing",
                             expected=", ".join(known_tees()),
                             hint="sealroom inspect shows what a file is; cut off, evidence is none")  # fmt: skip
    return tee
