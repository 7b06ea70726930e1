"""What came of a run: counts, and every verdict that was not the right one."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sealroom.testing.gym.judges import Answer
from sealroom.testing.gym.mutation import Expectation, Mutation

__all__ = ["Finding", "GymReport", "finding_of", "other_status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One verdict that a sound verifier would not give."""

    verifier: str
    sample: str
    label: str
    level: str
    expectation: str
    what: str
    """``accepted a forgery``, ``refused``, ``accepted as something else``, ``another status``, ``crashed``."""
    word: str
    """What it said."""

    def as_dict(self) -> dict[str, str]:
        """The finding for a program."""
        names = ("verifier", "sample", "label", "level", "expectation", "what", "word")
        return {name: getattr(self, name) for name in names}

    def as_line(self) -> str:
        """The finding for a person."""
        return f"{self.verifier} {self.what}: {self.sample}/{self.label} [{self.level}]: {self.word}"


@dataclass(slots=True)
class GymReport:
    """Filled while the gym runs."""

    made: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many mutations, by expectation and level."""
    answers: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """How many verdicts, by verifier, expectation and ``accepted``, ``refused`` or ``crashed``."""
    findings: list[Finding] = field(default_factory=list)
    left_out: list[tuple[str, str, str]] = field(default_factory=list)
    """Verifier, sample and reason: originals that it refuses, so that its word on their mutations says nothing."""

    def count(self, verifier: str, mutation: Mutation, answer: Answer) -> None:
        """Take note of one verdict."""
        word = "crashed" if answer.crashed else "accepted" if answer.accepted else "refused"
        self.answers[verifier, mutation.expectation.value, word] += 1

    def of(self, verifier: str) -> list[Finding]:
        """The findings about one verifier."""
        return [finding for finding in self.findings if finding.verifier == verifier]

    def as_dict(self) -> dict[str, object]:
        """Counts for a program."""
        by_expectation: Counter[str] = Counter()
        for (expectation, _), number in self.made.items():
            by_expectation[expectation] += number
        return {
            "made": dict(by_expectation),
            "forgeries_by_level": {level: number for (expectation, level), number in sorted(self.made.items())
                                   if expectation == Expectation.FORGERY},
            "verifiers": {name: self._about(name) for name in sorted({name for name, _, _ in self.answers})},
        }  # fmt: skip

    def _about(self, verifier: str) -> dict[str, object]:
        left_out = sum(name == verifier for name, _, _ in self.left_out)
        return {
            "verdicts": self._verdicts(verifier),
            "findings": len(self.of(verifier)),
            "originals_left_out": left_out,
        }

    def as_lines(self) -> Iterator[str]:
        """Counts for a person."""
        levels = Counter(
            {level: number for (kind, level), number in self.made.items() if kind == Expectation.FORGERY}
        )
        yield f"{sum(self.made.values())} mutations, of which {sum(levels.values())} forgeries: " + ", ".join(
            f"{level} {number}" for level, number in levels.most_common()
        )
        for name in sorted({name for name, _, _ in self.answers}):
            yield f"{name}: " + ", ".join(f"{words} {number}" for words, number in self._verdicts(name).items())

    def _verdicts(self, verifier: str) -> dict[str, int]:
        return {
            f"{expectation} {word}": number
            for (name, expectation, word), number in sorted(self.answers.items())
            if name == verifier
        }


def finding_of(verifier: str, mutation: Mutation, answer: Answer, original: Answer) -> Finding | None:
    """What is wrong with ``answer``, if anything; ``original`` is the same judge's word on the unchanged sample."""
    what = None
    if answer.crashed:
        what = "crashed"
    elif mutation.expectation is Expectation.FORGERY:
        what = "accepted a forgery" if answer.accepted else None
    elif not answer.accepted:
        what = None if mutation.expectation is Expectation.NEUTRAL else "refused"
    elif answer.facts != original.facts:
        what = "accepted as something else"
    return None if what is None else _finding(verifier, mutation, what, answer.word)


def other_status(verifier: str, mutation: Mutation, answer: Answer, first: Answer) -> Finding | None:
    """Whether a judge gives a sample another TCB status than the first one, where both give any."""
    if None in {answer.status, first.status} or answer.status == first.status:
        return None
    return _finding(verifier, mutation, "another status", f"{answer.status}, and not {first.status}")


def _finding(verifier: str, mutation: Mutation, what: str, word: str) -> Finding:
    return Finding(verifier=verifier, sample=mutation.sample.name, label=mutation.label, level=mutation.level.value,
                   expectation=mutation.expectation.value, what=what, word=word)  # fmt: skip
