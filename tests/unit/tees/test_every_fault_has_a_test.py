"""What verifiers of others were found to have wrong, by the numbers of the reference: none without a test here.

The twenty-nine of CPUs (cpu-tee.md section 5) stand in names of tests: ``test_17_…``. The twenty-three of devices and
clouds (gpu-cloud-tee.md section 7) stand in names, ``test_fault_gpu_cloud_5_…``, or in what a test says of itself:
``Fault gpu-cloud 12 and 14``.
"""

import re
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[2]
_CPU = re.compile(r"def test_(?:fault_)?(\d\d)(?:_and_(\d\d))?_")
_DEVICES = re.compile(r"def test_fault_gpu_cloud_(\d+)_|[Ff]aults? gpu-cloud ((?:\d+(?:, | and )?)+)")


def _numbers(pattern: re.Pattern[str]) -> set[int]:
    texts = [path.read_text(encoding="utf-8") for path in _TESTS.rglob("test_*.py") if ".build" not in path.parts]
    found = (group for text in texts for match in pattern.finditer(text) for group in match.groups() if group)
    return {int(number) for group in found for number in re.findall(r"\d+", group)}


def test_no_fault_of_others_is_without_a_test():
    assert set(range(1, 30)) - _numbers(_CPU) == set()


def test_no_fault_of_others_with_devices_and_clouds_is_without_a_test():
    assert set(range(1, 24)) - _numbers(_DEVICES) == set()
