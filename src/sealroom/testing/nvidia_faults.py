"""One fault each in what a device says and in its certificates. Every other signature, window and name holds, so that
one check alone can refuse it; the code is the one that this check gives.
"""

from collections.abc import Iterator
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.tees.nvidia.opaque import OpaqueType
from sealroom.testing import der
from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvidia_cases import FUTURE, PAST, Bench, NvidiaCase
from sealroom.testing.nvidia_certificates import identity_form, provisioner_form, root_form
from sealroom.testing.nvidia_ocsp_faults import ocsp_faults
from sealroom.testing.nvidia_report import raw_signature, write_opaque, write_report
from sealroom.testing.nvidia_rim_faults import comparison_faults, document_faults, signature_faults
from sealroom.testing.nvidia_vendor import NvidiaVendor, new_key, self_signed, under
from sealroom.testing.pki import Authority, CertificateForm, mint_certificate

__all__ = ["faults"]

_SPDM_12_PREFIX = b"dmtf-spdm-v1.2.*" * 4 + bytes(4) + b"responder-measurements signing"
_UNKNOWN_CRITICAL = ("2.5.29.99", True, b"\x05\x00")
_NAMES = ("leaf", "BROM", "provisioner", "identity CA", "root")


def faults(gpu: SimulatedGpu) -> Iterator[NvidiaCase]:
    """Every fault that can be had with ``gpu``."""
    bench = Bench(gpu=gpu)
    for make in (report_faults, opaque_faults, signing_faults, certificate_faults, chain_faults, ocsp_faults,
                 document_faults, signature_faults, comparison_faults):  # fmt: skip
        yield from make(bench)


def report_faults(bench: Bench) -> Iterator[NvidiaCase]:
    """Of request, answer and blocks; signed as they stand."""
    form, raw = bench.form(), bench.gpu.report(bench.form().nonce)
    for name, cut in (("without its last byte", raw[:-1]), ("with a byte behind it", raw + b"\0"),
                      ("of nothing but its request", raw[:37]), ("twice", raw + raw)):  # fmt: skip
        yield bench.case(f"report {name}", "nvidia.wrong-length", raw=cut)
    for name, head in (("of SPDM 1.2", "12e001ff"), ("of another command", "11e101ff"),
                       ("that wants no signature", "11e000ff"), ("for one measurement", "11e00101")):  # fmt: skip
        yield bench.case(f"request {name}", "nvidia.request", form=replace(form, request_head=bytes.fromhex(head)))
    for name, head in (("of SPDM 1.2", "12600000"), ("that is an error", "117f0000")):
        yield bench.case(f"answer {name}", "nvidia.response", form=replace(form, response_head=bytes.fromhex(head)))
    yield bench.case(
        "record longer than the report", "nvidia.record-length", form=replace(form, record_size=0xFFFFFF)
    )
    first, second, *rest = form.blocks
    size = len(first.value)
    for name, blocks, count in (
        ("one block more announced", form.blocks, len(form.blocks) + 1),
        ("one block fewer announced", form.blocks, len(form.blocks) - 1),
        ("a block with index zero", (replace(first, index=0), second, *rest), None),
        ("an index that stands twice", (first, replace(second, index=1), *rest), None),
        ("a block of another specification", (replace(first, specification=2), second, *rest), None),
        ("a block whose sizes differ", (replace(first, value_size=size - 1), second, *rest), None),
        ("a block without a value", (replace(first, value=b""), second, *rest), None),
    ):
        yield bench.case(name, "nvidia.measurement-block", form=replace(form, blocks=tuple(blocks), count=count))


def opaque_faults(bench: Bench) -> Iterator[NvidiaCase]:
    """Of what the device says of itself beside its measurements; signed as it stands."""
    form = bench.form()
    opaque = write_opaque(form.opaque)
    kind, value = form.opaque[0]
    again = kind.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value
    for name, code, changed in (
        ("that ends in an item", "truncated", opaque[:-1]),
        ("that ends in the head of an item", "truncated", opaque + b"\x25\x00\x00"),
        ("with an item longer than it", "truncated", opaque + b"\x25\x00\x01\x00"),
        ("with an item twice", "duplicate", opaque + again),
    ):
        yield bench.case(f"opaque data {name}", f"nvidia.opaque-{code}", form=replace(form, opaque_raw=changed))
    sizes = [(OpaqueType.SWITCH_PDI, bytes(9)), (OpaqueType.SWITCH_GPU_PDIS, bytes(24)),
             (OpaqueType.OPAQUE_DATA_VERSION, b"\1"), (OpaqueType.FEATURE_FLAG, bytes(4)),
             (OpaqueType.PROTECTED_PCIE_STATUS, b"\x55\0"), (OpaqueType.NVDEC0_STATUS, b""),
             (OpaqueType.FWID, bytes(32))]  # fmt: skip
    for item, wrong in sizes:
        yield bench.case(f"{item.name} of a wrong size", "nvidia.opaque-size", form=form.with_item(item, wrong))
    for item, text in ((OpaqueType.DRIVER_VERSION, b"\0\0"), (OpaqueType.PROJECT, b"G5\x8020\0"),
                       (OpaqueType.CHIP_INFO, b"GH\x00100\0")):  # fmt: skip
        yield bench.case(f"{item.name} that is no text", "nvidia.opaque-text", form=form.with_item(item, text))
    yield bench.case("no VBIOS version", "nvidia.no-vbios-version",
                     form=form.with_item(OpaqueType.VBIOS_VERSION, None))  # fmt: skip
    yield bench.case("status of protected PCIe neither on nor off", "nvidia.protected-pcie-status",
                     form=form.with_item(OpaqueType.PROTECTED_PCIE_STATUS, b"\x01"))  # fmt: skip
    if not bench.gpu.family.is_switch:
        yield bench.case("version of opaque data without its feature flag", "nvidia.feature-flag",
                         form=form.with_item(OpaqueType.FEATURE_FLAG, None))  # fmt: skip


