"""The vendors' collateral services on loopback: real HTTP servers that speak their paths and headers.

They serve minted collateral, or a recording's, and can be made slow, busy, wrong or dishonest for one answer or all.
"""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

from cryptography.x509.ocsp import load_der_ocsp_request

__all__ = ["Reply", "Served", "kds_replies", "nvidia_replies", "ocsp_replies", "pccs_replies", "serving"]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer. Change it with `dataclasses.replace` to have one fault."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    delay: float = 0.0
    """Seconds before the first byte."""
    trickle: float = 0.0
    """Seconds between one byte and the next."""
    cut_at: int | None = None
    """Bytes of the body that are sent; the length stated stays whole."""


Replies = Callable[[str, Mapping[str, list[str]]], Reply | None]
"""From a path and its query to an answer; None: 404."""

Posts = Callable[[bytes], Reply | None]
"""From the body of a POST to an answer."""


@dataclass(kw_only=True)
class Served:
    """A running service."""

    address: str
    replies: Replies
    asked: list[str] = field(default_factory=list)
    """Every path with its query, in the order in which they were asked for."""
    busy: int = 0
    """How many of the next requests are put off with status 429."""
    retry_after: str | None = "0"


@contextmanager
def serving(replies: Replies, posts: Posts | None = None) -> Iterator[Served]:
    """Serve ``replies`` at an address on loopback until the block ends; ``posts`` to what is posted there."""

    class Handler(BaseHTTPRequestHandler):
        """Answers GET and POST."""

        def do_GET(self) -> None:
            """One request."""
            served.asked.append(self.path)
            if served.busy:
                served.busy -= 1
                headers = {} if served.retry_after is None else {"Retry-After": served.retry_after}
                self._send(Reply(body=b"busy", status=429, headers=headers))
                return
            parts = urlsplit(self.path)
            self._send(served.replies(parts.path, parse_qs(parts.query)) or Reply(body=b"", status=404))

        def do_POST(self) -> None:
            """One request with a body."""
            served.asked.append(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self._send((posts(body) if posts else None) or Reply(body=b"", status=404))

        def _send(self, reply: Reply) -> None:
            time.sleep(reply.delay)
            try:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                for part in _parts(reply):
                    self.wfile.write(part)
                    time.sleep(reply.trickle)
            except (BrokenPipeError, ConnectionResetError):
                pass  # a client that gave up is one of the cases
            if reply.cut_at is not None:
                self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the base class
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Served(address=f"http://127.0.0.1:{server.server_port}", replies=replies)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _parts(reply: Reply) -> list[bytes]:
    body = reply.body[: reply.cut_at]
    return [body[at : at + 1] for at in range(len(body))] if reply.trickle else [body]


def pccs_replies(items: Mapping[str, bytes], *, fmspc: bytes, ca: str = "platform") -> Replies:
    """Intel's paths as a PCCS has them, with ``items`` for one family and model; the root's list in hexadecimal."""
    chain = {name: quote(items[f"{name}_issuer_chain"]) for name in ("tcb_info", "qe_identity", "pck_crl")}

    def reply(path: str, query: Mapping[str, list[str]]) -> Reply | None:
        match path.split("/")[1:]:
            case ["sgx" | "tdx", "certification", "v4", "tcb"] if query.get("fmspc") == [fmspc.hex()]:
                return Reply(body=items["tcb_info_response"], headers={"TCB-Info-Issuer-Chain": chain["tcb_info"]})
            case ["sgx" | "tdx", "certification", "v4", "qe", "identity"]:
                return Reply(body=items["qe_identity_response"],
                             headers={"SGX-Enclave-Identity-Issuer-Chain": chain["qe_identity"]})  # fmt: skip
            case ["sgx", "certification", "v4", "pckcrl"] if query.get("ca") == [ca]:
                return Reply(body=items["pck_crl"], headers={"SGX-PCK-CRL-Issuer-Chain": chain["pck_crl"]})
            case ["sgx", "certification", "v4", "rootcacrl"]:
                return Reply(body=items["root_ca_crl"].hex().encode())
        return None

    return reply


def kds_replies(leaves: Mapping[str, bytes], *, product: str, chain: bytes, crl: bytes) -> Replies:
    """AMD's paths for one product: ``leaves`` by path and query, as `vcek_path` makes them."""

    def reply(path: str, query: Mapping[str, list[str]]) -> Reply | None:
        asked = path + ("?" + "&".join(f"{name}={values[0]}" for name, values in query.items()) if query else "")
        if asked in leaves:
            return Reply(body=leaves[asked])
        match path.split("/")[1:]:
            case ["vcek" | "vlek", "v1", named, "cert_chain"] if named == product:
                return Reply(body=chain)
            case ["vcek" | "vlek", "v1", named, "crl"] if named == product:
                return Reply(body=crl)
        return None

    return reply


def nvidia_replies(rims: Mapping[str, bytes]) -> Replies:
    """NVIDIA's path for reference values: ``rims`` by name."""

    def reply(path: str, _query: Mapping[str, list[str]]) -> Reply | None:
        match path.split("/")[1:]:
            case ["v1", "rim", name] if name in rims:
                document = {"id": name, "rim": base64.b64encode(rims[name]).decode(), "rim_format": "TCG-RIM"}
                return Reply(body=json.dumps(document).encode(), headers={"Content-Type": "application/json"})
        return None

    return reply


def ocsp_replies(answers: Mapping[int, bytes]) -> Posts:
    """A responder: ``answers`` by the serial number that is asked about."""

    def reply(body: bytes) -> Reply | None:
        answer = answers.get(load_der_ocsp_request(body).serial_number)
        return None if answer is None else Reply(body=answer, headers={"Content-Type": "application/ocsp-response"})

    return reply
