"""NVIDIA GPUs and NVLink switches in software: reports, certificates, reference values and revocation answers that
are right to the byte, under private roots.

    NvidiaVendor   what NVIDIA keeps (`nvidia_vendor`)
    SimulatedGpu   one GPU or switch, which signs a report for a nonce as one on silicon does
    GpuMachine     the GPUs and switches of one machine, which name each other where real ones do

Every field of a report can be changed before it is signed (`SimulatedGpu.form`, `sign`), and every field of a
certificate before it is issued, so that each fault can be had alone; `nvidia_faults` has them by name.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.cbor import encode_cbor
from sealroom.errors import MisuseError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.pem import as_pem
from sealroom.tees.nvidia.opaque import DISABLED
from sealroom.testing.nvidia_certificates import brom_form, leaf_form
from sealroom.testing.nvidia_families import FAMILIES, Family, Software
from sealroom.testing.nvidia_ocsp import GOOD, OcspForm
from sealroom.testing.nvidia_report import (
    Links,
    ReportForm,
    gpu_opaque,
    measured,
    raw_signature,
    switch_opaque,
    write_report,
)
from sealroom.testing.nvidia_rim import RimForm
from sealroom.testing.nvidia_vendor import NvidiaVendor, new_key, under
from sealroom.testing.pki import Authority, CertificateForm, mint_certificate
from sealroom.x509_reader import read_certificate

__all__ = ["PRESETS", "GpuMachine", "SimulatedGpu", "reference_values"]

NONCE_SIZE = 32
_OUI = bytes.fromhex("48b02d")
_BROM_FIRST = {"hopper": 0x41, "blackwell": 0x41, "ls10": 0x50}
_DRIVER_INDICES = (7, *range(21, 41))
_VBIOS_INDICES = (*range(7), *range(8, 13))
_ZERO_INDICES = frozenset({0, 8, 10, 12, 23, 24, 28})
"""Which are released as zero, as in the reference values of driver 550 and its VBIOS."""
_WITH_ALTERNATIVES = frozenset({12, 23, 24, 32, 34, 35, 36})
_LINKS = (0, 0, 1, 1, 0, 0, 2, 2, 1, 1, 0, 2, 3, 3, 2, 2, 3, 3)
"""Which of four switches each of a GPU's links goes to, as on a machine with eight H100."""


