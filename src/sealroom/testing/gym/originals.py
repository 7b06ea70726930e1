"""Takes the samples out of a folder of test vectors: every one that has to be accepted."""

from collections.abc import Iterator
from pathlib import Path

from sealroom.errors import SealroomError
from sealroom.evidence import Tee, TrustRoots
from sealroom.tees.registry import known_tees
from sealroom.testing.gym.mutation import Sample
from sealroom.testing.vector_store import VectorCase, find_cases, read_case
from sealroom.x509_reader import read_certificates

__all__ = ["originals"]


def originals(directory: Path) -> Iterator[Sample]:
    """Every vector at or below ``directory`` whose evidence is a quote or a report and whose verdict is ``valid``.

    Raises:
        UnavailableError: ``conformance.no-vectors``.
    """
    for name, folder in find_cases(directory):
        try:
            case = read_case(name, folder)
        except SealroomError:
            continue  # of another schema, or broken: `sealroom conformance` is what complains
        tee = _tee(case.kind)
        if tee is not None and case.expect.verdict == "valid":
            yield _sample(case, tee)


def _tee(kind: str) -> Tee | None:
    """The TEE that a kind begins with, if this release verifies it and the kind is one of whole evidence."""
    word, _, rest = kind.partition("-")
    known = {tee.value: tee for tee in known_tees()}
    return known.get(word) if rest.startswith(("quote-", "report-")) else None


def _sample(case: VectorCase, tee: Tee) -> Sample:
    own = None
    if "trust_root" in case.document:
        own = read_certificates(case.file(case.document["trust_root"]))[0]
    roots = TrustRoots() if own is None else TrustRoots(insecure_simulated=frozenset({own.fingerprint}))
    return Sample(
        name=case.name, tee=tee, raw=case.evidence,
        collateral={name: case.file(path) for name, path in case.collateral.items()},
        at=case.verify_at, roots=roots, own_root=None if own is None else own.der,
    )  # fmt: skip
