"""What the relying party of a vector asks of a Confidential Space token, beyond its being authentic."""

from collections.abc import Iterator, Mapping
from typing import Any

from sealroom.errors import UnverifiedError
from sealroom.evidence import Claims
from sealroom.testing.outcome import UnsupportedCaseError

__all__ = ["require_as_asked", "submods_of"]

_ALLOWS = {"allow_debug": "debug", "allow_overrides": "env_or_args_set", "allow_env_override": "env_or_args_set"}
"""What a policy may let pass, by the flag of the claims that says it."""


def require_as_asked(asked: object, said: Mapping[str, Any], claims: Claims) -> None:
    """Raise unless the token says everything that is asked for.

    Debug is refused unless ``allow_debug`` says otherwise; other weaknesses where the policy speaks of them. Whatever
    else stands there is a claim by its name.

    Raises:
        UnverifiedError: ``gcp.NAME``.
        UnsupportedCaseError: it asks for something that no claim here is called.
    """
    if not isinstance(asked, Mapping):
        raise UnsupportedCaseError("a relying party that asks for something that is not known here")
    for name, flag in _ALLOWS.items():
        if flag in claims.flags and not asked.get(name, name != "allow_debug"):
            raise UnverifiedError(f"gcp.{flag}", "the token says what the relying party forbids", got=flag)
    for name, wanted in asked.items():
        if name in _ALLOWS:
            continue
        got = _claim(said, name)
        if not _agrees(wanted, got, each=name == "eat_nonce"):
            raise UnverifiedError(f"gcp.{name}", f"{name} is not what was asked for", got=ascii(got)[:80],
                                  expected=ascii(wanted)[:80])  # fmt: skip


def submods_of(said: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What the token says of parts: ``container``, ``confidential_space``, ``gce`` …"""
    found = said.get("submods")
    for name, members in found.items() if isinstance(found, Mapping) else ():
        if isinstance(members, Mapping):
            yield name, members


def _claim(said: Mapping[str, Any], name: str) -> Any:
    places = [said, *(members for _, members in submods_of(said))]
    if name not in _KNOWN and not any(name in place for place in places):
        raise UnsupportedCaseError(f"a relying party that asks for {name}, which is not known here")
    return next((place[name] for place in places if name in place), None)


_KNOWN = frozenset({"iss", "aud", "eat_nonce", "hwmodel", "swname", "dbgstat", "secboot", "image_digest",
                    "image_reference", "support_attributes", "project_id", "zone", "instance_id"})  # fmt: skip
"""Claims that every token should have: one that lacks what is asked for says something else."""


def _agrees(wanted: Any, got: Any, *, each: bool) -> bool:
    """Equal, to the type. Of a list that is said, one; of a list that is asked for, one, or each of it.

    Each of it where a list is said too, since what is asked for is a part of it.
    """
    if isinstance(wanted, list):
        every = all if each or isinstance(got, list) else any
        return every(_agrees(one, got, each=each) for one in wanted)
    if isinstance(got, list):
        return any(_agrees(wanted, one, each=each) for one in got)
    return type(wanted) is type(got) and bool(wanted == got)
