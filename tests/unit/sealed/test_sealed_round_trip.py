"""What is sealed comes back, byte for byte, in memory that can not change any more."""

import fcntl
import hashlib
import mmap
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sealed_world import CHUNK, FILES, PUBLISHER, World, contents, open_descriptors, seal, write_files

from sealroom.errors import MisuseError, UnverifiedError
from sealroom.sealed import DEFAULT_CHUNK_SIZE, ModelKey
from sealroom.sealed.stores import (
    SEALS,
    check_every_chunk,
    insecure_unseal_to_folder,
    open_package,
    reserve,
    seal_model,
    unseal,
    verify_digests,
)


def test_a_folder_of_files_comes_back_byte_for_byte(world: World) -> None:
    with world.unseal() as model:
        assert contents(model) == FILES
        verify_digests(model)


def test_a_single_file_is_a_model_of_one_file(tmp_path: Path) -> None:
    source = tmp_path / "tiny.gguf"
    source.write_bytes(b"weights")
    info = seal_model(source, tmp_path / "s", name="tiny", version=1, publisher=PUBLISHER)
    with unseal(open_package(tmp_path / "s", publisher=PUBLISHER.digest), info.dek) as model:
        assert contents(model) == {"tiny.gguf": b"weights"}


@pytest.mark.parametrize("size", [0, 1, DEFAULT_CHUNK_SIZE - 1, DEFAULT_CHUNK_SIZE, DEFAULT_CHUNK_SIZE + 1])
def test_sizes_around_the_default_chunk_come_back(tmp_path: Path, size: int) -> None:
    world = seal(tmp_path, {"w": os.urandom(size)}, chunk_size=DEFAULT_CHUNK_SIZE)
    with world.unseal() as model:
        assert contents(model) == world.files


_SIZES = st.sampled_from([0, 1, 15, 16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 5 * CHUNK - 1])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(_SIZES, min_size=1, max_size=6), threads=st.integers(1, 4), seed=st.integers(0, 255))
def test_any_set_of_sizes_comes_back_on_any_number_of_threads(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], threads: int, seed: int
) -> None:
    files = {f"d{i % 2}/f{i}": bytes([seed ^ i]) * size for i, size in enumerate(sizes)}
    world = seal(tmp_path_factory.mktemp("any"), files)
    with unseal(world.open(), world.key, threads=threads) as model:
        assert contents(model) == files


def test_ciphertext_lies_at_the_plaintext_s_offsets_and_is_as_long(world: World) -> None:
    for path, content in FILES.items():
        assert world.data(path).stat().st_size == len(content)
    assert b"layers" not in world.data("config.json").read_bytes()


def test_equal_files_have_unequal_ciphertexts_within_a_package_and_between_two(tmp_path: Path) -> None:
    same = {"a": bytes(CHUNK), "b": bytes(CHUNK)}
    one, two = seal(tmp_path, same), seal(tmp_path, same, version=2)
    assert len({w.data(path).read_bytes() for w in (one, two) for path in same}) == 4


def test_the_model_digest_depends_on_the_files_alone(tmp_path: Path) -> None:
    one, two = seal(tmp_path), seal(tmp_path, version=2, chunk_size=2 * CHUNK)
    other = seal(tmp_path, FILES | {"config.json": b"{}"}, version=3)
    assert one.info.model_digest == two.info.model_digest != other.info.model_digest
    assert len({w.info.package_digest for w in (one, two, other)}) == 3


def test_the_memory_can_be_neither_written_grown_shrunk_nor_unsealed(world: World) -> None:
    with world.unseal() as model:
        fd = model.files["config.json"]
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALS == SEALS
        with pytest.raises(PermissionError):
            os.pwrite(fd, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 1)
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 1 << 20)
        with pytest.raises(PermissionError):
            mmap.mmap(fd, 0)  # shared and writable
        with pytest.raises(PermissionError):
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)


def test_the_memory_is_no_file_on_any_disk_and_is_not_inherited_by_accident(world: World) -> None:
    with world.unseal() as model:
        for fd in model.files.values():
            assert str(Path(f"/proc/self/fd/{fd}").readlink()).startswith("/memfd:sealroom-")
            assert not os.get_inheritable(fd)


