"""What the supervisor tells its child, and what the child answers.

supervisor → child   one message each over a Unix socket: the plan, with the model's descriptor as its passenger
                     (SCM_RIGHTS), then ``go``; end of file = end yourself
child → supervisor   one JSON object a line over a pipe: ``{"event": "contained", "layers": […], "escaped": […]}``,
                     then ``{"event": "ready"}``, or ``{"event": "failed", "reason": …}`` at any point
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

__all__ = ["GO", "LONGEST_PLAN", "NOT_LOADABLE", "PLAN_WITHIN", "ChildPlan", "ParameterValue"]

GO = b"go"
NOT_LOADABLE = "engine.not-loadable"
"""How a child says that a library of the machine is missing."""
"""The supervisor's consent to open the model, given after it has looked at the child from outside."""
LONGEST_PLAN = 1 << 16
"""Bytes."""
PLAN_WITHIN = 300.0
"""Seconds that a child waits for its plan before it ends. One that is needed later is started anew."""

ParameterValue = bool | int | float | str | list[str] | list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """Everything that the child needs to know; it has no environment and no arguments."""

    supervisor: int
    """Process id, to notice its end and to aim the probes at."""
    model_size: int
    """Bytes of the sealed memfd whose descriptor travels with the plan."""
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
        """JSON."""
        return json.dumps({**asdict(self), "parameters": dict(self.parameters)}).encode()

    @classmethod
    def decode(cls, message: bytes) -> "ChildPlan":
        """Read what `encode` wrote."""
        return cls(**json.loads(message))
