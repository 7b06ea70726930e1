"""The hardware's report field by field, as Google's own libraries write it, and as ours put it together again."""

from pathlib import Path

import pytest

from sealroom.errors import MalformedError
from sealroom.evidence import Tee
from sealroom.tees.gcp.inner import HardwareReport, read_hardware, write_hardware
from sealroom.tees.gcp.protobuf import number_field, octets_field, read_message
from sealroom.testing.dcap import SimulatedTdx
from sealroom.testing.snp import SimulatedSnp

DATA = Path(__file__).parent / "data"
PARTS = {Tee.SNP: (8, "sevsnp.pb", "report.bin"), Tee.TDX: (9, "quote_v4.pb", "quote.bin")}


def again(report: HardwareReport) -> HardwareReport:
    found = read_hardware(read_message(write_hardware(report)))
    assert found is not None
    return found


@pytest.mark.parametrize("tee", PARTS)
def test_what_google_s_libraries_wrote_is_what_the_hardware_signed(tee):
    number, written, signed = PARTS[tee]
    found = read_hardware(read_message(octets_field(number, (DATA / written).read_bytes())))
    assert found is not None
    assert (found.tee, found.raw) == (tee, (DATA / signed).read_bytes())
    assert again(found).raw == found.raw


@pytest.mark.parametrize("version", [2, 3, 5])
def test_every_version_of_an_snp_report_comes_back_to_the_byte(version):
    values = {} if version > 2 else {"cpuid_fam": 0, "cpuid_mod": 0, "cpuid_step": 0}
    raw = SimulatedSnp().report(bytes(range(64)), version=version, **values)
    assert again(HardwareReport(tee=Tee.SNP, raw=raw)).raw == raw


def test_a_quote_comes_back_to_the_byte_and_what_follows_it_does_not():
    raw = SimulatedTdx().quote(bytes(range(64)))
    assert again(HardwareReport(tee=Tee.TDX, raw=raw + bytes(100))).raw == raw


@pytest.mark.parametrize("size", [0, 100, 1183, 1185])
def test_what_is_no_report_is_not_written_as_one(size):
    with pytest.raises(MalformedError) as error:
        write_hardware(HardwareReport(tee=Tee.SNP, raw=bytes(size)))
    assert error.value.code == "gcp.inner"


@pytest.mark.parametrize("at", [0x4C, 0x18B, 0x1EB, 0x208, 0x29F])
def test_reserved_bytes_that_are_not_zero_have_no_place_in_the_message_and_are_refused(at):
    """Whoever wrote the message without them would have changed what was signed."""
    raw = bytearray(SimulatedSnp().report(bytes(64)))
    raw[at] ^= 0xFF
    with pytest.raises(MalformedError) as error:
        write_hardware(HardwareReport(tee=Tee.SNP, raw=bytes(raw)))
    assert error.value.code == "gcp.inner"


@pytest.mark.parametrize("number", [32, 99])
def test_a_field_that_no_report_has_is_refused_and_not_passed_over(number):
    """What nobody reads here, somebody else might: two readers would see two reports."""
    attestation = read_message(write_hardware(HardwareReport(tee=Tee.SNP, raw=SimulatedSnp().report(bytes(64)))))
    report = read_message(attestation.octets(8)).octets(1)
    more = octets_field(8, octets_field(1, report + number_field(number, 1)))
    assert read_hardware(read_message(octets_field(8, octets_field(1, report)))) is not None
    with pytest.raises(MalformedError) as error:
        read_hardware(read_message(more))
    assert error.value.code == "gcp.inner"
