"""Binary HTTP: RFC 9292's own examples, every way of cutting, and everything that must not pass."""

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.channel import Data, End, Event, Fields, Informational, Limits, RequestHead, ResponseHead
from sealroom.channel.binary_http_decode import BinaryHttpDecoder, Kind
from sealroom.channel.binary_http_encode import (
    encode_content_chunk,
    encode_end,
    encode_head,
    encode_known_request,
    encode_known_response,
)
from sealroom.channel.varint import decode_varint, encode_varint
from sealroom.errors import MalformedError, MisuseError


def unhex(text: str) -> bytes:
    return bytes.fromhex(re.sub(r"\s", "", text))


# RFC 9292 section 5.1: one request in both forms, the second with 10 bytes of padding.
KNOWN_REQUEST = unhex("""
    00034745 54056874 74707300 0a2f6865 6c6c6f2e 74787440 6c0a7573 65722d61
    67656e74 34637572 6c2f372e 31362e33 206c6962 6375726c 2f372e31 362e3320
    4f70656e 53534c2f 302e392e 376c207a 6c69622f 312e322e 3304686f 73740f77
    77772e65 78616d70 6c652e63 6f6d0f61 63636570 742d6c61 6e677561 67650665
    6e2c206d 690000""")
INDETERMINATE_REQUEST = unhex("""
    02034745 54056874 74707300 0a2f6865 6c6c6f2e 7478740a 75736572 2d616765
    6e743463 75726c2f 372e3136 2e33206c 69626375 726c2f37 2e31362e 33204f70
    656e5353 4c2f302e 392e376c 207a6c69 622f312e 322e3304 686f7374 0f777777
    2e657861 6d706c65 2e636f6d 0f616363 6570742d 6c616e67 75616765 06656e2c
    206d6900 00000000 00000000 00000000""")
REQUEST_HEAD = RequestHead(
    method="GET",
    scheme="https",
    authority="",
    path="/hello.txt",
    headers=(
        (b"user-agent", b"curl/7.16.3 libcurl/7.16.3 OpenSSL/0.9.7l zlib/1.2.3"),
        (b"host", b"www.example.com"),
        (b"accept-language", b"en, mi"),
    ),
)
# RFC 9292 section 5.2: informational responses, then a response; and a response with a trailer.
INFORMATIONAL_RESPONSE = unhex("""
    03406607 72756e6e 696e670a 22736c65 65702031 35220040 67046c69 6e6b233c
    2f737479 6c652e63 73733e3b 2072656c 3d707265 6c6f6164 3b206173 3d737479
    6c65046c 696e6b24 3c2f7363 72697074 2e6a733e 3b207265 6c3d7072 656c6f61
    643b2061 733d7363 72697074 0040c804 64617465 1d4d6f6e 2c203237 204a756c
    20323030 39203132 3a32383a 35332047 4d540673 65727665 72064170 61636865
    0d6c6173 742d6d6f 64696669 65641d57 65642c20 3232204a 756c2032 30303920
    31393a31 353a3536 20474d54 04657461 67142233 34616133 38372d64 2d313536
    38656230 30220d61 63636570 742d7261 6e676573 05627974 65730e63 6f6e7465
    6e742d6c 656e6774 68023531 04766172 790f4163 63657074 2d456e63 6f64696e
    670c636f 6e74656e 742d7479 70650a74 6578742f 706c6169 6e003348 656c6c6f
    20576f72 6c642120 4d792063 6f6e7465 6e742069 6e636c75 64657320 61207472
    61696c69 6e672043 524c462e 0d0a0000""")
TRAILER_RESPONSE = b"\x01\x40\xc8\x00\x1dThis content contains CRLF.\r\n\x0d\x07trailer\x04text"


def decode(kind: Kind, pieces: Iterable[bytes], limits: Limits | None = None) -> list[Event]:
    decoder = BinaryHttpDecoder(kind, limits or Limits())
    events = [event for piece in pieces for event in decoder.receive(piece)]
    return joined(events + decoder.end_of_input())


def joined(events: list[Event]) -> list[Event]:
    """``events`` with neighbouring pieces of content put together: where they were cut means nothing."""
    merged: list[Event] = []
    for event in events:
        if isinstance(event, Data) and merged and isinstance(merged[-1], Data):
            merged[-1] = Data(merged[-1].data + event.data)
        else:
            merged.append(event)
    return merged


def bytewise(message: bytes) -> list[bytes]:
    return [message[i : i + 1] for i in range(len(message))]


