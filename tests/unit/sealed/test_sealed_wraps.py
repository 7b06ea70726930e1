"""Ways to the key: a broker's name for it, or a sealed copy for one recipient; replaced without touching the data."""

import json
import os
import stat
from pathlib import Path

import pyhpke
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sealed_world import FILES, PUBLISHER, World, contents, seal

from sealroom.errors import MalformedError, MisuseError, UnavailableError, UnverifiedError
from sealroom.sealed import HeldByBroker, ModelKey, SealedToKey
from sealroom.sealed.stores import open_package, read_key_file, rewrap, unseal, write_key_file
from sealroom.sealed.wraps import (
    HpkeWrap,
    KbsWrap,
    UnknownWrap,
    encode_wraps,
    load_recipient,
    load_recipient_key,
    open_wrap,
    parse_wraps,
)

DIGEST = bytes(range(32))


def wraps_file(*entries: object, **changes: object) -> bytes:
    document = json.loads(encode_wraps([], DIGEST)) | {"wraps": list(entries)} | changes
    return rfc8785.dumps(document)


def test_a_recipient_opens_what_was_sealed_to_its_key(world: World) -> None:
    recipient, other = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    rewrap(world.open(), world.key, [SealedToKey(public_key=recipient.public_key())], keep_others=True)
    package = world.open()
    with unseal(package, open_wrap(package.wraps, recipient, package.package_digest)) as model:
        assert contents(model) == FILES
    with pytest.raises(UnverifiedError) as caught:
        open_wrap(package.wraps, other, package.package_digest)
    assert caught.value.code == "sealed.no-wrap"


def test_re_keying_touches_no_data_and_no_signature(world: World) -> None:
    def rest() -> dict[Path, tuple[bytes, int]]:
        files = [path for path in world.folder.rglob("*") if path.is_file() and path.name != "wraps.json"]
        return {path: (path.read_bytes(), path.stat().st_ino) for path in files}

    before = rest()
    recipient = X25519PrivateKey.generate()
    rewrap(world.open(), world.key, [SealedToKey(public_key=recipient.public_key())], keep_others=False)
    assert rest() == before
    assert [type(wrap) for wrap in world.open().wraps] == [HpkeWrap]
    with pytest.raises(UnverifiedError) as caught:
        _ = world.open().key_resource
    assert caught.value.code == "sealed.no-wrap"


def test_the_same_broker_is_not_named_twice(world: World) -> None:
    rewrap(world.open(), world.key, [HeldByBroker()], keep_others=True)
    rewrap(world.open(), world.key, [HeldByBroker(tag="blue")], keep_others=True)
    assert [wrap.resource for wrap in world.open().wraps if isinstance(wrap, KbsWrap)] == [
        world.info.resource,
        "models/tiny/blue",
    ]


def test_a_wrong_key_is_not_wrapped_for_anybody(world: World) -> None:
    before = (world.folder / "wraps.json").read_bytes()
    with pytest.raises(UnverifiedError) as caught:
        rewrap(world.open(), ModelKey.generate(), [HeldByBroker()], keep_others=True)
    assert caught.value.code == "sealed.wrong-key"
    assert (world.folder / "wraps.json").read_bytes() == before


def test_re_keying_that_fails_leaves_the_old_wraps_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(world.folder.parent.rglob("*"))

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    package = world.open()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError) as caught:
        rewrap(package, world.key, [HeldByBroker(tag="blue")], keep_others=False)
    assert caught.value.code == "sealed.disk-full"
    assert set(world.folder.parent.rglob("*")) == before
    assert world.open().key_resource == world.info.resource


def test_the_wrap_is_hpke_as_another_implementation_reads_it(world: World) -> None:
    recipient = X25519PrivateKey.generate()
    wrap = SealedToKey(public_key=recipient.public_key()).wrap(world.key, world.info.manifest)
    suite = pyhpke.CipherSuite.new(
        pyhpke.KEMId.DHKEM_X25519_HKDF_SHA256, pyhpke.KDFId.HKDF_SHA256, pyhpke.AEADId.AES256_GCM
    )
    private = suite.kem.deserialize_private_key(recipient.private_bytes_raw())
    info = b"sealroom-sealed-model-v1 wrap\x00" + world.info.package_digest
    context = suite.create_recipient_context(wrap.enc, private, info=info)
    assert context.open(wrap.sealed_key) == world.key.secret


def test_a_wrap_of_another_package_is_refused_wherever_it_is_put(tmp_path: Path) -> None:
    one, two = seal(tmp_path), seal(tmp_path, version=2)
    recipient = X25519PrivateKey.generate()
    rewrap(one.open(), one.key, [SealedToKey(public_key=recipient.public_key())], keep_others=False)
    raw = (one.folder / "wraps.json").read_bytes()
    (two.folder / "wraps.json").write_bytes(raw)
    with pytest.raises(UnverifiedError) as caught:
        two.open()
    assert caught.value.code == "sealed.wraps-of-another-package"
    two.edit_json("wraps.json", lambda w: w.update(package_digest=f"sha256:{two.info.package_digest.hex()}"))
    package = two.open()
    with pytest.raises(UnverifiedError) as caught:
        open_wrap(package.wraps, recipient, package.package_digest)
    assert caught.value.code == "sealed.wrap-not-authentic"


