"""Signatures of reference values: the one shape that is taken, and what attackers do with the others."""

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.tees.nvidia.rim import read_rim, verify_rim
from sealroom.tees.nvidia.rim_signature import read_signature
from sealroom.tees.nvidia.xml_tree import read_xml
from sealroom.testing.nvidia_certificates import rim_signer_form
from sealroom.testing.nvidia_rim import write_rim
from sealroom.testing.pki import mint_certificate

AT = datetime(2026, 6, 1, tzinfo=UTC)
SIGNATURE = re.compile(rb"<ds:Signature .*</ds:Signature>", re.DOTALL)
VALUE = re.compile(rb"<ds:SignatureValue>(.*)</ds:SignatureValue>")
DIGEST = re.compile(rb"<ds:DigestValue>(.*)</ds:DigestValue>")
SHAPE = "nvidia.rim-signature-shape"


@pytest.fixture(scope="module")
def honest(gpu) -> bytes:
    return gpu.items()["driver_rim"]


@pytest.fixture(scope="module")
def evil(honest) -> bytes:
    """What an attacker wants to be believed: the same with every value active replaced, without a signature."""
    return re.sub(rb'(active="True" alternatives="1" ns2:Hash0=")[0-9a-f]{96}', rb"\g<1>" + b"ee" * 48,
                  SIGNATURE.sub(b"", honest))  # fmt: skip


def refused(raw: bytes, anchors: frozenset[bytes]) -> str:
    with pytest.raises((MalformedError, UnverifiedError)) as refusal:
        verify_rim(raw, anchors=anchors, at=AT)
    return refusal.value.code


def part(raw: bytes, name: bytes) -> bytes:
    found = re.search(rb"<ds:%s[ >].*</ds:%s>|<ds:%s [^>]*/>" % (name, name, name), raw, re.DOTALL)
    assert found is not None
    return found[0]


def inside(document: bytes, added: bytes, before: bytes = b"</SoftwareIdentity>") -> bytes:
    assert before in document
    return document.replace(before, added + before, 1)


WRAPPED = {
    "the honest document as a child of the evil one": lambda honest, evil: inside(evil, honest),
    "the evil document as a child of the honest one": lambda honest, evil: inside(honest, b" " + evil),
    "the honest one in front, inside an element": lambda honest, evil: evil.replace(
        b"<ns0:Entity ", b"<ns0:Link>" + honest + b"</ns0:Link><ns0:Entity ", 1
    ),
    "the honest signature around the honest document": lambda honest, evil: inside(
        evil, inside(part(honest, b"Signature"), b"<ds:Object>" + honest + b"</ds:Object>", b"</ds:Signature>")
    ),
    "the signature inside the payload": lambda honest, evil: inside(
        SIGNATURE.sub(b"", honest), part(honest, b"Signature"), b"</ns0:Payload>"
    ),
    "two signatures": lambda honest, evil: inside(honest, part(honest, b"Signature")),
    "a second signature under another prefix": lambda honest, evil: inside(
        honest, b'<x:Signature xmlns:x="http://www.w3.org/2000/09/xmldsig#"/>'
    ),
    "a second signature without a prefix": lambda honest, evil: inside(
        honest, b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>'
    ),
    "a second signature inside the first": lambda honest, evil: inside(
        honest, part(honest, b"Signature"), b"</ds:Signature>"
    ),
    "no signature": lambda honest, evil: evil,
    "a signature of another namespace": lambda honest, evil: honest.replace(
        b'xmlns:ds="http://www.w3.org/2000/09/xmldsig#"', b'xmlns:ds="http://www.w3.org/2000/09/xmldsig"'
    ),
    "a key beside the signature": lambda honest, evil: inside(honest, b"<ds:KeyInfo/>", b"<ds:Signature ").replace(
        b"<ds:KeyInfo/>", b'<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/>'
    ),
    "the honest signature on the evil document": lambda honest, evil: inside(evil, part(honest, b"Signature")),
    "a second payload": lambda honest, evil: inside(honest, part_of_payload(evil)),
    "a payload inside the signature": lambda honest, evil: inside(honest, part_of_payload(evil), b"</ds:Signature>"),
    "a payload among the certificates": lambda honest, evil: inside(honest, part_of_payload(evil), b"</ds:X509Data>"),
    "a payload inside a certificate": lambda honest, evil: inside(
        honest, part_of_payload(evil), b"</ds:X509Certificate>"
    ),
    "a payload inside the signature's value": lambda honest, evil: inside(
        honest, part_of_payload(evil), b"</ds:SignatureValue>"
    ),
}


