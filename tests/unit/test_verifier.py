"""A key is attested only if evidence, statement, nonce and policy all speak of the same room at the same time."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sealroom.binding import Label, report_data
from sealroom.collateral import EvidenceBundle
from sealroom.errors import MalformedError, MisuseError, SealroomError, UnverifiedError
from sealroom.evidence import (
    AttestedKey,
    Collateral,
    CollectedEvidence,
    Evidence,
    KeyPurpose,
    PolicyRefusedError,
    Tee,
    TrustRoots,
)
from sealroom.policy import InitData, Policy, default_policy, load_policy
from sealroom.statement import RoomStatement
from sealroom.tees.registry import for_tee, known_tees
from sealroom.testing.snp import DEFAULT_POLICY, POLICY_DEBUG, SimulatedSnp, SnpPlatform, SnpVendor, flip_bit
from sealroom.verifier import appraise_evidence, appraise_room, attest_guest, attest_room

_AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
_NONCE = b"\x0a" * 32
_MEASUREMENT = b"\x4d" * 48
_INIT_DATA = InitData(facts={"sealroom.model": "smollm2"}, digest=b"\x1d" * 32)
_STATEMENT = RoomStatement(
    nonce=_NONCE,
    key_configs=b"the room's keys",
    model_name="SmolLM2",
    model_version=3,
    model_digest=b"\x11" * 32,
    package_digest=b"\x22" * 32,
    engine_name="llama.cpp",
    engine_version="1",
    engine_config_digest=b"\x33" * 32,
    sandbox_layers=("landlock",),
    software_version="0.1.0",
    created_at=_AT,
    not_after=_AT + timedelta(minutes=30),
)


def _document(platform: SnpPlatform) -> str:
    floor = "\n".join(f"{part} = {level}" for part, level in platform.tcb.items())
    return f"""\
policy = 1
name = "caller"
[trust]
tees = ["snp"]
insecure_simulated = ["sha256:{platform.root_fingerprint.hex()}"]
[snp]
measurement = ["{_MEASUREMENT.hex()}"]
allow = ["smt"]
[snp.minimum_tcb.Genoa]
{floor}
[model]
name = "SmolLM2"
digest = ["sha256:{"11" * 32}"]
[engine]
sandbox_layers = ["landlock"]
[init_data]
"sealroom.model" = "smollm2"
"""


@dataclass(frozen=True, kw_only=True)
class _World:
    """A room on simulated hardware, and somebody who means to talk to it."""

    platform: SnpPlatform
    policy: Policy = field(repr=False)

    def guest(self, **changes: Any) -> SimulatedSnp:
        wanted = {"measurement": _MEASUREMENT, "host_data": _INIT_DATA.digest, "platform": self.platform}
        return SimulatedSnp(**(wanted | changes))

    def bundle(self, statement: RoomStatement = _STATEMENT, **changes: Any) -> EvidenceBundle:
        raw = statement.encode()
        collected = self.guest(**changes).collect(report_data(Label.ROOM_STATEMENT, raw))
        return EvidenceBundle.of(raw, collected)

    def refusal(self, bundle: bytes, *, nonce: bytes = _NONCE, at: datetime = _AT) -> SealroomError:
        with pytest.raises(SealroomError) as refused:
            attest_room(bundle, self.policy, nonce=nonce, at=at)
        return refused.value

    def release(self, collected: CollectedEvidence, **changes: Any) -> AttestedKey:
        wanted = {
            "at": _AT, "expected_report_data": b"\x42" * 64, "tee_pubkey_jwk": b'{"k":1}', "init_data": _INIT_DATA,
            "policy": self.policy,
        }  # fmt: skip
        return attest_guest(collected, **(wanted | changes))


@pytest.fixture(scope="module")
def world() -> _World:
    platform = SnpPlatform.create()
    return _World(platform=platform, policy=load_policy(_document(platform), source="caller.toml"))


def test_an_honest_room_gets_a_channel_key_that_is_the_one_it_stated(world: _World) -> None:
    room = attest_room(world.bundle().encode(), world.policy, nonce=_NONCE, at=_AT)

    assert room.key.key_for(KeyPurpose.CHANNEL, _AT) == b"the room's keys"
    assert room.statement == _STATEMENT
    assert room.appraisal.accepted
    assert room.appraisal.simulated


def test_a_channel_key_is_no_key_for_release(world: _World) -> None:
    room = attest_room(world.bundle().encode(), world.policy, nonce=_NONCE, at=_AT)

    with pytest.raises(MisuseError):
        room.key.key_for(KeyPurpose.KEY_RELEASE, _AT)


def test_evidence_of_another_key_configuration_is_refused(world: _World) -> None:
    """The man in the middle keeps the room's evidence and puts his own keys into the statement."""
    honest = world.bundle()
    swapped = replace(_STATEMENT, key_configs=b"the key of a man in the middle").encode()

    error = world.refusal(replace(honest, statement=swapped).encode())

    assert isinstance(error, UnverifiedError)
    assert error.code == "binding.report-data"


