"""A policy from wherever a user keeps it, and the reference files beside it.

The files of ``caller.toml`` lie in the folder ``caller.references``: a publisher's new one is put there, and from the
next start on what it names is accepted.
"""

from pathlib import Path

from sealroom.errors import MisuseError, SealroomError
from sealroom.policy import Policy, load_policy, with_references
from sealroom.policy.references.read import MAX_FILE

__all__ = ["read_policy", "with_files_beside"]


def read_policy(policy: Policy | Path | str) -> Policy:
    """``policy`` itself, or what the file at that path says.

    Raises:
        MisuseError: the file can not be read.
        MalformedError, MisuseError: it is no policy (see `load_policy`), or a file beside it is no reference file
            that it asks for (see `with_files_beside`).
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
    return with_files_beside(load_policy(text, source=str(path)), path)


def with_files_beside(policy: Policy, path: Path) -> Policy:
    """``policy`` together with every ``*.json`` in the folder of reference files beside ``path``.

    Raises:
        MisuseError: ``client.no-reference-file``: one can not be read; or as `with_references`, with the file's name.
        MalformedError: as `with_references`, with the file's name.
    """
    for file in sorted(path.with_suffix(".references").glob("*.json")):
        try:
            policy = with_references(policy, [_read(file)])
        except SealroomError as error:
            error.where = str(file)
            raise
    return policy


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as error:
        raise MisuseError("client.no-reference-file", "a reference file can not be read",
                          got=type(error).__name__) from error  # fmt: skip
