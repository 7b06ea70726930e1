"""Tokens through the socket of Confidential Space's launcher: a server of ours on a socket of the same kind."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import pytest

from sealroom.binding import carried
from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError
from sealroom.evidence import Collateral, Tee, TrustRoots
from sealroom.tees import gcp
from sealroom.tees.gcp.collect_space import SpaceLauncher
from sealroom.testing.gcp_cases import AT
from sealroom.testing.gcp_space import SimulatedSpace, SpaceAuthority, listed

NONCE = carried("gcp", bytes(range(64)))
SPACE, ABOVE = SimulatedSpace(), SpaceAuthority.create()
Answer = Callable[[dict[str, object]], tuple[int, bytes]]


def honest(asked: dict[str, object]) -> tuple[int, bytes]:
    """As the launcher does: one nonce stands alone, the header has certificates if they were asked for."""
    nonces = asked["nonces"]
    assert isinstance(nonces, list)
    header = {"x5c": listed(*ABOVE.chain(SPACE.signer.key.public_key()))} if asked["token_type"] == "PKI" else {}
    raw = SPACE.token(nonces[0] if len(nonces) == 1 else nonces, AT, audience=str(asked["audience"]), header=header)
    return 200, raw + b"\n"


@contextmanager
def launcher(path: Path, answer: Answer = honest, *, slowly: float = 0.0) -> Iterator[list[dict[str, object]]]:
    asked: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/token"
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = answer(asked[-1])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                for at in range(0, len(body), 1 if slowly else 1 << 20):
                    self.wfile.write(body[at : at + (1 if slowly else 1 << 20)])
                    time.sleep(slowly)
            except OSError:
                pass  # who asked has gone

        def address_string(self) -> str:
            return "local"

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingUnixStreamServer(str(path), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("token_type", ["PKI", "OIDC"])
def test_a_token_binds_what_was_asked_for_and_verifies(tmp_path: Path, token_type: str):
    along = Collateral(items={"jwks": SPACE.jwks} if token_type == "OIDC" else {})
    attester = SpaceLauncher(socket=tmp_path / "s", token_type=token_type, audience="me", collateral=along)
    with launcher(tmp_path / "s") as asked:
        collected = attester.collect(NONCE)
    assert asked == [{"audience": "me", "token_type": token_type, "nonces": [NONCE.hex()]}]
    roots = TrustRoots(insecure_simulated=frozenset({ABOVE.root_fingerprint, SPACE.signer.fingerprint}))
    claims = gcp.claims(gcp.verify(gcp.parse(collected.raw), roots=roots, collateral=collected.collateral, at=AT))
    assert (claims.report_data, claims.details["audience"], claims.details["token_type"]) == (NONCE, "me", token_type)
    assert (attester.tee, attester.simulated) == (Tee.GCP, False)


def refused(path: Path, answer: Answer = honest, *, slowly: float = 0.0, timeout: float = 5) -> SealroomError:
    with launcher(path, answer, slowly=slowly), pytest.raises(SealroomError) as error:
        SpaceLauncher(socket=path, timeout=timeout).collect(NONCE)
    return error.value


def test_a_token_for_another_nonce_is_never_handed_out(tmp_path: Path):
    for number, nonces in enumerate((["ab" * 32], [NONCE.hex(), "other"], [NONCE.hex()[:-2]], ["x" * 64])):
        error = refused(tmp_path / str(number), lambda asked, nonces=nonces: honest({**asked, "nonces": nonces}))
        assert isinstance(error, UnavailableError)
        assert error.code == "gcp.other-token"


def test_a_launcher_that_refuses_is_quoted_without_anything_that_a_terminal_obeys(tmp_path: Path):
    error = refused(tmp_path / "s", lambda _: (429, b"quota \x1b[2J"))
    assert error.code == "gcp.no-token"
    assert "429" in str(error.got)
    assert "quota" in str(error.got)
    assert "\x1b" not in str(error.got)


def test_what_is_no_token_is_malformed(tmp_path: Path):
    assert isinstance(refused(tmp_path / "a", lambda _: (200, b"eyJ.not.one")), MalformedError)
    assert isinstance(refused(tmp_path / "b", lambda _: (200, b"hello")), MalformedError)


def test_an_answer_that_does_not_end_is_given_up(tmp_path: Path):
    assert refused(tmp_path / "a", lambda _: (200, b"x" * (1 << 20))).code == "gcp.no-token"
    began = time.monotonic()
    assert refused(tmp_path / "b", slowly=0.05, timeout=0.5).code == "gcp.no-token"
    assert time.monotonic() - began < 5


def test_without_a_launcher_it_says_so(tmp_path: Path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(UnavailableError) as error:
            SpaceLauncher(socket=path).collect(NONCE)
        assert error.value.code == "gcp.no-token"


def test_a_socket_that_nobody_listens_on_is_told(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "s"))
    with pytest.raises(UnavailableError) as error:
        SpaceLauncher(socket=tmp_path / "s").collect(NONCE)
    assert error.value.code == "gcp.no-token"


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_report_data_of_another_size_is_refused_before_anything_is_asked(tmp_path: Path, size: int):
    with pytest.raises(MisuseError) as error:
        SpaceLauncher(socket=tmp_path / "none").collect(bytes(size))
    assert error.value.code == "evidence.report-data-size"


@pytest.mark.parametrize("options", [{"token_type": "JWT"}, {"audience": ""}, {"audience": "a" * 513}])
def test_what_the_service_would_not_take_is_refused_at_once(options: dict[str, str]):
    with pytest.raises(MisuseError) as error:
        SpaceLauncher(**options)
    assert error.value.code == "gcp.token-type"
