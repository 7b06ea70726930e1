"""What an enemy who holds the storage can do, and how it is noticed. Nothing of a changed model is handed out."""

import hashlib
import itertools
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sealed_world import CHUNK, FILES, PUBLISHER, World, contents, flip, open_descriptors, seal

from sealroom.errors import MalformedError, RefusedError, SealroomError, UnavailableError, UnverifiedError
from sealroom.sealed import ModelKey, PublisherKey
from sealroom.sealed.manifest import parse_manifest
from sealroom.sealed.publisher import verify_manifest
from sealroom.sealed.stores import insecure_unseal_to_folder, open_package, unseal, verify_digests
from sealroom.sealed.wraps import parse_wraps

W1, W2 = "weights-1.gguf", "weights-2.gguf"


def refusal(world: World) -> SealroomError:
    """The error with which the model is refused; no descriptor stays open."""
    before = open_descriptors()
    with pytest.raises(SealroomError) as caught:
        world.unseal()
    assert open_descriptors() == before
    return caught.value


def test_one_flipped_bit_of_the_weights_names_file_chunk_and_offset(world: World) -> None:
    flip(world.data(W1), 2 * CHUNK + 5)
    error = refusal(world)
    assert (type(error), error.code) == (UnverifiedError, "sealed.chunk-not-authentic")
    assert error.where == f"{W1}, chunk 2, offset {2 * CHUNK:#x}"


@pytest.mark.parametrize("path", [path for path, content in FILES.items() if content])
def test_the_last_bit_of_any_file_counts(world: World, path: str) -> None:
    flip(world.data(path), len(FILES[path]) - 1)
    assert refusal(world).code == "sealed.chunk-not-authentic"


def test_two_chunks_swapped_within_a_file_are_noticed_even_if_their_tags_move_with_them(world: World) -> None:
    data = world.data(W1)
    raw = data.read_bytes()
    data.write_bytes(raw[CHUNK : 2 * CHUNK] + raw[:CHUNK] + raw[2 * CHUNK :])
    assert refusal(world).code == "sealed.chunk-not-authentic"
    swap_tags(world, first_tag(W1), first_tag(W1) + 1)
    assert refusal(world).code == "sealed.tag-table"
    sign_tag_table(world)  # an enemy who is also the publisher, to see that the chunks themselves know their place
    assert refusal(world).code == "sealed.chunk-not-authentic"


def test_two_files_of_equal_size_swapped_are_noticed_even_if_their_tags_move_with_them(world: World) -> None:
    one, two = world.data(W1).read_bytes(), world.data(W2).read_bytes()
    world.data(W1).write_bytes(two)
    world.data(W2).write_bytes(one)
    assert refusal(world).code == "sealed.chunk-not-authentic"
    for chunk in range(4):
        swap_tags(world, first_tag(W1) + chunk, first_tag(W2) + chunk)
    sign_tag_table(world)
    assert refusal(world).code == "sealed.chunk-not-authentic"


def test_a_flipped_bit_in_the_tag_table_is_noticed(world: World) -> None:
    flip(world.folder / "tags", 3)
    assert refusal(world).code == "sealed.tag-table"


def test_a_shorter_tag_table_is_noticed_and_a_longer_one_is_not_read(world: World) -> None:
    raw = (world.folder / "tags").read_bytes()
    (world.folder / "tags").write_bytes(raw[:-16])
    assert refusal(world).code == "sealed.tag-table"
    (world.folder / "tags").write_bytes(raw + bytes(16))
    assert refusal(world).code == "sealed.too-large"


@pytest.mark.parametrize(("change", "code"), [(-1, "truncated"), (-CHUNK, "truncated"), (1, "oversized")])
def test_a_data_file_of_another_length_is_noticed_before_any_key_is_needed(
    world: World, change: int, code: str
) -> None:
    os.truncate(world.data(W2), len(FILES[W2]) + change)
    with pytest.raises(MalformedError) as caught:
        world.open()
    assert caught.value.code == f"sealed.{code}-file"
    assert W2 in str(caught.value.where)


def test_a_data_file_that_shrinks_after_it_was_checked_is_noticed(world: World) -> None:
    package = world.open()
    os.truncate(world.data(W1), CHUNK + 5)
    with pytest.raises(MalformedError) as caught:
        unseal(package, world.key)
    assert caught.value.code == "sealed.truncated-file"


def test_a_file_cut_at_a_chunk_border_is_refused_although_each_chunk_that_is_left_is_genuine(world: World) -> None:
    os.truncate(world.data(W1), 3 * CHUNK)
    drop_tag(world, first_tag(W1) + 3)
    world.edit_manifest(lambda m: m["files"][3].update(size=3 * CHUNK))
    sign_tag_table(world)
    assert refusal(world).code == "sealed.wrong-key"  # the key is bound to every file's size


@pytest.mark.parametrize("name", ["manifest.json", "wraps.json", "tags", "data", "data/00003"])
def test_a_missing_file_is_named(world: World, name: str) -> None:
    path = world.folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    error = refusal(world)
    assert (error.code, str(path) in str(error.where)) == ("sealed.missing-file", True)


