"""What the supervisor tells its child, and what the child answers: one JSON object a line, over pipes.

supervisor → child   the plan, then ``go``; end of file = end yourself
child → supervisor   ``{"event": "contained", "layers": […], "escaped": […]}``, then ``{"event": "ready"}``
                     or ``{"event": "failed", "reason": …}`` at any point
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

__all__ = ["GO", "ChildPlan", "ParameterValue"]

GO = b"go\n"
"""The supervisor's consent to open the model, given after it has looked at the child from outside."""

ParameterValue = bool | int | float | str | list[str] | list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """Everything that the child needs to know; it has no environment and no arguments."""

    supervisor: int
    """Process id, to notice its end and to aim the probes at."""
    model: int
    """Descriptor of the sealed memfd."""
    model_size: int
    directory: str
    """Where the socket goes; the only place where the child may make anything."""
    user: int | None
    parameters: Mapping[str, ParameterValue]
    """llama.cpp's settings by dotted name; a string for an enumeration is the name of its member."""

    @property
    def socket(self) -> str:
        """Path of the engine's socket."""
        return f"{self.directory}/engine.sock"

    def encode(self) -> bytes:
        """One line of JSON."""
        return json.dumps({**asdict(self), "parameters": dict(self.parameters)}).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "ChildPlan":
        """Read what `encode` wrote."""
        return cls(**json.loads(line))
