"""What an operator may choose about llama.cpp, and its bounds. What becomes of it: `llama_cpp_parameters`."""

from dataclasses import dataclass
from pathlib import Path

from sealroom.engines.sandbox.layers import DEFAULT_REQUIRED, Layer
from sealroom.errors import MisuseError

__all__ = ["LlamaCppSettings"]

_MOST_SLOTS = 64
_MOST_CONTEXT = 1 << 20
_HIGHEST_USER = (1 << 32) - 2  # the next one is -1 to the kernel: no change


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCppSettings:
    """What an operator may choose. Everything but the paths and times is part of the attested configuration."""

    model_name: str
    slots: int = 4
    """Requests that run at once; each has ``context_tokens`` of its own."""
    context_tokens: int = 4096
    threads: int | None = None
    """Of computation; None = one less than the process may use, at least one: they stall where they must share."""
    embeddings: bool = False
    """Serve /v1/embeddings (mean pooling) from a second process over the same weights, started when first asked."""
    user: int | None = None
    """uid and gid of the child when we are root; None = one that nobody has. Without root it stays our own."""
    required_layers: frozenset[Layer] = DEFAULT_REQUIRED
    insecure_allow_missing_layers: bool = False
    """For development on machines that lack a layer. Shows in the digest and among the layers."""
    start_timeout: float = 120.0
    """Seconds."""
    silence_timeout: float = 300.0
    """Seconds without a byte after which a running answer counts as hung."""
    socket_root: Path | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.slots <= _MOST_SLOTS:
            raise MisuseError("engine.slots", "impossible number of slots", got=self.slots, expected="1 to 64")
        if not 256 <= self.context_tokens <= _MOST_CONTEXT:
            raise MisuseError("engine.context", "impossible context length", where="context_tokens",
                              got=self.context_tokens, expected=f"256 to {_MOST_CONTEXT}")  # fmt: skip
        if self.user is not None and not 1 <= self.user <= _HIGHEST_USER:
            raise MisuseError("engine.user", "the engine can not run as this user", where="user", got=self.user,
                              expected=f"1 to {_HIGHEST_USER}")  # fmt: skip

    @property
    def enforced_layers(self) -> frozenset[Layer]:
        """What must be in force for the engine to be let run."""
        return frozenset() if self.insecure_allow_missing_layers else self.required_layers
