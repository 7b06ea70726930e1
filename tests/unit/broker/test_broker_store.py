"""What somebody can do who may write the broker's files but has no key-encryption key: be noticed."""

import sqlite3
from pathlib import Path

import pytest
from broker_world import KEY, RESOURCE, World, policy_for, refusal

from sealroom.broker.stores.state_dir import open_state
from sealroom.errors import MisuseError, SealroomError, UnverifiedError
from sealroom.kbs.messages import ResourceId


class Vandal:
    """Direct access to the database, triggers and foreign keys out of the way."""

    def __init__(self, world: World) -> None:
        self._connection = sqlite3.connect(world.folder / "broker.sqlite", isolation_level=None)
        self._connection.execute("PRAGMA foreign_keys=OFF")
        for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            self._connection.execute(f"DROP TRIGGER {name}")

    def __call__(self, sql: str, *values: object) -> None:
        assert self._connection.execute(sql, values).rowcount != 0

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
async def vandal(world: World):  # type: ignore[no-untyped-def]
    world.admin.register(world.registration())
    vandal = Vandal(world)
    yield vandal
    vandal.close()


async def _refused(world: World) -> tuple[str, ...]:
    guest = world.guest()
    await guest.attested()
    answer = await guest.get()
    assert answer.status_code == 503
    assert refusal(answer).name == "PluginInternalError"
    return refusal(answer).codes


