"""``[[require]]``: what a policy asks in CEL, the Common Expression Language (``spec/policy.md`` section 2.6).

The only file that knows the CEL package. An expression is compiled once, at load; whatever then is not exactly
``true``, an error included, is a failed check.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sealroom.errors import MalformedError

__all__ = ["VARIABLES", "Outcome", "Requirement", "compile_requirement"]

VARIABLES = ("claims", "devices", "statement", "init_data")

_MACRO = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
_FUNCTIONS = frozenset({
    "size", "contains", "startsWith", "endsWith", "matches", "string", "int", "uint", "double", "bytes", "bool",
    "type", "dyn", "min", "max", "duration", "timestamp", "getFullYear", "getMonth", "getDate", "getHours",
    "getMinutes", "getSeconds",
})  # fmt: skip
_OPERATOR = re.compile(r"[_@!?\-\[].*", re.DOTALL)
# What the package documents or was seen to raise while it evaluates; anything else is a bug and is not swallowed.
_EVALUATION_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an expression came to: passed, or in words what it was instead."""

    passed: bool
    got: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One ``[[require]]``, compiled."""

    number: int
    """Position in the document, from 1."""
    when: str
    because: str
    fix: str
    program: Any = field(repr=False, compare=False)

    def evaluate(self, variables: Mapping[str, Any]) -> Outcome:
        """Evaluate; only the value ``true`` passes."""
        try:
            value = self.program.execute(dict(variables))
        except _EVALUATION_ERRORS as error:
            return Outcome(False, f"no value: {type(error).__name__}: {error}".splitlines()[0][:200])
        if value is True:
            return Outcome(True, "true")
        return Outcome(False, "false" if value is False else f"not a truth value but {type(value).__name__}")


def compile_requirement(*, number: int, when: str, because: str, fix: str, where: str) -> Requirement:
    """Compile ``when``.

    Raises:
        MalformedError: ``policy.bad-expression`` for a syntax error, an unknown variable or an unknown function.
    """
    import cel  # noqa: PLC0415 - its package loads a whole command line: 170 ms that only such policies should pay

    try:
        program = cel.compile(when)
    except (ValueError, RuntimeError, TypeError) as error:
        raise _bad(where, when, f"it does not compile: {error}".splitlines()[0][:200]) from None
    bound = set(_MACRO.findall(when))
    if unknown := sorted(set(program.variables()) - bound - set(VARIABLES)):
        raise _bad(where, when, f"unknown variable {unknown[0]!r}; there are {', '.join(VARIABLES)}")
    functions = {name for name in program.functions() if not _OPERATOR.fullmatch(name)}
    if unknown := sorted(functions - _FUNCTIONS):
        raise _bad(where, when, f"unknown function {unknown[0]!r}")
    return Requirement(number=number, when=when, because=because, fix=fix, program=program)


def _bad(where: str, when: str, why: str) -> MalformedError:
    return MalformedError("policy.bad-expression", "an expression of the policy is not usable", where=where,
                          got=f"{when!r:.120}: {why}", expected="an expression in CEL",
                          hint="the members of each variable are in spec/policy.md section 2.6")  # fmt: skip
