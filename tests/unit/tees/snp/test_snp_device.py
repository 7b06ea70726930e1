"""Reports from /dev/sev-guest: the kernel's structures to the byte, certificates or none, and errors in words."""

import ctypes
import errno

import pytest

from sealroom.errors import MisuseError, UnavailableError
from sealroom.evidence import Collateral
from sealroom.tees.snp.collect import SnpDevice
from sealroom.tees.snp.collect_device import ExtendedRequest, GuestRequest, ReportRequest, ReportResponse
from sealroom.testing.guest_devices import EmulatedSevGuest
from sealroom.testing.snp import SimulatedSnp
from sealroom.testing.tsm import certificate_table

DATA = bytes(range(64))


@pytest.fixture
def guest(snp_platform):
    return SimulatedSnp(platform=snp_platform)


@pytest.fixture
def table(snp_platform):
    vendor = snp_platform.vendor
    return certificate_table(
        {"vcek": snp_platform.leaf, "ask": vendor.ask.certificate, "ark": vendor.ark.certificate}
    )


def test_the_structures_are_those_of_the_kernels_header():
    sizes = [ctypes.sizeof(kind) for kind in (GuestRequest, ReportRequest, ExtendedRequest, ReportResponse)]
    assert sizes == [32, 96, 112, 4000]
    assert (GuestRequest.req_data.offset, GuestRequest.fw_error.offset, GuestRequest.vmm_error.offset) == (8, 24, 28)
    assert (ExtendedRequest.certs_address.offset, ExtendedRequest.certs_len.offset) == (96, 104)


def test_a_report_comes_with_the_hosts_certificates(guest, table, snp_platform):
    collected = SnpDevice(EmulatedSevGuest(guest.report, table=table)).collect(DATA)
    assert collected.raw[0x50:0x90] == DATA
    assert collected.collateral.items["leaf"] == snp_platform.leaf
    assert collected.collateral.items["chain"] == snp_platform.vendor.chain()


def test_a_host_without_certificates_leaves_the_collateral_to_ours(guest, snp_platform):
    ours = Collateral(items={"leaf": snp_platform.leaf})
    assert dict(SnpDevice(EmulatedSevGuest(guest.report)).collect(DATA).collateral.items) == {}
    collected = SnpDevice(EmulatedSevGuest(guest.report), collateral=ours).collect(DATA)
    assert collected.collateral == ours


def test_a_table_that_does_not_fit_gives_the_report_without_it(guest):
    device = EmulatedSevGuest(guest.report, table=bytes(0x4001))
    assert SnpDevice(device).collect(DATA).raw[0x50:0x90] == DATA


def test_the_privilege_level_is_the_one_asked_for(guest):
    device = EmulatedSevGuest(guest.report)
    SnpDevice(device, vmpl=2).collect(DATA)
    assert device.levels == [2]


def test_a_busy_host_is_asked_again_and_given_up_in_the_end(guest):
    device = EmulatedSevGuest(guest.report)
    device.busy = 3
    assert SnpDevice(device).collect(DATA).raw
    assert device.pauses == sorted(device.pauses)
    assert len(device.pauses) == 3
    device.busy = 100
    with pytest.raises(UnavailableError) as error:
        SnpDevice(device).collect(DATA)
    assert error.value.code == "snp.no-report"
    assert sum(device.pauses) < 10


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EINVAL, errno.ENOTTY])
def test_an_error_of_the_driver_is_told_with_its_number(guest, number):
    device = EmulatedSevGuest(guest.report)
    device.error = number
    with pytest.raises(UnavailableError) as error:
        SnpDevice(device).collect(DATA)
    assert errno.errorcode[number] in error.value.got
    assert device.pauses == []


def test_a_status_of_the_firmware_other_than_success_is_no_report(guest):
    device = EmulatedSevGuest(guest.report)
    device.status = 0x16
    with pytest.raises(UnavailableError) as error:
        SnpDevice(device).collect(DATA)
    assert "0x16" in error.value.got


def test_a_report_over_something_else_is_not_handed_out(guest):
    with pytest.raises(UnavailableError) as error:
        SnpDevice(EmulatedSevGuest(lambda _asked: guest.report(bytes(64)))).collect(DATA)
    assert error.value.code == "snp.other-report"


@pytest.mark.parametrize("size", [0, 63, 65])
def test_report_data_of_another_size_is_refused(guest, size):
    with pytest.raises(MisuseError):
        SnpDevice(EmulatedSevGuest(guest.report)).collect(bytes(size))


def test_a_machine_without_the_device_says_what_is_missing(tmp_path):
    with pytest.raises(UnavailableError) as error:
        SnpDevice(tmp_path / "sev-guest").collect(DATA)
    assert "ENOENT" in error.value.got
    assert "sev-guest" in error.value.hint
