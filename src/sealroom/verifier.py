"""The join: bundle, policy, collateral and time become an attested key, or a refusal.

Nothing is decided here that a part could decide: bytes are read by `collateral.bundle` and `statement`, authenticity
is the matter of the TEE, acceptance that of the policy. What is left is to see that all speak of the same thing:

    bundle ─parse→ statement ─binding.report_data→ expected ─┐
           ├─────→ evidence ─parse, verify, claims→ Claims ──┴─same report data? same nonce?─appraise→ AttestedKey
           └─────→ each device ─the statement's own?─parse, verify, claims→ Claims, its nonce?───┘

``spec/evidence-bundle.md`` section 5. Never fetches, never reads a clock.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sealroom.binding import INIT_DATA_FIELD, Label, carried, report_data
from sealroom.collateral.bundle import EvidenceBundle, parse_bundle
from sealroom.collateral.devices import devices_of
from sealroom.device_statement import device_nonce
from sealroom.errors import MisuseError, UnverifiedError
from sealroom.evidence import (
    BOUND,
    Appraisal,
    AttestedKey,
    Claims,
    Collateral,
    CollectedEvidence,
    KeyPurpose,
    Tee,
    Validity,
)
from sealroom.policy import InitData, Policy, Subject, appraise
from sealroom.policy.subject import CLOCK_SKEW, statement_window
from sealroom.statement import NONCE_SIZE, RoomStatement, parse_statement
from sealroom.tees.registry import for_tee

__all__ = ["AttestedRoom", "GuestDevices", "appraise_evidence", "appraise_room", "attest_guest", "attest_room"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedRoom:
    """A room that a policy accepts: the key to seal to, and what was said and checked."""

    key: AttestedKey
    statement: RoomStatement
    appraisal: Appraisal


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestDevices:
    """Evidence of a guest's devices; untrusted."""

    collected: Sequence[CollectedEvidence]
    nonce: bytes
    """What each of them has to answer."""


def attest_room(bundle: bytes, policy: Policy, *, nonce: bytes, at: datetime) -> AttestedRoom:
    """Verify a room for a caller who will talk to it.

    Args:
        bundle: what the room sent; untrusted.
        policy: what the caller accepts.
        nonce: 32 bytes that the caller drew for this bundle alone.
        at: the time to judge at, timezone-aware.

    Raises:
        MalformedError: bundle, statement, evidence or collateral break their format.
        UnverifiedError: the evidence is not authentic, or is bound to something else (``binding.report-data``), or
            answers another nonce (``binding.nonce``).
        PolicyRefusedError: the policy refuses; its appraisal has every reason.
        MisuseError: the policy is for evidence alone, or the nonce is not of 32 bytes.
    """
    _require_for_keys(policy)
    statement, appraisal = _judge_room(bundle, policy, nonce=nonce, at=at)
    appraisal.require_accepted()
    key = AttestedKey(
        purpose=KeyPurpose.CHANNEL,
        key=statement.key_configs,
        appraisal=appraisal,
        validity=appraisal.validity.meet(statement_window(statement, policy.trust.max_age)),
        warrant=BOUND,
    )
    return AttestedRoom(key=key, statement=statement, appraisal=appraisal)


def appraise_room(bundle: bytes, policy: Policy, *, nonce: bytes | None, at: datetime) -> Appraisal:
    """Judge a room's bundle without making its key usable, for somebody who looks at a recording.

    Without ``nonce`` the check ``freshness`` fails, unless the policy leaves it open by hand. Raises as
    `attest_room`, except that a refusal is returned.
    """
    return _judge_room(bundle, policy, nonce=nonce, at=at)[1]


def attest_guest(
    cpu: CollectedEvidence,
    *,
    expected_report_data: bytes,
    tee_pubkey_jwk: bytes,
    init_data: InitData | None,
    policy: Policy,
    at: datetime,
    devices: GuestDevices | None = None,
) -> AttestedKey:
    """Verify a guest that asks a broker for a key; the result serves `KeyPurpose.KEY_RELEASE` alone.

    Args:
        cpu: the evidence, and what came with it; untrusted.
        expected_report_data: what the broker computed over its own nonce and ``tee_pubkey_jwk``, exactly as this
            kind of evidence carries it.
        tee_pubkey_jwk: the guest's public key, RFC 8785 form, as it went into ``expected_report_data``.
        init_data: the guest's init-data, or None; bound by the evidence, or refused (``binding.init-data``).
        policy: what the owner of the wanted key accepts.
        at: the time to judge at, timezone-aware.
        devices: what came of its devices, as ``expected_report_data`` covers it.

    Raises:
        As `attest_room`.
    """
    _require_for_keys(policy)
    claims = _verified_claims(cpu.tee, cpu.raw, cpu.collateral, policy, at)
    _require_report_data(claims, expected_report_data)
    found = () if devices is None else tuple(
        _answering(device, devices.nonce, f"device {index}", policy, at)
        for index, device in enumerate(devices.collected)
    )  # fmt: skip
    if init_data is not None:
        _require_init_data(claims, init_data)
    subject = Subject.guest(expected_report_data=expected_report_data, init_data=init_data)
    appraisal = appraise(policy, claims, subject=subject, at=at, devices=found)
    appraisal.require_accepted()
    window = Validity(not_before=at - CLOCK_SKEW, not_after=at + policy.trust.max_age)
    return AttestedKey(purpose=KeyPurpose.KEY_RELEASE, key=tee_pubkey_jwk, appraisal=appraisal,
                       validity=appraisal.validity.meet(window), warrant=BOUND)  # fmt: skip


