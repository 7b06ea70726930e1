"""Asks the launcher of Confidential Space, in which this workload runs, for a token of Google's service.

A container there has no vTPM of its own to ask: the launcher answers on a socket in the file system, and asks
Google's service, which verifies the VM and signs what it found. Source: Google Cloud, "Retrieve attestation tokens".
"""

import hmac
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from sealroom.errors import MisuseError, UnavailableError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.tees.gcp.layout import parse
from sealroom.tees.gcp.space import nonce_of

__all__ = ["SOCKET", "SpaceLauncher"]

SOCKET = Path("/run/container_launcher/teeserver.sock")
_ADDRESS = "http://localhost/v1/token"
_TYPES = frozenset({"PKI", "OIDC"})
_CARRIED = 32
"""Bytes of report data. The service takes nonces of 10 to 74 letters, and these are 64."""
_LARGEST = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class SpaceLauncher:
    """Google's service, through the launcher: an `Attester`.

    Args:
        audience: for whom the token is: what a policy names as ``audience``. At most 512 letters.
        token_type: ``PKI``, which brings certificates to Google's root; ``OIDC``, whose key changes often and has to
            be named by whoever verifies.
        socket: the launcher's.
        timeout: seconds for the whole answer: the service is far away.
        collateral: what goes along: ``jwks``, for a token of the type OIDC.
    """

    audience: str = "sealroom"
    token_type: str = "PKI"  # noqa: S105 - a word of the service's
    socket: Path = SOCKET
    timeout: float = 60
    collateral: Collateral = field(default_factory=lambda: Collateral(items={}))

    def __post_init__(self) -> None:
        if self.token_type not in _TYPES or not 0 < len(self.audience) <= 512:
            raise MisuseError("gcp.token-type", "a token of this type or for this audience can not be asked for",
                              got=f"{self.token_type[:20]}, {len(self.audience)} letters",
                              expected=f"{' or '.join(sorted(_TYPES))}, 1 to 512 letters")  # fmt: skip

    @property
    def tee(self) -> Tee:
        """`Tee.GCP`."""
        return Tee.GCP

    @property
    def simulated(self) -> bool:
        """Never: a token is Google's by its signature."""
        return False

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return a token whose one nonce is ``report_data`` (32 bytes) in hexadecimal.

        Raises:
            MisuseError: ``evidence.report-data-size``.
            UnavailableError: ``gcp.no-token``: the launcher or the service gave none; ``gcp.other-token``: one that
                answers something else.
            MalformedError: ``gcp.*``: what it gave is no token.
        """
        if len(report_data) != _CARRIED:
            raise MisuseError("evidence.report-data-size", "a token carries the digest of report data",
                              got=f"{len(report_data)} bytes", expected=f"{_CARRIED} bytes")  # fmt: skip
        asked = {"audience": self.audience, "token_type": self.token_type, "nonces": [report_data.hex()]}
        raw = self._ask(asked).strip()
        token = parse(raw).token
        if token is None or not hmac.compare_digest(nonce_of(token.claims), report_data):
            raise UnavailableError("gcp.other-token", "the launcher answered with a token for something else",
                                   where=str(self.socket), expected=report_data.hex())  # fmt: skip
        return CollectedEvidence(tee=Tee.GCP, raw=raw, collateral=self.collateral)

    def _ask(self, asked: Mapping[str, object]) -> bytes:
        if not _is_socket(self.socket):
            raise UnavailableError("gcp.no-token", "there is no launcher of Confidential Space here",
                                   where=str(self.socket), hint="only a workload's container has one")  # fmt: skip
        ends = time.monotonic() + self.timeout
        body = b""
        try:
            with (
                httpx.Client(transport=httpx.HTTPTransport(uds=str(self.socket)), timeout=self.timeout) as client,
                client.stream("POST", _ADDRESS, json=asked) as answer,
            ):
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > _LARGEST or time.monotonic() > ends:
                        raise self._none("an answer that is too large, or too slow")
        except httpx.HTTPError as reason:
            raise self._none(f"{type(reason).__name__}: {reason}"[:200]) from None
        if answer.status_code != httpx.codes.OK:
            raise self._none(f"status {answer.status_code}: {body[:200].decode('utf-8', 'replace')!a}")
        return body

    def _none(self, got: str) -> UnavailableError:
        return UnavailableError("gcp.no-token", "the launcher gives no token", where=str(self.socket), got=got,
                                hint="the service limits how often it is asked; the workload's service account needs "
                                "the role Confidential Computing Workload User")  # fmt: skip


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False
