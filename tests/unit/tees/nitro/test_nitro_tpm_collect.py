"""Documents of a NitroTPM, through a program that takes what AWS's takes and prints a minted document."""

import shlex
import sys
from pathlib import Path

import pytest

from sealroom.collect import Places, this_machine
from sealroom.errors import MisuseError, SealroomError, UnavailableError
from sealroom.evidence import Attester, Collateral, Tee, TrustRoots
from sealroom.tees import nitro
from sealroom.tees._tsm.collect import TsmDirectory
from sealroom.tees.nitro.collect import NitroTpm, has_nitro_tpm
from sealroom.tees.nitro.collect_program import AttestProgram
from sealroom.testing.nitro_cases import AT

DATA = bytes(range(64))
_PROGRAM = """\
import argparse, pathlib, sys
from sealroom.testing.nitro import NitroMachine, SimulatedNitro
from sealroom.testing.nitro_cases import AT
parser = argparse.ArgumentParser()
for name in ("user-data", "nonce", "public-key"):
    parser.add_argument(f"--{name}", type=pathlib.Path)
given = {name: path and path.read_bytes() for name, path in vars(parser.parse_args()).items()}
machine = NitroMachine.create(is_nitro_tpm=IS_TPM)
guest = SimulatedNitro(machine=machine, clock=lambda: AT)
(pathlib.Path(__file__).parent / "root").write_bytes(guest.root_fingerprint)
sys.stdout.buffer.write(guest.document(**given | CHANGED))
"""


def program(folder: Path, text: str) -> str:
    (folder / "program.py").write_text(text)
    path = folder / "nitro-tpm-attest"
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(folder / "program.py"))} "$@"\n')
    path.chmod(0o755)
    return str(path)


def minting(folder: Path, *, tpm: bool = True, changed: str = "{}") -> NitroTpm:
    text = _PROGRAM.replace("IS_TPM", str(tpm)).replace("CHANGED", changed)
    return NitroTpm(AttestProgram(program(folder, text)))


def test_a_document_carries_the_report_data_and_verifies(tmp_path: Path) -> None:
    attester: Attester = minting(tmp_path)
    collected = attester.collect(DATA)
    roots = TrustRoots(insecure_simulated=frozenset({(tmp_path / "root").read_bytes()}))
    verified = nitro.verify(nitro.parse(collected.raw), roots=roots, collateral=collected.collateral, at=AT)
    claims = nitro.claims(verified)
    assert (claims.report_data, claims.details["document"]) == (DATA, "nitro-tpm")
    assert (collected.tee, collected.collateral, attester.simulated) == (Tee.NITRO, Collateral(items={}), False)


def test_nonce_and_key_go_along_where_they_are_given(tmp_path: Path) -> None:
    document = nitro.parse(minting(tmp_path).document(b"u", nonce=b"n", public_key=b"k")).document
    assert (document.user_data, document.nonce, document.public_key) == (b"u", b"n", b"k")


@pytest.mark.parametrize("changed", ['{"user_data": b"other"}', '{"nonce": b"n"}', '{"public_key": b"k"}'])
def test_a_document_for_something_else_is_refused(tmp_path: Path, changed: str) -> None:
    with pytest.raises(UnavailableError, match=r"nitro\.other-document"):
        minting(tmp_path, changed=changed).collect(DATA)


def test_a_document_of_an_enclave_is_none_of_this_instance(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"nitro\.other-document"):
        minting(tmp_path, tpm=False).collect(DATA)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys; sys.exit('no TPM \\x1b[2J here')", "no TPM"),
        ("import time; time.sleep(60)", "within 1 s"),
    ],
)
def test_a_program_that_gives_none_is_told_by_its_own_words(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UnavailableError, match=r"nitro\.no-document") as refusal:
        NitroTpm(AttestProgram(program(tmp_path, text), timeout=1)).collect(DATA)
    assert said in str(refusal.value.got)
    assert "\x1b" not in refusal.value.diagnostics()


def test_what_is_printed_in_place_of_a_document_is_refused(tmp_path: Path) -> None:
    for text in ("pass", "print('document')"):
        with pytest.raises(SealroomError, match=r"nitro\.c"):
            NitroTpm(AttestProgram(program(tmp_path, text))).collect(DATA)


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(UnavailableError, match="not installed"):
        NitroTpm(AttestProgram("/nonexistent/nitro-tpm-attest")).collect(DATA)


def test_report_data_has_one_size(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"evidence\.report-data-size"):
        NitroTpm(AttestProgram(program(tmp_path, ""))).collect(bytes(63))


def test_an_instance_is_found_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "")
    tpm, vendor, no = tmp_path / "tpm", tmp_path / "vendor", tmp_path / "none"
    tpm.touch()
    vendor.write_text("Amazon EC2\n")
    places = Places(tsm=TsmDirectory(no), sev_guest=no, tdx_guest=no, gramine=no, nsm=no, tpm=tpm, chassis=no,
                    product=no, launcher=no, vendor=vendor)  # fmt: skip
    monkeypatch.setenv("PATH", str(tmp_path))
    assert isinstance(this_machine(places=places), NitroTpm)
    assert this_machine(places=places, tee=Tee.NITRO).tee is Tee.NITRO
    assert this_machine(places=places, tee=Tee.TPM).tee is Tee.TPM
    monkeypatch.setenv("PATH", str(no))
    assert this_machine(places=places).tee is Tee.TPM


def test_an_instance_is_known_by_its_firmware_and_the_program(tmp_path: Path) -> None:
    there, vendor = program(tmp_path, ""), tmp_path / "sys_vendor"
    vendor.write_text("Amazon EC2\n")
    assert has_nitro_tpm(vendor, there)
    assert not has_nitro_tpm(vendor, "/nonexistent/nitro-tpm-attest")
    assert not has_nitro_tpm(tmp_path / "none", there)
    vendor.write_text("QEMU\n")
    assert not has_nitro_tpm(vendor, there)
