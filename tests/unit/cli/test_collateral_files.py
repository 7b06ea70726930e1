"""Collateral from files in any order, under any names, comes out as the items that verification asks for."""

import json
import random
from pathlib import Path

import pytest

from sealroom.cli.collateral_files import collateral_from
from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Tee
from sealroom.pem import as_pem
from sealroom.testing.dcap import DcapPlatform, SimulatedSgx, SimulatedTdx
from sealroom.testing.intel import Ca

_OTHER = bytes.fromhex("00806f050000")
_QUOTES = {Tee.TDX: SimulatedTdx, Tee.SGX: SimulatedSgx}


@pytest.fixture(scope="module")
def platform() -> DcapPlatform:
    return DcapPlatform.create()


def _quote(platform: DcapPlatform, tee: Tee) -> bytes:
    return _QUOTES[tee](platform=platform).quote(bytes(64))


def _write(folder: Path, contents: list[bytes], *, seed: int = 0) -> list[Path]:
    """Files whose names and order say nothing."""
    shuffled = random.Random(seed).sample(contents, len(contents))
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{seed}-{number}.dat" for number in range(len(shuffled))]
    for path, content in zip(paths, shuffled, strict=True):
        path.write_bytes(content)
    return paths


@pytest.mark.parametrize("tee", _QUOTES)
def test_items_are_found_by_what_they_hold(platform: DcapPlatform, tee: Tee, tmp_path: Path) -> None:
    items, quote = platform.collateral(tee), _quote(platform, tee)
    for seed in range(5):
        paths = _write(tmp_path / str(seed), list(dict.fromkeys(items.values())), seed=seed)
        assert dict(collateral_from(paths, tee, quote).items) == items
        assert dict(collateral_from([paths[0].parent], tee, quote).items) == items


def test_lists_are_found_in_every_writing(platform: DcapPlatform, tmp_path: Path) -> None:
    items, quote = platform.collateral(Tee.TDX), _quote(platform, Tee.TDX)
    for write in (
        lambda der: as_pem(der, label="X509 CRL"),
        lambda der: der.hex().encode() + b"\n",
        lambda der: der + b"\x00",
    ):
        lists = {name: write(items[name]) for name in ("pck_crl", "root_ca_crl")}
        paths = _write(tmp_path, list(dict.fromkeys((items | lists).values())))
        assert dict(collateral_from(paths, Tee.TDX, quote).items) == items | lists


@pytest.mark.parametrize("tee", _QUOTES)
def test_of_many_platforms_those_of_the_quote_are_taken(platform: DcapPlatform, tee: Tee, tmp_path: Path) -> None:
    """A folder as it is carried to where there is no network: both TEEs, two families, both CAs."""
    other = DcapPlatform.create(platform.vendor, fmspc=_OTHER, ca=Ca.PROCESSOR)
    shared = {kind: platform.collateral(kind) for kind in _QUOTES}
    root_crl = {"root_ca_crl": shared[tee]["root_ca_crl"]}  # one for all, as Intel's is
    items, others = shared[tee] | root_crl, shared[tee] | root_crl
    for name in ("tcb_info_response", "pck_crl", "pck_crl_issuer_chain"):
        others[name] = other.collateral(tee)[name]
    of_other_tee = {
        shared[kind][name]
        for kind in _QUOTES
        if kind is not tee
        for name in ("tcb_info_response", "qe_identity_response")
    }
    everything = set(items.values()) | set(others.values()) | of_other_tee
    assert len(everything) == len(set(items.values())) + 3 + 2

    paths = _write(tmp_path, sorted(everything))
    assert dict(collateral_from(paths, tee, _quote(platform, tee)).items) == items
    assert dict(collateral_from(paths, tee, _quote(other, tee)).items) == others


def test_collateral_of_another_platform_alone_is_handed_on_for_verification_to_refuse(
    platform: DcapPlatform, tmp_path: Path
) -> None:
    other = DcapPlatform.create(platform.vendor, fmspc=_OTHER)
    items = other.collateral(Tee.TDX)

    found = collateral_from(_write(tmp_path, list(set(items.values()))), Tee.TDX, _quote(platform, Tee.TDX))
    assert found.items["tcb_info_response"] == items["tcb_info_response"]


def test_a_name_counts_more_than_what_a_file_holds(platform: DcapPlatform, tmp_path: Path) -> None:
    items = platform.collateral(Tee.TDX)
    (tmp_path / "pck_crl.der").write_bytes(b"not a list at all")
    _write(tmp_path, list(set(items.values())))

    assert collateral_from([tmp_path], Tee.TDX, _quote(platform, Tee.TDX)).items["pck_crl"] == b"not a list at all"


def test_two_files_that_could_be_one_item_are_refused(platform: DcapPlatform, tmp_path: Path) -> None:
    form = platform.tcb_info(Tee.TDX)
    for number, status in enumerate(("UpToDate", "OutOfDate")):
        document = platform.collateral(Tee.TDX, tcb_info=form.with_status(status))["tcb_info_response"]
        (tmp_path / f"{number}.json").write_bytes(document)

    with pytest.raises(MisuseError) as error:
        collateral_from([tmp_path], Tee.TDX, _quote(platform, Tee.TDX))
    assert error.value.code == "cli.ambiguous-collateral"
    assert "tcb_info_response" in error.value.message


@pytest.mark.parametrize("tee", [Tee.SNP, Tee.TDX, Tee.SGX])
@pytest.mark.parametrize("raw", [b"", b"{}", b"\x30\x82", b"[1]", b"-----BEGIN CERTIFICATE-----", b"\xff" * 99])
def test_a_file_that_is_none_is_refused_if_it_was_named_and_passed_over_in_a_folder(
    tee: Tee, raw: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    path.write_bytes(raw)

    with pytest.raises(MalformedError):
        collateral_from([path], tee, b"no quote")
    assert dict(collateral_from([tmp_path], tee, b"no quote").items) == {}


@pytest.mark.parametrize("tee", _QUOTES)
def test_the_folder_of_a_recorded_vector_is_its_collateral(shared_vectors: Path, tee: Tee) -> None:
    compared = 0
    for path in sorted((shared_vectors / tee).glob("*/vector.json")):
        case = json.loads(path.read_text("utf-8"))
        if any("/" in file for file in case["collateral"].values()):
            continue  # a forgery, with the collateral of its original
        quote = (path.parent / case["evidence"]).read_bytes()
        expected = {name: (path.parent / file).read_bytes() for name, file in case["collateral"].items()}
        assert dict(collateral_from([path.parent], tee, quote).items) == expected, path.parent.name
        compared += 1
    assert compared


@pytest.mark.parametrize("tee", _QUOTES)
def test_recorded_collateral_is_found_by_what_it_holds(shared_vectors: Path, tee: Tee, tmp_path: Path) -> None:
    for number, path in enumerate(sorted((shared_vectors / tee).glob("*uptodate*/vector.json"))):
        case = json.loads(path.read_text("utf-8"))
        if case["expect"]["verdict"] != "valid":
            continue
        quote = (path.parent / case["evidence"]).read_bytes()
        expected = {name: (path.parent / file).read_bytes() for name, file in case["collateral"].items()}
        found = collateral_from([_write(tmp_path / str(number), list(set(expected.values())))[0].parent], tee, quote)
        assert found.items.keys() == expected.keys()
        for name, raw in expected.items():
            # of two chains that hold the same certificates either will do
            assert found.items[name] == raw or name.endswith("_issuer_chain"), name