def test_a_package_without_signature_is_one_that_was_not_finished(world: World) -> None:
    (world.folder / "signature.json").unlink()
    assert refusal(world).code == "sealed.unfinished"


@pytest.mark.parametrize("name", ["extra", ".hidden", "data/00005", "data/0", "data/.x"])
def test_a_file_too_many_is_refused(world: World, name: str) -> None:
    (world.folder / name).write_bytes(b"")
    assert refusal(world).code == "sealed.unexpected-file"


@pytest.mark.parametrize("name", ["manifest.json", "signature.json", "wraps.json", "tags", "data", "data/00003"])
def test_a_symbolic_link_in_a_package_is_refused(world: World, tmp_path: Path, name: str) -> None:
    path = world.folder / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert refusal(world).code == "sealed.not-a-regular-file"


def test_a_pipe_in_a_package_is_refused_without_waiting_for_a_writer(world: World) -> None:
    (world.folder / "wraps.json").unlink()
    os.mkfifo(world.folder / "wraps.json")
    assert refusal(world).code == "sealed.not-a-regular-file"


def test_another_key_is_told_apart_from_damaged_data(world: World) -> None:
    with pytest.raises(UnverifiedError) as caught:
        unseal(world.open(), ModelKey.generate())
    assert caught.value.code == "sealed.wrong-key"


def test_the_key_of_another_version_is_a_wrong_key(tmp_path: Path) -> None:
    one, two = seal(tmp_path), seal(tmp_path, version=2)
    with pytest.raises(UnverifiedError) as caught:
        unseal(two.open(), one.key)
    assert caught.value.code == "sealed.wrong-key"


def test_files_of_another_version_do_not_fit_even_with_their_own_tags(tmp_path: Path) -> None:
    old, new = seal(tmp_path), seal(tmp_path, version=2)
    shutil.copy(old.data(W1), new.data(W1))
    assert refusal(new).code == "sealed.chunk-not-authentic"
    shutil.copy(old.folder / "tags", new.folder / "tags")
    assert refusal(new).code == "sealed.tag-table"
    sign_tag_table(new)
    assert refusal(new).code == "sealed.chunk-not-authentic"


HEAD = ("manifest.json", "signature.json", "tags")


@pytest.mark.parametrize("names", [names for count in (1, 2, 3) for names in itertools.combinations(HEAD, count)])
def test_no_part_of_the_head_of_an_older_version_fits_the_newer_one(tmp_path: Path, names: tuple[str, ...]) -> None:
    old, new = seal(tmp_path), seal(tmp_path, version=2)
    for name in names:
        shutil.copy(old.folder / name, new.folder / name)
    expected = {1: {"sealed.manifest-not-authentic", "sealed.tag-table"}, 2: {"sealed.manifest-not-authentic",
                "sealed.wraps-of-another-package"}, 3: {"sealed.wraps-of-another-package"}}[len(names)]  # fmt: skip
    assert refusal(new).code in expected


def test_a_rollback_to_an_older_authentic_version_is_refused_by_the_floor_alone(tmp_path: Path) -> None:
    old = seal(tmp_path, version=4)
    assert old.open(minimum_version=4).manifest.version == 4
    with pytest.raises(RefusedError) as caught:
        old.open(minimum_version=5)
    assert caught.value.code == "sealed.version-below-minimum"


def heads(world: World) -> tuple[bytes, bytes]:
    return (world.folder / "manifest.json").read_bytes(), (world.folder / "signature.json").read_bytes()


def test_any_flipped_bit_of_manifest_or_signature_is_refused(world: World) -> None:
    manifest, signature = heads(world)
    assert verify_manifest(manifest, signature, publisher=PUBLISHER.digest) == world.info.manifest
    for changed in one_bit_changed(manifest):
        with pytest.raises(UnverifiedError):
            verify_manifest(changed, signature, publisher=PUBLISHER.digest)
    for changed in one_bit_changed(signature):
        with pytest.raises((UnverifiedError, MalformedError)):
            verify_manifest(manifest, changed, publisher=PUBLISHER.digest)


def test_head_files_cut_at_any_byte_or_with_one_too_many_are_refused(world: World) -> None:
    manifest, signature = heads(world)
    wraps = (world.folder / "wraps.json").read_bytes()
    for cut in cut_anywhere(manifest):
        with pytest.raises(MalformedError):
            parse_manifest(cut)
        with pytest.raises(UnverifiedError):
            verify_manifest(cut, signature, publisher=PUBLISHER.digest)
    for cut in cut_anywhere(signature):
        with pytest.raises(MalformedError):
            verify_manifest(manifest, cut, publisher=PUBLISHER.digest)
    for cut in cut_anywhere(wraps):
        with pytest.raises(MalformedError):
            parse_wraps(cut, package_digest=world.info.package_digest)


def one_bit_changed(whole: bytes) -> Iterator[bytes]:
    for offset in range(len(whole)):
        yield whole[:offset] + bytes([whole[offset] ^ 1 << offset % 8]) + whole[offset + 1 :]


