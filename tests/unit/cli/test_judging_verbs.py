"""verify, policy and inspect as a person and as a program meet them."""

import json
import tomllib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sealroom.binding import Label, report_data
from sealroom.cli.main import _run
from sealroom.collateral import EvidenceBundle, parse_bundle
from sealroom.engines.llama_cpp import LlamaCppEngine
from sealroom.engines.llama_cpp_settings import LlamaCppSettings
from sealroom.engines.sandbox.layers import DEFAULT_REQUIRED
from sealroom.kbs.init_data import write_init_data
from sealroom.pem import as_pem
from sealroom.sealed.publisher import PublisherKey
from sealroom.sealed.stores import seal_model
from sealroom.statement import RoomStatement
from sealroom.testing.snp import DEFAULT_POLICY, POLICY_DEBUG, SimulatedSnp, SnpPlatform

_AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
_TIME = "2026-11-23T12:00:00Z"
_NONCE = "0a" * 32
_STATEMENT = RoomStatement(
    nonce=bytes.fromhex(_NONCE), key_configs=b"no list of keys", model_name="SmolLM2", model_version=3,
    model_digest=b"\x11" * 32, package_digest=b"\x22" * 32, engine_name="llama.cpp", engine_version="1",
    engine_config_digest=b"\x33" * 32, sandbox_layers=("landlock",), software_version="0.1.0", created_at=_AT,
    not_after=_AT + timedelta(minutes=30),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Desk:
    """A folder with a policy, a bundle and a bare report of one simulated machine, and the command line."""

    folder: Path
    platform: SnpPlatform
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str | Path) -> Outcome:
        status = _run([str(word) for word in words])
        captured = self.capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    def bundle(self, **changes: Any) -> Path:
        raw = _STATEMENT.encode()
        guest = SimulatedSnp(platform=self.platform, measurement=b"\x4d" * 48, **changes)
        collected = guest.collect(report_data(Label.ROOM_STATEMENT, raw))
        path = self.folder / "room.cmw"
        path.write_bytes(EvidenceBundle.of(raw, collected).encode())
        return path

    def report(self) -> Path:
        path = self.folder / "report.bin"
        path.write_bytes(SimulatedSnp(platform=self.platform, measurement=b"\x4d" * 48).report(b"\x42" * 64))
        return path

    def policy(self, extra: str = "") -> Path:
        floor = "\n".join(f"{part} = {level}" for part, level in self.platform.tcb.items())
        path = self.folder / "policy.toml"
        path.write_text(
            f'policy = 1\nname = "desk"\n[trust]\ntees = ["snp"]\n'
            f'insecure_simulated = ["sha256:{self.platform.root_fingerprint.hex()}"]\n'
            f'[snp]\nmeasurement = ["{"4d" * 48}"]\nallow = ["smt"]\n[snp.minimum_tcb.Genoa]\n{floor}\n'
            f'[model]\nname = "SmolLM2"\ndigest = ["sha256:{"11" * 32}"]\n'
            f'[engine]\nsandbox_layers = ["landlock"]\n{extra}',
            encoding="utf-8",
        )
        return path

    def certificates(self) -> Path:
        """A folder with leaf, intermediate and root in files whose names and order say nothing, and other things."""
        folder = self.folder / "collateral"
        folder.mkdir(exist_ok=True)
        vendor = self.platform.vendor
        (folder / "a.pem").write_bytes(as_pem(vendor.ark.certificate, vendor.ask.certificate))
        (folder / "b.der").write_bytes(self.platform.leaf)
        (folder / "c.crl").write_bytes(vendor.crl())
        (folder / "notes.txt").write_text("not a certificate")
        return folder


@pytest.fixture(scope="module")
def platform() -> SnpPlatform:
    return SnpPlatform.create()


@pytest.fixture
def desk(tmp_path: Path, platform: SnpPlatform, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, platform, capsys)


def test_an_accepted_room_exits_zero_and_says_simulated(desk: Desk) -> None:
    found = desk.run("verify", desk.bundle(), "--policy", desk.policy(), "--at", _TIME, "--nonce", _NONCE)

    assert found.status == 0
    assert found.out.startswith('ACCEPTED by policy "desk"')
    assert "SIMULATED" in found.out


