"""The two ends together, and somebody in between who changes what passes."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealroom.channel import (
    DATE_PROBLEM,
    KEY_PROBLEM,
    REQUEST_MEDIA_TYPE,
    RESPONSE_MEDIA_TYPE,
    ChannelKeys,
    ClientExchange,
    Data,
    End,
    Event,
    Form,
    Informational,
    Limits,
    ReplayWindow,
    RequestHead,
    ResponseHead,
    ServerExchange,
    find_field,
    problem_for,
)
from sealroom.channel.binary_http_encode import encode_known_request
from sealroom.channel.key_config import choose_config, encode_key_configs, parse_key_configs
from sealroom.channel.ohttp import open_response, seal_request
from sealroom.channel.padding import padded_size
from sealroom.channel.replay import format_date
from sealroom.channel.suites import KemId
from sealroom.channel.varint import decode_varint
from sealroom.errors import MisuseError, RefusedError, SealroomError, UnavailableError, UnverifiedError
from sealroom.evidence import AttestedKey

HEAD = RequestHead(
    method="POST",
    path="/v1/chat/completions",
    authority="room.example",
    headers=((b"content-type", b"application/json"), (b"authorization", b"Bearer secret")),
)
ANSWER = ResponseHead(status=200, headers=((b"content-type", b"text/event-stream"),))
HEADER = 7 + 1120


def content(events: list[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Data))


def chunks_of(stream: bytes, start: int) -> list[bytes]:
    """The frames of ``stream`` behind ``start``, the final one last, each with its length."""
    frames, offset = [], start
    while True:
        decoded = decode_varint(stream, offset)
        assert decoded is not None
        size, begin = decoded
        if size == 0:
            return [*frames, stream[offset:]]
        frames.append(stream[offset : begin + size])
        offset = begin + size


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(SealroomError) as caught:
        action()
    return caught.value.code


class TestAWholeExchange:
    def test_the_room_reads_what_the_caller_sent(
        self, keys: ChannelKeys, room_key: AttestedKey, now: datetime
    ) -> None:
        client = ClientExchange(room_key, at=now)
        sealed = b"".join(client.request(HEAD, b"a prompt"))
        server = ServerExchange(keys, ReplayWindow(), at=now)
        events = server.receive(sealed) + server.end_of_input()
        head = events[0]
        assert isinstance(head, RequestHead)
        assert (head.method, head.path, head.authority, head.scheme) == (
            "POST", "/v1/chat/completions", "room.example", "https"
        )  # fmt: skip
        assert head.headers == (*HEAD.headers, (b"date", format_date(now)))
        assert (content(events), events[-1]) == (b"a prompt", End())

    def test_the_caller_reads_what_the_room_answered_as_it_comes(self, pair) -> None:
        server, _ = pair.opened()
        sealer, opener = server.response(), pair.client.response()
        assert opener.receive(sealer.start(ANSWER)) == [ANSWER]
        for number in range(300):
            token = b'data: {"token": %d}\n\n' % number
            assert opener.receive(sealer.data(token)) == [Data(token)]
        assert opener.receive(sealer.finish(((b"x-trailer", b"value"),))) == []
        assert opener.end_of_input() == [End(((b"x-trailer", b"value"),))]

    def test_nothing_readable_is_on_the_wire(self, pair) -> None:
        server, _ = pair.opened()
        answer = server.response().whole(ANSWER, b"the answer")
        for secret in (b"a prompt", b"completions", b"room.example", b"content-type", b"the answer", b"event-stream"):
            assert secret not in pair.sealed + answer

    def test_every_cut_of_the_streams_reads_alike(self, keys: ChannelKeys, pair) -> None:
        server = pair.server()
        events = [e for i in range(len(pair.sealed)) for e in server.receive(pair.sealed[i : i + 1])]
        events += server.end_of_input()
        assert content(events) == b"a prompt"
        sealer, opener = server.response(), pair.client.response()
        stream = sealer.start(ANSWER) + sealer.data(b"one") + sealer.data(b"two") + sealer.finish()
        events = [e for i in range(len(stream)) for e in opener.receive(stream[i : i + 1])]
        assert [*events, *opener.end_of_input()] == [ANSWER, Data(b"one"), Data(b"two"), End()]

    def test_informational_responses_come_first(self, pair) -> None:
        server, _ = pair.opened()
        sealer, opener = server.response(), pair.client.response()
        early = Informational(status=103, headers=((b"link", b"</x>"),))
        assert opener.receive(sealer.informational(early)) == [early]
        assert opener.receive(sealer.informational(early)) == [early]
        assert opener.receive(sealer.start(ANSWER)) == [ANSWER]
        sealer.data(b"")
        assert opener.receive(sealer.finish()) + opener.end_of_input() == [End()]

    def test_a_large_answer_is_cut_into_chunks_that_every_receiver_takes(self, pair) -> None:
        server, _ = pair.opened()
        sealer, opener = server.response(), pair.client.response()
        large = bytes(range(256)) * 300
        head = ResponseHead(status=200, headers=tuple((b"n%d" % n, b"v" * 1000) for n in range(40)))
        stream = sealer.start(head) + sealer.data(large) + sealer.finish()
        assert all(len(frame) <= 16384 + 16 + 4 for frame in chunks_of(stream, 32))
        events = opener.receive(stream) + opener.end_of_input()
        assert (events[0], content(events)) == (head, large)

    def test_the_media_types_are_those_of_the_draft(self) -> None:
        assert (REQUEST_MEDIA_TYPE, RESPONSE_MEDIA_TYPE) == ("message/ohttp-chunked-req", "message/ohttp-chunked-res")

    @settings(max_examples=30)
    @given(
        st.lists(st.binary(max_size=40000), max_size=4), st.lists(st.binary(max_size=40000), max_size=4), st.data()
    )
    def test_whatever_is_sent_arrives(
        self, keys: ChannelKeys, room_key: AttestedKey, now: datetime, body: list[bytes], answer: list[bytes], data
    ) -> None:
        client = ClientExchange(room_key, at=now)
        sealed = b"".join(client.request(HEAD, body))
        server = ServerExchange(keys, ReplayWindow(), at=now)
        cut = data.draw(st.integers(0, len(sealed)))
        events = server.receive(sealed[:cut]) + server.receive(sealed[cut:]) + server.end_of_input()
        assert (content(events), events[-1]) == (b"".join(body), End())
        sealer, opener = server.response(), client.response()
        stream = sealer.start(ANSWER) + b"".join(map(sealer.data, answer)) + sealer.finish()
        cut = data.draw(st.integers(0, len(stream)))
        events = opener.receive(stream[:cut]) + opener.receive(stream[cut:]) + opener.end_of_input()
        assert (events[0], content(events), events[-1]) == (ANSWER, b"".join(answer), End())


class TestSomebodyInBetweenChangesTheRequest:
    def test_a_request_cut_anywhere_is_refused(self, pair) -> None:
        for size in range(len(pair.sealed)):
            server = pair.server()
            code = code_of(lambda s=server, n=size: (s.receive(pair.sealed[:n]), s.end_of_input()))
            assert code in {"channel.truncated", "channel.not-authentic"}
            assert not server.answerable or size > HEADER

    def test_a_request_cut_at_a_chunk_border_is_truncated(self, make_pair) -> None:
        pair = make_pair(b"x" * 40000)
        frames = chunks_of(pair.sealed, HEADER)
        assert len(frames) >= 3
        for count in range(len(frames)):
            server = pair.server()
            server.receive(pair.sealed[:HEADER] + b"".join(frames[:count]))
            assert code_of(server.end_of_input) == "channel.truncated"
            assert not server.answerable

    def test_a_chunk_made_the_last_is_not_authentic(self, make_pair) -> None:
        pair = make_pair(b"x" * 40000)
        first = chunks_of(pair.sealed, HEADER)[0]
        server = pair.server()
        server.receive(pair.sealed[:HEADER] + b"\0" + first[4:])
        assert code_of(server.end_of_input) == "channel.not-authentic"

    def test_one_byte_too_many_is_not_authentic(self, pair) -> None:
        server = pair.server()
        server.receive(pair.sealed + b"\0")
        assert code_of(server.end_of_input) == "channel.not-authentic"

    @pytest.mark.parametrize("order", [[1, 0, 2], [0, 0, 1, 2], [0, 2], [2], [0, 1, 1, 2], [1, 2]])
    def test_chunks_reordered_repeated_or_dropped_are_refused(self, make_pair, order: list[int]) -> None:
        pair = make_pair(b"x" * 40000)
        frames = chunks_of(pair.sealed, HEADER)
        assert len(frames) == 3
        server = pair.server()
        stream = pair.sealed[:HEADER] + b"".join(frames[number] for number in order)
        assert code_of(lambda: (server.receive(stream), server.end_of_input())) == "channel.not-authentic"
        assert not server.answerable

    def test_any_bit_changed_anywhere_is_refused(self, pair) -> None:
        for position in range(len(pair.sealed)):
            changed = bytearray(pair.sealed)
            changed[position] ^= 1 << position % 8
            server = pair.server()
            code = code_of(lambda s=server, c=changed: (s.receive(bytes(c)), s.end_of_input()))
            assert code in {
                "channel.not-authentic",
                "channel.truncated",
                "channel.chunk-too-large",
                "channel.unknown-key",
                "channel.unsupported-suite",
            }
            assert not server.answerable

    @pytest.mark.parametrize("suite", ["002000010002", "002000010001", "647a00010003", "647a00010001"])
    def test_another_suite_in_the_header_is_refused(self, pair, suite: str) -> None:
        server = pair.server()
        downgraded = pair.sealed[:1] + bytes.fromhex(suite) + pair.sealed[7:]
        code = code_of(lambda: (server.receive(downgraded), server.end_of_input()))
        assert code in {"channel.unsupported-suite", "channel.not-authentic"}

    def test_the_classical_key_id_in_the_header_is_refused(self, pair) -> None:
        server = pair.server()
        downgraded = b"\x01" + bytes.fromhex("002000010002") + pair.sealed[7:]
        code = code_of(lambda: (server.receive(downgraded), server.end_of_input()))
        assert code in {"channel.not-authentic", "channel.truncated", "channel.chunk-too-large"}
        assert not server.answerable

    def test_after_a_refusal_nothing_more_is_taken(self, pair) -> None:
        server = pair.server()
        server.receive(pair.sealed[:-1])
        first = code_of(server.end_of_input)
        assert code_of(server.end_of_input) == code_of(lambda: server.receive(b"x")) == first

    @settings(max_examples=200)
    @given(st.binary(max_size=200), st.booleans())
    def test_noise_is_refused_as_our_own_error(
        self, keys: ChannelKeys, now: datetime, noise: bytes, known: bool
    ) -> None:
        stream = bytes.fromhex("01002000010002") + noise if known else noise
        server = ServerExchange(keys, ReplayWindow(), at=now)
        assert code_of(lambda: (server.receive(stream), server.end_of_input())).startswith("channel.")
        assert not server.answerable


class TestSomebodyInBetweenChangesTheResponse:
    @pytest.fixture
    def stream(self, pair) -> bytes:
        server, _ = pair.opened()
        sealer = server.response()
        return sealer.start(ANSWER) + sealer.data(b"first") + sealer.data(b"second") + sealer.finish()

    def test_a_response_cut_anywhere_is_refused(self, keys, room_key, now, pair, stream: bytes) -> None:
        for size in range(len(stream)):
            opener = type(pair.client.response())(pair.client._secret, Limits())
            pair.client._response_given = False
            code = code_of(lambda o=opener, n=size: (o.receive(stream[:n]), o.end_of_input()))
            assert code in {"channel.truncated", "channel.not-authentic"}

    def test_a_response_cut_at_a_chunk_border_is_truncated(self, pair, stream: bytes) -> None:
        frames = chunks_of(stream, 32)
        opener = pair.client.response()
        events = opener.receive(stream[:32] + b"".join(frames[:-1]))
        assert content(events) == b"firstsecond"  # all of the content, and still not a whole answer
        assert code_of(opener.end_of_input) == "channel.truncated"
        assert code_of(lambda: opener.receive(frames[-1])) == "channel.truncated"

    @pytest.mark.parametrize("order", [[1, 0, 2, 3], [0, 0, 1, 2, 3], [0, 2, 3], [1, 2, 3], [0, 1, 2, 1, 3], [3]])
    def test_chunks_reordered_repeated_or_dropped_are_refused(self, pair, stream: bytes, order: list[int]) -> None:
        frames = chunks_of(stream, 32)
        opener = pair.client.response()
        changed = stream[:32] + b"".join(frames[number] for number in order)
        assert code_of(lambda: (opener.receive(changed), opener.end_of_input())) == "channel.not-authentic"

    def test_one_byte_too_many_is_refused(self, pair, stream: bytes) -> None:
        opener = pair.client.response()
        opener.receive(stream + b"\0")
        assert code_of(opener.end_of_input) == "channel.not-authentic"

    def test_a_response_to_another_exchange_is_refused(self, make_pair, stream: bytes) -> None:
        opener = make_pair().client.response()
        assert code_of(lambda: opener.receive(stream)) == "channel.not-authentic"

    def test_the_request_sent_back_as_the_response_is_refused(self, pair) -> None:
        opener = pair.client.response()
        assert code_of(lambda: (opener.receive(pair.sealed), opener.end_of_input())).startswith("channel.")

    @settings(max_examples=200)
    @given(st.binary(max_size=300), st.integers(0, 100))
    def test_noise_at_any_place_is_refused_as_our_own_error(
        self, room_key: AttestedKey, keys: ChannelKeys, now: datetime, noise: bytes, kept: int
    ) -> None:
        client = ClientExchange(room_key, at=now)
        server = ServerExchange(keys, ReplayWindow(), at=now)
        server.receive(b"".join(client.request(HEAD)))
        server.end_of_input()
        sealer = server.response()
        stream = (sealer.start(ANSWER) + sealer.data(b"x" * 30))[:kept] + noise
        opener = client.response()
        assert code_of(lambda: (opener.receive(stream), opener.end_of_input())).startswith("channel.")


class TestOnceAndFresh:
    def test_a_request_sent_again_is_refused(self, pair) -> None:
        replay = ReplayWindow()
        first = pair.server(replay)
        assert first.receive(pair.sealed) + first.end_of_input()
        second = pair.server(replay)
        assert code_of(lambda: second.receive(pair.sealed)) == "channel.replayed"
        assert not second.answerable

    def test_two_copies_at_once_lead_to_one_exchange(self, pair) -> None:
        replay = ReplayWindow()
        first, second = pair.server(replay), pair.server(replay)
        for server in (first, second):
            assert server.receive(pair.sealed[:-1]) == []  # the header is in, no chunk has opened
        first.receive(pair.sealed[-1:])
        second.receive(pair.sealed[-1:])
        assert first.end_of_input()[-1] == End()
        assert code_of(second.end_of_input) == "channel.replayed"
        assert not second.answerable

    def test_noise_under_a_caller_s_key_does_not_use_it_up(self, pair) -> None:
        replay = ReplayWindow()
        forged = pair.server(replay)
        assert (
            code_of(lambda: (forged.receive(pair.sealed[:-1] + b"?"), forged.end_of_input()))
            == "channel.not-authentic"
        )
        assert replay.remembered == 0
        server = pair.server(replay)
        assert (server.receive(pair.sealed) + server.end_of_input())[-1] == End()

    def test_a_full_memory_refuses(self, make_pair) -> None:
        replay = ReplayWindow(capacity=1)
        first, second = make_pair(), make_pair()
        opened = first.server(replay)
        opened.receive(first.sealed)
        opened.end_of_input()
        refused = second.server(replay)
        refused.receive(second.sealed)
        with pytest.raises(UnavailableError) as caught:
            refused.end_of_input()
        assert caught.value.code == "channel.replay-window-full"
        assert not refused.answerable

    @pytest.mark.parametrize("minutes", [-5, 5])
    def test_a_request_held_back_or_dated_ahead_is_refused_inside_the_encryption(
        self, pair, now: datetime, minutes: int
    ) -> None:
        server = pair.server(at=now + timedelta(minutes=minutes))
        server.receive(pair.sealed)
        with pytest.raises(UnverifiedError) as caught:
            server.end_of_input()
        assert caught.value.code == "channel.date-outside-window"
        assert server.answerable
        problem = problem_for(caught.value)
        assert problem is not None
        opener = pair.client.response()
        events = opener.receive(server.response().whole(ResponseHead(status=problem.status), problem.body))
        events += opener.end_of_input()
        assert json.loads(content(events))["type"] == DATE_PROBLEM

    @pytest.mark.parametrize(
        "message",
        [
            pytest.param(encode_known_request(HEAD, b""), id="with other fields"),
            pytest.param(
                bytes.fromhex("00034745540568747470730b6578616d706c652e636f6d012f"), id="cut before its fields"
            ),
        ],
    )
    def test_a_request_without_a_date_is_refused(self, keys: ChannelKeys, now: datetime, message: bytes) -> None:
        sealed, _ = seal_request(*choose_config(parse_key_configs(keys.key_configs)), message)
        server = ServerExchange(keys, ReplayWindow(), at=now, form=Form.WHOLE)
        server.receive(sealed)
        assert code_of(server.end_of_input) == "channel.date-missing"
        assert server.answerable


class TestKeys:
    def test_a_rotated_key_tells_the_client_to_verify_anew(self, keys: ChannelKeys, pair, now: datetime) -> None:
        server = ServerExchange(keys.rotated(), ReplayWindow(), at=now)
        with pytest.raises(UnverifiedError) as caught:
            server.receive(pair.sealed)
        assert caught.value.code == "channel.unknown-key"
        problem = problem_for(caught.value)
        assert problem is not None
        assert (problem.status, json.loads(problem.body)["type"]) == (400, KEY_PROBLEM)

    @pytest.mark.parametrize("key", [b"", b"raw key list", None, 7])
    def test_nothing_but_an_attested_key_is_sealed_to(self, keys: ChannelKeys, now: datetime, key: object) -> None:
        with pytest.raises(MisuseError) as caught:
            ClientExchange(key, at=now)  # type: ignore[arg-type]
        assert caught.value.code == "channel.key-not-attested"
        with pytest.raises(MisuseError):
            ClientExchange(keys.key_configs, at=now)  # type: ignore[arg-type]

    def test_a_key_attested_for_another_purpose_is_refused(self, keys: ChannelKeys, room, now: datetime) -> None:
        other = room.release_key(keys.key_configs, at=now)
        assert code_of(lambda: ClientExchange(other, at=now)) == "key.wrong-purpose"

    @pytest.mark.parametrize("hours", [-2, 2])
    def test_a_key_outside_its_window_is_refused(self, room_key: AttestedKey, now: datetime, hours: int) -> None:
        assert code_of(lambda: ClientExchange(room_key, at=now + timedelta(hours=hours))) == "key.expired"

    def test_a_room_without_a_post_quantum_key_is_refused_unless_allowed(
        self, keys: ChannelKeys, attested, now: datetime
    ) -> None:
        configs = parse_key_configs(keys.key_configs)
        classical = attested(encode_key_configs(tuple(c for c in configs if c.kem is KemId.X25519_HKDF_SHA256)))
        with pytest.raises(RefusedError) as caught:
            ClientExchange(classical, at=now)
        assert caught.value.code == "channel.no-post-quantum-key"
        client = ClientExchange(classical, at=now, insecure_without_post_quantum=True)
        sealed = b"".join(client.request(HEAD, b"a prompt"))
        server = ServerExchange(keys, ReplayWindow(), at=now)
        assert content(server.receive(sealed) + server.end_of_input()) == b"a prompt"

    def test_a_room_with_one_is_sealed_to_through_it_whatever_is_allowed(self, room_key: AttestedKey, now) -> None:
        for allowed in (False, True):
            client = ClientExchange(room_key, at=now, insecure_without_post_quantum=allowed)
            assert client.suite.kem is KemId.MLKEM768_X25519

    def test_a_time_without_a_zone_is_a_misuse(self, room_key: AttestedKey, now: datetime) -> None:
        assert code_of(lambda: ClientExchange(room_key, at=now.replace(tzinfo=None))) == "channel.naive-time"


class TestSizes:
    def test_requests_of_one_bucket_look_alike(self, make_pair) -> None:
        sizes = {len(make_pair(b"x" * size).sealed) for size in range(0, 700, 50)}
        assert sizes == {HEADER + 1 + 1024 + 16}

    def test_a_request_that_fills_one_chunk_is_one_chunk(self, make_pair) -> None:
        sizes = {len(frame) for frame in chunks_of(make_pair(b"x" * 15000).sealed, HEADER)}
        assert sizes == {1 + 16384 + 16}

    def test_how_the_body_was_handed_in_does_not_show(self, room_key: AttestedKey, now: datetime) -> None:
        def shape(parts: list[bytes]) -> list[int]:
            sealed = b"".join(ClientExchange(room_key, at=now).request(HEAD, parts))
            return [len(frame) for frame in chunks_of(sealed, HEADER)]

        body = b"x" * 50000
        assert shape([body]) == shape([body[i : i + 100] for i in range(0, len(body), 100)])
        assert set(shape([body])[:-1]) == {16384 + 16 + 4}

    def test_whole_answers_of_one_bucket_look_alike(self, pair, make_pair) -> None:
        def size(content: bytes) -> int:
            return len(make_pair().opened()[0].response().whole(ANSWER, content))

        assert {size(b"x" * length) for length in range(0, 900, 100)} == {32 + 1 + 1024 + 16}
        assert size(b"x" * 60000) == size(b"x" * 60500)

    @given(st.integers(0, 1 << 40))
    def test_a_bucket_holds_its_message_at_a_bounded_cost(self, size: int) -> None:
        bucket = padded_size(size)
        assert bucket >= max(size, 1024)
        assert bucket == padded_size(bucket)
        assert bucket <= (2 * size if 1024 < size <= 16384 else max(1024, size * 1.07))

    def test_the_padding_of_the_specification(self) -> None:
        small = {0: 1024, 1024: 1024, 1025: 2048, 16384: 16384}
        large = {16385: 17408, 1 << 20: 1 << 20, (1 << 20) + 1: (1 << 20) + (1 << 15)}
        for size, bucket in (small | large).items():
            assert padded_size(size) == bucket


class TestOrder:
    def test_the_client_speaks_in_order(self, room_key: AttestedKey, now: datetime) -> None:
        client = ClientExchange(room_key, at=now)
        for early in (lambda: client.feed(b"x"), client.finish, client.response):
            assert code_of(early) == "channel.out-of-order"
        client.start(HEAD)
        assert code_of(lambda: client.start(HEAD)) == "channel.out-of-order"
        client.response()
        assert code_of(client.response) == "channel.out-of-order"
        client.finish()
        for late in (lambda: client.feed(b"x"), client.finish, lambda: client.start(HEAD)):
            assert code_of(late) == "channel.out-of-order"

    @pytest.mark.parametrize("form", Form)
    def test_the_server_answers_once_and_in_order(self, keys: ChannelKeys, now: datetime, form: Form, pair) -> None:
        if form is Form.CHUNKED:
            server, _ = pair.opened()
        else:
            dated = RequestHead(method="GET", path="/", headers=((b"date", format_date(now)),))
            sealed, _ = seal_request(
                *choose_config(parse_key_configs(keys.key_configs)), encode_known_request(dated, b"")
            )
            server = ServerExchange(keys, ReplayWindow(), at=now, form=form)
            server.receive(sealed)
            server.end_of_input()
        sealer = server.response()
        assert code_of(server.response) == "channel.out-of-order"
        for early in (lambda: sealer.data(b"x"), sealer.finish):
            assert code_of(early) == "channel.out-of-order"
        sealer.start(ANSWER)
        for again in (lambda: sealer.start(ANSWER), lambda: sealer.informational(Informational(status=103)),
                      lambda: sealer.whole(ANSWER, b"")):  # fmt: skip
            assert code_of(again) == "channel.out-of-order"
        sealer.finish()
        for late in (lambda: sealer.data(b"x"), sealer.finish):
            assert code_of(late) == "channel.out-of-order"

    def test_a_message_ends_once(self, pair) -> None:
        server, _ = pair.opened()
        assert code_of(server.end_of_input) == code_of(lambda: server.receive(b"x")) == "channel.finished"
        sealer, opener = server.response(), pair.client.response()  # the server can still answer
        opener.receive(sealer.whole(ANSWER, b"an answer"))
        opener.end_of_input()
        assert code_of(opener.end_of_input) == code_of(lambda: opener.receive(b"x")) == "channel.finished"

    def test_there_is_no_answer_before_the_request_has_proved_authentic(self, pair) -> None:
        server = pair.server()
        assert code_of(server.response) == "channel.out-of-order"
        server.receive(pair.sealed)
        assert code_of(server.response) == "channel.out-of-order"  # all of it waits in the final chunk
        server.end_of_input()
        assert server.response()

    def test_a_request_s_own_date_gives_way_to_the_exchange_s(
        self, keys, room_key: AttestedKey, now: datetime
    ) -> None:
        head = RequestHead(method="GET", path="/", headers=((b"Date", format_date(now - timedelta(days=9))),))
        server = ServerExchange(keys, ReplayWindow(), at=now)
        sealed = b"".join(ClientExchange(room_key, at=now).request(head))
        opened = (server.receive(sealed) + server.end_of_input())[0]
        assert isinstance(opened, RequestHead)
        assert find_field(opened.headers, b"date") == (format_date(now),)


class TestWholeForm:
    def test_a_whole_request_gets_a_whole_padded_response(self, keys: ChannelKeys, now: datetime) -> None:
        dated = RequestHead(method="POST", path="/", headers=((b"date", format_date(now)),))
        config, suite = choose_config(parse_key_configs(keys.key_configs))
        sealed, secret = seal_request(config, suite, encode_known_request(dated, b"a prompt"))
        server = ServerExchange(keys, ReplayWindow(), at=now, form=Form.WHOLE)
        assert server.receive(sealed[:500]) + server.receive(sealed[500:]) == []
        events = server.end_of_input()
        assert events == [dated, Data(b"a prompt"), End()]
        sealer = server.response()
        assert sealer.media_type == "message/ohttp-res"
        assert (
            sealer.informational(Informational(status=102)) + sealer.start(ANSWER) + sealer.data(b"an answer") == b""
        )
        message = open_response(secret, sealer.finish())
        assert len(message) == 1024
        assert b"an answer" in message

    def test_a_whole_request_sent_as_chunked_and_the_reverse_are_refused(self, keys, pair, now: datetime) -> None:
        whole = ServerExchange(keys, ReplayWindow(), at=now, form=Form.WHOLE)
        whole.receive(pair.sealed)
        assert code_of(whole.end_of_input) == "channel.not-authentic"
        config, suite = choose_config(parse_key_configs(keys.key_configs))
        sealed, _ = seal_request(config, suite, encode_known_request(HEAD, b""))
        chunked = ServerExchange(keys, ReplayWindow(), at=now)
        assert code_of(lambda: (chunked.receive(sealed), chunked.end_of_input())).startswith("channel.")

    def test_a_whole_request_above_the_limit_is_refused(self, keys: ChannelKeys, now: datetime) -> None:
        limits = Limits(head=100, body=100, padding=100)
        server = ServerExchange(keys, ReplayWindow(), at=now, form=Form.WHOLE, limits=limits)
        config, suite = choose_config(parse_key_configs(keys.key_configs))
        sealed, _ = seal_request(config, suite, bytes(500))
        assert code_of(lambda: server.receive(sealed)) == "channel.chunk-too-large"


class TestWhatARefusedSenderIsTold:
    def test_every_code_that_a_request_can_meet_has_an_answer_without_its_input(self, pair) -> None:
        server = pair.server()
        server.receive(pair.sealed[:-1])
        with pytest.raises(SealroomError) as caught:
            server.end_of_input()
        problem = problem_for(caught.value)
        assert problem is not None
        assert set(json.loads(problem.body)) == {"type", "title", "status", "code"}

    def test_the_specification_lists_the_same_codes(self, specification: str) -> None:
        from sealroom.channel.problems import _KNOWN

        section = specification.split("## 9.")[1].split("## 10.", maxsplit=1)[0]
        listed = {word for word in section.replace("`", " ").replace(",", " ").split() if word.startswith("channel.")}
        assert listed == set(_KNOWN)

    def test_errors_of_our_own_callers_are_not_answered(self) -> None:
        assert problem_for(MisuseError("channel.out-of-order", "-")) is None


def test_a_broken_message_inside_is_refused_inside(keys: ChannelKeys, now: datetime) -> None:
    config, suite = choose_config(parse_key_configs(keys.key_configs))
    sealed, secret = seal_request(config, suite, b"\x00\x03GET no Binary HTTP")
    server = ServerExchange(keys, ReplayWindow(), at=now, form=Form.WHOLE)
    server.receive(sealed)
    with pytest.raises(SealroomError) as caught:
        server.end_of_input()
    assert caught.value.code == "channel.bad-message"
    assert server.answerable
    problem = problem_for(caught.value)
    assert problem is not None
    answer = server.response().whole(ResponseHead(status=problem.status), problem.body)
    assert b"channel.bad-message" in open_response(secret, answer)
