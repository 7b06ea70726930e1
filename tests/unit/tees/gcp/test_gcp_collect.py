"""A VM of Google's whose vTPM is a real TPM 2.0 implementation (swtpm), and whose hardware is simulated."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sealroom.binding import carried
from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError
from sealroom.evidence import Attester, Claims, Collateral, CollectedEvidence, Tee, TrustRoots
from sealroom.tees import gcp
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees.gcp.collect import GceVm
from sealroom.tees.gcp.template import read_template
from sealroom.tees.snp.collect import SnpConfigfs
from sealroom.tees.tdx.collect import TdxConfigfs
from sealroom.testing.dcap import DcapPlatform, SimulatedTdx
from sealroom.testing.gcp import GcpVendor
from sealroom.testing.gcp_cases import AT
from sealroom.testing.gcp_certificates import InstanceForm, ak_form
from sealroom.testing.snp import SimulatedSnp, SnpPlatform
from sealroom.testing.tpm import sized
from sealroom.testing.tpm_log import boot, write_log
from sealroom.testing.tsm import EmulatedTsm, certificate_table

NONCE = carried("gcp", bytes(range(64)))
BANKS = (TpmHash.SHA1, TpmHash.SHA256, TpmHash.SHA384)
INDEX = {"rsa": 0x01C10000, "ecc": 0x01C10002}
ALGORITHM = {"rsa": "rsa2048:rsassa-sha256:null", "ecc": "ecc256:ecdsa-sha256:null"}
HEAD = {"rsa": "0001000b00050072000000100014000b080000000000", "ecc": "0023000b00050072000000100018000b00030010"}
TEMPLATE = {"rsa": bytes.fromhex(HEAD["rsa"]) + sized(bytes(256)),
            "ecc": bytes.fromhex(HEAD["ecc"]) + sized(bytes(32)) * 2}  # fmt: skip
NO_LOG = Path("/nonexistent")


@dataclass(kw_only=True)
class Vm:
    """What Google has written into the vTPM when it made the VM."""

    vendor: GcpVendor
    tcti: str
    folder: Path

    def tool(self, *arguments: str) -> None:
        environment = {"PATH": "/usr/bin:/bin", "TPM2TOOLS_TCTI": self.tcti}
        subprocess.run(arguments, check=True, env=environment, capture_output=True, cwd=self.folder)

    def keep(self, index: int, content: bytes) -> None:
        (self.folder / "content").write_bytes(content)
        self.tool(
            "tpm2_nvdefine",
            f"0x{index:08x}",
            "-C",
            "o",
            "-s",
            str(len(content)),
            "-a",
            "ownerread|ownerwrite|authread",
        )
        self.tool("tpm2_nvwrite", f"0x{index:08x}", "-C", "o", "-i", "content")

    def certify(self, kind: str, *, template: bytes | None = None, padding: int = 0) -> None:
        """The certificate of the key that the vTPM makes of the template, by the tools' own defaults."""
        (self.folder / "unique").write_bytes(read_template(TEMPLATE[kind]).unique)
        self.tool("tpm2_createprimary", "-C", "e", "-G", ALGORITHM[kind], "-g", "sha256", "-a", "0x50072", "-u",
                  "unique", "-c", "key", "-f", "pem", "-o", "key.pem")  # fmt: skip
        self.tool("tpm2_flushcontext", "-t")
        key = load_pem_public_key((self.folder / "key.pem").read_bytes())
        certificate = self.vendor.issue(ak_form(key, InstanceForm()))  # type: ignore[arg-type]
        self.keep(INDEX[kind], certificate + bytes(padding))
        self.keep(INDEX[kind] + 1, TEMPLATE[kind] if template is None else template)

    def attester(self, hardware: Attester | None = None, **options) -> GceVm:
        along = Collateral(items={"ak_issuers": self.vendor.issuers})
        return GceVm(hardware=hardware, tcti=self.tcti, **({"event_log": NO_LOG, "collateral": along} | options))


@pytest.fixture
def vm(tcti: str, tmp_path: Path, monkeypatch) -> Vm:
    """An emulator has no resource manager: what a tool has loaded is unloaded before the next one, as Linux would."""
    folder, tools = tmp_path / "work", tmp_path / "tools"
    folder.mkdir()
    tools.mkdir()
    for name in ("tpm2_createprimary", "tpm2_quote"):
        (tools / name).write_text(f'#!/bin/sh\n/usr/bin/tpm2_flushcontext -t && exec /usr/bin/{name} "$@"\n')
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return Vm(vendor=GcpVendor.create(), tcti=tcti, folder=folder)


