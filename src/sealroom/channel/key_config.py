"""Key configurations and the list of them, media type application/ohttp-keys (RFC 9458 section 3)."""

from dataclasses import dataclass

from sealroom.channel.suites import POST_QUANTUM_KEMS, AeadId, KdfId, KemId, Suite
from sealroom.errors import MalformedError, RefusedError

__all__ = ["KEYS_MEDIA_TYPE", "KeyConfig", "choose_config", "encode_key_configs", "parse_key_configs"]

KEYS_MEDIA_TYPE = "application/ohttp-keys"
_PREFERENCE = (AeadId.AES_256_GCM, AeadId.CHACHA20_POLY1305, AeadId.AES_128_GCM)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyConfig:
    """One public key and what may be used with it. Algorithms that we do not know are left out by the reader."""

    key_id: int
    kem: KemId
    public_key: bytes
    algorithms: tuple[tuple[KdfId, AeadId], ...]

    def encode(self) -> bytes:
        """The configuration without its length prefix."""
        algorithms = b"".join(kdf.to_bytes(2, "big") + aead.to_bytes(2, "big") for kdf, aead in self.algorithms)
        return (
            self.key_id.to_bytes(1, "big")
            + self.kem.to_bytes(2, "big")
            + self.public_key
            + len(algorithms).to_bytes(2, "big")
            + algorithms
        )

    @property
    def suites(self) -> tuple[Suite, ...]:
        """Every suite that this configuration offers and we can use."""
        return tuple(Suite(kem=self.kem, kdf=kdf, aead=aead) for kdf, aead in self.algorithms)


def encode_key_configs(configs: tuple[KeyConfig, ...]) -> bytes:
    """The list, each configuration behind its 16-bit length."""
    return b"".join(len(raw).to_bytes(2, "big") + raw for raw in (config.encode() for config in configs))


def parse_key_configs(raw: bytes) -> tuple[KeyConfig, ...]:
    """Every configuration of ``raw`` whose KEM we know; `MalformedError` ``channel.bad-key-list`` if it is none."""
    configs: list[KeyConfig] = []
    seen: set[int] = set()
    offset = 0
    while offset < len(raw):
        start = offset + 2
        end = start + int.from_bytes(raw[offset:start], "big")
        if start > len(raw) or end > len(raw) or end == start:
            raise _bad_list(offset, "a length that runs past the end or is zero")
        if raw[start] in seen:
            raise _bad_list(start, f"key id {raw[start]} twice")
        seen.add(raw[start])
        if (config := _parse_config(raw[start:end], start)) is not None:
            configs.append(config)
        offset = end
    if not seen:
        raise _bad_list(0, "an empty list")
    return tuple(configs)


def _parse_config(raw: bytes, where: int) -> KeyConfig | None:
    """One configuration, or None if its KEM is unknown: only the length prefix tells where such a one ends."""
    if len(raw) < 3:
        raise _bad_list(where, "a configuration without a KEM")
    kem_id = int.from_bytes(raw[1:3], "big")
    if kem_id not in KemId.__members__.values():
        return None
    kem = KemId(kem_id)
    algorithms_at = 3 + kem.public_key_size + 2
    size = int.from_bytes(raw[algorithms_at - 2 : algorithms_at], "big")
    if len(raw) < algorithms_at or size == 0 or size % 4 or algorithms_at + size != len(raw):
        raise _bad_list(where, "a configuration of the wrong length")
    return KeyConfig(
        key_id=raw[0],
        kem=kem,
        public_key=raw[3 : algorithms_at - 2],
        algorithms=_known_algorithms(raw[algorithms_at:]),
    )


def _known_algorithms(raw: bytes) -> tuple[tuple[KdfId, AeadId], ...]:
    pairs = [(int.from_bytes(raw[i : i + 2], "big"), int.from_bytes(raw[i + 2 : i + 4], "big"))
             for i in range(0, len(raw), 4)]  # fmt: skip
    return tuple(
        (KdfId(kdf), AeadId(aead))
        for kdf, aead in pairs
        if kdf in KdfId.__members__.values() and aead in AeadId.__members__.values()
    )


def choose_config(
    configs: tuple[KeyConfig, ...], *, insecure_without_post_quantum: bool = False
) -> tuple[KeyConfig, Suite]:
    """The configuration and suite that a client seals to (spec/channel.md section 3).

    A post-quantum configuration, once listed, is the only choice; ``insecure_without_post_quantum`` lets a list pass
    that has none. Raises `RefusedError` ``channel.no-post-quantum-key``.
    """
    post_quantum = tuple(config for config in configs if config.kem in POST_QUANTUM_KEMS)
    if not post_quantum and not insecure_without_post_quantum:
        raise _no_post_quantum_key("no post-quantum key")
    for config in post_quantum or configs:
        for aead in _PREFERENCE:
            if aead is AeadId.AES_128_GCM and config.kem in POST_QUANTUM_KEMS:
                continue  # Grover halves it; a hybrid key with a 128-bit cipher is no post-quantum suite
            if (KdfId.HKDF_SHA256, aead) in config.algorithms:
                return config, Suite(kem=config.kem, kdf=KdfId.HKDF_SHA256, aead=aead)
    raise _no_post_quantum_key("no suite that we can use")


def _no_post_quantum_key(got: str) -> RefusedError:
    return RefusedError(
        "channel.no-post-quantum-key",
        "the room offers no key that we may seal to",
        got=got,
        expected="MLKEM768-X25519 with HKDF-SHA256 and AES-256-GCM or ChaCha20-Poly1305",
        hint="ask the operator to offer a post-quantum key; nothing was sent",
    )


def _bad_list(offset: int, got: str) -> MalformedError:
    return MalformedError(
        "channel.bad-key-list", "this is no list of key configurations", where=f"offset {offset:#x}", got=got
    )
