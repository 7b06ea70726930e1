"""Every `sealroom measure` command of the guide, as printed."""

import re
import shlex
import struct
from pathlib import Path

import pytest
from made_images import eif, linux, sev_firmware, sigstruct, tdx_firmware

from sealroom.cli.main import _run

_GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "which-measurement-do-i-pin.md"
_COMMANDS = re.findall(r"^```\n(sealroom measure [^\n]*)\n```", _GUIDE.read_text(encoding="utf-8"), re.MULTILINE)


def event_log():
    """A log with nothing in it but its header."""
    spec = b"Spec ID Event03\x00" + struct.pack("<IBBBBIHHB", 0, 0, 2, 0, 2, 1, 0x0C, 48, 0)
    return struct.pack("<II20sI", 1, 3, bytes(20), len(spec)) + spec


@pytest.fixture
def folder(tmp_path, monkeypatch):
    contents = {
        "OVMF.amdsev.fd": sev_firmware(), "OVMF.inteltdx.fd": tdx_firmware(), "vmlinuz": linux(),
        "initrd.img": b"initrd" * 99, "loader.raw": b"1", "rsdp.raw": b"2", "tables.raw": b"3",
        "ccel.bin": event_log(), "enclave.sig": sigstruct(), "image.eif": eif(),
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)


def test_the_guide_shows_each_verb():
    assert {command.split()[2] for command in _COMMANDS} == {"snp", "tdx", "sgx", "nitro", "log"}
    assert len(_COMMANDS) == 8


@pytest.mark.parametrize("command", _COMMANDS)
def test_a_command_of_the_guide_does_what_it_says(command, folder, capsys):
    assert _run(shlex.split(command)[1:]) == 0
    assert "rtmr0" in (told := capsys.readouterr().out) or "for a policy:" in told