def judged(vm: Vm, collected: CollectedEvidence, *roots: bytes) -> Claims:
    trusted = TrustRoots(insecure_simulated=frozenset({vm.vendor.root_fingerprint, *roots}))
    return gcp.claims(gcp.verify(gcp.parse(collected.raw), roots=trusted, collateral=collected.collateral, at=AT))


@pytest.mark.parametrize("kind", ["rsa", "ecc"])
def test_a_vtpm_answers_with_the_key_that_was_certified(vm: Vm, kind: str):
    vm.certify(kind)
    claims = judged(vm, vm.attester().collect(NONCE))
    assert (claims.report_data, claims.details["pcr_bank"]) == (NONCE, "sha256")
    assert (claims.details["instance_name"], claims.flags) == ("simulated-vm", frozenset({"no_hardware_proof"}))
    assert not vm.attester().simulated


def test_a_key_of_rsa_is_asked_before_one_on_a_curve(vm: Vm):
    for kind in ("ecc", "rsa"):
        vm.certify(kind)
    vtpm = gcp.parse(vm.attester().collect(NONCE).raw).vtpm
    assert vtpm is not None
    assert vtpm.public.key.key_size == 2048


def test_zeros_behind_a_certificate_are_no_part_of_it(vm: Vm):
    vm.certify("ecc", padding=40)
    assert judged(vm, vm.attester().collect(NONCE)).report_data == NONCE


def test_every_bank_that_is_asked_for_is_quoted_and_the_log_leads_to_it(vm: Vm):
    vm.certify("ecc")
    events = boot()
    for event in events:
        digests = ",".join(f"{bank.word}={digest.hex()}" for bank, digest in event.digests(BANKS).items())
        vm.tool("tpm2_pcrextend", f"{event.index}:{digests}")
    log = vm.folder / "log"
    log.write_bytes(write_log(events, BANKS))
    claims = judged(vm, vm.attester(banks=BANKS, event_log=log).collect(NONCE))
    assert (claims.details["pcr_bank"], claims.details["event_log"]) == ("sha384", "replayed")
    log.write_bytes(write_log(boot(application=b"another"), BANKS))
    assert judged(vm, vm.attester(banks=BANKS, event_log=log).collect(NONCE)).details["event_log"] == "none"


def test_the_hardware_answers_the_same_nonce_sev_snp(vm: Vm, tmp_path: Path):
    platform = SnpPlatform.create()
    guest = SimulatedSnp(platform=platform)
    vendor = platform.vendor
    table = certificate_table({"vcek": platform.leaf, "ask": vendor.ask.certificate, "ark": vendor.ark.certificate})
    hardware = SnpConfigfs(EmulatedTsm(made(tmp_path), guest.report, auxblob=table))
    vm.certify("rsa")
    collected = vm.attester(hardware).collect(NONCE)
    claims = judged(vm, collected, platform.root_fingerprint)
    assert claims.inner is not None
    assert (claims.inner.tee, claims.inner.report_data) == (Tee.SNP, NONCE.ljust(64, b"\0"))
    assert "no_hardware_proof" not in claims.flags
    assert set(collected.collateral.items) == {"ak_issuers"}, "the report's certificates stand in the attestation"


def test_the_hardware_answers_the_same_nonce_tdx(vm: Vm, tmp_path: Path):
    platform = DcapPlatform.create()
    guest = SimulatedTdx(platform=platform)
    hardware = TdxConfigfs(EmulatedTsm(made(tmp_path), guest.quote, provider="tdx_guest"),
                           collateral=Collateral(items=platform.collateral(Tee.TDX)))  # fmt: skip
    vm.certify("ecc")
    claims = judged(vm, vm.attester(hardware).collect(NONCE), platform.vendor.root_fingerprint)
    assert claims.inner is not None
    assert (claims.inner.tee, claims.tcb_status) == (Tee.TDX, "UpToDate")


def made(folder: Path) -> Path:
    (folder / "tsm").mkdir()
    return folder / "tsm"


