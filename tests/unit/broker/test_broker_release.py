"""Keys for evidence, and every way of asking for one that must fail. Real evidence, real verifier, real database."""

import hashlib
import json
from pathlib import Path

import pytest
from broker_world import INIT_DATA, KEY, MEASUREMENT, RESOURCE, World, policy_for, refusal
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwcrypto import jwe as jwcrypto_jwe
from jwcrypto.jwk import JWK
from on_loopback import served

from sealroom.errors import RefusedError
from sealroom.kbs.init_data import write_init_data
from sealroom.kbs.json_text import JsonObject, b64url_encode
from sealroom.kbs.jwe import open_jwe
from sealroom.kbs.messages import ResourceId
from sealroom.kbs.tee_key import ec_jwk
from sealroom.room.key_client import fetch_key
from sealroom.testing.snp import POLICY_DEBUG, SimulatedSnp, SnpPlatform


async def test_a_room_that_the_policy_accepts_gets_the_key(world: World) -> None:
    world.admin.register(world.registration())
    attester = world.guest().attester
    async with served(world.transport()) as url:
        key = await fetch_key(url, f"kbs:///{RESOURCE}", attester, init_data=INIT_DATA)
    assert key == KEY
    registered, attested, granted = world.events()
    assert [registered["event"], attested["event"], granted["event"]] == ["registered", "attested", "granted"]
    assert granted["resource"] == RESOURCE
    assert granted["model"] == "smollm2"
    assert granted["version"] == 2
    assert granted["simulated"] is True
    assert granted["measurement"] == MEASUREMENT.hex()
    assert granted["policy"] == hashlib.sha256(policy_for(world.platform).encode()).hexdigest()
    assert granted["init_data"] == hashlib.sha256(INIT_DATA).hexdigest()


