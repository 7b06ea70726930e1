"""Whoever drew 64 bytes for `collect` hands the same 64 to `verify`, whatever the evidence has room for."""

import pytest

from sealroom.cli.input_files import parse_hex_option
from sealroom.cli.main import _run
from sealroom.errors import MisuseError
from sealroom.testing.machines import Launched, power_on

DRAWN = "00" * 63 + "01"
_OPEN = '\n[unchecked]\nfreshness = "--report-data"\nmodel = "-"\nengine = "-"\ninit_data = "-"\n'


@pytest.fixture(scope="module", params=["nitro", "tpm", "azure-snp", "gcp-snp"])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words that verify what `collect` wrote for DRAWN."""
    place = tmp_path_factory.mktemp(request.param)
    machine, launched = power_on(request.param, place / "m"), Launched(measurement=b"\x11" * 48, init_data=bytes(32))
    machine.launch(place / "m", launched)
    (place / "policy.toml").write_text(f'policy = 1\nname = "x"\n{machine.accepted(launched).sections()}{_OPEN}')
    out = place / "out"
    assert _run(["collect", str(out), "--report-data", DRAWN, "--insecure-simulated", str(place / "m")]) == 0
    words = ["verify", str(out / "evidence.bin"), "--policy", str(place / "policy.toml")]
    return words if request.param in {"nitro", "tpm"} else [*words, "--collateral", str(out)]


def test_the_bytes_that_were_drawn_are_what_is_compared(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _run([*asked, "--report-data", DRAWN]) == 0, capsys.readouterr()


def test_other_bytes_are_refused_and_named_as_they_were_typed(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = "00" * 63 + "02"
    assert _run([*asked, "--report-data", other]) == 4
    said = capsys.readouterr().err
    assert "binding.report-data" in said
    assert other in said


def test_only_the_digest_of_all_64_bytes_stands_for_them(asked: list[str]) -> None:
    assert _run([*asked, "--report-data", DRAWN[2:]]) == 4


def test_what_is_no_hexadecimal_digit_is_named() -> None:
    with pytest.raises(MisuseError, match="'g' among them"):
        parse_hex_option("0g" * 32, option="--nonce", size=32)
