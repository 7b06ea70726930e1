"""Keys from KMS: botocore's own client against a KMS of ours that verifies documents, and whoever stands in between.

Fault gpu-cloud 15: what the parent instance can swap is refused. The document is of simulated hardware; all else is
as in the world: signed requests, JSON, BER.
"""

import base64
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import botocore.session
import pytest

from sealroom.clouds.aws import KmsKey, decrypt, generate_data_key
from sealroom.clouds.aws_transport import KmsTransport
from sealroom.errors import (
    MalformedError,
    MisuseError,
    RefusedError,
    SealroomError,
    UnavailableError,
    UnverifiedError,
)
from sealroom.evidence import TrustRoots
from sealroom.tees.nitro import parse
from sealroom.tees.nitro.collect import NitroModule
from sealroom.testing.guest_devices import EmulatedNsm
from sealroom.testing.kms import KmsError, SimulatedKms, attested_policy
from sealroom.testing.kms_envelope import padded
from sealroom.testing.kms_policy import allows
from sealroom.testing.kms_service import ServedKms, serving_kms
from sealroom.testing.nitro import NitroMachine, NitroVendor, SimulatedNitro
from sealroom.testing.vendor_service import Reply

SECRET = b"the model's key, in a file"
CONTEXT = {"sealroom:package": "sha256:" + "ab" * 32}
VENDOR = NitroVendor.create()
ZEROS = "0" * 96


def guest(**options: Any) -> SimulatedNitro:
    machine = NitroMachine.create(vendor=VENDOR, is_nitro_tpm=options.pop("is_nitro_tpm", False))
    return SimulatedNitro(machine=machine, **options)


GUEST = guest()
PCR0 = GUEST.pcrs[0].hex()


@dataclass
class World:
    kms: SimulatedKms
    served: ServedKms
    key: KmsKey
    ciphertext: bytes

    @property
    def way(self) -> KmsTransport:
        return KmsTransport(self.key, endpoint=self.served.address)

    def key_of(self, guest: SimulatedNitro = GUEST, **changes: Any) -> bytes:
        asked = {"ciphertext": self.ciphertext, "context": CONTEXT, "key": self.key, **changes}
        return decrypt(self.way, guest, asked["key"], asked["ciphertext"], context=asked["context"])

    def other_key(self, conditions: dict[str, str]) -> KmsKey:
        return KmsKey.parse(self.kms.create_key(attested_policy(conditions)))


def owner(kms: SimulatedKms, address: str) -> Any:
    """The model owner's own client."""
    return botocore.session.Session().create_client(
        "kms", region_name=kms.region, endpoint_url=address, aws_access_key_id=kms.caller.access_key,
        aws_secret_access_key=kms.caller.secret,
    )  # fmt: skip


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    kms = SimulatedKms(roots=TrustRoots(insecure_simulated=frozenset({VENDOR.root_fingerprint})))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", kms.caller.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", kms.caller.secret)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    with serving_kms(kms) as served:
        key = KmsKey.parse(kms.create_key(attested_policy({"kms:RecipientAttestation:PCR0": PCR0})))
        sealed = owner(kms, served.address).encrypt(KeyId=key.arn, Plaintext=SECRET, EncryptionContext=CONTEXT)
        yield World(kms, served, key, sealed["CiphertextBlob"])


def refusal_of(world: World, **changes: Any) -> SealroomError:
    with pytest.raises(SealroomError) as refusal:
        world.key_of(**changes)
    assert SECRET.decode() not in refusal.value.diagnostics()
    return refusal.value


def test_an_attested_enclave_gets_what_its_owner_encrypted(world: World) -> None:
    assert world.key_of() == SECRET
    operation, request = world.kms.asked[-1]
    assert operation == "Decrypt"
    assert request["EncryptionContext"] == CONTEXT
    assert request["Recipient"]["KeyEncryptionAlgorithm"] == "RSAES_OAEP_SHA_256"


def test_the_document_says_what_it_is_for_and_its_key_is_used_once(world: World) -> None:
    for _ in range(2):
        world.key_of()
    asked = [request["Recipient"]["AttestationDocument"] for name, request in world.kms.asked if name == "Decrypt"]
    first, second = (parse(base64.b64decode(one)).document for one in asked)
    assert first.public_key != second.public_key
    assert first.user_data is not None
    assert len(first.user_data) == 64
    assert first.user_data != second.user_data


def test_the_real_module_is_asked_in_the_same_way(world: World) -> None:
    device = EmulatedNsm(GUEST.document)
    assert decrypt(world.way, NitroModule(device), world.key, world.ciphertext, context=CONTEXT) == SECRET


