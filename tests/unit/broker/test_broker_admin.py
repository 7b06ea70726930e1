"""Registering keys, and bodies that are nothing of the kind."""

import json

import httpx
import pytest
from broker_world import KEY, RESOURCE, World, policy_for, refusal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealroom.broker.admin_client import delete_key, register_key
from sealroom.errors import MisuseError, RefusedError
from sealroom.kbs.messages import ResourceId

_PATH = f"/kbs/v0/resource/{RESOURCE}"


async def test_registering_the_same_again_changes_nothing(world: World) -> None:
    body = world.registration().encode()
    for _ in range(2):
        answer = await world.http.put(_PATH, content=body, headers=world.admin_headers)
        assert answer.status_code == 200, answer.text
    assert [event["event"] for event in world.events()] == ["registered"]


@pytest.mark.parametrize(
    "url",
    ["http://kbs.example:8080", "http://10.0.0.7", "http://127.0.0.1.kbs.example", "http://localhost@kbs.example"],
)
def test_a_models_key_never_crosses_a_network_unencrypted(world: World, url: str) -> None:
    heard: list[httpx.Request] = []
    network = httpx.MockTransport(lambda request: heard.append(request) or httpx.Response(200))  # type: ignore[func-returns-value]
    with pytest.raises(MisuseError, match=r"broker\.not-encrypted"):
        register_key(url, "token", world.registration(), transport=network)
    with pytest.raises(MisuseError, match=r"broker\.not-encrypted"):
        delete_key(url, "token", ResourceId.parse(RESOURCE), transport=network)
    assert heard == []


