"""Collateral of devices, clouds and Arm is sorted by name and by content, and what is ambiguous is said."""

from pathlib import Path

import pytest

from sealroom.cbor import read_cbor
from sealroom.cli.collateral_files import collateral_from
from sealroom.cli.main import _run
from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Tee
from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvidia_cases import NONCE


@pytest.fixture(scope="module")
def gpu() -> SimulatedGpu:
    return SimulatedGpu.create()


def _written(folder: Path, **files: bytes) -> Path:
    for name, raw in files.items():
        (folder / name.replace("__", ".")).write_bytes(raw)
    return folder


def test_a_gpus_files_are_known_by_what_they_hold(tmp_path: Path, gpu: SimulatedGpu) -> None:
    items = gpu.items()
    folder = _written(tmp_path, a=items["driver_rim"], b=items["vbios_rim"], c=items["cert_chain"], notes__txt=b"-")

    sorted_ = collateral_from([folder], Tee.NVIDIA, gpu.report(NONCE)).items

    assert dict(sorted_) == {name: items[name] for name in ("driver_rim", "vbios_rim", "cert_chain")}


def test_single_answers_of_a_responder_become_one_item(tmp_path: Path, gpu: SimulatedGpu) -> None:
    answers = {f"answer{depth}": gpu.answer(depth) for depth in (1, 2, 3)}

    sorted_ = collateral_from([_written(tmp_path, **answers)], Tee.NVIDIA, b"").items

    assert read_cbor(sorted_["ocsp"]) == list(answers.values())


def test_a_file_with_the_items_own_name_goes_before_what_looks_like_it(tmp_path: Path, gpu: SimulatedGpu) -> None:
    items = gpu.items()
    folder = _written(tmp_path, driver_rim__xml=items["driver_rim"], other__xml=items["driver_rim"] + b"\n")

    assert collateral_from([folder], Tee.NVIDIA, b"").items["driver_rim"] == items["driver_rim"]


def test_two_files_for_one_item_are_a_question(tmp_path: Path, gpu: SimulatedGpu) -> None:
    rim = gpu.items()["driver_rim"]

    with pytest.raises(MisuseError, match=r"cli\.ambiguous-collateral"):
        collateral_from([_written(tmp_path, a=rim, b=rim + b"\n")], Tee.NVIDIA, b"")


@pytest.mark.parametrize("tee", [Tee.NVIDIA, Tee.NITRO, Tee.CCA, Tee.GCP, Tee.TPM, Tee.AZURE_VTPM])
def test_a_file_that_is_named_and_is_nothing_is_an_error(tmp_path: Path, tee: Tee) -> None:
    (tmp_path / "notes").write_bytes(b"nothing")

    with pytest.raises(MalformedError, match=r"cli\.collateral"):
        collateral_from([tmp_path / "notes"], tee, b"")


@pytest.mark.parametrize(
    ("case", "evidence", "at", "words"),
    [
        ("nvidia/h100-550-full", "report.bin", "2026-03-01T00:00:00Z", ("nvidia.revocation-not-checked", "REFUSED")),
        ("nitro/prod-2021", "attestation.cbor", "2021-03-17T22:30:00Z", ("ACCEPTED", "not checked  measurement")),
        ("gcp/cs-debug-sev", "token.jwt", "2024-01-01T00:00:00Z", ("gcp.unknown-signer", "token_signers")),
    ],
)
def test_recorded_evidence_is_judged_without_a_policy(
    shared_vectors: Path,
    capsys: pytest.CaptureFixture[str],
    case: str,
    evidence: str,
    at: str,
    words: tuple[str, ...],
) -> None:
    folder = shared_vectors / case
    found = ["--collateral", str(folder)] if "nitro" not in case else []

    _run(["verify", str(folder / evidence), "--at", at, *found])

    said = "".join(capsys.readouterr())
    assert all(word in said for word in words), said
