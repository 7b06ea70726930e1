"""A simulated machine with a CPU and GPUs, the bundle of a room on it, and somebody's policy for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from sealroom.binding import Label, report_data
from sealroom.collateral import EvidenceBundle
from sealroom.device_statement import device_nonce
from sealroom.evidence import Appraisal, CollectedEvidence, Tee
from sealroom.policy import Policy, load_policy
from sealroom.statement import RoomStatement
from sealroom.testing.dcap import DcapPlatform, SimulatedTdx
from sealroom.testing.nvidia import GpuMachine
from sealroom.testing.nvidia_cases import AT
from sealroom.verifier import appraise_room

NONCE = b"\x0a" * 32
REGISTERS = {"mr_td": b"\x4d" * 48, "rtmr1": b"\x31" * 48, "rtmr2": b"\x32" * 48}
STATEMENT = RoomStatement(
    nonce=NONCE, key_configs=b"the room's keys", model_name="SmolLM2", model_version=3, model_digest=b"\x11" * 32,
    package_digest=b"\x22" * 32, engine_name="vllm", engine_version="1", engine_config_digest=b"\x33" * 32,
    sandbox_layers=("landlock",), software_version="0.1.0", created_at=AT, not_after=AT + timedelta(minutes=30),
)  # fmt: skip
NVIDIA = '[nvidia]\nminimum_driver = "500.00"\n'


@dataclass(frozen=True, kw_only=True)
class DeviceRoom:
    """Mints bundles with one thing changed, and has them judged."""

    gpus: GpuMachine
    platform: DcapPlatform = field(repr=False)

    def document(self, tables: str = NVIDIA, *, trust: str = "") -> str:
        """A policy for rooms on this machine, with ``tables`` for its devices and ``trust`` under ``[trust]``."""
        roots = [self.platform.vendor.root_fingerprint, *sorted(self.gpus.root_fingerprints)]
        pins = "\n".join(f'{name} = ["{value.hex()}"]' for name, value in REGISTERS.items())
        return f"""\
policy = 1
name = "caller"
[trust]
tees = ["tdx"]
insecure_simulated = [{", ".join(f'"sha256:{root.hex()}"' for root in roots)}]
{trust}
[tdx]
{pins}
[model]
name = "SmolLM2"
digest = ["sha256:{"11" * 32}"]
[engine]
sandbox_layers = ["landlock"]
{tables}
"""

    def policy(self, tables: str = NVIDIA, *, trust: str = "") -> Policy:
        """That policy."""
        return load_policy(self.document(tables, trust=trust), source="test.toml")

    def devices(self, statement: RoomStatement = STATEMENT) -> dict[str, CollectedEvidence]:
        """What every device answers to a statement's nonce."""
        return self.gpus.collect(device_nonce(statement.encode(), Tee.NVIDIA))

    def vouched(self, raw: bytes, devices: Mapping[str, CollectedEvidence]) -> EvidenceBundle:
        """A bundle whose CPU vouches for ``raw``, whatever that says."""
        guest = SimulatedTdx(platform=self.platform, **REGISTERS)
        return EvidenceBundle.of(raw, guest.collect(report_data(Label.ROOM_STATEMENT, raw)), devices)

    def bundle(
        self, devices: Mapping[str, CollectedEvidence] | None = None, statement: RoomStatement = STATEMENT
    ) -> EvidenceBundle:
        """An honest room's, unless ``devices`` are other ones."""
        devices = self.devices(statement) if devices is None else devices
        return self.vouched(statement.with_devices(devices).encode(), devices)

    def judge(self, bundle: EvidenceBundle | bytes, policy: Policy | None = None, **changes: Any) -> Appraisal:
        """The verdict on a bundle."""
        raw = bundle if isinstance(bundle, bytes) else bundle.encode()
        return appraise_room(raw, policy or self.policy(), **({"nonce": NONCE, "at": AT} | changes))

    def with_gpus(self, gpus: GpuMachine) -> "DeviceRoom":
        """The same CPU with other devices."""
        return replace(self, gpus=gpus)
