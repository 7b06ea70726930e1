"""Every recorded vector of the kinds that this release knows, run as `sealroom conformance` runs it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sealroom.testing.conformance import run_case
from sealroom.testing.vector_store import find_cases, read_case

_VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors"
_MISLABELLED = {
    "measure/ccel-gce-cos113": "expects secure_boot, and the log's own verified event says SecureBoot = 00",
}
"""Labels that contradict what the vector's own bytes prove."""


def _cases(folder: str) -> Iterator[object]:
    if not (_VECTORS / folder).is_dir():
        yield pytest.param("", "", marks=pytest.mark.skip(reason="the recorded vectors are not on this machine"))
        return
    for name, path in find_cases(_VECTORS / folder):
        key = f"{folder}/{name}"
        marks = [pytest.mark.xfail(reason=_MISLABELLED[key], strict=True)] if key in _MISLABELLED else []
        yield pytest.param(folder, str(path), id=key, marks=marks)


@pytest.mark.parametrize(
    ("folder", "path"), [case for folder in ("tdx", "sgx", "nitro", "measure") for case in _cases(folder)]
)
def test_a_recorded_vector_comes_out_as_labelled(folder: str, path: str) -> None:
    directory = Path(path)
    result = run_case(read_case(directory.name, directory))
    assert result.passed, result.as_line()
