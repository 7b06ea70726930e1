"""How Sealroom says no.

    SealroomError
    ├── MalformedError     the bytes are not what their format says            exit 3
    ├── UnverifiedError    the bytes are well formed and not authentic         exit 4
    ├── RefusedError       authentic, and not acceptable to the policy         exit 1
    ├── UnavailableError   nothing is wrong with the question; ask again       exit 5
    └── MisuseError        our caller's mistake: a wrong argument or command   exit 2

A family is chosen by what its reader can do about it, so a new class needs a reader who would act differently.
Every error has a stable code (``snp.tcb-below-minimum``) that programs may match, and says what, where, got,
expected, and what to do next. None of these ever holds a key, a prompt, an answer or plaintext weights.
"""

from typing import ClassVar

__all__ = [
    "EXIT_BUG",
    "MalformedError",
    "MisuseError",
    "RefusedError",
    "SealroomError",
    "UnavailableError",
    "UnverifiedError",
]

EXIT_BUG = 70
"""Exit status for an exception that is none of ours (EX_SOFTWARE of sysexits.h)."""


class SealroomError(Exception):
    """The root of the family; never raised itself.

    Args:
        code: stable, lower-case, ``area.what-is-wrong``.
        message: one sentence without a full stop.
        where: field, file or address; a byte offset in hex where there is one.
        got: what was found, in hex or words; never secret.
        expected: what would have been right.
        hint: what the reader can do next.
    """

    family: ClassVar[str] = "error"
    exit_status: ClassVar[int] = EXIT_BUG

    def __init__(
        self,
        code: str,
        message: str,
        *,
        where: str | None = None,
        got: object = None,
        expected: object = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.where = where
        self.got = None if got is None else str(got)
        self.expected = None if expected is None else str(expected)
        self.hint = hint

    def __str__(self) -> str:
        facts = [
            f"{name} {value}"
            for name, value in (("at", self.where), ("got", self.got), ("expected", self.expected))
            if value is not None
        ]
        return f"{self.message} [{self.code}]" + (f": {', '.join(facts)}" if facts else "")

    def as_dict(self) -> dict[str, str]:
        """The error for a program: every fact that is known, under its name."""
        facts = {
            "family": self.family,
            "code": self.code,
            "message": self.message,
            "where": self.where,
            "got": self.got,
            "expected": self.expected,
            "hint": self.hint,
        }
        return {name: value for name, value in facts.items() if value is not None}

    def diagnostics(self) -> str:
        """The error for a person: several lines, the hint last."""
        lines = [f"error: {self.message} ({self.code})"]
        for name in ("where", "got", "expected"):
            if (value := getattr(self, name)) is not None:
                lines.append(f"  {name + ':':<10}{value}")
        if self.hint is not None:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class MalformedError(SealroomError):
    """The bytes break their own format: wrong length, reserved bits set, trailing bytes, unknown field."""

    family = "malformed"
    exit_status = 3


class UnverifiedError(SealroomError):
    """Authenticity is missing: a signature, chain, window, nonce or authentication tag does not hold."""

    family = "unverified"
    exit_status = 4


class RefusedError(SealroomError):
    """What was presented is authentic and the policy does not accept it."""

    family = "refused"
    exit_status = 1


class UnavailableError(SealroomError):
    """Something that we need does not answer now; the same call may succeed later."""

    family = "unavailable"
    exit_status = 5


class MisuseError(SealroomError):
    """Our caller asked for something that can not be: a bug or a usage mistake on their side."""

    family = "misuse"
    exit_status = 2
