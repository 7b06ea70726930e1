"""Checks on Nitro claims (``spec/policy.md`` section 2.3.6)."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from sealroom.evidence import Check, Claims
from sealroom.policy.checks import accepted_word, asked, left_open
from sealroom.policy.flags import Flag, flag_checks
from sealroom.policy.intel import measurement_checks
from sealroom.policy.model import Policy
from sealroom.policy.model_others import NitroRules
from sealroom.policy.subject import CLOCK_SKEW

__all__ = ["FLAGS", "nitro_checks", "says_nothing"]

FLAGS = {"debug": Flag("debug", "start the enclave without --debug-mode: with it, the host reads its console and "
                       "its registers are zero")}  # fmt: skip
"""Every flag of Nitro claims."""
_IMAGE = {"enclave": "pcr0", "nitro-tpm": "nitrotpm_pcr4"}
_ZERO_IN_DEBUG = frozenset({"pcr0", "pcr1", "pcr2"})
_SAY_WHAT_RUNS = _ZERO_IN_DEBUG | {"pcr8", "nitrotpm_pcr4", "nitrotpm_pcr8", "nitrotpm_pcr9", "nitrotpm_pcr11"}


def nitro_checks(policy: Policy, claims: Claims, at: datetime) -> Iterator[Check]:
    """Every check on an enclave's or an instance's document; none under a policy without ``[nitro]``."""
    if (rules := policy.nitro) is None:
        return
    yield asked("nitro.document", str(claims.details.get("document")), rules.document,
                passed=claims.details.get("document") == rules.document, source=_source(rules, "document"),
                fix="a NitroTPM vouches for a whole instance and no enclave; name it in [nitro] document if that is "
                "what is meant")  # fmt: skip
    yield from flag_checks("nitro", FLAGS, rules.allow, claims)
    if policy.leaves_open("measurement"):
        image = claims.measurements.get(_IMAGE[rules.document])
        yield left_open(policy, "measurement", "nitro.measurement", "none" if image is None else image.hex())
    yield from measurement_checks("nitro", _naming_something(rules), claims)
    yield _age(policy, rules, claims, at)
    if rules.module_id:
        yield accepted_word("nitro.module-id", str(claims.details.get("module_id")), rules.module_id,
                            source="policy: [nitro] module_id", fix="use one of the named enclaves")  # fmt: skip


def says_nothing(name: str, value: bytes, *, debug: bool) -> bool:
    """Whether a register of zeros would be taken for software: any image that is not signed has them in PCR8, and any
    enclave in debug mode in the first three. Where that mode is allowed, those show at least that it is on."""
    return name in _SAY_WHAT_RUNS and not any(value) and not (debug and name in _ZERO_IN_DEBUG)


def _naming_something(rules: NitroRules) -> Mapping[str, tuple[bytes, ...]]:
    """The pins without such zeros, which a reference file could bring."""
    debug = "debug" in rules.allow
    return {
        name: tuple(value for value in accepted if not says_nothing(name, value, debug=debug))
        for name, accepted in rules.measurements.items()
    }


def _age(policy: Policy, rules: NitroRules, claims: Claims, at: datetime) -> Check:
    """A document's certificate lives three hours; how old one may be is asked all the same."""
    most = rules.maximum_age_seconds
    limit = policy.trust.max_age if most is None else timedelta(seconds=most)
    stamp = claims.details.get("timestamp_ms")
    made = _time(stamp) if isinstance(stamp, int) else None
    key = "[trust] max_age_seconds" if most is None else "[nitro] maximum_document_age_seconds"
    return Check(
        name="nitro.age",
        got="no time" if made is None else made.isoformat(),
        wanted=f"at most {int(limit.total_seconds())} seconds before {at.isoformat()}",
        passed=made is not None and made - CLOCK_SKEW <= at <= made + limit,
        source=f"policy: {key}",
        code="nitro.document-too-old" if made is None or at > made + limit else "nitro.document-from-the-future",
        fix="ask the enclave for a new document, or check the clocks",
    )


def _time(milliseconds: int) -> datetime | None:
    in_range = 0 <= milliseconds < 253_402_300_800_000  # the year 10000
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds) if in_range else None


def _source(rules: NitroRules, key: str) -> str:
    return f"policy: [nitro] {key}" if key in rules.named else "default"