def test_the_json_of_a_verdict_is_one_object_and_nothing_else(desk: Desk) -> None:
    found = desk.run("verify", desk.bundle(), "--policy", desk.policy(), "--at", _TIME, "--nonce", _NONCE, "--json")

    assert found.json["accepted"] is True
    assert found.json["simulated"] is True
    assert set(found.json) == {"accepted", "simulated", "checks"}


def test_a_recording_without_a_nonce_is_refused_for_its_freshness(desk: Desk) -> None:
    found = desk.run("verify", desk.bundle(), "--policy", desk.policy(), "--at", _TIME, "--json")

    assert found.status == 1
    assert [check["code"] for check in found.json["checks"] if not check["passed"]] == ["freshness.no-nonce"]


def test_a_recording_passes_where_the_policy_leaves_freshness_open(desk: Desk) -> None:
    policy = desk.policy('[unchecked]\nfreshness = "a recording"\n')
    found = desk.run("verify", desk.bundle(), "--policy", policy, "--at", _TIME)

    assert found.status == 0
    assert "not checked" in found.out


def test_a_debug_guest_exits_one_with_every_reason(desk: Desk) -> None:
    bundle = desk.bundle(policy=DEFAULT_POLICY | POLICY_DEBUG)
    found = desk.run("verify", bundle, "--policy", desk.policy(), "--at", _TIME)

    assert found.status == 1
    assert "[snp.debug]" in found.out
    assert "[freshness.no-nonce]" in found.out


def test_another_nonce_exits_four(desk: Desk) -> None:
    found = desk.run("verify", desk.bundle(), "--policy", desk.policy(), "--at", _TIME, "--nonce", "0b" * 32)

    assert found.status == 4
    assert "binding.nonce" in found.err


def test_a_cut_bundle_exits_three(desk: Desk) -> None:
    path = desk.bundle()
    path.write_bytes(path.read_bytes()[:-1])

    assert desk.run("verify", path, "--policy", desk.policy(), "--at", _TIME).status == 3


def test_an_empty_policy_exits_three(desk: Desk) -> None:
    empty = desk.folder / "empty.toml"
    empty.write_text("")

    found = desk.run("verify", desk.bundle(), "--policy", empty, "--at", _TIME)

    assert found.status == 3
    assert "policy.empty" in found.err


@pytest.mark.parametrize(
    "words",
    [
        ("--at", "2026-11-23T12:00:00"),
        ("--at", "yesterday"),
        ("--nonce", "0a"),
        ("--nonce", "zz" * 32),
        ("--collateral", "."),
        ("--report-data", "00" * 64),
    ],
)
def test_a_wrong_option_exits_two(desk: Desk, words: tuple[str, str]) -> None:
    assert desk.run("verify", desk.bundle(), "--policy", desk.policy(), *words).status == 2


def test_a_missing_file_exits_two_and_no_trace_is_shown(desk: Desk) -> None:
    found = desk.run("verify", desk.folder / "nothing", "--policy", desk.policy())

    assert found.status == 2
    assert "Traceback" not in found.err


def test_simulated_hardware_is_unverified_without_a_policy(desk: Desk) -> None:
    assert desk.run("verify", desk.bundle(), "--at", _TIME).status == 4


def test_a_bare_report_is_judged_with_certificates_in_any_order(desk: Desk) -> None:
    policy = desk.policy('[unchecked]\nfreshness = "a recording"\n')
    words = ("verify", desk.report(), "--policy", policy, "--at", _TIME, "--collateral", desk.certificates())

    assert desk.run(*words).status == 1
    assert desk.run(*words, "--report-data", "42" * 64).status == 0
    assert desk.run(*words, "--report-data", "43" * 64).status == 4


def test_a_bare_report_without_certificates_is_unverified(desk: Desk) -> None:
    found = desk.run("verify", desk.report(), "--policy", desk.policy(), "--at", _TIME)

    assert found.status == 4
    assert "collateral.missing" in found.err


