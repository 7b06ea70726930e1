"""The certificates above the key of a Google VM's vTPM, from the addresses that stand in them (RFC 5280, 4.2.2.1).

They hold for decades, so one fetch is enough for every VM of a CA's.
"""

from typing import Protocol
from urllib.parse import urlsplit

from sealroom.collateral.fetch.transport import Transport
from sealroom.errors import MalformedError
from sealroom.pem import as_pem
from sealroom.x509_reader import read_certificate

__all__ = ["fetch_google"]

_MOST = 4


class _Needed(Protocol):
    @property
    def issuer(self) -> str: ...
    def next_address(self, certificate: bytes) -> str | None: ...


def fetch_google(needed: _Needed, transport: Transport, *, service: str | None = None) -> dict[str, bytes]:
    """``ak_issuers``.

    Args:
        needed: the CA.
        transport: how to ask.
        service: base address in place of those that stand in the certificates.

    Raises:
        UnavailableError: ``collateral.service``.
        MalformedError: ``collateral.ak-issuers``: the chain does not end; ``x509.*``: an answer is no certificate.
    """
    address: str | None = needed.issuer
    found: list[bytes] = []
    while address is not None:
        if len(found) == _MOST:
            raise MalformedError("collateral.ak-issuers", "the certificates above a vTPM's key do not end",
                                 where=address, expected=f"{_MOST} at most")  # fmt: skip
        found.append(read_certificate(transport.get(_at(address, service)).body).der)
        address = needed.next_address(found[-1])
    return {"ak_issuers": as_pem(*found)}


def _at(address: str, service: str | None) -> str:
    return address if service is None else service.rstrip("/") + urlsplit(address).path
