"""``[[reference_files]]`` of a policy (``spec/reference-values.md`` section 4)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sealroom.errors import MalformedError
from sealroom.policy.document import Table
from sealroom.policy.references.keys import REFERENCE_KEYS
from sealroom.policy.references.model import ReferenceRules

__all__ = ["REFERENCE", "reference_rules", "supplied_by"]

REFERENCE = ("name", "for", "keys", "signers", "threshold", "minimum_serial")
MOST_SERIAL = 2**53 - 1


def reference_rules(top: Table) -> tuple[ReferenceRules, ...]:
    """Read whose files count, and for what.

    Raises:
        MalformedError: ``policy.*``.
    """
    tables = top.tables("reference_files", REFERENCE)
    rules = tuple(_rule(table) for table in tables)
    names = [rule.name for rule in rules]
    for table, name in zip(tables, names, strict=True):
        if names.count(name) > 1:
            raise table.bad_value("name", name, "each file once")
    for table, rule in zip(tables, rules, strict=True):
        if rule.table not in top:
            raise table.bad_value("for", rule.table, f"a table that the policy has; it has no [{rule.table}]")
    return rules


def supplied_by(rules: Sequence[ReferenceRules]) -> Mapping[str, frozenset[str]]:
    """By table, the keys that files may fill in."""
    found: dict[str, frozenset[str]] = {}
    for rule in rules:
        found[rule.table] = found.get(rule.table, frozenset()) | set(rule.keys)
    return MappingProxyType(found)


def _rule(table: Table) -> ReferenceRules:
    table.must_have("name", "for", "keys", "signers")
    subject = table.text("for")
    if subject not in REFERENCE_KEYS:
        raise table.bad_value("for", subject, "one of " + ", ".join(REFERENCE_KEYS))
    signers = table.digests("signers")
    threshold = table.integer("threshold", low=1, high=64, default=len(signers))
    if threshold > len(signers):
        raise MalformedError("policy.bad-value", "more signatures are asked for than there are signers",
                             where=table.where("threshold"), got=threshold,
                             expected=f"at most {len(signers)}")  # fmt: skip
    return ReferenceRules(
        name=table.text("name"),
        table=subject,
        keys=table.choices("keys", tuple(REFERENCE_KEYS[subject])),
        signers=signers,
        threshold=threshold,
        minimum_serial=table.integer("minimum_serial", low=0, high=MOST_SERIAL, default=0),
    )
