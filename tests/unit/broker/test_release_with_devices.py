"""Keys whose owner asks for GPUs: released for the devices that the CPU vouches for, and for no splice of them."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from broker_world import INIT_DATA, KEY, RESOURCE, World, refusal
from cryptography.hazmat.primitives.asymmetric import ec
from on_loopback import served

from sealroom.embedded.documents import release_policy
from sealroom.errors import RefusedError
from sealroom.evidence import Attester, CollectedEvidence
from sealroom.kbs.binding import device_digest, fit, primary_digest
from sealroom.kbs.device_evidence import device_nonce, write_device_evidence
from sealroom.kbs.evidence import format_for, name_of
from sealroom.kbs.init_data import parse_init_data
from sealroom.kbs.json_text import JsonObject
from sealroom.kbs.jwe import open_jwe
from sealroom.kbs.messages import Attestation
from sealroom.kbs.tee_key import ec_jwk
from sealroom.room.key_client import fetch_key
from sealroom.testing.machine_parts import Launched
from sealroom.testing.machines import SimulatedMachine, kind_named
from sealroom.testing.nvidia import GpuMachine

LAUNCHED = Launched(measurement=b"\x3a" * 48, init_data=parse_init_data(INIT_DATA).digest)
Devices = Mapping[str, CollectedEvidence]


@pytest.fixture(scope="module")
def eight() -> SimulatedMachine:
    return machine_of("tdx+h100x8")


@pytest.fixture(scope="module")
def one() -> SimulatedMachine:
    return machine_of("snp+h100")


def machine_of(kind: str) -> SimulatedMachine:
    made = kind_named(kind)
    assert made.gpus is not None
    return SimulatedMachine(kind=kind, platform=made.cpu.create(), gpus=GpuMachine.preset(made.gpus))


def cpu_of(machine: SimulatedMachine) -> Attester:
    return kind_named(machine.kind).cpu.attester(machine.platform, LAUNCHED)


def register(world: World, machine: SimulatedMachine, *changes: tuple[str, str]) -> None:
    policy = release_policy(machine.accepted(LAUNCHED), model_name="smollm2")
    for old, new in changes:
        assert old in policy
        policy = policy.replace(old, new)
    world.admin.register(world.registration(policy=policy))


def answers_of(machine: SimulatedMachine) -> Callable[[bytes], Awaitable[Devices]]:
    async def answers(nonce: bytes) -> Devices:
        found: Devices = machine.gpus.collect(nonce)
        return found

    return answers


async def asked(world: World, machine: SimulatedMachine, *, devices: bool = True) -> bytes:
    async with served(world.transport()) as url:
        return await fetch_key(url, RESOURCE, cpu_of(machine), init_data=INIT_DATA,
                               devices=answers_of(machine) if devices else None)  # fmt: skip


@pytest.mark.parametrize("kind", ["one", "eight"])
async def test_a_room_with_gpus_gets_the_key_and_the_record_names_them(
    world: World, kind: str, request: pytest.FixtureRequest
) -> None:
    machine: SimulatedMachine = request.getfixturevalue(kind)
    register(world, machine)
    assert await asked(world, machine) == KEY
    attested, grant = world.events()[-2:]
    assert (attested["event"], grant["event"]) == ("attested", "granted")
    for event in (attested, grant):
        listed = event["devices"]
        assert isinstance(listed, list)
        assert len(listed) == len(machine.gpus.devices)
        assert str(listed[0]).startswith("nvidia GH100")
        assert len(str(event["device_evidence"])) == 64


async def test_without_its_gpus_it_does_not(world: World, eight: SimulatedMachine) -> None:
    register(world, eight)
    with pytest.raises(RefusedError) as caught:
        await asked(world, eight, devices=False)
    assert caught.value.code == "nvidia.count-not-accepted"


async def test_a_key_that_says_nothing_of_devices_is_not_released_to_any(world: World, one: SimulatedMachine) -> None:
    """Otherwise evidence that nobody judged would pass for judged."""
    table = one.accepted(LAUNCHED).device_tables
    register(world, one, (table, ""))
    with pytest.raises(RefusedError) as caught:
        await asked(world, one)
    assert caught.value.code == "policy.no-device-rules"
    assert await asked(world, one, devices=False) == KEY
    register(world, one, (table, '[unchecked]\ndevices = "the machine is in our own house"\n'))
    assert await asked(world, one) == KEY


async def test_devices_that_the_owner_does_not_accept_get_nothing(world: World, one: SimulatedMachine) -> None:
    register(world, one, ('minimum_driver = "590.12"', 'minimum_driver = "600.00"'))
    with pytest.raises(RefusedError) as caught:
        await asked(world, one)
    assert caught.value.code == "nvidia.driver-below-minimum"
    assert world.events()[-1]["codes"] == ["nvidia.driver-below-minimum"]


async def test_a_gpu_without_its_reference_values_gets_nothing(world: World, one: SimulatedMachine) -> None:
    register(world, one)
    guest = Guest(world, one)

    def without_rims(_machine: SimulatedMachine, found: dict[str, Any]) -> None:
        found["nvidia"].pop("collateral")
        for device in found["nvidia"]["device_evidence_list"]:
            device.pop("collateral")

    answer = await guest.attest(change=without_rims)
    assert answer.status_code == 200, "authentic it is"
    codes = refusal(await guest.get(answer)).codes
    assert {"nvidia.no-reference-values", "nvidia.revocation-not-checked"} <= set(codes)


# Splices


@dataclass
class Guest:
    """A guest whose devices' evidence can be changed before the CPU vouches for it, or after."""

    world: World
    machine: SimulatedMachine
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    async def attest(
        self,
        *,
        change: Callable[[SimulatedMachine, dict[str, Any]], None] | None = None,
        after: Callable[[str], str] | None = None,
        nonce: Callable[[JsonObject], bytes] = device_nonce,
        devices: SimulatedMachine | None = None,
    ) -> httpx.Response:
        cpu = cpu_of(self.machine)
        tee = name_of(cpu)
        begun = await self.world.http.post("/kbs/v0/auth", json={"version": "0.4.0", "tee": tee})
        runtime: JsonObject = {
            "nonce": begun.json()["nonce"],
            "tee-pubkey": ec_jwk(self.private.public_key(), alg="ECDH-ES+A256KW"),
        }
        text = write_device_evidence((devices or self.machine).gpus.collect(nonce(runtime)).values())
        if change is not None:
            document = json.loads(text)
            change(self.machine, document)
            text = json.dumps(document)
        form = format_for(tee)
        collected = cpu.collect(fit(primary_digest(runtime, text), form.report_data_size))
        message = Attestation(
            runtime_data=runtime, primary_evidence=form.write(collected.raw, collected.collateral),
            additional_evidence=text if after is None else after(text), init_data=INIT_DATA,
        )  # fmt: skip
        return await self.world.http.post("/kbs/v0/attest", content=message.encode())

    async def get(self, attested: httpx.Response) -> httpx.Response:
        token = attested.json()["token"]
        return await self.world.http.get(f"/kbs/v0/resource/{RESOURCE}", headers={"authorization": f"Bearer {token}"})


