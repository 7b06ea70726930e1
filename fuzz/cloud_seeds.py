# ruff: noqa: INP001 - a folder of programs
"""First inputs of the readers of clouds and TPMs: small, each of one form, right to the byte."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.jose import parse_jwt
from sealroom.kbs.device_evidence import write_device_evidence
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees.gcp.inner import HardwareReport
from sealroom.tees.gcp.writing import AttestationForm, QuotedBank
from sealroom.testing.azure import AzureMachine, SimulatedAzure
from sealroom.testing.azure_hcl import HclForm
from sealroom.testing.azure_maa import guest_claims
from sealroom.testing.gcp_space import SimulatedSpace
from sealroom.testing.nras import SimulatedNras, device_claims
from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvidia_report import write_report
from sealroom.testing.snp import SimulatedSnp
from sealroom.testing.tpm import SoftTpm
from sealroom.testing.tpm_simulated import write_evidence

__all__ = ["cloud_seeds"]

_NOW = datetime(2026, 6, 1, tzinfo=UTC)
_BANK = TpmHash.SHA256


def cloud_seeds(machine: AzureMachine | None = None) -> Iterator[tuple[str, bytes]]:
    """Target and input."""
    tpm = SoftTpm.create("ecdsa")
    few = {_BANK: (0, 4)}
    message, signature = tpm.quote(b"nonce", few)
    yield from (("tpm-structure", bytes((kind,)) + raw)
                for kind, raw in enumerate((tpm.public_area(), signature, message)))  # fmt: skip
    yield "tpm-structure", b"\0" + SoftTpm.create().public_area()
    yield "tpm-evidence", write_evidence(tpm, message, signature, selection=few, event_log=b"log")
    yield "tpm-evidence", write_evidence(tpm, message, signature, selection=few, key=tpm.spki)
    guest = SimulatedAzure(machine=machine or AzureMachine.create())
    yield from (("azure-evidence", raw) for raw in guests(guest))
    yield from (("azure-report", raw) for raw in reports(guest))
    yield from (("gcp-attestation", raw) for raw in attestations(tpm, guest))
    yield from (("token-claims", raw) for raw in claims())
    yield from (("nras-answer", raw) for raw in answers())
    yield from (("device-evidence", raw) for raw in devices())


def guests(guest: SimulatedAzure) -> Iterator[bytes]:
    """Of an agent that knows versions, and of one that does not."""
    form = replace(guest.form(b"nonce"), vcek=b"\x30\x00")
    yield form.encode()
    said: dict[str, Any] = form.members()
    yield json.dumps({"quote": said["tpm_quote"], "report": said["hcl_report"], "vcek": "MAA="}).encode()


def reports(guest: SimulatedAzure) -> Iterator[bytes]:
    """Cut off behind what they bind, and without padding."""
    form: HclForm = guest.hcl
    yield replace(form, size=0).encode()
    yield replace(form, size=0, inner=Tee.TDX, hardware=bytes(1024)).encode()


def attestations(tpm: SoftTpm, guest: SimulatedAzure) -> Iterator[bytes]:
    """Of a vTPM alone, and with a report of the hardware."""
    message, signature = tpm.quote(b"nonce", {_BANK: (0,)})
    quote = QuotedBank(bank=_BANK, message=message, signature=signature, pcrs={0: tpm.pcrs[_BANK][0]})
    form = AttestationForm(public=tpm.public_area(), quotes=(quote,), certificate=b"\x30\x00", event_log=b"log",
                           intermediates=(b"\x30\x00",))  # fmt: skip
    yield form.encode()
    snp = SimulatedSnp(platform=guest.machine.platform)  # type: ignore[arg-type]
    hardware = HardwareReport(tee=Tee.SNP, raw=snp.report(bytes(64)), leaf=b"\x30\x00", chain=None)
    yield replace(form, hardware=hardware).encode()


def claims() -> Iterator[bytes]:
    """Of Azure's service behind a zero byte, of Google's as they are."""
    for tee in (Tee.SNP, Tee.TDX):
        said = guest_claims(tee, bytes(64))
        yield b"\0" + json.dumps(said).encode()
        yield (
            b"\0" + json.dumps({"iss": "x", "x-ms-attestation-type": "azurevm", "x-ms-isolation-tee": said}).encode()
        )
    token = parse_jwt(SimulatedSpace().token("nonce", _NOW), area="seed")
    yield json.dumps(dict(token.claims)).encode()
    more = {"eat_nonce": ["a", "b"], "tdx": [{"gcp_attester_tcb_status": "UpToDate",
                                              "gcp_attester_tcb_date": "2024-03-13T00:00:00Z"}]}  # fmt: skip
    yield json.dumps({**token.claims, **more, "aud": ["one", "two"]}).encode()


def answers() -> Iterator[bytes]:
    """Of NVIDIA's service, about one device; behind a zero byte what a token says of one."""
    service = SimulatedNras(key=ec.derive_private_key(7, ec.SECP384R1()))
    yield service.answer(bytes(32), _NOW)
    for name in ("GPU-0", "SWITCH-0"):
        yield b"\0" + json.dumps(device_claims(name, bytes(32), _NOW)).encode()


def devices() -> Iterator[bytes]:
    """As the key broker's protocol has them, and behind a zero byte as NVIDIA's tools do."""
    gpu = SimulatedGpu.create()
    form = gpu.form(bytes(32))
    report = write_report(replace(form, blocks=form.blocks[:2])) + bytes(96)
    collected = gpu.collect(bytes(32))
    chain = collected.collateral.items["cert_chain"]
    device = CollectedEvidence(tee=Tee.NVIDIA, raw=report, collateral=Collateral(items={"cert_chain": chain}))
    yield write_device_evidence([device]).encode()
    entry = {"arch": "HOPPER", "certificate": chain[:200].hex(), "evidence": report.hex(), "nonce": "00" * 32}
    yield b"\0" + json.dumps([entry]).encode()