def cut_anywhere(whole: bytes) -> Iterator[bytes]:
    yield from (whole[:length] for length in range(len(whole)))
    yield whole + b"\n"


def test_the_signature_of_a_stranger_is_refused_where_a_publisher_is_pinned(world: World) -> None:
    stranger = PublisherKey.generate()
    world.edit_json("manifest.json", lambda m: m.update(publisher=f"sha256:{stranger.digest.hex()}", version=9))
    (world.folder / "signature.json").write_bytes(stranger.sign((world.folder / "manifest.json").read_bytes()))
    assert refusal(world).code == "sealed.wrong-publisher"


def test_the_stranger_s_manifest_does_not_fit_the_owner_s_key_either(world: World) -> None:
    stranger = PublisherKey.generate()
    world.edit_json("manifest.json", lambda m: m.update(publisher=f"sha256:{stranger.digest.hex()}", version=9))
    manifest = (world.folder / "manifest.json").read_bytes()
    (world.folder / "signature.json").write_bytes(stranger.sign(manifest))
    world.edit_json("wraps.json", lambda w: w.update(
        package_digest=f"sha256:{digest_of(manifest)}"))  # fmt: skip
    unpinned = open_package(world.folder, publisher=None)
    assert not unpinned.publisher_pinned
    with pytest.raises(UnverifiedError) as caught:
        unseal(unpinned, world.key)
    assert caught.value.code == "sealed.wrong-key"


def test_a_manifest_that_names_another_publisher_than_its_signer_is_refused(world: World) -> None:
    world.edit_manifest(lambda m: m.update(publisher=f"sha256:{'00' * 32}"))
    assert refusal(world).code == "sealed.wrong-publisher"


def test_pinning_the_key_in_place_of_its_digest_is_explained(world: World) -> None:
    with pytest.raises(UnverifiedError) as caught:
        open_package(world.folder, publisher=PUBLISHER.public_key)
    assert "not the key" in str(caught.value.hint)


def test_nothing_is_left_of_plaintext_on_disk_if_the_last_chunk_is_bad(world: World, tmp_path: Path) -> None:
    flip(world.data(W2), len(FILES[W2]) - 1)
    with pytest.raises(UnverifiedError):
        insecure_unseal_to_folder(world.open(), world.key, tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("out")]


def test_a_holder_of_the_key_who_forges_a_chunk_is_caught_by_the_digest_pass(world: World) -> None:
    # section 6.1: tags protect against strangers; who has the key and the publisher's ear needs the slow check
    world.edit_manifest(lambda m: m["files"][0].update(sha256="ab" * 32))
    world.edit_json("wraps.json", lambda w: w.update(
        package_digest=f"sha256:{digest_of((world.folder / 'manifest.json').read_bytes())}"))  # fmt: skip
    with world.unseal() as model:
        assert contents(model) == FILES
        with pytest.raises(UnverifiedError) as caught:
            verify_digests(model)
    assert caught.value.code == "sealed.digest-mismatch"


def test_too_few_descriptors_are_told_and_those_that_were_opened_are_closed(world: World) -> None:
    package, before = world.open(), open_descriptors()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = (number for number in itertools.count() if str(number) not in before)
    room_for_three = next(itertools.islice(free, 3, None))
    resource.setrlimit(resource.RLIMIT_NOFILE, (room_for_three, limits[1]))
    try:
        with pytest.raises(UnavailableError) as caught:
            unseal(package, world.key)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert caught.value.code == "sealed.too-many-open-files"
    assert open_descriptors() == before


def test_a_folder_that_is_no_package_or_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for name, code in (("empty", "missing-file"), ("absent", "no-access"), ("file", "no-access")):
        with pytest.raises(SealroomError) as caught:
            open_package(tmp_path / name, publisher=None)
        assert caught.value.code == f"sealed.{code}"


def first_tag(path: str) -> int:
    counts = [max(1, -(-len(content) // CHUNK)) for content in FILES.values()]
    return sum(counts[: list(FILES).index(path)])


def swap_tags(world: World, one: int, two: int) -> None:
    path = world.folder / "tags"
    tags = [path.read_bytes()[i : i + 16] for i in range(0, path.stat().st_size, 16)]
    tags[one], tags[two] = tags[two], tags[one]
    path.write_bytes(b"".join(tags))


def drop_tag(world: World, number: int) -> None:
    path = world.folder / "tags"
    raw = path.read_bytes()
    path.write_bytes(raw[: 16 * number] + raw[16 * (number + 1) :])


def sign_tag_table(world: World) -> None:
    """Make manifest, signature and wraps agree with the tag table that lies there."""
    digest = digest_of((world.folder / "tags").read_bytes())
    world.edit_manifest(lambda m: m.update(tag_table=f"sha256:{digest}"))
    manifest = (world.folder / "manifest.json").read_bytes()
    world.edit_json("wraps.json", lambda w: w.update(package_digest=f"sha256:{digest_of(manifest)}"))


def digest_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
