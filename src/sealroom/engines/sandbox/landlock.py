"""Landlock: which files a process may still reach, decided by the process itself, without privilege.

Raw system calls on the kernel's own structures (``linux/landlock.h``). Every right that the running kernel can handle
is taken away; then single paths get single rights back. What an older kernel can not handle it can not refuse either,
so the result says which parts are in force, and the caller decides whether that is enough.
"""

import errno
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path

from sealroom.engines.sandbox.layers import Layer
from sealroom.engines.sandbox.syscalls import invoke
from sealroom.errors import RefusedError

__all__ = ["Access", "Grant", "abi", "layers_of", "restrict", "ruleset_attributes"]

_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1


class Access(IntFlag):
    """LANDLOCK_ACCESS_FS_*, in the order in which the kernel learned them."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


_OF_FILES = Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
"""Rights that make sense on a file; any other in a grant on a file is EINVAL."""
_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15}
_ALL_RIGHTS = 16
_TCP_BIND_AND_CONNECT = 3
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One path (a file, or a directory and everything under it) that keeps some rights."""

    path: str
    access: Access


def abi() -> int:
    """The version that this kernel speaks; 0 if Landlock is absent or switched off."""
    return max(0, invoke("landlock_create_ruleset", 0, 0, _CREATE_RULESET_VERSION))


def layers_of(version: int) -> tuple[Layer, ...]:
    """What a kernel of this ABI version can hold."""
    since = ((1, Layer.LANDLOCK_FILES), (4, Layer.LANDLOCK_TCP), (6, Layer.LANDLOCK_SCOPES))
    return tuple(layer for first, layer in since if version >= first)


def ruleset_attributes(version: int) -> bytes:
    """``struct landlock_ruleset_attr``: everything that the version handles, so that nothing is left allowed."""
    files = (1 << _RIGHTS_BY_ABI.get(version, _ALL_RIGHTS)) - 1
    whole = struct.pack("=QQQ", files, _TCP_BIND_AND_CONNECT, _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS)
    return whole[: 24 if version >= 6 else 16 if version >= 4 else 8]


def restrict(grants: Sequence[Grant]) -> tuple[Layer, ...]:
    """Take every right from this thread for good, and give back the grants. Needs no_new_privs.

    A granted path that does not exist is left out: there is nothing to reach.

    Returns:
        The layers now in force; none if the kernel has no Landlock.
    """
    version = abi()
    if version == 0:
        return ()
    attributes = ruleset_attributes(version)
    ruleset = _checked(invoke("landlock_create_ruleset", attributes, len(attributes), 0), "ruleset")
    try:
        for grant in grants:
            _add(ruleset, grant, handled=int.from_bytes(attributes[:8], "little"))
        _checked(invoke("landlock_restrict_self", ruleset, 0), "restrict")
    finally:
        os.close(ruleset)
    return layers_of(version)


def _add(ruleset: int, grant: Grant, *, handled: int) -> None:
    try:
        beneath = os.open(grant.path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        access = grant.access if Path(grant.path).is_dir() else grant.access & _OF_FILES
        rule = struct.pack("=Qi", access & handled, beneath)
        _checked(invoke("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, rule, 0), grant.path)
    finally:
        os.close(beneath)


def _checked(result: int, what: str) -> int:
    if result < 0:
        raise RefusedError("sandbox.landlock-failed", "the kernel refused a Landlock rule", where=what,
                           got=errno.errorcode.get(-result, result))  # fmt: skip
    return result
