"""Ciphertext to plaintext with several threads: read, open into a bounce buffer, write, and all of it or nothing.

Page faults, not AES, set the speed, so plaintext is written with ``pwrite`` from a small buffer that stays in the
cache; decrypting straight into a fresh mapping is 1.6 times slower (``bench/unsealing.py`` keeps the measurements).
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue

from sealroom.errors import MalformedError, MisuseError
from sealroom.sealed.format import TAG_SIZE, ChunkPlace
from sealroom.sealed.keys import PackageKeys
from sealroom.sealed.opening import ChunkOpener
from sealroom.sealed.stores.files import open_regular, pread_exactly, pwrite_exactly, system_errors
from sealroom.sealed.stores.package import SealedPackage

__all__ = ["Progress", "unseal_into"]

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all, in the thread that asked for the work."""

_DOING = "unsealing a model"


def unseal_into(
    package: SealedPackage,
    keys: PackageKeys,
    outputs: Sequence[int],
    *,
    threads: int,
    progress: Progress | None,
) -> None:
    """Write the plaintext of every file to its descriptor in ``outputs``.

    What the outputs hold is void until this returns. The first failure stops every thread, and is raised.
    """
    if not 1 <= threads <= 64:
        raise MisuseError("sealed.bad-threads", "unsealing takes 1 to 64 threads", got=threads)
    work = _Work(package, keys, outputs)
    with ThreadPoolExecutor(threads, thread_name_prefix="unseal") as pool:
        try:
            futures = [pool.submit(work.run) for _ in range(threads)]
            _report(work.finished, threads, package.manifest.identity.total_size, progress)
        finally:
            work.stop.set()
    for future in futures:
        future.result()


def _report(finished: "SimpleQueue[int | None]", threads: int, total: int, progress: Progress | None) -> None:
    done = 0
    while threads:
        if (length := finished.get()) is None:
            threads -= 1
            continue
        done += length
        if progress is not None:
            progress(done, total)


class _Work:
    """What the threads share: the chunks that nobody has taken yet, and the word to stop."""

    def __init__(self, package: SealedPackage, keys: PackageKeys, outputs: Sequence[int]) -> None:
        self._package = package
        self._keys = keys
        self._outputs = outputs
        self._chunks = package.manifest.identity.chunks()
        self._lock = threading.Lock()
        self.stop = threading.Event()
        self.finished: SimpleQueue[int | None] = SimpleQueue()

    def run(self) -> None:
        """One thread's work: chunks, until none is left or somebody failed. Ends with None in `finished`."""
        try:
            with _Hand(self._package, self._keys) as hand:
                while not self.stop.is_set() and (place := self._take()) is not None:
                    hand.unseal(place, self._outputs[place.file_index])
                    self.finished.put(place.length)
        except BaseException:
            self.stop.set()
            raise
        finally:
            self.finished.put(None)

    def _take(self) -> ChunkPlace | None:
        with self._lock:
            return next(self._chunks, None)


class _Hand:
    """One thread's buffers, and the file that it is at."""

    def __init__(self, package: SealedPackage, keys: PackageKeys) -> None:
        self._package = package
        self._keys = keys
        largest = max(entry.size for entry in package.manifest.files)
        room = min(package.manifest.chunk_size, largest)
        self._sealed = memoryview(bytearray(room + TAG_SIZE))
        self._plaintext = memoryview(bytearray(room))
        self._file_index = -1
        self._stack = ExitStack()

    def __enter__(self) -> "_Hand":
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()
        self._plaintext[:] = bytes(len(self._plaintext))

    def unseal(self, place: ChunkPlace, output: int) -> None:
        """Read, open and write one chunk."""
        if place.file_index != self._file_index:
            self._turn_to(place.file_index)
        sealed = self._sealed[: place.length + TAG_SIZE]
        with system_errors(_DOING, self._package.data_path(place.file_index)):
            # our own copy of the ciphertext: what is opened is what was checked, whoever writes to the file meanwhile
            read = pread_exactly(self._source, sealed[: place.length], place.offset)
        if read != place.length:
            raise MalformedError("sealed.truncated-file", "a data file became shorter while it was read",
                                 where=place.describe(self._package.manifest.files[place.file_index].path),
                                 got=f"{read} bytes", expected=f"{place.length} bytes")  # fmt: skip
        sealed[place.length :] = self._package.tags[place.tag_offset : place.tag_offset + TAG_SIZE]
        plaintext = self._plaintext[: place.length]
        self._opener.open_into(place, sealed, plaintext)
        with system_errors(_DOING, self._package.manifest.files[place.file_index].path):
            pwrite_exactly(output, plaintext, place.offset)

    def _turn_to(self, file_index: int) -> None:
        self._stack.close()
        self._file_index = file_index
        self._source = self._stack.enter_context(open_regular(self._package.data_path(file_index), _DOING))
        self._opener = ChunkOpener(self._keys, file_index)
