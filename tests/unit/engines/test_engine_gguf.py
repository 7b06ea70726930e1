"""A model file is hostile until its header has been read: no count, length or offset that could hurt gets by."""

import struct
import sys
from pathlib import Path

import pytest
from gguf_files import ARCHITECTURE, ARRAY, F32, FLOAT32, Q4_0, STRING, UINT32, array, gguf, text
from hypothesis import given
from hypothesis import strategies as st

from sealroom.engines.gguf import GgufLimits, read_gguf
from sealroom.errors import MalformedError

_WHOLE = gguf(
    (ARCHITECTURE, (b"general.alignment", UINT32, struct.pack("<I", 32)),
     (b"tokens", ARRAY, array(STRING, 2, text(b"a") + text(b"bc"))), (b"scores", ARRAY, array(FLOAT32, 2, bytes(8))))
)  # fmt: skip


def test_a_right_file_gives_its_facts() -> None:
    facts = read_gguf(_WHOLE)
    assert (facts.version, facts.architecture, facts.tensors) == (3, "llama", 2)
    assert facts.data_offset + facts.data_size == len(_WHOLE)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"GGML" + _WHOLE[4:], "magic"),
        (gguf(version=1), "version"),
        (gguf(version=0x03000000), "version"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 63, 1), "count"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 1 << 63), "count"),
        (gguf(()), "no-architecture"),
        (gguf(((b"general.architecture", UINT32, bytes(4)),)), "no-architecture"),
        (gguf((ARCHITECTURE, ARCHITECTURE)), "duplicate-key"),
        (gguf((ARCHITECTURE, (b"k" * 300, UINT32, bytes(4)))), "key-length"),
        (gguf((ARCHITECTURE, (b"k", 13, bytes(4)))), "value-type"),
        (gguf((ARCHITECTURE, (b"k", STRING, struct.pack("<Q", 1 << 40)))), "string-length"),
        (gguf((ARCHITECTURE, (b"k", STRING, text(b"\xff")))), "text"),
        (gguf((ARCHITECTURE, (b"k", ARRAY, array(UINT32, 1 << 61, b"")))), "count"),
        (gguf((ARCHITECTURE, (b"k", ARRAY, array(ARRAY, 1, bytes(12))))), "array-type"),
        (gguf((ARCHITECTURE, (b"k", ARRAY, array(STRING, 1, struct.pack("<Q", 1 << 62))))), "string-length"),
        (gguf((ARCHITECTURE, (b"tokenizer.chat_template", STRING, text(b"{" * 300_000)))), "template-length"),
        (gguf((ARCHITECTURE, (b"general.alignment", UINT32, struct.pack("<I", 0)))), "alignment"),
        (gguf((ARCHITECTURE, (b"general.alignment", UINT32, struct.pack("<I", 24)))), "alignment"),
        (gguf(tensors=((b"n" * 64, (1,), F32, None),)), "tensor-name"),
        (gguf(tensors=((b"a", (1,), F32, None), (b"a", (1,), F32, None))), "duplicate-tensor"),
        (gguf(tensors=((b"a", (), F32, None),)), "tensor-dimensions"),
        (gguf(tensors=((b"a", (1, 1, 1, 1, 1), F32, None),)), "tensor-dimensions"),
        (gguf(tensors=((b"a", (1,), 99, None),)), "tensor-type"),
        (gguf(tensors=((b"a", (0,), F32, None),)), "tensor-shape"),
        (gguf(tensors=((b"a", (1 << 33, 1 << 33), F32, None),), data=64), "tensor-shape"),
        (gguf(tensors=((b"a", (33,), Q4_0, None),)), "tensor-shape"),
        (gguf(tensors=((b"a", (8,), F32, 32),)), "tensor-offset"),
        (gguf(tensors=((b"a", (8,), F32, None), (b"b", (8,), F32, 0))), "tensor-offset"),
        (gguf(data=3), "truncated"),
    ],
)
def test_one_fault_is_refused_by_its_own_code(raw: bytes, code: str) -> None:
    with pytest.raises(MalformedError) as refused:
        read_gguf(raw)
    assert refused.value.code == f"gguf.{code}"


def test_a_file_cut_at_any_byte_is_refused() -> None:
    for length in range(len(_WHOLE)):
        with pytest.raises(MalformedError):
            read_gguf(_WHOLE[:length])


@given(st.integers(0, len(_WHOLE) - 1), st.binary(min_size=1, max_size=8))
def test_changed_bytes_give_facts_inside_the_file_or_a_refusal(at: int, change: bytes) -> None:
    raw = (_WHOLE[:at] + change + _WHOLE[at + len(change) :])[: len(_WHOLE)]
    try:
        facts = read_gguf(raw)
    except MalformedError:
        return
    assert facts.data_offset + facts.data_size <= len(raw)


@given(st.binary(max_size=200))
def test_noise_behind_the_magic_is_refused(noise: bytes) -> None:
    with pytest.raises(MalformedError):
        read_gguf(b"GGUF" + noise)


def test_the_limits_can_be_narrowed() -> None:
    with pytest.raises(MalformedError, match="too many tensors"):
        read_gguf(_WHOLE, GgufLimits(tensors=1))


def test_the_demonstration_model_passes() -> None:
    model = Path(sys.prefix) / "share/sealroom/models/SmolLM2-135M-Instruct.Q4_1.gguf"
    if not model.is_file():
        pytest.skip("the demonstration model is not installed")
    facts = read_gguf(model.read_bytes())
    assert (facts.architecture, facts.tensors) == ("llama", 272)
    assert facts.data_offset + facts.data_size == model.stat().st_size
