"""One fault each in reference values: as documents, in their signatures, and in what they are for."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sealroom.tees.nvidia.opaque import ENABLED
from sealroom.testing import der
from sealroom.testing.nvidia_cases import FUTURE, PAST, Bench, NvidiaCase
from sealroom.testing.nvidia_certificates import rim_branch_form, rim_issuer_form, rim_root_form, rim_signer_form
from sealroom.testing.nvidia_rim import RimForm, RimSigner, write_rim
from sealroom.testing.nvidia_vendor import NvidiaVendor, new_key, self_signed
from sealroom.testing.pki import CertificateForm, mint_certificate

__all__ = ["comparison_faults", "document_faults", "signature_faults"]

_DOCTYPE = b'<!DOCTYPE SoftwareIdentity [<!ENTITY x "y">]>'
_EXTERNAL = b'<!DOCTYPE SoftwareIdentity SYSTEM "http://rim.invalid/x.dtd">'
_NAMES = ("signer", "issuer", "product CA", "root")


def document_faults(bench: Bench) -> Iterator[NvidiaCase]:
    """Of the document itself; where it is signed, signed as it stands."""
    honest, form = bench.gpu.items()["vbios_rim"], bench.gpu.vbios_rim()
    for name, document in (("with a document type", _DOCTYPE + honest), ("with an external one", _EXTERNAL + honest),
                           ("with an instruction", b"<?x y?>" + honest), ("cut off", honest[:-5]),
                           ("twice", honest + honest), ("empty", b""), ("with an entity", honest.replace(
                               b"HashedMeasurement", b"&x;", 1).replace(b"Measurement_1", b"&x;", 1)),
                           ("with a name space that is not declared", honest.replace(b"xmlns:ns0", b"xmlns:nsx", 1)),
                           ("larger than any", honest.replace(b"\n", b"\n" + b" " * 600_000, 1)),
                           ):  # fmt: skip
        yield bench.case(f"vbios RIM {name}", "nvidia.rim-xml", items={"vbios_rim": document})
    index = min(form.values)
    for name, changed in (
        ("with an index twice", replace(form, repeated=(index,))),
        ("of values of 32 bytes", replace(form, values={index: (bytes(32),)})),
        ("of a size that is not 48", replace(form, size="32")),
        ("that announces another number of values", replace(form, announced={index: 2})),
        ("with a value neither active nor not", replace(form, inactive="Perhaps")),
        ("with nothing active", replace(form, values={})),
        ("without any value", replace(form, values={}, count=0)),
        ("without a version", replace(form, version="")),
    ):
        yield bench.rim_case(name, "nvidia.rim", form=changed)


def signature_faults(bench: Bench) -> Iterator[NvidiaCase]:
    """What was changed after signing; who signed; and signatures of another shape."""
    signer = bench.gpu.vendor.rim_signer(bench.gpu.family.product)
    honest = bench.gpu.items()["vbios_rim"]
    value = sorted(bench.gpu.vbios_rim().values.items())[1][1][0].hex().encode()
    edits = (("with a value changed", value, b"00" * 48), ("with an index switched off", b'"True"', b'"False"'),
             ("for another version", b'colloquialVersion="', b'colloquialVersion="0'))  # fmt: skip
    for name, old, new in edits:
        yield bench.case(f"vbios RIM {name} after signing", "nvidia.rim-reference-digest",
                         items={"vbios_rim": honest.replace(old, new, 1)})  # fmt: skip
    yield bench.case("vbios RIM with another document's signature", "nvidia.rim-reference-digest",
                     items={"vbios_rim": _with_signature_of(honest, bench)})  # fmt: skip
    yield bench.rim_case("signed by another key", "nvidia.rim-signature", signer=replace(signer, key=new_key()))
    digest_edited = _with_own_digest(honest, value, bench)
    yield bench.case("vbios RIM with a value and its digest changed", "nvidia.rim-signature",
                     items={"vbios_rim": digest_edited})  # fmt: skip
    shape = "nvidia.rim-signature-shape"
    for name, changed in (
        ("without a signature", {"signatures": 0}), ("with two signatures", {"signatures": 2}),
        ("with two references", {"references": 2}), ("whose reference is a part", {"uri": "#x"}),
        ("without canonical form", {"transforms": signer.transforms[:1]}),
        ("with a transform more", {"transforms": (*signer.transforms, signer.transforms[1])}),
        ("of another canonical form", {"canonicalization": "http://www.w3.org/2001/10/xml-exc-c14n#"}),
        ("of another signature algorithm", {"algorithm": "http://www.w3.org/2000/09/xmldsig#hmac-sha1"}),
        ("of another digest", {"digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256"}),
        ("with its signer's certificate alone", {"certificates": signer.certificates[:1]}),
    ):  # fmt: skip
        changes: dict[str, Any] = dict(changed)
        yield bench.rim_case(name, shape, signer=replace(signer, **changes))
    moved = honest.replace(b"</ns0:Payload>", b"", 1).replace(b"</ds:Signature>", b"</ds:Signature></ns0:Payload>")
    yield bench.case("vbios RIM with its signature inside the payload", shape, items={"vbios_rim": moved})
    yield from _signer_faults(bench, signer)


def _signer_faults(bench: Bench, signer: RimSigner) -> Iterator[NvidiaCase]:
    chain, vendor = signer.certificates, bench.gpu.vendor
    for depth, name in enumerate(_NAMES):
        for word, window, code in (("expired", PAST, "x509.expired"), ("of tomorrow", FUTURE, "x509.not-yet-valid")):
            yield _with_changed(bench, depth, f"whose {name} is {word}", code, validity=window)
    for depth, name in enumerate(_NAMES[1:], start=1):
        no_ca = tuple((oid, critical, der.sequence()) if oid == "2.5.29.19" else (oid, critical, value)
                      for oid, critical, value in _forms(bench)[depth].extensions)  # fmt: skip
        yield _with_changed(bench, depth, f"whose {name} is no CA", "x509.not-a-ca", extensions=no_ca)
    for name, kept, code in (("without its issuer", (chain[0], *chain[2:]), "x509.issuer-name"),
                             ("without its root", chain[:3], "x509.untrusted-root")):  # fmt: skip
        yield bench.rim_case(name, code, signer=replace(signer, certificates=kept))
    other = NvidiaVendor.create().rim_signer(bench.gpu.family.product)
    yield bench.rim_case("under another root of the same names", "x509.untrusted-root", signer=other)
    device = bench.gpu.certificates
    yield bench.rim_case("signed by the device itself", "x509.untrusted-root",
                         signer=replace(signer, key=bench.gpu.key, certificates=device[:4]))  # fmt: skip
    issuer = vendor.rim_authorities(bench.gpu.family.product)[1]
    yield bench.rim_case("signed by the issuer of signers", "x509.not-an-end-entity",
                         signer=RimSigner(key=issuer.key, certificates=chain[1:]))  # type: ignore[arg-type]  # fmt: skip


def comparison_faults(bench: Bench) -> Iterator[NvidiaCase]:
    """Authentic, and not for this device, or not what it runs."""
    gpu, vbios = bench.gpu, bench.gpu.vbios_rim()
    other_edition = "GPU" if gpu.family.is_switch else "SWITCH"
    for name, code, changed in (
        ("of another product", "nvidia.rim-product", replace(vbios, product="AD102")),
        ("of another edition", "nvidia.rim-product", replace(vbios, edition=other_edition)),
        ("of another version", "nvidia.rim-version", replace(vbios, version="96.00.00.00.00")),
    ):
        yield bench.rim_case(name, code, form=changed)
    for index in (min(vbios.values), 9, max(vbios.values)):
        wrong = {**vbios.values, index: (b"\x5c" * 48, b"\x5d" * 48)}
        yield bench.rim_case(f"that differs at index {index}", "nvidia.measurement-mismatch",
                             form=replace(vbios, values=wrong))  # fmt: skip
    beyond = {**vbios.values, gpu.family.blocks: (bytes(48),)}
    yield bench.rim_case("with a value that the report lacks", "nvidia.measurement-mismatch",
                         form=replace(vbios, values=beyond, count=gpu.family.blocks + 1))  # fmt: skip
    if gpu.family.is_switch:
        yield bench.case("a driver RIM for a switch", "nvidia.rim-version",
                         items={"driver_rim": gpu.items()["vbios_rim"]})  # fmt: skip
        return
    driver = gpu.driver_rim()
    yield bench.case("driver's and VBIOS's RIM swapped", "nvidia.rim-version",
                     items={"driver_rim": gpu.items()["vbios_rim"], "vbios_rim": gpu.items()["driver_rim"]},
                     )  # fmt: skip
    yield bench.rim_case("of another version", "nvidia.rim-version", kind="driver",
                         form=replace(driver, version="535.86.09"))  # fmt: skip
    overlap = {**driver.values, 9: vbios.values[9]}
    yield bench.rim_case("with an index of the VBIOS's", "nvidia.rim-overlap", kind="driver",
                         form=replace(driver, values=overlap))  # fmt: skip
    wrong = {**driver.values, 30: (b"\x5c" * 48,)}
    yield bench.rim_case("that differs at index 30", "nvidia.measurement-mismatch", kind="driver",
                         form=replace(driver, values=wrong))  # fmt: skip
    form = bench.form().with_measurement(30, b"\x5c" * 48)
    yield bench.case("measurement that no RIM has", "nvidia.measurement-mismatch", form=form)
    on = replace(gpu, nvdec0=ENABLED)
    yield bench.on(on).case("NVDEC0 on and measured as something that was not released",
                            "nvidia.measurement-mismatch",
                            form=on.form(form.nonce).with_measurement(35, b"\x35" * 48))  # fmt: skip
    yield from _only_skipped(bench, driver)


def _only_skipped(bench: Bench, driver: RimForm) -> Iterator[NvidiaCase]:
    """Nothing is active but the unit that is off, and so nothing would be compared."""
    only = replace(driver, values={35: driver.values[35]})
    case = bench.rim_case("of the unit that is off alone", "nvidia.rim-nothing-to-compare", kind="driver", form=only)
    yield replace(case, items={name: value for name, value in case.items.items() if name != "vbios_rim"})


def _forms(bench: Bench) -> list[CertificateForm]:
    product, vendor = bench.gpu.family.product, bench.gpu.vendor
    keys = [one.key.public_key() for one in (*vendor.rim_authorities(product), vendor.rim_root)]
    return [
        rim_signer_form(keys[0], issuer=keys[1]), rim_issuer_form(product, keys[1], issuer=keys[2]),
        rim_branch_form(product, keys[2], issuer=keys[3]), rim_root_form(keys[3]),
    ]  # fmt: skip


def _with_changed(bench: Bench, depth: int, name: str, code: str, **changes: object) -> NvidiaCase:
    """The certificate at ``depth`` issued anew with ``changes``; of a root, the new one is trusted."""
    vendor, product = bench.gpu.vendor, bench.gpu.family.product
    signer = vendor.rim_signer(product)
    above = (*vendor.rim_authorities(product), vendor.rim_root)
    form = replace(_forms(bench)[depth], **changes)  # type: ignore[arg-type]
    if depth == len(_NAMES) - 1:
        root = self_signed(form, vendor.rim_root.key, form.name)  # type: ignore[arg-type]
        made, bench = root.certificate, bench.on(replace(bench.gpu, vendor=replace(vendor, rim_root=root)))
    else:
        made = mint_certificate(form, above[depth + 1])
    certificates = (*signer.certificates[:depth], made, *signer.certificates[depth + 1 :])
    return bench.rim_case(name, code, signer=replace(signer, certificates=certificates))


def _with_signature_of(honest: bytes, bench: Bench) -> bytes:
    other = bench.gpu.vendor.rim(replace(bench.gpu.vbios_rim(), version="96.00.00.00.00"))
    start = honest.index(b"<ds:Signature ")
    return honest[:start] + other[other.index(b"<ds:Signature ") :]


def _with_own_digest(honest: bytes, value: bytes, bench: Bench) -> bytes:
    """The document changed and its digest with it: only SignedInfo's signature can tell."""
    form = bench.gpu.vbios_rim()
    values = {index: tuple(bytes(48) if one.hex().encode() == value else one for one in known)
              for index, known in form.values.items()}  # fmt: skip
    signer = bench.gpu.vendor.rim_signer(form.product)
    forged = write_rim(replace(form, values=values), replace(signer, key=new_key()))
    mark, end = b"<ds:SignatureValue>", b"</ds:SignatureValue>"
    kept = honest[honest.index(mark) : honest.index(end)]
    return forged[: forged.index(mark)] + kept + forged[forged.index(end) :]
