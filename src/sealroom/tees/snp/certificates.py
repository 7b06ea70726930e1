"""The signing key's certificate (VCEK or VLEK), its AMD extensions, and the roots (AMD 57230).

Roots are pinned by the SHA-256 of their DER; the certificates themselves come with the collateral. The leaf's own
extensions say which product, which chip and which TCB version the key is for. The hardware id is raw bytes inside the
extension, not DER: one that begins with 02 or 04 only looks like it. Everything else is one DER value each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sealroom.der import IA5_STRING, INTEGER, read_whole
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import Collateral, TrustRoots, Validity
from sealroom.tees.snp.layout import SigningKey
from sealroom.tees.snp.tcb import PARTS, Product
from sealroom.x509_chain import PublicKey, VerifiedChain, public_key, verify_chain, verify_crl
from sealroom.x509_reader import Certificate, printable
from sealroom.x509_scheme import SignatureScheme

__all__ = ["AMD_ROOTS", "Endorsement", "verify_endorsement"]

AMD_ROOTS: Mapping[bytes, Product] = {
    # ARK-Milan, serial 10000, 2020-10-22 to 2045-10-22
    bytes.fromhex("69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"): Product.MILAN,
    # ARK-Genoa, serial 20000, 2022-01-26 to 2047-01-26
    bytes.fromhex("4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"): Product.GENOA,
    # ARK-Turin, serial 30000, 2023-05-15 to 2048-05-15
    bytes.fromhex("1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a"): Product.TURIN,
}
"""SHA-256 of the DER of AMD's root keys' certificates, as its key distribution service sends them
(``/vcek/v1/{product}/cert_chain``). Computed on 2026-11-22 from the certificates and found identical in virtee/sev,
confidential-containers/trustee and google/go-sev-guest."""

_SCHEMES = frozenset({SignatureScheme.RSA_PSS_SHA384})

_AMD = "1.3.6.1.4.1.3704.1"
_STRUCT_VERSION = f"{_AMD}.1"
_PRODUCT_NAME = f"{_AMD}.2"
_HARDWARE_ID = f"{_AMD}.4"
_CSP_ID = f"{_AMD}.5"
_SPL = {
    f"{_AMD}.3.1": "bootloader",
    f"{_AMD}.3.2": "tee",
    f"{_AMD}.3.3": "snp",
    f"{_AMD}.3.4": "spare 4",
    f"{_AMD}.3.5": "spare 5",
    f"{_AMD}.3.6": "spare 6",
    f"{_AMD}.3.7": "spare 7",
    f"{_AMD}.3.8": "microcode",
    f"{_AMD}.3.9": "fmc",
}
"""Security patch levels: which part of a TCB version each extension speaks of. Turin has fmc in place of spare 4."""

_HARDWARE_ID_SIZE = {Product.MILAN: 64, Product.GENOA: 64, Product.TURIN: 8}

_INTERMEDIATE = {
    **{f"SEV-{product}": (SigningKey.VCEK, product) for product in Product},
    **{f"SEV-VLEK-{product}": (SigningKey.VLEK, product) for product in Product},
}
_ROOT = {f"ARK-{product}": product for product in Product}
_LEAF = {SigningKey.VCEK: "SEV-VCEK", SigningKey.VLEK: "SEV-VLEK"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsement:
    """A signing key that AMD (or the root of simulated hardware) vouches for."""

    kind: SigningKey
    product: Product
    key: ec.EllipticCurvePublicKey
    tcb: Mapping[str, int]
    """The TCB version that the key is derived for."""
    hardware_id: bytes | None
    """Of the chip, for a VCEK; a VLEK belongs to no chip."""
    csp_id: str | None
    """The cloud that a VLEK was made for."""
    root: bytes
    """SHA-256 of the DER of the root."""
    simulated: bool
    validity: Validity
    revocation: Validity | None
    """The window of the revocation list that none of the chain is on; None if no list came with the evidence."""


def verify_endorsement(collateral: Collateral, *, roots: TrustRoots, at: datetime) -> Endorsement:
    """Verify the leaf in ``collateral`` up to a trusted root, and read what it says.

    1. Chain, windows, CA rules: `x509_chain.verify_chain`, RSASSA-PSS with SHA-384 alone.
    2. Exactly leaf, intermediate, root, with AMD's key types: P-384 below RSA-4096.
    3. The names, whole and not by substring, agree on one kind of key and one product; a pinned root's own product
       stands in the code.
    4. Revocation, if the collateral has a list: signed by the root, in its window, none of the chain on it.
    5. The extensions agree with kind and product, and each is there once, whole.

    Raises:
        MalformedError, UnverifiedError: ``x509.*``, ``snp.*``, ``collateral.missing``.
    """
    # 1.
    chain = verify_chain(
        collateral.require("leaf"), collateral.require("chain"),
        anchors=frozenset(AMD_ROOTS) | roots.insecure_simulated, schemes=_SCHEMES, at=at,
    )  # fmt: skip
    # 2.
    key = _require_amd_keys(chain)
    # 3.
    kind, product = _kind_and_product(chain)
    # 4.
    revocation = _require_not_revoked(chain, collateral, at)
    validity = chain.validity if revocation is None else chain.validity.meet(revocation)
    # 5.
    _require_struct_version(chain.leaf)
    _require_product_name(chain.leaf, product)
    root = chain.root.fingerprint
    return Endorsement(
        kind=kind, product=product, key=key, tcb=MappingProxyType(_tcb(chain.leaf, product)),
        hardware_id=_hardware_id(chain.leaf, kind, product), csp_id=_csp_id(chain.leaf, kind),
        root=root, simulated=root not in AMD_ROOTS, validity=validity, revocation=revocation,
    )  # fmt: skip


def _require_amd_keys(chain: VerifiedChain) -> ec.EllipticCurvePublicKey:
    if len(chain.certificates) != 3:
        raise UnverifiedError("snp.chain-length", "the chain is not leaf, intermediate and root",
                              got=f"{len(chain.certificates)} certificates", expected="3")  # fmt: skip
    for issuer in chain.certificates[1:]:
        if not _is_rsa_4096(public_key(issuer)):
            raise UnverifiedError("snp.issuer-key", f"{issuer.subject} has no RSA-4096 key")
    key = public_key(chain.leaf)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise UnverifiedError("snp.leaf-key", f"{chain.leaf.subject} has no key on the curve P-384")
    return key


def _is_rsa_4096(key: PublicKey) -> bool:
    return isinstance(key, rsa.RSAPublicKey) and key.key_size == 4096


def _kind_and_product(chain: VerifiedChain) -> tuple[SigningKey, Product]:
    leaf, intermediate, root = (certificate.subject.common_name for certificate in chain.certificates)
    if intermediate not in _INTERMEDIATE or root not in _ROOT:
        raise UnverifiedError("snp.unknown-product", "the issuers are of no product that this release knows",
                              got=printable(f"{intermediate}, {root}"),
                              expected=", ".join(_INTERMEDIATE))  # fmt: skip
    kind, product = _INTERMEDIATE[intermediate]
    if leaf != _LEAF[kind]:
        raise UnverifiedError("snp.leaf-kind", f"{intermediate} issues no such certificate", got=printable(leaf),
                              expected=_LEAF[kind])  # fmt: skip
    if _ROOT[root] is not product or AMD_ROOTS.get(chain.root.fingerprint, product) is not product:
        raise UnverifiedError("snp.product-mismatch", "intermediate and root are of different products",
                              got=f"{intermediate}, {root}")  # fmt: skip
    return kind, product


def _require_not_revoked(chain: VerifiedChain, collateral: Collateral, at: datetime) -> Validity | None:
    """The window of the revocation list, if there is one.

    AMD publishes one list per product, signed by the root. It covers what the root issued (the intermediate, and the
    root itself). A leaf's serial number on it counts as well: real leaves all carry the serial 0, which the root
    never gives out, so that this can only be too strict.
    """
    raw = collateral.items.get("crl")
    if raw is None:
        return None
    crl = verify_crl(raw, issuer=chain.root, schemes=_SCHEMES, at=at)
    for certificate in chain.certificates:
        if crl.lists(certificate.serial):
            raise UnverifiedError("x509.revoked", f"{certificate.subject} has been revoked by its root",
                                  got=f"serial 0x{certificate.serial:x}",
                                  hint="the machine needs new certificates from its vendor")  # fmt: skip
    return crl.validity


def _require_struct_version(leaf: Certificate) -> None:
    # 0, and 1 on Turin; a later one may give the other extensions another meaning
    extension = leaf.extensions.get(_STRUCT_VERSION)
    version = None if extension is None else read_whole(extension.value, INTEGER).integer()
    if version not in {0, 1}:
        raise UnverifiedError("snp.leaf-extension", "the certificate's extensions are of an unknown version",
                              where="extension structVersion", got="none" if version is None else version,
                              expected="0 or 1")  # fmt: skip


def _require_product_name(leaf: Certificate, product: Product) -> None:
    name = _ia5(leaf, _PRODUCT_NAME)
    # "Milan-B0" names the stepping too, "Genoa" does not
    if name.partition("-")[0] != product:
        raise UnverifiedError("snp.product-mismatch", "the certificate is for another product than its issuer",
                              where="extension productName", got=name, expected=product.value)  # fmt: skip


def _tcb(leaf: Certificate, product: Product) -> dict[str, int]:
    levels = {
        part: read_whole(leaf.extensions[oid].value, INTEGER).integer()
        for oid, part in _SPL.items()
        if oid in leaf.extensions
    }
    wanted = PARTS[product]
    missing = [part for part in wanted if part not in levels]
    if missing:
        raise UnverifiedError("snp.leaf-extension", "the certificate lacks a security patch level",
                              got="none", expected=", ".join(missing))  # fmt: skip
    for part, level in levels.items():
        if not 0 <= level <= (255 if part in wanted else 0):
            raise MalformedError("snp.leaf-extension", f"the security patch level of {part} can not be", got=level)
    return {part: levels[part] for part in wanted}


def _hardware_id(leaf: Certificate, kind: SigningKey, product: Product) -> bytes | None:
    extension = leaf.extensions.get(_HARDWARE_ID)
    if kind is SigningKey.VLEK:
        if extension is not None:
            raise UnverifiedError("snp.leaf-kind", "a VLEK belongs to no chip, and this one names one")
        return None
    size = _HARDWARE_ID_SIZE[product]
    if extension is None or len(extension.value) != size:
        raise UnverifiedError("snp.chip-id-mismatch", "the VCEK's certificate does not name its chip",
                              where="extension hwID", expected=f"{size} bytes",
                              got="none" if extension is None else f"{len(extension.value)} bytes")  # fmt: skip
    return extension.value


def _csp_id(leaf: Certificate, kind: SigningKey) -> str | None:
    if kind is SigningKey.VLEK:
        return _ia5(leaf, _CSP_ID)
    if _CSP_ID in leaf.extensions:
        raise UnverifiedError("snp.leaf-kind", "a VCEK belongs to no cloud, and this one names one")
    return None


def _ia5(leaf: Certificate, oid: str) -> str:
    extension = leaf.extensions.get(oid)
    if extension is None:
        raise UnverifiedError("snp.leaf-extension", "the certificate lacks an extension", expected=oid)
    content = read_whole(extension.value, IA5_STRING).content
    text = content.decode("latin-1")
    if not content.isascii() or not text.isprintable():
        raise MalformedError("snp.leaf-extension", "an IA5String holds other than printable ASCII", where=oid)
    return text
