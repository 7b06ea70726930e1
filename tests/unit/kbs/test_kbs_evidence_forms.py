"""Evidence of every TEE in the protocol's JSON: recorded forms read, ours read back, everything else refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Collateral, Tee
from sealroom.kbs.evidence import FORMATS, format_for, name_of
from sealroom.kbs.json_text import b64_encode, compact
from sealroom.tees.registry import for_tee

OTHERS = [name for name in FORMATS if name != "snp"]
ITEMS = {"one": b"\x01", "two": bytes(300)}
SAMPLES: dict[str, bytes] = {
    "az-snp-vtpm": compact({"version": 2, "hcl_report": "x"}),
    "az-tdx-vtpm": compact({"version": 2, "hcl_report": "x", "td_quote": "y"}),
    "tpm": compact({"tpm_quote": {}, "ak_public": "x"}),
}


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("evidence-tdx-v4", "tdx"),
        ("evidence-sgx-v3", "sgx"),
        ("evidence-az-snp-vtpm-v1", "az-snp-vtpm"),
        ("evidence-az-snp-vtpm-v2", "az-snp-vtpm"),
        ("evidence-az-tdx-vtpm-v1", "az-tdx-vtpm"),
        ("evidence-tpm", "tpm"),
    ],
)
def test_what_stock_guests_send_is_read_and_is_what_its_tee_reads(
    shared_vectors: Path, folder: str, name: str
) -> None:
    evidence = json.loads((shared_vectors / "kbs" / folder / "evidence.json").read_bytes())
    raw, collateral = format_for(name).parse(evidence)
    assert collateral.items == {}
    assert for_tee(FORMATS[name].tee).parse(raw).raw == raw


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("items", [{}, ITEMS])
def test_what_is_written_is_read_back(name: str, items: dict[str, bytes]) -> None:
    raw = SAMPLES.get(name, bytes(range(256)))
    written = json.loads(compact(FORMATS[name].write(raw, Collateral(items=items))))
    assert ("collateral" in written) is bool(items)
    again, collateral = FORMATS[name].parse(written)
    assert (again, collateral.items) == (raw, items)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize(
    "collateral",
    [
        "text",
        ["a"],
        {"one": 1},
        {"one": ""},
        {"one": "A"},
        {"one": "QQ"},
        {f"i{number}": "AA==" for number in range(17)},
    ],
)
def test_collateral_in_another_form_is_refused(name: str, collateral: Any) -> None:
    written = FORMATS[name].write(SAMPLES.get(name, b"x"), Collateral(items={}))
    with pytest.raises(MalformedError):
        FORMATS[name].parse({**written, "collateral": collateral})


@pytest.mark.parametrize(
    ("name", "evidence"),
    [
        ("tdx", {}),
        ("tdx", {"quote": 1}),
        ("tdx", {"quote": "="}),
        ("tdx", {"quote": b64_encode(b"x"), "other": 1}),
        ("sgx", {"quote": b64_encode(b"x"), "cc_eventlog": None}),
        ("cca", {"token": "x"}),
        ("cca", {"token": []}),
        ("cca", {"token": [256]}),
        ("cca", {"token": [-1]}),
        ("cca", {"token": [True]}),
        ("cca", {"token": [0] * (256 * 1024 + 1)}),
        ("nitro", {"quote": b64_encode(b"x")}),
        ("gcp", {"attestation": None}),
        ("az-snp-vtpm", {"td_quote": "x"}),
        ("az-tdx-vtpm", {"version": 2}),
    ],
)
def test_evidence_in_another_form_is_refused(name: str, evidence: Any) -> None:
    with pytest.raises(MalformedError):
        FORMATS[name].parse(evidence)


class Attester:
    simulated = True

    def __init__(self, tee: Tee, inner: Tee | None = None) -> None:
        self.tee, self.inner = tee, inner

    def collect(self, report_data: bytes) -> Any:
        raise NotImplementedError


def test_every_machine_has_one_name() -> None:
    assert name_of(Attester(Tee.TDX)) == "tdx"
    assert name_of(Attester(Tee.AZURE_VTPM, Tee.SNP)) == "az-snp-vtpm"
    assert name_of(Attester(Tee.AZURE_VTPM, Tee.TDX)) == "az-tdx-vtpm"


@pytest.mark.parametrize("attester", [Attester(Tee.NVIDIA), Attester(Tee.AZURE_VTPM), Attester(Tee.NVIDIA, Tee.SNP)])
def test_what_has_no_name_is_told(attester: Attester) -> None:
    with pytest.raises(MisuseError, match=r"kbs\.no-name"):
        name_of(attester)
