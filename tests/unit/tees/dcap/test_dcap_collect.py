"""Quotes from the kernel, from the older device and the host's service, from Gramine; and finding which there is."""

import errno

import pytest

from sealroom.collect import Places, this_machine
from sealroom.errors import MalformedError, MisuseError, UnavailableError
from sealroom.evidence import Collateral, Tee
from sealroom.tees._tsm.collect import TsmDirectory
from sealroom.tees.sgx.collect import GramineAttestation
from sealroom.tees.tdx.collect import TdxConfigfs, TdxDevice
from sealroom.tees.tdx.collect_device import GET_REPORT, QuoteService, TdReportRequest
from sealroom.testing.guest_devices import EmulatedQuoteService, EmulatedTdxGuest
from sealroom.testing.tsm import EmulatedTsm

DATA = bytes(range(64))


@pytest.fixture
def td(world):
    return world.td()


def test_a_quote_through_configfs_is_cut_to_its_own_length_and_carries_our_collateral(tmp_path, td):
    ours = Collateral(items={"pck_crl": b"list"})
    kernel = EmulatedTsm(tmp_path, lambda data: td.quote(data) + bytes(3000), provider="tdx_guest")
    collected = TdxConfigfs(kernel, collateral=ours).collect(DATA)
    assert (collected.tee, collected.collateral) == (Tee.TDX, ours)
    assert not collected.raw.endswith(bytes(3000))
    assert list(tmp_path.iterdir()) == []


def test_fault_29_a_quote_over_other_data_is_never_handed_out(tmp_path, td):
    kernel = EmulatedTsm(tmp_path, lambda _asked: td.quote(bytes(64)), provider="tdx_guest")
    with pytest.raises(UnavailableError) as error:
        TdxConfigfs(kernel, pause=lambda _seconds: None).collect(DATA)
    assert error.value.code == "tsm.disturbed"


def test_the_devices_structure_is_that_of_the_kernels_header():
    import ctypes

    assert ctypes.sizeof(TdReportRequest) == 1088
    assert 3 << 30 | 1088 << 16 | ord("T") << 8 | 1 == GET_REPORT


def test_the_older_device_and_the_hosts_service_make_a_quote(td):
    service = EmulatedQuoteService(td.quote)
    collected = TdxDevice(EmulatedTdxGuest(), QuoteService(service.connect)).collect(DATA)
    assert collected.tee is Tee.TDX


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:3],
        lambda raw: raw[:-1],
        lambda raw: b"\xff\xff\xff\xff" + raw[4:],
        lambda raw: raw[:4] + b"\x02" + raw[5:],
        lambda raw: raw[:8] + b"\x00" + raw[9:],
        lambda raw: raw[:12] + b"\x00" + raw[13:],
        lambda raw: raw[:20] + b"\x01" + raw[21:],
        lambda raw: raw[:24] + b"\x00" + raw[25:],
    ],
)  # fmt: skip
def test_a_service_that_answers_otherwise_is_refused(td, change):
    service = EmulatedQuoteService(td.quote, change=change)
    with pytest.raises(MalformedError) as error:
        TdxDevice(EmulatedTdxGuest(), QuoteService(service.connect)).collect(DATA)
    assert error.value.code == "tdx.quote-message"


def test_a_service_that_says_no_or_lies_is_told(td):
    service = EmulatedQuoteService(td.quote)
    service.error = 0x12001
    with pytest.raises(UnavailableError) as error:
        TdxDevice(EmulatedTdxGuest(), QuoteService(service.connect)).collect(DATA)
    assert error.value.code == "tdx.no-quote"
    liar = EmulatedQuoteService(lambda _asked: td.quote(bytes(64)))
    with pytest.raises(UnavailableError) as error:
        TdxDevice(EmulatedTdxGuest(), QuoteService(liar.connect)).collect(DATA)
    assert error.value.code == "tdx.other-quote"


def test_a_host_without_a_service_and_a_guest_without_the_device_say_so(tmp_path):
    def unreachable():
        raise OSError(errno.ECONNREFUSED, "refused")

    with pytest.raises(UnavailableError) as error:
        TdxDevice(EmulatedTdxGuest(), QuoteService(unreachable)).collect(DATA)
    assert error.value.code == "tdx.no-quote"
    device = EmulatedTdxGuest()
    device.error = errno.EACCES
    with pytest.raises(UnavailableError) as error:
        TdxDevice(device).collect(DATA)
    assert "EACCES" in error.value.got


@pytest.fixture
def gramine(tmp_path, world):
    """A directory in place of Gramine's files; the quote is over what was written before."""

    class Directory:
        path = tmp_path
        kind = "dcap"

        def prepare(self, report_data=DATA):
            (tmp_path / "attestation_type").write_text(f"{self.kind}\n")
            (tmp_path / "user_report_data").write_bytes(b"")
            (tmp_path / "quote").write_bytes(world.enclave().quote(report_data))
            return GramineAttestation(tmp_path)

    return Directory()


def test_gramine_gives_a_quote(gramine):
    collected = gramine.prepare().collect(DATA)
    assert collected.tee is Tee.SGX
    assert (gramine.path / "user_report_data").read_bytes() == DATA


def test_gramine_without_dcap_or_with_another_quote_is_told(gramine):
    gramine.kind = "none"
    with pytest.raises(UnavailableError) as error:
        gramine.prepare().collect(DATA)
    assert error.value.code == "sgx.no-quote"
    gramine.kind = "dcap"
    with pytest.raises(UnavailableError) as error:
        gramine.prepare(bytes(64)).collect(DATA)
    assert error.value.code == "sgx.other-quote"


@pytest.mark.parametrize("size", [0, 63, 65])
def test_report_data_of_another_size_is_refused_everywhere(gramine, tmp_path, td, size):
    kernel = EmulatedTsm(tmp_path, td.quote, provider="tdx_guest")
    for attester in (gramine.prepare(), TdxConfigfs(kernel), TdxDevice(EmulatedTdxGuest())):
        with pytest.raises(MisuseError):
            attester.collect(bytes(size))


def test_one_call_finds_what_this_machine_offers(tmp_path, td, gramine):
    nothing = Places(tsm=TsmDirectory(tmp_path / "no"), sev_guest=tmp_path / "no", tdx_guest=tmp_path / "no",
                     gramine=tmp_path / "no", nsm=tmp_path / "no", tpm=tmp_path / "no")  # fmt: skip
    with pytest.raises(UnavailableError) as error:
        this_machine(places=nothing)
    assert error.value.code == "collect.no-tee"
    entries = tmp_path / "tsm"
    entries.mkdir()
    kernel = EmulatedTsm(entries, td.quote, provider="tdx_guest")
    assert isinstance(this_machine(places=Places(tsm=kernel)), TdxConfigfs)
    assert this_machine(places=Places(tsm=kernel)).collect(DATA).tee is Tee.TDX
    gramine.prepare()
    found = this_machine(places=Places(tsm=nothing.tsm, gramine=gramine.path))
    assert isinstance(found, GramineAttestation)
