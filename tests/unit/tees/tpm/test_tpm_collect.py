"""Quotes of a real TPM 2.0 implementation (swtpm) through tpm2-tools, and what becomes of tools that fail."""

import hashlib
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealroom.binding import carried
from sealroom.collect import Places, this_machine
from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError
from sealroom.evidence import Claims, Collateral, CollectedEvidence, TrustRoots
from sealroom.tees import tpm as tee
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees._tsm.collect import TsmDirectory
from sealroom.tees.tpm.collect import TpmTools
from sealroom.testing.tpm import sized
from sealroom.testing.tpm_log import BootEvent, boot, write_log

NONCE = carried("tpm", bytes(range(64)))
AT = datetime(2026, 1, 1, tzinfo=UTC)
BANKS = (TpmHash.SHA1, TpmHash.SHA256, TpmHash.SHA384)


def tool(tcti: str, *arguments: str) -> None:
    """Run one of tpm2-tools, and unload what was loaded: an emulator has no resource manager."""
    environment = {"PATH": "/usr/bin:/bin", "TPM2TOOLS_TCTI": tcti}
    subprocess.run(arguments, check=True, env=environment, capture_output=True)


def fresh(tcti: str, **options) -> TpmTools:
    tool(tcti, "tpm2_flushcontext", "-t")
    return TpmTools(tcti=tcti, **({"event_log": Path("/nonexistent")} | options))


def extend(tcti: str, events: tuple[BootEvent, ...]) -> None:
    for event in events:
        digests = ",".join(f"{bank.word}={digest.hex()}" for bank, digest in event.digests(BANKS).items())
        tool(tcti, "tpm2_pcrextend", f"{event.index}:{digests}")


def judged(collected: CollectedEvidence) -> Claims:
    """With the key enrolled."""
    evidence = tee.parse(collected.raw)
    roots = TrustRoots(device_keys=frozenset({hashlib.sha256(evidence.quote.key).digest()}))
    return tee.claims(tee.verify(evidence, roots=roots, collateral=collected.collateral, at=AT))


def test_a_real_tpm_is_asked_and_its_quote_holds(tcti):
    tool(tcti, "tpm2_pcrextend", f"4:sha256={'ab' * 32}")
    claims = judged(fresh(tcti).collect(NONCE))
    assert claims.report_data == NONCE
    assert claims.measurements["pcr04"] == hashlib.sha256(bytes(32) + b"\xab" * 32).digest()
    assert claims.measurements["pcr17"] == b"\xff" * 32
    assert len(claims.measurements) == 24
    assert claims.flags == frozenset()
    assert claims.details["event_log"] == "none"
    assert not claims.simulated


def test_the_derived_key_is_the_same_each_time_so_that_it_can_be_enrolled(tcti):
    keys = {tee.parse(fresh(tcti).collect(bytes((number,)) * 32).raw).quote.key for number in range(2)}
    assert len(keys) == 1


@pytest.mark.parametrize("bank", [TpmHash.SHA1, TpmHash.SHA384])
def test_another_bank_is_quoted_if_asked(tcti, bank):
    claims = judged(fresh(tcti, bank=bank).collect(NONCE))
    assert claims.details["pcr_bank"] == bank.word
    assert ("sha1_bank" in claims.flags) is (bank is TpmHash.SHA1)


@pytest.mark.parametrize("algorithm", ["rsa2048:rsassa-sha256:null", "rsa2048:rsapss-sha256:null",
                                       "ecc256:ecdsa-sha256:null", "ecc384:ecdsa-sha384:null"])  # fmt: skip
@pytest.mark.parametrize("restricted", [True, False])
def test_a_key_that_is_in_the_tpm_signs_if_it_is_named(tcti, tmp_path, algorithm, restricted):
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign" + "|restricted" * restricted
    context, handle = str(tmp_path / "c"), "0x81010042"
    tool(tcti, "tpm2_createprimary", "-C", "o", "-G", algorithm, "-a", attributes, "-c", context)
    tool(tcti, "tpm2_evictcontrol", "-C", "o", "-c", context, handle)
    tool(tcti, "tpm2_flushcontext", "-t")
    claims = judged(fresh(tcti, key=handle).collect(NONCE))
    assert claims.flags == (frozenset() if restricted else {"ak_unrestricted"})
    assert claims.details["scheme"] in algorithm


