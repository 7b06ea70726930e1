"""The verb: on simulated machines, when the silicon is asked, and when it is used wrongly."""

import json
from pathlib import Path

import made_up_machines as made_up
import pytest

from sealroom.cli import doctor as verb
from sealroom.cli.main import _run
from sealroom.doctor import collect_answers
from sealroom.errors import UnavailableError
from sealroom.evidence import Collateral, Tee
from sealroom.policy import default_policy
from sealroom.tees.snp.collect import SnpDevice
from sealroom.testing.guest_devices import EmulatedSevGuest
from sealroom.testing.machines import Launched, power_on
from sealroom.testing.nvidia import GpuMachine
from sealroom.testing.nvml import EmulatedNvml
from sealroom.testing.snp import DEFAULT_POLICY, POLICY_DEBUG, SimulatedSnp


@pytest.fixture
def snp_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> made_up.MadeUp:
    """This machine is one with SNP."""
    machine, look = made_up.amazon_snp(tmp_path), verb.look
    monkeypatch.setattr(verb, "look", lambda: look(machine.sight()))
    return machine


@pytest.fixture(scope="module")
def chip() -> SimulatedSnp:
    return SimulatedSnp()


@pytest.fixture
def device(chip: SimulatedSnp, monkeypatch: pytest.MonkeyPatch) -> EmulatedSevGuest:
    """The device of that machine: a chip under a private root, and nothing that says that it is simulated."""
    device = EmulatedSevGuest(chip.report)

    def this_machine(*, tee: Tee | None, collateral: Collateral | None) -> SnpDevice:
        if tee not in {None, Tee.SNP}:
            raise UnavailableError("collect.other-tee", f"no {tee} here")
        return SnpDevice(device, collateral=collateral)

    monkeypatch.setattr(collect_answers, "this_machine", this_machine)
    return device


def answers(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)["answers"]
    return found


def test_looking_asks_no_silicon(
    snp_machine: made_up.MadeUp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(collect_answers, "this_machine", lambda **_: pytest.fail("asked"))
    before = sorted(path for path in snp_machine.root.rglob("*"))
    assert _run(["doctor"]) == 0
    assert "sealroom doctor --ask" in capsys.readouterr().out
    assert sorted(path for path in snp_machine.root.rglob("*")) == before


@pytest.mark.usefixtures("snp_machine", "device")
def test_evidence_without_its_certificates_is_made_and_not_verified(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["doctor", "--ask", "--json"]) == 0
    (answer,) = answers(capsys)
    assert (answer["made"], answer["state"], answer["tee"]) == (True, "missing", "snp")
    assert "1184 bytes" in str(answer["found"])
    assert "not verified [collateral.missing]" in str(answer["found"])


@pytest.mark.usefixtures("snp_machine", "device")
def test_evidence_that_was_named_is_asked_for_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["doctor", "--ask", "--tee", "snp", "--json"]) == 0
    assert answers(capsys)[0]["made"]
    assert _run(["doctor", "--ask", "--tee", "tdx", "--json"]) == 5
    assert "[collect.other-tee]" in str(answers(capsys)[0]["found"])


@pytest.mark.usefixtures("snp_machine", "device")
def test_what_goes_along_is_taken_from_a_folder_and_the_verdict_is_that_of_the_built_in_policy(
    tmp_path: Path, chip: SimulatedSnp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder := tmp_path / "along").mkdir()
    for name, content in chip.platform.collateral().items.items():
        (folder / name).write_bytes(content)
    command = ["doctor", "--ask", "--json", "--collateral", str(folder)]
    assert _run(command) == 0
    assert "not verified [x509.untrusted-root]" in str(answers(capsys)[0]["found"])

    trusting = default_policy(insecure_simulated={chip.root_fingerprint})
    monkeypatch.setattr(collect_answers, "default_policy", lambda: trusting)
    assert _run(command) == 0
    (answer,) = answers(capsys)
    assert (answer["state"], "accepted by the built-in policy" in str(answer["found"])) == ("ok", True)