async def test_an_honest_guest_by_hand_gets_the_key(world: World, one: SimulatedMachine) -> None:
    register(world, one)
    guest = Guest(world, one)
    answer = await guest.get(await guest.attest())
    assert answer.status_code == 200
    assert open_jwe(guest.private, answer.content) == KEY


@pytest.mark.parametrize(
    "after",
    [
        lambda _text: "",
        lambda text: text + " ",
        lambda text: json.dumps(json.loads(text), indent=1),
        lambda text: text.replace("HOPPER", "BLACKWELL", 1),
        lambda text: text.replace('"unknown"', '"GPU-1"', 1),
    ],
)
async def test_what_the_cpu_did_not_vouch_for_to_the_letter_is_refused(
    world: World, one: SimulatedMachine, after: Callable[[str], str]
) -> None:
    register(world, one)
    answer = await Guest(world, one).attest(after=after)
    assert refusal(answer).codes == ("binding.report-data",)


async def test_a_device_that_was_taken_out_on_the_way_shows(world: World, eight: SimulatedMachine) -> None:
    register(world, eight)
    answer = await Guest(world, eight).attest(
        after=lambda text: text.replace(json.dumps(json.loads(text)["nvidia"]["device_evidence_list"][0],
                                                   separators=(",", ":")) + ",", "", 1)
    )  # fmt: skip
    assert refusal(answer).codes[0] in {"binding.report-data", "kbs.device-evidence"}


@pytest.mark.parametrize(
    "nonce",
    [
        lambda _runtime: bytes(32),
        lambda runtime: fit(primary_digest(runtime, ""), 32),  # the CPU's own
        lambda runtime: device_digest(runtime)[16:],
        lambda runtime: device_nonce({**runtime, "nonce": "an earlier one"}),
        lambda runtime: device_nonce(
            {**runtime, "tee-pubkey": ec_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(),
                                             alg="ECDH-ES+A256KW")}
        ),
    ],
)  # fmt: skip
async def test_a_device_that_answers_another_nonce_or_key_is_refused_though_the_cpu_vouches_for_it(
    world: World, one: SimulatedMachine, nonce: Callable[[JsonObject], bytes]
) -> None:
    register(world, one)
    assert refusal(await Guest(world, one).attest(nonce=nonce)).codes == ("binding.device-nonce",)


async def test_devices_under_another_root_are_refused(world: World, one: SimulatedMachine) -> None:
    register(world, one)
    assert refusal(await Guest(world, one).attest(devices=machine_of("snp+h100"))).codes == ("x509.untrusted-root",)


async def test_one_device_shown_twice_is_not_two(world: World, eight: SimulatedMachine) -> None:
    register(world, eight)
    guest = Guest(world, eight)

    def twice(_machine: SimulatedMachine, found: dict[str, Any]) -> None:
        listed = found["nvidia"]["device_evidence_list"]
        gone, listed[1] = listed[1], listed[0]
        found["nvidia"]["collateral"].pop(gone["collateral"]["ocsp"])

    assert "nvidia.topology" in refusal(await guest.get(await guest.attest(change=twice))).codes


async def test_a_report_with_another_devices_certificates_is_refused(world: World, eight: SimulatedMachine) -> None:
    register(world, eight)

    def mixed(_machine: SimulatedMachine, found: dict[str, Any]) -> None:
        first, second = found["nvidia"]["device_evidence_list"][:2]
        first["certificate"], second["certificate"] = second["certificate"], first["certificate"]
        first["collateral"], second["collateral"] = second["collateral"], first["collateral"]

    assert refusal(await Guest(world, eight).attest(change=mixed)).codes == ("nvidia.signature",)


async def test_a_token_for_simulated_gpus_affirms_nothing(world: World, one: SimulatedMachine) -> None:
    """Whatever the CPU is."""
    register(world, one)
    await Guest(world, one).attest()
    assert world.events()[-1]["simulated"] is True
