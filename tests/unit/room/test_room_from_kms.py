"""A room on Nitro whose key AWS KMS releases: from the owner's key file to a room that serves, and all who would
cheat.

The owner wraps with botocore's own client; KMS is of ours, on loopback, and verifies the enclave's document; silicon
is simulated, and the engine a stub. All else is what serves.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from sealroom.clouds.aws import KmsKey
from sealroom.errors import MalformedError, MisuseError, SealroomError
from sealroom.evidence import Attester, TrustRoots
from sealroom.room.boot import BootEvent, BootState
from sealroom.room.config import RoomConfig, parse_room_config
from sealroom.room.kms_settings import CONTEXT_NAME, KmsSettings
from sealroom.room.service import boot
from sealroom.sealed.keys import ModelKey, encode_key_file
from sealroom.sealed.publisher import PublisherKey
from sealroom.sealed.stores import seal_model, write_key_file
from sealroom.tees import nitro
from sealroom.testing.kms import SimulatedKms, attested_policy
from sealroom.testing.kms_service import ServedKms, serving_kms
from sealroom.testing.nitro import NitroMachine, NitroVendor, SimulatedNitro
from sealroom.testing.snp import SimulatedSnp, SnpPlatform
from sealroom.testing.stub_engine import StubEngine
from sealroom.testing.vendor_service import Reply

VENDOR = NitroVendor.create()
IMAGE = b"\x17" * 48
GUIDE = Path(__file__).parents[3] / "docs/guides/keys-from-aws-kms.md"


def enclave(**options: Any) -> SimulatedNitro:
    return SimulatedNitro(machine=NitroMachine.create(vendor=VENDOR), **{"pcrs": {0: IMAGE}, **options})


@dataclass
class World:
    folder: Path
    kms: SimulatedKms
    served: ServedKms
    key: KmsKey
    publisher: PublisherKey
    digest: str
    """Of the package."""
    secret: ModelKey

    @property
    def config(self) -> RoomConfig:
        kms = KmsSettings(key=self.key, ciphertext=self.folder / "key.kms", endpoint=self.served.address)
        return RoomConfig(package=self.folder / "package", publisher=self.publisher.digest, aws_kms=kms,
                          release_wait=timedelta(0))  # fmt: skip

    def encrypt(self, plaintext: bytes, context: dict[str, str] | None = None, *, key: KmsKey | None = None) -> None:
        """As the owner does with ``aws kms encrypt``."""
        client = botocore.session.Session().create_client("kms", region_name=self.kms.region,
                                                          endpoint_url=self.served.address)  # fmt: skip
        sealed = client.encrypt(KeyId=(key or self.key).arn, Plaintext=plaintext,
                                EncryptionContext=context or {"sealroom:package": self.digest})  # fmt: skip
        (self.folder / "key.kms").write_bytes(sealed["CiphertextBlob"])


def seal(folder: Path, name: str, publisher: PublisherKey) -> tuple[ModelKey, bytes]:
    folder.mkdir(exist_ok=True)
    (folder / "weights.bin").write_bytes(name.encode() * 20_000)
    info = seal_model(folder / "weights.bin", folder / "package", name=name, version=1, publisher=publisher)
    write_key_file(folder / "model.key", info.dek, package_digest=info.package_digest)
    return info.dek, info.package_digest


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    kms = SimulatedKms(roots=TrustRoots(insecure_simulated=frozenset({VENDOR.root_fingerprint})))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", kms.caller.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", kms.caller.secret)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    publisher = PublisherKey.generate()
    secret, digest = seal(tmp_path, "small", publisher)
    with serving_kms(kms) as served:
        key = KmsKey.parse(kms.create_key(attested_policy({"kms:RecipientAttestation:PCR0": IMAGE.hex()})))
        made = World(tmp_path, kms, served, key, publisher, "sha256:" + digest.hex(), secret)
        made.encrypt((tmp_path / "model.key").read_bytes())
        yield made


async def refused(config: RoomConfig, attester: Attester) -> tuple[SealroomError, list[BootEvent]]:
    events: list[BootEvent] = []
    with pytest.raises(SealroomError) as caught:
        await boot(config, attester=attester, on_event=events.append, engine_factory=lambda *_: StubEngine())
    return caught.value, events


async def test_a_room_on_nitro_boots_by_a_key_of_kms_and_proves_itself(world: World) -> None:
    events: list[BootEvent] = []
    guest = enclave()
    room = await boot(world.config, attester=guest, on_event=events.append, engine_factory=lambda *_: StubEngine())
    try:
        assert [event.state for event in events] == list(BootState)[:-1]
        assert events[2].facts == {"kms": world.key.arn}
        assert events[4].facts == {"ciphertext": "key.kms"}
        assert await room.evidence(b"\x01" * 32)
    finally:
        await room.close()


async def test_the_document_that_asked_for_the_key_is_no_evidence_for_callers(world: World) -> None:
    """It is made for one purpose, which its user data names: nobody can pass it off as a room's."""
    guest = enclave()
    asked: list[bytes] = []
    honest = guest.document

    def noted(*words: Any, **named: Any) -> bytes:
        asked.append(honest(*words, **named))
        return asked[-1]

    guest.document = noted  # type: ignore[method-assign]
    room = await boot(world.config, attester=guest, on_event=lambda _: None,
                      engine_factory=lambda *_: StubEngine())  # fmt: skip
    await room.evidence(b"\x01" * 32)
    await room.close()
    for_kms, for_a_caller = (nitro.parse(one).document for one in asked)
    assert for_kms.public_key is not None
    assert for_a_caller.public_key is None
    assert for_kms.user_data != for_a_caller.user_data


