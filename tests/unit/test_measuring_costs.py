"""Measuring what a stranger sent costs what its bytes are worth, whatever they claim."""

import struct
import time
import tracemalloc
from uuid import UUID

import pytest

from sealroom.errors import MalformedError
from sealroom.measure.authenticode import authenticode
from sealroom.measure.mrtd import measure_mrtd
from sealroom.measure.snp_launch import SnpLaunch, measure_snp

MIB = 1024 * 1024
SEV = {"dc886566-984a-4798-a75e-5585a7bf67cc": 4096 - 1024, "00f771de-1a7e-4fcb-890e-68c77e2fb44e": 0xFFFFFFF0}
"""Entries that SEV-SNP needs: where the metadata are, counted from the end, and the reset vector."""


def firmware(claimed):
    """One page, with a section that claims ``claimed`` bytes of memory for 1 KiB of contents."""
    rows = struct.pack("<IIQQII", 0, 1024, 1 << 30, claimed, 0, 1)
    metadata = UUID("e9eaf9f3-168e-44d5-a8eb-7f4d8738f6ae").bytes_le + struct.pack("<4sIII", b"TDVF", 48, 1, 1) + rows
    entry = struct.pack("<IH", 4096 - 1040, 22) + UUID("e47a6535-984a-4798-865e-4685a7bf8ec2").bytes_le
    footer = struct.pack("<H", 18 + len(entry)) + UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
    return (b"c" * 1024 + metadata).ljust(4096 - 50 - len(entry), b"\0") + entry + footer + bytes(32)


def test_a_section_that_claims_much_memory_takes_none_of_it():
    tracemalloc.start()
    try:
        measured = measure_mrtd(firmware(16 * MIB))
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()
    assert measured.per_page != measured.two_pass
    with pytest.raises(MalformedError):
        measure_mrtd(firmware(1024 * MIB))


def test_sections_that_each_claim_the_whole_image_are_refused_before_they_are_hashed():
    optional = struct.pack("<H58xI", 0x20B, 0x200).ljust(108, b"\0") + struct.pack("<I", 16) + bytes(128)
    size = 3 * MIB
    sections = struct.pack("<16xII16x", size, 0) * 60_000
    head = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0"
    head += struct.pack("<HH12xHH", 0x8664, 60_000, len(optional), 0)
    started = time.process_time()
    with pytest.raises(MalformedError):
        authenticode((head + optional + sections).ljust(size, b"\0"))
    assert time.process_time() - started < 2


def sev_firmware(claimed):
    """One page, with a metadata section of ``claimed`` bytes."""
    metadata = struct.pack("<4sIII", b"ASEV", 28, 1, 1) + struct.pack("<III", 0x800000, claimed, 1)
    entries = b"".join(struct.pack("<IH", value, 22) + UUID(name).bytes_le for name, value in SEV.items())
    footer = struct.pack("<H", 18 + len(entries)) + UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
    return (bytes(1024) + metadata).ljust(4096 - 50 - len(entries), b"\0") + entries + footer + bytes(32)


def test_metadata_that_claim_much_memory_are_refused_before_its_pages_are_hashed():
    assert len(measure_snp(SnpLaunch(firmware=sev_firmware(0x9000), vcpus=1, vcpu_type="EPYC-v4"))) == 48
    with pytest.raises(MalformedError) as refused:
        measure_snp(SnpLaunch(firmware=sev_firmware(0xFFFFF000), vcpus=1, vcpu_type="EPYC-v4"))
    assert refused.value.code == "measure.firmware-metadata"