def refusal(kind: Kind, message: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(MalformedError) as caught:
        decode(kind, [message], limits)
    with pytest.raises(MalformedError):
        decode(kind, bytewise(message), limits)
    return caught.value.code


def outcome(kind: Kind, message: bytes) -> str:
    """``read``, or the code of our refusal; any other exception passes through and fails the test."""
    try:
        decode(kind, [message])
    except MalformedError as error:
        return error.code
    return "read"


OUTCOMES = {"read", "channel.bad-message", "channel.head-too-large", "channel.body-too-large"}

EXAMPLES = {
    "known request": (Kind.REQUEST, KNOWN_REQUEST),
    "indeterminate request": (Kind.REQUEST, INDETERMINATE_REQUEST),
    "informational response": (Kind.RESPONSE, INFORMATIONAL_RESPONSE),
    "response with trailer": (Kind.RESPONSE, TRAILER_RESPONSE),
}
every_example = pytest.mark.parametrize(("kind", "message"), EXAMPLES.values(), ids=EXAMPLES.keys())


class TestExamplesOfTheRfc:
    @pytest.mark.parametrize("message", [KNOWN_REQUEST, INDETERMINATE_REQUEST], ids=["known", "indeterminate"])
    def test_both_forms_of_a_request_read_alike(self, message: bytes) -> None:
        assert decode(Kind.REQUEST, [message]) == [REQUEST_HEAD, End()]

    def test_a_known_request_is_written_as_printed(self) -> None:
        assert encode_known_request(REQUEST_HEAD, b"") == KNOWN_REQUEST

    def test_an_indeterminate_request_is_written_as_printed(self) -> None:
        assert encode_head(REQUEST_HEAD) + encode_end() + bytes(10) == INDETERMINATE_REQUEST

    def test_informational_responses_come_before_the_response(self) -> None:
        first, second, head, data, end = decode(Kind.RESPONSE, [INFORMATIONAL_RESPONSE])
        assert first == Informational(status=102, headers=((b"running", b'"sleep 15"'),))
        assert isinstance(second, Informational)
        assert (second.status, len(second.headers)) == (103, 2)
        assert isinstance(head, ResponseHead)
        assert (head.status, len(head.headers)) == (200, 8)
        assert data == Data(b"Hello World! My content includes a trailing CRLF.\r\n")
        assert end == End()
        rewritten = encode_head(head, (first, second)) + encode_content_chunk(data.data) + encode_end()
        assert rewritten == INFORMATIONAL_RESPONSE

    def test_trailers_come_with_the_end(self) -> None:
        trailers: Fields = ((b"trailer", b"text"),)
        content = b"This content contains CRLF.\r\n"
        assert decode(Kind.RESPONSE, [TRAILER_RESPONSE])[1:] == [Data(content), End(trailers)]
        assert encode_known_response(ResponseHead(status=200), content, trailers) == TRAILER_RESPONSE


class TestCutting:
    @every_example
    def test_byte_by_byte_reads_like_whole(self, kind: Kind, message: bytes) -> None:
        assert decode(kind, bytewise(message)) == decode(kind, [message])

    @pytest.mark.parametrize(
        ("kind", "message", "ends"),
        [
            (Kind.REQUEST, KNOWN_REQUEST, {23, 133, 134}),
            (Kind.REQUEST, INDETERMINATE_REQUEST, {23, *range(132, 144)}),
            (Kind.RESPONSE, INFORMATIONAL_RESPONSE, {111, 314, 367}),
            (Kind.RESPONSE, TRAILER_RESPONSE, {3, 4, 34}),
        ],
        ids=EXAMPLES.keys(),
    )
    def test_only_the_places_that_the_rfc_names_may_be_ends(self, kind: Kind, message: bytes, ends: set[int]) -> None:
        """Before a field section, before content, and in padding: what the channel's own end is needed against."""
        accepted = {size for size in range(len(message)) if outcome(kind, message[:size]) == "read"}
        assert accepted == ends

    def test_a_request_may_leave_out_its_empty_content_and_trailers(self) -> None:
        for message, spare in ((KNOWN_REQUEST, 2), (INDETERMINATE_REQUEST, 12)):
            for less in range(spare + 1):
                assert decode(Kind.REQUEST, [message[: len(message) - less]]) == [REQUEST_HEAD, End()]
            with pytest.raises(MalformedError):
                decode(Kind.REQUEST, [message[: len(message) - spare - 1]])

    def test_indeterminate_content_has_no_end_but_its_terminator(self) -> None:
        begun = encode_head(ResponseHead(status=200)) + encode_content_chunk(b"half of the ans")
        assert refusal(Kind.RESPONSE, begun) == "channel.bad-message"
        assert decode(Kind.RESPONSE, [begun + b"\x00"])[-1] == End()

    def test_a_message_with_only_control_data_is_what_rfc_9458_shows(self) -> None:
        request = unhex("00034745540568747470730b6578616d706c652e636f6d012f")
        head = RequestHead(method="GET", scheme="https", authority="example.com", path="/")
        assert decode(Kind.REQUEST, [request]) == [head, End()]
        assert decode(Kind.RESPONSE, [unhex("0140c8")]) == [ResponseHead(status=200), End()]

    @every_example
    def test_one_byte_too_many_is_refused(self, kind: Kind, message: bytes) -> None:
        assert refusal(kind, message.rstrip(b"\0") + bytes(20) + b"\x01") == "channel.bad-message"

    @pytest.mark.parametrize("code", [102, 199])
    def test_a_response_may_not_end_before_its_final_status(self, code: int) -> None:
        for message in (b"\x03" + encode_varint(code) + b"\0", b"\x01" + encode_varint(code) + b"\0"):
            assert refusal(Kind.RESPONSE, message) == "channel.bad-message"


def request_with(fields: bytes) -> bytes:
    control = b"".join(encode_varint(len(part)) + part for part in (b"GET", b"https", b"a", b"/"))
    return b"\x02" + control + fields + b"\x00\x00\x00"


def line(name: bytes, value: bytes) -> bytes:
    return encode_varint(len(name)) + name + encode_varint(len(value)) + value


class TestWhatIsRefused:
    @pytest.mark.parametrize("framing", [1, 3, 4, 63, 16000])
    def test_framing_of_another_kind(self, framing: int) -> None:
        assert refusal(Kind.REQUEST, encode_varint(framing) + KNOWN_REQUEST[1:]) == "channel.bad-message"

    @pytest.mark.parametrize("framing", [0, 2, 4])
    def test_a_request_where_a_response_belongs(self, framing: int) -> None:
        assert refusal(Kind.RESPONSE, encode_varint(framing) + TRAILER_RESPONSE[1:]) == "channel.bad-message"

    @pytest.mark.parametrize("status", [0, 99, 600, 1000])
    def test_a_status_that_is_none(self, status: int) -> None:
        assert refusal(Kind.RESPONSE, b"\x03" + encode_varint(status) + bytes(3)) == "channel.bad-message"

    @pytest.mark.parametrize(
        "name", [b"na me", b"n\0", b"n\n", b"n:", b":path", b":method", b":protocol", b"\xff", b"", b"a(b)"]
    )
    def test_a_field_name_that_is_none(self, name: bytes) -> None:
        known = KNOWN_REQUEST[: KNOWN_REQUEST.index(b"\x40\x6c")] + encode_varint(len(line(name, b"v")))
        assert refusal(Kind.REQUEST, known + line(name, b"v") + bytes(2)) == "channel.bad-message"
        if name:
            assert refusal(Kind.REQUEST, request_with(line(name, b"v"))) == "channel.bad-message"

    @pytest.mark.parametrize("value", [b"a\r\nb", b"a\nb", b"a\0", b" a", b"a ", b"\ta", b"a\t", b" ", b"\r"])
    def test_a_field_value_that_smuggles(self, value: bytes) -> None:
        assert refusal(Kind.REQUEST, request_with(line(b"name", value))) == "channel.bad-message"

    @pytest.mark.parametrize("value", [b"", b"a", b"a b", b"\xc3\xa9", b"a\tb", b"!"])
    def test_other_field_values_pass(self, value: bytes) -> None:
        head = decode(Kind.REQUEST, [request_with(line(b"NaMe", value))])[0]
        assert isinstance(head, RequestHead)
        assert head.headers == ((b"name", value),)

    @pytest.mark.parametrize(
        "part",
        [
            (b"GE T", b"https", b"a", b"/"),
            (b"", b"https", b"a", b"/"),
            (b"GET", b"", b"a", b"/"),
            (b"GET", b"1https", b"a", b"/"),
            (b"GET", b"https", b"a b", b"/"),
            (b"GET", b"https", b"a\r\n", b"/"),
            (b"GET", b"https", b"a", b""),
            (b"GET", b"https", b"a", b"path"),
            (b"GET", b"https", b"a", b"/a b"),
            (b"GET", b"https", b"a", b"/\n"),
            (b"GET", b"https", b"a", b"/\xc3\xa9"),
        ],
    )
    def test_a_request_target_that_is_none(self, part: tuple[bytes, ...]) -> None:
        control = b"".join(encode_varint(len(text)) + text for text in part)
        assert refusal(Kind.REQUEST, b"\x02" + control + bytes(3)) == "channel.bad-message"

    def test_field_lines_that_run_past_their_section(self) -> None:
        start = KNOWN_REQUEST[: KNOWN_REQUEST.index(b"\x40\x6c")]
        assert refusal(Kind.REQUEST, start + b"\x03" + b"\x01n\x05value" + bytes(2)) == "channel.bad-message"
        assert refusal(Kind.REQUEST, start + b"\x01\x40" + bytes(2)) == "channel.bad-message"

    @pytest.mark.parametrize("lengths", [(b"4",), (b"2",), (b"x",), (b"3", b"4"), (b"-3",), (b"9" * 30,)])
    def test_a_content_length_that_lies(self, lengths: tuple[bytes, ...]) -> None:
        head = RequestHead(method="POST", path="/", headers=tuple((b"content-length", length) for length in lengths))
        assert refusal(Kind.REQUEST, encode_known_request(head, b"abc")) == "channel.bad-message"

    def test_a_content_length_that_is_right_passes(self) -> None:
        head = RequestHead(method="POST", path="/", headers=((b"content-length", b"3"),))
        assert decode(Kind.REQUEST, [encode_known_request(head, b"abc")]) == [head, Data(b"abc"), End()]

    def test_a_content_length_without_content(self) -> None:
        head = RequestHead(method="POST", path="/", headers=((b"content-length", b"3"),))
        assert refusal(Kind.REQUEST, encode_head(head)) == "channel.bad-message"


class TestLimits:
    limits = Limits(head=100, fields=3, body=50, padding=30, informational=2)

    def test_a_section_above_the_limit(self) -> None:
        many = b"".join(line(b"n%d" % i, b"v" * 30) for i in range(3))
        assert decode(Kind.REQUEST, [request_with(many[:68])], self.limits)
        assert refusal(Kind.REQUEST, request_with(many + line(b"x", b"y")), self.limits) == "channel.head-too-large"

    def test_more_fields_than_the_limit(self) -> None:
        fields = line(b"n", b"v") * 4
        assert refusal(Kind.REQUEST, request_with(fields), self.limits) == "channel.head-too-large"
        start = KNOWN_REQUEST[: KNOWN_REQUEST.index(b"\x40\x6c")]
        known = start + encode_varint(len(fields)) + fields + bytes(2)
        assert refusal(Kind.REQUEST, known, self.limits) == "channel.head-too-large"

    def test_an_announced_length_above_the_limit_is_refused_before_it_comes(self) -> None:
        for message in (b"\x02" + encode_varint(1 << 40), request_with(encode_varint(1 << 40))):
            with pytest.raises(MalformedError) as caught:
                BinaryHttpDecoder(Kind.REQUEST, self.limits).receive(message)
            assert caught.value.code == "channel.head-too-large"

    @pytest.mark.parametrize("known", [True, False])
    def test_content_above_the_limit(self, *, known: bool) -> None:
        head = RequestHead(method="POST", path="/")
        chunks = (encode_content_chunk(b"x" * 25) for _ in range(3))
        message = (
            encode_known_request(head, b"x" * 51) if known else encode_head(head) + b"".join(chunks) + encode_end()
        )
        assert refusal(Kind.REQUEST, message, self.limits) == "channel.body-too-large"

    def test_padding_above_the_limit(self) -> None:
        message = encode_known_request(RequestHead(method="GET", path="/"), b"")
        assert decode(Kind.REQUEST, [message + bytes(30)], self.limits)
        assert refusal(Kind.REQUEST, message + bytes(31), self.limits) == "channel.bad-message"

    def test_informational_responses_above_the_limit(self) -> None:
        part = Informational(status=102)
        for count, fine in ((2, True), (3, False)):
            message = encode_head(ResponseHead(status=200), (part,) * count) + encode_end()
            if fine:
                assert decode(Kind.RESPONSE, [message], self.limits)[-1] == End()
            else:
                assert refusal(Kind.RESPONSE, message, self.limits) == "channel.bad-message"

    def test_a_chunk_limit_below_what_the_draft_asks_is_a_misuse(self) -> None:
        with pytest.raises(MisuseError):
            Limits(chunk=16383)


class TestWriting:
    @pytest.mark.parametrize(
        "head",
        [
            RequestHead(method="GET\r\n", path="/"),
            RequestHead(method="GET", path="no slash"),
            RequestHead(method="GET", path="/", headers=((b"bad name", b"v"),)),
            RequestHead(method="GET", path="/", headers=((b"name", b"a\r\nb: c"),)),
            RequestHead(method="GET", path="/\u00e9"),
        ],
    )
    def test_what_could_not_be_read_is_not_written(self, head: RequestHead) -> None:
        with pytest.raises(MisuseError) as caught:
            encode_head(head)
        assert caught.value.code == "channel.can-not-encode"
        assert "b: c" not in caught.value.diagnostics()

    @pytest.mark.parametrize("status", [0, 100, 199, 600])
    def test_a_status_that_is_no_final_one_is_not_written(self, status: int) -> None:
        with pytest.raises(MisuseError):
            encode_head(ResponseHead(status=status))

    def test_fields_of_a_connection_are_left_out(self) -> None:
        headers = ((b"Connection", b"close"), (b"transfer-encoding", b"chunked"), (b"Accept", b"*/*"))
        message = encode_known_request(RequestHead(method="GET", path="/", headers=headers), b"")
        head = decode(Kind.REQUEST, [message])[0]
        assert isinstance(head, RequestHead)
        assert head.headers == ((b"accept", b"*/*"),)

    def test_an_ended_message_takes_no_more(self) -> None:
        decoder = BinaryHttpDecoder(Kind.REQUEST, Limits())
        decoder.receive(KNOWN_REQUEST)
        decoder.end_of_input()
        for call in (lambda: decoder.receive(b"\0"), decoder.end_of_input):
            with pytest.raises(MisuseError):
                call()


names = st.from_regex(rb"[a-z][a-z0-9\-]{0,20}", fullmatch=True).filter(
    lambda name: name not in {b"connection", b"keep-alive", b"te", b"upgrade", b"content-length"}
)
values = st.from_regex(rb"([!-~]([ -~]{0,40}[!-~])?)?", fullmatch=True)
fields = st.lists(st.tuples(names, values), max_size=6).map(tuple)
bodies = st.lists(st.binary(max_size=200), max_size=5)


@given(fields, bodies, fields, st.integers(0, 40), st.integers(1, 50))
def test_whatever_is_written_reads_back(
    headers: Fields, body: list[bytes], trailers: Fields, padding: int, step: int
) -> None:
    head = RequestHead(method="POST", path="/p?q", authority="host:1", headers=headers)
    content = b"".join(body)
    expected: list[Event] = [head, *([Data(content)] if content else []), End(trailers)]
    known = encode_known_request(head, content, trailers)
    pieces = b"".join(map(encode_content_chunk, body))
    for message in (known, encode_head(head) + pieces + encode_end(trailers)):
        padded = message + bytes(padding)
        assert decode(Kind.REQUEST, [padded[i : i + step] for i in range(0, len(padded), step)]) == expected


@given(st.sampled_from(Kind), st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(KNOWN_REQUEST.__add__)))
def test_noise_gives_events_or_our_own_error(kind: Kind, noise: bytes) -> None:
    assert outcome(kind, noise) in OUTCOMES