def appraise_evidence(
    *,
    tee: Tee,
    raw: bytes,
    collateral: Collateral,
    policy: Policy,
    at: datetime,
    expected_report_data: bytes | None = None,
) -> Appraisal:
    """Judge evidence that stands alone, such as a report in a file. Makes no key usable.

    Raises as `attest_room`, except that a refusal is returned.
    """
    claims = _verified_claims(tee, raw, collateral, policy, at)
    if expected_report_data is not None:
        _require_report_data(claims, expected_report_data)
    subject = Subject.evidence_alone(expected_report_data=expected_report_data)
    return appraise(policy, claims, subject=subject, at=at)


def _judge_room(raw: bytes, policy: Policy, *, nonce: bytes | None, at: datetime) -> tuple[RoomStatement, Appraisal]:
    # 1. Read.
    bundle = parse_bundle(raw)
    statement = parse_statement(bundle.statement)
    # 2. Authentic?
    claims = _verified_claims(bundle.cpu.tee, bundle.cpu.raw, bundle.cpu.collateral, policy, at)
    # 3. Bound to this statement?
    expected = carried(claims.tee, report_data(Label.ROOM_STATEMENT, bundle.statement))
    _require_report_data(claims, expected)
    # 4. The statement's devices, and no other?
    devices = _device_claims(bundle, statement, policy, at)
    # 5. An answer to this caller?
    if nonce is not None:
        _require_nonce(statement, nonce)
    # 6. Acceptable?
    subject = Subject.room(statement, expected_report_data=expected, nonce_answered=nonce is not None)
    return statement, appraise(policy, claims, subject=subject, at=at, devices=devices)


def _device_claims(
    bundle: EvidenceBundle, statement: RoomStatement, policy: Policy, at: datetime
) -> tuple[Claims, ...]:
    """The claims of every device, once each is the one that the statement names and answers the statement's nonce."""
    collected = devices_of(bundle, statement)
    if not collected:
        return ()
    plain = statement.without_devices()
    nonces = {tee: device_nonce(plain, tee) for tee in {device.tee for device in collected.values()}}
    return tuple(_answering(device, nonces[device.tee], name, policy, at) for name, device in collected.items())


def _answering(device: CollectedEvidence, nonce: bytes, name: str, policy: Policy, at: datetime) -> Claims:
    """The claims of a device, if its evidence answers ``nonce``."""
    claims = _verified_claims(device.tee, device.raw, device.collateral, policy, at)
    if not hmac.compare_digest(claims.report_data, nonce):
        raise UnverifiedError("binding.device-nonce", "a device's evidence answers another nonce", where=name,
                              got=claims.report_data.hex(), expected=nonce.hex(),
                              hint="it was made for another room or guest, or at another time: do not go on",
                              )  # fmt: skip
    return claims


def _verified_claims(tee: Tee, raw: bytes, collateral: Collateral, policy: Policy, at: datetime) -> Claims:
    verifier = for_tee(tee)
    verified = verifier.verify(verifier.parse(raw), roots=policy.trust_roots, collateral=collateral, at=at)
    return verifier.claims(verified)


def _require_report_data(claims: Claims, expected: bytes) -> None:
    if not expected:
        raise MisuseError("binding.report-data-size", "expected report data of no length")
    if not hmac.compare_digest(claims.report_data, expected):
        raise UnverifiedError("binding.report-data", "the evidence is authentic and vouches for something else",
                              where="report data", got=claims.report_data.hex(), expected=expected.hex(),
                              hint="somebody may have put another machine's evidence here: do not go on")  # fmt: skip


def _require_nonce(statement: RoomStatement, nonce: bytes) -> None:
    if len(nonce) != NONCE_SIZE:
        raise MisuseError("binding.nonce-size", "a nonce of another length", got=f"{len(nonce)} bytes",
                          expected=f"{NONCE_SIZE} bytes")  # fmt: skip
    if not hmac.compare_digest(statement.nonce, nonce):
        raise UnverifiedError("binding.nonce", "the evidence answers another nonce: it is a replay",
                              where="statement, nonce", got=statement.nonce.hex(), expected=nonce.hex(),
                              hint="ask the room anew; if it stays so, something in between plays back old evidence",
                              )  # fmt: skip


def _require_init_data(claims: Claims, init_data: InitData) -> None:
    if not init_data.bound_by(claims):
        field = INIT_DATA_FIELD.get(claims.tee, "")
        raise UnverifiedError("binding.init-data", "the evidence does not vouch for the init-data that came with it",
                              where=field or None, got=claims.measurements.get(field, b"").hex(),
                              expected=init_data.digest.hex(),
                              hint="start the guest with the init-data that it sends")  # fmt: skip


def _require_for_keys(policy: Policy) -> None:
    if "report_data" in policy.unchecked:
        raise MisuseError("policy.evidence-alone", "no key can be attested under a policy for evidence alone",
                          where=policy.source, got="[unchecked] report_data",
                          hint="write a policy that says what to expect; spec/policy.md section 2")  # fmt: skip
