"""The signature of a RIM: XML signature syntax (W3C, second edition), in the one shape that NVIDIA writes.

Two things are signed for, and both are checked: that the document is what the reference's digest says, and that the
signature over SignedInfo, where that digest stands, holds. Whoever checks the second alone takes an altered document.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.tees.nvidia.canonical import canonical
from sealroom.tees.nvidia.xml_tree import XmlElement
from sealroom.x509_chain import public_key
from sealroom.x509_reader import read_der_certificate

__all__ = ["RimSignature", "holds", "read_signature", "reference_holds"]

_DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"
_SIGNATURE: Final = f"{_DS}Signature"
_C14N = "http://www.w3.org/2006/12/xml-c14n11"
_TRANSFORMS = ["http://www.w3.org/2000/09/xmldsig#enveloped-signature", _C14N]
_ECDSA_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384"
_ECDSA = ec.ECDSA(hashes.SHA384())
_HALF = 48
_CERTIFICATES = range(2, 6)


@dataclass(frozen=True, slots=True)
class RimSignature:
    """The parts of a signature, read and not judged."""

    element: XmlElement
    signed_info: bytes
    """Canonical, as it is signed."""
    digest: bytes
    """What the reference says that the document's digest is."""
    value: bytes
    certificates: tuple[bytes, ...]
    """DER, signer first."""


def read_signature(root: XmlElement) -> RimSignature:
    """Find the one signature of the document and read it.

    Raises:
        MalformedError: ``nvidia.rim-signature-shape``: there is none or more than one, it is not a child of the root,
            or it is in another shape than this one: one reference to the whole document, two transforms.
    """
    found = [element for element in root.elements if element.name == _SIGNATURE]
    if len(found) != 1 or any(
        element.shape.name == _SIGNATURE for element in found[0].all() if element is not found[0]
    ):
        raise _shape("exactly one signature, directly under the root", len(found))
    signature = found[0]
    names = {inner.shape.name for other in root.elements if other is not signature for inner in other.all()}
    if any(name.startswith(_DS) for name in (root.name, *names)):
        raise _shape("nothing of a signature elsewhere", None)
    signed_info, value, key_info = _children(signature, "SignedInfo", "SignatureValue", "KeyInfo")
    return RimSignature(
        element=signature,
        signed_info=canonical(signed_info),
        digest=_read_signed_info(signed_info),
        value=_base64(value),
        certificates=_read_certificates(key_info),
    )


def reference_holds(root: XmlElement, signature: RimSignature) -> bool:
    """Whether the document, less its signature, is the one that was signed."""
    return hashlib.sha384(canonical(root, without=signature.element)).digest() == signature.digest


def holds(signature: RimSignature) -> bool:
    """Whether the first certificate's key signed SignedInfo. Says nothing of whose certificate it is.

    Raises:
        MalformedError, UnverifiedError: ``x509.*``: it is no certificate; ``nvidia.rim-key``: it has another key.
    """
    key = public_key(read_der_certificate(signature.certificates[0]))
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise UnverifiedError("nvidia.rim-key", "the signer of a RIM has no key on the curve P-384")
    if len(signature.value) != 2 * _HALF:
        return False
    r, s = (int.from_bytes(half, "big") for half in (signature.value[:_HALF], signature.value[_HALF:]))
    try:
        key.verify(encode_dss_signature(r, s), signature.signed_info, _ECDSA)
    except InvalidSignature:
        return False
    return True


def _read_signed_info(signed_info: XmlElement) -> bytes:
    method, algorithm, reference = _children(signed_info, "CanonicalizationMethod", "SignatureMethod", "Reference")
    transforms, digest_method, digest_value = _children(reference, "Transforms", "DigestMethod", "DigestValue")
    if (_algorithm(method), _algorithm(algorithm), _algorithm(digest_method)) != (_C14N, _ECDSA_SHA384, _SHA384):
        raise _shape("canonical XML 1.1, ECDSA with SHA-384, SHA-384", _algorithm(algorithm))
    if dict(reference.attributes) != {"URI": ""}:
        raise _shape("one reference, to the whole document", str(dict(reference.attributes))[:80])
    if [_algorithm(transform) for transform in _children(transforms, "Transform", "Transform")] != _TRANSFORMS:
        raise _shape("two transforms: enveloped signature, canonical XML 1.1", None)
    digest = _base64(digest_value)
    if len(digest) != _HALF:
        raise _shape("a SHA-384 digest", f"{len(digest)} bytes")
    return digest


def _read_certificates(key_info: XmlElement) -> tuple[bytes, ...]:
    (data,) = _children(key_info, "X509Data")
    certificates = data.elements
    if len(certificates) not in _CERTIFICATES or data.text.strip():
        raise _shape("two to five certificates in KeyInfo", len(certificates))
    return tuple(_base64(one) for one in _children(data, *["X509Certificate"] * len(certificates)))


def _children(parent: XmlElement, *names: str) -> list[XmlElement]:
    """The children of ``parent``, which are exactly these, with white space between them at most."""
    if [child.name for child in parent.elements] != [_DS + name for name in names] or parent.text.strip():
        raise _shape(f"{parent.name.removeprefix(_DS)} with {', '.join(names)}",
                     ", ".join(child.name.removeprefix(_DS) for child in parent.elements)[:80])  # fmt: skip
    return parent.elements


def _algorithm(element: XmlElement) -> str | None:
    """The one attribute of an element that says an algorithm and has nothing in it."""
    if element.children or set(element.attributes) != {"Algorithm"}:
        raise _shape("an algorithm without parameters", element.name.removeprefix(_DS))
    return element.attributes["Algorithm"]


def _base64(element: XmlElement) -> bytes:
    if element.elements:
        raise _shape("base64", element.name.removeprefix(_DS))
    try:
        return base64.b64decode("".join(element.text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _shape("base64", element.name.removeprefix(_DS)) from None


def _shape(expected: str, got: object) -> MalformedError:
    return MalformedError("nvidia.rim-signature-shape", "the signature of a RIM is not in the shape that is taken",
                          got=got, expected=expected)  # fmt: skip
