"""On every kind of machine: nothing of another machine, another time or another purpose passes for a room's own.

Two machines of each kind, both accepted by the policy, so that only the binding tells them apart.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sealroom.binding import Label, carried, report_data
from sealroom.collateral import EvidenceBundle
from sealroom.device_statement import device_nonce
from sealroom.errors import MalformedError, SealroomError, UnverifiedError
from sealroom.evidence import Appraisal, Collateral, CollectedEvidence, Tee
from sealroom.policy import Policy, load_policy
from sealroom.statement import RoomStatement
from sealroom.testing.machine_policy import Machine
from sealroom.testing.machines import CPUS, Launched, SimulatedGuest, guest_at, power_on
from sealroom.verifier import appraise_room

_LAUNCHED = Launched(measurement=b"\x07" * 48, init_data=b"\x09" * 32)
_NONCE = b"\x0a" * 32
_NOW = datetime.now(UTC).replace(microsecond=0)
_STATEMENT = RoomStatement(
    nonce=_NONCE, key_configs=b"the room's keys", model_name="m", model_version=1, model_digest=b"\x11" * 32,
    package_digest=b"\x22" * 32, engine_name="e", engine_version="1", engine_config_digest=b"\x33" * 32,
    sandbox_layers=("landlock",), software_version="1", created_at=_NOW, not_after=_NOW + timedelta(minutes=30),
)  # fmt: skip
_ROOM = '\n[unchecked]\nmodel = "x"\nengine = "x"\ninit_data = "x"\n'
_KINDS = [*CPUS, *(f"{cpu}+h100" for cpu in ("nitro", "cca", "azure-tdx", "tpm"))]
_WITH_DEVICES = [kind for kind in _KINDS if "+" in kind]
_SHORT = [kind for kind in CPUS if carried(CPUS[kind].cpu.tee, bytes(64)) != bytes(64)]
"""Kinds whose evidence carries a digest of the report data."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A room's machine, another of the same kind, and a policy that accepts both."""

    own: SimulatedGuest
    other: SimulatedGuest
    policy: Policy

    def bundle(
        self,
        statement: RoomStatement = _STATEMENT,
        *,
        by: SimulatedGuest | None = None,
        devices: Mapping[str, CollectedEvidence] | None = None,
        bind: Callable[[bytes], bytes] = lambda raw: report_data(Label.ROOM_STATEMENT, raw),
    ) -> EvidenceBundle:
        """An honest room's, with one thing changed."""
        guest = by or self.own
        found = self.devices(guest, statement) if devices is None else devices
        raw = statement.with_devices(found).encode()
        return EvidenceBundle.of(raw, guest.cpu.collect(carried(guest.cpu.tee, bind(raw))), found)

    @staticmethod
    def devices(guest: SimulatedGuest, statement: RoomStatement = _STATEMENT) -> dict[str, CollectedEvidence]:
        return {name: one.collect(device_nonce(statement.encode(), one.tee)) for name, one in guest.devices.items()}

    def judge(self, bundle: EvidenceBundle, *, nonce: bytes = _NONCE) -> Appraisal:
        return appraise_room(bundle.encode(), self.policy, nonce=nonce, at=datetime.now(UTC))

    def refusal(self, bundle: EvidenceBundle, *, nonce: bytes = _NONCE) -> str:
        with pytest.raises(SealroomError) as refused:
            self.judge(bundle, nonce=nonce)
        assert isinstance(refused.value, UnverifiedError | MalformedError)
        return refused.value.code


def _both(one: Machine, two: Machine) -> Machine:
    return replace(one, roots=one.roots + two.roots, device_roots=one.device_roots + two.device_roots,
                   device_keys=one.device_keys + two.device_keys)  # fmt: skip


