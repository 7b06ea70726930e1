"""Which TEE a file is of, told from its first bytes."""

import json
from pathlib import Path

import pytest

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import Tee
from sealroom.tees.recognise import recognise
from sealroom.tees.registry import for_tee, known_tees
from sealroom.testing.dcap import SimulatedSgx, SimulatedTdx
from sealroom.testing.snp import SimulatedSnp, SnpPlatform


def test_minted_evidence_is_recognised(snp_platform: SnpPlatform) -> None:
    data = bytes(64)

    assert recognise(SimulatedSnp(platform=snp_platform, measurement=bytes(48)).report(data)) is Tee.SNP
    for version in (4, 5):
        assert recognise(SimulatedTdx(version=version).quote(data)) is Tee.TDX
    for version in (3, 4, 5):
        assert recognise(SimulatedSgx(version=version).quote(data)) is Tee.SGX


@pytest.mark.parametrize("tee", [Tee.SNP, Tee.TDX, Tee.SGX])
def test_recorded_evidence_is_recognised(shared_vectors: Path, tee: Tee) -> None:
    compared = 0
    for path in sorted((shared_vectors / tee).glob("*/vector.json")):
        case = json.loads(path.read_text("utf-8"))
        if case["kind"].startswith((f"{tee}-report", f"{tee}-quote")) and case["expect"]["verdict"] == "valid":
            assert recognise((path.parent / case["evidence"]).read_bytes()) is tee, path.parent.name
            compared += 1
    assert compared


def test_what_its_parser_takes_is_recognised_as_of_no_other_tee(shared_vectors: Path) -> None:
    """A file that one TEE can read, the guess calls nothing else."""
    for path in sorted(shared_vectors.glob("*/*/*.bin")):
        raw = path.read_bytes()
        for tee in known_tees():
            try:
                for_tee(tee).parse(raw)
            except (MalformedError, UnverifiedError):
                continue
            assert recognise(raw) is tee, path


@pytest.mark.parametrize(
    ("raw", "tee"),
    [
        (b"", None),
        (b"\x03", None),
        (bytes(0x4A0), None),
        (b"\x03\x00\x00\x00" + bytes(0x4A1), Tee.SNP),  # too long: its parser says so
        (b"\x06\x00\x00\x00" + bytes(0x4A0 - 4), Tee.SNP),  # a version to come
        (b"\x04\x00\x02\x00\x81\x00\x00\x00" + bytes(39), None),  # shorter than a header
        (b"\x04\x00\x02\x00\x81\x00\x00\x00" + bytes(40), Tee.TDX),
        (b"\x03\x00\x02\x00\x00\x00\x00\x00" + bytes(40), Tee.SGX),
        (b"\x04\x00\x02\x00\x82\x00\x00\x00" + bytes(40), None),
        (b"\x09\x00\x02\x00\x81\x00\x00\x00" + bytes(40), None),
        (b"-----BEGIN CERTIFICATE-----", None),
        (b"\xa3" + bytes(100), None),
    ],
)
def test_a_beginning_is_told_by_its_words(raw: bytes, tee: Tee | None) -> None:
    assert recognise(raw) is tee