async def test_a_wrapped_key_with_one_bit_changed_is_not_released(world: World, vandal: Vandal) -> None:
    ((wrapped,),) = world.state.database.query("SELECT wrapped FROM wrapped_keys")
    assert isinstance(wrapped, bytes)
    vandal("UPDATE wrapped_keys SET wrapped = ?", wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
    assert await _refused(world) == ("broker.wrapped-key",)


async def test_a_policy_loosened_in_the_database_locks_the_key(world: World, vandal: Vandal) -> None:
    vandal("UPDATE resources SET policy = ?", policy_for(world.platform) + "# looser\n")
    assert await _refused(world) == ("broker.wrapped-key",)


async def test_a_key_moved_to_another_resource_does_not_open(world: World, vandal: Vandal) -> None:
    vandal("UPDATE resources SET id = 'models/smollm2/v9'")
    guest = world.guest()
    await guest.attested()
    assert refusal(await guest.get("models/smollm2/v9")).codes == ("broker.wrapped-key",)


async def test_a_version_renumbered_in_the_database_does_not_open(world: World, vandal: Vandal) -> None:
    vandal("UPDATE resources SET version = 3")
    assert await _refused(world) == ("broker.wrapped-key",)


async def test_a_floor_lowered_in_the_database_is_noticed(world: World, vandal: Vandal) -> None:
    vandal("UPDATE models SET minimum_version = 0")
    assert await _refused(world) == ("broker.store-tampered",)


async def test_a_floor_removed_from_the_database_is_noticed(world: World, vandal: Vandal) -> None:
    vandal("DELETE FROM models")
    assert await _refused(world) == ("broker.store-tampered",)


@pytest.mark.parametrize(
    ("crime", "code"),
    [
        ("UPDATE audit SET body = replace(body, 'smollm2', 'another')", "broker.record-tampered"),
        ("DELETE FROM audit WHERE seq = 2", "broker.record-tampered"),
        ("DELETE FROM audit WHERE seq = 3", "broker.record-tampered"),
        ("DELETE FROM audit", "broker.record-tampered"),
        ("UPDATE audit_head SET seq = 2", "broker.store-tampered"),
        ("DELETE FROM audit_head", "broker.record-tampered"),
        ("UPDATE audit SET seq = seq + 10", "broker.record-tampered"),
    ],
)
async def test_a_record_that_was_changed_shows(world: World, vandal: Vandal, crime: str, code: str) -> None:
    guest = world.guest()
    await guest.attested()
    assert (await guest.get()).status_code == 200
    assert len(world.events()) == 3
    vandal(crime)
    with pytest.raises(UnverifiedError) as caught:
        world.events()
    assert caught.value.code == code


async def test_no_key_leaves_once_the_tail_of_the_record_was_cut(world: World, vandal: Vandal) -> None:
    guest = world.guest()
    await guest.attested()
    assert (await guest.get()).status_code == 200
    vandal("DELETE FROM audit WHERE seq = 3")
    assert refusal(await guest.get()).codes == ("broker.record-tampered",)


async def test_the_database_itself_refuses_to_rewrite_the_record(world: World) -> None:
    world.admin.register(world.registration())
    for crime in ("UPDATE audit SET body = ''", "DELETE FROM audit", "DELETE FROM models",
                  "UPDATE models SET minimum_version = 0"):  # fmt: skip
        with pytest.raises(SealroomError):
            world.state.database.execute(crime)
    assert len(world.events()) == 1


async def test_a_session_never_goes_back(world: World) -> None:
    await world.guest().auth()
    assert world.state.database.execute("UPDATE sessions SET state = 'burnt'") == 1
    with pytest.raises(SealroomError):
        world.state.database.execute("UPDATE sessions SET state = 'challenged'")


async def test_neither_key_nor_token_nor_nonce_lies_readable_in_database_or_record(world: World) -> None:
    key = b"a marked key, thirty-two bytes !"
    world.admin.register(world.registration(key=key))
    guest = world.guest()
    nonce = await guest.auth()
    token = (await guest.attest(guest.message(nonce))).json()["token"]
    assert (await guest.get()).status_code == 200
    stored = b"".join(path.read_bytes() for path in world.folder.glob("broker.sqlite*"))
    assert key not in stored
    assert token.encode() not in stored
    record = str(world.events())
    assert nonce not in record
    assert token not in record
    assert guest.http.cookies["kbs-session-id"] not in record


def test_a_wrong_key_encryption_key_is_an_error_at_the_start(tmp_path: Path) -> None:
    open_state(tmp_path / "b").database.close()
    with pytest.raises(MisuseError, match=r"broker\.wrong-kek"):
        open_state(tmp_path / "b", kek_hex="11" * 32)
    (tmp_path / "b" / "kek").unlink()
    with pytest.raises(MisuseError, match=r"broker\.no-kek"):
        open_state(tmp_path / "b")
    with pytest.raises(MisuseError, match=r"broker\.kek-form"):
        open_state(tmp_path / "b", kek_hex="not hex")


def test_a_key_encryption_key_from_the_environment_is_written_nowhere(tmp_path: Path) -> None:
    state = open_state(tmp_path / "b", kek_hex="42" * 32)
    state.database.close()
    assert not (tmp_path / "b" / "kek").exists()
    assert b"42" * 32 not in b"".join(path.read_bytes() for path in (tmp_path / "b").iterdir())
    open_state(tmp_path / "b", kek_hex="42" * 32).database.close()


@pytest.mark.parametrize("name", ["kek", "admin-token", "token-signing-key.pem", "broker.sqlite", "."])
def test_state_that_others_may_read_is_refused(tmp_path: Path, name: str) -> None:
    open_state(tmp_path / "b").database.close()
    assert all(path.stat().st_mode & 0o077 == 0 for path in [tmp_path / "b", *(tmp_path / "b").iterdir()])
    (tmp_path / "b" / name).chmod(0o755)
    with pytest.raises(MisuseError, match=r"broker\.state-mode"):
        open_state(tmp_path / "b")


def test_looking_at_a_state_that_is_not_there_makes_none(tmp_path: Path) -> None:
    with pytest.raises(MisuseError):
        open_state(tmp_path / "b", create=False)
    assert not (tmp_path / "b").exists()


def test_a_database_of_a_newer_release_is_not_touched(tmp_path: Path) -> None:
    state = open_state(tmp_path / "b")
    state.database.execute("PRAGMA user_version=99")
    state.database.close()
    with pytest.raises(MisuseError, match=r"broker\.database-version"):
        open_state(tmp_path / "b")


async def test_a_restart_loses_nothing(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    await guest.attested()
    again = open_state(world.folder)
    from sealroom.broker.service import Broker

    session_id = guest.http.cookies["kbs-session-id"]
    assert Broker(again, clock=world.clock).release(RESOURCE, bearer=None, session_id=session_id)
    assert [event["event"] for event in world.events()] == ["registered", "attested", "granted"]
    assert again.resources.key(again.resources.all()[0]) == KEY
    again.database.close()


async def test_a_transaction_that_fails_leaves_nothing_behind(world: World) -> None:
    def fail() -> None:
        with world.state.database.transaction():
            world.state.resources.raise_floor("smollm2", 1)
            world.state.resources.put(world_resource(), KEY)
            raise SystemExit

    from sealroom.broker.stores.resources import Resource

    def world_resource() -> Resource:
        return Resource(id=RESOURCE, model="smollm2", version=1)

    with pytest.raises(SystemExit):
        fail()
    assert world.state.resources.find(str(ResourceId.parse(RESOURCE))) is None
    assert world.state.resources.floor("smollm2") is None


@pytest.mark.parametrize("content", ["", " \n", "00", "x" * 64])
def test_an_admin_token_that_is_none_lets_nobody_in(world: World, content: str) -> None:
    (world.folder / "admin-token").write_text(content)
    with pytest.raises(MisuseError, match=r"broker\.state-file"):
        open_state(world.folder)


async def test_a_database_whose_identity_was_taken_away_is_not_taken_for_a_new_one(
    world: World, vandal: Vandal
) -> None:
    vandal("DELETE FROM meta")
    vandal("DELETE FROM audit")
    with pytest.raises(UnverifiedError, match=r"broker\.store-tampered"):
        open_state(world.folder)


async def test_a_version_taken_away_does_not_pass_the_floor(world: World, vandal: Vandal) -> None:
    vandal("PRAGMA ignore_check_constraints=1")
    vandal("UPDATE resources SET version = NULL")
    (resource,) = world.state.resources.all()
    with pytest.raises(UnverifiedError, match=r"broker\.store-tampered"):
        world.state.resources.require_above_floor(resource)
