"""The system call filter, run by a small interpreter of the kernel's machine: what passes, what does not."""

import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.engines.sandbox import seccomp
from sealroom.engines.sandbox.bpf import ALLOW, KILL_PROCESS, ArgumentTest, Rule, assemble, errno_action
from sealroom.engines.sandbox.syscalls import ARCHITECTURES

_EPERM, _ENOSYS = errno_action(1), errno_action(38)
_PROCESS = 4242
_X86 = ARCHITECTURES["x86_64"]
_HEADERS = {"x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
            "aarch64": Path("/usr/include/asm-generic/unistd.h")}  # fmt: skip


def run(program: bytes, number: int, arguments: tuple[int, ...] = (), *, audit: int = _X86.audit) -> int:
    """Classic BPF over ``struct seccomp_data``: number, architecture, instruction pointer, six arguments."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", number, audit, 0, *padded)
    at, loaded = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("<HBBI", program, 8 * at)
        at += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:
            loaded &= value
        elif code in (0x15, 0x35):
            at += if_true if (loaded == value if code == 0x15 else loaded >= value) else if_false
        else:
            raise AssertionError(f"unknown instruction {code:#x}")


_LOADING = seccomp.loading_filter(_X86, process=_PROCESS)
_SERVING = seccomp.serving_filter(_X86)


def call(name: str, *arguments: int, program: bytes = _LOADING) -> int:
    return run(program, _X86.numbers[name], arguments)


@pytest.mark.parametrize("name", ["read", "write", "futex", "accept4", "sendto", "munmap", "exit_group", "getrandom"])
def test_what_serving_needs_passes(name: str) -> None:
    assert call(name) == ALLOW


@pytest.mark.parametrize(
    "name",
    ["connect", "sendmsg", "execve", "execveat", "fork", "vfork", "clone3", "ptrace", "process_vm_readv", "kill",
     "pidfd_open", "unshare", "setns", "mount", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "keyctl",
     "memfd_create", "chmod", "fchmodat", "rename", "mkdir", "socketpair", "capset", "openat2",
     "landlock_create_ruleset"],
)  # fmt: skip
def test_what_nobody_named_does_not_exist(name: str) -> None:
    assert call(name) == _ENOSYS


@pytest.mark.parametrize(
    ("name", "passes", "refused"),
    [
        ("mmap", (0, 1, 3), (0, 1, 7)),
        ("mprotect", (0, 1, 1), (0, 1, 5)),
        ("clone", (0x3D0F00,), (17,)),
        ("openat", (0, 0, 0o2000000), (0, 0, 0o1)),
        ("openat", (0, 0, 0), (0, 0, 0o100)),
        ("openat", (0, 0, 0), (0, 0, 0o1000)),
        ("openat", (0, 0, 0o200000), (0, 0, 0o20200002)),
        ("open", (0, 0), (0, 2)),
        ("socket", (1, 0o2000001), (1, 2)),
        ("socket", (1, 1), (2, 1)),
        ("socket", (1, 1), (40, 1)),
        ("prctl", (15,), (4, 1)),
        ("prctl", (3,), (0x59616D61,)),
        ("fcntl", (0, 3), (0, 8)),
        ("ioctl", (0, 0x5401), (0, 0x5412)),
        ("prlimit64", (_PROCESS,), (_PROCESS - 1,)),
        ("tgkill", (_PROCESS,), (1,)),
        ("seccomp", (1, 1), (1, 1 << 3)),
    ],
)
def test_arguments_decide_where_a_call_can_help_and_hurt(
    name: str, passes: tuple[int, ...], refused: tuple[int, ...]
) -> None:
    assert call(name, *passes) == ALLOW
    assert call(name, *refused) == _EPERM


def test_calls_of_a_foreign_table_kill() -> None:
    assert run(_LOADING, 0, audit=0x40000003) == KILL_PROCESS  # i386: its 0 is another call
    assert run(_LOADING, 0x40000000) == KILL_PROCESS  # x32


@pytest.mark.parametrize("name", ["socket", "bind", "listen", "open", "openat", "seccomp"])
def test_nothing_more_is_opened_once_the_engine_serves(name: str) -> None:
    assert call(name, 1, 1, program=_SERVING) == _EPERM
    assert call("read", program=_SERVING) == ALLOW


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    header = _HEADERS[machine]
    if not header.is_file():
        pytest.skip(f"no kernel headers here ({header})")
    found = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", header.read_text(), re.MULTILINE)
    official = {name: int(number) for name, number in found}
    official.setdefault("newfstatat", official.get("fstatat", -1))
    for name, number in ARCHITECTURES[machine].numbers.items():
        assert official.get(name, number) == number, name


_RULES = st.lists(
    st.builds(
        Rule, call=st.sampled_from(["openat", "socket", "clone"]), otherwise=st.just(_EPERM),
        tests=st.lists(st.builds(ArgumentTest, argument=st.integers(0, 5), mask=st.integers(0, 7),
                                 values=st.lists(st.integers(0, 7), max_size=4).map(tuple)), min_size=1,
                       max_size=3).map(tuple),
    ),
    max_size=3, unique_by=lambda rule: rule.call,
)  # fmt: skip


@given(_RULES, st.sampled_from(["read", "openat", "socket", "clone", "ptrace"]), st.tuples(*[st.integers(0, 7)] * 6))
def test_the_assembled_program_means_what_the_policy_says(
    rules: list[Rule], name: str, arguments: tuple[int, ...]
) -> None:
    program = assemble(_X86, allowed=("read",), rules=rules, otherwise=_ENOSYS)
    expected = ALLOW if name == "read" else _ENOSYS
    for rule in rules:
        if rule.call == name:
            holds = all(arguments[test.argument] & test.mask in test.values for test in rule.tests)
            expected = ALLOW if holds else rule.otherwise
    assert run(program, _X86.numbers[name], arguments) == expected
