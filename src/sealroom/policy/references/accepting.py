"""Whether a file counts at a time, and what a policy accepts with it (``spec/reference-values.md`` section 5).

A file widens and never narrows: its values stand beside those that the policy names itself. One that does not count
is a refusal, not a silence: whoever hands it over believes that it does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sealroom.errors import MalformedError, MisuseError, UnverifiedError
from sealroom.evidence import Check, Validity
from sealroom.jose import JoseAlg, require_times, verify_jwt
from sealroom.policy.model import Policy
from sealroom.policy.references.model import ReferenceFile, ReferenceRules, SignatureEntry
from sealroom.policy.references.read import read_reference_file

__all__ = ["Accepted", "attributed", "files_in_words", "judge_files", "signature_holds", "with_references", "written"]

_ALGORITHMS = (JoseAlg.ES256, JoseAlg.ES384, JoseAlg.PS256)
_AREA = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A file that counts now, for the keys that its rules name."""

    rules: ReferenceRules
    file: ReferenceFile
    validity: Validity
    signers: tuple[bytes, ...]
    """Those of the rules that signed."""

    @property
    def source(self) -> str:
        """In a check's words: who says so, until when, and why."""
        because = f": {self.file.reason}" if self.file.reason else ""
        return (f"reference file {self.rules.name}, serial {self.file.serial}, of {self.file.publisher}, signed by "
                f"{len(self.signers)} of {len(self.rules.signers)}, until {self.validity.not_after.isoformat()}"
                f"{because}")  # fmt: skip


def with_references(policy: Policy, files: Sequence[bytes]) -> Policy:
    """``policy`` together with reference files, each for the ``[[reference_files]]`` of its name.

    Raises:
        MalformedError: ``reference.*``: not a reference file.
        MisuseError: ``reference.not-asked-for``, ``reference.given-twice``.
    """
    found = dict(policy.references)
    names = [rule.name for rule in policy.reference_rules]
    for raw in files:
        file = read_reference_file(raw)
        if file.name not in names:
            raise MisuseError("reference.not-asked-for", "the policy asks for no reference file of this name",
                              got=file.name, expected=", ".join(names) or "none")  # fmt: skip
        if file.name in found:
            raise MisuseError("reference.given-twice", "two reference files have the same name", got=file.name,
                              hint="keep the newest alone: a file replaces the one before it")  # fmt: skip
        found[file.name] = file
    return replace(policy, references=MappingProxyType(found))


def judge_files(policy: Policy, at: datetime) -> tuple[Policy, tuple[Accepted, ...], tuple[Check, ...]]:
    """The policy with every value that counts at ``at``, the files that brought them, and a check for each file."""
    accepted, checks = [], []
    for rules in policy.reference_rules:
        outcome = _judge(rules, policy.references.get(rules.name), at)
        checks.append(_check(rules, outcome))
        if isinstance(outcome, Accepted):
            accepted.append(outcome)
            policy = _widened(policy, outcome)
    return policy, tuple(accepted), tuple(checks)


def attributed(check: Check, document: Policy, accepted: Sequence[Accepted]) -> Check:
    """``check`` as it is, or with the file as its source where only the file's value let it pass.

    Args:
        check: made under the widened policy.
        document: the policy before.
        accepted: the files that count.
    """
    for one in accepted if check.passed else ():
        table = one.rules.table
        for key, values in one.file.values.items():
            asked = key in one.rules.keys and check.source == f"policy: [{table}] {key}"
            if asked and check.got in map(written, values) and check.got not in _own(document, table, key):
                return replace(check, source=one.source)
    return check


