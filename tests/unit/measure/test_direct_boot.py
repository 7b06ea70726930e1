"""RTMRs of a direct boot: TD HOB, events in order, and what old QEMU writes into a kernel."""

import hashlib
import struct

import pytest
from made_images import TDX_SECTIONS, linux, pe_image, tdx_firmware

from sealroom.errors import MalformedError, MisuseError
from sealroom.measure.direct_boot import (
    UI_APP,
    Rtmr0Inputs,
    cmdline_digest,
    is_linux,
    kernel_digest,
    patched_kernel,
    rtmr0,
    rtmr1,
    rtmr2,
)
from sealroom.measure.td_hob import OVMF_RANGES, HobRange, hob_ranges, low_memory, td_hob, td_hob_digest
from sealroom.measure.tdvf import read_tdvf

MIB, GIB = 1 << 20, 1 << 30
DIGESTS = [hashlib.sha384(bytes((number,))).digest() for number in range(8)]


def sha(data):
    return hashlib.sha384(data).digest()


def extended(*digests):
    register = bytes(48)
    for digest in digests:
        register = sha(register + digest)
    return register


def test_the_list_of_memory_by_hand():
    """PI 1.8 volume 3: the handoff block, then one resource after the other; the end marker counts only."""
    pieces = [
        (7, 0, 0x800000), (0, 0x800000, 0x6000), (7, 0x806000, 0x3000), (0, 0x809000, 0x2000), (0, 0x80B000, 0x2000),
        (7, 0x80D000, 0x3000), (0, 0x810000, 0x10000), (7, 0x820000, 0x80000000 - 0x820000), (7, 4 * GIB, 2 * GIB),
    ]  # fmt: skip
    resources = b"".join(struct.pack("<HHI16xIIQQ", 3, 48, 0, kind, 7, start, size) for kind, start, size in pieces)
    end = 0x809000 + 56 + len(resources) + 8
    expected = struct.pack("<HHIIIQQQQQ", 1, 56, 0, 9, 0, 0, 0, 0, 0, end) + resources
    assert td_hob(4 * GIB) == expected
    assert td_hob_digest(4 * GIB) == sha(expected)


@pytest.mark.parametrize(
    ("memory", "low"),
    [
        (GIB, GIB),
        (2 * GIB, 2 * GIB),
        (0xB0000000 - 4096, 0xB0000000 - 4096),
        (0xB0000000, 2 * GIB),
        (64 * GIB, 2 * GIB),
    ],
)
def test_how_much_memory_is_low(memory, low):
    assert low_memory(memory) == low
    sizes = [struct.unpack_from("<QQ", td_hob(memory), at) for at in range(56 + 32, len(td_hob(memory)), 48)]
    assert sum(size for _, size in sizes) == memory
    assert max(start + size for start, size in sizes) == (low if low == memory else 4 * GIB + memory - low)


@pytest.mark.parametrize("memory", [0, -4096, GIB + 1, 1 << 49, 8 * MIB])
def test_memory_that_can_not_be_is_refused(memory):
    with pytest.raises(MisuseError) as refused:
        td_hob(memory)
    assert refused.value.code == "measure.memory-size"


@pytest.mark.parametrize(
    "ranges",
    [
        (),
        tuple(one for one in OVMF_RANGES if not one.is_hob),
        tuple(reversed(OVMF_RANGES)),
        (HobRange(address=0x800000, size=0xA000), *OVMF_RANGES[1:]),
    ],
)
def test_ranges_that_can_not_be_are_refused(ranges):
    with pytest.raises(MisuseError) as refused:
        td_hob(GIB, ranges)
    assert refused.value.code == "measure.hob-ranges"


def test_the_ranges_are_those_of_the_firmware_in_order_of_address():
    assert hob_ranges(read_tdvf(tdx_firmware(TDX_SECTIONS))) == (
        HobRange(address=0x809000, size=0x1000, is_hob=True),
        HobRange(address=0x810000, size=0x2000),
    )


def variable(vendor, name, data=b""):
    first, second, third, *rest = vendor.split("-")
    guid = struct.pack("<IHH", int(first, 16), int(second, 16), int(third, 16)) + bytes.fromhex("".join(rest))
    return guid + struct.pack("<QQ", len(name), len(data)) + name.encode("utf-16-le") + data


def test_rtmr0_by_hand():
    inputs = Rtmr0Inputs(memory=GIB, cfv_digest=DIGESTS[0], acpi_digests=(DIGESTS[1], DIGESTS[2], DIGESTS[3]))
    efi, security = "8be4df61-93ca-11d2-aa0d-00e098032b8c", "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
    names = [(efi, "SecureBoot"), (efi, "PK"), (efi, "KEK"), (security, "db"), (security, "dbx")]
    assert rtmr0(inputs) == extended(
        td_hob_digest(GIB), DIGESTS[0], *(sha(variable(*name)) for name in names), sha(bytes(4)),
        DIGESTS[1], DIGESTS[2], DIGESTS[3], sha(b"\x00\x00"), sha(UI_APP),
    )  # fmt: skip


def test_the_boot_entry_is_ovmfs_menu():
    assert sha(UI_APP).hex().startswith("23ada07f")
    assert UI_APP[6:18].decode("utf-16-le") == "UiApp\x00"