def test_the_firmware_log_goes_along_where_it_leads_to_the_registers(tcti, tmp_path):
    log = tmp_path / "log"
    log.write_bytes(write_log(boot(), BANKS))
    assert judged(fresh(tcti, event_log=log).collect(NONCE)).details["event_log"] == "none"
    extend(tcti, boot())
    assert judged(fresh(tcti, event_log=log).collect(NONCE)).details["event_log"] == "replayed"
    log.write_bytes(b"no log")
    assert judged(fresh(tcti, event_log=log).collect(NONCE)).details["event_log"] == "none"


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_report_data_of_another_size_is_refused_before_anything_is_asked(size):
    with pytest.raises(MisuseError) as error:
        TpmTools(tcti="none").collect(bytes(size))
    assert error.value.code == "evidence.report-data-size"


# What goes wrong with the tools: programs of our own under their names.


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Put shell programs in the place of tpm2-tools."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def put(**programs: str) -> TpmTools:
        for name, text in programs.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return TpmTools(tcti="nothing", event_log=tmp_path / "none", timeout=0.5)

    return put


def refused(attester: TpmTools) -> SealroomError:
    with pytest.raises(SealroomError) as error:
        attester.collect(NONCE)
    return error.value


def test_without_tools_it_says_what_to_install(tools):
    error = refused(tools())
    assert isinstance(error, UnavailableError)
    assert (error.code, error.hint) == ("tpm.no-tools", "install the package tpm2-tools")


def test_a_tool_that_fails_is_quoted_without_anything_that_a_terminal_obeys(tools):
    error = refused(tools(tpm2_createprimary="printf 'no device\\033[2J' >&2; exit 3"))
    assert isinstance(error, UnavailableError)
    assert error.code == "tpm.tool"
    assert "no device" in error.got
    assert "\x1b" not in error.got


def test_a_tool_that_hangs_is_given_up(tools):
    assert refused(tools(tpm2_createprimary="exec /bin/sleep 60")).code == "tpm.timeout"


def test_a_tool_that_is_no_program_is_told(tools, tmp_path):
    attester = tools(tpm2_createprimary="")
    (tmp_path / "bin" / "tpm2_createprimary").write_bytes(b"\0")
    assert refused(attester).code == "tpm.tool"


def test_a_tool_that_writes_nothing_is_told(tools):
    assert refused(tools(tpm2_createprimary="exit 0", tpm2_quote="exit 0")).code == "tpm.tool"


def test_a_tool_that_writes_something_else_is_malformed(tools):
    write = "for name in quote signature pcrs ak.pub; do echo x > $name; done"
    assert isinstance(refused(tools(tpm2_createprimary=write, tpm2_quote="exit 0")), MalformedError)


def test_registers_that_keep_changing_are_told(tools, tmp_path, tpm):
    message, signature = tpm.quote(NONCE)
    parts = {"quote": message, "signature": signature, "pcrs": b"\1" * 32 * 24, "ak.pub": sized(tpm.public_area())}
    for name, content in parts.items():
        (tmp_path / name).write_bytes(content)
    copy = f"/bin/cp {' '.join(str(tmp_path / name) for name in parts)} ."
    attester = tools(tpm2_createprimary=copy, tpm2_quote=copy)
    assert refused(attester).code == "tpm.pcrs-changed"
    (tmp_path / "pcrs").write_bytes(b"".join(tpm.values()[TpmHash.SHA256].values()))
    assert judged(attester.collect(NONCE)).report_data == NONCE


def test_what_goes_along_is_handed_on(tools, tmp_path):
    items = Collateral(items={"event_log": b"x"})
    assert replace(tools(), collateral=items).collateral is items


def test_a_tpm_is_the_last_that_this_machine_is_asked_for(tmp_path):
    no, device = tmp_path / "no", tmp_path / "tpm"
    places = Places(tsm=TsmDirectory(no), sev_guest=no, tdx_guest=no, gramine=no, nsm=tmp_path / "nsm", tpm=device)
    with pytest.raises(UnavailableError, match="tpm"):
        this_machine(places=places)
    device.touch()
    found = this_machine(places=places)
    assert isinstance(found, TpmTools)
    assert (found.tee.value, found.simulated, found.tcti) == ("tpm", False, f"device:{device}")
    places.nsm.touch()
    assert not isinstance(this_machine(places=places), TpmTools)
