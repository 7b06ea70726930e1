"""A policy from wherever a user keeps it, and the reference files beside it.

The files of ``caller.toml`` lie in the folder ``caller.references``: a publisher's new one is put there, and from the
next start on what it names is accepted.
"""

from pathlib import Path

from sealroom.errors import MisuseError
from sealroom.policy import Policy, load_policy, with_references
from sealroom.policy.references.read import MAX_FILE

__all__ = ["read_policy", "reference_files_of"]


def read_policy(policy: Policy | Path | str) -> Policy:
    """``policy`` itself, or what the file at that path says.

    Raises:
        MisuseError: the file can not be read.
        MalformedError, MisuseError: it is no policy (see `load_policy`), or a file beside it is no reference file
            that it asks for (see `with_references`).
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
    return with_references(load_policy(text, source=str(path)), reference_files_of(path))


def reference_files_of(policy: Path) -> tuple[bytes, ...]:
    """Every ``*.json`` in the folder of reference files beside ``policy``, in the order of their names.

    Raises:
        MisuseError: ``client.no-reference-file``: one can not be read.
    """
    found = []
    for path in sorted(policy.with_suffix(".references").glob("*.json")):
        try:
            with path.open("rb") as file:
                found.append(file.read(MAX_FILE + 1))
        except OSError as error:
            raise MisuseError("client.no-reference-file", "a reference file can not be read", where=str(path),
                              got=type(error).__name__) from error  # fmt: skip
    return tuple(found)
