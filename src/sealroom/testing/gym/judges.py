"""Who judges: this project's verifier, and the shape of any other."""

from dataclasses import dataclass
from typing import Protocol

from sealroom.errors import SealroomError
from sealroom.evidence import Claims
from sealroom.tees.registry import for_tee
from sealroom.testing.gym.mutation import Mutation, Sample

__all__ = ["Answer", "Judge", "Ours", "claims_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a verifier said."""

    accepted: bool
    word: str
    """Its code, or the first line of its message."""
    facts: object = None
    """What an acceptance says of the evidence, comparable with what the same verifier said of another sample."""
    status: str | None = None
    """The TCB status of an acceptance, in the vendor's word, where it gives one."""
    crashed: bool = False
    """Neither an acceptance nor a refusal: an exception of no declared kind, a panic, or no answer in time."""


class Judge(Protocol):
    """A verifier."""

    @property
    def name(self) -> str:
        """Its name and version."""
        ...

    def is_asked(self, original: Sample, mutation: Mutation) -> bool:
        """Whether it claims to judge what was changed here."""
        ...

    def judge(self, sample: Sample) -> Answer:
        """Its verdict."""
        ...


class Ours:
    """This project's verifier."""

    name = "sealroom"

    def is_asked(self, original: Sample, mutation: Mutation) -> bool:  # noqa: ARG002 - it judges all
        """Always."""
        return True

    def judge(self, sample: Sample) -> Answer:
        """Parse, verify, claims. Whatever is none of our errors is a crash, and a finding."""
        try:
            claims = claims_of(sample)
        except SealroomError as error:
            return Answer(accepted=False, word=error.code)
        except Exception as error:  # noqa: BLE001 - to find such is what this is for
            return Answer(accepted=False, word=f"{type(error).__name__}: {error}"[:200], crashed=True)
        return Answer(accepted=True, word=claims.tcb_status or "accepted", facts=_facts(claims),
                      status=claims.tcb_status)  # fmt: skip


def claims_of(sample: Sample) -> Claims:
    """The claims of a sample.

    Raises:
        SealroomError: it is refused.
    """
    verifier = for_tee(sample.tee)
    evidence = verifier.parse(sample.raw)
    verified = verifier.verify(evidence, roots=sample.roots, collateral=sample.as_collateral(), at=sample.at)
    return verifier.claims(verified)


def _facts(claims: Claims) -> object:
    """Everything that a policy could rest on. The window is left out: it follows from which proof was brought."""
    return (
        claims.tee, claims.hardware_model, sorted(claims.measurements.items()), claims.report_data,
        sorted((kind, sorted(parts.items())) for kind, parts in claims.tcb.items()), claims.debug, claims.migratable,
        claims.tcb_status, claims.tcb_date, claims.advisories, claims.flags, claims.signer, claims.device_id,
        sorted(claims.details.items()), claims.root, claims.simulated,
        None if claims.inner is None else _facts(claims.inner),
    )  # fmt: skip
