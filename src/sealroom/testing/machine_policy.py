"""The part of a policy that accepts one simulated machine and no weaker one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Machine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What policies pin about a confidential machine."""

    tees: tuple[str, ...]
    """Names of the CPU's evidence, as a policy's ``[trust] tees`` has them."""
    roots: tuple[bytes, ...]
    """SHA-256 of the simulated roots and keys under the CPU's evidence."""
    tables: str
    """TOML: what the CPU's evidence must say."""
    device_roots: tuple[bytes, ...] = ()
    device_tables: str = ""
    """The same of GPUs and switches; empty where there are none."""
    device_keys: tuple[bytes, ...] = ()
    """SHA-256 of attestation keys without a certificate, which a policy has to name."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """For programs: what `tables` say, as JSON values."""

    def sections(self) -> str:
        """``[trust]`` and a table for each TEE."""
        roots = (*self.roots, *self.device_roots)
        keys = f"device_keys = {_digests(self.device_keys)}\n" if self.device_keys else ""
        return f"""\
[trust]
tees = [{", ".join(f'"{tee}"' for tee in self.tees)}]
# These roots are no vendor's: they were made on this machine. Every verdict that rests on them says SIMULATED.
insecure_simulated = {_digests(roots)}
{keys}
{self.tables}{self.device_tables}"""


def _digests(values: Iterable[bytes]) -> str:
    listed = [f'"sha256:{value.hex()}"' for value in sorted(set(values))]
    return "[" + ", ".join(listed) + "]"
