"""A served room on a simulated Nitro enclave, whose key AWS KMS releases: every command as its user types it.

Owner: `sealroom seal`, and what ``aws kms encrypt`` does. Operator: `sealroom serve`, in a process of its own.
Caller: a client that verifies. KMS is of ours, on loopback, and asks for the enclave's image and for what it was
launched for.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import openai
import pytest

import sealroom
from sealroom.binding import INIT_DATA_FIELD
from sealroom.embedded.launch import DEMONSTRATION_MODEL
from sealroom.embedded.processes import Child, start
from sealroom.embedded.system import shipped_models
from sealroom.errors import RefusedError
from sealroom.evidence import TrustRoots
from sealroom.testing.kms import SimulatedKms, attested_policy
from sealroom.testing.kms_service import serving_kms
from sealroom.testing.machines import guest_at

pytestmark = [
    pytest.mark.flow,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("room"),
    pytest.mark.skipif(
        not (shipped_models() / DEMONSTRATION_MODEL).exists(), reason="the demonstration model is not installed"
    ),
]

NAME = "smollm2"
INIT_DATA = f'version = "0.1.0"\nalgorithm = "sha384"\n[data]\n"sealroom.model" = "{NAME}"\n'


@dataclass(frozen=True)
class Parts:
    folder: Path
    config: Path
    policy: Path
    kms: SimulatedKms


def run(*words: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-m", "sealroom", *words], check=False, capture_output=True, text=True,
                          cwd=folder, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """The machine and the model: folder, what `seal` said, and what a policy pins of the machine."""
    folder = tmp_path_factory.mktemp("kms")
    (folder / "init.toml").write_text(INIT_DATA)
    machine = run("simulate", "guest", "--kind", "nitro", "--init-data", "init.toml", folder=folder)
    model = str(shipped_models() / DEMONSTRATION_MODEL)
    told = run("seal", model, "--name", NAME, "--key-file", "model.key", "--output", "model.sealed",
               "--publisher-key", "publisher.pem", "--json", folder=folder)  # fmt: skip
    return folder, json.loads(told), machine


@pytest.fixture
def parts(sealed: tuple[Path, dict[str, Any], str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    folder, facts, machine = sealed
    guest: Any = guest_at(folder / "guest").cpu
    kms = SimulatedKms(roots=TrustRoots(insecure_simulated=frozenset({guest.root_fingerprint})))
    names = {"AWS_ACCESS_KEY_ID": kms.caller.access_key, "AWS_SECRET_ACCESS_KEY": kms.caller.secret,
             "AWS_EC2_METADATA_DISABLED": "true"}  # fmt: skip
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    register = INIT_DATA_FIELD["nitro"].removeprefix("pcr")
    pins = {"PCR0": tomllib.loads(machine)["nitro"]["pcr0"][0], f"PCR{register}": guest.pcrs[int(register)].hex()}
    with serving_kms(kms) as served:
        key = kms.create_key(attested_policy({f"kms:RecipientAttestation:{name}": pins[name] for name in pins}))
        client = botocore.session.Session().create_client("kms", region_name=kms.region, endpoint_url=served.address)
        wrapped = client.encrypt(KeyId=key, Plaintext=(folder / "model.key").read_bytes(),
                                 EncryptionContext={"sealroom:package": facts["package_digest"]})  # fmt: skip
        (folder / "model.kms").write_bytes(wrapped["CiphertextBlob"])
        (folder / "room.toml").write_text(
            f'room = 1\n[model]\npackage = "model.sealed"\npublisher = "{facts["publisher"]}"\n'
            f'[release.aws_kms]\nkey = "{key}"\nciphertext = "model.kms"\nendpoint = "{served.address}"\n'
            '[engine]\nname = "llama.cpp"\nslots = 2\ncontext_tokens = 512\nthreads = 1\n'
        )
        engine = run("policy", "engine", "room.toml", folder=folder)
        (folder / "policy.toml").write_text(
            f'policy = 1\nname = "room"\n\n{machine}\n[model]\nname = "{NAME}"\n'
            f'digest = ["{facts["model_digest"]}"]\n{engine}'
        )
        yield Parts(folder, folder / "room.toml", folder / "policy.toml", kms)


async def serve(parts: Parts, guest: str = "guest") -> Child:
    verb = ["serve", "--config", str(parts.config), "--insecure-simulated", str(parts.folder / guest), "--json"]
    return await start("room", verb, log=parts.folder / "room.log")


async def test_a_room_serves_by_a_key_of_kms_and_a_caller_verifies_it(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALROOM_LOG_LEVEL", "DEBUG")
    events: list[Any] = []
    room = await serve(parts)
    try:
        url = (await room.ready(events.append))["url"]
        http = sealroom.async_httpx_client(room=url, policy=parts.policy)
        ai = openai.AsyncOpenAI(http_client=http, base_url=f"{url}/v1", api_key="none", max_retries=0)
        answer = await ai.chat.completions.create(model=NAME, messages=[{"role": "user", "content": "hello"}],
                                                  max_tokens=4, temperature=0)  # fmt: skip
        assert answer.choices[0].message.content
    finally:
        await room.stop()
    states = {event["state"]: event for event in events if event.get("event") == "state"}
    assert states["evidence"]["kms"].startswith("arn:aws:kms:")
    assert states["key-release"]["ciphertext"] == "model.kms"
    secret = json.loads((parts.folder / "model.key").read_text())["key"]
    assert secret not in room.log.read_text() + json.dumps(events)


async def test_the_same_image_launched_for_another_model_gets_no_key(parts: Parts) -> None:
    (parts.folder / "other.toml").write_text(INIT_DATA.replace(NAME, "another"))
    run("simulate", "other", "--kind", "nitro", "--init-data", "other.toml", folder=parts.folder)
    other: Any = guest_at(parts.folder / "other").cpu
    roots = parts.kms.roots.insecure_simulated | {other.root_fingerprint}
    parts.kms.roots = TrustRoots(insecure_simulated=roots)
    room = await serve(parts, "other")
    with pytest.raises(RefusedError) as refusal:
        await room.ready()
    assert refusal.value.code == "aws.kms-refused"
    assert "AccessDeniedException" in str(refusal.value.got), "not for its root, which counts here"