def test_recorded_silicon_is_accepted_without_a_policy_and_debug_silicon_is_not(
    desk: Desk, shared_vectors: Path
) -> None:
    for name, status in (("v5-genoa-zen4c", 0), ("v2-milan-debug", 1)):
        folder = shared_vectors / "snp" / name
        words = ("--collateral", folder, "--at", "2026-06-01T00:00:00Z")
        assert desk.run("verify", folder / "report.bin", *words).status == status


def test_a_policy_is_checked_and_explained(desk: Desk) -> None:
    policy = desk.policy('[unchecked]\nfreshness = "a recording"\n')

    checked, explained = desk.run("policy", "check", policy), desk.run("policy", "explain", policy)
    assert checked.status == explained.status == 0
    assert "SIMULATED root accepted" in checked.out
    assert "freshness (a recording)" in checked.out
    assert "4d" * 48 in explained.out
    assert desk.run("policy", "check", policy, "--json").json["unchecked"] == {"freshness": "a recording"}
    assert desk.run("policy", "explain", policy, "--json").json["explanation"][0].startswith('Policy "desk"')


_ROOM = f"""\
room = 1
[model]
package = "p"
publisher = "sha256:{"11" * 32}"
[release]
broker = "http://127.0.0.1:1"
resource = "models/small/v1"
[engine]
slots = 3
"""


def test_the_part_of_a_policy_about_the_engine_is_what_a_room_of_that_configuration_states(desk: Desk) -> None:
    room = desk.folder / "room.toml"
    room.write_text(_ROOM)
    stated = LlamaCppEngine(LlamaCppSettings(model_name="small", slots=3))

    found = desk.run("policy", "engine", room, "--model", "small")

    section = tomllib.loads(found.out)["engine"]
    assert section["config_digest"] == [f"sha256:{stated.config_digest.hex()}"]
    assert set(section["sandbox_layers"]) == DEFAULT_REQUIRED
    assert desk.run("policy", "engine", room, "--model", "small", "--json").json == {
        "config_digest": section["config_digest"][0], "sandbox_layers": section["sandbox_layers"],
    }  # fmt: skip
    room.write_text(_ROOM + "insecure_allow_missing_layers = true\n")
    insecure = tomllib.loads(desk.run("policy", "engine", room, "--model", "small").out)["engine"]
    assert insecure.keys() == {"config_digest"}, "to accept a missing sandbox, somebody has to write it by hand"
    assert insecure["config_digest"] != section["config_digest"]


def test_the_engines_part_needs_a_model_whose_name_is_known(desk: Desk) -> None:
    room = desk.folder / "room.toml"
    room.write_text(_ROOM)

    assert desk.run("policy", "engine", room).status != 0
    room.write_bytes(b"room = 1\n\xff")
    assert "(room.config)" in desk.run("policy", "engine", room, "--model", "small").err


def test_a_policy_with_a_typing_error_is_refused_with_line_and_hint(desk: Desk) -> None:
    path = desk.policy()
    path.write_text(path.read_text().replace("allow =", "alow ="))

    found = desk.run("policy", "check", path)

    assert found.status == 3
    assert f"{path}:8: [snp] alow" in found.err
    assert "did you mean 'allow'?" in found.err


def test_inspect_shows_each_kind_and_says_that_nothing_is_verified(desk: Desk) -> None:
    statement = desk.folder / "statement.json"
    statement.write_bytes(_STATEMENT.encode())
    leaf = desk.certificates() / "b.der"
    for target, kind, expected in (
        (desk.bundle(), "evidence bundle", "can not be read"),
        (desk.report(), "SEV-SNP attestation report, version 3", "bootloader 10"),
        (desk.policy(), "policy", "SmolLM2"),
        (statement, "room statement", "SmolLM2"),
        (leaf, "certificate", "SEV-VCEK"),
        (leaf.parent / "a.pem", "2 certificates", "ARK-Genoa"),
        (leaf.parent / "c.crl", "certificate revocation list", "ARK-Genoa"),
    ):
        found, as_json = desk.run("inspect", target), desk.run("inspect", target, "--json")
        assert found.status == 0, found.err
        assert found.out.startswith(kind)
        assert "nothing here is verified" in found.out.splitlines()[0]
        assert expected in found.out
        assert as_json.json["verified"] is False