def test_a_key_that_kms_makes_is_readable_here_and_again_later(world: World) -> None:
    made = generate_data_key(world.way, GUEST, world.key, context=CONTEXT)
    assert len(made.plaintext) == 32
    assert world.key_of(ciphertext=made.ciphertext) == made.plaintext
    assert made.plaintext.hex() not in repr(made)
    assert repr(made.plaintext) not in repr(made)


def test_a_nitro_tpm_is_asked_for_by_its_own_condition_and_an_enclave_does_not_meet_it(world: World) -> None:
    machine = guest(is_nitro_tpm=True, pcrs={4: b"\4" * 48})
    key = world.other_key({"kms:RecipientAttestation:NitroTPMPCR4": "04" * 48})
    sealed = owner(world.kms, world.served.address).encrypt(
        KeyId=key.arn, Plaintext=SECRET, EncryptionContext=CONTEXT
    )
    assert world.key_of(machine, key=key, ciphertext=sealed["CiphertextBlob"]) == SECRET
    enclave = guest(pcrs={4: b"\4" * 48})
    assert refusal_of(world, guest=enclave, key=key, ciphertext=sealed["CiphertextBlob"]).code == "aws.kms-refused"
    assert refusal_of(world, guest=machine).code == "aws.kms-refused"


@pytest.mark.parametrize("pcrs", [{0: b"\7" * 48}, {0: bytes(48)}])
def test_a_machine_that_the_keys_policy_does_not_name_gets_nothing(world: World, pcrs: dict[int, bytes]) -> None:
    error = refusal_of(world, guest=guest(pcrs=pcrs))
    assert (type(error), error.code) == (RefusedError, "aws.kms-refused")
    assert "AccessDeniedException" in str(error.got)
    assert "PCR" in str(error.hint)


def test_an_enclave_in_debug_mode_gets_nothing_under_the_pin_of_an_image(world: World) -> None:
    assert refusal_of(world, guest=guest(debug=True)).code == "aws.kms-refused"


def test_a_policy_that_names_zeros_gives_the_key_to_every_enclave_in_debug_mode(world: World) -> None:
    """Why the guide says never to do so."""
    key = world.other_key({"kms:RecipientAttestation:ImageSha384": ZEROS})
    sealed = owner(world.kms, world.served.address).encrypt(
        KeyId=key.arn, Plaintext=SECRET, EncryptionContext=CONTEXT
    )
    assert world.key_of(guest(debug=True), key=key, ciphertext=sealed["CiphertextBlob"]) == SECRET


def test_a_machine_under_another_root_gets_nothing(world: World) -> None:
    assert "ValidationException" in str(refusal_of(world, guest=SimulatedNitro(pcrs=GUEST.pcrs)).got)


def test_an_old_document_gets_nothing(world: World) -> None:
    real = world.kms.clock
    world.kms.clock = lambda: real() + timedelta(minutes=6)
    assert "ValidationException" in str(refusal_of(world).got)


def test_without_a_document_the_owners_own_client_gets_nothing_either(world: World) -> None:
    client = owner(world.kms, world.served.address)
    with pytest.raises(Exception, match="AccessDenied"):
        client.decrypt(KeyId=world.key.arn, CiphertextBlob=world.ciphertext, EncryptionContext=CONTEXT)


# What the parent instance can swap.


@pytest.mark.parametrize("context", [{"sealroom:package": "sha256:" + "cd" * 32}, {"other": "x"},
                                     {**CONTEXT, "more": "x"}])  # fmt: skip
def test_a_ciphertext_made_for_something_else_is_refused(world: World, context: dict[str, str]) -> None:
    error = refusal_of(world, context=context)
    assert error.code == "aws.kms-refused"
    assert "InvalidCiphertextException" in str(error.got)
    assert "context" in str(error.hint)


def test_a_ciphertext_of_another_key_is_refused_even_where_that_keys_policy_would_accept(world: World) -> None:
    other = world.other_key({"kms:RecipientAttestation:PCR0": PCR0})
    client = owner(world.kms, world.served.address)
    swapped = client.encrypt(KeyId=other.arn, Plaintext=b"mine", EncryptionContext=CONTEXT)["CiphertextBlob"]
    assert "IncorrectKeyException" in str(refusal_of(world, ciphertext=swapped).got)


def test_a_reply_that_names_another_key_is_refused(world: World) -> None:
    for named in (world.other_key({}).arn, world.key.arn.rpartition("/")[2], "x"):
        world.kms.change_reply = lambda reply, named=named: {**reply, "KeyId": named}  # type: ignore[misc]
        error = refusal_of(world)
        assert (type(error), error.code) == (UnverifiedError, "aws.other-key")
    for nothing in ({}, {"KeyId": None}, {"KeyId": ""}, {"KeyId": 7}):
        world.kms.change_reply = lambda reply, nothing=nothing: {  # type: ignore[misc]
            **{name: value for name, value in reply.items() if name != "KeyId"}, **nothing
        }  # fmt: skip
        assert refusal_of(world).code == "aws.reply"


