"""Reference values: read, and verified whole; what they say is exactly typed; remembered answers weaken nothing."""

import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.tees._remembered import forget_verdicts
from sealroom.tees.nvidia.rim import RIM_ROOTS, read_rim, verify_rim
from sealroom.tees.nvidia.rim_signature import holds, read_signature, reference_holds
from sealroom.tees.nvidia.xml_tree import read_xml
from sealroom.testing.nvidia_certificates import rim_signer_form
from sealroom.testing.nvidia_rim import RimForm, write_rim
from sealroom.testing.nvidia_vendor import NvidiaVendor
from sealroom.testing.pki import mint_certificate
from sealroom.x509_reader import read_certificate

AT = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def raw(gpu) -> bytes:
    return gpu.items()["driver_rim"]


def test_what_a_verified_one_says(gpu, vendor, anchors, raw):
    form, rim = gpu.driver_rim(), verify_rim(raw, anchors=anchors, at=AT)
    assert (rim.product, rim.edition, rim.version) == ("GH100", "GPU", form.version)
    assert dict(rim.measurements) == dict(form.values)
    assert rim.root == hashlib.sha256(vendor.rim_root.certificate).digest()
    assert [str(one.subject) for one in rim.certificates] == [
        "HCC RIM L4 Signer", "NVIDIA Reference Value L3 GH100 001", "NVIDIA Reference Value GH100 CA",
        "NVIDIA CoRIM signing Root CA",
    ]  # fmt: skip
    signer = read_certificate(vendor.rim_signer("GH100").certificates[0]).validity
    assert rim.validity.not_after <= signer.not_after
    assert rim.validity.holds_at(AT)


def test_of_a_switch(switch, anchors):
    rim = verify_rim(switch.items()["vbios_rim"], anchors=anchors, at=AT)
    assert (rim.product, rim.edition, rim.version, len(rim.measurements)) == ("LS10", "SWITCH", "96.10.55.00.01", 31)


def test_reading_alone_proves_nothing_and_gives_no_verified_one(raw):
    changed = raw.replace(b'version="', b'version="9', 1)
    assert read_rim(changed).measurements == read_rim(raw).measurements
    assert type(read_rim(raw)).__name__ == "Rim"


def test_indices_need_not_be_in_order(raw):
    first, second = re.findall(rb'<ns0:Resource[^>]* index="[78]"[^>]*>', raw)
    swapped = raw.replace(first, b"\0").replace(second, first).replace(b"\0", second)
    assert read_rim(swapped).measurements == read_rim(raw).measurements


def edited(raw: bytes, old: bytes, new: bytes) -> bytes:
    assert old in raw
    return raw.replace(old, new, 1)


