"""NVIDIA's services: reference values by name, and word on whether certificates were withdrawn (OCSP, RFC 6960).

A device's certificates come from the device; no service has them. Answers are asked for without a nonce, so that one
can be stapled for everybody while it holds.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPRequestBuilder

from sealroom.cbor import encode_cbor
from sealroom.collateral.fetch.transport import Transport
from sealroom.errors import MalformedError, UnavailableError
from sealroom.pem import as_pem

__all__ = ["NVIDIA_OCSP", "NVIDIA_RIMS", "fetch_nvidia"]

NVIDIA_RIMS = "https://rim.attestation.nvidia.com"
NVIDIA_OCSP = "https://ocsp.ndis.nvidia.com"
_CONTENT_TYPE = "application/ocsp-request"


class _Needed(Protocol):
    @property
    def driver_rim(self) -> str | None: ...
    @property
    def vbios_rim(self) -> str: ...
    @property
    def certificates(self) -> Sequence[bytes]: ...
    def rim_certificates(self, rim: bytes) -> Sequence[bytes]: ...


def fetch_nvidia(
    needed: _Needed, transport: Transport, *, rims: str = NVIDIA_RIMS, ocsp: str = NVIDIA_OCSP
) -> dict[str, bytes]:
    """``cert_chain``, ``driver_rim`` (not of a switch), ``vbios_rim`` and ``ocsp``.

    Args:
        needed: the device.
        transport: how to ask.
        rims: base address of the service of reference values.
        ocsp: address of the responder.

    Raises:
        UnavailableError: ``collateral.service``; ``collateral.no-answer``: the responder knows none of them.
        MalformedError: ``collateral.answer``: an answer is not what was asked for.
    """
    items = {"cert_chain": as_pem(*needed.certificates), "vbios_rim": _rim(transport, rims, needed.vbios_rim)}
    if needed.driver_rim is not None:
        items["driver_rim"] = _rim(transport, rims, needed.driver_rim)
    chains = [
        needed.certificates[1:],
        *(needed.rim_certificates(items[name]) for name in items if name.endswith("_rim")),
    ]
    items["ocsp"] = encode_cbor([_answer(transport, ocsp, *pair) for pair in _asked_about(chains)])
    return items


def _rim(transport: Transport, service: str, name: str) -> bytes:
    url = f"{service.rstrip('/')}/v1/rim/{name}"
    try:
        document = json.loads(transport.get(url).body)
        return base64.b64decode(document["rim"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        raise MalformedError("collateral.answer", "the service's answer holds no reference values", where=url,
                             expected="JSON with a member rim in base64") from None  # fmt: skip


def _asked_about(chains: Iterable[Sequence[bytes]]) -> dict[tuple[bytes, bytes], None]:
    """Each certificate with its issuer, once. The responder knows nothing of a device's leaf."""
    return {pair: None for chain in chains for pair in pairwise(chain)}


def _answer(transport: Transport, service: str, certificate: bytes, issuer: bytes) -> bytes:
    subject, authority = x509.load_der_x509_certificate(certificate), x509.load_der_x509_certificate(issuer)
    asked = OCSPRequestBuilder().add_certificate(subject, authority, hashes.SHA384()).build()
    answer = transport.post(service, asked.public_bytes(Encoding.DER), content_type=_CONTENT_TYPE).body
    if not answer:
        raise UnavailableError("collateral.no-answer", "the responder said nothing of a certificate", where=service,
                               got=subject.subject.rfc4514_string())  # fmt: skip
    return answer
