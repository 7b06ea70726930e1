"""What has to be asked of a vendor before a piece of evidence can be verified; read from unverified evidence.

Only what is here leaves the verifier: Intel learns a family and model and which CA, AMD a chip's own name and
version, NVIDIA the versions of driver and VBIOS and which boot ROM's certificate is asked about, Google which of its
CAs. A forged name gets
an answer that verification then refuses.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from sealroom.errors import MalformedError, MisuseError, UnverifiedError
from sealroom.evidence import Tee
from sealroom.tees import azure_vtpm, gcp, nvidia, sgx, snp, tdx
from sealroom.tees._dcap.pck import read_pck_identity
from sealroom.tees.gcp.certificates import issuer_address
from sealroom.tees.nvidia.reference_values import ReportFacts
from sealroom.tees.nvidia.rim import rim_certificates
from sealroom.tees.snp.layout import SigningKey
from sealroom.tees.snp.tcb import Product, product_of_cpuid, read_tcb
from sealroom.x509_reader import read_certificate, read_certificates

__all__ = ["AmdRequest", "GoogleRequest", "IntelRequest", "NvidiaRequest", "Request", "what_is_needed"]

_PADDING = b"\x00 \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntelRequest:
    """Collateral of a TDX or SGX platform."""

    tee: Tee
    fmspc: bytes
    ca: str
    """``processor`` or ``platform``."""

    @property
    def name(self) -> str:
        """For files and people."""
        return f"{self.tee.value}-{self.fmspc.hex()}-{self.ca}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AmdRequest:
    """Certificates of an SEV-SNP chip at one version."""

    product: str
    chip_id: bytes | None
    """64 bytes, or 8 of Turin; None where the report names no chip."""
    tcb: Mapping[str, int]
    kind: str
    """``vcek``, or ``vlek``, whose certificate the cloud hands out and no service has."""

    @property
    def tee(self) -> Tee:
        """Always SNP."""
        return Tee.SNP

    @property
    def name(self) -> str:
        """For files and people."""
        chip = "no-chip" if self.chip_id is None else self.chip_id.hex()[:32]
        return f"snp-{self.product}-{self.kind}-{chip}-" + "-".join(str(version) for version in self.tcb.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaRequest:
    """Reference values of a GPU's or switch's software, and word on its certificates."""

    driver_rim: str | None
    """Under which name; None of a switch."""
    vbios_rim: str
    certificates: tuple[bytes, ...]
    """DER, leaf first."""

    def rim_certificates(self, rim: bytes) -> tuple[bytes, ...]:
        """Who signed these reference values, DER, signer first; nothing is verified.

        Raises:
            MalformedError: ``nvidia.rim-*``.
        """
        return rim_certificates(rim)

    @property
    def tee(self) -> Tee:
        """Always NVIDIA."""
        return Tee.NVIDIA

    @property
    def name(self) -> str:
        """For files and people: the software, and the device by its leaf."""
        leaf = hashlib.sha256(self.certificates[0]).hexdigest()[:16]
        return "-".join(part for part in ("nvidia", self.driver_rim, self.vbios_rim, leaf) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleRequest:
    """The certificates above that of a vTPM's key, and what the hardware below it needs."""

    issuer: str
    """Where the first of them is."""
    inside: IntelRequest | AmdRequest | None

    def next_address(self, certificate: bytes) -> str | None:
        """Where the issuer of one that was fetched is; None: it is the last.

        Raises:
            MalformedError: ``x509.*``.
        """
        read = read_certificate(certificate)
        return None if read.issuer.der == read.subject.der else issuer_address(read)

    @property
    def tee(self) -> Tee:
        """Always GCP."""
        return Tee.GCP

    @property
    def name(self) -> str:
        """For files and people: the CA by its address."""
        ca = hashlib.sha256(self.issuer.encode()).hexdigest()[:16]
        return f"gcp-{ca}" + (f"-{self.inside.name}" if self.inside is not None else "")


Request = IntelRequest | AmdRequest | NvidiaRequest | GoogleRequest


