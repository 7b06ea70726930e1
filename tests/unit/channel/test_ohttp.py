"""Oblivious HTTP against the worked examples of RFC 9458 appendix A and of the chunked draft, appendix A."""

import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from sealroom.channel import kem
from sealroom.channel.channel_keys import ChannelKeys
from sealroom.channel.chunked_ohttp import (
    FINAL,
    ChunkFrames,
    RequestChunkOpener,
    ResponseChunkOpener,
    ResponseChunkSealer,
    seal_chunk,
)
from sealroom.channel.encapsulation import Form, RequestHeaderReader, ResponseSecret, encapsulate_header
from sealroom.channel.kem import generate_private_key, load_private_key
from sealroom.channel.key_config import choose_config, parse_key_configs
from sealroom.channel.ohttp import open_request, open_response, seal_request, seal_response
from sealroom.channel.suites import KemId
from sealroom.channel.varint import encode_varint
from sealroom.errors import MalformedError, MisuseError, SealroomError, UnverifiedError

REQUEST = bytes.fromhex("00034745540568747470730b6578616d706c652e636f6d012f")
RESPONSE = bytes.fromhex("0140c8")


class Example:
    """A room key, an ephemeral key and a response nonce, all published, with the list that carries the room key."""

    def __init__(self, private: str, ephemeral: str, nonce: str, config: str) -> None:
        self.keys = ChannelKeys(
            classical=(1, load_private_key(KemId.X25519_HKDF_SHA256, bytes.fromhex(private))),
            post_quantum=(2, generate_private_key(KemId.MLKEM768_X25519)),
        )
        self.ephemeral = X25519PrivateKey.from_private_bytes(bytes.fromhex(ephemeral))
        self.nonce = bytes.fromhex(nonce)
        raw = bytes.fromhex(config)
        (self.config,) = parse_key_configs(len(raw).to_bytes(2, "big") + raw)
        self.suite = self.config.suites[0]


class _FixedX25519:
    """Stands in for the class of private keys where the example fixes the ephemeral one."""

    def __init__(self, key: X25519PrivateKey) -> None:
        self._key = key

    def generate(self) -> X25519PrivateKey:
        return self._key


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Example:
    example = Example(
        private="3c168975674b2fa8e465970b79c8dcf09f1c741626480bd4c6162fc5b6a98e1a",
        ephemeral="bc51d5e930bda26589890ac7032f70ad12e4ecb37abb1b65b1256c9c48999c73",
        nonce="c789e7151fcba46158ca84b04464910d",
        config="01002031e1f05a740102115220e9af918f738674aec95f54db6e04eb705aae8e79815500080001000100010003",
    )
    monkeypatch.setattr(kem, "X25519PrivateKey", _FixedX25519(example.ephemeral))
    monkeypatch.setattr(secrets, "token_bytes", lambda size: example.nonce[:size])
    return example


@pytest.fixture
def chunked(monkeypatch: pytest.MonkeyPatch) -> Example:
    example = Example(
        private="1c190d72acdbe4dbc69e680503bb781a932c70a12c8f3754434c67d8640d8698",
        ephemeral="b26d565f3f875ed480d1abced3d665159650c99174fd0b124ac4bda0c64ae324",
        nonce="bcce7f4cb921309ba5d62edf1769ef09",
        config="010020668eb21aace159803974a4c67f08b4152d29bed10735fd08f98ccdd6fe09570800080001000100010003",
    )
    monkeypatch.setattr(kem, "X25519PrivateKey", _FixedX25519(example.ephemeral))
    monkeypatch.setattr(secrets, "token_bytes", lambda size: example.nonce[:size])
    return example


class TestExampleOfRfc9458:
    SEALED_REQUEST = bytes.fromhex(
        "010020000100014b28f881333e7c164ffc499ad9796f877f4e1051ee6d31bad19dec96c208b472"
        "6374e469135906992e1268c594d2a10c695d858c40a026e7965e7d86b83dd440b2c0185204b4d63525"
    )
    SEALED_RESPONSE = bytes.fromhex("c789e7151fcba46158ca84b04464910d86f9013e404feea014e7be4a441f234f857fbd")

    def test_the_client_makes_the_published_request_and_reads_the_published_response(self, whole: Example) -> None:
        sealed, secret = seal_request(whole.config, whole.suite, REQUEST)
        assert sealed == self.SEALED_REQUEST
        assert open_response(secret, self.SEALED_RESPONSE) == RESPONSE

    def test_the_server_reads_the_published_request_and_makes_the_published_response(self, whole: Example) -> None:
        message, enc, secret = open_request(whole.keys, self.SEALED_REQUEST)
        assert message == REQUEST
        assert enc == self.SEALED_REQUEST[7:39]
        assert seal_response(secret, RESPONSE) == self.SEALED_RESPONSE


