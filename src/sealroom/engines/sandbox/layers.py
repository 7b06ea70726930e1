"""The names of what holds an engine in. They stand in configuration, in the room statement and in policies."""

from enum import StrEnum

__all__ = ["DEFAULT_REQUIRED", "Layer"]


class Layer(StrEnum):
    """One fact about a running engine; ``docs/reference/sandbox.md`` says what each one stops."""

    OWN_USER = "own-user"
    OWN_NETWORK = "own-network"
    NO_CAPABILITIES = "no-capabilities"
    NO_NEW_PRIVILEGES = "no-new-privileges"
    NOT_DUMPABLE = "not-dumpable"
    CLOSED_DESCRIPTORS = "closed-descriptors"
    LANDLOCK_FILES = "landlock-files"
    LANDLOCK_TCP = "landlock-tcp"
    LANDLOCK_SCOPES = "landlock-scopes"
    SECCOMP = "seccomp"
    PROBES_REFUSED = "probes-refused"
    WEIGHTS_LOCKED = "weights-locked"
    WEIGHTS_NOT_LOCKED = "weights-not-locked"
    INSECURE_MISSING_LAYERS_ALLOWED = "insecure-missing-layers-allowed"


DEFAULT_REQUIRED = frozenset(
    {
        Layer.NO_CAPABILITIES,
        Layer.NO_NEW_PRIVILEGES,
        Layer.NOT_DUMPABLE,
        Layer.CLOSED_DESCRIPTORS,
        Layer.LANDLOCK_FILES,
        Layer.SECCOMP,
        Layer.PROBES_REFUSED,
    }
)
"""What an engine may not be without. None of these needs a privilege; Landlock needs Linux 5.13."""
