"""AMD SEV-SNP hardware in software: reports, keys and certificates that are right to the byte, under a private root.

    SnpVendor     what AMD is: root (ARK), intermediates (ASK for VCEKs, ASVK for VLEKs), revocation lists
    SnpPlatform   one processor: a chip id, a TCB version, and the signing key that both determine
    SimulatedSnp  one guest on it, which asks for reports as a guest on silicon does

Every field of a report can be changed before it is signed (`SnpPlatform.sign`) and every field of a leaf before it is
issued (`SnpPlatform.leaf_form`), so that each fault can be had alone.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.errors import MisuseError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.pem import as_pem
from sealroom.tees.snp.layout import REPORT, SIGNED_SIZE, SigningKey
from sealroom.tees.snp.tcb import PARTS, Product
from sealroom.testing import der
from sealroom.testing.pki import Authority, CertificateForm, CrlForm, authority, mint_certificate, mint_crl

__all__ = [
    "DEFAULT_POLICY",
    "POLICY_DEBUG",
    "POLICY_MIGRATE_MA",
    "SimulatedSnp",
    "SnpPlatform",
    "SnpVendor",
    "flip_bit",
    "leaf_extensions",
    "tcb_bytes",
]

DEFAULT_POLICY = 0x30000
"""Guest policy: bit 17, which must be one, and SMT allowed."""
POLICY_DEBUG = 1 << 19
POLICY_MIGRATE_MA = 1 << 18

_DEFAULT_TCB: Mapping[Product, Mapping[str, int]] = {
    Product.MILAN: {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219},
    Product.GENOA: {"bootloader": 10, "tee": 0, "snp": 27, "microcode": 84},
    Product.TURIN: {"fmc": 1, "bootloader": 2, "tee": 1, "snp": 4, "microcode": 81},
}
_CPUID = {Product.MILAN: (0x19, 0x01, 1), Product.GENOA: (0x19, 0x11, 1), Product.TURIN: (0x1A, 0x02, 1)}
_SERIALS = {Product.MILAN: 0x10000, Product.GENOA: 0x20000, Product.TURIN: 0x30000}
_SPL = {"bootloader": 1, "tee": 2, "snp": 3, "microcode": 8, "fmc": 9}
_CSP_ID = "CN=simulated.example"
_ORDER_P384 = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16
)


@dataclass(frozen=True, kw_only=True)
class SnpVendor:
    """The keys that AMD keeps, of one product."""

    product: Product
    ark: Authority
    ask: Authority

    @classmethod
    def create(cls, product: Product = Product.GENOA, *, keys: "SnpVendor | None" = None) -> "SnpVendor":
        """New keys (RSA-4096, a second or so), or those of ``keys`` under the names of ``product``."""
        ark_key, ask_key = (keys.ark.key, keys.ask.key) if keys else (_rsa_4096(), _rsa_4096())
        serial = _SERIALS[product]
        ark = authority(f"ARK-{product}", ark_key, serial=serial, signs_crls=True)
        ask = authority(f"SEV-{product}", ask_key, serial=serial + 1, issuer=ark, path_length=0)
        return cls(product=product, ark=ark, ask=ask)

    @cached_property
    def asvk(self) -> Authority:
        """The intermediate of VLEKs; made when it is first asked for."""
        serial = _SERIALS[self.product] + 0x101
        return authority(f"SEV-VLEK-{self.product}", _rsa_4096(), serial=serial, issuer=self.ark, path_length=0)

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of the root's DER: what a policy names under ``insecure_simulated``."""
        return hashlib.sha256(self.ark.certificate).digest()

    def issuer_of(self, kind: SigningKey) -> Authority:
        """Who issues leaves of this kind."""
        return self.ask if kind is SigningKey.VCEK else self.asvk

    def chain(self, kind: SigningKey = SigningKey.VCEK) -> bytes:
        """Intermediate and root in PEM, as the key distribution service sends them."""
        return as_pem(self.issuer_of(kind).certificate, self.ark.certificate)

    def crl(self, form: CrlForm | None = None) -> bytes:
        """A revocation list signed by the root; an empty one unless ``form`` says more."""
        return mint_crl(form or CrlForm(), self.ark)