@dataclass(frozen=True, kw_only=True)
class SimulatedGpu:
    """One GPU, or one NVLink switch."""

    vendor: NvidiaVendor
    family: Family
    software: Software
    brom_serial: bytes
    """9 bytes; the last 8 are its identifier."""
    fwid: bytes
    address: bytes
    brom_key: ec.EllipticCurvePrivateKey = field(default_factory=new_key, repr=False)
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key, repr=False)
    links: Links = field(default_factory=Links)
    protected_pcie: bool = False
    several: bool = False
    nvdec0: int = DISABLED
    staples_ocsp: bool = True

    tee = Tee.NVIDIA
    simulated = True
    """Asked by a room before it listens: simulated hardware never serves the world."""

    @classmethod
    def create(
        cls, architecture: str = "hopper", *, vendor: NvidiaVendor | None = None, software: Software | None = None
    ) -> "SimulatedGpu":
        """A new device; the vendor's keys are made anew unless given. ``architecture``: a name of `FAMILIES`."""
        if architecture not in FAMILIES:
            raise MisuseError("simulated.architecture", "there is no such family of devices", got=architecture,
                              expected=", ".join(FAMILIES))  # fmt: skip
        family = FAMILIES[architecture]
        software = software or family.software
        firmware = f"{family.chip} {software.driver} {software.vbios}".encode()
        return cls(
            vendor=vendor or NvidiaVendor.create(), family=family, software=software,
            brom_serial=bytes((_BROM_FIRST[family.architecture],)) + os.urandom(8),
            fwid=hashlib.sha384(b"simulated FMC " + firmware).digest(), address=_OUI + os.urandom(5),
        )  # fmt: skip

    @property
    def pdi(self) -> bytes:
        """8 bytes by which devices on the same links name each other."""
        return self.brom_serial[1:]

    @property
    def root_fingerprints(self) -> frozenset[bytes]:
        """What a policy names under ``insecure_simulated``."""
        return self.vendor.root_fingerprints

    @cached_property
    def brom(self) -> Authority:
        """The boot ROM's certificate and key."""
        issuer = self.vendor.provisioner(self.family)
        return under(issuer, self.brom_form(), self.brom_key)

    def brom_form(self) -> CertificateForm:
        """The boot ROM's certificate before it is issued."""
        issuer = self.vendor.provisioner(self.family)
        return brom_form(self.family, self.brom_serial, self.brom_key.public_key(), issuer=issuer.key.public_key())

    def leaf_form(self, fwid: bytes | None = None) -> CertificateForm:
        """The leaf before it is issued; ``fwid``: another firmware's digest."""
        return leaf_form(self.family, self.key.public_key(), issuer=self.brom_key.public_key(),
                         fwid=fwid or self.fwid, device=self.address)  # fmt: skip

    @cached_property
    def leaf(self) -> bytes:
        """The honest leaf, DER."""
        return mint_certificate(self.leaf_form(), self.brom)

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """All five, DER, leaf first."""
        above = (self.vendor.provisioner(self.family), self.vendor.identity(self.family), self.vendor.root)
        return (self.leaf, self.brom.certificate, *(authority.certificate for authority in above))

    def form(self, nonce: bytes) -> ReportForm:
        """A report before it is signed.

        Raises:
            MisuseError: ``simulated.nonce``: not 32 bytes.
        """
        if len(nonce) != NONCE_SIZE:
            raise MisuseError("simulated.nonce", "a device answers a nonce of 32 bytes", got=f"{len(nonce)} bytes",
                              expected=f"{NONCE_SIZE} bytes")  # fmt: skip
        if self.family.is_switch:
            opaque = switch_opaque(self.software, links=self.links)
        else:
            opaque = gpu_opaque(self.family, self.software, fwid=self.fwid, protected_pcie=self.protected_pcie,
                                several=self.several, links=self.links, nvdec0=self.nvdec0)  # fmt: skip
        blocks = measured(self._measurements(), self.family.blocks)
        return ReportForm(nonce=nonce, responder_nonce=os.urandom(NONCE_SIZE), blocks=blocks, opaque=opaque)

    def sign(self, form: ReportForm) -> bytes:
        """The report, signed."""
        raw = write_report(form)
        return raw + raw_signature(self.key, raw)

    def report(self, nonce: bytes) -> bytes:
        """A signed report for ``nonce`` (32 bytes)."""
        return self.sign(self.form(nonce))

    def collect(self, nonce: bytes) -> CollectedEvidence:
        """Return evidence that answers ``nonce`` (32 bytes), with all that its verification needs."""
        return CollectedEvidence(tee=Tee.NVIDIA, raw=self.report(nonce), collateral=Collateral(items=self.items()))

    def items(self, **changes: bytes) -> dict[str, bytes]:
        """Honest collateral; ``changes`` replaces or adds items."""
        found = {"cert_chain": as_pem(*self.certificates), "vbios_rim": self.vendor.rim(self.vbios_rim())}
        if not self.family.is_switch:
            found["driver_rim"] = self.vendor.rim(self.driver_rim())
        if self.staples_ocsp:
            found["ocsp"] = self.ocsp()
        return found | changes

    def driver_rim(self) -> RimForm:
        """The driver's reference values, before they are signed."""
        version = self.software.driver or ""
        return RimForm(product=self.family.product, version=version,
                       values=reference_values(self.family, "driver", version))  # fmt: skip

    def vbios_rim(self) -> RimForm:
        """The VBIOS's."""
        version = self.software.vbios
        return RimForm(product=self.family.product, edition=self.family.edition, version=version.upper(),
                       values=reference_values(self.family, "vbios", version))  # fmt: skip

    def ocsp(self, statuses: Mapping[int, bytes] | None = None) -> bytes:
        """Answers about the three certificates between leaf and root and those of the reference values; ``statuses``:
        other than good, of the first three, by depth."""
        own = [self.answer(depth, status=(statuses or {}).get(depth, GOOD)) for depth in (1, 2, 3)]
        return encode_cbor([*own, *(self.rim_answer(depth) for depth in range(3))])

    def answer(self, depth: int, **changes: object) -> bytes:
        """The answer about the certificate at ``depth`` (leaf 0); ``changes``: members of its `OcspForm`."""
        issuers = {1: self.vendor.provisioner(self.family), 2: self.vendor.identity(self.family),
                   3: self.vendor.root}  # fmt: skip
        form = OcspForm(certificate=self.certificates[depth], issuer=self.certificates[depth + 1])
        return self.vendor.answer(replace(form, **changes), issuers[depth])  # type: ignore[arg-type]

    def rim_answer(self, depth: int, **changes: object) -> bytes:
        """The same of the certificates of its reference values: signer 0, issuer 1, the product's CA 2."""
        chain = (*self.vendor.rim_authorities(self.family.product), self.vendor.rim_root)
        form = OcspForm(certificate=chain[depth].certificate, issuer=chain[depth + 1].certificate)
        return self.vendor.answer(replace(form, **changes), chain[depth + 1])  # type: ignore[arg-type]

    def answers_by_serial(self) -> dict[int, bytes]:
        """What a responder knows of the certificates of this device and of its reference values."""
        rims = [authority.certificate for authority in self.vendor.rim_authorities(self.family.product)]
        answers = [(self.certificates[depth], self.answer(depth)) for depth in (1, 2, 3)]
        answers += [(certificate, self.rim_answer(depth)) for depth, certificate in enumerate(rims)]
        return {read_certificate(certificate).serial: answer for certificate, answer in answers}

    def _measurements(self) -> dict[int, bytes]:
        released = dict(reference_values(self.family, "vbios", self.software.vbios))
        if not self.family.is_switch:
            released |= reference_values(self.family, "driver", self.software.driver or "")
        return {index: values[0] for index, values in released.items()}