def signing_faults(bench: Bench) -> Iterator[NvidiaCase]:
    """Signed by somebody else, or something else was signed; and another firmware."""
    gpu, form = bench.gpu, bench.form()
    body = write_report(form)
    signature, stranger = raw_signature(gpu.key, body), new_key()
    for name, made in (
        ("by another key", raw_signature(stranger, body)),
        ("by the boot ROM's key", raw_signature(gpu.brom_key, body)),
        ("over the answer alone", raw_signature(gpu.key, body[37:])),
        ("with the prefix of SPDM 1.2", raw_signature(gpu.key, _SPDM_12_PREFIX + body)),
        ("with r and s swapped", signature[48:] + signature[:48]),
        ("with each half turned round", signature[47::-1] + signature[:47:-1]),
        ("of zeros", bytes(96)),
    ):
        yield bench.case(f"signature {name}", "nvidia.signature", raw=body + made)
    for name, place in (("nonce", 4), ("measurement", 60), ("responder's nonce", body.index(form.responder_nonce)),
                        ("last byte of opaque data", len(body) - 1)):  # fmt: skip
        changed = bytearray(body + signature)
        changed[place] ^= 1
        yield bench.case(f"{name} changed after signing", "nvidia.signature", raw=bytes(changed))
    if gpu.software.names_fwid:
        yield bench.case("firmware of another digest", "nvidia.fwid",
                         form=form.with_item(OpaqueType.FWID, b"\x01" * 48))  # fmt: skip
        yield bench.case("digest in the certificate of other firmware", "nvidia.fwid",
                         chain=(_leaf(gpu, gpu.leaf_form(fwid=b"\x02" * 48)), *gpu.certificates[1:]))  # fmt: skip
        dice = [extension for extension in gpu.leaf_form().extensions if not extension[0].startswith("2.23.133.5.4")]
        bare = _leaf(gpu, replace(gpu.leaf_form(), extensions=tuple(dice)))
        yield bench.case("leaf that names no firmware", "nvidia.fwid", chain=(bare, *gpu.certificates[1:]))
    if gpu.family.has_tcb_info:
        yield bench.case("second digest of the leaf in the place of the first", "nvidia.fwid",
                         form=form.with_item(OpaqueType.FWID, bytes(48)))  # fmt: skip
    short = tuple((oid, critical, value[:-1]) if oid.startswith("2.23.133") else (oid, critical, value)
                  for oid, critical, value in gpu.leaf_form().extensions)  # fmt: skip
    cut = _leaf(gpu, replace(gpu.leaf_form(), extensions=short))
    yield bench.case("firmware extension cut off", "x509.der", chain=(cut, *gpu.certificates[1:]))
    sha384, sha512 = (bytes.fromhex(f"060960864801650304020{number}") for number in (2, 3))
    renamed = tuple(
        (oid, critical, value.replace(sha384, sha512)) for oid, critical, value in gpu.leaf_form().extensions
    )
    other = _leaf(gpu, replace(gpu.leaf_form(), extensions=renamed))
    yield bench.case("firmware digest by another algorithm of the same length", "nvidia.fwid-extension",
                     chain=(other, *gpu.certificates[1:]))  # fmt: skip


def certificate_faults(bench: Bench) -> Iterator[NvidiaCase]:
    """Of each of the five."""
    gpu = bench.gpu
    for depth, name in enumerate(_NAMES):
        for word, window, code in (("expired", PAST, "x509.expired"), ("of tomorrow", FUTURE, "x509.not-yet-valid")):
            yield _with_changed(bench, depth, f"{name} {word}", code, validity=window)
    for depth, name in enumerate(_NAMES[1:], start=1):
        no_ca = tuple((oid, critical, der.sequence()) if oid == "2.5.29.19" else (oid, critical, value)
                      for oid, critical, value in _forms(gpu)[depth].extensions)  # fmt: skip
        yield _with_changed(bench, depth, f"{name} that is no CA", "x509.not-a-ca", extensions=no_ca)
        usage = tuple((oid, critical, der.named_bits(0)) if oid == "2.5.29.15" else (oid, critical, value)
                      for oid, critical, value in _forms(gpu)[depth].extensions)  # fmt: skip
        yield _with_changed(bench, depth, f"{name} that may not certify", "x509.not-a-ca", extensions=usage)
    for depth, name in enumerate(_NAMES[:4]):
        extensions = (*_forms(gpu)[depth].extensions, _UNKNOWN_CRITICAL)
        yield _with_changed(bench, depth, f"{name} with a critical extension that nobody knows",
                            "x509.critical-extension", extensions=extensions)  # fmt: skip
    weak = replace(gpu, key=ec.generate_private_key(ec.SECP256R1()))
    yield bench.on(weak).case("leaf with a key on P-256", "nvidia.leaf-key",
                              raw=gpu.report(bench.form().nonce))  # fmt: skip


