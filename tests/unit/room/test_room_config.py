"""A configuration says all that it means: unknown, missing and wrong keys are errors that name themselves."""

from datetime import timedelta
from pathlib import Path

import pytest

from sealroom.errors import SealroomError
from sealroom.evidence import Tee
from sealroom.room.config import RoomConfig, parse_room_config

DIGEST = "sha256:" + "ab" * 32
SMALLEST = f"""
room = 1
[model]
package = "m"
publisher = "{DIGEST}"
[release]
broker = "http://127.0.0.1:9"
resource = "models/m/v1"
"""


def read(text: str) -> RoomConfig:
    return parse_room_config(text, source="room.toml", folder=Path("/etc/room"))


def test_the_smallest_configuration_listens_on_loopback_alone() -> None:
    config = read(SMALLEST)
    assert config.package == Path("/etc/room/m")
    assert config.publisher == b"\xab" * 32
    assert config.loopback_only
    assert config.init_data is None
    assert (config.gpus, config.collateral) == (False, None)
    assert config.fetch is None, "no connection is made that nobody asked for"
    assert config.engine.settings == {}


def test_every_key_is_read() -> None:
    config = read(
        SMALLEST
        + """
init_data = "i.toml"
[listen]
host = "0.0.0.0"
port = 8443
[engine]
name = "llama.cpp"
slots = 2
[hardware]
gpus = true
collateral = "along"
[keys]
rotate_hours = 1
statement_minutes = 10
[limits]
queue = 0
idle_seconds = 1.5
"""
    )
    assert config.init_data == Path("/etc/room/i.toml")
    assert not config.loopback_only
    assert (config.gpus, config.collateral) == (True, Path("/etc/room/along"))
    assert config.engine.settings == {"slots": 2}
    assert config.limits.concurrency == 2, "as many at work as there are slots"
    assert config.rotate == timedelta(hours=1)
    assert (config.limits.queue, config.limits.idle_seconds) == (0, 1.5)


def test_a_table_alone_has_the_room_ask_the_vendors_themselves() -> None:
    fetch = read(SMALLEST + "[hardware.fetch]").fetch
    assert fetch is not None
    assert (dict(fetch.addresses), fetch.cache, fetch.insecure_simulated) == ({}, None, frozenset())
    assert (fetch.renew, fetch.wait) == (timedelta(hours=24), timedelta(seconds=60))


def test_every_key_of_fetching_is_read() -> None:
    fetch = read(
        SMALLEST
        + f"""
[hardware.fetch]
intel = "https://pccs.example:8081"
amd = "http://127.0.0.1:9/kds"
nvidia_rims = "https://mirror.example"
nvidia_ocsp = "https://mirror.example/ocsp"
intel_update = "early"
amd_product = "Milan"
cache = "fetched"
renew_hours = 48
wait_seconds = 0
timeout_seconds = 5
insecure_simulated = ["{DIGEST}"]
"""
    ).fetch
    assert fetch is not None
    assert fetch.addresses["intel"] == "https://pccs.example:8081"
    assert sorted(fetch.addresses) == ["amd", "intel", "nvidia_ocsp", "nvidia_rims"]
    assert (fetch.intel_update, fetch.amd_product) == ("early", "Milan")
    assert fetch.cache == Path("/etc/room/fetched")
    assert (fetch.renew, fetch.wait, fetch.timeout) == (timedelta(days=2), timedelta(0), timedelta(seconds=5))
    assert fetch.insecure_simulated == {b"\xab" * 32}


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("service = 1", "service"),
        ('intel = ""', "intel"),
        ("intel = 7", "intel"),
        ('intel = "pccs.example"', "intel"),
        ('intel = "ftp://pccs.example"', "intel"),
        ('intel = "https://"', "intel"),
        ('intel = "https://user:secret@pccs.example"', "intel"),
        ('intel = "https://pccs.example/?key=secret"', "intel"),
        ('intel = "https://pccs.example:99999"', "intel"),
        ('intel = "https://[::1"', "intel"),
        ('intel_update = "latest"', "intel_update"),
        ('amd_product = "Venice"', "amd_product"),
        ("cache = false", "cache"),
        ("renew_hours = 0", "renew_hours"),
        ("renew_hours = true", "renew_hours"),
        ("wait_seconds = 3601", "wait_seconds"),
        ("timeout_seconds = 1.5", "timeout_seconds"),
        ('insecure_simulated = "sha256:00"', "insecure_simulated"),
        ('insecure_simulated = ["sha256:00"]', "insecure_simulated"),
        (f'insecure_simulated = ["{"ab" * 32}"]', "insecure_simulated"),
        ('insecure_simulated = ["sha256:zz"]', "insecure_simulated"),
    ],
)
def test_what_is_wrong_with_fetching_is_named_and_no_password_told(line: str, where: str) -> None:
    with pytest.raises(SealroomError, match=r"room\.config") as caught:
        read(SMALLEST + "[hardware.fetch]\n" + line)
    assert f"[hardware.fetch] {where}" in (caught.value.where or "")
    assert "secret" not in caught.value.diagnostics()


