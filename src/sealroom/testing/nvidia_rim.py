"""Reference values (RIM) as NVIDIA publishes them: a SWID tag in XML with an enveloped signature.

Document and canonical form are written side by side from the same parts, by a writer that has nothing in common with
the reader and the canonicaliser of `sealroom.tees.nvidia`, so that an error there is not repeated here.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.testing.nvidia_report import raw_signature

__all__ = ["RimForm", "RimSigner", "write_rim"]

_SWID = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"
_SHA384 = "http://www.w3.org/2001/04/xmlenc#sha384"
_RIM = "https://trustedcomputinggroup.org/resource/tcg-reference-integrity-manifest-rim-information-model/"
_DS = "http://www.w3.org/2000/09/xmldsig#"
_ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
C14N_11 = "http://www.w3.org/2006/12/xml-c14n11"
ECDSA_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
SHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384"
_SCOPE = f' xmlns="{_SWID}" xmlns:ds="{_DS}" xmlns:ns0="{_SWID}" xmlns:ns2="{_SHA384}"'
"""What SignedInfo inherits, in its canonical form."""
_INDENT = "\n    "
_ZERO = bytes(48)

Attributes = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RimForm:
    """What a RIM says. Change one field with `dataclasses.replace` to have one fault."""

    product: str
    version: str
    """Of the driver; or of the VBIOS, in upper case."""
    values: Mapping[int, tuple[bytes, ...]] = field(repr=False)
    """The active ones, by index from 0: any of the values will do."""
    edition: str = "GPU"
    tag_id: str | None = None
    count: int = 64
    names: Mapping[int, str] = field(default_factory=dict, repr=False)
    size: str = "48"
    inactive: str = "False"
    repeated: tuple[int, ...] = ()
    """Indices that stand twice."""
    announced: Mapping[int, int] = field(default_factory=dict)
    """Another number of values than there are, by index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RimSigner:
    """Who signs, and how the signature is written."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    """DER, signer first."""
    uri: str = ""
    transforms: tuple[str, ...] = (_ENVELOPED, C14N_11)
    canonicalization: str = C14N_11
    algorithm: str = ECDSA_SHA384
    digest_algorithm: str = SHA384
    references: int = 1
    signatures: int = 1


def write_rim(form: RimForm, signer: RimSigner) -> bytes:
    """The document, signed."""
    published, canonical = document(form)
    signature = _signature(signer, hashlib.sha384(canonical.encode()).digest()) * signer.signatures
    return published.replace("</SoftwareIdentity>", f"{signature}</SoftwareIdentity>").encode()


def document(form: RimForm) -> tuple[str, str]:
    """The document without its signature, as it is published and in canonical form (with the line end that stands
    where the signature will be)."""
    tag_id = form.tag_id or hashlib.sha384(f"{form.product} {form.version}".encode()).hexdigest()
    root = _Both.start(
        "SoftwareIdentity", [("xmlns", _SWID), ("xmlns:ns0", _SWID), ("xmlns:ns2", _SHA384)],
        [("corpus", "false"), ("name", form.product), ("patch", "false"), ("supplemental", "false"),
         ("tagId", tag_id), ("version", "1.0"), ("tagVersion", "0")],
    )  # fmt: skip
    entity = _Both.empty("ns0:Entity", [], [("name", "NVIDIA Corporation"), ("role", "softwareCreator tagCreator")])
    parts = [root, _Both.text(_INDENT), entity, _Both.text(_INDENT), _meta(form), _Both.text(_INDENT), _payload(form)]
    parts += [_Both.text("\n"), _Both.text("</SoftwareIdentity>")]
    return "".join(part.published for part in parts), "".join(part.canonical for part in parts)


@dataclass(frozen=True, slots=True)
class _Both:
    """A piece of the document, as it is published and in canonical form."""

    published: str
    canonical: str

    @classmethod
    def text(cls, text: str) -> "_Both":
        return cls(text, text)

    @classmethod
    def start(cls, name: str, spaces: Attributes, attributes: Attributes) -> "_Both":
        ordered = sorted(attributes, key=lambda pair: (":" in pair[0], pair[0]))
        return cls(f"<{name}{_written([*spaces, *attributes])}>", f"<{name}{_written([*sorted(spaces), *ordered])}>")

    @classmethod
    def empty(cls, name: str, spaces: Attributes, attributes: Attributes) -> "_Both":
        opened = cls.start(name, spaces, attributes)
        return cls(f"{opened.published[:-1]}/>", f"{opened.canonical}</{name}>")


def _written(attributes: Attributes) -> str:
    return "".join(f' {name}="{value}"' for name, value in attributes)


def _meta(form: RimForm) -> _Both:
    nvidia = "NVIDIA Corporation"
    return _Both.empty("ns0:Meta", [("xmlns:ns1", _RIM)], [
        ("colloquialVersion", form.version), ("edition", form.edition), ("product", form.product),
        ("revision", "r1"), ("PayloadType", "direct"), ("ns1:BindingSpec", "RIMIM"),
        ("ns1:BindingSpecVersion", "1.01"), ("ns1:PlatformManufacturerId", "5703"),
        ("ns1:PlatformManufacturerStr", nvidia), ("ns1:PlatformModel", form.product),
        ("ns1:FirmwareManufacturer", nvidia), ("ns1:FirmwareManufacturerId", "5703"),
    ])  # fmt: skip


def _payload(form: RimForm) -> _Both:
    opened = _Both.start("ns0:Payload", [("xmlns:SHA384", _SHA384)], [])
    resources = [_resource(form, index) for index in (*range(form.count), *form.repeated)]
    pad, end = _INDENT + "    ", f"{_INDENT}</ns0:Payload>"
    return _Both(
        opened.published + "".join(pad + resource.published for resource in resources) + end,
        opened.canonical + "".join(pad + resource.canonical for resource in resources) + end,
    )


def _resource(form: RimForm, index: int) -> _Both:
    values = form.values.get(index, (_ZERO,))
    count = form.announced.get(index, len(values))
    hashes = [(f"ns2:Hash{number}", value.hex()) for number, value in enumerate(values)]
    active = "True" if index in form.values else form.inactive
    return _Both.empty("ns0:Resource", [], [
        ("type", "Measurement"), ("index", str(index)), ("active", active), ("alternatives", str(count)), *hashes,
        ("name", form.names.get(index, f"Measurement_{index}")), ("size", form.size),
    ])  # fmt: skip


def _signature(signer: RimSigner, digest: bytes) -> str:
    info = _signed_info(signer, digest)
    value = base64.b64encode(raw_signature(signer.key, info.canonical.encode())).decode()
    certificates = "".join(f"<ds:X509Certificate>{_lines(der)}</ds:X509Certificate>" for der in signer.certificates)
    return (
        f'<ds:Signature xmlns:ds="{_DS}">{info.published}<ds:SignatureValue>{value}</ds:SignatureValue>'
        f"<ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo></ds:Signature>"
    )


def _signed_info(signer: RimSigner, digest: bytes) -> _Both:
    transforms = [_method("Transform", algorithm) for algorithm in signer.transforms]
    reference = [
        _Both.start("ds:Reference", [], [("URI", signer.uri)]), _Both.text("<ds:Transforms>"), *transforms,
        _Both.text("</ds:Transforms>"), _method("DigestMethod", signer.digest_algorithm),
        _Both.text(f"<ds:DigestValue>{base64.b64encode(digest).decode()}</ds:DigestValue></ds:Reference>"),
    ]  # fmt: skip
    parts = [
        _Both("<ds:SignedInfo>", f"<ds:SignedInfo{_SCOPE}>"),
        _method("CanonicalizationMethod", signer.canonicalization), _method("SignatureMethod", signer.algorithm),
        *reference * signer.references, _Both.text("</ds:SignedInfo>"),
    ]  # fmt: skip
    return _Both("".join(part.published for part in parts), "".join(part.canonical for part in parts))


def _method(name: str, algorithm: str) -> _Both:
    return _Both.empty(f"ds:{name}", [], [("Algorithm", algorithm)])


def _lines(der: bytes) -> str:
    """Base64 in lines of 64, as between the marks of PEM."""
    text = base64.b64encode(der).decode()
    return "".join(f"{text[at : at + 64]}\n" for at in range(0, len(text), 64))