def _judge(rules: ReferenceRules, file: ReferenceFile | None, at: datetime) -> Accepted | str:
    """The file, or in words why it does not count."""
    if file is None:
        return "none came"
    if file.table != rules.table:
        return f"it is for [{file.table}]"
    if file.serial < rules.minimum_serial:
        return f"serial {file.serial}, and the policy asks for {rules.minimum_serial} or later"
    signers = tuple(entry.key.spki_sha256 for entry in file.signatures
                    if entry.key.spki_sha256 in rules.signers and signature_holds(entry))  # fmt: skip
    if len(signers) < rules.threshold:
        return f"{len(signers)} of the signatures count, and {rules.threshold} are asked for"
    try:
        window = require_times(file.signatures[0].token.claims, at=at, area=_AREA)
    except (MalformedError, UnverifiedError) as error:
        return f"it counts {error.expected}, and it is {at.isoformat()}"
    return Accepted(rules=rules, file=file, validity=window, signers=signers)


def signature_holds(entry: SignatureEntry) -> bool:
    """Whether the key that ``entry`` brings made it. Whose key that is says a policy."""
    try:
        verify_jwt(
            replace(entry.token, kid=None), (replace(entry.key, kid=None),), algorithms=_ALGORITHMS, area=_AREA
        )
    except UnverifiedError:
        return False
    return True


def _check(rules: ReferenceRules, outcome: Accepted | str) -> Check:
    absent = outcome == "none came"
    return Check(
        name=f"references.{rules.name}",
        got=outcome if isinstance(outcome, str) else outcome.source,
        wanted=f"a file signed by {rules.threshold} of {len(rules.signers)}, from serial {rules.minimum_serial}, in "
        "its time" + ("; or none, and then its values are not accepted" if absent else ""),
        passed=absent or isinstance(outcome, Accepted),
        source="policy: [[reference_files]]",
        code="reference.does-not-count",
        fix=f"get the current file {rules.name} from its publisher",
    )


def _widened(policy: Policy, one: Accepted) -> Policy:
    values = {key: one.file.values[key] for key in one.rules.keys if key in one.file.values}
    field = one.rules.table.replace("-", "_")
    rules = getattr(policy, field)
    return replace(policy, **{field: _with_values(rules, values)}) if rules is not None else policy


def _with_values(rules: Any, values: Mapping[str, tuple[bytes | str, ...]]) -> Any:
    """Rules hold a key as a field of their own, among ``measurements``, among ``words``, or in ``pcrs``."""
    for key, new in values.items():
        if hasattr(rules, key):
            rules = replace(rules, **{key: _joined(getattr(rules, key), new)})
        elif hasattr(rules, "pcrs") and key.startswith("pcr"):
            rules = replace(rules, pcrs=_with_values(rules.pcrs, {key: new}))
        elif hasattr(rules, "measurements"):
            rules = replace(rules, measurements=_added(rules.measurements, key, new))
        else:
            rules = replace(rules, words=_added(rules.words, key, new))
    return rules


def _added(found: Mapping[str, tuple[Any, ...]], key: str, new: tuple[Any, ...]) -> Mapping[str, tuple[Any, ...]]:
    return MappingProxyType({**found, key: _joined(found.get(key, ()), new)})


def _joined(old: tuple[Any, ...], new: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys((*old, *new)))


def _own(policy: Policy, table: str, key: str) -> frozenset[str]:
    """What the policy's own document accepts for ``key``."""
    rules: Any = getattr(policy, table.replace("-", "_"))
    for place in (rules, getattr(rules, "pcrs", None)):
        for name in ("measurements", "words"):
            if key in getattr(place, name, {}):
                return frozenset(map(written, getattr(place, name)[key]))
    return frozenset(map(written, getattr(rules, key, ())))


def written(value: bytes | str) -> str:
    """A value as a policy and a file write it."""
    return value.hex() if isinstance(value, bytes) else value


def files_in_words(policy: Policy, at: datetime) -> Iterator[str]:
    """What each file accepts and why, for `sealroom policy explain`."""
    _, accepted, checks = judge_files(policy, at)
    for check, rules in zip(checks, policy.reference_rules, strict=True):
        yield f"  {rules.name}, for [{rules.table}] {', '.join(rules.keys)}: {check.got}"
        for one in accepted:
            if one.rules is rules:
                yield from (f"    accepts {key} {written(value)}" for key in rules.keys
                            for value in one.file.values.get(key, ()))  # fmt: skip