def chain_faults(bench: Bench) -> Iterator[NvidiaCase]:
    """Order, gaps, other people's."""
    gpu, chain = bench.gpu, bench.gpu.certificates
    for depth, name in enumerate(_NAMES):
        kept = chain[:depth] + chain[depth + 1 :]
        codes = ("nvidia.chain-length", *["x509.issuer-name"] * 3, "x509.untrusted-root")
        code = "x509.not-an-end-entity" if depth == 0 else codes[depth]
        yield bench.case(f"chain without the {name}", code, chain=kept)
    yield bench.case("chain turned round", "x509.untrusted-root", chain=chain[::-1])
    yield bench.case("chain with two swapped", "x509.issuer-name", chain=(chain[0], chain[2], chain[1], *chain[3:]))
    yield bench.case("chain with the leaf twice", "x509.issuer-name", chain=(chain[0], *chain))
    yield bench.case("no chain", "collateral.missing", without=("cert_chain",))
    yield bench.case("chain that is no PEM", "nvidia.cert-chain", items={"cert_chain": chain[0]})
    other = replace(gpu, vendor=NvidiaVendor.create())
    yield bench.case("chain under another root of the same names", "x509.untrusted-root", chain=other.certificates)
    mixed = (*other.certificates[:3], *chain[3:])
    yield bench.case("own provisioner under the real identity CA", "x509.signature", chain=mixed)
    neighbour = SimulatedGpu.create(vendor=gpu.vendor)
    yield bench.case("chain of another device", "nvidia.signature", chain=neighbour.certificates)
    yield _leaf_as_ca(bench)
    yield _short_chain(bench)


def _leaf_as_ca(bench: Bench) -> NvidiaCase:
    """A device's key certifies a key of its owner, with four certificates above it."""
    gpu = bench.gpu
    own, form = new_key(), gpu.leaf_form()
    acting = Authority(key=gpu.key, common_name=form.subject, certificate=gpu.leaf, name=form.name)
    child = mint_certificate(replace(form, public_key=own.public_key()), acting)
    raw = write_report(bench.form())
    return bench.case("leaf that acts as a CA", "x509.not-a-ca", chain=(child, *gpu.certificates),
                      raw=raw + raw_signature(own, raw))  # fmt: skip


def _short_chain(bench: Bench) -> NvidiaCase:
    """A key that the provisioner certified itself: four certificates in all, each of them good."""
    gpu = bench.gpu
    leaf = mint_certificate(gpu.leaf_form(), gpu.vendor.provisioner(gpu.family))
    return bench.case("leaf that the provisioner issued", "nvidia.chain-length", chain=(leaf, *gpu.certificates[2:]))


def _forms(gpu: SimulatedGpu) -> list[CertificateForm]:
    vendor, family = gpu.vendor, gpu.family
    keys = [authority.key.public_key() for authority in _authorities(gpu)]
    return [
        gpu.leaf_form(), gpu.brom_form(), provisioner_form(family, keys[1], issuer=keys[2]),
        identity_form(family.branch, keys[2], issuer=keys[3]), root_form(vendor.root.key.public_key()),
    ]  # fmt: skip


def _authorities(gpu: SimulatedGpu) -> list[Authority]:
    """From the boot ROM to the root."""
    return [gpu.brom, gpu.vendor.provisioner(gpu.family), gpu.vendor.identity(gpu.family), gpu.vendor.root]


def _leaf(gpu: SimulatedGpu, form: CertificateForm) -> bytes:
    return mint_certificate(form, gpu.brom)


def _with_changed(bench: Bench, depth: int, name: str, code: str, **changes: object) -> NvidiaCase:
    """The certificate at ``depth`` issued anew with ``changes``; of a root, the new one is trusted."""
    gpu = bench.gpu
    form = replace(_forms(gpu)[depth], **changes)  # type: ignore[arg-type]
    above = _authorities(gpu)
    if depth == len(above):
        root = self_signed(form, gpu.vendor.root.key, form.name)  # type: ignore[arg-type]
        trusting = replace(gpu, vendor=replace(gpu.vendor, root=root))
        return bench.on(trusting).case(name, code, without=("ocsp",))
    made = under(above[depth], form, new_key()).certificate
    return bench.case(name, code, chain=(*gpu.certificates[:depth], made, *gpu.certificates[depth + 1 :]))
