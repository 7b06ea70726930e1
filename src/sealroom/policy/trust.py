"""Checks on whose evidence it is and what it is bound to; the same for every TEE."""

import hmac
from collections.abc import Iterator
from datetime import datetime

from sealroom.binding import INIT_DATA_FIELD
from sealroom.evidence import Check, Claims, Tee
from sealroom.policy.checks import hex_or_none, left_open
from sealroom.policy.model import Policy
from sealroom.policy.subject import Subject, SubjectKind

__all__ = ["binding_checks", "init_data_checks", "root_check", "trust_checks", "window_check"]


def trust_checks(policy: Policy, claims: Claims, subject: Subject, at: datetime) -> Iterator[Check]:
    """Kind of evidence, root, window.

    A device's report answers whoever asks it, so it vouches for no room and no guest, whatever the policy says.
    """
    accepted = [tee for tee in policy.trust.tees if tee is not Tee.NVIDIA or subject.kind is SubjectKind.EVIDENCE]
    yield Check(
        name="trust.tee",
        got=claims.tee.value,
        wanted=", ".join(accepted) or "evidence of a CPU",
        passed=claims.tee in accepted,
        source="policy: [trust] tees",
        code="trust.tee-not-accepted",
        fix=f"add {claims.tee.value} to [trust] tees together with its rules, if such machines are acceptable",
    )
    yield root_check(policy, claims)
    yield window_check(claims, at)


def window_check(claims: Claims, at: datetime) -> Check:
    """Whether everything that was verified holds at ``at``."""
    return Check(
        name="trust.window",
        got=at.isoformat(),
        wanted=f"{claims.validity.not_before.isoformat()} to {claims.validity.not_after.isoformat()}",
        passed=claims.validity.holds_at(at),
        source="default",
        code="trust.expired",
        fix="fetch fresh certificates and revocation lists, or check this machine's clock",
    )


def root_check(policy: Policy, claims: Claims) -> Check:
    """Whether a vendor's root stands above it, or one, or a key, that the policy names."""
    fingerprint = f"sha256:{claims.root.hex()}"
    if not claims.simulated:
        key = _named_key(policy, claims.root)
        return Check(name="trust.root", got=f"{'named here' if key else 'pinned in the code'}, {fingerprint}",
                     wanted="a vendor's root, or a key that the policy names", passed=True,
                     source=f"policy: [trust] {key}" if key else "default",
                     code="trust.root-not-accepted", fix="")  # fmt: skip
    named = claims.root in policy.trust.insecure_simulated
    return Check(
        name="trust.root",
        got=f"SIMULATED, {fingerprint}",
        wanted="a vendor's root, or one that the policy names as simulated",
        passed=named,
        source="policy: [trust] insecure_simulated" if named else "default",
        code="trust.root-not-accepted",
        fix=f'for a test without real hardware: [trust] insecure_simulated = ["{fingerprint}"]',
    )


def _named_key(policy: Policy, root: bytes) -> str | None:
    """Where the policy names the key that stands in a root's place, if it does."""
    if root in policy.trust.token_signers:
        return "token_signers"
    return "device_keys" if root in policy.trust.device_keys else None


def binding_checks(policy: Policy, claims: Claims, subject: Subject) -> Iterator[Check]:
    """What the evidence vouches for, and whether it is new."""
    expected = subject.expected_report_data
    if expected is None and "report_data" in policy.unchecked:
        yield left_open(policy, "report_data", "binding.report-data", claims.report_data.hex())
    else:
        yield Check(
            name="binding.report-data",
            got=claims.report_data.hex(),
            wanted=hex_or_none(expected),
            passed=expected is not None and hmac.compare_digest(claims.report_data, expected),
            source="the exchange" if expected is not None else "default",
            code="binding.report-data",
            fix="the evidence vouches for something else: ask the room for evidence of its own",
        )
    if not subject.nonce_answered and "freshness" in policy.unchecked:
        yield left_open(policy, "freshness", "freshness", "no nonce of ours")
    else:
        yield Check(
            name="freshness",
            got="our nonce" if subject.nonce_answered else "no nonce of ours",
            wanted="an answer to a nonce that this verifier drew",
            passed=subject.nonce_answered,
            source="default",
            code="freshness.no-nonce",
            fix="ask the room with a fresh nonce; for a recording, say why in [unchecked] freshness",
        )


def init_data_checks(policy: Policy, claims: Claims, subject: Subject) -> Iterator[Check]:
    """Whether a guest's init-data is bound and is what the policy wants."""
    if subject.kind is not SubjectKind.GUEST:
        return
    data = subject.init_data
    if "init_data" in policy.unchecked:
        yield left_open(policy, "init_data", "init-data", "none" if data is None else data.digest.hex())
        return
    bound = claims.measurements.get(INIT_DATA_FIELD.get(claims.tee, ""))
    yield Check(
        name="init-data",
        got="none" if data is None else data.digest.hex(),
        wanted=f"the init-data document that the evidence carries: {hex_or_none(bound)}",
        passed=bool(policy.init_data) and data is not None and data.bound_by(claims),
        source="policy: [init_data]",
        code="binding.init-data" if policy.init_data else "policy.no-init-data",
        fix="start the guest with the init-data that it sends"
        if policy.init_data
        else "name in [init_data] what a guest must say that it is, such as its model",
    )  # fmt: skip
    for key, wanted in policy.init_data.items():
        got = data.facts.get(key) if data is not None else None
        yield Check(
            name=f"init-data.{key}",
            got="none" if got is None else got,
            wanted=wanted,
            passed=got is not None and hmac.compare_digest(got.encode(), wanted.encode()),
            source=f"policy: [init_data] {key}",
            code="init-data.not-accepted",
            fix="ask for the key of the model for which this guest was started",
        )
