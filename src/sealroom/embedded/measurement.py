"""The launch measurement of simulated hardware: a digest of the very code that the room runs.

Real firmware measures the guest's first memory pages; simulated hardware has none, so it measures what stands in
their place. Change one line of the installed package and the measurement differs, as it would in silicon.
"""

import hashlib
from pathlib import Path

import sealroom

__all__ = ["measure_package"]


def measure_package() -> bytes:
    """SHA-384 (48 bytes, the size of SNP's ``measurement``) over every source file of the installed package."""
    root = Path(sealroom.__file__).parent
    digest = hashlib.sha384(b"sealroom-simulated-launch-v1\x00")
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix().encode()
        digest.update(len(name).to_bytes(4, "big") + name + hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()
