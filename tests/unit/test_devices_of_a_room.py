"""Nothing of another machine, or of another time, can be put among the devices of a room."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from device_room import NVIDIA, STATEMENT, DeviceRoom

from sealroom.collateral import EvidenceBundle
from sealroom.collateral.bundle import parse_bundle
from sealroom.collateral.devices import devices_of
from sealroom.errors import SealroomError, UnverifiedError
from sealroom.evidence import Collateral, CollectedEvidence
from sealroom.statement import parse_statement
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.nvidia import GpuMachine
from sealroom.testing.nvidia_cases import AT


@pytest.fixture(scope="session")
def room() -> DeviceRoom:
    return DeviceRoom(gpus=GpuMachine.preset("h100x8"), platform=DcapPlatform.create())


@pytest.fixture(scope="session")
def honest(room: DeviceRoom) -> EvidenceBundle:
    return room.bundle()


def _refusal(room: DeviceRoom, bundle: EvidenceBundle) -> str:
    with pytest.raises(SealroomError) as refused:
        room.judge(bundle)
    return refused.value.code


def _item(collected: CollectedEvidence, **items: bytes) -> CollectedEvidence:
    return replace(collected, collateral=Collateral(items={**collected.collateral.items, **items}))


def test_eight_gpus_and_four_switches_are_one_room(room: DeviceRoom, honest: EvidenceBundle) -> None:
    appraisal = room.judge(honest)

    assert appraisal.accepted, appraisal.failures
    assert appraisal.simulated
    assert len(appraisal.devices) == 12
    asked = {check.name for check in appraisal.checks}
    assert {
        "gpu0.minimum-driver",
        "gpu7.mode",
        "switch3.reference-values",
        "nvidia.count",
        "nvidia.topology",
    } <= asked


def test_what_a_verdict_is_found_by_is_made_of_the_bytes_that_came(honest: EvidenceBundle) -> None:
    """Of changed collateral it is another one, however the change was made."""
    read = parse_bundle(honest.encode())
    for collected in devices_of(read, parse_statement(read.statement)).values():
        collateral = collected.collateral
        assert {name: collateral.digest(name) for name in collateral.items} == {
            name: hashlib.sha256(value).digest() for name, value in collateral.items.items()
        }
        changed = replace(collateral, items={**collateral.items, "cert_chain": b"other"})
        assert changed.digest("cert_chain") == hashlib.sha256(b"other").digest()
        assert changed.digest("nothing") is None


def test_a_device_that_is_put_in_is_refused(room: DeviceRoom, honest: EvidenceBundle) -> None:
    other = room.with_gpus(GpuMachine.create(gpus=1, vendor=room.gpus.vendor)).devices()

    spliced = replace(
        honest, devices={**honest.devices, "gpu8": replace(honest.devices["gpu7"], raw=other["gpu0"].raw)}
    )

    assert _refusal(room, spliced) == "binding.devices"


@pytest.mark.parametrize("name", ["gpu0", "switch2"])
def test_a_device_that_is_taken_away_is_refused(room: DeviceRoom, honest: EvidenceBundle, name: str) -> None:
    left = {kept: device for kept, device in honest.devices.items() if kept != name}

    assert _refusal(room, replace(honest, devices=left)) == "binding.devices"


def test_a_device_of_another_machine_in_the_place_of_one_is_refused(room: DeviceRoom, honest: EvidenceBundle) -> None:
    """Authentic, and an answer to the very nonce: only the statement's digest tells it from the room's own."""
    other = room.with_gpus(GpuMachine.create(gpus=1, vendor=room.gpus.vendor)).devices()["gpu0"]
    spliced = {**honest.devices, "gpu0": replace(honest.devices["gpu0"], raw=other.raw)}

    assert _refusal(room, replace(honest, devices=spliced)) == "binding.device-evidence"


def test_two_devices_that_change_places_are_refused(room: DeviceRoom, honest: EvidenceBundle) -> None:
    spliced = {**honest.devices, "gpu0": honest.devices["gpu1"], "gpu1": honest.devices["gpu0"]}

    assert _refusal(room, replace(honest, devices=spliced)) == "binding.device-evidence"


def test_evidence_of_another_time_is_refused_though_the_room_itself_names_it(room: DeviceRoom) -> None:
    """A room that plays back what its devices said to an earlier nonce."""
    earlier = room.devices(replace(STATEMENT, nonce=b"\x0b" * 32))

    assert _refusal(room, room.bundle(earlier)) == "binding.device-nonce"


def test_evidence_that_was_asked_for_with_other_devices_in_the_statement_is_refused(room: DeviceRoom) -> None:
    named = STATEMENT.with_devices(room.devices())
    devices = room.with_gpus(room.gpus).devices(named)

    assert _refusal(room, room.bundle(devices)) == "binding.device-nonce"


@pytest.mark.parametrize("item", ["ocsp", "driver_rim", "vbios_rim", "cert_chain"])
def test_collateral_that_is_put_in_the_place_of_the_rooms_own_is_refused(
    room: DeviceRoom, honest: EvidenceBundle, item: str
) -> None:
    """Even where it is authentic: an older answer about a certificate, reference values of another driver."""
    changed = {name: _item(device, **{item: b"another"}) for name, device in room.devices().items()}
    other = EvidenceBundle.of(honest.statement, honest.cpu, changed)

    assert _refusal(room, replace(honest, endorsements=other.endorsements)) in {
        "binding.device-collateral",
        "binding.endorsement-unused",
    }


def test_collateral_that_nobody_named_is_refused(room: DeviceRoom, honest: EvidenceBundle) -> None:
    misnamed = replace(honest, endorsements={**honest.endorsements, b"\x01" * 32: b"more"})
    added = replace(honest, endorsements={**honest.endorsements, hashlib.sha256(b"more").digest(): b"more"})

    with pytest.raises(SealroomError, match=r"bundle\.wrong-digest"):
        room.judge(misnamed)
    assert _refusal(room, added) == "binding.endorsement-unused"


def test_a_statement_of_another_room_with_these_devices_is_refused(room: DeviceRoom, honest: EvidenceBundle) -> None:
    other = replace(STATEMENT, key_configs=b"an attacker's keys").with_devices(room.devices()).encode()

    assert _refusal(room, replace(honest, statement=other)) == "binding.report-data"


def test_devices_of_an_honest_room_in_the_bundle_of_another_are_refused(room: DeviceRoom) -> None:
    """An attacker with a TD of its own and no GPU, who asks an honest machine's GPUs for nothing new."""
    own = replace(STATEMENT, key_configs=b"an attacker's keys")

    assert _refusal(room, room.bundle(room.devices(), own)) == "binding.device-nonce"


