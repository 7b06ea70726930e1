"""Classic BPF for seccomp: a policy as data, assembled to the kernel's instructions.

A policy says which calls pass, and for some of them which arguments. Everything else gets one answer. There is one
kind of argument test, ``argument & mask`` in a set of values: it covers flags that must be set, flags that must be
clear, and enumerations.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from sealroom.engines.sandbox.syscalls import Architecture
from sealroom.errors import MisuseError

__all__ = ["ALLOW", "KILL_PROCESS", "ArgumentTest", "Rule", "assemble", "errno_action"]

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_LONGEST_JUMP = 255
_LONGEST_PROGRAM = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentTest:
    """``argument & mask`` must be one of ``values``. Only the low 32 bits: the kernel takes these as int."""

    argument: int
    mask: int = 0xFFFFFFFF
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A call that passes if every test holds, and gets ``otherwise`` if one does not."""

    call: str
    tests: tuple[ArgumentTest, ...]
    otherwise: int


def errno_action(errno: int) -> int:
    """The action that makes a call fail with ``errno``."""
    return 0x00050000 | errno


def assemble(architecture: Architecture, *, allowed: Sequence[str], rules: Sequence[Rule], otherwise: int) -> bytes:
    """Return the program (8 bytes an instruction). Names that the architecture lacks are left out.

    A foreign architecture, and x32 calls on x86-64, kill the process: their numbers mean other calls.
    """
    program = [
        _instruction(_LOAD, _ARCHITECTURE_AT),
        _instruction(_JUMP_EQUAL, architecture.audit, if_true=1),
        _instruction(_RETURN, KILL_PROCESS),
        _instruction(_LOAD, _NUMBER_AT),
    ]
    if architecture.foreign_from is not None:
        program += [
            _instruction(_JUMP_AT_LEAST, architecture.foreign_from, if_false=1),
            _instruction(_RETURN, KILL_PROCESS),
        ]
    for name in allowed:
        if (number := architecture.numbers.get(name)) is not None:
            program += _block(number, [_instruction(_RETURN, ALLOW)])
    for rule in rules:
        if (number := architecture.numbers.get(rule.call)) is not None:
            program += _block(number, _tests(rule))
    program.append(_instruction(_RETURN, otherwise))
    if len(program) > _LONGEST_PROGRAM:
        raise MisuseError("sandbox.filter-too-long", "the seccomp filter is too long", got=len(program))
    return b"".join(program)


def _instruction(code: int, value: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _block(number: int, body: list[bytes]) -> list[bytes]:
    """``body`` for one call, jumped over for every other. A body ends in a return, so the number stays loaded."""
    if len(body) > _LONGEST_JUMP:
        raise MisuseError("sandbox.rule-too-long", "a seccomp rule is too long", got=len(body))
    return [_instruction(_JUMP_EQUAL, number, if_false=len(body)), *body]


def _tests(rule: Rule) -> list[bytes]:
    body: list[bytes] = []
    for test in rule.tests:
        body.append(_instruction(_LOAD, _ARGUMENTS_AT + 8 * test.argument))
        body.append(_instruction(_AND, test.mask))
        remaining = len(test.values)
        for value in test.values:
            body.append(_instruction(_JUMP_EQUAL, value, if_true=remaining))
            remaining -= 1
        body.append(_instruction(_RETURN, rule.otherwise))
    return [*body, _instruction(_RETURN, ALLOW)]
