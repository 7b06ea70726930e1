"""Sealing ends with a whole package under its name, or with nothing that opens and a clear word about it."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sealed_world import CHUNK, FILES, PUBLISHER, contents, open_descriptors, seal, write_files

from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError
from sealroom.sealed import PublisherKey
from sealroom.sealed.stores import SealedModelInfo, open_package, seal_model, unseal


def seal_to(source: Path, target: Path, **options: object) -> SealedModelInfo:
    wanted = {"name": "tiny", "version": 1, "publisher": PUBLISHER, "chunk_size": CHUNK} | options
    return seal_model(source, target, **wanted)  # type: ignore[arg-type]


def refusal(source: Path, target: Path, **options: object) -> SealroomError:
    """The error of a sealing that leaves nothing behind: no folder, no descriptor."""
    before, descriptors = set(target.parent.rglob("*")), open_descriptors()
    with pytest.raises(SealroomError) as caught:
        seal_to(source, target, **options)
    assert set(target.parent.rglob("*")) == before
    assert open_descriptors() == descriptors
    return caught.value


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_files(tmp_path / "model", FILES)


def test_a_target_that_exists_is_never_overwritten(model: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("there", "dangling"):
        assert refusal(model, tmp_path / name).code == "sealed.target-exists"


def test_a_target_that_appears_while_the_model_is_sealed_is_not_overwritten_either(
    model: Path, tmp_path: Path
) -> None:
    target = tmp_path / "s"

    def appear(_info: SealedModelInfo) -> None:
        target.mkdir()

    with pytest.raises(MisuseError) as caught:
        seal_to(model, target, keep_key=appear)
    assert caught.value.code == "sealed.target-exists"
    assert list(target.iterdir()) == []


def test_a_target_among_the_files_to_seal_is_refused(model: Path) -> None:
    assert refusal(model, model / "sealed").code == "sealed.target-inside-source"


def test_a_target_without_a_parent_folder_is_refused(model: Path, tmp_path: Path) -> None:
    assert refusal(model, tmp_path / "no" / "such" / "place").code == "sealed.no-access"


@pytest.mark.parametrize("name", ["..", "x.partial-00"])
def test_a_name_that_means_unfinished_or_elsewhere_is_refused(model: Path, tmp_path: Path, name: str) -> None:
    assert refusal(model, tmp_path / name).code == "sealed.bad-target"


def test_a_model_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model" / "folder").mkdir(parents=True)
    assert refusal(tmp_path / "model", tmp_path / "s").code == "sealed.nothing-to-seal"


def test_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "model", tmp_path / "s").code == "sealed.no-access"


def test_links_pipes_and_sockets_in_a_model_are_refused(model: Path, tmp_path: Path) -> None:
    (model / "link").symlink_to(model / "config.json")
    assert refusal(model, tmp_path / "s").code == "sealed.not-a-regular-file"
    (model / "link").unlink()
    os.mkfifo(model / "pipe")
    assert refusal(model, tmp_path / "s").code == "sealed.not-a-regular-file"


@pytest.mark.parametrize(("names", "code"), [
    (["back\\slash"], "unsafe-path"), (["new\nline"], "unsafe-path"), (["de\u0301compose\u0301"], "unsafe-path"),
    ([b"not-utf-8-\xff"], "unsafe-path"), (["README", "readme"], "path-collision"), (["A", "a/b"], "path-collision"),
])  # fmt: skip
def test_names_that_do_not_travel_are_refused(tmp_path: Path, names: list[str | bytes], code: str) -> None:
    source = tmp_path / "model"
    for name in names:
        path = Path(os.fsdecode(os.fsencode(source) + b"/" + os.fsencode(name)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    error = refusal(source, tmp_path / "s")
    assert (type(error), error.code) == (MalformedError, f"sealed.{code}")


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "é", "x" * 129, "-\n"])
def test_a_name_that_could_not_stand_in_a_key_s_path_is_refused(model: Path, tmp_path: Path, name: str) -> None:
    assert refusal(model, tmp_path / "s", name=name).code == "sealed.bad-name"


@pytest.mark.parametrize("version", [0, -1, 1 << 53])
def test_a_version_outside_its_range_is_refused(model: Path, tmp_path: Path, version: int) -> None:
    assert refusal(model, tmp_path / "s", version=version).code == "sealed.bad-version"


@pytest.mark.parametrize("size", [0, CHUNK - 1, CHUNK // 2, 3 * CHUNK, 32 << 20])
def test_a_chunk_size_that_the_format_does_not_know_is_refused(model: Path, tmp_path: Path, size: int) -> None:
    assert refusal(model, tmp_path / "s", chunk_size=size).code == "sealed.malformed-manifest"


def test_a_file_that_grows_while_it_is_sealed_is_noticed(model: Path, tmp_path: Path) -> None:
    def grow(_done: int, _total: int) -> None:
        with (model / "weights-2.gguf").open("ab") as file:
            file.write(b"x")

    assert refusal(model, tmp_path / "s", progress=grow).code == "sealed.source-changed"


def test_a_file_that_is_rewritten_in_place_while_it_is_sealed_is_noticed(model: Path, tmp_path: Path) -> None:
    weights = model / "weights-2.gguf"
    seen = len(FILES["config.json"]) + len(FILES["nested/deep/tokenizer.json"]) + len(FILES["weights-1.gguf"])

    def rewrite(done: int, _total: int) -> None:
        if seen < done < seen + len(FILES["weights-2.gguf"]):
            weights.write_bytes(FILES["weights-1.gguf"])

    assert refusal(model, tmp_path / "s", progress=rewrite).code == "sealed.source-changed"


def test_a_file_that_is_cut_while_it_is_sealed_is_noticed(model: Path, tmp_path: Path) -> None:
    def cut(_done: int, _total: int) -> None:
        os.truncate(model / "weights-1.gguf", CHUNK)

    assert refusal(model, tmp_path / "s", progress=cut).code == "sealed.source-changed"


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(tmp_path: Path, small_disk: Path) -> None:
    model = write_files(tmp_path / "model", {"w": bytes(9 << 20)})
    error = refusal(model, small_disk / "s")
    assert (type(error), error.code, error.hint) == (UnavailableError, "sealed.disk-full", "nothing was written")


def test_a_disk_that_becomes_full_is_told_and_what_was_written_is_removed(tmp_path: Path, small_disk: Path) -> None:
    model = write_files(tmp_path / "model", {"w": os.urandom(6 << 20)})

    def others_write_too(done: int, _total: int) -> None:
        if done == CHUNK:
            with (small_disk / "others").open("wb", buffering=0) as file:
                file.write(bytes(7 << 20))

    with pytest.raises(UnavailableError) as caught:
        seal_to(model, small_disk / "s", progress=others_write_too)
    assert caught.value.code == "sealed.disk-full"
    assert "removed" in str(caught.value.hint)
    assert [path.name for path in small_disk.iterdir()] == ["others"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 8 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can be mounted by root only")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_limit_on_file_size_is_told_as_no_room(tmp_path: Path) -> None:
    model = write_files(tmp_path / "model", {"w": os.urandom(4 * CHUNK)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * CHUNK, limits[1]))
    try:
        error = refusal(model, tmp_path / "s")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.code == "sealed.disk-full"


_KILLED = """
import os, signal, sys
from pathlib import Path
from sealroom.sealed import PublisherKey
from sealroom.sealed.stores import seal_model

