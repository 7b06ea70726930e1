"""Minted evidence before NVIDIA's own verifier (nv-local-gpu-verifier 2.7.3): with the private roots in the place of
NVIDIA's it accepts what is authentic and refuses the faults, but for those listed here.

Not asked about switches, which it does not judge, and about answers of revocation, which it fetches itself.
"""

import base64
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sealroom.pem import as_pem
from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvidia_cases import AT, NONCE, NvidiaCase
from sealroom.testing.nvidia_faults import faults
from sealroom.testing.nvidia_vendor import NvidiaVendor
from sealroom.testing.nvidia_weaknesses import authentic

FOLDER = Path(__file__).parent / "nvidia"
PYTHON = FOLDER / ".build" / "venv" / "bin" / "python"
VENDOR = NvidiaVendor.create()
DEVICES = [SimulatedGpu.create(name, vendor=VENDOR) for name in ("hopper", "blackwell")]
NOT_LOOKED_FOR = {
    "request of SPDM 1.2",
    "request of another command",
    "request that wants no signature",
    "request for one measurement",
    "opaque data that ends in an item",
    "opaque data with an item twice",
    "OPAQUE_DATA_VERSION of a wrong size",
    "FEATURE_FLAG of a wrong size",
    "PROTECTED_PCIE_STATUS of a wrong size",
    "NVDEC0_STATUS of a wrong size",
    "PROJECT that is no text",
    "CHIP_INFO that is no text",
    "status of protected PCIe neither on nor off",
    "version of opaque data without its feature flag",
    "firmware digest by another algorithm of the same length",
    "vbios RIM with a document type",
    "vbios RIM with an external one",
    "vbios RIM with an instruction",
    "vbios RIM with nothing active",
    "vbios RIM without canonical form",
    "vbios RIM signed by the issuer of signers",
    "vbios RIM of another product",
    "vbios RIM of another edition",
}
"""Faults that it accepts. Those of report and opaque data are signed by the device as they stand."""
NOT_TAKEN = {
    "no reference values",
    "no reference values of the driver",
    "no reference values of the VBIOS",
    "opaque data of a type that nobody knows",  # a KeyError
    "NVDEC0 off and measured as something that was not released",  # it compares a byte with an enumeration
}
"""Authentic, and not taken."""


def ask(questions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not any(PYTHON.parents[2].glob("stamp-*")):
        pytest.skip("NVIDIA's verifier is not built here: scripts/setup-beside builds it")
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run([PYTHON, FOLDER / "peer.py"], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()[1:]]


def question(case: NvidiaCase, architecture: str) -> dict[str, Any]:
    items = {name: base64.b64encode(case.items.get(name, b"")).decode() for name in ("driver_rim", "vbios_rim")}
    return {
        "report": base64.b64encode(case.raw).decode(), **items, "nonce": NONCE.hex(), "architecture": architecture,
        "chain": case.items.get("cert_chain", b"").decode("latin-1"), "at": AT.timestamp(),
        "device_root": as_pem(VENDOR.root.certificate).decode(),
        "rim_root": as_pem(VENDOR.rim_root.certificate).decode(),
    }  # fmt: skip


def asked(cases: Iterable[NvidiaCase]) -> Iterator[NvidiaCase]:
    """What it claims to judge, under the roots that it was given."""
    for case in cases:
        revocation = "ocsp" in (case.code or "") or case.code == "nvidia.revoked" or "answer" in case.name
        if not revocation and case.anchors == VENDOR.root_fingerprints:
            yield case


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.family.architecture)
def test_faults_are_refused_but_for_these(device):
    cases = list(asked(faults(device)))
    answers = ask(question(case, device.family.architecture) for case in cases)
    accepted = {
        case.name.partition(": ")[2] for case, answer in zip(cases, answers, strict=True) if answer["accepted"]
    }
    assert accepted == {name for name in NOT_LOOKED_FOR if any(case.name.endswith(f": {name}") for case in cases)}


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.family.architecture)
def test_what_is_authentic_is_accepted_but_for_these(device):
    cases = [case for case in asked(authentic(device)) if "sample_nonce" not in case.flags]
    answers = ask(question(case, device.family.architecture) for case in cases)
    refused = {case.name.partition(": ")[2]: answer["word"] for case, answer in zip(cases, answers, strict=True)
               if not answer["accepted"]}  # fmt: skip
    assert set(refused) == {name for name in NOT_TAKEN if any(case.name.endswith(f": {name}") for case in cases)}


def test_the_recorded_appraisal_is_accepted_at_its_time(shared_vectors):
    folder = shared_vectors / "nvidia" / "h100-550-full"
    paths = {"report": "report.bin", "driver_rim": "driver_rim.xml", "vbios_rim": "vbios_rim.xml"}
    files = {name: base64.b64encode((folder / path).read_bytes()).decode() for name, path in paths.items()}
    paths = {"chain": "cert_chain.pem", "device_root": "device_root.pem", "rim_root": "rim_root.pem"}
    texts = {name: (folder / path).read_text() for name, path in paths.items()}
    nonce = json.loads((folder / "vector.json").read_text())["collateral"]["expected_nonce"]
    recorded = {**files, **texts, "nonce": nonce, "architecture": "hopper"}
    at = [datetime(2026, month, 1, tzinfo=UTC).timestamp() for month in (3, 7)]
    first, later = ask({**recorded, "at": moment} for moment in at)
    assert (first["accepted"], later["accepted"], later["step"]) == (True, False, "driver RIM")
