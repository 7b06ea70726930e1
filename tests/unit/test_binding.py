"""The binding: evidence made for one thing can not serve for another."""

import hashlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.binding import REPORT_DATA_SIZE, Label, report_data

_SPEC = Path(__file__).resolve().parents[2] / "spec" / "evidence-bundle.md"
_PARTS = st.lists(st.binary(max_size=40), max_size=4)


def _blocks() -> list[str]:
    example = _SPEC.read_text(encoding="utf-8").partition("### 4.2 Worked example")[2]
    return re.findall(r"```\n(.*?)```", example, re.DOTALL)[:3]


def test_the_worked_example_of_the_specification_is_what_the_code_computes() -> None:
    framed, result, other_label = _blocks()
    preimage = bytes.fromhex("".join(line.split()[0] for line in framed.splitlines()))
    part = b'{"a":1}'

    assert hashlib.sha512(preimage).hexdigest() == "".join(result.split())
    assert report_data(Label.ROOM_STATEMENT, part).hex() == "".join(result.split())
    assert report_data(Label.GPU_NONCE, part).hex() == "".join(other_label.split())


@given(_PARTS, _PARTS)
def test_two_lists_of_parts_never_bind_alike(one: list[bytes], other: list[bytes]) -> None:
    same = report_data(Label.ROOM_STATEMENT, *one) == report_data(Label.ROOM_STATEMENT, *other)

    assert same is (one == other)


@given(_PARTS)
def test_a_binding_under_one_label_is_none_under_another(parts: list[bytes]) -> None:
    assert len({report_data(label, *parts) for label in Label}) == len(Label)


@pytest.mark.parametrize(("one", "other"), [((b"ab", b"c"), (b"a", b"bc")), ((b"", b"a"), (b"a",)), ((b"",), ())])
def test_moving_a_border_between_parts_changes_the_binding(one: tuple[bytes, ...], other: tuple[bytes, ...]) -> None:
    assert report_data(Label.ROOM_STATEMENT, *one) != report_data(Label.ROOM_STATEMENT, *other)


def test_report_data_fills_the_field_of_the_hardware() -> None:
    assert len(report_data(Label.ROOM_STATEMENT, b"x")) == REPORT_DATA_SIZE


def test_every_label_in_use_stands_in_the_specification() -> None:
    spec = _SPEC.read_text(encoding="utf-8")

    assert all(f"| `{label.value}` |" in spec for label in Label)
