"""Reference values (RIM) that NVIDIA publishes for a driver or a VBIOS: a signed SWID tag, as TCG has it.

`read_rim` reads and proves nothing; `verify_rim` is the only way to a `VerifiedRim`.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from types import MappingProxyType
from typing import TypeAlias

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import Validity
from sealroom.tees._remembered import Remembered
from sealroom.tees.nvidia.rim_signature import RimSignature, holds, read_signature, reference_holds
from sealroom.tees.nvidia.xml_tree import XmlElement, XmlShape, read_xml
from sealroom.x509_chain import VerifiedChain, verify_certificates
from sealroom.x509_reader import Certificate, read_der_certificate
from sealroom.x509_scheme import SignatureScheme

__all__ = ["RIM_ROOTS", "Rim", "VerifiedRim", "read_rim", "rim_certificates", "verify_rim"]

RIM_ROOTS: Mapping[bytes, str] = {
    # P-384, 2023-03-16 to 2053
    bytes.fromhex("12977b5115acb0381179279fffeb5a8c4d264971ebb32298023a465fa41df5d1"): "NVIDIA CoRIM signing Root CA",
}
"""SHA-256 of the DER of the root. Computed from NVIDIA/nvtrust's verifier on 2026-11-23, and found last in the
KeyInfo of every authentic RIM that was collected."""

_SWID = "{http://standards.iso.org/iso/19770/-2/2015/schema.xsd}"
_RESOURCE = f"{_SWID}Resource"
_HASH = "{http://www.w3.org/2001/04/xmlenc#sha384}Hash"
_SCHEMES = frozenset({SignatureScheme.ECDSA_SHA384})
_VERSION = re.compile(r"[0-9A-Za-z.]{1,64}")
_SIZE = 48
_MAX_INDEX = 255
_MAX_ALTERNATIVES = 64
_HASHES = tuple([f"{_HASH}{number}" for number in range(_MAX_ALTERNATIVES)])
_READ = ("type", "size", "index", "alternatives", "active")
_Places: TypeAlias = Callable[[tuple[str, ...]], tuple[str, ...]]
_NUMBERS = {str(number): number for number in range(_MAX_INDEX + 1)}
"""One way to write each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rim:
    """What a RIM says. Untrusted."""

    product: str
    """``GH100``, ``GB100``, ``LS10``."""
    edition: str
    """``GPU`` or ``SWITCH``."""
    version: str
    """colloquialVersion: of the driver, or of the VBIOS in upper case."""
    measurements: Mapping[int, tuple[bytes, ...]]
    """The active ones: by index, the values of which one has to be met."""

    @property
    def id(self) -> str:
        """What it is called in messages."""
        return f"{self.product} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRim(Rim):
    """A RIM that NVIDIA (or the root of simulated hardware) signed."""

    certificates: tuple[Certificate, ...]
    """Signer first, root last."""
    root: bytes
    validity: Validity


_REMEMBERED: Remembered[VerifiedRim] = Remembered(64)


def read_rim(raw: bytes) -> Rim:
    """Read a RIM without verifying anything.

    Raises:
        MalformedError: ``nvidia.rim-*``.
    """
    return _rim(read_xml(raw))


def rim_certificates(raw: bytes) -> tuple[bytes, ...]:
    """The certificates that a RIM brings, DER, signer first; nothing is verified.

    Raises:
        MalformedError: ``nvidia.rim-*``.
    """
    return tuple(read_signature(read_xml(raw)).certificates)


def verify_rim(raw: bytes, *, anchors: frozenset[bytes], at: datetime, digest: bytes | None = None) -> VerifiedRim:
    """Verify that ``raw`` is a RIM under one of ``anchors``, and valid at ``at``.

    1. Well-formed, without document type, entities or instructions; within its limits.
    2. Exactly one signature, a child of the root, with one reference to the whole document.
    3. The document's digest is the reference's; the signature over SignedInfo holds under the first certificate.
    4. The certificates lead to an anchor, each in its window at ``at``: signers live about two years.
    5. The values: each index once, at least one active.

    Args:
        raw: untrusted.
        anchors: SHA-256 of the DER of roots.
        at: the time to verify at, timezone-aware.
        digest: SHA-256 of ``raw``, by whoever has computed it already.

    Raises:
        MalformedError: ``nvidia.rim-*``.
        UnverifiedError: ``nvidia.rim-reference-digest``, ``nvidia.rim-signature``, ``x509.*``.
    """
    key = (digest or hashlib.sha256(raw).digest(), anchors)
    return _REMEMBERED.answer(key, at, lambda: _verify(raw, anchors, at))