def test_fault_27_evidence_that_answers_a_nonce_of_somebody_else_is_refused_as_a_replay(world: _World) -> None:
    error = world.refusal(world.bundle().encode(), nonce=b"\x0b" * 32)

    assert isinstance(error, UnverifiedError)
    assert error.code == "binding.nonce"


def test_a_fresh_nonce_put_into_an_old_statement_is_refused(world: _World) -> None:
    renewed = replace(_STATEMENT, nonce=b"\x0b" * 32).encode()

    error = world.refusal(replace(world.bundle(), statement=renewed).encode(), nonce=b"\x0b" * 32)

    assert error.code == "binding.report-data"


def test_a_statement_spliced_onto_the_evidence_of_another_is_refused(world: _World) -> None:
    small = world.bundle(replace(_STATEMENT, model_name="Small"))

    error = world.refusal(replace(small, statement=_STATEMENT.encode()).encode())

    assert error.code == "binding.report-data"


@pytest.mark.parametrize(
    "bind",
    [
        lambda raw: report_data(Label.GPU_NONCE, raw),
        lambda raw: report_data(Label.ROOM_STATEMENT, raw, b""),
        lambda raw: report_data(Label.ROOM_STATEMENT, _STATEMENT.key_configs),
        lambda _raw: bytes(64),
    ],
)
def test_evidence_made_for_another_purpose_is_refused(world: _World, bind: Callable[[bytes], bytes]) -> None:
    raw = _STATEMENT.encode()
    collected = world.guest().collect(bind(raw))
    bundle = EvidenceBundle.of(raw, collected)

    assert world.refusal(bundle.encode()).code == "binding.report-data"


def test_no_flipped_bit_of_the_report_is_accepted(world: _World) -> None:
    honest = world.bundle()
    for bit in range(0, len(honest.cpu.raw) * 8, 61):
        changed = replace(honest.cpu, raw=flip_bit(honest.cpu.raw, bit))
        error = world.refusal(replace(honest, cpu=changed).encode())
        assert isinstance(error, MalformedError | UnverifiedError), bit


def test_a_bundle_cut_anywhere_or_with_a_byte_too_many_is_refused(world: _World) -> None:
    raw = world.bundle().encode()

    assert {type(world.refusal(raw[:size])) for size in range(0, len(raw), 97)} == {MalformedError}
    assert isinstance(world.refusal(raw + b"\x00"), MalformedError)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"policy": DEFAULT_POLICY | POLICY_DEBUG}, "snp.debug"),
        ({"measurement": bytes(48)}, "snp.measurement-not-accepted"),
        ({"vmpl": 2}, "snp.vmpl-not-accepted"),
    ],
)
def test_a_weak_or_foreign_guest_is_refused_by_the_policy(world: _World, changes: dict[str, Any], code: str) -> None:
    error = world.refusal(world.bundle(**changes).encode())

    assert isinstance(error, PolicyRefusedError)
    assert error.code == code


