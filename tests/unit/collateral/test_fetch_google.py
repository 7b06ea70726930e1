"""The certificates above a Google vTPM's key, over real HTTP on loopback, from where the certificates say."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from sealroom.collateral.fetch.google import fetch_google
from sealroom.collateral.fetch.transport import Transport
from sealroom.collateral.fetch.vendors import Services, fetch_needed, subject_of
from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError
from sealroom.evidence import Collateral, Tee, TrustRoots
from sealroom.tees import gcp
from sealroom.tees.gcp.certificates import issuer_address
from sealroom.tees.needs import AmdRequest, GoogleRequest, IntelRequest, what_is_needed
from sealroom.testing import der
from sealroom.testing.gcp_cases import AT, GcpBench
from sealroom.testing.pki import CertificateForm, mint_certificate
from sealroom.testing.vendor_service import Reply, pccs_replies, serving
from sealroom.x509_reader import read_certificate

ACCESS, ISSUERS, OCSP = "1.3.6.1.5.5.7.1.1", "1.3.6.1.5.5.7.48.2", "1.3.6.1.5.5.7.48.1"
CA, ROOT = "http://privateca-content-1.storage.googleapis.com/c/ca.crt", "https://pki.goog/root.crt"
BENCHES = {tee: GcpBench.create(tee) for tee in (None, Tee.SNP, Tee.TDX)}


def access(*entries: tuple[str, str]) -> tuple[str, bool, bytes]:
    listed = [der.sequence(der.oid(method), der.element(0x86, address.encode())) for method, address in entries]
    return ACCESS, False, der.sequence(*listed)


def certificate(form: CertificateForm, bench: GcpBench, *entries: tuple[str, str]) -> bytes:
    return bench.guest.machine.vendor.issue(replace(form, extensions=(*form.extensions, access(*entries))))


def evidence(bench: GcpBench, *entries: tuple[str, str]) -> bytes:
    form = bench.guest.machine.form()
    return bench.case("x", certificate=certificate(form, bench, *(entries or ((ISSUERS, CA),)))).raw


def authorities(bench: GcpBench) -> dict[str, bytes]:
    """The CA's certificate with the root's address in it, and the root's."""
    vendor = bench.guest.machine.vendor
    form = CertificateForm(
        subject=vendor.ca.common_name, public_key=vendor.ca.key.public_key(), serial=2, name=vendor.ca.name,
        extensions=(("2.5.29.19", True, der.sequence(der.boolean(True))), access((ISSUERS, ROOT))),
    )  # fmt: skip
    return {"/c/ca.crt": mint_certificate(form, vendor.root), "/root.crt": vendor.root.certificate}


def replies(files: Mapping[str, bytes], other=lambda _path, _query: None):
    return lambda path, query: Reply(body=files[path]) if path in files else other(path, query)


@pytest.fixture
def transport():
    made = Transport(timeout=2.0, pause=lambda _seconds: None)
    yield made
    made.close()


@pytest.mark.parametrize("tee", BENCHES)
def test_what_is_fetched_verifies_and_what_is_inside_is_fetched_too(transport, tee):
    bench = BENCHES[tee]
    raw = evidence(bench)
    needed = what_is_needed(Tee.GCP, raw)
    assert isinstance(needed, GoogleRequest)
    assert (needed.tee, needed.issuer) == (Tee.GCP, CA)
    assert isinstance(needed.inside, {None: type(None), Tee.SNP: AmdRequest, Tee.TDX: IntelRequest}[tee])
    hardware = bench.guest.machine.platform
    other = (pccs_replies(hardware.collateral(Tee.TDX), fmspc=hardware.pck.fmspc) if tee is Tee.TDX
             else lambda _path, _query: None)  # fmt: skip
    with serving(replies(authorities(bench), other)) as service:
        if tee is Tee.SNP:  # the host has put its certificates into the attestation
            items = fetch_google(needed, transport, service=service.address)
        else:
            items = fetch_needed(needed, transport, Services(google=service.address, intel=service.address))
    roots = TrustRoots(insecure_simulated=frozenset(bench.guest.machine.root_fingerprints))
    claims = gcp.claims(gcp.verify(gcp.parse(raw), roots=roots, collateral=Collateral(items=items), at=AT))
    assert claims.details["project_id"] == "simulated-project"
    assert [path for path in service.asked if path.endswith(".crt")] == ["/c/ca.crt", "/root.crt"]


def test_it_is_kept_under_the_ca_s_name_and_what_is_inside():
    needed = [what_is_needed(Tee.GCP, evidence(BENCHES[tee])) for tee in (None, Tee.TDX)]
    names = [subject_of(one, Services(intel_update="early")) for one in needed]
    assert names[1].startswith(f"{names[0]}-tdx-")
    assert names[1].endswith("-early")
    assert not names[0].endswith("-early")


@pytest.mark.parametrize("address", [
    "https://evil.example/ca.crt", "https://pki.goog.evil.example/a", "https://evil.example/pki.goog", "file:///etc/passwd",
    "https://notgoogleapis.com/a", "https://googleapis.com.evil/a", "http://pki.goog:8080/a", "https://u@pki.goog/a",
    "https://pki.goog/a b", "https://pki.goog/\x01", "ftp://pki.goog/a", "//pki.goog/a", "", "http://[::1", "ldap://x",
])  # fmt: skip
def test_who_wrote_a_certificate_does_not_choose_whom_is_asked(address):
    bench = BENCHES[None]
    form = bench.guest.machine.form()
    assert issuer_address(read_certificate(certificate(form, bench, (ISSUERS, address)))) is None
    with pytest.raises(MisuseError, match=r"collateral\.nothing-to-fetch"):
        what_is_needed(Tee.GCP, evidence(bench, (ISSUERS, address)))
    both = certificate(form, bench, (OCSP, "http://ocsp.pki.goog/"), (ISSUERS, address), (ISSUERS, CA))
    assert issuer_address(read_certificate(both)) == CA


def test_an_attestation_that_brings_its_issuers_needs_none():
    bench = BENCHES[None]
    vendor = bench.guest.machine.vendor
    raw = bench.case("x", certificate=certificate(bench.guest.machine.form(), bench, (ISSUERS, CA)),
                     intermediates=(vendor.ca.certificate, vendor.root.certificate)).raw  # fmt: skip
    with pytest.raises(MisuseError, match=r"collateral\.nothing-to-fetch"):
        what_is_needed(Tee.GCP, raw)


def refused(transport, files: Mapping[str, bytes]) -> SealroomError:
    needed = what_is_needed(Tee.GCP, evidence(BENCHES[None]))
    with serving(replies(files)) as service, pytest.raises(SealroomError) as error:
        fetch_google(needed, transport, service=service.address)
    return error.value


def test_a_chain_that_does_not_end_or_is_none_is_told(transport):
    bench = BENCHES[None]
    vendor = bench.guest.machine.vendor
    form = CertificateForm(subject="Other", public_key=vendor.ca.key.public_key(), serial=2, name=vendor.ca.name,
                           extensions=(access((ISSUERS, CA)),))  # fmt: skip
    assert refused(transport, {"/c/ca.crt": mint_certificate(form, vendor.root)}).code == "collateral.ak-issuers"
    assert isinstance(refused(transport, {"/c/ca.crt": b"no certificate"}), MalformedError)
    assert isinstance(refused(transport, {}), UnavailableError)
    assert isinstance(refused(transport, {"/c/ca.crt": authorities(bench)["/c/ca.crt"]}), UnavailableError)