@pytest.fixture(scope="module", params=_KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    machines, guests = [], []
    for name in ("own", "other"):
        folder: Path = tmp_path_factory.mktemp(f"{request.param}-{name}")
        machine = power_on(request.param, folder)
        machine.launch(folder, _LAUNCHED)
        machines.append(machine.accepted(_LAUNCHED))
        guests.append(guest_at(folder))
    document = f'policy = 1\nname = "t"\n{_both(*machines).sections()}{_ROOM}'
    return Pair(own=guests[0], other=guests[1], policy=load_policy(document, source="t"))


def test_the_honest_room_is_accepted_and_the_other_machine_is_as_authentic(pair: Pair) -> None:
    verdict = pair.judge(pair.bundle())
    assert verdict.accepted, verdict.failures
    assert pair.judge(pair.bundle(by=pair.other)).checks, "nothing but the policy could refuse it"


def test_evidence_of_another_machine_under_this_statement_is_refused(pair: Pair) -> None:
    theirs = pair.bundle(replace(_STATEMENT, key_configs=b"another room's keys"), by=pair.other)
    assert pair.refusal(replace(pair.bundle(), cpu=theirs.cpu)) == "binding.report-data"


def test_evidence_of_another_time_under_this_statement_is_refused(pair: Pair) -> None:
    earlier = pair.bundle(replace(_STATEMENT, nonce=b"\x0b" * 32))
    assert pair.refusal(replace(pair.bundle(), cpu=earlier.cpu)) == "binding.report-data"
    assert pair.refusal(earlier) == "binding.nonce"
    assert pair.refusal(pair.bundle(), nonce=b"\x0b" * 32) == "binding.nonce"


@pytest.mark.parametrize("changes", [{"key_configs": b"a man in the middle's"}, {"model_digest": bytes(32)},
                                     {"not_after": _NOW + timedelta(days=30)}])  # fmt: skip
def test_a_statement_that_was_changed_since_is_refused(pair: Pair, changes: dict[str, object]) -> None:
    honest = pair.bundle()
    changed = replace(_STATEMENT.with_devices(pair.devices(pair.own)), **changes).encode()
    assert pair.refusal(replace(honest, statement=changed)) == "binding.report-data"


def test_evidence_for_another_purpose_or_of_a_part_is_refused(pair: Pair) -> None:
    for bind in (
        lambda raw: report_data(Label.GPU_NONCE, raw),
        lambda raw: report_data(Label.KMS_RECIPIENT, raw),
        lambda raw: report_data(Label.ROOM_STATEMENT, raw)[:32].ljust(64, b"\0"),
        lambda raw: report_data(Label.ROOM_STATEMENT, raw[:-1]),
        lambda _: bytes(64),
    ):
        assert pair.refusal(pair.bundle(bind=bind)) == "binding.report-data"


@pytest.mark.parametrize("pair", _SHORT, indirect=True)
def test_a_short_field_carries_a_digest_and_no_cut(pair: Pair) -> None:
    """Fault gpu-cloud 9: a vTPM's nonce that is the first half of the report data would leave the second bound to
    nothing."""
    honest = pair.bundle()
    cut = pair.own.cpu.collect(report_data(Label.ROOM_STATEMENT, honest.statement)[:32])
    assert pair.refusal(replace(honest, cpu=cut)) == "binding.report-data"


def test_evidence_under_the_name_of_another_kind_is_refused(pair: Pair) -> None:
    honest = pair.bundle()
    for tee in Tee:
        if tee is not pair.own.cpu.tee:
            pair.refusal(replace(honest, cpu=replace(honest.cpu, tee=tee)))


def test_collateral_of_another_machine_helps_nobody(pair: Pair) -> None:
    """Certificates and lists under another root, each alone and all at once: refused, or without weight."""
    honest, theirs = pair.bundle(), pair.bundle(by=pair.other).cpu.collateral.items
    own = honest.cpu.collateral.items
    swaps = [{name: theirs[name]} for name in own if theirs.get(name, own[name]) != own[name]]
    swaps += [dict(theirs)] if swaps else []
    for swap in swaps:
        cpu = replace(honest.cpu, collateral=Collateral(items={**own, **swap}))
        try:
            verdict = pair.judge(replace(honest, cpu=cpu))
        except (UnverifiedError, MalformedError):
            continue
        assert verdict.claims.root == pair.judge(honest).claims.root, sorted(swap)


def test_without_its_collateral_no_evidence_says_more(pair: Pair) -> None:
    honest = pair.bundle()
    asked = {check.name for check in pair.judge(honest).checks if check.passed}
    for name in honest.cpu.collateral.items:
        left = {kept: value for kept, value in honest.cpu.collateral.items.items() if kept != name}
        try:
            verdict = pair.judge(replace(honest, cpu=replace(honest.cpu, collateral=Collateral(items=left))))
        except (UnverifiedError, MalformedError):
            continue
        assert {check.name for check in verdict.checks if check.passed} <= asked


@pytest.mark.parametrize("pair", _WITH_DEVICES, indirect=True)
def test_devices_of_another_machine_or_time_are_refused(pair: Pair) -> None:
    honest, theirs = pair.bundle(), pair.devices(pair.other)
    spliced = {name: replace(one, raw=theirs[name].raw) for name, one in honest.devices.items()}
    assert pair.refusal(replace(honest, devices=spliced)) == "binding.device-evidence"
    earlier = pair.devices(pair.own, replace(_STATEMENT, nonce=b"\x0b" * 32))
    assert pair.refusal(pair.bundle(devices=earlier)) == "binding.device-nonce"
    renamed = {f"x-{name}": one for name, one in honest.devices.items()}
    assert pair.refusal(replace(honest, devices=renamed)) == "binding.devices"
    assert pair.refusal(replace(honest, devices={}, endorsements={})) == "binding.devices"
    bare = pair.bundle(devices={})
    assert pair.refusal(replace(bare, devices=honest.devices, endorsements=honest.endorsements)) == "binding.devices"


def test_each_kind_is_among_them() -> None:
    tees = {CPUS[kind].cpu.tee for kind in CPUS}
    assert set(Tee) - tees <= {Tee.NVIDIA, Tee.SGX, Tee.GCP}, "a device, an enclave, and what has tests of its own"
    assert {CPUS[kind].cpu.tee for kind in _SHORT} >= {Tee.AZURE_VTPM, Tee.TPM}
