"""The guide for Arm devices, step by step."""

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.cli.main import _run
from sealroom.testing.cca import CcaPlatform
from sealroom.testing.psa import psa_token

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "verify-an-arm-device.md"
DEVICE = CcaPlatform.create()
CHALLENGE = bytes(range(32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    public = DEVICE.key.public_key()
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "platform_key").write_bytes(
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    (tmp_path / "token.cbor").write_bytes(psa_token(DEVICE, CHALLENGE))
    policy = GUIDE.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    for value in (DEVICE.fingerprint, hashlib.sha256(b"simulated PRoT").digest()):
        policy = policy.replace("…", value.hex(), 1)
    (tmp_path / "device.toml").write_text(policy, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("challenge", "status"),
    [(CHALLENGE, 0), (bytes(32), 4), (CHALLENGE[:31], 4), (CHALLENGE.ljust(64, b"\0"), 4)],
    ids=["its own", "another", "cut", "padded"],
)
def test_a_device_with_an_enrolled_key_is_judged_by_the_guides_policy(folder, capsys, challenge, status):
    """Fault gpu-cloud 16: the challenge is compared as it is, and nothing is padded."""
    got = _run(["verify", str(folder / "token.cbor"), "--collateral", str(folder / "key"), "--policy",
                str(folder / "device.toml"), "--report-data", challenge.hex()])  # fmt: skip
    assert got == status, capsys.readouterr()
