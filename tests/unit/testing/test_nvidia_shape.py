"""Minted NVIDIA evidence is right to the byte: told what real evidence says, it writes what NVIDIA wrote.

Keys and serial numbers are given, so that all that is left to differ is signatures.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sealroom.der import SEQUENCE, read_whole
from sealroom.evidence import TrustRoots
from sealroom.tees.nvidia.certificates import verify_device
from sealroom.tees.nvidia.layout import parse
from sealroom.tees.nvidia.opaque import OpaqueType
from sealroom.tees.nvidia.rim import read_rim
from sealroom.tees.nvidia.rim_signature import read_signature
from sealroom.tees.nvidia.xml_tree import read_xml
from sealroom.testing import nvidia_certificates as written
from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvidia_families import HOPPER, LS10
from sealroom.testing.nvidia_report import Block, Links, ReportForm, switch_opaque, write_opaque, write_report
from sealroom.testing.nvidia_rim import RimForm, document
from sealroom.testing.nvidia_vendor import NvidiaVendor
from sealroom.testing.pki import Authority, CertificateForm, NameForm, PublicKey, mint_certificate
from sealroom.x509_reader import Certificate, read_certificate, read_certificates

VENDOR = NvidiaVendor.create()
REPORTS = ("h100-535-tampered-driver-rim", "h100-550-full", "h100-590-ppcie", "ls10-switch-full")
RIMS = ("h100-550-full/driver_rim.xml", "h100-550-full/vbios_rim.xml", "ls10-switch-full/vbios_rim.xml",
        "rim-driver-550.144.03/rim.xml", "h100-535-tampered-driver-rim/driver_rim.xml")  # fmt: skip


def key_of(certificate: Certificate) -> PublicKey:
    key: Any = load_der_public_key(certificate.public_key)
    return key


def assert_written(form: CertificateForm, real: Certificate, issuer: str, name: NameForm, **changes: Any) -> None:
    """Every byte that is signed, but for the serial number of an authority, which NVIDIA draws."""
    by = Authority(key=VENDOR.root.key, common_name=issuer, certificate=b"", name=name)
    form = replace(form, validity=real.validity, serial=real.serial, **changes)
    assert read_certificate(mint_certificate(form, by)).tbs == real.tbs


@pytest.mark.parametrize("name", ["h100-550-full", "h100-590-ppcie", "ls10-switch-full"])
def test_device_certificates(name, shared_vectors):
    chain = read_certificates((shared_vectors / "nvidia" / name / "cert_chain.pem").read_bytes())
    leaf, brom, provisioner, identity, root = chain
    family = LS10 if "ls10" in name else HOPPER
    keys = [key_of(certificate) for certificate in chain]
    serial = brom.serial.to_bytes(9, "big")
    assert_written(written.root_form(keys[4]), root, str(root.subject), written.ROOT_NAME)
    assert_written(written.identity_form(family.branch, keys[3], issuer=keys[4]), identity, str(root.subject),
                   written.ROOT_NAME)  # fmt: skip
    form = written.provisioner_form(family, keys[2], issuer=keys[3])
    assert_written(form, provisioner, str(identity.subject), written.CA_NAME[:2])
    form = written.brom_form(family, serial, keys[1], issuer=keys[2])
    assert form.serial == brom.serial
    assert_written(form, brom, str(provisioner.subject), written.CA_NAME)
    form = written.leaf_form(family, keys[0], issuer=keys[1], fwid=leaf.tbs[-48:], device=device_of(leaf),
                             layer_key=layer_key_of(leaf))  # fmt: skip
    assert form.serial == leaf.serial
    assert_written(form, leaf, *written.brom_name(family, serial))


def device_of(leaf: Certificate) -> bytes:
    match = re.search(rb"NVIDIA:\w+:([0-9A-F]{16})", leaf.tbs)
    assert match
    return bytes.fromhex(match[1].decode())


def layer_key_of(leaf: Certificate) -> Any:
    reader = read_whole(leaf.extensions["2.23.133.5.4.1"].value, SEQUENCE).reader()
    reader.take()
    return load_der_public_key(reader.take().whole)


BLACKWELL_TCB_INFO = (
    "3081b180064e5649444941810d4742313030204130312047535082023031830101840100850100a67e"
    "303d06096086480165030402020430" + "d0" * 48 + "303d06096086480165030402020430" + "00" * 48 +
    "870500800000018801c0890100"
)  # fmt: skip
"""Of a GB100 of driver 575 (NVIDIA's own sample), but for the digest."""


def test_blackwell_leaf_extension():
    gpu = SimulatedGpu.create("blackwell", vendor=VENDOR)
    extensions = {oid: value for oid, _, value in gpu.leaf_form(fwid=b"\xd0" * 48).extensions}
    assert extensions["2.23.133.5.4.1.1"].hex() == BLACKWELL_TCB_INFO


@pytest.mark.parametrize("name", REPORTS)
def test_reports(name, shared_vectors):
    raw = (shared_vectors / "nvidia" / name / "report.bin").read_bytes()
    report = parse(raw).report
    form = ReportForm(
        nonce=report.request_nonce, responder_nonce=report.responder_nonce, slot=report.slot,
        blocks=tuple(Block(index=index + 1, value=value) for index, value in report.measurements.items()),
        opaque=tuple(report.opaque.items.items()),
    )  # fmt: skip
    assert write_report(form) == raw[:-96]


def test_what_a_hopper_says_of_itself(shared_vectors):
    """Types, their order, and every size, of the newest recorded one; texts and values where they follow from what
    it runs."""
    real = parse((shared_vectors / "nvidia" / "h100-590-ppcie" / "report.bin").read_bytes()).report
    gpu = SimulatedGpu.create(vendor=VENDOR)
    peers = tuple(pdi[::-1] for pdi in real.switch_pdis)
    assert real.fwid is not None
    told = replace(gpu, fwid=real.fwid, links=Links(peers=peers), protected_pcie=True)
    minted = dict(told.form(bytes(32)).opaque)
    assert {kind: len(value) for kind, value in minted.items()} == {
        kind: len(value) for kind, value in real.opaque.items.items()
    }
    assert list(minted) == list(real.opaque.items)
    assert {kind for kind in minted if minted[kind] != real.opaque.items[kind]} <= {OpaqueType.MSRSCNT}


def test_what_a_switch_says_of_itself(shared_vectors):
    real = parse((shared_vectors / "nvidia" / "ls10-switch-full" / "report.bin").read_bytes()).report
    minted = switch_opaque(LS10.software, links=Links(own=real.switch_pdis[0], peers=real.gpu_pdis), position=2)
    assert [(kind, len(value)) for kind, value in minted] == [
        (kind, len(value)) for kind, value in real.opaque.items.items()
    ]
    differ = {kind for kind, value in minted if value != real.opaque.items[kind]}
    assert differ <= {OpaqueType.MSRSCNT, OpaqueType.SWITCH_GPU_PDIS}  # the latter for its map of ports
    assert dict(minted)[OpaqueType.SWITCH_GPU_PDIS][:64] == real.opaque.items[OpaqueType.SWITCH_GPU_PDIS][:64]


BLACKWELL_OPAQUE = (
    "0600080000740298010000000e000400520600000f000900383935000000000000100005003000000000110005004731353300120005"
    "00303231300013000200300003000a003539352e35382e303300"
)  # fmt: skip
"""The head of what a GB202 of driver 595 says (recorded by Confidential Containers)."""


def test_what_a_blackwell_says_of_itself():
    """Order and sizes of a recorded GB202: 4140 bytes in all."""
    gpu = SimulatedGpu.create("rtx-blackwell", vendor=VENDOR)
    form = gpu.form(bytes(32))
    assert [int(kind) for kind, _ in form.opaque] == [6, 14, 15, 16, 17, 18, 19, 3, 4, 12, 13, 11, 20, 33, 35, 34, 36]
    assert len(gpu.sign(form)) == 4140
    assert write_opaque(form.opaque).hex().startswith(BLACKWELL_OPAQUE)


@pytest.mark.parametrize("name", RIMS)
def test_reference_values(name, shared_vectors):
    """The document less its signature, and its canonical form where it was not tampered with."""
    text = (shared_vectors / "nvidia" / name).read_text()
    tree = read_xml(text.encode())
    rim = read_rim(text.encode())
    names = {int(index): word for index, word in re.findall(r'index="(\d+)".*? name="(\w+)"', text)}
    every = {
        int(resource.attributes["index"]): values_of(resource.attributes) for resource in tree.elements[2].elements
    }
    form = RimForm(product=rim.product, edition=rim.edition, version=rim.version, values=rim.measurements,
                   tag_id=tree.attributes["tagId"], names=names)  # fmt: skip
    assert {index: every[index] for index in form.values} == dict(form.values)
    published, _ = document(form)
    assert published == re.sub(r"<ds:Signature.*</ds:Signature>", "", text, flags=re.DOTALL).rstrip("\n")


def values_of(attributes: Any) -> tuple[bytes, ...]:
    hashes = {name: value for name, value in attributes.items() if "sha384}Hash" in name}
    return tuple(bytes.fromhex(hashes[name]) for name in sorted(hashes))


def test_signature_of_reference_values(shared_vectors):
    """Everything in it but digest, value and certificates."""
    blank = re.compile(rb"(<ds:(DigestValue|SignatureValue|X509Certificate)>).*?(</ds:\2>)", re.DOTALL)
    real = (shared_vectors / "nvidia" / RIMS[0]).read_bytes()
    gpu = SimulatedGpu.create(vendor=VENDOR)
    minted = VENDOR.rim(gpu.driver_rim())
    signatures = [re.search(rb"\n<ds:Signature.*", blank.sub(rb"\1\3", raw), re.DOTALL) for raw in (real, minted)]
    assert signatures[0]
    assert signatures[1]
    assert signatures[0][0].rstrip(b"\n") == signatures[1][0]


@pytest.mark.parametrize(("name", "product"), [(RIMS[0], "GH100"), (RIMS[2], "LS10")])
def test_certificates_of_reference_values(name, product, shared_vectors):
    document_text = (shared_vectors / "nvidia" / name).read_bytes()
    chain = [read_certificate(one) for one in read_signature(read_xml(document_text)).certificates]
    signer, issuer, branch, root = chain
    keys = [key_of(certificate) for certificate in chain]
    number = str(issuer.subject)[-3:]
    assert_written(written.rim_root_form(keys[3]), root, str(root.subject), written.RIM_ROOT_NAME)
    assert_written(written.rim_branch_form(product, keys[2], issuer=keys[3]), branch, str(root.subject),
                   written.RIM_ROOT_NAME)  # fmt: skip
    assert_written(written.rim_issuer_form(product, keys[1], issuer=keys[2]), issuer, str(branch.subject),
                   written.CA_NAME, subject=f"NVIDIA Reference Value L3 {product} {number}")  # fmt: skip
    form = written.rim_signer_form(keys[0], issuer=keys[1], subject=str(signer.subject))
    assert_written(form, signer, str(issuer.subject), written.CA_NAME)


def test_the_chain_of_every_family_is_taken(roots_at):
    for architecture in ("hopper", "blackwell", "rtx-blackwell", "ls10"):
        gpu = SimulatedGpu.create(architecture, vendor=VENDOR)
        device = verify_device(gpu.collect(bytes(32)).collateral, **roots_at)
        assert (device.architecture, device.fwid, device.pdi) == (gpu.family.architecture, gpu.fwid, gpu.pdi)


@pytest.fixture
def roots_at() -> dict[str, Any]:
    return {"roots": TrustRoots(insecure_simulated=VENDOR.root_fingerprints), "at": datetime(2026, 6, 1, tzinfo=UTC)}
