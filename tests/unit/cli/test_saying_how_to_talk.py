"""What `sealroom up` says to type next has to work as it stands there."""

from pathlib import Path

import pytest

from sealroom.cli.up import words_to_chat
from sealroom.embedded.state import State, default_state_folder


def test_a_system_in_a_folder_of_its_own_is_talked_to_by_its_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALROOM_STATE", str(tmp_path / "usual"))

    assert words_to_chat("http://127.0.0.1:8642", State(default_state_folder())) == "chat"
    elsewhere = words_to_chat("http://127.0.0.1:9999", State(tmp_path / "other"))
    assert elsewhere == "chat --endpoint http://127.0.0.1:9999"


def test_a_folder_that_is_named_from_here_is_the_same_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert State(Path("mine")).room_policy == tmp_path / "mine" / "room-policy.toml"
