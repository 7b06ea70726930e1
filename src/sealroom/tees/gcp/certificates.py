"""The certificate of a vTPM's attestation key, to Google's roots; whose instance it names, where its issuer's is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from sealroom.der import BOOLEAN, CONTEXT_0, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, Element, read_whole
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import TrustRoots
from sealroom.x509_chain import VerifiedChain, verify_chain
from sealroom.x509_reader import Certificate
from sealroom.x509_scheme import SignatureScheme

__all__ = ["GCE_ROOTS", "Instance", "issuer_address", "read_instance", "verify_ak_certificate"]

GCE_ROOTS: Mapping[bytes, str] = {
    # 2018-04-06 to 2118-04-06
    bytes.fromhex("9bd5285f8fb18502a7947e621ffd470266f49fcd3b73e19a190f690ad32a7caf"): "tpm_ek_v1_cloud_host root",
    # 2022 to 2122
    bytes.fromhex("594759594b9b61524f6c8ef668f7177f7b9066bc0674f2f49fe9e052be78beb2"): "EK/AK CA Root",
}
"""SHA-256 of the DER of the roots. Computed from google/go-tpm-tools, server/ca-certs, on 2026-11-23."""

_SCHEMES = frozenset({SignatureScheme.RSA_PKCS1_SHA256, SignatureScheme.RSA_PKCS1_SHA384,
                      SignatureScheme.RSA_PKCS1_SHA512, SignatureScheme.ECDSA_SHA256,
                      SignatureScheme.ECDSA_SHA384})  # fmt: skip
_USAGE, _ALTERNATIVE_NAME = "2.5.29.37", "2.5.29.17"
_UNDERSTOOD = frozenset({_USAGE, _ALTERNATIVE_NAME})
"""Critical in certificates of the older CA: what the key is for is looked at here; the name is the TPM's maker's."""
_TPM_KEYS = frozenset({"2.23.133.8.1", "2.23.133.8.3"})
"""TCG's usages of endorsement and of attestation keys; Google's attestation keys have the first."""
_ACCESS, _ISSUERS, _ADDRESS = "1.3.6.1.5.5.7.1.1", "1.3.6.1.5.5.7.48.2", 0x86
_HOSTS = ("pki.goog", ".googleapis.com")
"""Google's, whole or from a dot on: who wrote a certificate does not choose whom we ask."""
_INSTANCE = "1.3.6.1.4.1.11129.2.1.21"
_UTF8, _PRODUCTION, _MAX_TEXT = 0x0C, 0xA1, 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Whose VM it is."""

    zone: str
    project_number: int
    project_id: str
    instance_id: int
    instance_name: str


def verify_ak_certificate(leaf: bytes, issuers: bytes, *, roots: TrustRoots, at: datetime) -> VerifiedChain:
    """Verify the certificate up to one of Google's roots (or a simulated one that ``roots`` names) at ``at``.

    Raises:
        MalformedError, UnverifiedError: ``x509.*``; ``gcp.ak-usage``: the key is for something that is no TPM's.
    """
    chain = verify_chain(leaf, issuers, anchors=frozenset(GCE_ROOTS) | roots.insecure_simulated, schemes=_SCHEMES,
                         at=at, understood=_UNDERSTOOD)  # fmt: skip
    usages = _usages(chain.leaf)
    if usages is not None and not usages <= _TPM_KEYS:
        raise UnverifiedError("gcp.ak-usage", "the certificate is of a key for something else than attestation",
                              got=", ".join(sorted(usages)), expected=" or ".join(sorted(_TPM_KEYS)))  # fmt: skip
    return chain


def read_instance(certificate: Certificate) -> Instance | None:
    """What the certificate says of the instance; None if nothing, or of a VM that is not Google's production.

    Raises:
        MalformedError: ``x509.der``, ``gcp.instance``.
    """
    extension = certificate.extensions.get(_INSTANCE)
    if extension is None:
        return None
    reader = read_whole(extension.value, SEQUENCE).reader()
    zone, number = _text(reader.take(_UTF8).content), reader.take(INTEGER).integer()
    project, instance = _text(reader.take(_UTF8).content), reader.take(INTEGER).integer()
    name = _text(reader.take(_UTF8).content)
    properties = reader.take_if(CONTEXT_0)
    reader.end()
    if number < 0 or instance < 0:
        raise MalformedError("gcp.instance", "an instance has a number below zero", got=min(number, instance))
    if properties is None or not _is_production(properties):
        return None
    return Instance(zone=zone, project_number=number, project_id=project, instance_id=instance, instance_name=name)


def issuer_address(certificate: Certificate) -> str | None:
    """Where Google keeps the certificate of the issuer, as ``certificate`` says; None if it says nothing of the kind.

    Raises:
        MalformedError: ``x509.der``.
    """
    extension = certificate.extensions.get(_ACCESS)
    reader = read_whole(extension.value, SEQUENCE).reader() if extension is not None else None
    while reader is not None and not reader.at_end():
        access = reader.take(SEQUENCE).reader()
        if access.take(OBJECT_IDENTIFIER).oid() == _ISSUERS and (found := access.take_if(_ADDRESS)) is not None:
            address = found.content.decode("ascii", "replace")
            if _is_google_s(address):
                return address
    return None


def _is_google_s(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host, plain = parts.hostname or "", parts.port is None and parts.username is None
    except ValueError:
        return False
    known = any(host == one or (one[0] == "." and host.endswith(one)) for one in _HOSTS)
    return parts.scheme in {"http", "https"} and known and plain and address.isprintable() and " " not in address


def _is_production(properties: Element) -> bool:
    """The second of what may be said of its security; members beyond it are of no concern here."""
    reader = read_whole(properties.content, SEQUENCE).reader()
    reader.take_if(CONTEXT_0)
    found = reader.take_if(_PRODUCTION)
    return found is not None and read_whole(found.content, BOOLEAN).boolean()


def _usages(certificate: Certificate) -> frozenset[str] | None:
    extension = certificate.extensions.get(_USAGE)
    if extension is None:
        return None
    reader, found = read_whole(extension.value, SEQUENCE).reader(), set()
    while not reader.at_end():
        found.add(reader.take(OBJECT_IDENTIFIER).oid())
    return frozenset(found)


def _text(raw: bytes) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in raw[:_MAX_TEXT].decode("utf-8", "replace"))