async def test_the_cookie_alone_is_enough_and_the_answer_opens_elsewhere(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    await guest.attested()
    answer = await guest.get()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    opened = jwcrypto_jwe.JWE()
    opened.deserialize(answer.text, JWK.from_pyca(guest.private))
    assert opened.payload == KEY


async def test_the_token_alone_is_enough(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    token = await guest.attested()
    guest.http.cookies.clear()
    answer = await guest.get(authorization=f"Bearer {token}")
    assert open_jwe(guest.private, answer.content) == KEY


async def test_keys_on_p521_and_rsa_keys_are_served_too(world: World) -> None:
    world.admin.register(world.registration())
    p521 = ec.generate_private_key(ec.SECP521R1())
    guest = world.guest()
    await guest.attested(jwk=ec_jwk(p521.public_key(), alg="ECDH-ES+A256KW"))
    assert open_jwe(p521, (await guest.get()).content) == KEY

    rsa_key = rsa.generate_private_key(65537, 2048)
    numbers = rsa_key.public_key().public_numbers()
    jwk: JsonObject = {
        "kty": "RSA", "alg": "RSA-OAEP-256", "e": "AQAB", "n": b64url_encode(numbers.n.to_bytes(256, "big")),
    }  # fmt: skip
    guest = world.guest()
    await guest.attested(jwk=jwk)
    assert open_jwe(rsa_key, (await guest.get()).content) == KEY


async def test_a_nonce_serves_once(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    message = guest.message(await guest.auth())
    assert (await guest.attest(message)).status_code == 200
    again = await guest.attest(message)
    assert again.status_code == 401
    assert refusal(again).codes == ("broker.nonce-used",)


async def test_a_failed_attestation_burns_its_nonce(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    right = guest.message(await guest.auth())
    assert refusal(await guest.attest(b"{")).name == "SerdeError"
    assert refusal(await guest.attest(right)).codes == ("broker.nonce-used",)


async def test_evidence_for_the_nonce_of_another_session_is_refused(world: World) -> None:
    guest = world.guest()
    old = await guest.auth()
    await guest.auth()
    answer = await guest.attest(guest.message(old))
    assert answer.status_code == 401
    assert refusal(answer).name == "AttestationError"
    assert refusal(answer).codes == ("broker.nonce",)


async def test_recorded_evidence_with_a_fresh_nonce_in_front_is_refused(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    recorded = guest.message(await guest.auth())
    fresh = guest.message(await guest.auth(), primary_evidence=recorded.primary_evidence)
    assert refusal(await guest.attest(fresh)).codes == ("binding.report-data",)


async def test_evidence_that_vouches_for_another_key_is_refused(world: World) -> None:
    world.admin.register(world.registration())
    guest, thief = world.guest(), world.guest()
    nonce = await guest.auth()
    stolen = thief.message(nonce, primary_evidence=guest.message(nonce).primary_evidence)
    assert refusal(await guest.attest(stolen)).codes == ("binding.report-data",)


async def test_one_bit_of_the_evidence_flipped_is_refused(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    message = guest.message(await guest.auth())
    message.primary_evidence["attestation_report"]["measurement"][0] ^= 1  # type: ignore[call-overload,index,operator]
    answer = await guest.attest(message)
    assert answer.status_code == 401
    assert refusal(answer).codes[0].startswith("snp.")


async def test_hardware_under_a_root_that_no_policy_names_is_refused(world: World) -> None:
    guest = world.guest()  # nothing is registered, so no root is trusted but the vendor's own
    answer = await guest.attest(guest.message(await guest.auth()))
    assert answer.status_code == 401
    assert world.events()[-1]["event"] == "attestation-refused"


async def test_a_root_that_another_keys_policy_names_does_not_count_for_this_key(world: World) -> None:
    other = SnpPlatform.create(vendor=None)
    world.admin.register(world.registration())
    world.admin.register(
        world.registration(resource=ResourceId("models", "other", "v1"), model_name="other",
                           policy=policy_for(other, model="smollm2"))
    )  # fmt: skip
    guest = world.guest(platform=other)
    await guest.attested()  # authentic under a root that *some* policy names
    assert (await guest.get()).status_code == 401
    assert (await guest.get("models/other/v1")).status_code == 200


async def test_a_session_lives_five_minutes(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    message = guest.message(await guest.auth())
    world.clock.advance(300)
    guest.http.cookies.jar.clear_expired_cookies()
    assert refusal(await guest.attest(message)).codes == ("broker.session-expired",)

    token = await guest.attested()
    world.clock.advance(299)
    assert (await guest.get()).status_code == 200
    world.clock.advance(1)
    late = await guest.get()
    assert late.status_code == 401
    assert refusal(late).name == "TokenVerifierError"
    assert refusal(await guest.get(authorization=f"Bearer {token}")).codes == ("broker.token",)


async def test_the_key_of_another_model_is_refused_to_a_genuine_room(world: World) -> None:
    world.admin.register(world.registration())
    other = "models/other/v1"
    world.admin.register(
        world.registration(resource=ResourceId.parse(other), model_name="other", model_version=1,
                           policy=policy_for(world.platform, model="other"))
    )  # fmt: skip
    guest = world.guest()
    await guest.attested()
    answer = await guest.get(other)
    assert answer.status_code == 401
    assert refusal(answer).name == "PolicyDeny"
    assert refusal(answer).codes == ("init-data.not-accepted",)
    assert world.events()[-1]["codes"] == ["init-data.not-accepted"]
    assert (await guest.get()).status_code == 200


async def test_init_data_that_the_hardware_does_not_bind_is_refused(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    lie = write_init_data({"sealroom.model": "other"})
    assert refusal(await guest.attest(guest.message(await guest.auth(), init_data=lie))).codes == (
        "binding.init-data",
    )


async def test_a_guest_without_init_data_gets_no_key(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    await guest.attested(init_data=None)
    assert "binding.init-data" in refusal(await guest.get()).codes


async def test_a_debug_guest_gets_no_key(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest(policy=0x30000 | POLICY_DEBUG)
    await guest.attested()
    answer = await guest.get()
    assert refusal(answer).name == "PolicyDeny"
    assert any("debug" in code for code in refusal(answer).codes)


async def test_another_measurement_gets_no_key_and_the_answer_does_not_say_which_would(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest(measurement=bytes(48))
    await guest.attested()
    answer = await guest.get()
    assert refusal(answer).name == "PolicyDeny"
    assert MEASUREMENT.hex() not in answer.text


async def test_a_resource_without_a_policy_is_released_to_nobody(world: World) -> None:
    world.admin.register(world.registration(resource=ResourceId("models", "smollm2", "v1"), model_version=1))
    world.admin.store(ResourceId("default", "key", "secret"), KEY)
    guest = world.guest()
    await guest.attested()
    assert refusal(await guest.get("default/key/secret")).codes == ("broker.no-policy",)


async def test_a_newer_version_retires_the_older(world: World) -> None:
    older = ResourceId("models", "smollm2", "v1")
    world.admin.register(world.registration(resource=older, model_version=1))
    guest = world.guest()
    await guest.attested()
    assert (await guest.get(str(older))).status_code == 200
    world.admin.register(world.registration())
    answer = await guest.get(str(older))
    assert refusal(answer).name == "PolicyDeny"
    assert refusal(answer).codes == ("broker.version-below-floor",)
    assert (await guest.get()).status_code == 200


async def test_a_policy_that_is_replaced_counts_at_once(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    await guest.attested()
    assert (await guest.get()).status_code == 200
    world.admin.set_policy(ResourceId.parse(RESOURCE), policy_for(world.platform, measurement=bytes(48)))
    assert (await guest.get()).status_code == 401
    world.admin.delete(ResourceId.parse(RESOURCE))
    assert (await guest.get()).status_code == 404


async def test_a_missing_resource_is_404_for_the_attested_and_401_for_others(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    assert (await guest.get("models/none/v1")).status_code == 401
    await guest.attested()
    assert (await guest.get("models/none/v1")).status_code == 404


async def test_asking_between_auth_and_attest_is_refused(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    await guest.auth()
    assert refusal(await guest.get()).name == "TokenNotFound"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"sampledevice":{"svn":"2"}}', "broker.device-evidence-not-supported"),
        ('{"nvidia":{"device_evidence_list":[]},"nvidia-dpu":{}}', "broker.device-evidence-not-supported"),
        ("{}", "broker.device-evidence-not-supported"),
        ('{"nvidia":{}}', "kbs.device-evidence"),
        ("[]", "kbs.json"),
        (" ", "kbs.json"),
    ],
)
async def test_device_evidence_that_is_not_verified_is_refused_rather_than_ignored(
    world: World, text: str, code: str
) -> None:
    guest = world.guest()
    message = guest.message(await guest.auth(), additional_evidence=text)
    assert refusal(await guest.attest(message)).codes == (code,)


@pytest.mark.parametrize("tee", ["sample", "csv", "se", "nvidia"])
async def test_other_tees_are_refused_by_name(world: World, tee: str) -> None:
    answer = await world.http.post("/kbs/v0/auth", json={"version": "0.4.0", "tee": tee})
    assert answer.status_code == 401
    assert refusal(answer).codes == ("broker.tee-not-supported",)


async def test_a_policy_refusal_is_403_where_the_operator_wants_it(world: World) -> None:
    from sealroom.broker.replies import Step, reply_for

    denied = RefusedError("snp.measurement", "no")
    assert reply_for(denied, Step.RESOURCE).status == 401
    assert reply_for(denied, Step.RESOURCE, policy_status=403).status == 403


async def test_the_recorded_error_cases_come_out_as_stock_clients_expect(world: World, shared_vectors: Path) -> None:
    world.admin.register(world.registration())
    resource = ResourceId("default", "key", "model")
    world.admin.register(world.registration(resource=resource, policy=policy_for(world.platform, model="other"),
                                            model_name="other"))  # fmt: skip
    cases = {case["name"]: case for case in json.loads((shared_vectors / "kbs/errors/cases.json").read_text())}
    guest = world.guest()

    async def ask(name: str) -> None:
        request, expected = cases[name]["request"], cases[name]["response"]
        answer = await world.http.request(request["method"], request["path"], json=request.get("json"))
        assert answer.json()["type"] == expected["type"], name
        # A missing resource is 404 here: the vector says so in its note.
        assert answer.status_code == (404 if name == "missing resource" else expected["status"]), name
        refusal(answer)

    for name in ("version mismatch", "no token, no cookie", "unknown plugin"):
        await ask(name)
    nonce = await guest.auth()
    await guest.auth()
    swapped = await guest.attest(guest.message(nonce))
    assert swapped.json()["type"] == cases["nonce swapped"]["response"]["type"]
    assert swapped.status_code == cases["nonce swapped"]["response"]["status"]
    await guest.attested()
    await ask("policy refuses")
    await ask("missing resource")


async def test_a_head_request_grants_nothing(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    await guest.attested()
    assert (await world.http.head(f"/kbs/v0/resource/{RESOURCE}")).status_code == 405
    assert world.events()[-1]["event"] == "attested"


async def test_a_chip_that_masks_nothing_is_named_in_the_record(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    await guest.attested()
    assert world.events()[-1]["device"] == SimulatedSnp(platform=world.platform).platform.chip_id.hex()