EDITS = {
    "another root": (b"SoftwareIdentity", b"SoftwareIdentityX"),
    "a root of another namespace": (b'xmlns="http://standards.iso.org', b'xmlns="http://standards.invalid'),
    "no version": (b"colloquialVersion", b"version"),
    "a version that is no word": (b'colloquialVersion="', b'colloquialVersion="../'),
    "no product": (b" product=", b" products="),
    "no edition": (b" edition=", b" editions="),
    "an index that is no number": (b'index="7"', b'index="seven"'),
    "an index with a sign": (b'index="7"', b'index="+7"'),
    "an index with a zero in front": (b'index="7"', b'index="07"'),
    "an index in other digits": (b'index="7"', b'index="\xd9\xa7"'),
    "an index that is too large": (b'index="7"', b'index="256"'),
    "an index twice": (b'index="7"', b'index="8"'),
    "no index": (b'index="7"', b'indexes="7"'),
    "an active in lower case": (b'active="True"', b'active="true"'),
    "an active that is a number": (b'active="True"', b'active="1"'),
    "no active": (b'active="True"', b'actives="True"'),
    "more values announced than there are": (b'alternatives="1"', b'alternatives="2"'),
    "no values announced": (b'alternatives="1"', b'alternatives="0"'),
    "more values than announced": (b"ns2:Hash0=", b'ns2:Hash1="%s" ns2:Hash0=' % (b"0" * 96)),
    "values that do not begin at 0": (b"ns2:Hash0=", b"ns2:Hash1="),
    "a value in no namespace": (b"ns2:Hash0=", b"Hash0="),
    "a value of another digest": (b'xmlns:ns2="http://www.w3.org/2001/04/xmlenc#sha384"',
                                  b'xmlns:ns2="http://www.w3.org/2001/04/xmlenc#sha256"'),
    "a value of 47 bytes": (b'ns2:Hash0="00', b'ns2:Hash0="'),
    "a value that is not hexadecimal": (b'ns2:Hash0="00', b'ns2:Hash0="0x'),
    "a value with a space": (b'ns2:Hash0="00', b'ns2:Hash0=" 0'),
    "another size": (b'size="48"', b'size="32"'),
    "no size": (b'size="48"', b'sizes="48"'),
    "another type": (b'type="Measurement"', b'type="File"'),
    "an element that is no measurement": (b"<ns0:Resource ", b"<ns0:File "),
    "two payloads": (b"<ns0:Entity ", b"<ns0:Payload/><ns0:Entity "),
    "two descriptions": (b"<ns0:Entity ", b'<ns0:Meta product="x"/><ns0:Entity '),
    "a payload of another namespace": (b"<ns0:Payload ", b'<ns0:Payload xmlns:ns0="urn:x" '),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_what_is_not_exactly_typed_is_refused(raw, name):
    with pytest.raises(MalformedError, match=r"nvidia\.rim"):
        read_rim(edited(raw, *EDITS[name]))


def test_fault_gpu_cloud_3_values_of_which_none_is_active_are_refused(vendor, anchors):
    """Nothing to compare with is never a match."""
    form = RimForm(product="GH100", version="1.0", values={})
    with pytest.raises(MalformedError, match="no value is active"):
        verify_rim(write_rim(form, vendor.rim_signer("GH100")), anchors=anchors, at=AT)


def test_fault_gpu_cloud_22_the_time_is_the_one_that_is_given(gpu, vendor, anchors):
    """Signers live two years: at their time they are good, a day later they are not, whatever the clock says."""
    signer, issuer = vendor.rim_signer("GH100"), vendor.rim_authorities("GH100")[1]
    window = replace(read_certificate(signer.certificates[0]).validity,
                     not_before=AT - timedelta(days=1), not_after=AT + timedelta(days=1))  # fmt: skip
    form = rim_signer_form(signer.key.public_key(), issuer=issuer.key.public_key())
    short = mint_certificate(replace(form, validity=window), issuer)
    raw = write_rim(gpu.driver_rim(), replace(signer, certificates=(short, *signer.certificates[1:])))
    assert verify_rim(raw, anchors=anchors, at=window.not_before).validity == window
    assert verify_rim(raw, anchors=anchors, at=window.not_after).validity == window
    for at, code in ((window.not_before, "x509.not-yet-valid"), (window.not_after, "x509.expired")):
        outside = at + timedelta(seconds=1 if code == "x509.expired" else -1)
        with pytest.raises(UnverifiedError, match=re.escape(code)):
            verify_rim(raw, anchors=anchors, at=outside)


def test_what_is_remembered_is_not_taken_for_other_anchors_or_other_bytes(gpu, anchors, raw):
    forget_verdicts()
    first = verify_rim(raw, anchors=anchors, at=AT)
    assert verify_rim(raw, anchors=anchors, at=AT + timedelta(days=1)) is first
    with pytest.raises(UnverifiedError, match=r"x509\.untrusted-root"):
        verify_rim(raw, anchors=frozenset(RIM_ROOTS), at=AT)
    with pytest.raises(UnverifiedError, match=r"x509\.untrusted-root"):
        verify_rim(raw, anchors=frozenset(), at=AT)
    with pytest.raises(UnverifiedError, match=r"nvidia\.rim-reference-digest"):
        verify_rim(edited(raw, b'"True"', b'"False"'), anchors=anchors, at=AT)


def test_a_root_of_the_same_name_is_no_root(gpu, anchors):
    stranger = NvidiaVendor.create().rim(gpu.driver_rim())
    with pytest.raises(UnverifiedError, match=r"x509\.untrusted-root"):
        verify_rim(stranger, anchors=anchors, at=AT)


def test_the_device_root_is_trusted_for_reference_values_only_if_simulated():
    """Of the pinned roots, the one of devices is none for RIMs."""
    assert {digest.hex()[:8] for digest in RIM_ROOTS} == {"12977b51"}


RECORDED = {
    "h100-535-tampered-driver-rim/driver_rim.xml": (False, True),
    "h100-535-tampered-driver-rim/vbios_rim.xml": (True, True),
    "h100-550-full/driver_rim.xml": (True, True),
    "h100-550-full/vbios_rim.xml": (True, True),
    "h100-550-wrong-vbios-rim/vbios_rim.xml": (True, True),
    "ls10-switch-full/vbios_rim.xml": (True, True),
    "rim-driver-550.144.03/rim.xml": (True, True),
    "rim-driver-550.144.03-bad-signature/rim.xml": (True, False),
}


@pytest.mark.parametrize("path", RECORDED)
def test_recorded_ones_digest_and_signature_each_for_itself(shared_vectors, path):
    """One that was changed after signing has a good signature over SignedInfo; one whose signature was changed, a
    good digest. Whoever checks one of the two takes one of them."""
    root = read_xml((shared_vectors / "nvidia" / path).read_bytes())
    signature = read_signature(root)
    assert (reference_holds(root, signature), holds(signature)) == RECORDED[path]


def test_recorded_tampered_ones_are_refused_each_for_its_own_reason(shared_vectors):
    for path, (digest, signature) in RECORDED.items():
        if not digest or not signature:
            code = "nvidia.rim-signature" if digest else "nvidia.rim-reference-digest"
            with pytest.raises(UnverifiedError) as refusal:
                verify_rim((shared_vectors / "nvidia" / path).read_bytes(), anchors=frozenset(RIM_ROOTS), at=AT)
            assert refusal.value.code == code
