"""A launched guest kept in a directory: what ``sealroom serve --insecure-simulated DIR`` runs on.

The directory holds the platform (`snp_store`) and, in a second file, what the host decided at launch. On silicon
that decision is made by whoever starts the machine, and measured by the firmware; here it is made by whoever writes
this file, which is one of the reasons why simulated hardware protects nothing.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sealroom.errors import MalformedError, UnavailableError
from sealroom.testing.snp import DEFAULT_POLICY, SimulatedSnp, SnpPlatform
from sealroom.testing.snp_store import load_platform, save_platform

__all__ = ["Launch", "load_guest", "save_guest"]

_FILE = "guest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What the host decides when it starts a guest."""

    measurement: bytes
    """48 bytes."""
    host_data: bytes = field(default=bytes(32))
    """32 bytes: SHA-256 of the init-data document."""
    policy: int = DEFAULT_POLICY
    vmpl: int = 0


def save_guest(directory: Path, platform: SnpPlatform, launch: Launch) -> None:
    """Launch a guest on ``platform``: keep both in ``directory``, in place of a guest that was there.

    Raises:
        UnavailableError: ``simulated.store``.
    """
    save_platform(platform, directory)
    values = {name: value.hex() if isinstance(value, bytes) else value for name, value in asdict(launch).items()}
    try:
        part = directory / f"{_FILE}.{os.getpid()}"
        part.write_text(json.dumps(values, indent=1))
        part.replace(directory / _FILE)
    except OSError as reason:
        raise UnavailableError("simulated.store", f"the simulated guest can not be kept: {reason.strerror}",
                               where=str(directory)) from None  # fmt: skip


def load_guest(directory: Path) -> SimulatedSnp:
    """The guest kept in ``directory``, as the attester that it is to its own software.

    Raises:
        UnavailableError: ``simulated.store``: there is none.
        MalformedError: ``simulated.store``: the file is damaged.
    """
    platform, path = load_platform(directory), directory / _FILE
    try:
        values = json.loads(path.read_bytes())
        return SimulatedSnp(
            platform=platform,
            measurement=bytes.fromhex(values["measurement"]),
            host_data=bytes.fromhex(values["host_data"]),
            policy=int(values["policy"]),
            vmpl=int(values["vmpl"]),
        )
    except OSError as reason:
        raise UnavailableError("simulated.store", f"there is no simulated guest: {reason.strerror}", where=str(path),
                               hint="`sealroom up` launches one in its state folder") from None  # fmt: skip
    except (ValueError, KeyError, TypeError) as reason:
        raise MalformedError("simulated.store", f"the simulated guest is damaged ({type(reason).__name__})",
                             where=str(path)) from None  # fmt: skip
