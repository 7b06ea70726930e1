"""A policy from wherever a user keeps it."""

from pathlib import Path

from sealroom.errors import MisuseError
from sealroom.policy import Policy, load_policy

__all__ = ["read_policy"]


def read_policy(policy: Policy | Path | str) -> Policy:
    """``policy`` itself, or what the file at that path says.

    Raises:
        MisuseError: the file can not be read.
        MalformedError, MisuseError: it is no policy (see `load_policy`).
    """
    if isinstance(policy, Policy):
        return policy
    path = Path(policy)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MisuseError(
            "client.no-policy", "the policy can not be read", where=str(path), got=type(error).__name__,
            hint="a policy says what a room must prove; without one nothing is acceptable",
        ) from error  # fmt: skip
    return load_policy(text, source=str(path))
