"""The device's certificates: five, from the key that signs reports to NVIDIA's root, and what they say of the device.

    leaf (FMC) ← BROM ← provisioner ICA ← identity CA of the family ← NVIDIA Device Identity CA

They never end (notAfter is the end of the year 9999), so that freshness comes from the nonce alone, and withdrawal
from OCSP (`ocsp`), which has no answer for the leaf.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.der import OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, DerReader, read_whole
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import Collateral, TrustRoots, Validity
from sealroom.pem import is_pem
from sealroom.tees._remembered import Remembered
from sealroom.x509_chain import public_key, require_aware, verify_certificates
from sealroom.x509_reader import Certificate, read_certificates
from sealroom.x509_scheme import SignatureScheme

__all__ = ["NVIDIA_ROOTS", "DeviceIdentity", "verify_device"]

NVIDIA_ROOTS: Mapping[bytes, str] = {
    # P-384, 2021-11-05 to 9999-12-31
    bytes.fromhex("102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48"): "NVIDIA Device Identity CA",
}
"""SHA-256 of the DER of the root. Computed from NVIDIA/nvtrust's GPU and switch verifiers on 2026-11-23, and found
last in every chain that was collected (GH100, GB100, LS10)."""

_SCHEMES = frozenset({SignatureScheme.ECDSA_SHA384})
_CHAIN_LENGTH = 5
_DEVICE_ID = "2.23.133.5.4.1"
"""Hopper and switches: a structure that ends with one FWID."""
_TCB_INFO = "2.23.133.5.4.1.1"
"""Blackwell: DiceTcbInfo (TCG DICE Attestation Architecture 1.1, 6.1.1), with a list of FWIDs under [6]."""
_FWIDS = 0xA6
_SERIAL_NUMBER = "2.5.4.5"
_SHA384 = "2.16.840.1.101.3.4.2.2"
_FWID_SIZE = 48
_PDI_SIZE = 8

_GENERATIONS = {"GH": "hopper", "GB": "blackwell"}
"""Of GPUs, by how the name of a chip begins; a switch is called by its own name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """A device that NVIDIA (or the root of simulated hardware) vouches for."""

    architecture: str
    """``hopper``, ``blackwell``, ``ls10``; another family's own name in lower case."""
    hwmodel: str
    """Common name of the BROM's certificate, as NVIDIA's own claims give it."""
    serial: int
    """Of the leaf; in decimal it is the device's ``ueid``."""
    pdi: bytes | None
    """Eight bytes by which devices on the same links name each other; None: the certificate has none."""
    fwid: bytes | None
    """Digest of the firmware that the signing key belongs to."""
    key: bytes
    """That signs reports: SubjectPublicKeyInfo, DER, on P-384."""
    root: bytes
    simulated: bool
    validity: Validity
    certificates: tuple[Certificate, ...] = field(repr=False)
    """Leaf first, root last."""

    @property
    def is_switch(self) -> bool:
        """Whether it is an NVLink switch and no GPU."""
        return self.architecture.startswith("ls")


_REMEMBERED: Remembered[DeviceIdentity] = Remembered(64)


def verify_device(collateral: Collateral, *, roots: TrustRoots, at: datetime) -> DeviceIdentity:
    """Verify the chain in ``collateral`` up to a trusted root, and read what it says.

    1. Chain, windows, CA rules: `x509_chain.verify_chain`, ECDSA with SHA-384 alone.
    2. Exactly five certificates, so that no key above the leaf can sign in its place; all keys on P-384.
    3. The firmware's digest in the leaf, by the extension that it has.
    4. Names: which family, and the identifier in the BROM's subject.

    Raises:
        MalformedError, UnverifiedError: ``x509.*``, ``nvidia.*``, ``collateral.missing``.
    """
    require_aware(at)
    pem, anchors = collateral.require("cert_chain"), frozenset(NVIDIA_ROOTS) | roots.insecure_simulated
    return _REMEMBERED.answer((collateral.digest("cert_chain"), anchors), at, lambda: _verify(pem, anchors, at))


