"""Section 3 of the guide about one policy for three clouds, every command of it as printed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "one-policy-for-three-clouds.md"
_SECTION = _GUIDE.read_text(encoding="utf-8").partition("## 3. ")[2].partition("\n## ")[0]
_BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", _SECTION, re.DOTALL | re.MULTILINE)
_COMMANDS, _PRINTED, (_POLICY,) = (
    [text for kind, text in _BLOCKS if kind == wanted] for wanted in ("sh", "", "toml")
)

pytestmark = [
    pytest.mark.skipif(
        shutil.which("openssl") is None, reason="openssl is not on this machine, and the guide uses it"
    ),
    pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not on this machine"),
]


def _shell(folder: Path, script: str) -> str:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(["/bin/sh", "-e", "-c", script], check=False, capture_output=True, text=True, cwd=folder,
                          env={"PATH": path, "HOME": str(folder)}, timeout=60)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def _without_times_and_keys(text: str) -> list[str]:
    text = re.sub(r"sha256:[0-9a-f]{4}\S*", "sha256:…", text)
    text = re.sub(r"(from|as of) \S+", r"\1 …", text)
    return [line.rstrip() for line in text.splitlines()]


def test_the_section_does_what_it_says(tmp_path: Path) -> None:
    keys, sign, second, explain = _COMMANDS

    fingerprint = _shell(tmp_path, keys).split()[0]
    other = _shell(tmp_path, keys.splitlines()[-1].replace("alice", "bob")).split()[0]
    (tmp_path / "policy.toml").write_text(_POLICY.replace("33" * 32, fingerprint).replace("44" * 32, other))
    signed = _shell(tmp_path, sign)
    assert f"signer sha256:{fingerprint}" in signed
    assert _without_times_and_keys(signed) == _without_times_and_keys(_PRINTED[0])

    shown = _shell(tmp_path, second)
    assert f"signer sha256:{other}" in shown
    explained = _without_times_and_keys(_shell(tmp_path, explain))
    for line in _without_times_and_keys(_PRINTED[1]):
        assert line in explained