def test_an_answer_to_another_question_does_not_open(world: World) -> None:
    """Whoever recorded an earlier reply and plays it again."""
    recorded: list[dict[str, Any]] = []
    world.kms.change_reply = lambda reply: recorded.append(reply) or recorded[0]  # type: ignore[func-returns-value]
    assert world.key_of() == SECRET
    error = refusal_of(world)
    assert (type(error), error.code) == (UnverifiedError, "aws.envelope-not-opened")


def test_a_plaintext_beside_the_envelope_is_refused(world: World) -> None:
    world.kms.change_reply = lambda reply: {**reply, "Plaintext": "eA=="}
    assert refusal_of(world).code == "aws.plaintext-in-reply"
    world.kms.change_reply = lambda reply: {**reply, "Plaintext": ""}
    assert world.key_of() == SECRET


def test_a_service_that_knows_no_recipient_is_refused_for_the_plaintext_that_it_gives(world: World) -> None:
    plain = base64.b64encode(SECRET).decode()
    world.kms.change_reply = lambda reply: {"KeyId": reply["KeyId"], "Plaintext": plain}
    assert refusal_of(world).code == "aws.plaintext-in-reply"


def test_a_reply_without_an_envelope_is_no_reply(world: World) -> None:
    world.kms.change_reply = lambda reply: {"KeyId": reply["KeyId"]}
    error = refusal_of(world)
    assert (type(error), error.code, error.where) == (MalformedError, "aws.reply", "CiphertextForRecipient")
    world.kms.change_reply = lambda reply: {name: reply[name] for name in reply if name != "CiphertextBlob"}
    with pytest.raises(MalformedError, match=r"aws\.reply"):
        generate_data_key(world.way, GUEST, world.key, context=CONTEXT)


def test_an_envelope_with_a_fault_is_refused_through_the_whole_way(world: World) -> None:
    for change, code in (
        ({"versions": (0, 2)}, "aws.envelope"),
        ({"cipher": "2.16.840.1.101.3.4.1.2"}, "aws.envelope-algorithm"),
        ({"content": padded(b"")[:-1] + b"\0"}, "aws.envelope-not-opened"),
    ):
        world.kms.change_envelope = lambda form, change=change: replace(form, **change)  # type: ignore[misc]
        assert refusal_of(world).code == code


# The way to KMS.


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (Reply(body=b"", status=503), UnavailableError, "aws.kms-unavailable"),
        (Reply(body=b'{"__type": "ThrottlingException"}', status=400), UnavailableError, "aws.kms-unavailable"),
        (Reply(body=b'{"__type": "KMSInternalException"}', status=500), UnavailableError, "aws.kms-unavailable"),
        (Reply(body=b'{"__type": "ExpiredTokenException"}', status=400), RefusedError, "aws.kms-credentials"),
        (Reply(body=b'{"__type": "DisabledException"}', status=400), RefusedError, "aws.kms-refused"),
        (Reply(body=b"<html>proxy</html>", status=407), RefusedError, "aws.kms-refused"),
        (Reply(body=b"{", status=200), MalformedError, "aws.reply"),
        (Reply(body=b"[]", status=200), MalformedError, "aws.reply"),
        (Reply(body=b'{"CiphertextForRecipient": "!"}', status=200), MalformedError, "aws.reply"),
        (Reply(body=b'{"CiphertextForRecipient": 7}', status=200), MalformedError, "aws.reply"),
        (Reply(body=b"\xff\xfe", status=200), MalformedError, "aws.reply"),
        (Reply(body=b'{"KeyId": "x"}', status=200, cut_at=3), MalformedError, "aws.reply"),
    ],
)  # fmt: skip
def test_what_comes_back_in_place_of_an_answer(world: World, reply: Reply, kind: type, code: str) -> None:
    world.served.instead = lambda: reply
    error = refusal_of(world)
    assert (type(error), error.code) == (kind, code)


def test_each_question_is_asked_once(world: World) -> None:
    asked: list[int] = []
    world.served.instead = lambda: asked.append(1) or Reply(body=b"", status=503)  # type: ignore[func-returns-value]
    refusal_of(world)
    assert len(asked) == 1