@pytest.mark.parametrize(
    "url", ["https://kbs.example", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost:8080"]
)
def test_a_models_key_goes_by_tls_or_stays_on_the_machine(world: World, url: str) -> None:
    register_key(url, "token", world.registration(), transport=httpx.MockTransport(lambda _: httpx.Response(200)))


async def test_a_version_has_one_key_for_ever(world: World) -> None:
    world.admin.register(world.registration())
    body = world.registration(key=bytes(32)).encode()
    answer = await world.http.put(_PATH, content=body, headers=world.admin_headers)
    assert answer.status_code == 409
    assert refusal(answer).codes == ("broker.key-differs",)
    assert world.state.resources.key(world.state.resources.all()[0]) == KEY


async def test_a_version_below_the_floor_is_not_registered(world: World) -> None:
    world.admin.register(world.registration())
    older = world.registration(resource=ResourceId("models", "smollm2", "v1"), model_version=1)
    with pytest.raises(RefusedError, match=r"broker\.version-below-floor"):
        world.admin.register(older)
    assert [resource.id for resource in world.state.resources.all()] == [RESOURCE]


async def test_older_versions_stay_where_the_operator_keeps_them_and_a_floor_never_falls(world: World) -> None:
    older = ResourceId("models", "smollm2", "v1")
    world.admin.register(world.registration(resource=older, model_version=1))
    world.admin.register(world.registration(keep_older=True))
    assert world.state.resources.floor("smollm2") == 1
    world.admin.raise_floor("smollm2", 2)
    with pytest.raises(RefusedError, match=r"broker\.floor-falls"):
        world.admin.raise_floor("smollm2", 1)
    with pytest.raises(RefusedError, match=r"broker\.model-missing"):
        world.admin.raise_floor("smollm3", 1)


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer ", "Basic {token}", "Bearer {token}x", "Bearer ü"])
async def test_without_the_admin_token_nothing_changes(world: World, method: str, header: str | None) -> None:
    world.admin.register(world.registration())
    headers = {} if header is None else {"authorization": header.format(token=world.state.admin_token).encode()}
    answer = await world.http.request(method, _PATH, content=b"x", headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert refusal(answer).name == "AdminAuthAccess"
    assert len(world.events()) == 1


async def test_a_stock_client_can_post_a_raw_key_and_it_stays_shut(world: World) -> None:
    answer = await world.http.post("/kbs/v0/resource/a/b/c", content=b"\x00raw", headers=world.admin_headers)
    assert answer.status_code == 200
    (resource,) = world.state.resources.all()
    assert (resource.policy, world.state.resources.key(resource)) == (None, b"\x00raw")
    world.admin.set_policy(ResourceId("a", "b", "c"), policy_for(world.platform))
    guest = world.guest()
    await guest.attested()
    assert (await guest.get("a/b/c")).status_code == 200


async def test_a_deleted_key_is_gone_from_the_database(world: World) -> None:
    world.admin.register(world.registration())
    assert (await world.http.delete(_PATH, headers=world.admin_headers)).status_code == 200
    assert world.state.database.query("SELECT * FROM wrapped_keys") == []
    assert (await world.http.delete(_PATH, headers=world.admin_headers)).status_code == 404


@pytest.mark.parametrize(
    "policy",
    ["", "policy = 1", "not toml [", 'policy = 1\nname = "x"\n[trust]\ntees = ["snp"]'],
)  # fmt: skip
async def test_a_policy_under_which_nothing_can_be_released_is_refused(world: World, policy: str) -> None:
    body = world.registration(policy=policy).encode()
    answer = await world.http.put(_PATH, content=body, headers=world.admin_headers)
    assert answer.status_code == 400
    refusal(answer)
    assert world.state.resources.all() == []


async def test_a_policy_for_evidence_alone_releases_no_key(world: World) -> None:
    policy = policy_for(world.platform) + '[unchecked]\nreport_data = "there is no nonce"\n'
    with pytest.raises(MisuseError, match=r"policy\.evidence-alone"):
        world.admin.register(world.registration(policy=policy))


@pytest.mark.parametrize("path", ["a/b", "a/b/c/d", "a//c", "../b/c", "a/b/.c", "a/b/c%00", "a/b/" + "c" * 200])
async def test_other_paths_than_three_plain_segments_name_no_resource(world: World, path: str) -> None:
    answer = await world.http.put(f"/kbs/v0/resource/{path}", content=b"{}", headers=world.admin_headers)
    assert answer.status_code == 404
    refusal(answer)


async def test_bodies_over_the_limit_are_cut_off(world: World) -> None:
    for path in ("auth", "attest", f"resource/{RESOURCE}"):
        answer = await world.http.post(
            f"/kbs/v0/{path}", content=bytes(2 * 1024 * 1024 + 1), headers=world.admin_headers
        )
        assert answer.status_code == 413
        assert refusal(answer).codes == ("broker.body-size",)


async def test_health_is_public_and_says_nothing_more(world: World) -> None:
    answer = await world.http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_PARTS = st.sampled_from(
    ["version", "tee", "nonce", "runtime-data", "tee-pubkey", "tee-evidence", "primary_evidence", "init-data", "kty",
     "attestation_report", "additional_evidence", "cert_chain", "key", "policy", "model", "crv", "alg", "x", "y"]
)  # fmt: skip
_NEAR = st.recursive(_JSON, lambda inner: st.dictionaries(_PARTS, inner, max_size=6), max_leaves=12)
_BODIES = st.binary(max_size=200) | _NEAR.map(lambda value: json.dumps(value).encode())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=_BODIES, step=st.sampled_from(["auth", "attest", "register"]))
async def test_whatever_is_sent_the_answer_is_one_of_the_protocols(world: World, body: bytes, step: str) -> None:
    if step == "register":
        answer = await world.http.put(_PATH, content=body, headers=world.admin_headers)
    else:
        if step == "attest":
            await world.guest().auth()
        answer = await world.http.post(f"/kbs/v0/{step}", content=body)
    assert answer.status_code in {400, 401, 409}
    refusal(answer)


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 50_000, b'{"version":"0.4.0","tee":"snp","version":"0.4.0"}',
             b'{"tee":"\\ud800"}',
             b"1" * 10_000, b'{"version":"0.4.0","tee":"snp","extra-params":NaN}', b"\xff\xfe", b"null"],
)  # fmt: skip
async def test_json_that_two_readers_may_read_differently_is_refused(world: World, body: bytes) -> None:
    answer = await world.http.post("/kbs/v0/auth", content=body)
    assert answer.status_code == 400
    assert refusal(answer).codes == ("kbs.json",)


@pytest.mark.parametrize("extra", ['""', "{}", '{"supported-hash-algorithms":["sha384"]}', "null"])
async def test_extra_params_of_stock_clients_old_and_new_are_accepted(world: World, extra: str) -> None:
    body = f'{{"version":"0.4.0","tee":"snp","extra-params":{extra}}}'
    assert (await world.http.post("/kbs/v0/auth", content=body.encode())).status_code == 200


@pytest.mark.parametrize("version", ["0.3.0", "0.1.1", "0.5.0", "0.4", "0.4.0.0", "1.4.0", ""])
async def test_other_versions_are_refused_with_the_releases_that_fit(world: World, version: str) -> None:
    answer = await world.http.post("/kbs/v0/auth", json={"version": version, "tee": "snp"})
    assert answer.status_code == 401
    assert refusal(answer).codes == ("kbs.protocol-version",)