@pytest.mark.usefixtures("snp_machine")
def test_genuine_evidence_that_the_policy_refuses_is_told_with_the_reasons(
    device: EmulatedSevGuest, tmp_path: Path, chip: SimulatedSnp, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, content in chip.platform.collateral().items.items():
        (tmp_path / name).write_bytes(content)
    trusting = default_policy(insecure_simulated={chip.root_fingerprint})
    monkeypatch.setattr(collect_answers, "default_policy", lambda: trusting)
    device._answer = SimulatedSnp(platform=chip.platform, policy=DEFAULT_POLICY | POLICY_DEBUG).report
    assert _run(["doctor", "--ask", "--json", "--collateral", str(tmp_path)]) == 0
    (answer,) = answers(capsys)
    assert (answer["state"], "the built-in policy refuses it: snp.debug" in str(answer["found"])) == ("missing", True)


@pytest.mark.usefixtures("snp_machine")
def test_silicon_that_gives_nothing_is_told_with_its_reason(
    device: EmulatedSevGuest, capsys: pytest.CaptureFixture[str]
) -> None:
    device.error = 5
    assert _run(["doctor", "--ask"]) == 5
    shown = capsys.readouterr().out
    assert "no evidence [snp.no-report]" in shown
    assert "EIO" in shown


def test_a_machine_that_looked_right_and_has_no_attester_is_told(
    snp_machine: made_up.MadeUp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(**_: object) -> None:
        raise UnavailableError("collect.no-tee", "nothing")

    monkeypatch.setattr(collect_answers, "this_machine", none)
    assert _run(["doctor", "--ask"]) == 5
    assert "[collect.no-tee]" in capsys.readouterr().out


@pytest.mark.usefixtures("snp_machine", "device")
def test_gpus_are_asked_too_and_what_keeps_them_silent_leaves_the_cpus_answer(
    snp_machine: made_up.MadeUp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nvml = EmulatedNvml(GpuMachine.preset("h100").gpus)
    snp_machine.pci("0x030200", 1).nvml = nvml
    monkeypatch.setattr("sealroom.tees.nvidia.collect.nvml_binding", lambda: nvml)
    assert _run(["doctor", "--ask", "--json"]) == 0
    said = {answer["name"]: answer["found"] for answer in answers(capsys)}
    assert set(said) == {"CPU", "gpu0"}
    assert "not verified [x509.untrusted-root]" in str(said["gpu0"])

    monkeypatch.setattr(collect_answers, "devices_of_this_machine", _fails)
    assert _run(["doctor", "--ask", "--json"]) == 5
    said = {answer["name"]: answer["found"] for answer in answers(capsys)}
    assert "[nvidia.no-gpu]" in str(said["devices"])
    assert "1184 bytes" in str(said["CPU"])


def _fails(_: object) -> None:
    raise UnavailableError("nvidia.no-gpu", "it went away")


@pytest.mark.parametrize("kind", ["snp", "tdx+h100", "nitro"])
def test_a_simulated_machine_is_told_of_as_such(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    power_on(kind, tmp_path).launch(tmp_path, Launched(measurement=bytes(48), init_data=bytes(32)))
    assert _run(["doctor", "--insecure-simulated", str(tmp_path)]) == 0
    assert "SIMULATED machine of the kind" in capsys.readouterr().out
    assert _run(["doctor", "--insecure-simulated", str(tmp_path), "--ask", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["simulated"]
    assert [answer["name"] for answer in said["answers"]] == ["CPU", *(["gpu0"] if "h100" in kind else [])]
    assert all("SIMULATED" in answer["found"] for answer in said["answers"])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--insecure-simulated", "nowhere"], "cli.no-guest"),
        (["--collateral", "."], "cli.option-not-for-this"),
        (["--tee", "snp"], "cli.option-not-for-this"),
        (["--ask", "--tee", "snp", "--insecure-simulated", "guest"], "cli.option-not-for-this"),
    ],
)
def test_wrong_use_is_told(words: list[str], code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["doctor", *words]) == 2
    assert f"({code})" in capsys.readouterr().err


def test_here_it_says_something(capsys: pytest.CaptureFixture[str]) -> None:
    status = _run(["doctor", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert status == (0 if said["proves"] else 5)
    assert "Linux" in said["machine"]