def _verify(pem: bytes, anchors: frozenset[bytes], at: datetime) -> DeviceIdentity:
    # 1.
    chain = verify_certificates(_read_chain(pem.rstrip(b"\x00")), anchors=anchors, schemes=_SCHEMES, at=at)
    # 2.
    if len(chain.certificates) != _CHAIN_LENGTH:
        raise UnverifiedError("nvidia.chain-length", "the device's chain has a wrong number of certificates",
                              got=len(chain.certificates), expected=_CHAIN_LENGTH)  # fmt: skip
    _require_p384(chain.leaf)
    brom = chain.certificates[1]
    root = chain.root.fingerprint
    return DeviceIdentity(
        # 3.
        fwid=_fwid(chain.leaf),
        # 4.
        architecture=_architecture(brom),
        hwmodel=str(brom.subject),
        pdi=_pdi(brom),
        serial=chain.leaf.serial,
        key=chain.leaf.public_key,
        root=root,
        simulated=root not in NVIDIA_ROOTS,
        validity=chain.validity,
        certificates=chain.certificates,
    )


def _read_chain(pem: bytes) -> tuple[Certificate, ...]:
    """Leaf first. PEM alone, as devices give it."""
    if not is_pem(pem):
        raise MalformedError("nvidia.cert-chain", "the device's certificates are not PEM", got=f"{len(pem)} bytes")
    return read_certificates(pem)


def _require_p384(certificate: Certificate) -> None:
    key = public_key(certificate)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise UnverifiedError("nvidia.leaf-key", f"{certificate.subject} has no key on the curve P-384")


def _architecture(brom: Certificate) -> str:
    family = brom.subject.common_name.split(" ")[0]
    known = next((name for start, name in _GENERATIONS.items() if family.startswith(start)), None)
    return known or family.lower().replace("_", "") or "unknown"


def _pdi(brom: Certificate) -> bytes | None:
    """The subject's serialNumber less its first byte: eight bytes of hexadecimal digits."""
    text = _subject_serial(brom.subject.der)
    try:
        raw = bytes.fromhex(text or "")
    except ValueError:
        return None
    return raw[1:] if len(raw) == _PDI_SIZE + 1 else None


@lru_cache(maxsize=256)
def _subject_serial(name: bytes) -> str | None:
    found = []
    names = read_whole(name, SEQUENCE).reader()
    while not names.at_end():
        attributes = names.take(SET).reader()
        while not attributes.at_end():
            attribute = attributes.take(SEQUENCE).reader()
            if attribute.take(OBJECT_IDENTIFIER).oid() == _SERIAL_NUMBER:
                found.append(attribute.take().content.decode("ascii", "replace"))
    return found[0] if len(found) == 1 else None


def _fwid(leaf: Certificate) -> bytes | None:
    if (extension := leaf.extensions.get(_TCB_INFO)) is not None:
        return _fwid_of_tcb_info(extension.value)
    if (extension := leaf.extensions.get(_DEVICE_ID)) is not None:
        return _fwid_of_device_id(extension.value)
    return None


def _fwid_of_device_id(value: bytes) -> bytes:
    """SEQUENCE { version, key of the layer below, FWID }: the last one is the digest."""
    reader = read_whole(value, SEQUENCE).reader()
    last = reader.take()
    while not reader.at_end():
        last = reader.take()
    if last.tag != SEQUENCE:
        raise _no_fwid("the leaf's DICE extension does not end with a firmware digest")
    return _digest(last.reader())


def _fwid_of_tcb_info(value: bytes) -> bytes:
    """DiceTcbInfo: the first of the list under [6]. The last bytes of the extension are another one's."""
    reader = read_whole(value, SEQUENCE).reader()
    while not reader.at_end():
        member = reader.take()
        if member.tag == _FWIDS:
            return _digest(member.reader().take(SEQUENCE).reader())
    raise _no_fwid("the leaf's DiceTcbInfo has no firmware digest")


def _digest(fwid: DerReader) -> bytes:
    algorithm, digest = fwid.take(OBJECT_IDENTIFIER).oid(), fwid.take(OCTET_STRING).content
    fwid.end()
    if algorithm != _SHA384 or len(digest) != _FWID_SIZE:
        raise _no_fwid("the firmware digest in the leaf is not SHA-384")
    return digest


def _no_fwid(message: str) -> MalformedError:
    return MalformedError("nvidia.fwid-extension", message, expected="a SHA-384 digest")
