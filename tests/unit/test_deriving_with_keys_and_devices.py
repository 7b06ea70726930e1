"""Policies are derived from evidence that no vendor's root stands above, and from rooms with all their devices."""

import re
import tomllib
from pathlib import Path

import pytest
from device_room import NONCE, DeviceRoom

from sealroom.cli.main import _run
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.nvidia import GpuMachine
from sealroom.testing.nvidia_cases import AT

_SIGNER = "sha256:23ca783283667838583c8502a2ec6e08d7f8f22b5a0abc226c1c99ed963b6d4b"
_ALICE = "0a" * 32


@pytest.fixture
def room() -> DeviceRoom:
    return DeviceRoom(gpus=GpuMachine.create(gpus=2, switches=1), platform=DcapPlatform.create())


def test_a_services_token_takes_the_key_that_was_enrolled(
    shared_vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = shared_vectors / "gcp" / "cs-prod-sev"
    words = [str(case / "token.jwt"), "--collateral", str(case), "--at", "2026-10-08T21:58:24+00:00"]

    assert _run(["policy", "derive", *words]) == 4
    assert _run(["policy", "derive", *words, "--enrolled-key", "sha256:" + _ALICE]) == 4
    assert "gcp.unknown-signer" in capsys.readouterr().err
    assert _run(["policy", "derive", *words, "--enrolled-key", _SIGNER]) == 0
    policy = tmp_path / "policy.toml"
    policy.write_text(capsys.readouterr().out.replace("# allow =", "allow ="))
    assert tomllib.loads(policy.read_text())["trust"]["token_signers"] == [_SIGNER]
    assert _run(["verify", *words, "--policy", str(policy)]) == 0


def test_a_room_is_derived_with_its_devices_and_all_roots_that_were_named(
    room: DeviceRoom, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, policy = tmp_path / "evidence.cbor", tmp_path / "policy.toml"
    bundle.write_bytes(room.bundle().encode())
    at = ["--at", AT.isoformat()]
    roots = {room.platform.vendor.root_fingerprint, *room.gpus.root_fingerprints}
    named = [word for root in roots for word in ("--insecure-simulated-root", root.hex())]

    assert _run(["policy", "derive", str(bundle), *at, *named]) == 0
    derived = capsys.readouterr().out
    policy.write_text(derived)

    table = tomllib.loads(derived)["nvidia"]
    assert (table["count"], table["switches"], table["mode"]) == (2, 1, ["protected-pcie"])
    assert "# REFUSED:" not in derived
    assert "# DECIDE:" not in derived
    assert _run(["verify", str(bundle), *at, "--policy", str(policy), "--nonce", NONCE.hex()]) == 0


def test_one_gpu_of_several_says_what_there_is_to_decide(
    shared_vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = shared_vectors / "nvidia" / "h100-590-ppcie"
    words = [str(case / "report.bin"), "--collateral", str(case), "--at", "2026-03-01T00:00:00Z"]

    assert _run(["policy", "derive", *words]) == 0
    derived = capsys.readouterr().out
    assert '# allow = ["open_topology", "revocation_not_checked"]' in derived
    assert '# reference_values = "none"' in derived
    assert "# REFUSED:" not in derived

    policy = tmp_path / "policy.toml"
    policy.write_text(derived)
    assert _run(["verify", *words, "--policy", str(policy)]) == 1
    policy.write_text(re.sub(r"^# (allow|reference_values) =", r"\1 =", derived, flags=re.MULTILINE))
    assert _run(["verify", *words, "--policy", str(policy)]) == 0