def test_nobody_there_is_unavailable(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = KmsTransport(world.key, endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(UnavailableError, match=r"aws\.kms-unreachable"):
            decrypt(nobody, GUEST, world.key, world.ciphertext, context=CONTEXT)


def test_another_secret_is_refused_by_its_signature(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert refusal_of(world).code == "aws.kms-credentials"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    assert refusal_of(world).code == "aws.kms-credentials"


def test_no_credentials_are_told(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    error = refusal_of(world)
    assert (type(error), error.code) == (MisuseError, "aws.no-credentials")


def test_the_environment_sets_neither_another_address_nor_a_proxy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert world.key_of() == SECRET


def test_no_log_level_shows_credentials_or_what_was_answered(world: World, caplog: pytest.LogCaptureFixture) -> None:
    plain = base64.b64encode(SECRET).decode()
    world.kms.change_reply = lambda reply: {**reply, "Plaintext": plain}
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="sealroom"):
        refusal_of(world)
    assert "KMS answered Decrypt" in caplog.text
    assert not any(word in caplog.text for word in (plain, "Signature=", world.kms.caller.access_key))


@pytest.mark.parametrize("endpoint", ["", "kms", "http://kms.example", "ftp://127.0.0.1", "https://", "https://h/p",
                                      "https://u:p@h", "https://h?x", "http://127.0.0.1:99999"])  # fmt: skip
def test_an_endpoint_is_https_or_loopback(world: World, endpoint: str) -> None:
    with pytest.raises(MisuseError, match=r"aws\.endpoint") as refusal:
        KmsTransport(world.key, endpoint=endpoint)
    assert "u:p" not in refusal.value.diagnostics()


# What is asked for.


@pytest.mark.parametrize(
    "text",
    [
        "", "alias/model", "1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-central-1:111122223333:alias/model",
        "arn:aws:s3:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\n",
        "arn:aws:kms::111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ],
)  # fmt: skip
def test_a_key_is_named_by_its_whole_arn(text: str) -> None:
    with pytest.raises(MalformedError, match=r"aws\.key-arn"):
        KmsKey.parse(text)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "eu-central-1"),
        ("arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab", "us-east-1"),
        ("arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "us-gov-west-1"),
        ("arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "cn-north-1"),
    ],
)
def test_a_key_says_its_region(text: str, region: str) -> None:
    assert KmsKey.parse(text) == KmsKey(arn=text, region=region)


@pytest.mark.parametrize("context", [{}, {"": "x"}, {"x": "y" * 9000}])
def test_a_context_is_asked_for(world: World, context: dict[str, str]) -> None:
    assert refusal_of(world, context=context).code == "aws.context"


@pytest.mark.parametrize("size", [0, 6145])
def test_a_ciphertext_has_a_size_that_kms_gives(world: World, size: int) -> None:
    assert refusal_of(world, ciphertext=bytes(size)).code == "aws.ciphertext"


def test_botocore_that_is_not_there_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    error = refusal_of(world)
    assert (type(error), error.code) == (MisuseError, "aws.botocore")
    assert "sealroom[aws]" in str(error.expected)


# The judge itself.


def test_the_simulated_kms_wants_an_algorithm_and_a_key_that_it_can_wrap_for(world: World) -> None:
    def ask(document: bytes, algorithm: str) -> str:
        recipient = {"AttestationDocument": base64.b64encode(document).decode(), "KeyEncryptionAlgorithm": algorithm}
        request = {"KeyId": world.key.arn, "CiphertextBlob": base64.b64encode(world.ciphertext).decode(),
                   "EncryptionContext": CONTEXT, "Recipient": recipient}  # fmt: skip
        with pytest.raises(KmsError) as refusal:
            world.kms.answer("Decrypt", request)
        return refusal.value.name

    assert ask(GUEST.document(public_key=b"no key"), "RSAES_OAEP_SHA_256") == "ValidationException"
    assert ask(GUEST.document(), "RSAES_OAEP_SHA_256") == "ValidationException"
    assert ask(GUEST.document(public_key=b"no key"), "RSAES_OAEP_SHA_1") == "ValidationException"
    assert ask(b"no document", "RSAES_OAEP_SHA_256") == "ValidationException"


@pytest.mark.parametrize(
    "changes",
    [
        {"Condition": {"StringLike": {"kms:RecipientAttestation:PCR0": "*"}}},
        {"Condition": {"StringEquals": {"aws:SourceVpc": "x"}}},
        {"Resource": "arn:x"}, {"NotAction": "x"}, {"Effect": "Perhaps"},
    ],
)  # fmt: skip
def test_a_policy_that_is_not_understood_is_an_error_and_not_a_guess(changes: dict[str, Any]) -> None:
    policy = attested_policy({})
    policy["Statement"][0] |= changes
    with pytest.raises(MisuseError, match=r"simulated\.kms-policy"):
        allows(policy, "arn:aws:iam::111122223333:role/x", "kms:Encrypt", {"kms:RecipientAttestation:PCR0": "x"})
