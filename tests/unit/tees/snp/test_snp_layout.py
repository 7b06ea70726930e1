"""The report's bytes: exact, reserved bytes zero, and nothing that no firmware writes."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealroom.errors import MalformedError, MisuseError, UnverifiedError
from sealroom.evidence import Tee
from sealroom.fixed_layout import Kind
from sealroom.tees.snp.layout import REPORT, VERSIONS, SnpEvidence, parse

RESERVED = [
    (version, field.offset + index)
    for version in VERSIONS
    for field in REPORT.at_version(version).fields
    if field.kind is Kind.RESERVED
    for index in (0, field.size - 1)
]


def refusal(raw):
    with pytest.raises((MalformedError, UnverifiedError)) as error:
        parse(raw)
    return error.value.code


@pytest.fixture(params=VERSIONS)
def raw(request, genoa):
    return genoa.report(version=request.param)


def test_a_report_is_read_at_its_one_length_and_at_no_other(raw):
    assert parse(raw).raw == raw
    for size in range(len(raw)):
        assert refusal(raw[:size]) == "snp.wrong-length"
    assert refusal(raw + b"\x00") == "snp.wrong-length"


@pytest.mark.parametrize("version", [0, 1, 6, 99, 0x02000000])
def test_a_version_that_we_do_not_read_is_refused(genoa, version):
    assert refusal(genoa.report(version=version)) == "snp.unsupported-version"


@pytest.mark.parametrize(("version", "offset"), RESERVED)
def test_a_reserved_byte_that_is_set_is_refused_whoever_signed_it(genoa, version, offset):
    raw = bytearray(genoa.report(version=version))
    raw[offset] = 1
    assert refusal(genoa.platform.sign_raw(bytes(raw)) if offset < 0x2A0 else bytes(raw)) == "snp.reserved-not-zero"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sig_algo": 0}, "snp.signature-algorithm"),
        ({"sig_algo": 2}, "snp.signature-algorithm"),
        ({"policy": 0x10000}, "snp.policy-reserved"),
        ({"policy": 0x30000 | 1 << 26}, "snp.policy-reserved"),
        ({"policy": 0x30000 | 1 << 63}, "snp.policy-reserved"),
        ({"vmpl": 4}, "snp.vmpl"),
        ({"vmpl": 0xFFFFFFFE}, "snp.vmpl"),
        ({"key_info": 1 << 5}, "snp.key-info-reserved"),
        ({"key_info": 2 << 2}, "snp.signing-key"),
        ({"key_info": 7 << 2}, "snp.not-signed"),
    ],
)
def test_a_value_that_no_firmware_writes_is_refused_whoever_signed_it(genoa, changes, code):
    assert refusal(genoa.report(**changes)) == code


def test_unknown_platform_features_pass(genoa):
    assert parse(genoa.report(platform_info=0x67)).report.platform_info == 0x67


def test_evidence_and_its_parsed_report_can_not_be_of_different_bytes(genoa):
    with pytest.raises(TypeError):
        SnpEvidence(raw=genoa.report(), report=parse(genoa.report(guest_svn=9)).report)
    with pytest.raises(MisuseError):
        SnpEvidence(raw=genoa.report(), tee=Tee.TDX)


def test_version_2_names_no_product_and_version_5_alone_names_mitigations(genoa):
    by_version = {version: parse(genoa.report(version=version)).report for version in VERSIONS}
    assert [version for version, report in by_version.items() if report.cpuid] == [3, 4, 5]
    assert [version for version, report in by_version.items() if report.launch_mit_vector is not None] == [5]


@given(st.binary(min_size=1184, max_size=1184), st.sampled_from(VERSIONS))
@settings(max_examples=300)
def test_no_bytes_of_the_right_length_do_more_than_be_read_or_refused(noise, version):
    with suppress(MalformedError, UnverifiedError):  # anything else fails the test
        parse(version.to_bytes(4, "little") + noise[4:])


@given(st.binary(max_size=2000))
def test_no_bytes_of_any_length_do_more_than_be_refused(noise):
    with suppress(MalformedError, UnverifiedError):  # anything else fails the test
        parse(noise)
