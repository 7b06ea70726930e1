"""One software TPM of each kind for all tests here: RSA keys take time."""

from copy import deepcopy

import pytest

from sealroom.testing.tpm import SoftTpm

KINDS = ("rsassa", "rsapss", "ecdsa")


@pytest.fixture(scope="session")
def made() -> dict[str, SoftTpm]:
    return {kind: SoftTpm.create(kind) for kind in KINDS}


@pytest.fixture
def tpm(made) -> SoftTpm:
    """Of its test's own, with the key of all."""
    return deepcopy_of(made["ecdsa"])


def deepcopy_of(tpm: SoftTpm) -> SoftTpm:
    """Another TPM with the same key."""
    return SoftTpm(key=tpm.key, scheme=tpm.scheme, digest=tpm.digest, pcrs=deepcopy(tpm.pcrs))
