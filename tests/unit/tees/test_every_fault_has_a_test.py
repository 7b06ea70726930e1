"""The twenty-nine faults that verifiers were found to have (cpu-tee.md section 5): none without a test here."""

import re
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
_NAME = re.compile(r"def test_(?:fault_)?(\d\d)(?:_and_(\d\d))?_")


def test_no_fault_of_others_is_without_a_test():
    named = {
        int(number)
        for path in _TESTS.rglob("test_*.py")
        for match in _NAME.finditer(path.read_text(encoding="utf-8"))
        for number in match.groups()
        if number
    }
    assert set(range(1, 30)) - named == set()
