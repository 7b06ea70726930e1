"""The whole system on every kind of simulated machine: the broker releases the key by its evidence, the room boots
and answers, and the caller has verified CPU and devices."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sealroom.embedded.launch import DEMONSTRATION_MODEL
from sealroom.embedded.system import shipped_models
from sealroom.testing.machines import CPUS, kind_named
from sealroom.testing.nvidia import PRESETS

pytestmark = [
    pytest.mark.flow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("whole-system"),
    pytest.mark.skipif(
        not (shipped_models() / DEMONSTRATION_MODEL).exists(), reason="the demonstration model is not installed"
    ),
]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all kinds, as somebody has who tries one after the other."""
    return tmp_path_factory.mktemp("state")


def run(*words: str, state: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sealroom", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=240,
                          env={**os.environ, "SEALROOM_STATE": str(state)})  # fmt: skip


@pytest.mark.parametrize("kind", [*CPUS, "snp+h100", "tdx+h100", "tdx+h100x8", "snp+b200x8", "azure-snp+h100"])
def test_a_question_is_answered_by_a_room_on(kind: str, state: Path) -> None:
    done = run("up", "--simulate", kind, "--prompt", "What is a seal?", "--max-tokens", "4", "--json", state=state)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["answer"].strip()
    assert result["appraisal"]["accepted"] is True
    assert result["appraisal"]["simulated"] is True
    checks = {check["check"]: check for check in result["appraisal"]["checks"]}
    assert checks["trust.tee"]["got"] == kind_named(kind).cpu.tee.value
    if (gpus := kind_named(kind).gpus) is None:
        assert not any(name.startswith("nvidia.") for name in checks)
    else:
        _, count, switches, _ = PRESETS[gpus]
        assert checks["nvidia.count"]["got"] == str(count)
        assert checks.get("nvidia.switches", {"got": "0"})["got"] == str(switches)


def test_an_unknown_kind_is_told_which_there_are(state: Path) -> None:
    done = run("up", "--simulate", "abacus", "--prompt", "x", state=state)
    assert (done.returncode, done.stdout) == (2, "")
    assert "simulated.kind" in done.stderr
    assert "azure-snp" in done.stderr
    assert "h100x8" in done.stderr


def test_by_hand_a_guest_is_launched_and_asked_for_evidence_that_its_policy_accepts(tmp_path: Path) -> None:
    (tmp_path / "init.toml").write_text('version = "0.1.0"\nalgorithm = "sha384"\n[data]\n"sealroom.model" = "m"\n')
    launched = run("simulate", str(tmp_path / "m"), "--kind", "tdx+h100", "--init-data", str(tmp_path / "init.toml"),
                   state=tmp_path)  # fmt: skip
    assert launched.returncode == 0, launched.stderr
    assert "[nvidia]" in launched.stdout
    open_ = "".join(f'{key} = "by hand"\n' for key in ("init_data", "freshness", "model", "engine"))
    cpu_alone = launched.stdout.partition("[nvidia]")[0]
    (tmp_path / "policy.toml").write_text(f'policy = 1\nname = "t"\n[unchecked]\n{open_}{cpu_alone}')
    data = "5a" * 64
    collected = run("collect", str(tmp_path / "e"), "--report-data", data, "--insecure-simulated",
                    str(tmp_path / "m"), "--devices", "--json", state=tmp_path)  # fmt: skip
    assert collected.returncode == 0, collected.stderr
    assert [one["tee"] for one in json.loads(collected.stdout)["devices"]] == ["nvidia"]
    assert {"evidence.bin", "cert_chain", "driver_rim", "vbios_rim", "ocsp"} == {
        path.name for path in (tmp_path / "e" / "gpu0").iterdir()
    }
    verified = run("verify", str(tmp_path / "e" / "evidence.bin"), "--collateral", str(tmp_path / "e"), "--policy",
                   str(tmp_path / "policy.toml"), "--report-data", data, state=tmp_path)  # fmt: skip
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [(("--kind", "abacus"), "simulated.kind"), (("--kind", "tdx", "--product", "Milan"), "cli.product")],
)
def test_what_can_not_be_launched_is_told(tmp_path: Path, words: tuple[str, ...], code: str) -> None:
    (tmp_path / "init.toml").write_text('version = "0.1.0"\nalgorithm = "sha256"\n[data]\n"sealroom.model" = "m"\n')
    done = run("simulate", str(tmp_path / "m"), *words, "--init-data", str(tmp_path / "init.toml"), state=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert code in done.stderr
