"""Takes the samples out of a folder of test vectors: every one that has to be accepted."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from sealroom.errors import SealroomError
from sealroom.evidence import Tee, TrustRoots
from sealroom.tees._cose.key import read_key, spki_of
from sealroom.tees.registry import known_tees
from sealroom.testing.gym.cloud_originals import CLOUDS, cloud_sample
from sealroom.testing.gym.mutation import Sample
from sealroom.testing.vector_store import VectorCase, find_cases, read_case
from sealroom.x509_reader import Certificate, read_certificates

__all__ = ["originals"]

_ITEMS: Mapping[str, tuple[str, ...]] = {
    "nvidia": ("cert_chain", "driver_rim", "vbios_rim", "ocsp"),
    "nitro": (),
    "cca": ("platform_public_key", "iak_public_key", "platform_key"),
}
"""Kinds that are one word, and which entries of their collateral are such, and no wishes of a relying party."""


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
        if case.kind in CLOUDS:
            cloud = cloud_sample(case) if case.expect.verdict == "valid" else None
            yield from [] if cloud is None else [cloud]
            continue
        tee = _tee(case.kind)
        if tee is not None and case.expect.verdict == "valid" and _is_whole(case, tee):
            yield _sample(case, tee)


def _tee(kind: str) -> Tee | None:
    """The TEE that a kind begins with, if this release verifies it and the kind is one of whole evidence."""
    word, _, rest = kind.partition("-")
    known = {tee.value: tee for tee in known_tees()}
    return known.get(word) if rest.startswith(("quote-", "report-")) or (not rest and word in _ITEMS) else None


def _is_whole(case: VectorCase, tee: Tee) -> bool:
    """Whether the vector is one piece of evidence, and not several or a document beside it."""
    level = str(case.collateral.get("level", ""))
    return tee is not Tee.NVIDIA or (
        case.text("evidence").endswith(".bin") and not level.startswith(("rim", "format"))
    )


def _items(case: VectorCase, tee: Tee) -> dict[str, bytes]:
    """What is stapled. Of a GPU whose vector is about authenticity alone, the reference values are not."""
    items = case.collateral
    if tee.value in _ITEMS:
        items = {name: path for name, path in items.items() if name in _ITEMS[tee.value]}
        if tee is Tee.NVIDIA and case.collateral.get("level") != "full-appraisal":
            items = {name: path for name, path in items.items() if not name.endswith("_rim")}
        if tee is Tee.CCA:  # vectors call the key by what it is the key of
            items = dict.fromkeys(("platform_key",), next(iter(items.values()))) if items else {}
    return {name: case.file(path) for name, path in items.items()}


def _roots(items: Mapping[str, bytes], tee: Tee, own: Certificate | None) -> TrustRoots:
    """The vector's own root; of a token without a chain, the key that came along, which then is enrolled."""
    trusted = set() if own is None else {own.fingerprint}
    if tee is Tee.CCA and "platform_key" in items:
        trusted.add(hashlib.sha256(spki_of(read_key(items["platform_key"], area="cca"))).digest())
    return TrustRoots(insecure_simulated=frozenset(trusted))


def _sample(case: VectorCase, tee: Tee) -> Sample:
    own = None
    if "trust_root" in case.document:
        own = read_certificates(case.file(case.document["trust_root"]))[0]
    items = _items(case, tee)
    return Sample(
        name=case.name, tee=tee, raw=case.evidence, collateral=items, at=case.verify_at,
        roots=_roots(items, tee, own), own_root=None if own is None else own.der,
    )  # fmt: skip
