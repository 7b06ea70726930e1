"""Which generation a device is of, by what its boot ROM's certificate calls it: NVIDIA's chips have many names."""

from types import SimpleNamespace

import pytest

from sealroom.tees.nvidia.certificates import _architecture
from sealroom.x509_reader import Name


@pytest.mark.parametrize(
    ("model", "generation"),
    [
        ("GH100 A01 GSP BROM", "hopper"),
        ("GH200 A01 GSP BROM", "hopper"),
        ("GB100 A01 GSP BROM", "blackwell"),
        ("GB110 A01 GSP BROM", "blackwell"),
        ("GB20X A01 GSP BROM", "blackwell"),
        ("LS_10 A01 FSP BROM", "ls10"),
        ("LS10 A01 FSP BROM", "ls10"),
        ("GR100 A01 GSP BROM", "gr100"),
        ("", "unknown"),
    ],
)
def test_the_generation_stands_in_how_the_chip_is_called(model: str, generation: str) -> None:
    assert _architecture(SimpleNamespace(subject=Name(b"", model))) == generation  # type: ignore[arg-type]