def part_of_payload(document: bytes) -> bytes:
    found = re.search(rb"<ns0:Payload .*</ns0:Payload>", document, re.DOTALL)
    assert found is not None
    return found[0]


@pytest.mark.parametrize("name", WRAPPED)
def test_a_document_wrapped_around_or_inside_another_is_refused(honest, evil, anchors, name):
    code = refused(WRAPPED[name](honest, evil), anchors)
    assert code in {SHAPE, "nvidia.rim-reference-digest"}


def test_the_fixture_of_evil_would_be_read(honest, evil):
    """Else the tests above would prove nothing."""
    assert {bytes.fromhex("ee" * 48)} & {value for values in read_rim(evil).measurements.values() for value in values}
    assert b"Signature" not in evil


UNTAKEN = {
    "a reference to a part": (b'<ds:Reference URI=""', b'<ds:Reference URI="#x"'),
    "a reference to a pointer": (b'<ds:Reference URI=""', b'<ds:Reference URI="#xpointer(/)"'),
    "a reference to an address": (b'<ds:Reference URI=""', b'<ds:Reference URI="http://rim.invalid/"'),
    "a reference to a file": (b'<ds:Reference URI=""', b'<ds:Reference URI="file:///etc/passwd"'),
    "a reference to nothing": (b'<ds:Reference URI=""', b"<ds:Reference"),
    "a reference with a name": (b'<ds:Reference URI=""', b'<ds:Reference Id="x" URI=""'),
    "a reference with a type": (b'<ds:Reference URI=""', b'<ds:Reference Type="x" URI=""'),
    "canonical form with comments": (b'xml-c14n11"', b'xml-c14n11#WithComments"'),
    "no transforms": (b"<ds:Transforms>", b"<ds:Transforms/><ds:Transforms>"),
    "another transform first": (b'xmldsig#enveloped-signature"', b'xmldsig#base64"'),
    "another transform last": (b'Transform Algorithm="http://www.w3.org/2006/12/xml-c14n11"',
                               b'Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"'),
    "text between": (b"<ds:Transforms>", b"x<ds:Transforms>"),
    "text in the signature": (b"<ds:SignedInfo>", b"x<ds:SignedInfo>"),
    "a digest that is not base64": (b"<ds:DigestValue>", b"<ds:DigestValue>*"),
    "a digest that is longer": (b"<ds:DigestValue>", b"<ds:DigestValue>AAAA"),
    "a signature that is not base64": (b"<ds:SignatureValue>", b"<ds:SignatureValue>*"),
    "a certificate that is not base64": (b"<ds:X509Certificate>", b"<ds:X509Certificate>*"),
    "a key besides certificates": (b"<ds:X509Data>", b"<ds:KeyValue/><ds:X509Data>"),
    "a key by name": (b"<ds:X509Data>", b"<ds:KeyName>x</ds:KeyName><ds:X509Data>"),
    "a key to be fetched": (b"<ds:X509Data>", b'<ds:RetrievalMethod URI="http://rim.invalid/"/><ds:X509Data>'),
    "a subject among the certificates": (b"<ds:X509Certificate>", b"<ds:X509SubjectName/><ds:X509Certificate>"),
    "no key": (b"<ds:KeyInfo>", b"<ds:Object/><ds:KeyInfo>"),
    "a key in front of the signature": (
        b"<ds:Signature ", b'<d:KeyInfo xmlns:d="http://www.w3.org/2000/09/xmldsig#"/><ds:Signature '
    ),
    "a key inside another element": (
        b"<ds:Signature ", b'<ns0:Link><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"/></ns0:Link><ds:Signature '
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNTAKEN)
def test_another_shape_is_refused_before_anything_is_computed(honest, anchors, name):
    old, new = UNTAKEN[name]
    assert old in honest
    assert refused(honest.replace(old, new, 1), anchors) == SHAPE


PREFIXES = b'<c:InclusiveNamespaces xmlns:c="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="ns2"/>'


@pytest.mark.parametrize("parameter", [b"<x/>", b"x", PREFIXES, b"<ds:XPath>self::node()</ds:XPath>"])
@pytest.mark.parametrize("element", [b"CanonicalizationMethod", b"SignatureMethod", b"Transform", b"DigestMethod"])
def test_an_algorithm_with_parameters_is_refused(honest, anchors, element, parameter):
    found = re.search(rb"<ds:%s Algorithm=\"[^\"]*\"(/>|></ds:%s>)" % (element, element), honest)
    assert found is not None
    opened = found[0][: found[0].index(b'"', len(element) + 20) + 1]
    changed = opened + b">" + parameter + b"</ds:" + element + b">"
    assert refused(honest.replace(found[0], changed, 1), anchors) == SHAPE


EQUAL = {
    "a comment in the document": lambda raw: inside(raw, b"<!-- x -->", b"<ns0:Payload"),
    "a comment in the digest": lambda raw: raw.replace(b"<ds:DigestValue>", b"<ds:DigestValue><!-- AAAA -->"),
    "a comment inside the digest's text": lambda raw: DIGEST.sub(
        lambda found: b"<ds:DigestValue>" + found[1][:10] + b"<!-- AAAA -->" + found[1][10:] + b"</ds:DigestValue>",
        raw,
    ),
    "a comment in the signature's value": lambda raw: inside(raw, b"<!-- x -->", b"</ds:SignatureValue>"),
    "the digest in CDATA": lambda raw: DIGEST.sub(rb"<ds:DigestValue><![CDATA[\1]]></ds:DigestValue>", raw),
    "white space inside tags": lambda raw: raw.replace(b'active="True"', b' \n active = "True" '),
    "single quotes": lambda raw: raw.replace(b'active="True"', b"active='True'"),
    "attributes in another order": lambda raw: re.sub(rb'(index="\d+") (active="\w+")', rb"\2 \1", raw),
    "a declaration in front": lambda raw: b'<?xml version="1.0" encoding="UTF-8"?>\n' + raw,
    "lines that end in two characters": lambda raw: raw.replace(b"\n", b"\r\n"),
    "characters as references": lambda raw: raw.replace(b'"GH100"', b'"&#71;H100"'),
}


@pytest.mark.parametrize("name", EQUAL)
def test_what_has_the_same_canonical_form_is_the_same_document(honest, anchors, name):
    """Whether or not somebody put a comment in: it says the same, and nothing of the comment."""
    changed = EQUAL[name](honest)
    assert changed != honest
    first, second = (verify_rim(raw, anchors=anchors, at=AT) for raw in (honest, changed))
    assert (first.version, first.product, first.measurements) == (second.version, second.product, second.measurements)


SIGNED = {
    "a declaration on the signature": (b"<ds:Signature ", b'<ds:Signature xmlns:x="urn:x" '),
    "a name on SignedInfo": (b"<ds:SignedInfo>", b'<ds:SignedInfo Id="x">'),
    "white space in SignedInfo": (b"<ds:SignedInfo>", b"<ds:SignedInfo> "),
}


@pytest.mark.parametrize("name", SIGNED)
def test_what_changes_the_form_of_signed_info_breaks_its_signature(honest, anchors, name):
    assert refused(honest.replace(*SIGNED[name], 1), anchors) == "nvidia.rim-signature"


def test_a_declaration_on_the_root_breaks_both(honest, anchors):
    changed = honest.replace(b"<SoftwareIdentity ", b'<SoftwareIdentity xmlns:x="urn:x" ', 1)
    assert refused(changed, anchors) == "nvidia.rim-reference-digest"


ORDER = bytes.fromhex("ff" * 24 + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973")


def values(raw: bytes) -> dict[str, bytes]:
    found = VALUE.search(raw)
    assert found is not None
    value = base64.b64decode(found[1])
    r, s = (int.from_bytes(half, "big") for half in (value[:48], value[48:]))
    return {
        "nothing": b"", "cut off": value[:-1], "one byte more": value + b"\0",
        "r and s swapped": value[48:] + value[:48], "as DER": encode_dss_signature(r, s), "zeros": bytes(96),
        "s of zero": value[:48] + bytes(48),
        "s of the order": value[:48] + ORDER, "all ones": b"\xff" * 96,
        "a bit changed": bytes((value[0] ^ 1,)) + value[1:],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["nothing", "cut off", "one byte more", "r and s swapped", "as DER", "zeros",
                                  "s of zero", "s of the order", "all ones", "a bit changed"])  # fmt: skip
def test_another_value_is_no_signature(honest, anchors, name):
    encoded = base64.b64encode(values(honest)[name])
    changed = VALUE.sub(b"<ds:SignatureValue>" + encoded + b"</ds:SignatureValue>", honest)
    assert refused(changed, anchors) == "nvidia.rim-signature"


def test_the_first_certificate_signs_and_no_other(gpu, vendor, anchors):
    """The issuer's key signs, and the chain begins with the signer's certificate."""
    signer = vendor.rim_signer("GH100")
    other = replace(signer, key=vendor.rim_authorities("GH100")[1].key)
    assert refused(write_rim(gpu.driver_rim(), other), anchors) == "nvidia.rim-signature"


def test_a_signer_with_a_key_on_another_curve_is_refused(gpu, vendor, anchors, honest):
    key, issuer = ec.generate_private_key(ec.SECP256R1()), vendor.rim_authorities("GH100")[1]
    form = rim_signer_form(key.public_key(), issuer=issuer.key.public_key())
    certificate = base64.b64encode(mint_certificate(form, issuer))
    first = re.search(rb"<ds:X509Certificate>[^<]*</ds:X509Certificate>", honest)
    assert first is not None
    changed = honest.replace(first[0], b"<ds:X509Certificate>" + certificate + b"</ds:X509Certificate>", 1)
    assert refused(changed, anchors) == "nvidia.rim-key"


def test_a_certificate_that_is_none_is_malformed(honest, anchors):
    first = re.search(rb"<ds:X509Certificate>[^<]*</ds:X509Certificate>", honest)
    assert first is not None
    for content in (b"", b"AAAA", base64.b64encode(b"\x30\x03\x02\x01\x01")):
        changed = honest.replace(first[0], b"<ds:X509Certificate>" + content + b"</ds:X509Certificate>", 1)
        assert refused(changed, anchors).startswith("x509.")


def test_five_certificates_at_most(gpu, vendor, anchors):
    signer = vendor.rim_signer("GH100")
    many = replace(signer, certificates=signer.certificates * 2)
    assert refused(write_rim(gpu.driver_rim(), many), anchors) == SHAPE


def test_the_hash_is_the_one_that_is_named(gpu, vendor, anchors, honest):
    """SignedInfo says SHA-384: a signature of the same key over the same bytes with SHA-256 does not count."""
    signed = read_signature(read_xml(honest)).signed_info
    der = vendor.rim_signer("GH100").key.sign(signed, ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    value = base64.b64encode(r.to_bytes(48, "big") + s.to_bytes(48, "big"))
    changed = VALUE.sub(b"<ds:SignatureValue>" + value + b"</ds:SignatureValue>", honest)
    assert refused(changed, anchors) == "nvidia.rim-signature"
