"""HPKE against the vectors of its RFC and against two independent implementations, both ways."""

import json
from pathlib import Path

import pyhpke
import pytest
from cryptography.hazmat.primitives import hpke as single_shot
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from sealroom.channel import kem as kem_module
from sealroom.channel.hpke import SenderContext, setup_recipient, setup_sender
from sealroom.channel.kem import generate_private_key, load_private_key
from sealroom.channel.suites import AeadId, KdfId, KemId, Suite
from sealroom.errors import MalformedError, MisuseError, UnverifiedError

VECTORS = json.loads((Path(__file__).parent / "hpke_vectors.json").read_text())["vectors"]
SUITES = [Suite(kem=kem, kdf=KdfId.HKDF_SHA256, aead=aead) for kem in KemId for aead in AeadId]
NAMES = [f"{suite.kem.name}-{suite.aead.name}" for suite in SUITES]


def suite_of(vector: dict) -> Suite:
    return Suite(kem=KemId(vector["kem"]), kdf=KdfId(vector["kdf"]), aead=AeadId(vector["aead"]))


def sender_of(vector: dict) -> tuple[bytes, SenderContext]:
    shared, enc = kem_module._dhkem_encapsulate(
        bytes.fromhex(vector["public_key"]),
        X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["ephemeral"])),
    )
    return enc, SenderContext(suite_of(vector), shared, bytes.fromhex(vector["info"]))


def vectors_with(member: str) -> pytest.MarkDecorator:
    """The vectors that say enough; ML-KEM encapsulation with given randomness is not to be had from cryptography."""
    chosen = [vector for vector in VECTORS if vector.get(member)]
    assert chosen
    return pytest.mark.parametrize("vector", chosen, ids=[vector["name"] for vector in chosen])


class TestVectors:
    @vectors_with("ephemeral")
    def test_sender_makes_the_published_ciphertexts(self, vector: dict) -> None:
        enc, context = sender_of(vector)
        assert enc.hex() == vector.get("enc", enc.hex())
        wanted = {entry["sequence"]: entry for entry in vector["encryptions"]}
        for sequence in range(max(wanted) + 1):
            aad = f"Count-{sequence}".encode()
            sealed = context.seal(bytes.fromhex(vector["plaintext"]), aad)
            if sequence in wanted:
                assert (aad.hex(), sealed.hex()) == (wanted[sequence]["aad"], wanted[sequence]["ciphertext"])

    @vectors_with("private_key")
    def test_recipient_opens_the_published_ciphertexts(self, vector: dict) -> None:
        private = load_private_key(KemId(vector["kem"]), bytes.fromhex(vector["private_key"]))
        assert private.public_key.hex() == vector.get("public_key", private.public_key.hex())
        enc = bytes.fromhex(vector["enc"])
        if "shared_secret" in vector:
            assert private.decapsulate(enc).hex() == vector["shared_secret"]
        context = setup_recipient(suite_of(vector), private, enc, bytes.fromhex(vector["info"]))
        for entry in vector["encryptions"]:
            context._sequence = entry["sequence"]
            opened = context.open(bytes.fromhex(entry["ciphertext"]), bytes.fromhex(entry["aad"]))
            assert opened.hex() == vector["plaintext"]

    @vectors_with("exports")
    def test_exporter_makes_the_published_secrets(self, vector: dict) -> None:
        private = load_private_key(KemId(vector["kem"]), bytes.fromhex(vector["private_key"]))
        context = setup_recipient(
            suite_of(vector), private, bytes.fromhex(vector["enc"]), bytes.fromhex(vector["info"])
        )
        for entry in vector["exports"]:
            assert context.export(bytes.fromhex(entry["context"]), 32).hex() == entry["value"]


def single_shot_suite(suite: Suite) -> single_shot.Suite:
    kem = {
        KemId.X25519_HKDF_SHA256: single_shot.KEM.X25519,
        KemId.MLKEM768_X25519: single_shot.KEM.MLKEM768_X25519,
    }
    return single_shot.Suite(kem[suite.kem], single_shot.KDF.HKDF_SHA256, getattr(single_shot.AEAD, suite.aead.name))


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
class TestAgainstCryptography:
    def test_it_opens_what_we_seal(self, suite: Suite) -> None:
        if suite.kem is KemId.MLKEM768_X25519:
            mlkem, x25519 = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
            private = single_shot.MLKEM768X25519PrivateKey(mlkem, x25519)
            public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        else:
            private = X25519PrivateKey.generate()
            public = private.public_key().public_bytes_raw()
        enc, context = setup_sender(suite, public, b"info")
        sealed = enc + context.seal(b"plaintext")
        assert single_shot_suite(suite).decrypt(sealed, private, b"info") == b"plaintext"

    def test_we_open_what_it_seals(self, suite: Suite) -> None:
        private = generate_private_key(suite.kem)
        if suite.kem is KemId.MLKEM768_X25519:
            public = single_shot.MLKEM768X25519PublicKey(private._mlkem.public_key(), private._x25519.public_key())
        else:
            public = X25519PublicKey.from_public_bytes(private.public_key)
        sealed = single_shot_suite(suite).encrypt(b"plaintext", public, b"info")
        size = suite.kem.enc_size
        context = setup_recipient(suite, private, sealed[:size], b"info")
        assert context.open(sealed[size:]) == b"plaintext"


