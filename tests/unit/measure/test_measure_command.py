"""``sealroom measure`` as a person and as a program meet it: values, their sources, and lines that a policy takes."""

import hashlib
import io
import json

import pytest
from made_images import (
    TDX_SECTIONS,
    eif,
    linux,
    pcr,
    pe_image,
    sev_firmware,
    signature_section,
    sigstruct,
    tdx_firmware,
)  # fmt: skip

from sealroom.cli.main import _run
from sealroom.errors import SealroomError
from sealroom.measure.direct_boot import Rtmr0Inputs, kernel_digest, patched_kernel, rtmr0, rtmr1
from sealroom.measure.mrtd import measure_mrtd
from sealroom.measure.snp_launch import SnpLaunch, measure_snp
from sealroom.measure.td_hob import hob_ranges
from sealroom.measure.tdvf import read_tdvf
from sealroom.policy import load_policy

GIB = 1 << 30
OPEN = ("freshness", "report_data", "model", "init_data")


@pytest.fixture
def files(tmp_path):
    contents = {
        "snp.fd": sev_firmware(), "tdx.fd": tdx_firmware(), "kernel": linux(), "uki": pe_image(),
        "initrd": b"i" * 999, "svsm": sev_firmware(svsm=0x40, hashes_at=None),
        "right.sig": sigstruct(), "debug.sig": sigstruct(mask=0xFD),
        "image.eif": eif(), "loader": b"loader", "rsdp": b"rsdp", "tables": b"tables", "empty": b"",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def measure(files, capsys):
    """The verb, with words that name files made into paths; what it printed as JSON."""

    def run(*words, status=0):
        paths = [str(files / word) if (files / word).is_file() else word for word in words]
        assert _run(["measure", *paths, "--json"]) == status
        captured = capsys.readouterr()
        return captured.err if status else json.loads(captured.out)

    return run


def policy_with(snippet, tee, **unchecked):
    """A policy around the printed lines, as a person would paste them."""
    names = (*OPEN, *unchecked, *(["minimum_tcb"] if tee == "snp" else []))
    reasons = "".join(f'{name} = "a test"\n' for name in names)
    text = f'policy = 1\nname = "pasted"\n[trust]\ntees = ["{tee}"]\n{snippet}\n[unchecked]\n{reasons}'
    return load_policy(text.encode(), source="pasted.toml")


def test_an_snp_launch_that_is_fully_known(measure, files):
    told = measure("snp", "snp.fd", "--kernel", "kernel", "--initrd", "initrd", "--cmdline", "quiet", "--vcpus", "2",
                   "--vcpu-type", "EPYC-Milan", "--features", "0x21")  # fmt: skip
    digest = measure_snp(SnpLaunch(firmware=sev_firmware(), kernel=linux(), initrd=b"i" * 999, cmdline="quiet",
                                   vcpus=2, vcpu_type="EPYC-Milan", features=0x21)).hex()  # fmt: skip
    assert told["values"] == {"2 x EPYC-Milan, features 0x21": digest}
    for name in ("kernel", "initrd"):
        assert told["inputs"][name].endswith(hashlib.sha256((files / name).read_bytes()).hexdigest())
    assert told["inputs"]["command line"] == "quiet"
    assert not any("kernel" in line for line in told["not_covered"])
    assert policy_with(told["policy"], "snp").snp.measurement == (bytes.fromhex(digest),)


def test_what_a_person_does_not_know_is_varied_and_nothing_else(measure):
    told = measure("snp", "snp.fd")
    assert len(told["values"]) == len(set(told["values"].values())) == 5 * 3 * 2
    assert any("kernel" in line for line in told["not_covered"])
    assert "<" in told["policy"]
    cloud = measure("snp", "snp.fd", "--vmm", "ec2")["values"]
    assert len(cloud) == len(set(cloud.values())) == 5 * 2
    assert all("any model" in name for name in cloud)
    below = measure("snp", "snp.fd", "--vmm", "qemu-svsm", "--svsm", "svsm", "--vars-size", "4096")["values"]
    assert len(below) == len(set(below.values())) == 5 * 3
    assert all(name.endswith("features 0x1") for name in below)


def test_googles_count_of_processors_is_warned_of(measure):
    assert "--vcpus 1" in measure("snp", "snp.fd", "--vmm", "gce")["warnings"][0]
    assert measure("snp", "snp.fd", "--vmm", "gce", "--vcpus", "1")["warnings"] == []


def test_a_placeholder_is_no_policy(measure):
    """Whoever pastes the lines without choosing gets an error, and no policy that accepts anything."""
    snippet = measure("snp", "snp.fd")["policy"]
    with pytest.raises(SealroomError, match="measurement"):
        policy_with(snippet, "snp")


def test_the_firmwares_digest_stands_in(measure, files):
    (files / "tail").write_bytes(sev_firmware()[4096:])
    known = ("--vcpus", "1", "--vcpu-type", "EPYC-v4", "--features", "1")
    told = measure("snp", "tail", *known, "--firmware-digest", "ab" * 48)
    launch = SnpLaunch(firmware=sev_firmware()[4096:], vcpus=1, vcpu_type="EPYC-v4", firmware_digest=b"\xab" * 48)
    assert list(told["values"].values()) == [measure_snp(launch).hex()]
    assert told["inputs"]["digest after the firmware's pages"] == "ab" * 48


def test_a_firmware_of_tdx_with_both_orders(measure, files):
    firmware = tdx_firmware([(0, 0x2000, 0xFFFFE000, 0x2000, 0, 1), *TDX_SECTIONS[2:]])
    (files / "tdx.fd").write_bytes(firmware)
    told = measure("tdx", "tdx.fd")
    values = measure_mrtd(firmware)
    found = list(told["values"].values())
    assert found[:3] == [values.per_page.hex(), values.two_pass.hex(), values.all_regions.hex()]
    assert "rtmr1" in told["policy"]
    policy = policy_with(told["policy"], "tdx", rtmr="")
    assert set(policy.tdx.measurements["mr_td"]) == {values.per_page, values.two_pass}


def test_a_direct_boot_with_both_ways_of_qemu(measure):
    told = measure("tdx", "tdx.fd", "--kernel", "kernel", "--initrd", "initrd", "--cmdline", "quiet",
                   "--memory", "1024")  # fmt: skip
    new = rtmr1(kernel_digest(linux()))
    old = rtmr1(kernel_digest(patched_kernel(linux(), memory=GIB, initrd_size=999)))
    assert (told["values"]["rtmr1"], told["values"]["rtmr1 (QEMU before 10.2)"]) == (new.hex(), old.hex())
    policy = policy_with(told["policy"], "tdx")
    assert policy.tdx.measurements["rtmr1"] == (new, old)
    assert len(policy.tdx.measurements["rtmr2"]) == 1


def test_without_a_size_of_memory_old_qemu_is_taken_with_much_of_it(measure):
    much = measure("tdx", "tdx.fd", "--kernel", "kernel", "--initrd", "initrd", "--memory", "8192")["values"]
    unsaid = measure("tdx", "tdx.fd", "--kernel", "kernel", "--initrd", "initrd")["values"]
    little = measure("tdx", "tdx.fd", "--kernel", "kernel", "--initrd", "initrd", "--memory", "512")["values"]
    old = "rtmr1 (QEMU before 10.2)"
    assert much[old] == unsaid[old] != little[old]
    assert much["rtmr1"] == little["rtmr1"]


def test_a_kernel_of_another_kind_is_warned_of(measure):
    told = measure("tdx", "tdx.fd", "--kernel", "uki")
    assert "rtmr1 (QEMU before 10.2)" not in told["values"]
    assert any("setup header" in line for line in told["warnings"])


def test_rtmr0_of_the_guests_acpi_files(measure):
    told = measure("tdx", "tdx.fd", "--memory", "2048", "--acpi-loader", "loader", "--acpi-rsdp", "rsdp",
                   "--acpi-tables", "tables")  # fmt: skip
    image = read_tdvf(tdx_firmware())
    loader, rsdp, tables = (hashlib.sha384(name).digest() for name in (b"loader", b"rsdp", b"tables"))
    expected = rtmr0(Rtmr0Inputs(
        memory=2 * GIB, cfv_digest=hashlib.sha384(image.content(image.only("CFV"))).digest(),
        acpi_digests=(loader, rsdp, tables), ranges=hob_ranges(image),
    ))  # fmt: skip
    assert told["values"]["rtmr0"] == expected.hex()
    assert f'rtmr0 = ["{expected.hex()}"]' in told["policy"]
    assert any("202505" in line for line in told["warnings"])


def test_an_enclave_and_its_debugging(measure):
    right, debug = measure("sgx", "right.sig"), measure("sgx", "debug.sig")
    assert right["values"]["mr_enclave"] == hashlib.sha256(b"enclave").hexdigest()
    assert (right["values"]["isv_prod_id"], right["values"]["isv_svn"]) == ("7", "9")
    assert right["warnings"] == []
    assert "debug" in debug["warnings"][0]
    pinned = policy_with(right["policy"], "sgx").sgx.measurements["mr_enclave"]
    assert pinned == (hashlib.sha256(b"enclave").digest(),)


def test_an_enclave_image_and_its_signer(measure, files):
    told = measure("nitro", "image.eif")
    assert told["values"]["pcr0"] == pcr(b"kernel", b"cmdline", b"first", b"second").hex()
    assert "pcr8" not in told["values"]
    pinned = policy_with(told["policy"], "nitro").nitro.measurements
    assert pinned["pcr0"] == (bytes.fromhex(told["values"]["pcr0"]),)
    section = signature_section(pcr(b"kernel", b"cmdline", b"first"))
    (files / "image.eif").write_bytes(eif(((1, b"kernel"), (2, b"cmd\x1b[2Jline"), (3, b"first"))))
    assert "\x1b" not in measure("nitro", "image.eif")["inputs"]["command line"]
    (files / "image.eif").write_bytes(eif(((1, b"kernel"), (2, b"cmdline"), (3, b"first"), (4, section))))
    signed = measure("nitro", "image.eif")
    assert len(signed["values"]["pcr8"]) == 96
    by_signer = signed["policy"].replace("# pcr8", "pcr8")
    assert policy_with(by_signer, "nitro").nitro.measurements["pcr8"] == (bytes.fromhex(signed["values"]["pcr8"]),)


@pytest.mark.parametrize(("verb", "name"), [("snp", "snp.fd"), ("tdx", "tdx.fd"), ("sgx", "right.sig"),
                                            ("nitro", "image.eif")])  # fmt: skip
def test_a_person_reads_the_same_and_stdin_will_do(verb, name, measure, files, capsys, monkeypatch):
    told = measure(verb, name)
    raw = (files / name).read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
    assert _run(["measure", verb, "-"]) == 0
    text = capsys.readouterr().out
    for part in (*told["values"].values(), *told["not_covered"], *told["changes_with"], *told["policy"].splitlines()):
        assert part in text
    assert hashlib.sha256(raw).hexdigest() in text


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (2, "cli.cannot-read", ("snp", "nowhere")),
        (2, "cli.cannot-read", ("snp", "snp.fd", "--kernel", "nowhere")),
        (2, "cli.cannot-read", ("tdx", "/")),
        (2, "cli.number", ("snp", "snp.fd", "--features", "many")),
        (2, "measure.features", ("snp", "snp.fd", "--features", "-1")),
        (2, "measure.vcpus", ("snp", "snp.fd", "--vcpus", "0")),
        (2, "measure.vcpu-type", ("snp", "snp.fd", "--vcpu-type", "EPYC-Venice")),
        (2, "measure.vmm", ("snp", "snp.fd", "--vmm", "xen")),
        (2, "measure.kernel", ("snp", "snp.fd", "--initrd", "initrd")),
        (2, "cli.bad-hex", ("snp", "snp.fd", "--firmware-digest", "ab")),
        (3, "measure.firmware-table", ("snp", "tdx.fd")),
        (3, "measure.firmware-size", ("snp", "empty")),
        (3, "measure.tdvf", ("tdx", "snp.fd")),
        (3, "measure.not-pe", ("tdx", "tdx.fd", "--kernel", "initrd")),
        (2, "measure.kernel", ("tdx", "tdx.fd", "--cmdline", "quiet")),
        (2, "measure.cmdline", ("tdx", "tdx.fd", "--kernel", "kernel", "--cmdline", "caf\u00e9")),
        (2, "measure.rtmr0", ("tdx", "tdx.fd", "--memory", "2048", "--acpi-loader", "loader")),
        (2, "measure.memory-size", ("tdx", "tdx.fd", "--memory", "0")),
        (2, "measure.memory-size", ("tdx", "tdx.fd", "--memory", "-5")),
        (2, "measure.memory-size", ("tdx", "tdx.fd", "--memory", "1", "--kernel", "kernel", "--initrd", "initrd")),
        (3, "sigstruct.malformed", ("sgx", "snp.fd")),
        (3, "eif.malformed", ("nitro", "snp.fd")),
    ],
)
def test_what_can_not_be_is_refused_with_its_code(status, code, words, measure):
    assert f"({code})" in measure(*words, status=status)