def what_is_needed(tee: Tee, raw: bytes, *, product: str | None = None, certificates: bytes | None = None) -> Request:
    """What to ask for, to verify ``raw``.

    Args:
        tee: what it is evidence of.
        raw: the evidence; untrusted.
        product: of an SNP report before version 3, which does not say it.
        certificates: of a GPU's report, which does not bring them: its chain, PEM, leaf first.

    Raises:
        MalformedError, UnverifiedError: the evidence can not be read, or names no platform.
    """
    if tee is Tee.GCP and (google := _google(raw, product)) is not None:
        return google
    tee, raw = _inside(tee, raw)
    if tee is Tee.SNP:
        return _amd(raw, product)
    if tee is Tee.NVIDIA:
        return _nvidia(raw, certificates)
    if tee not in {Tee.TDX, Tee.SGX}:
        raise MisuseError("collateral.nothing-to-fetch", "there is nothing to fetch for this kind of evidence",
                          got=tee.value, expected="snp, tdx, sgx or nvidia, or a cloud's wrapper of one",
                          hint="what it needs comes with it, or from the service that made it")  # fmt: skip
    quote = tdx.parse(raw).quote if tee is Tee.TDX else sgx.parse(raw).quote
    leaf, issuer, *_ = (*read_certificates(quote.pck_chain.rstrip(_PADDING)), None)
    if issuer is None:
        raise UnverifiedError("dcap.pck-chain", "the quote's certificates are not leaf, CA and root")
    pck = read_pck_identity(leaf, issuer)
    return IntelRequest(tee=tee, fmspc=pck.fmspc, ca=pck.ca)


def _inside(tee: Tee, raw: bytes) -> tuple[Tee, bytes]:
    """What the silicon said, where a cloud has wrapped it; anything else as it is."""
    if tee is Tee.AZURE_VTPM and (guest := azure_vtpm.parse(raw).guest) is not None:
        return guest.hcl.inner, guest.hcl.hardware_report if guest.hcl.inner is Tee.SNP else guest.td_quote or b""
    if tee is Tee.GCP and (vtpm := gcp.parse(raw).vtpm) is not None and vtpm.hardware is not None:
        return vtpm.hardware.tee, vtpm.hardware.raw
    return tee, raw


def _google(raw: bytes, product: str | None) -> GoogleRequest | None:
    """Where the CA's certificate is to be had, if the attestation does not bring it; None: what is inside is all."""
    vtpm = gcp.parse(raw).vtpm
    if vtpm is None or vtpm.intermediates or not vtpm.certificate:
        return None
    address = issuer_address(read_certificate(vtpm.certificate))
    if address is None:
        return None
    inside = None if vtpm.hardware is None else what_is_needed(vtpm.hardware.tee, vtpm.hardware.raw, product=product)
    return GoogleRequest(issuer=address, inside=inside if isinstance(inside, IntelRequest | AmdRequest) else None)


def _amd(raw: bytes, named: str | None) -> AmdRequest:
    report = snp.parse(raw).report
    if report.cpuid is not None:
        product = product_of_cpuid(*report.cpuid[:2])
    elif named in set(Product):
        product = Product(named)
    else:
        raise MalformedError("snp.unknown-product", "a report of version 2 does not say which product made it",
                             got=named, expected=", ".join(Product), hint="name it with --product")  # fmt: skip
    size = 8 if product is Product.TURIN else 64
    chip_id = report.chip_id[:size] if any(report.chip_id) else None
    return AmdRequest(
        product=product.value, chip_id=chip_id, tcb=read_tcb(product, report.reported_tcb, "reported_tcb"),
        kind="vcek" if report.signing_key is SigningKey.VCEK else "vlek",
    )  # fmt: skip


def _nvidia(raw: bytes, pem: bytes | None) -> NvidiaRequest:
    evidence = nvidia.parse(raw)
    if not isinstance(evidence, nvidia.NvidiaEvidence):
        raise MisuseError("collateral.nothing-to-fetch", "there is nothing to fetch for a token of NVIDIA's service",
                          hint="name the service's key in [trust] token_signers")  # fmt: skip
    report = evidence.report
    if pem is None:
        raise MisuseError("collateral.no-certificates", "a device's report does not bring its certificates",
                          hint="name the file that came with it: --certificates cert_chain.pem")  # fmt: skip
    found = read_certificates(pem.rstrip(b"\x00"))
    if len(found) < 2:
        raise MalformedError("nvidia.cert-chain", "these are not leaf, boot ROM and their issuers", got=len(found))
    family = found[1].subject.common_name.split(" ")[0]
    is_switch = report.driver_version is None
    facts = ReportFacts(
        family=family, is_switch=is_switch, driver_version=report.driver_version, vbios_version=report.vbios_version,
        project=report.project, project_sku=report.project_sku, chip_sku=report.chip_sku, chip_info=report.chip_info,
        nvdec0_status=report.nvdec0_status,
    )  # fmt: skip
    return NvidiaRequest(
        driver_rim=None if is_switch else facts.driver_rim_id, vbios_rim=facts.vbios_rim_id,
        certificates=tuple(certificate.der for certificate in found),
    )  # fmt: skip