def test_rtmr1_and_rtmr2_by_hand():
    actions = (b"Calling EFI Application from Boot Option", bytes(4), b"Exit Boot Services Invocation",
               b"Exit Boot Services Returned with Success")  # fmt: skip
    assert rtmr1(DIGESTS[0]) == extended(DIGESTS[0], *map(sha, actions))
    assert rtmr2(DIGESTS[0], DIGESTS[1]) == extended(DIGESTS[0], DIGESTS[1])
    assert rtmr2(DIGESTS[0], None) == extended(DIGESTS[0])


def test_the_command_line_says_where_the_initrd_is_and_ends_with_its_nul():
    assert cmdline_digest("quiet", has_initrd=False) == sha("quiet\x00".encode("utf-16-le"))
    assert cmdline_digest("quiet", has_initrd=True) == sha("quiet initrd=initrd\x00".encode("utf-16-le"))
    assert cmdline_digest("", has_initrd=False) == sha(b"\x00\x00")


@pytest.mark.parametrize("line", ["a\x00b", "\udcff", "caf\u00e9"])
def test_a_command_line_of_which_nobody_knows_what_ovmf_makes_is_refused(line):
    with pytest.raises(MisuseError) as refused:
        cmdline_digest(line, has_initrd=False)
    assert refused.value.code == "measure.cmdline"


def changes(kernel, **how):
    """Where the patched kernel differs, and what stands there."""
    patched = patched_kernel(kernel, **how)
    assert len(patched) == len(kernel)
    return {at: patched[at] for at in range(len(kernel)) if patched[at] != kernel[at]}, patched


def test_what_old_qemu_writes_into_a_kernel_and_nothing_else():
    kernel = linux()
    places, patched = changes(kernel, memory=4 * GIB, initrd_size=5000)
    assert set(places) <= {0x210, 0x211, *range(0x218, 0x220), 0x224, 0x225, *range(0x228, 0x22C)}
    assert (patched[0x210], patched[0x211]) == (0xB0, 0x81)
    assert patched[0x224:0x228] == b"\x00\xfe\x33\x44"
    assert struct.unpack_from("<I", patched, 0x228) == (0x20000,)
    address, size = struct.unpack_from("<II", patched, 0x218)
    assert size == 5000
    assert address == (0x80000000 - 0x28000 - 1 - 5000) & ~0xFFF
    without, _ = changes(kernel, memory=4 * GIB, initrd_size=0)
    assert not set(without) & set(range(0x218, 0x220))
    assert is_linux(kernel)
    assert kernel_digest(kernel) != kernel_digest(patched)


@pytest.mark.parametrize(
    ("kernel", "memory", "highest"),
    [
        (linux(), GIB, GIB - 0x28001),
        (linux(), 2 * GIB, 2 * GIB - 0x28001),
        (linux(), 0xA0000000, 0xA0000000 - 0x28001),
        (linux(), 0xB0000000, 2 * GIB - 0x28001),
        (linux(), 64 * GIB, 2 * GIB - 0x28001),
        (linux(above_4g=False), 0xA0000000, 0x7FFFFFFF),
        (linux(above_4g=False, initrd_most=0x37FFFFFF), 64 * GIB, 0x37FFFFFF),
        (linux(protocol=0x20B), 0xA0000000, 0x7FFFFFFF),
    ],
)
def test_where_old_qemu_puts_an_initrd(kernel, memory, highest):
    """hw/i386/x86.c: anywhere below 4 GiB if the kernel may be loaded above it, else as far as the kernel says."""
    patched = patched_kernel(kernel, memory=memory, initrd_size=12345)
    assert struct.unpack_from("<I", patched, 0x218)[0] == (highest - 12345) & ~0xFFF


@pytest.mark.parametrize(
    ("line", "mode"),
    [("vga=normal", 0xFFFF), ("vga=ext", 0xFFFE), ("a vga=ask b", 0xFFFD), ("vga=791 quiet", 791),
     ("vga=0x317", 0x317), ("vga=010", 8), ("novga=5", 5)],
)  # fmt: skip
def test_a_video_mode_is_written_too(line, mode):
    patched = patched_kernel(linux(), memory=GIB, initrd_size=0, cmdline=line)
    assert struct.unpack_from("<H", patched, 0x1FA)[0] == mode


@pytest.mark.parametrize(
    "line", ["vga=", "vga=x", "vga=12a", "vga=-1", "vga=4294967296", "vga=" + "9" * 9999, "vga=1_0"]
)
def test_a_video_mode_that_qemu_refuses_is_refused(line):
    with pytest.raises(MisuseError) as refused:
        patched_kernel(linux(), memory=GIB, initrd_size=0, cmdline=line)
    assert refused.value.code == "measure.cmdline"


@pytest.mark.parametrize(
    "kernel",
    [
        pe_image(),
        b"",
        linux()[:0x237],
        linux(protocol=0x202),
        linux(load_flags=0),
        b"HdrS" * 300,
        linux().replace(b"HdrS", b"HdrT"),
    ],
    ids=["no-header", "empty", "cut", "old", "low", "elsewhere", "other"],
)
def test_a_kernel_that_is_not_a_linux_is_not_patched(kernel):
    with pytest.raises(MalformedError) as refused:
        patched_kernel(kernel, memory=GIB, initrd_size=0)
    assert refused.value.code == "measure.not-linux"


@pytest.mark.parametrize("size", [GIB, GIB - 0x28001, 1 << 40])
def test_an_initrd_that_does_not_fit_is_refused(size):
    with pytest.raises(MisuseError) as refused:
        patched_kernel(linux(), memory=GIB, initrd_size=size)
    assert refused.value.code == "measure.memory-size"
