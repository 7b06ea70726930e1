"""Key policies of AWS KMS, as much of their language as key release needs: who may do what, under which conditions.

What a policy says that is not known here is an error and not a guess, so that a policy which passes here was read
whole.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from sealroom.errors import MisuseError
from sealroom.tees.nitro.layout import NitroDocument

__all__ = ["allows", "facts_of"]

_OPERATORS: Mapping[str, tuple[Callable[[str], str], bool]] = {
    "StringEquals": (str, True),
    "StringEqualsIgnoreCase": (str.lower, True),
    "StringNotEquals": (str, False),
    "StringNotEqualsIgnoreCase": (str.lower, False),
}
_CONDITION = re.compile(r"kms:RecipientAttestation:(ImageSha384|(NitroTPM)?PCR[0-9]+)|kms:EncryptionContext:.+")
_PARTS = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}


def facts_of(document: NitroDocument | None, context: Mapping[str, str]) -> dict[str, str]:
    """The condition keys that a request has: of an enclave's document PCRs and image, of a NitroTPM's its PCRs."""
    facts = {f"kms:EncryptionContext:{name}": value for name, value in context.items()}
    if document is None:
        return facts
    word = "NitroTPMPCR" if document.is_nitro_tpm else "PCR"
    facts |= {f"kms:RecipientAttestation:{word}{index}": value.hex() for index, value in document.pcrs.items()}
    if not document.is_nitro_tpm and 0 in document.pcrs:
        facts["kms:RecipientAttestation:ImageSha384"] = document.pcrs[0].hex()
    return facts


def allows(policy: Mapping[str, Any], principal: str, action: str, facts: Mapping[str, str]) -> bool:
    """Whether a statement allows it, and none denies it."""
    effects = {
        statement["Effect"]
        for statement in policy["Statement"]
        if _is_about(statement, principal, action) and _holds(statement.get("Condition", {}), facts)
    }
    return effects == {"Allow"}


def _is_about(statement: Mapping[str, Any], principal: str, action: str) -> bool:
    if unknown := set(statement) - _PARTS:
        raise _unknown(f"a statement with {sorted(unknown)[0]}")
    if statement.get("Resource") != "*" or statement["Effect"] not in {"Allow", "Deny"}:
        raise _unknown("a statement about another resource, or of another effect")
    who = statement["Principal"]
    named = ["*"] if who == "*" else _list(who["AWS"])
    return bool({"*", principal, _account(principal)} & set(named)) and any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action) for pattern in _list(statement["Action"])
    )


def _holds(condition: Mapping[str, Mapping[str, Any]], facts: Mapping[str, str]) -> bool:
    """Every line holds; of several values, one equals, or none does. A key that is absent equals nothing."""
    for operator, lines in condition.items():
        if operator not in _OPERATORS:
            raise _unknown(f"the operator {operator}")
        fold, wanted = _OPERATORS[operator]
        for key, values in lines.items():
            if not _CONDITION.fullmatch(key):
                raise _unknown(f"the condition key {key}")
            equal = key in facts and fold(facts[key]) in [fold(value) for value in _list(values)]
            if equal is not wanted:
                return False
    return True


def _account(principal: str) -> str:
    """What ``root`` in a policy stands for: whoever the account's own rules let."""
    return f"arn:aws:iam::{principal.split(':')[4]}:root"


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _unknown(what: str) -> MisuseError:
    return MisuseError("simulated.kms-policy", "this key policy is not understood here", got=what)