def test_a_room_with_old_firmware_in_any_one_part_is_refused(world: _World) -> None:
    for part, level in world.platform.tcb.items():
        if level == 0:
            continue
        old = world.platform.at_tcb(**{part: level - 1})
        assert world.refusal(world.bundle(platform=old).encode()).code == "snp.tcb-below-minimum", part


def test_a_room_under_a_root_that_nobody_named_is_refused(world: _World) -> None:
    stranger = replace(world.platform, vendor=SnpVendor.create())

    assert isinstance(world.refusal(world.bundle(platform=stranger).encode()), UnverifiedError)


def test_simulated_hardware_is_refused_by_a_policy_for_silicon(world: _World) -> None:
    lines = [line for line in _document(world.platform).splitlines() if "insecure_simulated" not in line]
    silicon = load_policy("\n".join(lines), source="silicon.toml")

    with pytest.raises(UnverifiedError):
        attest_room(world.bundle().encode(), silicon, nonce=_NONCE, at=_AT)


def test_a_room_that_serves_another_model_is_refused(world: _World) -> None:
    other = replace(_STATEMENT, model_digest=b"\x99" * 32)

    assert world.refusal(world.bundle(other).encode()).code == "model.digest-not-accepted"


@pytest.mark.parametrize("tee", [tee for tee in Tee if tee is not Tee.SNP])
def test_evidence_under_the_name_of_another_tee_is_refused_and_not_our_bug(world: _World, tee: Tee) -> None:
    honest = world.bundle()
    other = replace(honest, cpu=replace(honest.cpu, tee=tee))

    assert isinstance(world.refusal(other.encode()), UnverifiedError | MalformedError)


def test_missing_collateral_is_a_refusal_and_never_a_skip(world: _World) -> None:
    honest = world.bundle()
    for name in ("leaf", "chain"):
        items = {key: value for key, value in honest.cpu.collateral.items.items() if key != name}
        bare = replace(honest.cpu, collateral=Collateral(items=items))
        assert world.refusal(replace(honest, cpu=bare).encode()).code == "collateral.missing"


def test_the_key_lives_no_longer_than_the_statement(world: _World) -> None:
    room = attest_room(world.bundle().encode(), world.policy, nonce=_NONCE, at=_AT)

    assert room.key.validity.not_after == _STATEMENT.not_after
    with pytest.raises(UnverifiedError):
        room.key.key_for(KeyPurpose.CHANNEL, _STATEMENT.not_after + timedelta(seconds=1))


def test_the_key_lives_no_longer_than_the_policy_says(world: _World) -> None:
    hour = replace(_STATEMENT, not_after=_AT + timedelta(days=300))
    room = attest_room(world.bundle(hour).encode(), world.policy, nonce=_NONCE, at=_AT)

    assert room.key.validity.not_after == _AT + timedelta(seconds=3600)


def test_an_expired_statement_is_refused(world: _World) -> None:
    late = _STATEMENT.not_after + timedelta(seconds=1)

    assert world.refusal(world.bundle().encode(), at=late).code == "statement.expired"


def test_a_time_without_a_zone_is_our_callers_mistake(world: _World) -> None:
    assert isinstance(world.refusal(world.bundle().encode(), at=_AT.replace(tzinfo=None)), MisuseError)


@pytest.mark.parametrize("nonce", [b"", b"\x0a" * 31, b"\x0a" * 33])
def test_a_nonce_of_another_length_is_our_callers_mistake(world: _World, nonce: bytes) -> None:
    assert isinstance(world.refusal(world.bundle().encode(), nonce=nonce), MisuseError)


def test_a_recording_without_our_nonce_is_judged_and_its_freshness_fails(world: _World) -> None:
    appraisal = appraise_room(world.bundle().encode(), world.policy, nonce=None, at=_AT)

    assert [check.code for check in appraisal.failures] == ["freshness.no-nonce"]


