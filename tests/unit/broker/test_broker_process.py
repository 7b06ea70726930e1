"""Brokers as processes: killed in the middle, two at once on one database, and the command line around them."""

import asyncio
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from broker_process import running, verb
from broker_world import INIT_DATA, KEY, MEASUREMENT, RESOURCE, GuestUnderTest, policy_for, refusal

from sealroom.broker.admin_client import delete_key, read_admin_token, register_key
from sealroom.broker.registration import Registration
from sealroom.errors import MisuseError, RefusedError, SealroomError, UnavailableError
from sealroom.kbs.jwe import open_jwe
from sealroom.kbs.messages import ResourceId
from sealroom.room.key_client import fetch_key
from sealroom.testing.snp import SimulatedSnp, SnpPlatform


@pytest.fixture
def attester(snp_platform: SnpPlatform) -> SimulatedSnp:
    return SimulatedSnp(measurement=MEASUREMENT, host_data=hashlib.sha256(INIT_DATA).digest(), platform=snp_platform)


@pytest.fixture
def registration(snp_platform: SnpPlatform) -> Registration:
    return Registration(
        resource=ResourceId.parse(RESOURCE), key=KEY, policy=policy_for(snp_platform), model_name="smollm2",
        model_version=2,
    )  # fmt: skip


async def test_a_broker_killed_between_attest_and_resource_goes_on_where_it_was(
    tmp_path: Path, attester: SimulatedSnp, registration: Registration
) -> None:
    state = tmp_path / "broker"
    with running(state) as first:
        register_key(first.url, read_admin_token(state / "admin-token"), registration)
        async with httpx.AsyncClient(base_url=first.url) as http:
            guest = GuestUnderTest(http, attester)
            token = await guest.attested()
            session = http.cookies["kbs-session-id"]
            unused = GuestUnderTest(http, attester).message(await guest.auth())
        first.kill()
    with running(state) as second:
        async with httpx.AsyncClient(base_url=second.url) as http:
            by_token = await http.get(f"/kbs/v0/resource/{RESOURCE}", headers={"authorization": f"Bearer {token}"})
            assert open_jwe(guest.private, by_token.content) == KEY
            cookie = {"cookie": f"kbs-session-id={session}"}
            by_cookie = await http.get(f"/kbs/v0/resource/{RESOURCE}", headers=cookie)
            assert open_jwe(guest.private, by_cookie.content) == KEY
            # the burnt nonce stays burnt across the crash
            again = await http.post("/kbs/v0/attest", content=unused.encode(), headers=cookie)
            assert refusal(again).codes == ("broker.nonce-used",)
        assert second.stop() == 0
    log = verb("log", "--state", str(state), "--json")
    assert log.returncode == 0, log.stderr
    events = [json.loads(line)["event"] for line in log.stdout.splitlines()]
    assert events == ["registered", "attested", "granted", "granted"]


async def test_a_broker_killed_again_and_again_never_loses_a_grant_that_it_answered(
    tmp_path: Path, attester: SimulatedSnp, registration: Registration
) -> None:
    state, answered = tmp_path / "broker", 0

    async def ask(url: str) -> None:
        nonlocal answered
        while True:
            assert await fetch_key(url, RESOURCE, attester, init_data=INIT_DATA) == KEY
            answered += 1

    for _ in range(3):
        with running(state) as broker:
            register_key(broker.url, read_admin_token(state / "admin-token"), registration)
            asked = asyncio.create_task(ask(broker.url))
            goal = answered + 3
            while answered < goal and not asked.done():
                await asyncio.wait([asked], timeout=0.01)
            broker.kill()
            with pytest.raises(UnavailableError):
                await asked
    log = verb("log", "--state", str(state), "--json")
    granted = [line for line in log.stdout.splitlines() if json.loads(line)["event"] == "granted"]
    assert log.returncode == 0, log.stderr
    assert answered <= len(granted) <= answered + 3


async def test_two_brokers_on_one_database_spend_a_nonce_once(
    tmp_path: Path, attester: SimulatedSnp, registration: Registration
) -> None:
    state = tmp_path / "broker"
    with running(state) as one, running(state) as other:
        register_key(one.url, read_admin_token(state / "admin-token"), registration)
        async with httpx.AsyncClient() as http:
            for _ in range(5):
                challenge = await http.post(f"{one.url}/kbs/v0/auth", json={"version": "0.4.0", "tee": "snp"})
                cookie = {"cookie": f"kbs-session-id={challenge.cookies['kbs-session-id']}"}
                http.cookies.clear()
                guest = GuestUnderTest(http, attester)
                body = guest.message(challenge.json()["nonce"]).encode()
                answers = await asyncio.gather(*(
                    http.post(f"{url}/kbs/v0/attest", content=body, headers=cookie)
                    for url in (one.url, other.url, one.url, other.url)
                ))  # fmt: skip
                assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
                # what one attested, the other releases
                got = [
                    await http.get(f"{url}/kbs/v0/resource/{RESOURCE}", headers=cookie)
                    for url in (one.url, other.url)
                ]
                assert [open_jwe(guest.private, answer.content) for answer in got] == [KEY, KEY]
    log = verb("log", "--state", str(state), "--json")
    assert log.returncode == 0, log.stderr
    assert len(log.stdout.splitlines()) == 1 + 5 + 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_broker_that_is_asked_to_end_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path / "broker") as broker:
        assert broker.stop(number) == 0