@pytest.mark.parametrize("uri", [
    "kbs://evil.example/models/tiny/v1", "kbs:///models/tiny", "kbs:///models/tiny/v1/x", "kbs:///models/../v1",
    "kbs:///models/tiny/v1?x", "kbs:///models/tiny/v1#x", "kbs:///models/ti ny/v1", "http://x/models/tiny/v1",
    "kbs:///models/tiny/.v1", "kbs:///models/tiny/v1\n", "", None, 7, "kbs:///models/tiny/" + "v" * 129,
])  # fmt: skip
def test_a_key_s_name_that_names_a_host_or_is_no_name_is_refused(uri: object) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_wraps(wraps_file({"kind": "kbs", "uri": uri}), package_digest=DIGEST)
    assert caught.value.code == "sealed.malformed-wraps"


@pytest.mark.parametrize("tag", ["a/b", "..", "", "x y"])
def test_a_tag_that_is_no_path_segment_is_refused(world: World, tag: str) -> None:
    if tag == "":
        assert HeldByBroker(tag=tag).wrap(world.key, world.info.manifest).resource == world.info.resource
        return
    with pytest.raises(MalformedError):
        HeldByBroker(tag=tag).wrap(world.key, world.info.manifest)


@pytest.mark.parametrize("entry", [
    {}, {"kind": 1}, "kbs", {"kind": "kbs"}, {"kind": "hpke-x25519"},
    {"kind": "hpke-x25519", "enc": "00" * 31, "recipient": "sha256:" + "00" * 32, "sealed_key": "00" * 48},
    {"kind": "hpke-x25519", "enc": "00" * 32, "recipient": "00" * 32, "sealed_key": "00" * 48},
    {"kind": "hpke-x25519", "enc": "00" * 32, "recipient": "sha256:" + "00" * 32, "sealed_key": "00" * 47},
])  # fmt: skip
def test_a_wrap_of_a_known_kind_and_another_form_is_refused(entry: object) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_wraps(wraps_file(entry), package_digest=DIGEST)
    assert caught.value.code == "sealed.malformed-wraps"


def test_a_wrap_with_an_unknown_field_is_refused() -> None:
    entry = {"kind": "kbs", "uri": "kbs:///a/b/c", "host": "x"}
    with pytest.raises(MalformedError) as caught:
        parse_wraps(wraps_file(entry), package_digest=DIGEST)
    assert caught.value.code == "sealed.unknown-field"


@pytest.mark.parametrize("changes", [{"wraps": {}}, {"wraps": [{"kind": "x"}] * 1025}, {"package_digest": "x"}])
def test_a_list_of_wraps_of_another_form_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_wraps(wraps_file(**changes), package_digest=DIGEST)
    assert caught.value.code == "sealed.malformed-wraps"


def test_a_wrap_of_a_kind_from_the_future_is_kept_and_not_used(world: World) -> None:
    novelty = {"kind": "cloud-kms", "arn": "x", "blob": [1, 2]}
    world.edit_json("wraps.json", lambda w: w["wraps"].append(novelty))
    rewrap(world.open(), world.key, [HeldByBroker(tag="blue")], keep_others=True)
    kinds = [type(wrap) for wrap in world.open().wraps]
    assert kinds == [KbsWrap, UnknownWrap, KbsWrap]
    assert novelty in json.loads((world.folder / "wraps.json").read_bytes())["wraps"]


def test_changed_wraps_can_keep_a_key_away_but_never_bring_another(world: World) -> None:
    recipient = X25519PrivateKey.generate()
    stranger = SealedToKey(public_key=recipient.public_key())
    planted = stranger.wrap(ModelKey.generate(), world.info.manifest)
    (world.folder / "wraps.json").write_bytes(encode_wraps([planted], world.info.package_digest))
    package = world.open()
    with pytest.raises(UnverifiedError) as caught:
        unseal(package, open_wrap(package.wraps, recipient, package.package_digest))
    assert caught.value.code == "sealed.wrong-key"


def test_recipients_keys_come_from_pem_and_only_x25519_is_taken() -> None:
    key = X25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert load_recipient_key(private).private_bytes_raw() == key.private_bytes_raw()
    assert load_recipient(public).public_key.public_bytes_raw() == key.public_key().public_bytes_raw()
    for load, wrong in ((load_recipient, private), (load_recipient_key, public), (load_recipient_key, b"x"),
                        (load_recipient_key, PUBLISHER.to_pem())):  # fmt: skip
        with pytest.raises(MalformedError) as caught:
            load(wrong)
        assert caught.value.code == "sealed.malformed-recipient"


def test_a_key_file_is_its_owner_s_alone_and_is_never_overwritten(world: World, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    write_key_file(path, world.key, package_digest=world.info.package_digest)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_file(path, package_digest=world.info.package_digest) == world.key
    before = path.read_bytes()
    with pytest.raises(MisuseError) as caught:
        write_key_file(path, ModelKey.generate(), package_digest=world.info.package_digest)
    assert (caught.value.code, path.read_bytes()) == ("sealed.key-file-exists", before)


def test_an_unpinned_package_says_that_it_proves_nothing_about_its_publisher(world: World) -> None:
    assert not open_package(world.folder, publisher=None).publisher_pinned
    assert world.open().publisher_pinned
