"""Event logs made by hand: whole or refused, replayed to registers computed here, text held to its digest."""

import hashlib
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.errors import MalformedError, SealroomError, UnverifiedError
from sealroom.measure.dstack import replay_dstack
from sealroom.measure.ima import read_ima
from sealroom.measure.replay import replay_rtmrs, require_equal
from sealroom.measure.tpm_replay import replay_pcrs

SEPARATOR, ACTION, IPL, BLOB, NO_ACTION = 0x4, 0x80000007, 0xD, 0x8000000A, 0x3


def sha384(data):
    return hashlib.sha384(data).digest()


def header():
    data = b"Spec ID Event03\x00" + struct.pack("<IBBBBI", 0, 0, 2, 105, 2, 1) + struct.pack("<HHB", 0xC, 48, 0)
    return struct.pack("<II20sI", 0, NO_ACTION, bytes(20), len(data)) + data


def event(index, kind, data, digest=None):
    return struct.pack("<IIIH", index, kind, 1, 0xC) + (digest or sha384(data)) + struct.pack("<I", len(data)) + data


def log(*events, padding=b"\xff" * 64):
    return header() + b"".join(events) + padding


HONEST = (
    event(1, SEPARATOR, bytes(4)),
    event(2, ACTION, b"Calling EFI Application from Boot Option"),
    event(3, IPL, b"grub_cmd: boot\x00", sha384(b"boot")),
    event(1, BLOB, b"\x03Fv1" + bytes(16), sha384(b"not in the log")),
)


def chain(*digests):
    register = bytes(48)
    for digest in digests:
        register = sha384(register + digest)
    return register


def test_a_log_leads_to_the_registers_that_a_hand_computes():
    replay = replay_rtmrs(log(*HONEST))
    assert replay.registers == {
        "rtmr0": chain(sha384(bytes(4)), sha384(b"not in the log")),
        "rtmr1": chain(sha384(b"Calling EFI Application from Boot Option")),
        "rtmr2": chain(sha384(b"boot")),
        "rtmr3": bytes(48),
    }
    marks = [named.digest_of for named in replay.events]
    assert marks == ["not-extended", "event-data", "event-data", "after-prefix", "opaque"]
    assert [named.verified for named in replay.events] == [False, True, True, True, False]


def test_registers_of_another_machine_are_refused_and_rtmr3_only_where_the_log_speaks_of_it():
    replay = replay_rtmrs(log(*HONEST))
    quoted = dict(replay.registers) | {"rtmr3": b"\x01" * 48}
    require_equal(replay.registers, replay.extended, quoted)
    for name in ("rtmr0", "rtmr1", "rtmr2"):
        with pytest.raises(UnverifiedError) as error:
            require_equal(replay.registers, replay.extended, quoted | {name: bytes(48)})
        assert error.value.code == "eventlog.register-mismatch"
    with pytest.raises(UnverifiedError):
        require_equal(replay.registers, replay.extended | {"rtmr3"}, quoted)


@pytest.mark.parametrize(
    "edited",
    [
        event(1, SEPARATOR, b"\x02\x00\x00\x00"),
        event(1, SEPARATOR, b"\xff" * 4, sha384(bytes(4))),
        event(2, ACTION, b"another text", sha384(b"the measured one")),
        event(3, IPL, b"grub_cmd: another\x00", sha384(b"boot")),
        event(3, IPL, b"kernel_cmdline: init=/bin/sh\x00", sha384(b"quiet")),
    ],
)
def test_a_text_that_is_not_what_was_measured_is_refused(edited):
    with pytest.raises(UnverifiedError) as error:
        replay_rtmrs(log(*HONEST, edited))
    assert error.value.code == "eventlog.text-not-measured"


def test_a_failure_of_the_firmware_and_a_register_that_is_none_are_refused():
    with pytest.raises(UnverifiedError) as error:
        replay_rtmrs(log(event(1, SEPARATOR, b"\x01\x00\x00\x00")))
    assert error.value.code == "eventlog.firmware-error"
    with pytest.raises(MalformedError) as error:
        replay_rtmrs(log(event(5, ACTION, b"x")))
    assert error.value.code == "eventlog.register"


def test_a_log_is_whole_events_and_then_padding_alone():
    whole = log(*HONEST, padding=b"")
    ends = {len(header())}
    for one in HONEST:
        ends.add(max(ends) + len(one))
    for size in set(range(len(whole))) - ends:
        with pytest.raises(SealroomError):
            replay_rtmrs(whole[:size])
    with pytest.raises(MalformedError):
        replay_rtmrs(log(*HONEST, padding=b"\xff" * 12 + b"x"))


@given(st.binary(max_size=600))
def test_any_bytes_are_a_log_or_refused(raw):
    for read in (replay_rtmrs, replay_pcrs, replay_dstack, read_ima):
        for text in (raw, header() + raw):
            try:
                read(text)
            except SealroomError:
                continue


def test_a_run_time_event_of_dstack_is_held_to_its_digest():
    digest = sha384(b"\x01\x00\x00\x08:app-id:\xab")
    entry = {"imr": 3, "event_type": 0x08000001, "digest": digest.hex(), "event": "app-id", "event_payload": "ab"}
    assert replay_dstack(json.dumps([entry]).encode()).registers["rtmr3"] == chain(digest)
    assert replay_dstack(json.dumps([entry | {"digest": ""}]).encode()).registers["rtmr3"] == chain(digest)
    edited = replay_dstack(json.dumps([entry | {"event_payload": "cd"}]).encode())
    assert edited.dishonest is not None


def test_an_edited_line_of_ima_is_refused():
    fields = b"sha256:\x00" + bytes.fromhex("ab" * 32), b"/bin/true\x00"
    data = b"".join(len(one).to_bytes(4, "little") + one for one in fields)
    line = f"10 {hashlib.sha1(data).hexdigest()} ima-ng sha256:{'ab' * 32} /bin/true\n"
    assert (
        read_ima(line.encode()).pcr10["sha256"] == hashlib.sha256(bytes(32) + hashlib.sha256(data).digest()).digest()
    )
    with pytest.raises(UnverifiedError):
        read_ima(line.replace("true", "evil").encode())
