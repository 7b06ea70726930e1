"""The services of Azure's host on loopback, as strict as they are: a header, a method, JSON of their own."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, bytes]


@dataclass(kw_only=True)
class Host:
    """What it answers, and what it was asked."""

    vcek: bytes = b""
    chain: bytes = b""
    quote: Callable[[bytes], bytes] = bytes
    """From a TDREPORT to a TD's quote."""
    instead: list[Answer] = field(default_factory=list)
    """Answers to the next requests, in place of its own."""
    slowly: float = 0.0
    """Seconds before each byte."""
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def answer(self, method: str, path: str, metadata: str | None, body: bytes) -> Answer:
        self.asked.append(f"{method} {path}")
        if self.instead:
            return self.instead.pop(0)
        if (method, path, metadata) == ("GET", "/metadata/THIM/amd/certification", "true"):
            said = {"vcekCert": self.vcek.decode(), "certificateChain": self.chain.decode(),
                    "tcbm": "DB18000000000004", "cacheControl": "86400"}  # fmt: skip
            return 200, json.dumps(said).encode()
        if (method, path) == ("POST", "/acc/tdquote"):
            text = json.loads(body)["report"]
            made = self.quote(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            return 200, json.dumps({"quote": base64.urlsafe_b64encode(made).rstrip(b"=").decode()}).encode()
        return 404, b"{}"


@contextmanager
def running(host: Host) -> Iterator[Host]:
    """Serve ``host`` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send(b"")

        def do_POST(self) -> None:
            self.send(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

        def send(self, body: bytes) -> None:
            status, answer = host.answer(self.command, self.path, self.headers.get("Metadata"), body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            if status in {301, 302, 307}:
                self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            try:
                for byte in [answer] if not host.slowly else [answer[at : at + 1] for at in range(len(answer))]:
                    time.sleep(host.slowly)
                    self.wfile.write(byte)
            except (BrokenPipeError, ConnectionResetError):
                pass  # a client that gave up

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the base class
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
