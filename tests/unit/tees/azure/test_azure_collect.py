"""Evidence of a confidential VM of Azure's, from a real TPM 2.0 implementation (swtpm) and a host on loopback."""

import dataclasses
import json
import time
from collections.abc import Callable

import pytest
from azure_host import Host, running
from azure_judged import BENCHES
from azure_vm import Vm

from sealroom.binding import carried
from sealroom.collect import Places, this_machine
from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError
from sealroom.evidence import Claims, Collateral, CollectedEvidence, Tee, TrustRoots
from sealroom.kbs.evidence import name_of
from sealroom.pem import as_pem
from sealroom.tees import azure_vtpm
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees._tsm.collect import TsmDirectory
from sealroom.tees.azure_vtpm.collect import AzureVtpm, is_azure
from sealroom.tees.azure_vtpm.collect_host import ADDRESS, HostServices
from sealroom.tees.tpm.collect import TpmTools
from sealroom.testing.azure_cases import AT
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.tpm_log import boot, write_log

NONCE = carried("azure-vtpm", bytes(range(64)))
BOTH = pytest.mark.parametrize("tee", [Tee.SNP, Tee.TDX])
AZURE_CHASSIS = "7783-7084-3265-9085-8269-3286-77\n"


def dressed(vm: Vm, **more: object) -> Vm:
    """With the report that the paravisor made at boot, and a host that quotes the TDREPORT in it."""
    runtime = vm.runtime(**more)
    hcl = vm.guest.hcl_over(runtime)
    vm.put_report(dataclasses.replace(hcl, size=2048).encode())
    if isinstance(vm.guest.machine.platform, DcapPlatform):
        form = vm.guest.form(NONCE, hcl=hcl)
        vm.host.quote = lambda report: form.td_quote or b""
    return vm


def judged(vm: Vm, collected: CollectedEvidence) -> Claims:
    roots = TrustRoots(insecure_simulated=frozenset({vm.guest.root_fingerprint}))
    evidence = azure_vtpm.parse(collected.raw)
    return azure_vtpm.claims(azure_vtpm.verify(evidence, roots=roots, collateral=collected.collateral, at=AT))


def refused(attester: AzureVtpm, nonce: bytes = NONCE) -> SealroomError:
    with pytest.raises(SealroomError) as error:
        attester.collect(nonce)
    return error.value


@BOTH
def test_what_is_collected_verifies_whole(vm: Callable[[Tee], Vm], tee: Tee):
    here = dressed(vm(tee))
    here.tool("tpm2_pcrextend", f"4:sha256={'ab' * 32}")
    collected = here.attester.collect(NONCE)
    claims = judged(here, collected)
    assert claims.report_data == NONCE
    assert claims.inner.tee is tee
    assert len(claims.measurements) == 24
    assert claims.measurements["pcr04"] != bytes(32)
    assert claims.measurements["pcr17"] == b"\xff" * 32
    assert (claims.flags, claims.simulated, claims.details["event_log"]) == (frozenset(), True, "none")
    assert json.loads(collected.raw)["version"] == 1
    asked = {Tee.SNP: "GET /metadata/THIM/amd/certification", Tee.TDX: "POST /acc/tdquote"}
    assert here.host.asked == [asked[tee]]


@BOTH
def test_the_host_is_asked_once_for_a_report_and_the_vtpm_for_each_nonce(vm: Callable[[Tee], Vm], tee: Tee):
    here = dressed(vm(tee))
    for nonce in (NONCE, bytes(48), b"n"):
        assert judged(here, here.attester.collect(nonce)).report_data == nonce
    assert len(here.host.asked) == 1
    dressed(here, later="boot")
    assert judged(here, here.attester.collect(NONCE)).report_data == NONCE
    assert len(here.host.asked) == 2