def test_a_policy_may_leave_freshness_open_and_a_wrong_nonce_is_still_refused(world: _World) -> None:
    recorded = load_policy(_document(world.platform) + '[unchecked]\nfreshness = "a recording"\n', source="x")
    raw = world.bundle().encode()

    assert appraise_room(raw, recorded, nonce=None, at=_AT).accepted
    with pytest.raises(UnverifiedError):
        appraise_room(raw, recorded, nonce=bytes(32), at=_AT)


def test_no_key_is_attested_under_a_policy_for_evidence_alone(world: _World) -> None:
    default = default_policy(insecure_simulated=[world.platform.root_fingerprint])
    raw = world.bundle().encode()

    assert appraise_room(raw, default, nonce=None, at=_AT).accepted
    with pytest.raises(MisuseError):
        attest_room(raw, default, nonce=_NONCE, at=_AT)
    with pytest.raises(MisuseError):
        world.release(world.guest().collect(b"\x42" * 64), policy=default)


def test_a_guest_gets_a_key_for_release_and_for_nothing_else(world: _World) -> None:
    key = world.release(world.guest().collect(b"\x42" * 64))

    assert key.key_for(KeyPurpose.KEY_RELEASE, _AT) == b'{"k":1}'
    with pytest.raises(MisuseError):
        key.key_for(KeyPurpose.CHANNEL, _AT)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"expected_report_data": b"\x43" * 64}, "binding.report-data"),
        ({"init_data": replace(_INIT_DATA, digest=bytes(32))}, "binding.init-data"),
        ({"init_data": replace(_INIT_DATA, facts={"sealroom.model": "other"})}, "init-data.not-accepted"),
        ({"init_data": None}, "binding.init-data"),
        ({"at": _AT + timedelta(days=36_500)}, None),
        ({"expected_report_data": b""}, "binding.report-data-size"),
    ],
)
def test_a_guest_with_one_thing_wrong_gets_no_key(world: _World, changes: dict[str, Any], code: str | None) -> None:
    with pytest.raises(SealroomError) as refused:
        world.release(world.guest().collect(b"\x42" * 64), **changes)

    assert code is None or refused.value.code == code


def test_init_data_that_was_not_launched_is_unverified_even_where_the_policy_does_not_ask_for_any(
    world: _World,
) -> None:
    document = _document(world.platform).partition("[init_data]")[0] + '[unchecked]\ninit_data = "none is used"\n'
    policy = load_policy(document, source="x")
    collected = world.guest().collect(b"\x42" * 64)

    assert world.release(collected, policy=policy, init_data=None).appraisal.accepted
    with pytest.raises(UnverifiedError):
        world.release(collected, policy=policy, init_data=replace(_INIT_DATA, digest=bytes(32)))


def test_evidence_alone_is_judged_against_the_report_data_that_is_expected(world: _World) -> None:
    collected = world.guest().collect(b"\x42" * 64)
    default = default_policy(insecure_simulated=[world.platform.root_fingerprint])
    parts = {"tee": Tee.SNP, "raw": collected.raw, "collateral": collected.collateral, "policy": default, "at": _AT}

    assert appraise_evidence(**parts).accepted
    assert appraise_evidence(**parts, expected_report_data=b"\x42" * 64).accepted
    with pytest.raises(UnverifiedError):
        appraise_evidence(**parts, expected_report_data=b"\x43" * 64)


@dataclass(frozen=True, kw_only=True)
class _Stranger(Evidence):
    """Evidence of no TEE that is known."""


@pytest.mark.parametrize("tee", known_tees())
def test_evidence_of_one_tee_never_reaches_the_verifier_of_another(tee: Tee) -> None:
    """Whatever it calls itself."""
    with pytest.raises(MisuseError, match=r"tee\.other-evidence"):
        for_tee(tee).verify(_Stranger(tee=tee, raw=b""), roots=TrustRoots(), collateral=Collateral(items={}), at=_AT)