def test_a_verdict_ends_when_the_first_of_its_devices_does(room: DeviceRoom, honest: EvidenceBundle) -> None:
    appraisal = room.judge(honest)

    assert appraisal.validity.not_after == min(
        one.validity.not_after for one in (appraisal.claims, *appraisal.devices)
    )
    with pytest.raises(UnverifiedError):
        room.judge(honest, at=appraisal.validity.not_after + timedelta(seconds=1))
    assert appraisal.validity.holds_at(AT)


def test_devices_under_a_policy_that_says_nothing_of_them_are_refused(
    room: DeviceRoom, honest: EvidenceBundle
) -> None:
    appraisal = room.judge(honest, room.policy(""))

    assert [check.code for check in appraisal.failures] == ["policy.no-device-rules"]
    assert room.judge(honest, room.policy('[unchecked]\ndevices = "development"\n')).accepted


def test_a_room_without_devices_under_a_policy_that_wants_one_is_refused(room: DeviceRoom) -> None:
    failures = room.judge(room.bundle({}), room.policy(NVIDIA)).failures

    assert [check.code for check in failures] == ["nvidia.count-not-accepted"]
    assert room.judge(room.bundle({}), room.policy("")).accepted


def test_two_makers_vouch_for_a_room_with_devices_and_one_for_a_room_without(
    room: DeviceRoom, honest: EvidenceBundle
) -> None:
    two = room.policy(NVIDIA + "minimum_count = 0\n", trust="minimum_vendors = 2")

    assert room.judge(honest, two).accepted
    assert [check.code for check in room.judge(room.bundle({}), two).failures] == ["trust.too-few-vendors"]
