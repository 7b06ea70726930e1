"""What a process reads of code before it begins: nothing that it may never need. Tests no time, but what costs it."""

import subprocess
import sys

import pytest


def loaded(module: str) -> set[str]:
    """Every module that is there once ``module`` was imported."""
    code = f"import sys, {module}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("sealroom.cli.serve", {"httpx", "aiohttp", "botocore", "pynvml", "cel", "rich", "sealroom.testing"}),
        ("sealroom.room.config", {"httpx", "sealroom.collateral.fetch.vendors", "sealroom.tees.nvidia.verify"}),
        (
            "sealroom.verifier",
            {"httpx", "cel", "sealroom.tees.nvidia", "sealroom.tees.gcp", "sealroom.tees.azure_vtpm"},
        ),
        ("sealroom.jose", {"cryptography.x509"}),
    ],
)
def test_what_may_never_be_needed_is_not_read(module: str, never: set[str]) -> None:
    found = loaded(module)
    assert module in found
    assert found & never == set()