def test_registering_from_elsewhere(tmp_path: Path, registration: Registration) -> None:
    state = tmp_path / "broker"
    with running(state) as broker:
        token = read_admin_token(state / "admin-token")
        register_key(broker.url, token, registration)
        register_key(broker.url, token, registration)
        with pytest.raises(SealroomError, match=r"broker\.admin-token"):
            register_key(broker.url, "wrong", registration)
        keys = verb("keys", "--state", str(state), "--json")
        (row,) = map(json.loads, keys.stdout.splitlines())
        assert (row["resource"], row["version"], row["minimum_version"]) == (RESOURCE, 2, 2)
        assert verb("floor", "smollm2", "3", "--state", str(state)).returncode == 0
        with pytest.raises(RefusedError, match=r"broker\.version-below-floor"):
            register_key(broker.url, token, registration)
        delete_key(broker.url, token, registration.resource)
        with pytest.raises(RefusedError, match=r"broker\.resource-missing"):
            delete_key(broker.url, token, registration.resource)
    with pytest.raises(UnavailableError, match=r"broker\.unreachable"):
        register_key(broker.url, token, registration)


def test_the_admin_token_is_read_from_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with pytest.raises(MisuseError):
        read_admin_token(path)
    path.write_text("secret\n")
    path.chmod(0o644)
    with pytest.raises(MisuseError, match="others may read"):
        read_admin_token(path)
    path.chmod(0o600)
    assert read_admin_token(path) == "secret"


def test_a_record_that_was_cut_is_reported_with_exit_status_4(tmp_path: Path, registration: Registration) -> None:
    state = tmp_path / "broker"
    with running(state) as broker:
        register_key(broker.url, read_admin_token(state / "admin-token"), registration)
        assert broker.stop() == 0
    assert "registered" in verb("log", "--state", str(state)).stdout
    connection = sqlite3.connect(state / "broker.sqlite", isolation_level=None)
    connection.execute("DROP TRIGGER audit_is_not_cut")
    connection.execute("DELETE FROM audit")
    connection.close()
    log = verb("log", "--state", str(state))
    assert log.returncode == 4
    assert "broker.record-tampered" in log.stderr


def test_policies_are_shown_and_set_by_command(tmp_path: Path, registration: Registration) -> None:
    state, policy = tmp_path / "broker", tmp_path / "policy.toml"
    with running(state) as broker:
        register_key(broker.url, read_admin_token(state / "admin-token"), registration)
    assert verb("policy", "show", RESOURCE, "--state", str(state)).stdout == registration.policy
    policy.write_text(registration.policy + "# another\n")
    assert verb("policy", "set", RESOURCE, str(policy), "--state", str(state)).returncode == 0
    assert verb("policy", "show", RESOURCE, "--state", str(state)).stdout == policy.read_text()
    policy.write_text("")
    assert verb("policy", "set", RESOURCE, str(policy), "--state", str(state)).returncode == 3
    assert verb("delete", RESOURCE, "--state", str(state)).returncode == 0
    assert verb("policy", "show", RESOURCE, "--state", str(state)).returncode == 1


def test_other_machines_are_served_only_on_demand(tmp_path: Path) -> None:
    refused = verb("run", "--state", str(tmp_path / "broker"), "--listen", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    assert "broker.not-loopback" in refused.stderr
    assert not (tmp_path / "broker").exists()


def test_options_in_front_of_the_command_are_not_silently_lost(tmp_path: Path) -> None:
    looked = verb("--state", str(tmp_path), "log")
    assert looked.returncode == 2
    assert "broker.option-order" in looked.stderr


def test_looking_into_no_state_is_a_usage_mistake(tmp_path: Path) -> None:
    looked = verb("log", "--state", str(tmp_path / "none"))
    assert looked.returncode == 2
    assert not (tmp_path / "none").exists()


def test_a_broker_leaves_no_core_and_is_open_to_no_debugger_of_its_user(tmp_path: Path) -> None:
    with running(tmp_path / "broker") as broker:
        process = Path("/proc") / str(broker.process.pid)
        limits = (process / "limits").read_text()
        core = next(line.split() for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core[4:6] == ["0", "0"]
        # what is not dumpable belongs to root there, whoever runs it; this says nothing where the tests run as root
        assert (process / "status").stat().st_uid == 0


_TAKING = """
import os, subprocess, sys
from sealroom.room.hardening import take_variable
assert take_variable("SEALROOM_BROKER_KEK") == sys.argv[1]
assert take_variable("SEALROOM_BROKER_KEK") is None
assert "SEALROOM_BROKER_KEK" not in os.environ
sys.stdout.buffer.write(open("/proc/self/environ", "rb").read())
sys.stdout.flush()
subprocess.run(["env"], check=True)
"""


def test_a_kek_from_the_environment_is_there_for_nobody_afterwards(tmp_path: Path) -> None:
    kek = "5e" * 32
    with running(tmp_path / "broker", SEALROOM_BROKER_KEK=kek) as broker:
        assert not (tmp_path / "broker" / "kek").exists()
        assert broker.stop() == 0
    environment = {**os.environ, "SEALROOM_BROKER_KEK": kek}
    done = subprocess.run([sys.executable, "-c", _TAKING, kek], capture_output=True, check=True, env=environment)
    assert kek.encode() not in done.stdout
    assert b"PATH=" in done.stdout, "the test is blind"