@pytest.mark.parametrize("guest", [enclave(pcrs={0: b"\x18" * 48}), enclave(debug=True),
                                   SimulatedNitro(pcrs={0: IMAGE})],
                         ids=["another image", "debug mode", "another root"])  # fmt: skip
async def test_another_machine_gets_no_key_and_has_no_weights(world: World, guest: SimulatedNitro) -> None:
    error, events = await refused(world.config, guest)
    assert error.code == "aws.kms-refused"
    assert BootState.WEIGHTS not in [event.state for event in events]
    assert events[-1].facts == {"code": "aws.kms-refused"}


async def test_a_key_that_was_encrypted_for_another_package_is_refused_by_kms(world: World) -> None:
    world.encrypt((world.folder / "model.key").read_bytes(), {"sealroom:package": "sha256:" + "00" * 32})
    error, _ = await refused(world.config, enclave())
    assert "InvalidCiphertextException" in str(error.got)


async def test_the_key_file_of_another_package_is_refused_even_under_the_right_context(world: World) -> None:
    seal(world.folder / "other", "other", world.publisher)
    world.encrypt((world.folder / "other/model.key").read_bytes())
    error, events = await refused(world.config, enclave())
    assert error.code == "sealed.wrong-key"
    assert BootState.WEIGHTS not in [event.state for event in events]


async def test_a_key_file_that_somebody_else_wrote_for_this_package_opens_nothing(world: World) -> None:
    """Whoever may encrypt, or stands in KMS's place, can name the package; the manifest commits to the key."""
    forged = encode_key_file(ModelKey.generate(), bytes.fromhex(world.digest.removeprefix("sha256:")))
    world.encrypt(forged)
    error, _ = await refused(world.config, enclave())
    assert error.code == "sealed.wrong-key"


@pytest.mark.parametrize("plaintext", [b"\x8d" * 32, b"{}", b"1.5", b'{"format":"sealroom-model-key"}'])
async def test_what_is_no_key_file_is_refused_without_a_word_of_it(world: World, plaintext: bytes) -> None:
    world.encrypt(plaintext)
    error, _ = await refused(world.config, enclave())
    assert (type(error), error.code, error.got) == (MalformedError, "room.kms-key", None)
    assert error.__suppress_context__


async def test_other_silicon_is_told_that_kms_is_for_nitro(world: World, snp_platform: SnpPlatform) -> None:
    error, _ = await refused(world.config, SimulatedSnp(platform=snp_platform))
    assert (type(error), error.code) == (MisuseError, "room.kms-needs-nitro")


async def test_a_ciphertext_that_is_not_there_is_named(world: World) -> None:
    (world.folder / "key.kms").unlink()
    error, _ = await refused(world.config, enclave())
    assert error.code == "room.kms-ciphertext"
    (world.folder / "key.kms").write_bytes(b"")
    assert (await refused(world.config, enclave()))[0].code == "aws.ciphertext"


async def test_kms_that_is_busy_is_asked_again_and_one_that_refuses_is_not(world: World) -> None:
    answers = [503, 503]

    def busy() -> Reply:
        status = answers.pop()
        if not answers:
            world.served.instead = None
        return Reply(body=b"", status=status)

    world.served.instead = busy
    patient = replace(world.config, release_wait=timedelta(seconds=30))
    events: list[BootEvent] = []
    room = await boot(patient, attester=enclave(), on_event=events.append, engine_factory=lambda *_: StubEngine())
    await room.close()
    assert [event.state for event in events].count(BootState.VERIFICATION) == 1
    before = len(world.kms.asked)
    async with asyncio.timeout(20):
        assert (await refused(patient, enclave(debug=True)))[0].code == "aws.kms-refused"
    assert len(world.kms.asked) == before + 1


