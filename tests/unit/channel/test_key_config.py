"""The key list: its bytes, what a client chooses from it, and what it never gives up."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.channel import ChannelKeys
from sealroom.channel.kem import generate_private_key
from sealroom.channel.key_config import KeyConfig, choose_config, encode_key_configs, parse_key_configs
from sealroom.channel.suites import AeadId, KdfId, KemId
from sealroom.errors import MalformedError, RefusedError, UnverifiedError

CLASSICAL = KeyConfig(
    key_id=1,
    kem=KemId.X25519_HKDF_SHA256,
    public_key=generate_private_key(KemId.X25519_HKDF_SHA256).public_key,
    algorithms=((KdfId.HKDF_SHA256, AeadId.AES_128_GCM), (KdfId.HKDF_SHA256, AeadId.CHACHA20_POLY1305)),
)
POST_QUANTUM = KeyConfig(
    key_id=2,
    kem=KemId.MLKEM768_X25519,
    public_key=generate_private_key(KemId.MLKEM768_X25519).public_key,
    algorithms=((KdfId.HKDF_SHA256, AeadId.AES_256_GCM),),
)


def with_algorithms(config: KeyConfig, *aeads: AeadId) -> KeyConfig:
    algorithms = tuple((KdfId.HKDF_SHA256, aead) for aead in aeads)
    return KeyConfig(key_id=config.key_id, kem=config.kem, public_key=config.public_key, algorithms=algorithms)


class TestTheList:
    def test_a_configuration_is_what_rfc_9458_shows(self) -> None:
        raw = bytes.fromhex(
            "01002031e1f05a740102115220e9af918f738674aec95f54db6e04eb705aae8e79815500080001000100010003"
        )
        (config,) = parse_key_configs(len(raw).to_bytes(2, "big") + raw)
        assert (config.key_id, config.kem) == (1, KemId.X25519_HKDF_SHA256)
        assert config.algorithms == CLASSICAL.algorithms
        assert config.encode() == raw

    def test_a_configuration_with_an_unknown_kem_is_skipped(self) -> None:
        unknown = b"\x07\x12\x34whatever this KEM has for a key"
        raw = len(unknown).to_bytes(2, "big") + unknown + encode_key_configs((POST_QUANTUM,))
        assert parse_key_configs(raw) == (POST_QUANTUM,)

    def test_unknown_algorithms_are_left_out(self) -> None:
        raw = CLASSICAL.encode()
        raw = raw[:-10] + b"\x00\x0c" + bytes.fromhex("00990001") + raw[-8:]
        assert parse_key_configs(len(raw).to_bytes(2, "big") + raw) == (CLASSICAL,)

    def test_a_list_cut_anywhere_is_refused(self) -> None:
        raw = encode_key_configs((POST_QUANTUM, CLASSICAL))
        border = 2 + len(POST_QUANTUM.encode())
        for size in range(len(raw)):
            if size != border:
                with pytest.raises(MalformedError) as caught:
                    parse_key_configs(raw[:size])
                assert caught.value.code == "channel.bad-key-list"

    @pytest.mark.parametrize(
        "raw",
        [
            pytest.param(encode_key_configs((CLASSICAL,)) + b"\0", id="one byte too many"),
            pytest.param(encode_key_configs((CLASSICAL, CLASSICAL)), id="a key id twice"),
            pytest.param(CLASSICAL.encode(), id="no length prefix"),
            pytest.param(b"\0\0", id="an empty configuration"),
            pytest.param(b"\0\1\1", id="a configuration without a KEM"),
            pytest.param(encode_key_configs((with_algorithms(CLASSICAL),)), id="no algorithms"),
            pytest.param(b"\0\x2c" + CLASSICAL.encode()[:-9] + b"\x07" + bytes(7), id="algorithms not in fours"),
            pytest.param(b"\0\x2e" + CLASSICAL.encode() + b"\0", id="bytes behind the algorithms"),
        ],
    )
    def test_what_is_no_list_is_refused(self, raw: bytes) -> None:
        with pytest.raises(MalformedError) as caught:
            parse_key_configs(raw)
        assert caught.value.code == "channel.bad-key-list"

    @given(st.binary(max_size=200))
    def test_noise_is_refused_as_our_own_error(self, noise: bytes) -> None:
        with suppress(MalformedError):
            parse_key_configs(noise)


class TestTheChoice:
    def test_the_post_quantum_key_is_chosen_wherever_it_stands(self) -> None:
        for configs in ((POST_QUANTUM, CLASSICAL), (CLASSICAL, POST_QUANTUM)):
            for allowed in (False, True):
                config, suite = choose_config(configs, insecure_without_post_quantum=allowed)
                assert config is POST_QUANTUM
                assert suite.aead is AeadId.AES_256_GCM

    def test_a_list_without_one_is_refused(self) -> None:
        with pytest.raises(RefusedError) as caught:
            choose_config((CLASSICAL,))
        assert caught.value.code == "channel.no-post-quantum-key"

    def test_a_list_without_one_passes_only_if_that_was_allowed(self) -> None:
        config, suite = choose_config((CLASSICAL,), insecure_without_post_quantum=True)
        assert config is CLASSICAL
        assert suite.aead is AeadId.CHACHA20_POLY1305

    @pytest.mark.parametrize("allowed", [False, True])
    @pytest.mark.parametrize("aeads", [(), (AeadId.AES_128_GCM,)], ids=["none", "128 bits"])
    def test_a_post_quantum_key_that_can_not_be_used_does_not_lead_to_the_classical_one(
        self, aeads: tuple[AeadId, ...], *, allowed: bool
    ) -> None:
        crippled = with_algorithms(POST_QUANTUM, *aeads)
        with pytest.raises(RefusedError) as caught:
            choose_config((crippled, CLASSICAL), insecure_without_post_quantum=allowed)
        assert caught.value.code == "channel.no-post-quantum-key"


class TestChannelKeys:
    def test_the_post_quantum_key_comes_first(self) -> None:
        configs = parse_key_configs(ChannelKeys.generate().key_configs)
        assert [(config.key_id, config.kem) for config in configs] == [
            (2, KemId.MLKEM768_X25519),
            (1, KemId.X25519_HKDF_SHA256),
        ]

    def test_rotation_changes_every_key_and_key_id_and_wraps(self) -> None:
        seen, generation = set(), ChannelKeys.generate()
        for _ in range(130):
            ids = [config.key_id for config in parse_key_configs(generation.key_configs)]
            assert all(1 <= key_id <= 255 for key_id in ids)
            assert len(set(ids)) == 2
            seen.add(generation.key_configs)
            following = generation.rotated()
            with pytest.raises(UnverifiedError) as caught:
                following.find(ids[0], b"")
            assert caught.value.code == "channel.unknown-key"
            generation = following
        assert len(seen) == 130

    def test_a_suite_that_the_key_does_not_offer_is_refused(self) -> None:
        keys = ChannelKeys.generate()
        for key_id, identifier in (
            (2, "002000010002"),
            (1, "647a00010002"),
            (2, "647a00010001"),
            (2, "647a00110002"),
        ):
            with pytest.raises(UnverifiedError) as caught:
                keys.find(key_id, bytes.fromhex(identifier))
            assert caught.value.code == "channel.unsupported-suite"

    def test_the_keys_do_not_show_themselves(self) -> None:
        keys = ChannelKeys.generate()
        assert repr(keys) == "<ChannelKeys, key ids [1, 2], redacted>"
        assert not hasattr(keys, "__dict__")