@pytest.mark.parametrize("aead", AeadId, ids=lambda aead: aead.name)
class TestAgainstPyhpke:
    @staticmethod
    def theirs(aead: AeadId) -> pyhpke.CipherSuite:
        return pyhpke.CipherSuite.new(
            pyhpke.KEMId.DHKEM_X25519_HKDF_SHA256,
            pyhpke.KDFId.HKDF_SHA256,
            {
                AeadId.AES_128_GCM: pyhpke.AEADId.AES128_GCM,
                AeadId.AES_256_GCM: pyhpke.AEADId.AES256_GCM,
                AeadId.CHACHA20_POLY1305: pyhpke.AEADId.CHACHA20_POLY1305,
            }[aead],
        )

    @staticmethod
    def ours(aead: AeadId) -> Suite:
        return Suite(kem=KemId.X25519_HKDF_SHA256, kdf=KdfId.HKDF_SHA256, aead=aead)

    def test_it_opens_what_we_seal_and_exports_the_same(self, aead: AeadId) -> None:
        theirs = self.theirs(aead)
        pair = theirs.kem.derive_key_pair(b"input keying material, 32 bytes or more")
        enc, sender = setup_sender(self.ours(aead), pair.public_key.to_public_bytes(), b"info")
        recipient = theirs.create_recipient_context(enc, pair.private_key, info=b"info")
        for number in range(3):
            assert recipient.open(sender.seal(b"text %d" % number, b"aad"), b"aad") == b"text %d" % number
        assert recipient.export(b"context", 48) == sender.export(b"context", 48)

    def test_we_open_what_it_seals(self, aead: AeadId) -> None:
        theirs, private = self.theirs(aead), generate_private_key(KemId.X25519_HKDF_SHA256)
        public = theirs.kem.deserialize_public_key(private.public_key)
        enc, sender = theirs.create_sender_context(public, info=b"info")
        recipient = setup_recipient(self.ours(aead), private, enc, b"info")
        for number in range(3):
            assert recipient.open(sender.seal(b"text %d" % number, b"aad"), b"aad") == b"text %d" % number


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
class TestRefusals:
    def test_a_message_opened_out_of_order_is_not_authentic(self, suite: Suite) -> None:
        private = generate_private_key(suite.kem)
        enc, sender = setup_sender(suite, private.public_key, b"")
        recipient = setup_recipient(suite, private, enc, b"")
        first, second = sender.seal(b"first"), sender.seal(b"second")
        with pytest.raises(UnverifiedError) as caught:
            recipient.open(second)
        assert caught.value.code == "channel.not-authentic"
        assert [recipient.open(first), recipient.open(second)] == [b"first", b"second"]
        with pytest.raises(UnverifiedError):
            recipient.open(second)

    def test_any_changed_byte_of_the_encapsulated_key_is_not_authentic(self, suite: Suite) -> None:
        private = generate_private_key(suite.kem)
        enc, sender = setup_sender(suite, private.public_key, b"")
        sealed = sender.seal(b"text")
        for position in {0, 1, len(enc) // 2, len(enc) - 32, len(enc) - 1}:
            changed = bytearray(enc)
            changed[position] ^= 0x80  # the top bit of X25519 keys is ignored by the curve, not by the KEM
            with pytest.raises(UnverifiedError) as caught:
                setup_recipient(suite, private, bytes(changed), b"").open(sealed)
            assert caught.value.code == "channel.not-authentic"

    @pytest.mark.parametrize("size", [0, 1, 31, 33, 1119, 1121])
    def test_an_encapsulated_key_of_another_length_is_not_authentic(self, suite: Suite, size: int) -> None:
        with pytest.raises(UnverifiedError) as caught:
            setup_recipient(suite, generate_private_key(suite.kem), bytes(size), b"")
        assert caught.value.code == "channel.not-authentic"

    def test_a_low_order_point_is_not_authentic(self, suite: Suite) -> None:
        enc = bytes(suite.kem.enc_size - 32) + bytes(32)
        with pytest.raises(UnverifiedError) as caught:
            setup_recipient(suite, generate_private_key(suite.kem), enc, b"")
        assert caught.value.code == "channel.not-authentic"

    def test_a_public_key_that_the_kem_rejects_is_malformed(self, suite: Suite) -> None:
        for public in (b"", bytes(suite.kem.public_key_size), b"\xff" * suite.kem.public_key_size + b"\0"):
            with pytest.raises(MalformedError) as caught:
                setup_sender(suite, public, b"")
            assert caught.value.code == "channel.bad-public-key"


def test_a_context_seals_no_more_messages_than_it_has_nonces() -> None:
    suite = SUITES[0]
    _, sender = setup_sender(suite, generate_private_key(suite.kem).public_key, b"")
    sender._sequence = (1 << 96) - 2
    sender.seal(b"the last one")
    with pytest.raises(MisuseError) as caught:
        sender.seal(b"one too many")
    assert caught.value.code == "channel.too-many-chunks"


def test_private_keys_do_not_show_themselves() -> None:
    for kem in KemId:
        assert repr(load_private_key(kem, bytes(range(32)))).endswith("redacted>")


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=60))
def test_whatever_is_sealed_opens(plaintext: bytes, info: bytes, aad: bytes) -> None:
    suite = Suite(kem=KemId.MLKEM768_X25519, kdf=KdfId.HKDF_SHA256, aead=AeadId.AES_256_GCM)
    private = generate_private_key(suite.kem)
    enc, sender = setup_sender(suite, private.public_key, info)
    recipient = setup_recipient(suite, private, enc, info)
    assert recipient.open(sender.seal(plaintext, aad), aad) == plaintext
    assert recipient.export(info, 40) == sender.export(info, 40)