@given(st.sampled_from(list(EXAMPLES.values())), st.data())
def test_one_changed_byte_gives_events_or_our_own_error(example: tuple[Kind, bytes], data: st.DataObject) -> None:
    kind, message = example
    changed = bytearray(message)
    changed[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    assert outcome(kind, bytes(changed)) in OUTCOMES


class TestIntegers:
    @given(st.integers(0, (1 << 62) - 1), st.integers(0, 3))
    def test_any_width_is_read(self, value: int, width: int) -> None:
        assert decode_varint(encode_varint(value), 0) == (value, len(encode_varint(value)))
        size = 1 << width
        if value < 1 << (8 * size - 2):
            wide = (value | width << (8 * size - 2)).to_bytes(size, "big")
            assert decode_varint(b"\xff" + wide, 1) == (value, size + 1)
            assert decode_varint(wide[:-1], 0) is None

    @pytest.mark.parametrize("value", [-1, 1 << 62])
    def test_what_does_not_fit_is_a_misuse(self, value: int) -> None:
        with pytest.raises(MisuseError):
            encode_varint(value)

    def test_the_examples_of_rfc_9000(self) -> None:
        for raw, value in (
            ("c2197c5eff14e88c", 151288809941952652),
            ("9d7f3e7d", 494878333),
            ("7bbd", 15293),
            ("25", 37),
        ):
            assert encode_varint(value).hex() == raw
        assert decode_varint(bytes.fromhex("4025"), 0) == (37, 2)
