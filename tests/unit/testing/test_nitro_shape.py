"""Minted Nitro documents are right to the byte: told what a real one says, the writer writes what AWS's module wrote.

Keys, serial numbers and windows are given, so that all that is left to differ is signatures.
"""

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sealroom.cbor import encode_cbor
from sealroom.tees.nitro import NitroEvidence, parse
from sealroom.testing import nitro_certificates as written
from sealroom.testing.nitro import NitroMachine, SimulatedNitro, extended, new_key
from sealroom.testing.nitro_cases import AT
from sealroom.testing.nitro_document import ES384, DocumentForm, write_members
from sealroom.testing.pki import Authority, CertificateForm, NameForm, mint_certificate
from sealroom.x509_reader import Certificate, read_certificate

DOCUMENTS = ("debug-2023-userdata", "prod-2021", "prod-2021-rsa-pubkey", "prod-2022-nonce")
KEY = new_key()


@pytest.fixture(params=DOCUMENTS)
def real(request, shared_vectors) -> NitroEvidence:
    return parse((shared_vectors / "nitro" / request.param / "attestation.cbor").read_bytes())


def key_of(certificate: Certificate) -> Any:
    return load_der_public_key(certificate.public_key)


def assert_written(form: CertificateForm, real: Certificate, issuer: str, name: NameForm) -> None:
    """Every byte that is signed."""
    by = Authority(key=KEY, common_name=issuer, certificate=b"", name=name)
    form = replace(form, validity=real.validity, serial=real.serial)
    assert read_certificate(mint_certificate(form, by)).tbs == real.tbs


def test_certificates(real):
    document = real.document
    chain = [read_certificate(one) for one in (*document.cabundle, document.certificate)]
    root, region, zone, instance, module = chain
    keys = [key_of(certificate) for certificate in chain]
    place, (above, below) = _place(region), (_name(region), _name(zone))
    forms = (
        written.root_form(keys[0]),
        written.region_form(keys[1], issuer=keys[0], region=place, name=above, at=AT, crl=_crl(region)),
        written.zone_form(keys[2], issuer=keys[1], region=place, name=below, at=AT, crl=_crl(zone)),
        written.instance_form(keys[3], region=place, instance=document.module_id[:19], at=AT),
        written.enclave_form(keys[4], region=place, module_id=document.module_id, at=AT),
    )
    for form, certificate, issuer in zip(forms, (root, region, zone, instance, module), (forms[0], *forms[:-1]),
                                         strict=True):  # fmt: skip
        assert_written(form, certificate, issuer.subject, issuer.name)


def test_the_document(real):
    document = real.document
    form = DocumentForm(
        module_id=document.module_id, timestamp_ms=document.timestamp_ms, pcrs=document.pcrs,
        chain=(document.certificate, *reversed(document.cabundle)), public_key=document.public_key,
        user_data=document.user_data, nonce=document.nonce,
    )  # fmt: skip
    assert write_members(form.members(), indefinite=False) == real.message.payload
    assert real.message.protected_raw == ES384


def test_windows_and_names_are_as_long_as_real_ones(real):
    guest = SimulatedNitro(clock=lambda: AT)
    minted = parse(guest.document(None, b"nonce")).document
    for ours, theirs in zip((*minted.cabundle, minted.certificate),
                            (*real.document.cabundle, real.document.certificate), strict=True):  # fmt: skip
        windows = [read_certificate(one).validity for one in (ours, theirs)]
        lengths = [round((window.not_after - window.not_before).total_seconds() / 3600) for window in windows]
        assert lengths[0] == pytest.approx(lengths[1], abs=15)  # a zone's is five days and fourteen hours
    assert len(minted.module_id) == len(real.document.module_id)
    assert len(minted.pcrs) == len(real.document.pcrs)


def test_pcr4_is_the_parent_instance_as_aws_computes_it():
    machine = NitroMachine.create()
    assert SimulatedNitro(machine=machine).pcrs[4] == extended(machine.instance.encode())


def test_a_nitro_tpm_names_its_pcrs_otherwise():
    machine = NitroMachine.create(is_nitro_tpm=True)
    document = parse(SimulatedNitro(machine=machine, clock=lambda: AT).document()).document
    assert (document.is_nitro_tpm, sorted(document.pcrs)) == (True, list(range(24)))
    assert encode_cbor("nitrotpm_pcrs") in SimulatedNitro(machine=machine, clock=lambda: AT).document()


def _place(region: Certificate) -> str:
    return _common_name(region).split(".")[1]


def _name(certificate: Certificate) -> str:
    return _common_name(certificate).split(".")[0]


def _common_name(certificate: Certificate) -> str:
    return str(certificate.subject)


def _crl(certificate: Certificate) -> str:
    return certificate.extensions["2.5.29.31"].value.rpartition(b"/")[2].removesuffix(b".crl").decode()
