"""Whoever floods the broker wears himself out: others still get their keys, and what is kept stays small."""

from pathlib import Path

import httpx
import pytest
from broker_process import running
from broker_world import KEY, GuestUnderTest, World, refusal

from sealroom.broker.app import build_app
from sealroom.broker.rate import AuthRate, Share
from sealroom.kbs.json_text import parse_object
from sealroom.kbs.jwe import open_jwe

_AUTH = {"version": "0.4.0", "tee": "snp"}


def test_a_flood_from_one_address_uses_up_its_own_share_and_no_other() -> None:
    rate = AuthRate(Share(burst=3, per_second=1), loopback=Share(burst=5, per_second=1))

    assert [rate.admit("203.0.113.9", now=10.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert rate.admit("203.0.113.10", now=10.0)
    assert [rate.admit("127.0.0.1", now=10.0) for _ in range(6)] == [True] * 5 + [False]
    assert not rate.admit("::1", now=10.0), "loopback is one place, however it is written"
    assert [rate.admit("203.0.113.9", now=12.5) for _ in range(3)] == [True, True, False]
    assert [rate.admit("203.0.113.9", now=1000.0) for _ in range(4)] == [True] * 3 + [False]


def test_an_ipv6_site_is_one_sender_whatever_address_it_shows() -> None:
    rate = AuthRate(Share(burst=2, per_second=0.001))

    assert [rate.admit(f"2001:db8:1:2::{number}", now=0.0) for number in range(3)] == [True, True, False]
    assert rate.admit("2001:db8:1:3::1", now=0.0)
    assert [rate.admit(f"::ffff:198.51.100.{number}", now=0.0) for number in (1, 1, 1)] == [True, True, False]


def test_what_is_remembered_of_senders_is_bounded() -> None:
    rate = AuthRate(Share(burst=1, per_second=0.001))
    for number in range(10_000):
        rate.admit(f"10.0.{number >> 8}.{number & 255}", now=0.0)

    assert len(rate._buckets) == 4096


async def test_too_many_handshakes_of_one_sender_are_answered_with_503_in_the_protocols_form(world: World) -> None:
    rate = AuthRate(Share(burst=2, per_second=0.001))
    app = build_app(world.broker, world.admin, rate=rate)

    async def begin(address: str) -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://broker.test") as http:
            return await http.post("/kbs/v0/auth", json=_AUTH)

    answers = [await begin("203.0.113.9") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 503]
    assert refusal(answers[-1]).codes == ("broker.too-many-requests",)
    assert int(answers[-1].headers["retry-after"]) > 0
    assert (await begin("203.0.113.10")).status_code == 200


def test_behind_a_proxy_that_names_its_clients_one_of_them_does_not_lock_out_the_others(tmp_path: Path) -> None:
    with running(tmp_path / "broker") as broker, httpx.Client(base_url=broker.url) as http:

        def begin(client: str) -> int:
            return http.post("/kbs/v0/auth", json=_AUTH, headers={"x-forwarded-for": client}).status_code

        flood = [begin("203.0.113.9") for _ in range(500)]
        assert 503 in flood
        assert begin("203.0.113.10") == 200


async def test_when_the_table_is_full_the_oldest_handshake_makes_way_for_the_newest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealroom.broker.stores.sessions.MAX_OPEN", 2)
    world.admin.register(world.registration())
    guest = world.guest()
    forgotten = guest.message(await guest.auth())
    cookie = guest.http.cookies["kbs-session-id"]
    for _ in range(3):  # a flood, and in the middle of it somebody who goes on at once
        await guest.auth()
    token = await guest.attested()
    assert open_jwe(guest.private, (await guest.get(authorization=f"Bearer {token}")).content) == KEY

    guest.http.cookies.set("kbs-session-id", cookie)
    assert refusal(await guest.attest(forgotten)).codes == ("broker.no-session",)


def kept(world: World) -> list[bytes]:
    rows = world.state.database.query("SELECT attestation FROM sessions WHERE attestation IS NOT NULL ORDER BY rowid")
    return [bytes(row[0]) for row in rows]  # type: ignore[arg-type]


async def test_of_an_attestation_only_what_the_release_needs_is_kept(world: World) -> None:
    """Members that nobody reads may ride along unsigned: two megabytes of them, ten thousand times over."""
    world.admin.register(world.registration())
    guest = world.guest()
    message = guest.message(await guest.auth())
    message.primary_evidence["padding"] = "x" * 1_000_000

    answer = await guest.attest(message)

    assert answer.status_code == 200
    (only,) = kept(world)
    assert len(only) < 64 * 1024
    assert "padding" not in parse_object(only, what="kept")["tee-evidence"]["primary_evidence"]  # type: ignore[index,operator]
    token = answer.json()["token"]
    assert open_jwe(guest.private, (await guest.get(authorization=f"Bearer {token}")).content) == KEY


async def test_an_attestation_too_large_to_keep_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealroom.broker.attestation.MAX_KEPT", 1024)
    world.admin.register(world.registration())
    guest = world.guest()

    answer = await guest.attest(guest.message(await guest.auth()))

    assert answer.status_code == 400
    assert refusal(answer).codes == ("broker.attestation-size",)
    assert kept(world) == []


async def test_all_that_is_kept_has_a_bound_and_the_oldest_makes_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.admin.register(world.registration())
    guests: list[tuple[GuestUnderTest, str]] = []
    for _ in range(2):
        guests.append(((guest := world.guest()), await guest.attested()))
    monkeypatch.setattr("sealroom.broker.stores.sessions.MAX_KEPT_TOTAL", sum(map(len, kept(world))) + 100)
    guests.append(((guest := world.guest()), await guest.attested()))

    assert len(kept(world)) == 2
    answers = [await guest.get(authorization=f"Bearer {token}") for guest, token in guests]
    assert [answer.status_code for answer in answers] == [401, 200, 200]
    assert refusal(answers[0]).codes == ("broker.token",)
