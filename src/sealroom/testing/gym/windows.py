"""The right evidence at the wrong time."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from sealroom.evidence import Tee, Validity
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.tokens import is_token

__all__ = ["time_mutations"]

_NO_END = 9999
"""Certificates without an end have it in the last year that can be written."""
_SECOND, _LONG = timedelta(seconds=1), timedelta(days=3650)


def time_mutations(sample: Sample, window: Validity) -> Iterator[Mutation]:
    """``window``: when the verdict on ``sample`` holds, both ends included; of an enrolled key there is none."""
    if sample.tee in {Tee.CCA, Tee.TPM} or is_token(sample):  # of a token its own module has them
        return
    moments = {
        "a second before its window": (window.not_before - _SECOND, Expectation.FORGERY),
        "ten years before": (window.not_before - _LONG, Expectation.FORGERY),
        # a Nitro document is made some time after its certificate, and is refused before that
        "the first second of its window": (
            window.not_before,
            Expectation.NEUTRAL if sample.tee is Tee.NITRO else Expectation.BENIGN,
        ),
        "the last second of its window": (window.not_after, Expectation.BENIGN),
    }
    if window.not_after.year < _NO_END:
        moments["a second after its window"] = (window.not_after + _SECOND, Expectation.FORGERY)
        moments["ten years after"] = (window.not_after + _LONG, Expectation.FORGERY)
    for label, (at, expectation) in moments.items():
        yield Mutation(label=f"time: {label}", level=Level.TIME, expectation=expectation,
                       sample=replace(sample, at=at))  # fmt: skip
