"""Certificates and revocation lists as trees."""

from sealroom.cli.inspecting.tree import Description, Tree, shown_bytes
from sealroom.evidence import Validity
from sealroom.x509_reader import Certificate, read_certificates, read_crl

__all__ = ["describe_certificates", "describe_crl"]


def describe_certificates(raw: bytes) -> Description:
    """One certificate, or several in PEM."""
    found = read_certificates(raw)
    content: list[Tree] = [_certificate(certificate) for certificate in found]
    return Description("certificate" if len(found) == 1 else f"{len(found)} certificates", content)


def describe_crl(raw: bytes) -> Description:
    """A revocation list."""
    crl = read_crl(raw)
    revoked: list[Tree] = [hex(serial) for serial in sorted(crl.revoked)]
    return Description(
        "certificate revocation list",
        {"issuer": str(crl.issuer), **_window(crl.validity), "signed with": crl.scheme.value, "revoked": revoked},
    )


def _certificate(certificate: Certificate) -> Tree:
    return {
        "subject": str(certificate.subject),
        "issuer": str(certificate.issuer),
        "serial": hex(certificate.serial),
        **_window(certificate.validity),
        "sha256": certificate.fingerprint.hex(),
        "signed with": certificate.scheme.value,
        "extensions": {
            oid + (" (critical)" if extension.critical else ""): shown_bytes(extension.value)
            for oid, extension in certificate.extensions.items()
        },
    }


def _window(validity: Validity) -> dict[str, Tree]:
    return {"not before": validity.not_before.isoformat(), "not after": validity.not_after.isoformat()}
