"""AMD's key distribution service (AMD 57230, section 4). It limits its callers hard: ask once for each chip and
version.

VLEK certificates are not served: the cloud that loaded the key hands them out with the report.
"""

from collections.abc import Mapping
from typing import Protocol

from sealroom.collateral.fetch.transport import Transport
from sealroom.errors import UnavailableError

__all__ = ["AMD_SERVICE", "fetch_amd", "vcek_path"]

AMD_SERVICE = "https://kdsintf.amd.com"
_PARTS = {"fmc": "fmcSPL", "bootloader": "blSPL", "tee": "teeSPL", "snp": "snpSPL", "microcode": "ucodeSPL"}


class _Needed(Protocol):
    @property
    def product(self) -> str: ...
    @property
    def chip_id(self) -> bytes | None: ...
    @property
    def tcb(self) -> Mapping[str, int]: ...
    @property
    def kind(self) -> str: ...


def fetch_amd(
    needed: _Needed, transport: Transport, *, service: str = AMD_SERVICE, leaf: bytes | None = None
) -> dict[str, bytes]:
    """``leaf``, ``chain`` and ``crl``.

    Args:
        needed: the chip.
        transport: how to ask.
        service: base address.
        leaf: the leaf, where it is at hand; it is not asked for then.

    Raises:
        UnavailableError: ``collateral.service``; ``collateral.no-leaf``: this leaf is served by nobody.
    """
    base = f"{service.rstrip('/')}/{needed.kind}/v1/{needed.product}"
    if leaf is None:
        leaf = transport.get(service.rstrip("/") + vcek_path(needed)).body
    return {
        "leaf": leaf,
        "chain": transport.get(f"{base}/cert_chain").body,
        "crl": transport.get(f"{base}/crl").body,
    }


def vcek_path(needed: _Needed) -> str:
    """Path and query of a VCEK: versions in decimal, at least two digits; on Turin the chip's 8 bytes, and fmc first.

    Raises:
        UnavailableError: ``collateral.no-leaf``.
    """
    if needed.kind != "vcek" or needed.chip_id is None:
        raise UnavailableError(
            "collateral.no-leaf",
            "no service has the certificate of this key",
            got="a VLEK" if needed.kind != "vcek" else "a report that names no chip",
            hint="the cloud hands it out with the report: collect the evidence with its certificates",
        )
    query = "&".join(f"{_PARTS[part]}={version:02d}" for part, version in needed.tcb.items())
    return f"/vcek/v1/{needed.product}/{needed.chip_id.hex()}?{query}"
