"""Files of other formats and options with slips in them: the message says which file, and what is right."""

from pathlib import Path

import pytest

from sealroom.cli.main import _run
from sealroom.errors import MalformedError
from sealroom.policy import load_policy

_TEXT = b"hello world\n"


@pytest.mark.parametrize(
    ("words", "status", "code", "expected"),
    [
        (("collateral", "show", "FILE"), 3, "cli.not-collateral", "sealroom collateral fetch"),
        (("collateral", "fetch", "FILE", "-o", "out"), 3, "cli.not-evidence", "nitro"),
        (("result", "FILE", "--issuer-key", "FILE"), 3, "cli.key", "COSE_Key"),
        (("verify", "FILE"), 3, "cli.not-evidence", "nitro"),
        (("inspect", "CUT"), 3, "inspect.not-json", "JSON"),
        (("inspect", "REPORT"), 3, "snp.wrong-length", "1184"),
        (("conformance", "FILE"), 2, "conformance.no-folder", "a vector's folder"),
        (("conformance", "NOTHING"), 2, "conformance.no-folder", "a vector's folder"),
    ],
)
def test_a_file_of_another_format_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int, code: str, expected: str
) -> None:
    files = {"FILE": _TEXT, "CUT": b'{"version": 1', "REPORT": b"\x03\x00\x00\x00" + bytes(100)}
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)

    named = [str(tmp_path / word) if word in files or word == "NOTHING" else word for word in words]
    assert _run(named) == status

    said = capsys.readouterr().err
    assert f"({code})" in said
    assert str(tmp_path) in said
    assert expected in said


def test_one_letter_among_hexadecimal_digits_is_pointed_at() -> None:
    document = 'policy = 1\nname = "x"\n[trust]\ntees = ["nitro"]\n[nitro]\npcr8 = ["{}"]\n'

    with pytest.raises(MalformedError) as refused:
        load_policy(document.format("0f" * 47 + "0g"), source="test.toml")
    assert refused.value.hint == "it has 96 characters, and 'g' as the 96th is no digit"
    with pytest.raises(MalformedError) as refused:
        load_policy(document.format("0"), source="test.toml")
    assert refused.value.hint == "it has 1 character"


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        *(
            ("--service", value, "cli.address")
            for value in ("pccs.example", "ftp://x", "https://", "http://[::1", "")
        ),
        *(("--service", value, "cli.address") for value in ("http://me:secret@x", "http://x/?q=1", "http://x:0")),
        ("--ocsp", "ocsp.example", "cli.address"),
        *(("--timeout", value, "cli.timeout") for value in ("-1", "0", "nan", "inf")),
        ("--certificates", "FILE", "cli.certificates"),
    ],
)
def test_nobody_is_asked_with_a_slip_in_an_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, code: str
) -> None:
    file = tmp_path / "FILE"
    file.write_bytes(_TEXT)

    status = _run(["collateral", "fetch", str(file), "-o", "-", option, str(file) if value == "FILE" else value])

    said = capsys.readouterr().err
    assert (status, f"({code})" in said) == (3 if code == "cli.certificates" else 2, True), said
    assert "secret" not in said
