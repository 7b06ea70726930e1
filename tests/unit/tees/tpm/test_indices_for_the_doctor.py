"""The doctor's question to a TPM, put to an emulator of somebody else's making."""

import os
import subprocess

import pytest

from sealroom.doctor.collect_devices import tpm_indices
from sealroom.errors import UnavailableError


def test_the_list_of_indices_is_that_of_the_tpm(tcti: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPM2TOOLS_TCTI", tcti)
    assert tpm_indices() == frozenset()
    for index in ("0x01400001", "0x01c10000"):
        subprocess.run(["tpm2_nvdefine", index, "-C", "o", "-s", "8"], check=True, env=dict(os.environ),
                       stdout=subprocess.DEVNULL)  # fmt: skip
    assert tpm_indices() == {0x01400001, 0x01C10000}


def test_a_tpm_that_is_not_there_is_told(tcti: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPM2TOOLS_TCTI", "device:/dev/none")
    with pytest.raises(UnavailableError, match=r"tpm\.tool"):
        tpm_indices()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UnavailableError, match=r"tpm\.no-tools"):
        tpm_indices()