def test_fetching_is_a_table() -> None:
    with pytest.raises(SealroomError, match=r"room\.config"):
        read(SMALLEST + "[hardware]\nfetch = true")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (("room = 1", "room = 2"), "room"),
        (("room = 1", ""), "room"),
        (("room = 1", "room = 1\ndebug = true"), "debug"),
        (("[model]", "[model]\ncolour = 1"), "[model] colour"),
        (('package = "m"', ""), "[model] package"),
        (('package = "m"', "package = 5"), "[model] package"),
        ((DIGEST, "ab" * 32), "[model] publisher"),
        ((DIGEST, "sha256:zz"), "[model] publisher"),
        (("[release]", "[limits]\nqueue = true\n[release]"), "[limits] queue"),
        (("[release]", "[limits]\nqueue = 1.5\n[release]"), "[limits] queue"),
        (("[release]", "[limits]\nqueues = 1\n[release]"), "[limits] queues"),
        (("[release]", "[limits]\nidle_seconds = 0\n[release]"), "idle_seconds"),
        (("[release]", "[engine]\nslot = 1\n[release]"), "[engine] slot"),
        (("[release]", "[engine]\nslots = true\n[release]"), "[engine] slots"),
        (("[release]", "[engine]\nname = 3\n[release]"), "[engine] name"),
        (("[release]", "[listen]\nport = 70000\n[release]"), "[listen] port"),
        (("[release]", "[keys]\nstatement_minutes = 6000\n[release]"), "[keys] statement_minutes"),
        (("[release]", "[hardware]\ngpus = 1\n[release]"), "[hardware] gpus"),
        (("[release]", "[hardware]\ncollateral = 1\n[release]"), "[hardware] collateral"),
        (("[release]", "[hardware]\ngpu = true\n[release]"), "[hardware] gpu"),
        (("[model]", "[[model]]"), "model"),
        (("room = 1", "room ="), "room.toml"),
    ],
)
def test_what_is_wrong_is_named(change: tuple[str, str], where: str) -> None:
    with pytest.raises(SealroomError) as caught:
        read(SMALLEST.replace(*change))
    assert where in (caught.value.where or "")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("127.8.8.8", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.4", False), ("room.example", False), ("127.0.0.1.example", False)],
)  # fmt: skip
def test_only_a_loopback_address_counts_as_one(host: str, *, loopback: bool) -> None:
    assert read(SMALLEST + f'[listen]\nhost = "{host}"').loopback_only is loopback


def test_which_evidence_a_room_gives_can_be_said_by_its_name() -> None:
    assert read(SMALLEST).tee is None
    assert read(SMALLEST + '[hardware]\ntee = "gcp"\n').tee is Tee.GCP


@pytest.mark.parametrize("tee", ['"nvidia"', '"GCP"', '""', "1", '["gcp"]'])
def test_evidence_that_vouches_for_no_room_is_refused(tee: str) -> None:
    with pytest.raises(SealroomError) as error:
        read(SMALLEST + f"[hardware]\ntee = {tee}\n")
    assert (error.value.code, error.value.where) == ("room.config", "room.toml: [hardware] tee")
