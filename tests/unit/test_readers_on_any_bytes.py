"""Every reader of a stranger's bytes, on any bytes at all: our own errors and no others, little time, little memory.

The targets and their corpus are those of the fuzzer (``make fuzz``), which runs them for longer.
"""

import importlib.util
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealroom.errors import SealroomError

FUZZ = Path(__file__).resolve().parents[2] / "fuzz"
MULTIPLE = 60
"""Bytes of memory for each byte of input: objects of Python are larger than what they stand for."""
FIXED = 2 * 1024 * 1024
SECONDS = 2.0


def load():
    spec = importlib.util.spec_from_file_location("fuzz_targets", FUZZ / "targets.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_targets"] = module
    spec.loader.exec_module(module)
    return module


TARGETS = load().TARGETS
NAMES = sorted(TARGETS)
CORPUS = {name: [path.read_bytes() for path in sorted((FUZZ / "corpus" / name).glob("*"))] for name in NAMES}


def read(name, raw):
    try:
        TARGETS[name].make()(raw)
    except SealroomError as error:
        (error.code + error.diagnostics()).encode()
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_the_kept_corpus_gets_past_the_reader_and_raises_nothing_foreign(name):
    accepted = [read(name, raw) for raw in CORPUS[name]]
    assert any(accepted), f"nothing in the corpus of {name} is ever accepted: its readers are not reached"


def test_the_corpus_has_a_folder_for_each_target_and_is_small():
    assert {path.name for path in (FUZZ / "corpus").iterdir()} == set(NAMES)
    assert sum(path.stat().st_size for path in (FUZZ / "corpus").rglob("*") if path.is_file()) < 400_000


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_changed_bytes_raise_nothing_foreign(name, data):
    raw = bytearray(data.draw(st.sampled_from(CORPUS[name]) | st.binary(max_size=200)))
    for _ in range(data.draw(st.integers(0, 4))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    read(name, bytes(raw[:cut] if data.draw(st.booleans()) else raw + raw[:cut]))


HOSTILE = {
    "arrays in arrays": b"[" * 100_000,
    "arrays in arrays, closed": b"[" * 50_000 + b"]" * 50_000,
    "objects in objects": b'{"a":' * 40_000,
    "objects in a signed object": b'{"tcbInfo":' + b'{"a":' * 40_000 + b"1" + b"}" * 40_000 + b',"signature":"00"}',
    "a signed object that is none": b'{"tcbInfo":' + b"[" * 100_000,
    "arrays in an identity": b"\0" + b"[" * 100_000,
    "arrays in a TCB info": b"\1" + b"[" * 100_000,
    "a number without an end": b"9" * 200_000,
    "a number in a TCB info": b'\1{"version":' + b"9" * 200_000 + b"}",
    "a text of escapes": b'"' + b"\\u0000" * 30_000 + b'"',
    "arrays in TOML": b"a = " + b"[" * 100_000,
    "tables in TOML": b"a = " + b"{b=" * 40_000,
    "parts of a key": b"a" + b".a" * 100_000 + b" = 1",
    "parts of a table": b"[a" + b".a" * 100_000 + b"]",
    "quotation marks": b'a = """' + b'"' * 100_000,
    "PEM that begins": b"-----BEGIN CERTIFICATE-----\n" * 5_000,
    "PEM without an end": b"-----BEGIN CERTIFICATE-----\n" + b"A" * 200_000,
    "empty lines": b"\n" * 200_000 + b"x",
    "sequences in sequences": b"\x30\x84\x00\xff\xff\xff" * 20_000,
    "indefinite lengths": b"\x30\x80" * 50_000,
    "CBOR in CBOR": b"\x81" * 100_000,
    "CBOR maps": b"\xa1\x61a" * 50_000,
    "a CBOR length": b"\x5b" + b"\xff" * 8 + bytes(1000),
    "zeros": bytes(200_000),
    "ones": b"\xff" * 200_000,
    "words": b"10 " + b"a " * 100_000,
    "hexadecimal": b"0" * 400_000,
}


@pytest.mark.parametrize("name", NAMES)
def test_hostile_bytes_cost_little_time_and_little_memory(name):
    reader = TARGETS[name].make()
    for label, raw in HOSTILE.items():
        tracemalloc.start()
        started = time.process_time()
        try:
            reader(raw)
        except SealroomError:
            pass
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < MULTIPLE * len(raw) + FIXED, f"{label}: {peak} bytes of memory for {len(raw)} of input"
        assert time.process_time() - started < SECONDS, label