def reference_values(family: Family, kind: str, version: str) -> dict[int, tuple[bytes, ...]]:
    """What simulated NVIDIA has released: for each index the values of which one has to be met.

    Args:
        family: of the device.
        kind: ``driver`` or ``vbios``.
        version: of it.
    """
    if family.is_switch:
        indices: tuple[int, ...] = tuple(range(family.blocks))
    else:
        indices = _DRIVER_INDICES if kind == "driver" else _VBIOS_INDICES
    found = {}
    for index in indices:
        name = f"{family.product} {kind} {version} {index}"
        value = bytes(48) if index in _ZERO_INDICES else hashlib.sha384(name.encode()).digest()
        other = (hashlib.sha384(f"{name} otherwise".encode()).digest(),) if index in _WITH_ALTERNATIVES else ()
        found[index] = (value, *other)
    return found


@dataclass(frozen=True, kw_only=True)
class GpuMachine:
    """The devices of one machine."""

    vendor: NvidiaVendor
    gpus: tuple[SimulatedGpu, ...]
    switches: tuple[SimulatedGpu, ...] = ()

    @classmethod
    def create(
        cls, *, gpus: int = 8, architecture: str = "hopper", switches: int = 0, vendor: NvidiaVendor | None = None,
        software: Software | None = None,
    ) -> "GpuMachine":  # fmt: skip
        """A new machine. With ``switches`` (up to 4) it works over protected PCIe: its devices name each other."""
        vendor = vendor or NvidiaVendor.create()
        made = [SimulatedGpu.create(architecture, vendor=vendor, software=software) for _ in range(gpus)]
        between = [SimulatedGpu.create("ls10", vendor=vendor) for _ in range(switches)]
        if not switches:
            return _begun(cls(vendor=vendor, gpus=tuple(replace(gpu, several=gpus > 1) for gpu in made)))
        ends = Links(peers=tuple(between[number % switches].pdi for number in _LINKS))
        linked = tuple(
            replace(switch, links=Links(own=switch.pdi, peers=tuple(gpu.pdi for gpu in made))) for switch in between
        )
        gpus_of_it = tuple(replace(gpu, links=ends, protected_pcie=True, several=True) for gpu in made)
        return _begun(cls(vendor=vendor, gpus=gpus_of_it, switches=linked))

    @classmethod
    def preset(cls, name: str, *, vendor: NvidiaVendor | None = None) -> "GpuMachine":
        """A machine by a name of `PRESETS`.

        Raises:
            MisuseError: ``simulated.preset``.
        """
        if name not in PRESETS:
            raise MisuseError("simulated.preset", "there is no such simulated machine", got=name,
                              expected=", ".join(PRESETS))  # fmt: skip
        architecture, gpus, switches, software = PRESETS[name]
        return cls.create(gpus=gpus, architecture=architecture, switches=switches, vendor=vendor, software=software)

    @property
    def devices(self) -> Mapping[str, SimulatedGpu]:
        """Every device by the name that a bundle gives it: ``gpu0``, ``switch0``."""
        named = {f"gpu{number}": gpu for number, gpu in enumerate(self.gpus)}
        return named | {f"switch{number}": switch for number, switch in enumerate(self.switches)}

    @property
    def root_fingerprints(self) -> frozenset[bytes]:
        """What a policy names under ``insecure_simulated``."""
        return self.vendor.root_fingerprints

    def collect(self, nonce: bytes) -> dict[str, CollectedEvidence]:
        """Evidence of every device, all of which answer ``nonce`` (32 bytes)."""
        return {name: device.collect(nonce) for name, device in self.devices.items()}


def _begun(machine: GpuMachine) -> GpuMachine:
    """The vendor makes what it needs when it is first asked, and keeps it: before several threads ask at once."""
    machine.collect(bytes(NONCE_SIZE))
    return machine


_H200 = replace(FAMILIES["hopper"].software, project_sku="0280", chip_sku="895", vbios="96.00.d0.00.02")

PRESETS: Mapping[str, tuple[str, int, int, Software | None]] = {
    "h100": ("hopper", 1, 0, None),
    "h100x8": ("hopper", 8, 4, None),
    "h200": ("hopper", 1, 0, _H200),
    "h200x8": ("hopper", 8, 4, _H200),
    "b200": ("blackwell", 1, 0, None),
    "b200x8": ("blackwell", 8, 0, None),
    "rtx6000": ("rtx-blackwell", 1, 0, None),
}
"""Family, GPUs, switches, and what they run if it is not the family's usual."""
