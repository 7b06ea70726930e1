"""Around Google's vTPM lies the hardware's own evidence: both have collateral, and one folder may hold all of it."""

from pathlib import Path

import pytest

from sealroom.binding import carried
from sealroom.cli.collateral_files import collateral_from
from sealroom.evidence import CollectedEvidence, Tee
from sealroom.pem import as_pem
from sealroom.testing.machines import Launched, guest_at, power_on
from sealroom.x509_reader import read_certificates

BOUND = bytes(63) + b"\x01"


def _evidence(folder: Path, kind: str) -> CollectedEvidence:
    power_on(kind, folder).launch(folder, Launched(measurement=bytes(48), init_data=bytes(32)))
    attester = guest_at(folder).cpu
    return attester.collect(carried(attester.tee, BOUND))


def _written(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    return folder


@pytest.mark.parametrize("kind", ["gcp-tdx", "gcp-snp"])
def test_what_collect_writes_is_what_verify_reads(tmp_path: Path, kind: str) -> None:
    found = _evidence(tmp_path / "m", kind)
    folder = _written(tmp_path / "out", {"evidence.bin": found.raw, **found.collateral.items})

    assert collateral_from([folder], Tee.GCP, found.raw).items == found.collateral.items


def test_the_hardwares_certificates_are_told_from_those_above_the_vtpms_key(tmp_path: Path) -> None:
    found = _evidence(tmp_path / "m", "gcp-tdx")
    items = dict(found.collateral.items)
    above = [one.der for one in read_certificates(items.pop("ak_issuers"))]
    files = {f"file{number}": raw for number, raw in enumerate(items.values())}
    files |= {f"a{number}.pem": as_pem(der) for number, der in enumerate(reversed(above))}  # the root first

    sorted_ = dict(collateral_from([_written(tmp_path / "out", files)], Tee.GCP, found.raw).items)

    assert [one.der for one in read_certificates(sorted_.pop("ak_issuers"))] == above
    assert sorted_ == items