class TestExampleOfTheChunkedDraft:
    HEADER = bytes.fromhex("010020000100018811eb457e100811c40a0aa71340a1b81d804bb986f736f2f566a7199761a032")
    REQUEST_CHUNKS = (
        bytes.fromhex("1c2ad24942d4d692563012f2980c8fef437a336b9b2fc938ef77a5834f"),
        bytes.fromhex("1d2e33d8fd25577afe31bd1c79d094f76b6250ae6549b473ecd950501311"),
        bytes.fromhex("001c6c1395d0ef7c1022297966307b8a7f"),
    )
    RESPONSE_CHUNKS = (
        bytes.fromhex("1179bf1cc87fa0e2c02de4546945aa3d1e48"),
        bytes.fromhex("12b348b5bd4c594c16b6170b07b475845d1f32"),
        bytes.fromhex("00ed9d8a796617a5b27265f4d73247f639"),
    )

    def test_the_client_makes_the_published_request(self, chunked: Example) -> None:
        header, context, _ = encapsulate_header(chunked.config, chunked.suite, Form.CHUNKED)
        assert header == self.HEADER
        sealed = (
            seal_chunk(context, REQUEST[:12]),
            seal_chunk(context, REQUEST[12:]),
            seal_chunk(context, b"", final=True),
        )
        assert sealed == self.REQUEST_CHUNKS

    def test_the_server_reads_it_and_makes_the_published_response(self, chunked: Example) -> None:
        reader = RequestHeaderReader(chunked.keys, Form.CHUNKED)
        assert reader.receive(self.HEADER) == b""
        context, secret = reader.open()
        opener = RequestChunkOpener(context, 16384)
        assert opener.receive(b"".join(self.REQUEST_CHUNKS)) == [REQUEST[:12], REQUEST[12:]]
        assert opener.end_of_input() == b""
        sealer = ResponseChunkSealer(secret)
        assert sealer.nonce == chunked.nonce
        sealed = (sealer.seal(RESPONSE[:1]), sealer.seal(RESPONSE[1:]), sealer.seal_final(b""))
        assert sealed == self.RESPONSE_CHUNKS

    def test_the_client_reads_the_published_response(self, chunked: Example) -> None:
        _, _, secret = encapsulate_header(chunked.config, chunked.suite, Form.CHUNKED)
        opener = ResponseChunkOpener(secret, 16384)
        stream = chunked.nonce + b"".join(self.RESPONSE_CHUNKS)
        pieces = [part for i in range(len(stream)) for part in opener.receive(stream[i : i + 1])]
        assert (pieces, opener.end_of_input()) == ([RESPONSE[:1], RESPONSE[1:]], b"")


class TestWholeForm:
    @pytest.fixture
    def sealed(self, keys: ChannelKeys) -> tuple[bytes, ResponseSecret]:
        return seal_request(*choose_config(parse_key_configs(keys.key_configs)), b"message")

    def test_a_request_cut_or_lengthened_anywhere_is_refused(
        self, keys: ChannelKeys, sealed: tuple[bytes, ResponseSecret]
    ) -> None:
        request, _ = sealed
        for broken in [request[:size] for size in range(len(request))] + [request + b"\0"]:
            with pytest.raises(UnverifiedError) as caught:
                open_request(keys, broken)
            assert caught.value.code in {"channel.truncated", "channel.not-authentic"}

    def test_a_request_with_any_header_byte_changed_is_refused(
        self, keys: ChannelKeys, sealed: tuple[bytes, ResponseSecret]
    ) -> None:
        request, _ = sealed
        for position in range(7):
            for bit in range(8):
                changed = bytearray(request)
                changed[position] ^= 1 << bit
                with pytest.raises(UnverifiedError) as caught:
                    open_request(keys, bytes(changed))
                assert caught.value.code in {
                    "channel.unknown-key", "channel.unsupported-suite", "channel.not-authentic"
                }  # fmt: skip

    def test_a_response_cut_lengthened_or_of_another_exchange_is_refused(
        self, keys: ChannelKeys, sealed: tuple[bytes, ResponseSecret]
    ) -> None:
        request, secret = sealed
        response = seal_response(open_request(keys, request)[2], b"answer")
        assert open_response(secret, response) == b"answer"
        other = seal_request(*choose_config(parse_key_configs(keys.key_configs)), b"message")[1]
        for broken in [response[:size] for size in range(len(response))] + [response + b"\0"]:
            with pytest.raises(UnverifiedError):
                open_response(secret, broken)
        with pytest.raises(UnverifiedError) as caught:
            open_response(other, response)
        assert caught.value.code == "channel.not-authentic"


