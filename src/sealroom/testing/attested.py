"""Attested keys the honest way: minted evidence, a policy that names its root, and the verifier that everybody uses.

For whoever tests what comes after the proof (channel, gateway, client) and wants no warrant of his own.
"""

from datetime import datetime, timedelta

from sealroom.binding import Label, report_data
from sealroom.collateral import EvidenceBundle
from sealroom.evidence import AttestedKey
from sealroom.policy import load_policy
from sealroom.statement import RoomStatement
from sealroom.testing.snp import SimulatedSnp
from sealroom.verifier import attest_guest, attest_room

__all__ = ["SimulatedRoom"]

_NONCE = b"\x5e" * 32
_MODEL_DIGEST = b"\x0d" * 32
_ENGINE_DIGEST = b"\x0e" * 32
_POLICY = """\
policy = 1
name = "simulated room"
[trust]
tees = ["snp"]
insecure_simulated = ["sha256:{root}"]
[snp]
measurement = ["{measurement}"]
allow = ["smt"]
[snp.minimum_tcb.{product}]
{floor}
[model]
name = "model"
digest = ["sha256:{model}"]
[engine]
config_digest = ["sha256:{engine}"]
[unchecked]
init_data = "a test's room has none"
"""


class SimulatedRoom:
    """A room on simulated hardware that states whatever keys it is given, and the policy that accepts it.

    Args:
        guest: the simulated guest; a new one, on a new chip, if none is given, which takes a second or two.
    """

    def __init__(self, guest: SimulatedSnp | None = None) -> None:
        self.guest = guest or SimulatedSnp(measurement=b"\x3a" * 48)
        platform = self.guest.platform
        document = _POLICY.format(
            root=platform.root_fingerprint.hex(),
            measurement="3a" * 48,
            product=platform.product.value,
            floor="\n".join(f"{part} = {level}" for part, level in platform.tcb.items()),
            model=_MODEL_DIGEST.hex(),
            engine=_ENGINE_DIGEST.hex(),
        )
        self.policy = load_policy(document, source="sealroom.testing.attested")

    def channel_key(
        self, key_configs: bytes, *, at: datetime, lifetime: timedelta = timedelta(minutes=30)
    ) -> AttestedKey:
        """``key_configs`` (application/ohttp-keys) as a caller holds it after verifying this room at ``at``."""
        statement = RoomStatement(
            nonce=_NONCE,
            key_configs=key_configs,
            model_name="model",
            model_version=1,
            model_digest=_MODEL_DIGEST,
            package_digest=bytes(32),
            engine_name="none",
            engine_version="1",
            engine_config_digest=_ENGINE_DIGEST,
            sandbox_layers=(),
            software_version="0.1.0",
            created_at=at,
            not_after=at + lifetime,
        ).encode()
        collected = self.guest.collect(report_data(Label.ROOM_STATEMENT, statement))
        bundle = EvidenceBundle.of(statement, collected).encode()
        return attest_room(bundle, self.policy, nonce=_NONCE, at=at).key

    def release_key(self, jwk: bytes, *, at: datetime) -> AttestedKey:
        """``jwk`` as a broker holds it after verifying this machine: good for key release, and for nothing else."""
        expected = b"\x4b" * 64
        collected = self.guest.collect(expected)
        return attest_guest(
            collected,
            expected_report_data=expected,
            tee_pubkey_jwk=jwk,
            init_data=None,
            policy=self.policy,
            at=at,
        )
