"""A room that sends a byte now and then meets every time-out between bytes; who asks it is let go all the same."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import sealroom
from sealroom.errors import UnavailableError

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/cmw+cbor\r\ncontent-length: 4096\r\n\r\n"
_BOUND = 0.5


@contextmanager
def dripping_room(at_once: bytes) -> Iterator[str]:
    """Its address. It sends ``at_once``, then a byte every 50 ms for as long as anybody listens."""
    over = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(at_once)
            while not over.wait(0.05):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join(10)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for transport in ("transport", "async_transport"):
        monkeypatch.setattr(f"sealroom.client.{transport}.EVIDENCE_SECONDS", _BOUND)


@pytest.mark.parametrize("at_once", [b"", _HEAD], ids=["before the head", "in the body"])
def test_evidence_that_drips_in_is_given_up_by_a_blocking_client(policy: Path, at_once: bytes) -> None:
    with dripping_room(at_once) as url, sealroom.httpx_client(room=url, policy=policy) as client:
        begin = time.monotonic()
        with pytest.raises(UnavailableError, match=r"client\.room-unreachable"):
            client.verify()
        assert _BOUND <= time.monotonic() - begin < 5


@pytest.mark.parametrize("at_once", [b"", _HEAD], ids=["before the head", "in the body"])
async def test_evidence_that_drips_in_is_given_up_by_an_asynchronous_client(policy: Path, at_once: bytes) -> None:
    with dripping_room(at_once) as url:
        async with sealroom.async_httpx_client(room=url, policy=policy) as client:
            begin = time.monotonic()
            with pytest.raises(UnavailableError, match=r"client\.room-unreachable"):
                await client.verify()
            assert _BOUND <= time.monotonic() - begin < 5