class TestFrames:
    def test_any_width_of_length_is_taken(self) -> None:
        chunk = bytes(range(20))
        for prefix in (b"\x14", b"\x40\x14", b"\x80\x00\x00\x14", b"\xc0" + bytes(6) + b"\x14"):
            assert ChunkFrames(16384).receive(prefix + chunk) == [chunk]
        for zero in (b"\x00", b"\x40\x00", b"\x80" + bytes(3), b"\xc0" + bytes(7)):
            frames = ChunkFrames(16384)
            assert frames.receive(zero + chunk) == []
            assert frames.final() == chunk

    def test_a_chunk_above_the_limit_is_refused_before_it_comes(self) -> None:
        for size in (16384 + 17, 1 << 40):
            with pytest.raises(MalformedError) as caught:
                ChunkFrames(16384).receive(encode_varint(size))
            assert caught.value.code == "channel.chunk-too-large"

    def test_a_final_chunk_above_the_limit_is_refused_while_it_comes(self) -> None:
        frames = ChunkFrames(16384)
        frames.receive(b"\0" + bytes(16400))
        with pytest.raises(MalformedError) as caught:
            frames.receive(b"\0")
        assert caught.value.code == "channel.chunk-too-large"

    @pytest.mark.parametrize(
        "stream", [b"", b"\x14", b"\x14" + bytes(19), b"\x14" + bytes(20), b"\0", b"\0" + bytes(15)]
    )
    def test_a_stream_without_a_final_chunk_is_truncated(self, stream: bytes) -> None:
        frames = ChunkFrames(16384)
        frames.receive(stream)
        with pytest.raises(UnverifiedError) as caught:
            frames.final()
        assert caught.value.code == "channel.truncated"

    def test_only_sizes_that_every_receiver_takes_are_sent(self) -> None:
        keys = ChannelKeys.generate()
        config, suite = choose_config(parse_key_configs(keys.key_configs))
        _, context, secret = encapsulate_header(config, suite, Form.CHUNKED)
        sealer = ResponseChunkSealer(secret)
        calls = (
            lambda data: seal_chunk(context, data),
            lambda data: seal_chunk(context, data, final=True),
            sealer.seal,
            sealer.seal_final,
        )
        for call in calls:
            assert call(bytes(16384))
            with pytest.raises(MisuseError):
                call(bytes(16385))
        for call in (calls[0], calls[2]):
            with pytest.raises(MisuseError):
                call(b"")

    @pytest.mark.parametrize("side", ["request", "response"])
    def test_an_empty_chunk_that_is_not_the_last_counts_as_not_authentic(self, side: str) -> None:
        keys = ChannelKeys.generate()
        header, context, secret = encapsulate_header(
            *choose_config(parse_key_configs(keys.key_configs)), Form.CHUNKED
        )
        opener: RequestChunkOpener | ResponseChunkOpener
        if side == "request":
            reader = RequestHeaderReader(keys, Form.CHUNKED)
            reader.receive(header)
            opener = RequestChunkOpener(reader.open()[0], 16384)
            stream = b"\x10" + context.seal(b"")
        else:
            sealer = ResponseChunkSealer(secret)
            nonce = sealer._base.to_bytes(12, "big")
            opener = ResponseChunkOpener(secret, 16384)
            stream = sealer.nonce + b"\x10" + sealer._encrypt(nonce, b"", None)
        with pytest.raises(SealroomError) as caught:
            opener.receive(stream)
        assert caught.value.code == "channel.not-authentic"
        assert FINAL == b"final"
