"""The whole system at its noisiest: marked question and answer are at the two ends alone, the key in no file."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from room_world import NAME, room_world

from sealroom.embedded.launch import DEMONSTRATION_MODEL, Broker
from sealroom.embedded.system import shipped_models
from sealroom.sealed.stores import SealedModelInfo
from sealroom.testing.snp import SnpPlatform

pytestmark = [
    pytest.mark.flow,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("whole-system"),
    pytest.mark.skipif(
        not (shipped_models() / DEMONSTRATION_MODEL).exists(), reason="the demonstration model is not installed"
    ),
]

MARK = "zanzibarquokka7731"


def test_a_marked_prompt_is_in_no_log_no_file_and_no_database_at_the_noisiest_level(tmp_path: Path) -> None:
    state, scratch = tmp_path / "state", tmp_path / "tmp"
    scratch.mkdir()
    environment = {
        **os.environ,
        "SEALROOM_STATE": str(state),
        "SEALROOM_LOG_LEVEL": "DEBUG",
        "PYTHONASYNCIODEBUG": "1",
        "TMPDIR": str(scratch),
    }
    words = ("up", "--prompt", f"Repeat the word {MARK} three times.", "--max-tokens", "24", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "sealroom", *words], check=False, capture_output=True, env=environment, timeout=170
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    answer = json.loads(done.stdout)["answer"]

    logs = {path.name: path.read_bytes() for path in (state / "logs").iterdir()}
    assert set(logs) == {"broker.log", "room.log"}
    assert any(b"DEBUG" in log for log in logs.values()), "the level did not reach the children: the test is blind"
    places = {"stderr": done.stderr} | {
        str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert str(state / "broker" / "broker.sqlite") in places
    for secret in secrets_in(answer):
        assert [place for place, content in places.items() if secret in content] == []


def secrets_in(answer: str) -> list[bytes]:
    """The mark, and stretches of the answer that are too long to stand anywhere by chance."""
    stretches = re.findall(r"[^\n\"]{24,60}", answer)
    return [MARK.encode(), *(stretch.encode() for stretch in stretches)]


async def test_the_models_key_is_in_no_file_of_broker_room_or_package(
    tmp_path: Path, snp_platform: SnpPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealed, registered, released, used: afterwards it lies nowhere but wrapped under the broker's own key."""
    captured: list[bytes] = []
    register = Broker.register

    def capturing(self: Broker, info: SealedModelInfo, policy: str) -> None:
        captured.append(bytes(bytearray(info.dek.secret)))  # a copy: the key itself is wiped after use
        register(self, info, policy)

    monkeypatch.setattr(Broker, "register", capturing)
    for name, value in (("SEALROOM_LOG_LEVEL", "DEBUG"), ("PYTHONASYNCIODEBUG", "1"), ("TMPDIR", str(tmp_path))):
        monkeypatch.setenv(name, value)
    async with room_world(tmp_path, platform=snp_platform) as world:
        await world.room()
        while_running = contents_of(tmp_path)
    (key,) = captured
    assert any(key), "the copy was made too late: the test is blind"

    for places in (while_running, contents_of(tmp_path)):
        names = {path.relative_to(tmp_path).as_posix() for path in map(Path, places)}
        assert {"broker/broker.sqlite", "broker.log", "room.log", f"models/{NAME}-v1/manifest.json"} <= names
        assert b"DEBUG" in places[str(tmp_path / "room.log")], "the level did not reach the room: the test is blind"
        for spelling in spellings(key):
            assert [place for place, content in places.items() if spelling in content] == []


def test_the_search_for_a_key_finds_it_however_it_is_written() -> None:
    key = bytes(range(200, 232))
    written = (
        b"raw " + key,
        key.hex().upper().encode(),
        json.dumps({"k": base64.urlsafe_b64encode(key).decode().rstrip("=")}).encode(),
        json.dumps(list(key)).encode(),
        *(base64.b64encode(b"#" * before + key + b"more") for before in range(4)),
    )
    for text in written:
        assert any(spelling in text for spelling in spellings(key)), text


def contents_of(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def spellings(key: bytes) -> list[bytes]:
    """How ``key`` may stand in a file: raw, hex, a list of numbers, base64 of either alphabet in each alignment."""
    found = [key, key.hex().encode(), key.hex().upper().encode()]
    found += [separator.join(str(byte) for byte in key).encode() for separator in (",", ", ")]
    for before in range(3):
        # the digits at both ends also hold bits of the neighbours; what is left is of the key alone
        whole = base64.b64encode(bytes(before) + key + bytes(2))
        inner = whole[-(-before * 8 // 6) : (before + len(key)) * 8 // 6]
        found += [inner, inner.translate(bytes.maketrans(b"+/", b"-_"))]
    return found
