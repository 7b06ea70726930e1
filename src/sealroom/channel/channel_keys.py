"""The private keys of a room's channel: made at boot, kept in memory, replaced as a whole."""

from dataclasses import dataclass

from sealroom.channel.kem import KemPrivateKey, generate_private_key
from sealroom.channel.key_config import KeyConfig, encode_key_configs
from sealroom.channel.suites import AeadId, KdfId, KemId, Suite
from sealroom.errors import UnverifiedError

__all__ = ["ChannelKeys"]

_POST_QUANTUM_AEADS = (AeadId.AES_256_GCM, AeadId.CHACHA20_POLY1305)
_CLASSICAL_AEADS = (AeadId.AES_256_GCM, AeadId.AES_128_GCM, AeadId.CHACHA20_POLY1305)
_KEY_IDS = 255


@dataclass(frozen=True, slots=True, repr=False)
class _HeldKey:
    config: KeyConfig
    private: KemPrivateKey


class ChannelKeys:
    """One generation of keys: X25519 and MLKEM768-X25519. Immutable; `rotated` makes the next.

    Attributes:
        key_configs: the application/ohttp-keys list that the evidence binds, post-quantum first.
    """

    __slots__ = ("_classical_id", "_held", "key_configs")

    def __init__(self, *, classical: tuple[int, KemPrivateKey], post_quantum: tuple[int, KemPrivateKey]) -> None:
        held = (_hold(*post_quantum, _POST_QUANTUM_AEADS), _hold(*classical, _CLASSICAL_AEADS))
        self._classical_id = classical[0]
        self._held = {key.config.key_id: key for key in held}
        self.key_configs = encode_key_configs(tuple(key.config for key in held))

    @classmethod
    def generate(cls) -> "ChannelKeys":
        """The first generation: key id 1 is X25519, key id 2 is MLKEM768-X25519."""
        return cls._generation(1)

    def rotated(self) -> "ChannelKeys":
        """Fresh keys under the next two ids; requests to the old ones are then refused, ``channel.unknown-key``."""
        return self._generation(_next_id(_next_id(self._classical_id)))

    @classmethod
    def _generation(cls, key_id: int) -> "ChannelKeys":
        return cls(
            classical=(key_id, generate_private_key(KemId.X25519_HKDF_SHA256)),
            post_quantum=(_next_id(key_id), generate_private_key(KemId.MLKEM768_X25519)),
        )

    def find(self, key_id: int, suite_identifier: bytes) -> tuple[KemPrivateKey, Suite]:
        """The key and suite that a request names; `UnverifiedError` tells the client to verify anew."""
        held = self._held.get(key_id)
        if held is None:
            raise UnverifiedError(
                "channel.unknown-key",
                "the request is sealed to a key that this room does not hold",
                got=f"key id {key_id}",
                expected=f"one of {sorted(self._held)}",
                hint="fetch the evidence and verify the room anew; its keys have changed",
            )
        for suite in held.config.suites:
            if suite.identifier == suite_identifier:
                return held.private, suite
        raise UnverifiedError(
            "channel.unsupported-suite",
            "the request uses algorithms that this key does not offer",
            got=suite_identifier.hex(),
            expected=" or ".join(suite.identifier.hex() for suite in held.config.suites),
            hint="use a suite of the attested key list",
        )

    def __repr__(self) -> str:
        return f"<ChannelKeys, key ids {sorted(self._held)}, redacted>"


def _hold(key_id: int, private: KemPrivateKey, aeads: tuple[AeadId, ...]) -> _HeldKey:
    algorithms = tuple((KdfId.HKDF_SHA256, aead) for aead in aeads)
    config = KeyConfig(key_id=key_id, kem=private.kem, public_key=private.public_key, algorithms=algorithms)
    return _HeldKey(config, private)


def _next_id(key_id: int) -> int:
    return key_id % _KEY_IDS + 1