source, target, moment, publisher = sys.argv[1:]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def keep(info):
    Path(target + ".key").write_bytes(info.dek.secret)
    if moment == "after the key is kept":
        die()

def half(done, total):
    if moment == "half way" and 2 * done > total:
        die()

def die_on(name):
    real = getattr(os, name)
    def wrapped(*args, **kw):
        if str(args[-1]) == target:
            die()
        return real(*args, **kw)
    setattr(os, name, wrapped)

if moment == "before it gets its name":
    die_on("rename")
seal_model(Path(source), Path(target), name="tiny", version=1, chunk_size=65536, keep_key=keep, progress=half,
           publisher=PublisherKey.from_pem(bytes.fromhex(publisher)))
print("was not killed")
"""


@pytest.mark.parametrize("moment", ["half way", "after the key is kept", "before it gets its name"])
def test_sealing_that_is_killed_leaves_nothing_that_opens(model: Path, tmp_path: Path, moment: str) -> None:
    target = tmp_path / "s"
    command = [sys.executable, "-c", _KILLED, str(model), str(target), moment, PUBLISHER.to_pem().hex()]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b""), done.stderr.decode()
    assert not target.exists()
    (left,) = (path for path in tmp_path.iterdir() if ".partial-" in path.name)
    with pytest.raises(MalformedError) as caught:
        open_package(left, publisher=PUBLISHER.digest)
    assert caught.value.code == "sealed.unfinished"
    left.rename(tmp_path / "looks-fine")
    if moment != "before it gets its name":
        with pytest.raises(MalformedError) as caught:
            open_package(tmp_path / "looks-fine", publisher=PUBLISHER.digest)
        assert caught.value.code == "sealed.unfinished"
    else:  # whole but for its name: then its key was kept, and whoever gives it a name loses nothing
        assert (tmp_path / "s.key").exists()
    info = seal_to(model, target)  # and the next attempt is not in its way
    with unseal(open_package(target, publisher=PUBLISHER.digest), info.dek) as again:
        assert contents(again) == FILES


def test_an_interrupted_sealing_is_undone(model: Path, tmp_path: Path) -> None:
    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    before = set(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        seal_to(model, tmp_path / "s", progress=interrupt)
    assert set(tmp_path.rglob("*")) == before


def test_the_key_is_kept_before_anything_opens_and_sealing_is_undone_if_nobody_takes_it(
    model: Path, tmp_path: Path
) -> None:
    def nobody(info: SealedModelInfo) -> None:
        (partial,) = (path for path in tmp_path.iterdir() if ".partial-" in path.name)
        assert not info.path.exists()
        assert (partial / "manifest.json").exists()
        assert not (partial / "signature.json").exists()
        raise UnavailableError("broker.unreachable", "the broker does not answer")

    assert refusal(model, tmp_path / "s", keep_key=nobody).code == "broker.unreachable"


def test_each_package_has_a_key_and_a_key_name_of_its_own(tmp_path: Path) -> None:
    one = seal(tmp_path)
    two = seal_to(tmp_path / "model-1", tmp_path / "again")
    assert one.key != two.dek
    assert one.info.resource != two.resource
    assert two.resource == f"models/tiny/v1-{two.manifest.package_id.hex()[:16]}"
    assert two.key_id == f"kbs:///{two.resource}"
    assert open_package(two.path, publisher=None).key_resource == two.resource


def test_a_publisher_s_key_survives_its_file_and_nothing_else_passes_for_one() -> None:
    assert PublisherKey.from_pem(PUBLISHER.to_pem()).digest == PUBLISHER.digest
    for pem in (b"", b"-----BEGIN PRIVATE KEY-----\n", PUBLISHER.to_pem()[:-40]):
        with pytest.raises(MalformedError) as caught:
            PublisherKey.from_pem(pem)
        assert caught.value.code == "sealed.malformed-publisher-key"
