"""`SimulatedKms` at an address on loopback: AWS's JSON protocol 1.1 and signature version 4, checked."""

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sealroom.testing.kms import KmsError, SimulatedKms
from sealroom.testing.vendor_service import Reply

__all__ = ["ServedKms", "serving_kms"]

_JSON = "application/x-amz-json-1.1"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/([0-9]{8})/([a-z0-9-]+)/kms/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)
_MUST_BE_SIGNED = {"host", "x-amz-date", "x-amz-target"}


@dataclass(kw_only=True)
class ServedKms:
    """A running service."""

    address: str
    instead: Callable[[], Reply] | None = None
    """In place of an answer: a fault of the way to KMS, or of KMS."""


@contextmanager
def serving_kms(kms: SimulatedKms) -> Iterator[ServedKms]:
    """Serve ``kms`` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        """Answers POST."""

        def do_POST(self) -> None:
            """One operation."""
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if served.instead is not None:
                self._send(served.instead())
                return
            try:
                self._send(Reply(body=json.dumps(_answered(kms, self.path, dict(self.headers), body)).encode()))
            except KmsError as error:
                told = json.dumps({"__type": error.name, "message": error.message}).encode()
                self._send(Reply(body=told, status=error.status))

        def _send(self, reply: Reply) -> None:
            try:
                self.send_response(reply.status)
                for name, value in ({"Content-Type": _JSON} | dict(reply.headers)).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body[: reply.cut_at])
            except (BrokenPipeError, ConnectionResetError):
                pass  # a client that gave up is one of the cases
            self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the base class
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = ServedKms(address=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answered(kms: SimulatedKms, path: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, object]:
    given = {name.lower(): value for name, value in headers.items()}
    service, _, operation = given.get("x-amz-target", "").partition(".")
    if path != "/" or service != "TrentService" or given.get("content-type") != _JSON:
        raise KmsError("UnknownOperationException", "", status=404)
    _require_signed(kms, given, body)
    return kms.answer(operation, json.loads(body))


def _require_signed(kms: SimulatedKms, headers: Mapping[str, str], body: bytes) -> None:
    """AWS, "Create a signed AWS API request": over method, path, headers and body, for this region."""
    if (found := _AUTHORIZATION.fullmatch(headers.get("authorization", ""))) is None:
        raise KmsError("MissingAuthenticationTokenException", "")
    access_key, day, region, signed, signature = found.groups()
    moment = headers.get("x-amz-date", "")
    if access_key != kms.caller.access_key:
        raise KmsError("UnrecognizedClientException", "")
    names = signed.split(";")
    lines = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in names)
    canonical = f"POST\n/\n\n{lines}\n{signed}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{day}/{region}/kms/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4" + kms.caller.secret.encode()
    for part in (day, region, "kms", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    right = hmac.new(key, text.encode(), "sha256").hexdigest()
    whole = set(names) >= _MUST_BE_SIGNED and region == kms.region and moment.startswith(day)
    if not whole or not hmac.compare_digest(right, signature):
        raise KmsError("InvalidSignatureException", "")
