"""Reports from the kernel: an entry of one's own, the generation checked, always removed, errors in words."""

import errno
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.errors import MalformedError, MisuseError, UnavailableError
from sealroom.evidence import Collateral
from sealroom.tees._tsm.collect import TsmDirectory
from sealroom.tees.snp.certificate_table import read_certificate_table
from sealroom.tees.snp.collect import SnpConfigfs
from sealroom.testing.snp import SimulatedSnp
from sealroom.testing.tsm import EmulatedTsm, certificate_table

DATA = bytes(range(64))


@pytest.fixture
def guest(snp_platform):
    return SimulatedSnp(platform=snp_platform)


@pytest.fixture
def waits():
    return []


@pytest.fixture
def kernel(tmp_path, guest):
    return EmulatedTsm(tmp_path, guest.report)


@pytest.fixture
def attester(kernel, waits):
    return SnpConfigfs(kernel, pause=waits.append)


def test_the_report_carries_what_was_asked_for_and_the_entry_is_gone(attester, kernel, guest):
    collected = attester.collect(DATA)
    assert collected.raw[0x50:0x90] == DATA
    assert len(kernel.made) == 1
    assert list(kernel.path.iterdir()) == []


def test_every_call_makes_an_entry_under_a_name_of_its_own(attester, kernel):
    for _ in range(3):
        attester.collect(DATA)
    assert len(set(kernel.made)) == 3


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_report_data_of_another_size_is_not_padded_but_refused(attester, kernel, size):
    with pytest.raises(MisuseError) as error:
        attester.collect(bytes(size))
    assert error.value.code == "evidence.report-data-size"
    assert kernel.made == []


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EWOULDBLOCK])
def test_a_busy_kernel_is_asked_again_with_a_new_entry(attester, kernel, waits, number):
    kernel.errors = [number, number]
    assert attester.collect(DATA).raw[0x50:0x90] == DATA
    assert len(set(kernel.made)) == 3
    assert len(waits) == 2
    assert waits == sorted(waits)


def test_a_kernel_that_stays_busy_is_given_up_in_the_end(attester, kernel, waits):
    kernel.errors = [errno.EBUSY] * 100
    with pytest.raises(UnavailableError) as error:
        attester.collect(DATA)
    assert error.value.code == "tsm.no-report"
    assert "EBUSY" in error.value.got
    assert len(kernel.made) == 8
    assert list(kernel.path.iterdir()) == []


def test_an_entry_that_somebody_else_writes_to_is_thrown_away(attester, kernel):
    victims = iter([True, False])

    def disturb(entry):
        if next(victims):
            kernel.write(entry, "inblob", bytes(64))

    kernel.disturb = disturb
    assert attester.collect(DATA).raw[0x50:0x90] == DATA
    assert len(kernel.made) == 2


def test_a_writer_who_never_stops_is_named_and_no_report_handed_out(attester, kernel):
    kernel.disturb = lambda entry: kernel.write(entry, "inblob", bytes(64))
    with pytest.raises(UnavailableError) as error:
        attester.collect(DATA)
    assert error.value.code == "tsm.disturbed"
    assert list(kernel.path.iterdir()) == []


def test_a_report_over_other_data_is_never_handed_out_even_if_the_generation_agrees(tmp_path, guest, waits):
    kernel = EmulatedTsm(tmp_path, lambda _asked: guest.report(bytes(64)))
    with pytest.raises(UnavailableError) as error:
        SnpConfigfs(kernel, pause=waits.append).collect(DATA)
    assert error.value.code == "tsm.disturbed"


def test_an_error_of_the_host_is_told_with_its_number_and_a_hint_and_not_retried(attester, kernel, waits):
    kernel.errors = [errno.EIO]
    with pytest.raises(UnavailableError) as error:
        attester.collect(DATA)
    assert error.value.code == "tsm.no-report"
    assert "EIO" in error.value.got
    assert error.value.hint
    assert waits == []
    assert list(kernel.path.iterdir()) == []


def test_a_machine_without_configfs_tsm_says_what_is_missing(tmp_path):
    with pytest.raises(UnavailableError) as error:
        SnpConfigfs(TsmDirectory(tmp_path / "report")).collect(DATA)
    assert "ENOENT" in error.value.got
    assert "sev-guest" in error.value.hint