@BOTH
def test_a_machine_is_told_by_its_firmware_and_by_what_its_vtpm_holds(vm, tee, tmp_path, monkeypatch):
    here = dressed(vm(tee))
    for name in ("tpm2_getcap", "tpm2_nvread"):  # reach the emulator, whatever they are told
        (tmp_path / name).write_text(f'#!/bin/sh\nTPM2TOOLS_TCTI="{here.tcti}" exec /usr/bin/{name} "$@"\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    chassis, device, no = tmp_path / "chassis", tmp_path / "tpmrm0", tmp_path / "no"
    device.touch()
    places = Places(tsm=TsmDirectory(no), sev_guest=no, tdx_guest=no, gramine=no, nsm=no, tpm=device, chassis=chassis)
    assert isinstance(this_machine(places=places), TpmTools)
    chassis.write_text(AZURE_CHASSIS)
    found = this_machine(places=places)
    assert isinstance(found, AzureVtpm)
    assert (found.tee, found.simulated, found.inner) == (Tee.AZURE_VTPM, False, tee)
    assert name_of(found) == f"az-{tee}-vtpm"
    here.tool("tpm2_nvundefine", "0x01400001", "-C", "o")
    assert isinstance(this_machine(places=places), TpmTools)


def test_the_firmware_log_goes_along_where_it_leads_to_the_registers(vm, tmp_path):
    here, banks = dressed(vm(Tee.SNP)), (TpmHash.SHA1, TpmHash.SHA256, TpmHash.SHA384)
    (tmp_path / "none").write_bytes(write_log(boot(), banks))
    assert judged(here, here.attester.collect(NONCE)).details["event_log"] == "none"
    for event in boot():
        digests = ",".join(f"{bank.word}={digest.hex()}" for bank, digest in event.digests(banks).items())
        here.tool("tpm2_pcrextend", f"{event.index}:{digests}")
    assert judged(here, here.attester.collect(NONCE)).details["event_log"] == "replayed"


def test_ours_goes_along_before_what_the_host_gives(vm):
    here = dressed(vm(Tee.SNP))
    ours = here.guest.machine.platform.vendor.chain()
    attester = AzureVtpm(here.tcti, host=HostServices(here.host.address), event_log=here.folder / "none",
                         collateral=Collateral(items={"chain": ours, "crl": b"x"}))  # fmt: skip
    assert dict(attester.collect(NONCE).collateral.items) == {"chain": ours, "crl": b"x"}


@pytest.mark.parametrize("size", [0, 51, 64])
def test_report_data_that_the_vtpm_does_not_take_is_refused_before_anything_is_asked(size):
    error = refused(AzureVtpm("none"), bytes(size))
    assert (type(error), error.code) == (MisuseError, "evidence.report-data-size")


# What goes wrong.


def test_a_vtpm_without_a_report_is_told(vm):
    here = vm(Tee.SNP)
    here.tool("tpm2_nvundefine", "0x01400001", "-C", "o")
    assert not here.attester.is_confidential()
    assert refused(here.attester).code == "tpm.tool"


def test_an_index_that_holds_something_else_is_malformed(vm):
    here = vm(Tee.SNP)
    here.put_report(b"\1" * 2048)
    error = refused(here.attester)
    assert (type(error), error.code) == (MalformedError, "azure-vtpm.hcl")


def test_a_report_that_names_another_key_is_told_before_a_quote_is_made(vm):
    here = vm(Tee.SNP)
    runtime = here.runtime(BENCHES[Tee.SNP].other.machine.tpm.key.public_key())
    here.put_report(dataclasses.replace(here.guest.hcl_over(runtime), size=2048).encode())
    error = refused(here.attester)
    assert (type(error), error.code) == (UnavailableError, "azure-vtpm.other-key")
    assert here.host.asked == []


def test_a_vtpm_without_the_key_is_told(vm):
    here = dressed(vm(Tee.SNP))
    here.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000003")
    assert refused(here.attester).code == "tpm.tool"


def test_a_quote_of_another_tdreport_is_told_and_one_that_is_none_is_malformed(vm):
    here = dressed(vm(Tee.TDX))
    here.host.quote = lambda _: here.guest.hardware_report(bytes(64))
    error = refused(here.attester)
    assert (type(error), error.code) == (UnavailableError, "azure-vtpm.other-quote")
    here.host.quote = lambda _: b"no quote"
    assert isinstance(refused(here.attester), MalformedError)


def test_what_follows_a_quote_in_the_hosts_answer_is_not_carried(vm):
    here = dressed(vm(Tee.TDX))
    made = here.host.quote(b"")
    here.host.quote = lambda _: made + bytes(100)
    guest = azure_vtpm.parse(here.attester.collect(NONCE).raw).guest
    assert guest is not None
    assert guest.td_quote == made


# The host's services by themselves.


@pytest.fixture
def host(snp_platform):
    chain = snp_platform.vendor.chain()
    with running(Host(vcek=_pem(snp_platform.leaf), chain=chain, quote=lambda report: report[::-1])) as running_host:
        yield running_host


def _pem(der: bytes) -> bytes:
    return as_pem(der)


def asker(host: Host, **options) -> HostServices:
    return HostServices(host.address, **{"pause": lambda _: None, **options})


def test_the_host_gives_certificates_and_quotes(host, snp_platform):
    assert asker(host).certificates() == (snp_platform.leaf, snp_platform.vendor.chain())
    assert asker(host).td_quote(bytes(range(200))) == bytes(range(200))[::-1]


def test_it_is_asked_again_while_it_is_busy_and_not_for_ever(host):
    waits: list[float] = []
    host.instead = [(429, b""), (503, b""), (410, b"")]
    asker(host, pause=waits.append).certificates()
    assert waits == sorted(waits)
    assert (len(waits), len(host.asked)) == (3, 4)
    host.instead = [(429, b"")] * 9
    with pytest.raises(UnavailableError, match=r"azure-vtpm\.host"):
        asker(host).certificates()
    assert len(host.instead) == 5


@pytest.mark.parametrize("status", [302, 307, 400, 403, 404])
def test_another_status_is_told_at_once_and_no_redirect_is_followed(host, status):
    host.instead = [(status, b"")]
    with pytest.raises(UnavailableError, match=str(status)):
        asker(host).td_quote(b"r")
    assert host.asked == ["POST /acc/tdquote"]


@pytest.mark.parametrize("body", [b"", b"no", b"[]", b"{}", b'{"quote":7}', b'{"quote":"*"}', b'{"quote":"\xc3\xa9"}',
                                  b'{"quote":"AA","quote":"AA"}'])  # fmt: skip
def test_an_answer_of_something_else_is_malformed(host, body):
    host.instead = [(200, body)]
    with pytest.raises(MalformedError, match=r"azure-vtpm\.host-answer"):
        asker(host).td_quote(b"r")


def test_certificates_that_are_none_are_malformed(host):
    host.instead = [(200, b'{"vcekCert":"no","certificateChain":"no"}')]
    with pytest.raises(MalformedError, match=r"x509\."):
        asker(host).certificates()


def test_names_are_taken_as_they_are_sent_and_as_they_are_documented(host, snp_platform):
    said = {"VcekCert": _pem(snp_platform.leaf).decode(), "CertificateChain": host.chain.decode()}
    host.instead = [(200, json.dumps(said).encode())]
    assert asker(host).certificates()[0] == snp_platform.leaf


def test_an_answer_without_end_is_given_up_by_size_and_by_time(host):
    host.instead = [(200, b"x" * (256 * 1024 + 1))]
    with pytest.raises(UnavailableError, match="more than 262144 bytes"):
        asker(host).td_quote(b"r")
    host.instead, host.slowly = [(200, b"x" * 10_000)], 0.05
    begun = time.monotonic()
    with pytest.raises(UnavailableError, match=r"azure-vtpm\.host"):
        asker(host, timeout=0.3).td_quote(b"r")
    assert time.monotonic() - begun < 3


def test_a_host_that_is_not_there_is_told():
    with pytest.raises(UnavailableError, match="ConnectError"):
        HostServices("http://127.0.0.1:1").certificates()


def test_no_proxy_of_the_environment_stands_between(host, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert asker(host).td_quote(b"r") == b"r"


@pytest.mark.parametrize("address", [
    "https://169.254.169.254", "http://8.8.8.8", "http://metadata.example", "http://", "http://a@169.254.169.254",
    "169.254.169.254", "http://[::1", "file:///etc",
])  # fmt: skip
def test_no_other_address_is_asked(address):
    with pytest.raises(MisuseError, match=r"azure-vtpm\.host-address"):
        HostServices(address)
    assert HostServices(ADDRESS)._address == "http://169.254.169.254"


def test_a_chassis_that_says_something_else_is_not_azures(tmp_path):
    assert not is_azure(tmp_path / "none")
    (tmp_path / "tag").write_bytes(b"\xff")
    assert not is_azure(tmp_path / "tag")
    (tmp_path / "tag").write_text(AZURE_CHASSIS)
    assert is_azure(tmp_path / "tag")