async def test_no_key_shows_in_what_a_boot_says(world: World, caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []
    with caplog.at_level("DEBUG"), caplog.at_level("DEBUG", logger="sealroom"):
        room = await boot(world.config, attester=enclave(), on_event=lambda event: said.append(str(event.as_dict())),
                          engine_factory=lambda *_: StubEngine())  # fmt: skip
        await room.close()
    told = caplog.text + "".join(said)
    assert "KMS answered" in told
    assert world.secret.secret.hex() not in told
    assert world.kms.caller.access_key not in told


# The configuration.


def configured(release: str) -> RoomConfig:
    text = f'room = 1\n[model]\npackage = "m"\npublisher = "sha256:{"ab" * 32}"\n{release}'
    return parse_room_config(text, source="room.toml", folder=Path("/etc/room"))


ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SMALLEST = f'[release.aws_kms]\nkey = "{ARN}"\nciphertext = "k"\n'


def test_the_table_is_read_and_the_wait_beside_it() -> None:
    config = configured(SMALLEST)
    assert config.aws_kms == KmsSettings(key=KmsKey.parse(ARN), ciphertext=Path("/etc/room/k"))
    assert (config.broker, config.resource) == ("", "")
    config = configured("[release]\nwait_seconds = 5\n" + SMALLEST + 'endpoint = "https://kms.example:8443"\n')
    assert config.release_wait == timedelta(seconds=5)
    assert config.aws_kms is not None
    assert config.aws_kms.endpoint == "https://kms.example:8443"


@pytest.mark.parametrize(
    ("release", "where"),
    [
        ("", "[release] broker"),
        ("[release]\nwait_seconds = 5\n", "[release] broker"),
        ('[release]\nbroker = "http://b"\n', "[release] resource"),
        ('[release]\nbroker = "http://b"\n' + SMALLEST, "[release] broker"),
        ('[release]\nresource = "r"\n' + SMALLEST, "[release] resource"),
        ('[release]\ninit_data = "i"\n' + SMALLEST, "[release] init_data"),
        ("[release]\naws_kms = 7\n", "[release.aws_kms]"),
        ("[release.aws_kms]\n", "[release.aws_kms] ciphertext"),
        (f'[release.aws_kms]\nkey = "{ARN}"\n', "[release.aws_kms] ciphertext"),
        ('[release.aws_kms]\nciphertext = "k"\n', "[release.aws_kms] key"),
        ('[release.aws_kms]\nkey = "alias/model"\nciphertext = "k"\n', "[release.aws_kms] key"),
        (SMALLEST + 'endpoint = "kms"\n', "[release.aws_kms] endpoint"),
        (SMALLEST + "endpoint = 7\n", "[release.aws_kms] endpoint"),
        (SMALLEST + "context = {}\n", "[release.aws_kms] context"),
    ],
)
def test_a_wrong_table_names_its_key(release: str, where: str) -> None:
    with pytest.raises(MalformedError, match=r"room\.config") as refusal:
        configured(release)
    assert str(refusal.value.where).endswith(where)


# The guide.


OWNER = "arn:aws:iam::111122223333:role/owner"
WHOLE_ACCOUNT = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*",
                 "Resource": "*"}  # fmt: skip
"""What AWS puts into new keys."""


def by_the_guide(world: World, *more: dict[str, Any]) -> World:
    """With a key under the guide's policy, this image and package in their places, and encrypted by the owner."""
    (block,) = re.findall(r"```json\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    policy = json.loads(block.replace("PCR0-OF-YOUR-IMAGE", IMAGE.hex()).replace("PACKAGE-DIGEST", world.digest))
    world.key = KmsKey.parse(world.kms.create_key({**policy, "Statement": [*policy["Statement"], *more]}))
    operator, world.kms.caller = world.kms.caller, replace(world.kms.caller, principal=OWNER)
    world.encrypt((world.folder / "model.key").read_bytes())
    world.kms.caller = operator
    return world


async def test_the_key_policy_of_the_guide_releases_to_its_image_alone(world: World) -> None:
    """Read whole by a KMS that refuses what it does not understand."""
    config = by_the_guide(world).config
    room = await boot(config, attester=enclave(), on_event=lambda _: None, engine_factory=lambda *_: StubEngine())
    await room.close()
    for guest in (enclave(pcrs={0: b"\x18" * 48}), enclave(debug=True)):
        assert (await refused(config, guest))[0].code == "aws.kms-refused"


@pytest.mark.parametrize("more", [[], [WHOLE_ACCOUNT]], ids=["as it is", "beside the whole account's"])
@pytest.mark.parametrize(
    "principal", [OWNER, "arn:aws:iam::111122223333:role/room", "arn:aws:iam::111122223333:user/x"]
)
def test_nobody_decrypts_without_a_document_under_the_policy_of_the_guide(
    world: World, principal: str, more: list[dict[str, Any]]
) -> None:
    by_the_guide(world, *more)
    world.kms.caller = replace(world.kms.caller, principal=principal)
    client = botocore.session.Session().create_client("kms", region_name=world.kms.region,
                                                      endpoint_url=world.served.address)  # fmt: skip
    with pytest.raises(Exception, match="AccessDenied"):
        client.decrypt(KeyId=world.key.arn, CiphertextBlob=(world.folder / "key.kms").read_bytes(),
                       EncryptionContext={"sealroom:package": world.digest})  # fmt: skip


def test_what_the_guide_configures_is_a_configuration() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    config = configured(blocks[0].replace("…", "ab"))
    assert config.aws_kms is not None


def test_the_context_of_the_guide_is_ours() -> None:
    given = re.findall(r"--encryption-context '(.*?)'", GUIDE.read_text())
    assert [list(json.loads(one)) for one in given] == [[CONTEXT_NAME]]