@dataclass(frozen=True, kw_only=True)
class SnpPlatform:
    """One processor. Its signing key follows from its secret and its TCB version, as on silicon."""

    vendor: SnpVendor
    chip_id: bytes
    secret: bytes = field(repr=False)
    tcb: Mapping[str, int]
    kind: SigningKey = SigningKey.VCEK

    @classmethod
    def create(
        cls,
        product: Product = Product.GENOA,
        *,
        vendor: SnpVendor | None = None,
        tcb: Mapping[str, int] | None = None,
        chip_id: bytes | None = None,
        kind: SigningKey = SigningKey.VCEK,
    ) -> "SnpPlatform":
        """A new chip of ``product``; the vendor's keys are made anew unless given."""
        vendor = vendor or SnpVendor.create(product)
        if vendor.product is not product:
            raise MisuseError(
                "simulated.product", "the vendor's keys are of another product", got=vendor.product.value
            )
        return cls(
            vendor=vendor,
            chip_id=chip_id or os.urandom(8 if product is Product.TURIN else 64),
            secret=os.urandom(32),
            tcb=dict(tcb or _DEFAULT_TCB[product]),
            kind=kind,
        )

    def at_tcb(self, **parts: int) -> "SnpPlatform":
        """The same chip with other versions of these parts, and so with another signing key."""
        return replace(self, tcb={**self.tcb, **parts})

    @property
    def product(self) -> Product:
        """What the chip is."""
        return self.vendor.product

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of the root's DER: what a policy names under ``insecure_simulated``."""
        return self.vendor.root_fingerprint

    @cached_property
    def key(self) -> ec.EllipticCurvePrivateKey:
        """The VCEK or VLEK."""
        material = self.secret + tcb_bytes(self.product, self.tcb) + bytes((self.kind,))
        scalar = int.from_bytes(hashlib.sha512(material).digest(), "big") % (_ORDER_P384 - 1) + 1
        return ec.derive_private_key(scalar, ec.SECP384R1())

    def leaf_form(self) -> CertificateForm:
        """The form of the honest leaf; `dataclasses.replace` one field of it to have one fault."""
        return CertificateForm(
            subject=f"SEV-{self.kind.name}",
            public_key=self.key.public_key(),
            extensions=leaf_extensions(
                self.product,
                self.tcb,
                hardware_id=self.chip_id if self.kind is SigningKey.VCEK else None,
                csp_id=_CSP_ID if self.kind is SigningKey.VLEK else None,
            ),
        )

    def issue(self, form: CertificateForm) -> bytes:
        """A leaf, DER, signed by the intermediate of this platform's kind of key."""
        return mint_certificate(form, self.vendor.issuer_of(self.kind))

    @cached_property
    def leaf(self) -> bytes:
        """The honest leaf, DER."""
        return self.issue(self.leaf_form())

    def collateral(self, **changes: bytes) -> Collateral:
        """``leaf`` and ``chain``; ``changes`` replaces them or adds ``crl``."""
        return Collateral(items={"leaf": self.leaf, "chain": self.vendor.chain(self.kind)} | changes)

    def report_values(self, *, version: int = 3) -> dict[str, int | bytes]:
        """Every field of an unremarkable report of this platform, the signature zero."""
        tcb = tcb_bytes(self.product, self.tcb)
        cpuid = _CPUID[self.product] if version >= 3 else (0, 0, 0)
        values: dict[str, int | bytes] = {
            row.name: bytes(row.size) if row.kind.value == "bytes" else 0
            for row in REPORT.fields
            if row.kind.value != "reserved"
        }
        values |= {"version": version, "policy": DEFAULT_POLICY, "sig_algo": 1, "platform_info": 0x25}
        values |= {"key_info": self.kind << 2, "report_id_ma": b"\xff" * 32}
        values |= {f"{kind}_tcb": tcb for kind in ("current", "reported", "committed", "launch")}
        values |= dict(zip(("cpuid_fam", "cpuid_mod", "cpuid_step"), cpuid, strict=True))
        for which in ("current", "committed"):
            values |= {f"{which}_major": 1, f"{which}_minor": 55, f"{which}_build": 40}
        if self.kind is SigningKey.VCEK:
            values["chip_id"] = self.chip_id.ljust(64, b"\x00")
        return values

    def sign(self, values: Mapping[str, int | bytes]) -> bytes:
        """The report with these values, signed by this platform's key."""
        return self.sign_raw(REPORT.pack(values))

    def sign_raw(self, report: bytes) -> bytes:
        """``report`` (1184 bytes, reserved bytes as they are) with this platform's signature in place."""
        r, s = decode_dss_signature(self.key.sign(report[:SIGNED_SIZE], ec.ECDSA(hashes.SHA384())))
        numbers = b"".join(number.to_bytes(72, "little") for number in (r, s))
        return report[:SIGNED_SIZE] + numbers + report[SIGNED_SIZE + len(numbers) :]