def test_another_tee_is_not_taken_for_snp(tmp_path, guest):
    kernel = EmulatedTsm(tmp_path, guest.report, provider="tdx_guest")
    with pytest.raises(UnavailableError) as error:
        SnpConfigfs(kernel).collect(DATA)
    assert (error.value.code, error.value.got) == ("tsm.other-provider", "tdx_guest")
    assert list(tmp_path.iterdir()) == []


def test_a_privilege_level_is_asked_for_and_counted_as_a_write(kernel):
    assert SnpConfigfs(kernel, privlevel=1).collect(DATA).raw


def test_a_privilege_level_below_the_floor_is_an_error_with_a_hint(tmp_path, guest):
    kernel = EmulatedTsm(tmp_path, guest.report, privlevel_floor=2)
    with pytest.raises(UnavailableError) as error:
        SnpConfigfs(kernel, privlevel=1).collect(DATA)
    assert "floor" in error.value.hint


def test_the_hosts_certificates_become_collateral_that_verifies(tmp_path, guest, snp_platform):
    vendor = snp_platform.vendor
    table = certificate_table(
        {"ark": vendor.ark.certificate, "vcek": snp_platform.leaf, "ask": vendor.ask.certificate, "crl": vendor.crl()}
    )
    collected = SnpConfigfs(EmulatedTsm(tmp_path, guest.report, auxblob=table)).collect(DATA)
    assert set(collected.collateral.items) == {"leaf", "chain", "crl"}
    assert collected.collateral.items["leaf"] == snp_platform.leaf
    assert collected.collateral.items["chain"] == vendor.chain()


def test_our_own_collateral_goes_before_the_hosts(tmp_path, guest, snp_platform):
    table = certificate_table({"vcek": b"what the host says"})
    ours = Collateral(items={"leaf": snp_platform.leaf, "chain": snp_platform.vendor.chain()})
    collected = SnpConfigfs(EmulatedTsm(tmp_path, guest.report, auxblob=table), collateral=ours).collect(DATA)
    assert collected.collateral.items["leaf"] == snp_platform.leaf


def test_a_vlek_in_the_table_is_not_handed_out_for_a_report_that_a_vcek_signed(tmp_path, guest):
    table = certificate_table({"vlek": b"of the cloud", "vcek": b"of the chip"})
    collected = SnpConfigfs(EmulatedTsm(tmp_path, guest.report, auxblob=table)).collect(DATA)
    assert collected.collateral.items["leaf"] == b"of the chip"


@pytest.mark.parametrize("auxblob", [None, b"", bytes(4096)])
def test_a_host_without_certificates_leaves_the_collateral_empty(tmp_path, guest, auxblob):
    collected = SnpConfigfs(EmulatedTsm(tmp_path, guest.report, auxblob=auxblob)).collect(DATA)
    assert dict(collected.collateral.items) == {}


def test_a_certificate_table_is_read_whole_and_not_at_any_shorter_length():
    table = certificate_table({"vcek": b"leaf", "ask": b"intermediate"})
    assert read_certificate_table(table) == {"vcek": b"leaf", "ask": b"intermediate"}
    for size in range(1, len(table)):
        with pytest.raises(MalformedError):
            read_certificate_table(table[:size])


def test_two_entries_of_one_kind_are_refused():
    one = certificate_table({"vcek": b"leaf"})
    with pytest.raises(MalformedError):
        read_certificate_table(one[:24] + one[:24] + bytes(24) + bytes(8))


@given(st.binary(max_size=200))
def test_no_bytes_of_the_host_do_more_than_be_refused(table):
    try:
        found = read_certificate_table(table)
    except MalformedError:
        return
    assert sum(map(len, found.values())) <= len(table) * len(found)


def test_attempts_are_spread_out_and_bounded(kernel):
    waits = []
    kernel.errors = [errno.EBUSY] * 100
    with pytest.raises(UnavailableError):
        SnpConfigfs(kernel, pause=waits.append, attempts=12).collect(DATA)
    assert all(later >= sooner for sooner, later in itertools.pairwise(waits))
    assert sum(waits) < 10
