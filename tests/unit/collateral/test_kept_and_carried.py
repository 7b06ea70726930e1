"""Collateral in one file and on disk; and the command that makes, shows and checks it."""

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.cli.main import _run
from sealroom.collateral.archive import CollateralArchive, read_archive
from sealroom.collateral.cache import CollateralCache
from sealroom.collateral.fetch.amd import vcek_path
from sealroom.errors import MalformedError, MisuseError, SealroomError
from sealroom.evidence import Collateral, Tee, Validity
from sealroom.tees.needs import what_is_needed
from sealroom.testing.dcap import SimulatedTdx
from sealroom.testing.pki import CrlForm
from sealroom.testing.vendor_service import kds_replies, pccs_replies, serving

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DATA = bytes(range(64))


def archive(**changes):
    fields = {
        "tee": Tee.TDX,
        "subject": "tdx-90c06f000000-platform",
        "fetched_at": NOW,
        "holds_until": NOW + timedelta(days=1),
        "collateral": Collateral(items={"pck_crl": b"list"}),
    }
    return CollateralArchive(**(fields | changes))


def test_a_bundle_comes_back_as_it_was_and_has_one_encoding():
    one = archive()
    assert read_archive(one.encode()) == one
    assert read_archive(one.encode()).encode() == one.encode()


def test_a_bundle_is_refused_at_every_shorter_length_and_with_a_byte_more():
    raw = archive().encode()
    for size in range(len(raw)):
        with pytest.raises(MalformedError):
            read_archive(raw[:size])
    with pytest.raises(MalformedError):
        read_archive(raw + b"\x00")


@pytest.mark.parametrize(
    "items", [{}, {"Bad": b"x"}, {f"item_{number}": b"x" for number in range(17)}, {"leaf": b""}]
)
def test_what_could_not_be_read_is_not_written(items):
    with pytest.raises(SealroomError):
        archive(collateral=Collateral(items=items)).encode()


@given(st.binary(max_size=400))
def test_any_bytes_are_a_bundle_or_refused(raw):
    with pytest.raises(MalformedError):
        read_archive(raw)


def test_the_cache_keeps_until_the_end_and_not_past_it(tmp_path):
    cache = CollateralCache(tmp_path / "kept")
    assert cache.get("tdx-90c06f000000-platform", NOW) is None
    cache.put(archive())
    assert cache.get("tdx-90c06f000000-platform", NOW) == archive()
    assert cache.get("tdx-90c06f000000-platform", NOW + timedelta(days=2)) is None
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "kept").iterdir()} == {0o600}


def test_a_damaged_or_misplaced_entry_is_not_there(tmp_path):
    cache = CollateralCache(tmp_path)
    cache.put(archive())
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / "another.collateral")
    assert cache.get("another", NOW) is None
    cache.put(archive())
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.get("tdx-90c06f000000-platform", NOW) is None


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 300])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(MisuseError):
        CollateralCache(tmp_path).get(name, NOW)


@pytest.fixture
def td():
    return SimulatedTdx()


@pytest.fixture
def quote(tmp_path, td):
    path = tmp_path / "quote.bin"
    path.write_bytes(td.quote(DATA))
    return path


def run(*arguments):
    return _run([str(argument) for argument in arguments])


def test_fetch_show_and_check_from_end_to_end(tmp_path, td, quote, capsys):
    bundle, kept = tmp_path / "it.collateral", tmp_path / "kept"
    replies = pccs_replies(td.platform.collateral(Tee.TDX), fmspc=td.platform.pck.fmspc)
    with serving(replies) as service:
        fetched = ("collateral", "fetch", quote, "-o", bundle, "--service", service.address, "--cache", kept)
        assert run(*fetched) == 0
        asked = len(service.asked)
        assert run(*fetched) == 0
        assert len(service.asked) == asked
    capsys.readouterr()
    assert run("collateral", "show", bundle) == 0
    shown = capsys.readouterr().out
    assert "tdx-90c06f000000-platform" in shown
    assert "nothing here is verified" in shown
    root = td.root_fingerprint.hex()
    checked = ("collateral", "check", bundle, "--evidence", quote, "--insecure-simulated-root", root, "--json")
    assert run(*checked, "--at", "2026-06-01T00:00:00Z") == 0
    assert json.loads(capsys.readouterr().out)["simulated"] is True
    assert run(*checked, "--at", "2029-06-01T00:00:00Z") == 4
    assert run("collateral", "check", bundle, "--evidence", quote, "--at", "2026-06-01T00:00:00Z") == 4


def test_a_kept_data_set_is_not_handed_out_for_another(tmp_path, td, quote):
    replies = pccs_replies(td.platform.collateral(Tee.TDX), fmspc=td.platform.pck.fmspc)
    with serving(replies) as service:
        fetched = (
            "collateral",
            "fetch",
            quote,
            "-o",
            tmp_path / "x",
            "--service",
            service.address,
            "--cache",
            tmp_path,
        )
        assert run(*fetched) == 0
        assert run(*fetched, "--update", "early") == 0
    assert [path for path in service.asked if "update=early" in path]


def test_a_chips_certificate_is_asked_for_once_for_ever(tmp_path, snp_platform):
    report, vendor = tmp_path / "report.bin", snp_platform.vendor
    report.write_bytes(snp_platform.sign(snp_platform.report_values()))
    needed = what_is_needed(Tee.SNP, report.read_bytes())
    ended = Validity(not_before=datetime(2025, 1, 1, tzinfo=UTC), not_after=datetime(2025, 2, 1, tzinfo=UTC))
    replies = kds_replies({vcek_path(needed): snp_platform.leaf}, product=needed.product, chain=vendor.chain(),
                          crl=vendor.crl(CrlForm(validity=ended)))  # fmt: skip
    with serving(replies) as service:
        fetched = ("collateral", "fetch", report, "-o", tmp_path / "x", "--service", service.address)
        for _ in range(3):
            assert run(*fetched, "--cache", tmp_path / "kept") == 0
    assert sum("blSPL" in path for path in service.asked) == 1
    assert sum(path.endswith("/crl") for path in service.asked) == 3


def test_a_fetch_that_fails_writes_nothing(tmp_path, quote, capsys):
    bundle = tmp_path / "it.collateral"
    assert run("collateral", "fetch", quote, "-o", bundle, "--service", "http://127.0.0.1:9") == 5
    assert not bundle.exists()
    assert "collateral.service" in capsys.readouterr().err


def test_a_bundle_serves_where_a_folder_would(tmp_path, td, quote, capsys):
    bundle = tmp_path / "it.collateral"
    made = archive(collateral=Collateral(items=td.platform.collateral(Tee.TDX)))
    bundle.write_bytes(replace(made).encode())
    assert run("verify", quote, "--collateral", bundle, "--at", "2026-06-01T00:00:00Z") == 4
    assert "x509.untrusted-root" in capsys.readouterr().err


def test_what_is_no_evidence_or_no_bundle_is_told(tmp_path, capsys):
    rubbish = tmp_path / "rubbish"
    rubbish.write_bytes(b"hello")
    assert run("collateral", "fetch", rubbish, "-o", tmp_path / "x") == 3
    assert run("collateral", "show", rubbish) == 3
    assert "internal" not in capsys.readouterr().err