class SimulatedSnp:
    """A guest on simulated hardware: an `Attester` whose evidence verifies under a root that nobody should trust.

    Args:
        measurement: 48 bytes.
        host_data: 32 bytes; the broker's clients put the digest of their init data here.
        policy: guest policy; add `POLICY_DEBUG` or `POLICY_MIGRATE_MA` to have a weak guest.
        vmpl: the privilege level at which it asks.
        version: of its reports.
        platform: the chip it runs on; a new one if none is given, which takes a second.
        collateral: further items beside leaf and chain, such as ``crl``.
    """

    tee = Tee.SNP
    simulated = True
    """Asked by a room before it listens: simulated hardware never serves the world."""

    def __init__(
        self,
        *,
        measurement: bytes = bytes(48),
        host_data: bytes = bytes(32),
        policy: int = DEFAULT_POLICY,
        vmpl: int = 0,
        version: int = 3,
        platform: SnpPlatform | None = None,
        collateral: Mapping[str, bytes] | None = None,
    ) -> None:
        if len(measurement) != 48 or len(host_data) != 32:
            raise MisuseError("simulated.sizes", "a measurement is 48 bytes, host data 32",
                              got=f"{len(measurement)} and {len(host_data)}")  # fmt: skip
        self.platform = platform or SnpPlatform.create()
        self._guest: dict[str, int | bytes] = {
            "measurement": measurement,
            "host_data": host_data,
            "policy": policy,
            "vmpl": vmpl,
            "report_id": hashlib.sha256(b"report id" + measurement + host_data).digest(),
        }
        self._version = version
        self._collateral = dict(collateral or {})

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of the root's DER: what a policy names under ``insecure_simulated``."""
        return self.platform.root_fingerprint

    def report(self, report_data: bytes, **changes: int | bytes) -> bytes:
        """A signed report; ``changes`` sets any of its fields before the signature."""
        if len(report_data) != 64:
            raise MisuseError("simulated.report-data", "report data is 64 bytes", got=len(report_data), expected=64)
        values = self.platform.report_values(version=self._version) | self._guest
        return self.platform.sign(values | {"report_data": report_data} | changes)

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return evidence that carries ``report_data`` (64 bytes)."""
        return CollectedEvidence(
            tee=Tee.SNP, raw=self.report(report_data), collateral=self.platform.collateral(**self._collateral)
        )


def leaf_extensions(
    product: Product,
    tcb: Mapping[str, int],
    *,
    hardware_id: bytes | None,
    csp_id: str | None = None,
    product_name: str | None = None,
) -> tuple[tuple[str, bool, bytes], ...]:
    """AMD's extensions as a real leaf has them; None leaves one out."""
    amd = "1.3.6.1.4.1.3704.1"
    turin = product is Product.TURIN
    name = product_name or ("Milan-B0" if product is Product.MILAN and hardware_id else product.value)
    levels = {_SPL[part]: level for part, level in tcb.items()}
    levels |= dict.fromkeys((5, 6, 7) if turin else (4, 5, 6, 7), 0)
    extensions = [
        (f"{amd}.1", False, der.integer(1 if turin else 0)),
        (f"{amd}.2", False, der.element(0x16, name.encode())),
    ]
    extensions += [(f"{amd}.3.{number}", False, der.integer(level)) for number, level in sorted(levels.items())]
    if hardware_id is not None:
        extensions.append((f"{amd}.4", False, hardware_id))
    if csp_id is not None:
        extensions.append((f"{amd}.5", False, der.element(0x16, csp_id.encode())))
    return tuple(extensions)


def tcb_bytes(product: Product, tcb: Mapping[str, int]) -> bytes:
    """The eight bytes of a TCB version."""
    raw = bytearray(8)
    for part, place in PARTS[product].items():
        raw[place] = tcb[part]
    return bytes(raw)


def flip_bit(raw: bytes, bit: int) -> bytes:
    """``raw`` with one bit changed; bit 0 is the lowest of the first byte."""
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _rsa_4096() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=4096)