def test_simulated_hardware_makes_a_simulated_vm():
    assert GceVm(hardware=SimulatedSnp()).simulated


@pytest.mark.parametrize("size", [0, 65])
def test_report_data_of_another_size_is_refused_before_anything_is_asked(size):
    with pytest.raises(MisuseError) as error:
        GceVm(tcti="none").collect(bytes(size))
    assert error.value.code == "evidence.report-data-size"


def refused(attester: GceVm) -> SealroomError:
    with pytest.raises(SealroomError) as error:
        attester.collect(NONCE)
    return error.value


def test_a_vtpm_that_was_not_certified_is_told_with_what_else_could_be_asked(vm: Vm):
    error = refused(vm.attester())
    assert isinstance(error, UnavailableError)
    assert error.code == "gcp.no-ak-certificate"
    assert 'tee = "tpm"' in str(error.hint)


def test_a_certificate_without_a_template_is_told(vm: Vm):
    vm.keep(INDEX["rsa"], vm.vendor.issue(ak_form(vm.vendor.ca.key.public_key(), None)))
    assert refused(vm.attester()).code == "tpm.tool"


def test_another_key_than_the_certified_one_is_never_used(vm: Vm):
    other = TEMPLATE["ecc"][:-32] + bytes(31) + b"\1"
    vm.certify("ecc", template=other)
    assert refused(vm.attester()).code == "gcp.other-key"


@pytest.mark.parametrize("template", [b"", bytes(40), TEMPLATE["ecc"] + b"\0", TEMPLATE["rsa"][:30]])
def test_a_template_that_is_none_is_malformed(template: bytes):
    with pytest.raises(MalformedError):
        read_template(template)


@pytest.mark.parametrize(("was", "becomes"), [
    ("00100014", "00060014"), ("00100014", "00100015"), ("0014000b", "00140012"), ("080000000000", "080000000003"),
    ("0001000b", "0008000b"), ("0001000b", "00010012"),
])  # fmt: skip
def test_a_template_of_what_is_not_taken_is_refused(was: str, becomes: str):
    head = HEAD["rsa"].replace(was, becomes, 1)
    assert head != HEAD["rsa"]
    with pytest.raises(MalformedError) as error:
        read_template(bytes.fromhex(head) + sized(bytes(256)))
    assert error.value.code == "gcp.template"


@pytest.mark.parametrize(
    "unique", [(b"",), (bytes(range(256)),), (b"", b""), (bytes(range(32)), b"\7" * 32), (b"a", b"bc")]
)
def test_a_template_makes_the_same_key_through_the_tools_as_when_it_is_sent_as_it_is(
    vm: Vm, unique: tuple[bytes, ...]
):
    """TPM2_CreatePrimary (part 3, 24.1), by hand, against what the tools make of our words for the same template."""
    head = bytes.fromhex(HEAD["rsa" if len(unique) == 1 else "ecc"])
    raw = head + b"".join(sized(one) for one in unique)
    template = read_template(raw)
    (vm.folder / "unique").write_bytes(template.unique)
    vm.tool("tpm2_createprimary", "-C", "e", "-G", template.algorithm, "-g", template.name_alg, "-a",
            f"0x{template.attributes:08x}", "-u", "unique", "-c", "c", "-f", "tss", "-o", "made")  # fmt: skip
    vm.tool("tpm2_flushcontext", "-t")
    assert (vm.folder / "made").read_bytes() == sent(vm, raw)


def sent(vm: Vm, template: bytes) -> bytes:
    """TPM2B_PUBLIC of the key that the emulator makes of it."""
    password = bytes.fromhex("40000009000001") + sized(b"")
    body = bytes.fromhex("4000000b") + len(password).to_bytes(4, "big") + password
    body += sized(sized(b"") * 2) + sized(template) + sized(b"") + bytes(4)
    (vm.folder / "sent").write_bytes(
        bytes.fromhex("8002") + (len(body) + 10).to_bytes(4, "big") + b"\0\0\1\x31" + body
    )
    vm.tool("tpm2_send", "sent", "-o", "answer")
    answer = (vm.folder / "answer").read_bytes()
    vm.tool("tpm2_flushcontext", "-t")
    assert answer[6:10] == bytes(4)
    return answer[18 : 20 + int.from_bytes(answer[18:20], "big")]