def test_closing_a_model_gives_every_descriptor_back(world: World) -> None:
    before = open_descriptors()
    model = world.unseal()
    assert len(open_descriptors()) == len(before) + len(FILES)
    model.close()
    model.close()
    assert open_descriptors() == before


def test_memory_reserved_before_there_is_a_key_is_filled_sealed_and_given_away(world: World) -> None:
    package, before = world.open(), open_descriptors()
    memory = reserve(package)
    for fd, entry in zip(memory.descriptors, package.manifest.files, strict=True):
        assert os.fstat(fd).st_size == entry.size
        assert os.fstat(fd).st_blocks * 512 >= entry.size, "the pages are taken already"
    with unseal(package, world.key, memory=memory) as model:
        memory.close()
        assert contents(model) == world.files
        assert {fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALS for fd in model.files.values()} == {SEALS}
    assert open_descriptors() == before


def test_reserved_memory_is_given_back_if_the_key_is_wrong_or_nobody_comes(world: World) -> None:
    before = open_descriptors()
    with pytest.raises(UnverifiedError, match=r"sealed\.wrong-key"):
        unseal(world.open(), ModelKey(os.urandom(32)), memory=reserve(world.open()))
    reserve(world.open()).close()
    assert open_descriptors() == before


def test_memory_reserved_for_another_package_is_not_filled(world: World, tmp_path: Path) -> None:
    other = seal(tmp_path, FILES, version=2)
    with pytest.raises(MisuseError, match=r"sealed\.other-memory"):
        unseal(world.open(), world.key, memory=reserve(other.open()))


def test_progress_is_told_in_the_caller_s_thread_and_ends_at_the_total(world: World) -> None:
    told: list[tuple[int, int]] = []
    total = sum(map(len, FILES.values()))
    unseal(world.open(), world.key, progress=lambda done, of: told.append((done, of))).close()
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_sealing_tells_progress_up_to_the_total(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    source = write_files(tmp_path / "m", FILES)
    seal_model(source, tmp_path / "s", name="n", version=1, publisher=PUBLISHER, chunk_size=CHUNK,
               progress=lambda done, of: told.append((done, of)))  # fmt: skip
    total = sum(map(len, FILES.values()))
    assert told[-1] == (total, total)


def test_a_progress_that_raises_ends_the_work_and_leaves_no_descriptor(world: World) -> None:
    class StoppedError(Exception):
        pass

    def stop(_done: int, _total: int) -> None:
        raise StoppedError

    package, before = world.open(), open_descriptors()
    with pytest.raises(StoppedError):
        unseal(package, world.key, progress=stop)
    assert open_descriptors() == before


def test_a_whole_package_can_be_checked_without_keeping_it(world: World) -> None:
    check_every_chunk(world.open(), world.key)


def test_plaintext_on_disk_is_the_owner_s_alone(world: World, tmp_path: Path) -> None:
    target = tmp_path / "out"
    insecure_unseal_to_folder(world.open(), world.key, target)
    assert {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()} == FILES
    assert {p.stat().st_mode & 0o077 for p in (target, *target.rglob("*"))} == {0}
    with pytest.raises(MisuseError) as caught:
        insecure_unseal_to_folder(world.open(), world.key, target)
    assert caught.value.code == "sealed.target-exists"


@pytest.mark.parametrize("threads", [0, 65])
def test_a_silly_number_of_threads_is_refused(world: World, threads: int) -> None:
    with pytest.raises(MisuseError) as caught:
        unseal(world.open(), world.key, threads=threads)
    assert caught.value.code == "sealed.bad-threads"


def test_the_subject_digest_of_an_openssf_signature_follows_from_the_manifest(
    shared_vectors: Path, tmp_path: Path
) -> None:
    vector = shared_vectors / "kbs" / "oms-v1.1.0-elliptic-key"
    if not vector.is_dir():
        pytest.skip("the OMS vector is not among the recorded vectors")
    files = {name: (vector / f"model__{name}").read_bytes() for name in ("signme-1", "signme-2")}
    world = seal(tmp_path, files)
    assert world.info.manifest.oms_subject_digest.hex() == (
        "92745110b1ab4368471cbe31664e10174e954b113a3df333db860317b2c6dec4"
    )
    assert [entry.sha256 for entry in world.info.manifest.files] == [
        hashlib.sha256(content).digest() for content in files.values()
    ]