def test_inspect_does_not_show_private_keys(desk: Desk) -> None:
    secret = "c2VjcmV0"
    for number, document in enumerate(({"kty": "EC", "d": secret}, {"format": "key file", "key": secret})):
        path = desk.folder / f"{number}.json"
        path.write_text(json.dumps({"keys": [document]}))
        assert secret not in desk.run("inspect", path).out
        assert secret not in desk.run("inspect", path, "--json").out


@pytest.mark.parametrize(
    "secret", ["5ec2e7" * 11, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n", "GGUF5ec2e7"]
)
def test_inspect_shows_nothing_of_what_may_be_secret(desk: Desk, secret: str) -> None:
    path = desk.folder / "kek"
    path.write_text(secret)

    found = desk.run("inspect", path)

    for piece in ("5ec2e7", "35656332", "MC4C"):
        assert piece not in found.out + found.err


def test_inspect_tells_our_documents_apart_by_their_own_words(desk: Desk) -> None:
    init, room = desk.folder / "init-data.toml", desk.folder / "room.toml"
    init.write_bytes(write_init_data({"sealroom.model": "small"}))
    room.write_text(
        f'room = 1\n[model]\npackage = "p"\npublisher = "sha256:{"11" * 32}"\n'
        '[release]\nbroker = "http://127.0.0.1:1"\nresource = "models/small/v1"\n'
    )

    assert desk.run("inspect", init, "--json").json["content"]["digest"].startswith("sha256:")
    assert desk.run("inspect", room).out.startswith("configuration of a room")
    room.write_text("room = 2\n")
    assert "(room.config)" in desk.run("inspect", room).err


def test_what_a_stranger_wrote_can_not_reach_the_terminal_as_control_characters(desk: Desk) -> None:
    path = desk.folder / "evil.json"
    path.write_text(json.dumps({"\x1b[2J": "\x1b]0;owned\x07", "x": ["\u202egnp.exe"]}))

    shown = desk.run("inspect", path).out

    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "owned" in shown


@pytest.mark.parametrize(
    "raw", [b"", b"\x00\x01\x02", b"\xa3", b"\x30\x82\x00", b"{", b"\x03\x00\x00\x00", b"\xff" * 50]
)
def test_inspect_refuses_what_it_can_not_read_and_no_foreign_error_escapes(desk: Desk, raw: bytes) -> None:
    path = desk.folder / "thing"
    path.write_bytes(raw)

    assert desk.run("inspect", path).status == 3


def test_inspect_reads_recorded_tokens_and_keys(desk: Desk, shared_vectors: Path) -> None:
    found = desk.run("inspect", shared_vectors / "kbs" / "jwe-p256" / "response.json", "--json")

    assert found.json["kind"] == "JWE, flattened JSON"
    assert found.json["content"]["protected"]["enc"] == "A256GCM"


def test_inspect_shows_a_sealed_model_from_its_folder(desk: Desk) -> None:
    source, sealed = desk.folder / "model", desk.folder / "sealed"
    source.mkdir()
    (source / "weights.gguf").write_bytes(b"weights" * 1000)
    seal_model(source, sealed, name="small", version=7, publisher=PublisherKey.generate())

    found = desk.run("inspect", sealed, "--json")

    assert found.json["kind"] == "sealed model"
    assert found.json["content"]["manifest.json"]["version"] == 7
    assert "data/00000: 7000 bytes" in found.json["content"]["files"]
    assert desk.run("inspect", source).status == 2


def test_a_statement_of_another_room_is_seen_through(desk: Desk) -> None:
    """The bundle of the command line is judged by the same join as everywhere else."""
    path = desk.bundle()
    spliced = replace(parse_bundle(path.read_bytes()), statement=replace(_STATEMENT, model_name="Other").encode())
    path.write_bytes(spliced.encode())

    found = desk.run("verify", path, "--policy", desk.policy(), "--at", _TIME)

    assert found.status == 4
    assert "binding.report-data" in found.err
