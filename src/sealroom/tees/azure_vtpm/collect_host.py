"""What Azure's host tells its guests on an address of the link: AMD's certificates, and quotes of a TDREPORT.

The host is outside, and nothing that it says is believed: certificates end in AMD's root, and a quote in Intel's, or
the evidence is refused.
"""

import base64
import binascii
import ipaddress
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError
from sealroom.jose import read_json
from sealroom.pem import as_pem
from sealroom.x509_reader import read_certificate, read_certificates

__all__ = ["ADDRESS", "HostServices"]

ADDRESS = "http://169.254.169.254"
_CERTIFICATES, _TD_QUOTE = "/metadata/THIM/amd/certification", "/acc/tdquote"
_TRY_AGAIN = frozenset({410, 429, 500, 502, 503, 504})
_LARGEST = 256 * 1024


class HostServices:
    """Asks the host.

    Args:
        address: where it is: an address of the link, or of loopback in its place.
        timeout: seconds that one answer may take, to its last byte.
        attempts: how often to ask while the service is busy.
        pause: waits between attempts; seconds.

    Raises:
        MisuseError: ``azure-vtpm.host-address``: another address.
    """

    def __init__(
        self, address: str = ADDRESS, *, timeout: float = 20.0, attempts: int = 4,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        _require_near(address)
        self._address, self._timeout, self._attempts, self._pause = address.rstrip("/"), timeout, attempts, pause

    def certificates(self) -> tuple[bytes, bytes]:
        """The VCEK's certificate (DER), and its issuers (PEM).

        Raises:
            UnavailableError: ``azure-vtpm.host``: there is no answer, or not one that can be used.
            MalformedError: ``azure-vtpm.host-answer``, ``x509.*``: it is something else.
        """
        said = self._ask("GET", _CERTIFICATES, headers={"Metadata": "true"})
        leaf, issuers = (_text(said, name, _CERTIFICATES).encode() for name in ("vcekCert", "certificateChain"))
        return read_certificate(leaf).der, as_pem(*(issuer.der for issuer in read_certificates(issuers)))

    def td_quote(self, td_report: bytes) -> bytes:
        """The quote of a TDREPORT.

        Raises:
            UnavailableError, MalformedError: as `certificates`.
        """
        asked = {"report": base64.urlsafe_b64encode(td_report).rstrip(b"=").decode()}
        text = _text(self._ask("POST", _TD_QUOTE, json=asked), "quote", _TD_QUOTE).rstrip("=")
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _unreadable(_TD_QUOTE, "a quote that is not base64url") from None

    def _ask(self, method: str, path: str, **request: Any) -> Mapping[str, Any]:
        url = f"{self._address}{path}"
        for attempt in range(1, self._attempts + 1):
            try:
                status, body = self._answer(method, url, **request)
            except httpx.HTTPError as reason:
                raise _unusable(url, f"{type(reason).__name__}: {reason}"[:200]) from None
            if status == httpx.codes.OK:
                return _object(body, path)
            if status not in _TRY_AGAIN or attempt == self._attempts:
                raise _unusable(url, f"status {status}")
            self._pause(0.5 * 2**attempt)
        raise _unusable(url, "no attempt was allowed")

    def _answer(self, method: str, url: str, **request: Any) -> tuple[int, bytes]:
        """No proxy of the environment's stands between, and no redirect leads elsewhere."""
        until = time.monotonic() + self._timeout
        with (
            httpx.Client(timeout=self._timeout, follow_redirects=False, trust_env=False) as client,
            client.stream(method, url, **request) as response,
        ):
            body = b""
            for part in response.iter_bytes():
                body += part
                if len(body) > _LARGEST:
                    raise _unusable(url, f"more than {_LARGEST} bytes")
                if time.monotonic() > until:
                    raise _unusable(url, f"an answer without an end, after {self._timeout:g} s")
            return response.status_code, body


def _require_near(address: str) -> None:
    try:
        parts = urlsplit(address)
        host = ipaddress.ip_address(parts.hostname or "")
        near = parts.scheme == "http" and (host.is_link_local or host.is_loopback) and not parts.username
    except ValueError:
        near = False
    if not near:
        raise MisuseError("azure-vtpm.host-address", "the host is asked at an address of the link, and nowhere else",
                          got=address[:80], expected=ADDRESS)  # fmt: skip


def _object(body: bytes, path: str) -> Mapping[str, Any]:
    try:
        document = read_json(body, area="azure-vtpm")
    except SealroomError:
        raise _unreadable(path, "no JSON") from None
    if not isinstance(document, dict):
        raise _unreadable(path, "no object")
    # documented with a capital letter, and sent without
    return {name[:1].lower() + name[1:]: value for name, value in document.items()}


def _text(said: Mapping[str, Any], name: str, path: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value.isascii():
        raise _unreadable(path, f"nothing under {name}")
    return value


def _unusable(url: str, got: str) -> UnavailableError:
    return UnavailableError("azure-vtpm.host", "Azure's host gave no answer that can be used", where=url, got=got,
                            hint="the guest must reach this address without a proxy: look at its firewall, and at "
                            "the network of its containers")  # fmt: skip


def _unreadable(path: str, got: str) -> MalformedError:
    return MalformedError("azure-vtpm.host-answer", "Azure's host answered with something else", where=path, got=got)