def _verify(raw: bytes, anchors: frozenset[bytes], at: datetime) -> VerifiedRim:
    # 1.
    root = read_xml(raw)
    # 2.
    signature = read_signature(root)
    # 3.
    if not reference_holds(root, signature):
        raise UnverifiedError("nvidia.rim-reference-digest", "the reference values were changed after signing",
                              hint="fetch them anew from their publisher")  # fmt: skip
    if not holds(signature):
        raise UnverifiedError("nvidia.rim-signature", "the signature of the reference values does not hold",
                              hint="fetch them anew from their publisher")  # fmt: skip
    # 4.
    chain = _chain(signature, anchors, at)
    # 5.
    rim = _rim(root)
    return VerifiedRim(
        product=rim.product, edition=rim.edition, version=rim.version, measurements=rim.measurements,
        certificates=chain.certificates,
        root=chain.root.fingerprint, validity=chain.validity,
    )  # fmt: skip


def _chain(signature: RimSignature, anchors: frozenset[bytes], at: datetime) -> VerifiedChain:
    certificates = [read_der_certificate(der) for der in signature.certificates]
    return verify_certificates(certificates, anchors=anchors, schemes=_SCHEMES, at=at)


def _rim(root: XmlElement) -> Rim:
    if root.name != f"{_SWID}SoftwareIdentity":
        raise _bad("the document is no SWID tag", root.name[:100])
    meta, payload = (_one(root, name) for name in ("Meta", "Payload"))
    version = meta.attributes.get("colloquialVersion", "")
    product, edition = meta.attributes.get("product", ""), meta.attributes.get("edition", "")
    if not all(_VERSION.fullmatch(word) for word in (version, product, edition)):
        raise _bad("the RIM does not say for which product and version it is", version[:80])
    return Rim(product=product, edition=edition, version=version, measurements=_measurements(payload))


def _measurements(payload: XmlElement) -> Mapping[int, tuple[bytes, ...]]:
    found: dict[int, tuple[bytes, ...]] = {}
    seen: set[int] = set()
    places: dict[int, _Places] = {}
    for resource in payload.elements:
        shape = resource.shape
        at = places.get(id(shape)) or places.setdefault(id(shape), _places(shape))
        kind, size, number, count, active, *hashes = at(resource.values)
        if kind != "Measurement" or size != "48":
            raise _bad("the payload has something that is no measurement of 48 bytes", ascii(kind)[:100])
        index = _NUMBERS.get(number)
        if index is None or index in seen:
            raise _bad("an index is none, or stands twice", ascii(number)[:40])
        seen.add(index)
        if _NUMBERS.get(count) != len(hashes) or len(hashes) > _MAX_ALTERNATIVES:
            raise _bad("a measurement has other values than it announces, or too many", index)
        values = tuple([_digest(text, index) for text in hashes])
        if active == "True":
            found[index] = values
        elif active != "False":
            raise _bad("a measurement is neither active nor inactive", index)
    if not found:
        raise _bad("no value is active: nothing could be compared", len(seen))
    return MappingProxyType(found)


def _places(shape: XmlShape) -> _Places:
    """What takes out of the values of a resource with these attributes: type, size, index, number of alternatives,
    whether it is active, and then its values, which are numbered from 0 on."""
    at = {name: place for place, name in enumerate(shape.names)}
    count = sum([name.startswith(_HASH) for name in shape.names])
    wanted = (*_READ, *_HASHES[:count])
    if shape.name != _RESOURCE or not count or not all(name in at for name in wanted):
        raise _bad("the payload has something that is no measurement with all that belongs to one", shape.name[:100])
    return itemgetter(*[at[name] for name in wanted])


def _digest(text: str, index: int) -> bytes:
    """96 hexadecimal digits; with white space among them, which Python would pass over, it is less than 48 bytes."""
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != _SIZE or len(text) != 2 * _SIZE:
        raise _bad("a measurement has a value that is not 48 bytes in hexadecimal", index)
    return value


def _one(root: XmlElement, name: str) -> XmlElement:
    found = [child for child in root.elements if child.name == _SWID + name]
    if len(found) != 1:
        raise _bad(f"the RIM has not exactly one {name}", len(found))
    return found[0]


def _bad(message: str, got: object) -> MalformedError:
    return MalformedError("nvidia.rim", message, got=got, expected="a RIM as NVIDIA publishes it")
