"""Vectors of Azure in every shape that their files may have, minted under a root of their own."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sealroom.evidence import Tee
from sealroom.pem import as_pem
from sealroom.testing.azure_cases import NONCE, AzureBench
from sealroom.testing.azure_maa import certified
from sealroom.testing.azure_maa_cases import USER_DATA, MaaBench
from sealroom.testing.conformance import CaseResult, run_folder
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.snp import flip_bit

BENCHES = {tee: AzureBench.create(tee) for tee in (Tee.SNP, Tee.TDX)}
TOKENS = MaaBench()
both = pytest.mark.parametrize("tee", [Tee.SNP, Tee.TDX])


def files_of(bench: AzureBench) -> dict[str, bytes]:
    """The parts of honest evidence, and what goes along, by the names of their files."""
    form, platform = bench.form(), bench.guest.machine.platform
    files = {"hcl.bin": form.hcl_report, "quote.msg": form.message, "quote.sig": form.signature,
             "pcrs.json": json.dumps([value.hex() for value in form.pcrs]).encode()}  # fmt: skip
    if isinstance(platform, DcapPlatform):
        files |= {"td_quote.bin": form.td_quote or b"", **platform.collateral(Tee.TDX)}
        return files | {"root.pem": as_pem(platform.vendor.root.certificate)}
    vendor = platform.vendor
    return files | {"vcek.pem": as_pem(platform.leaf), "ask.pem": as_pem(vendor.ask.certificate),
                    **dict.fromkeys(("ark.pem", "root.pem"), as_pem(vendor.ark.certificate))}  # fmt: skip


def collateral_of(bench: AzureBench) -> dict[str, Any]:
    named: dict[str, Any] = {"quote_message": "quote.msg", "quote_signature": "quote.sig", "pcrs_sha256": "pcrs.json",
                             "expected_nonce": NONCE.hex()}  # fmt: skip
    if bench.guest.inner is Tee.SNP:
        return named | {"vcek": "vcek.pem", "ask": "ask.pem", "ark": "ark.pem"}
    names = bench.guest.machine.platform.collateral(Tee.TDX)
    return named | {"td_quote": "td_quote.bin", **{name: name for name in names}}


class Written:
    """Writes one vector and runs it."""

    def __init__(self, folder: Path, bench: AzureBench) -> None:
        self.folder, self.bench = folder, bench
        self.files, self.collateral = files_of(bench), collateral_of(bench)
        self.document: dict[str, Any] = {"kind": "azure", "evidence": "hcl.bin", "trust_root": "root.pem",
                                         "verify_at": "2026-06-01T00:00:00Z"}  # fmt: skip

    def without(self, *names: str) -> "Written":
        for name in names:
            self.collateral.pop(name, None)
        return self

    def run(self, verdict: str = "valid", **expect: Any) -> CaseResult:
        for name, content in self.files.items():
            (self.folder / name).write_bytes(content)
        document = {**self.document, "collateral": self.collateral, "expect": {"verdict": verdict, **expect}}
        (self.folder / "vector.json").write_text(json.dumps(document))
        (result,) = run_folder(self.folder)
        return result


@pytest.fixture
def vector(tmp_path):
    return lambda tee: Written(tmp_path, BENCHES[tee])


@both
def test_parts_in_files_of_their_own(vector, tee):
    fields = {"quote_nonce": NONCE.hex(), "pcr_bank": "sha256", "quote_sig_scheme": "RSASSA-PKCS1-v1_5/SHA-256",
              "report_type": {Tee.SNP: 2, Tee.TDX: 4}[tee], "hcl_version": 1,
              "amd_product_line": {Tee.SNP: "genoa", Tee.TDX: None}[tee]}  # fmt: skip
    result = vector(tee).run(fields=fields, tcb_status={Tee.SNP: None, Tee.TDX: "UpToDate"}[tee])
    assert (result.passed, result.verdict, result.fields_differ) == (True, "valid", ())


@both
def test_all_of_it_in_one_file(vector, tee):
    written = vector(tee).without("quote_message", "quote_signature", "pcrs_sha256", "td_quote", "vcek")
    written.files["evidence.json"] = BENCHES[tee].form().encode()
    written.document["evidence"] = "evidence.json"
    assert written.run(fields={"quote_nonce": NONCE.hex()}).passed


@both
def test_a_report_of_the_paravisor_without_a_quote(vector, tee):
    parts = ("quote_message", "quote_signature", "pcrs_sha256")
    written = vector(tee).without(*parts, "expected_nonce")
    assert written.run(fields={"hcl_version": 1}).passed
    hcl = BENCHES[tee].guest.hcl
    written.files["hcl.bin"] = dataclasses.replace(hcl, runtime=hcl.runtime + b" ").encode()
    assert written.run("invalid").code == "azure-vtpm.runtime-data"


@both
def test_a_nonce_that_nothing_answers_is_invalid(vector, tee):
    written = vector(tee).without("quote_message", "quote_signature", "pcrs_sha256")
    assert written.run("invalid").code == "tpm.nonce"


@both
@pytest.mark.parametrize("tail", [b"\0", bytes(2)])
def test_a_nonce_with_zeros_behind_it_is_another(vector, tee, tail):
    """Fault gpu-cloud 16."""
    written = vector(tee)
    written.collateral["expected_nonce"] = (NONCE + tail).hex()
    assert written.run("invalid").code == "tpm.nonce"


def test_other_spellings_of_the_same(vector):
    written, form = vector(Tee.SNP), BENCHES[Tee.SNP].form()
    written.files["pcrs.json"] = json.dumps(
        {str(index): value.hex() for index, value in enumerate(form.pcrs)}
    ).encode()
    written.files["quote.msg"], written.files["quote.sig"] = BENCHES[Tee.SNP].guest.tpm.quote(NONCE)
    platform = BENCHES[Tee.SNP].guest.machine.platform
    written.files |= {
        "leaf.der": platform.leaf,
        "chain.pem": platform.vendor.chain(),
        "crl.der": platform.vendor.crl(),
    }
    written.without("vcek", "ask", "ark").collateral |= {"leaf": "leaf.der", "chain": "chain.pem", "crl": "crl.der"}
    assert written.run().passed


def test_a_td_without_intels_collateral_is_authentic_and_of_unknown_standing(vector):
    written = vector(Tee.TDX)
    names = BENCHES[Tee.TDX].guest.machine.platform.collateral(Tee.TDX)
    assert written.without(*names).run(policy_flags=["tcb_status_unknown"]).passed
    quote = written.files["td_quote.bin"]
    written.files["td_quote.bin"] = flip_bit(quote, 8 * (48 + 136))
    assert written.run("invalid").verdict == "invalid"
    written.files["td_quote.bin"] = BENCHES[Tee.TDX].other.form(NONCE).td_quote
    assert written.run("invalid").code == "azure-vtpm.runtime-data"
    assert written.without("td_quote").run("invalid").code == "azure-vtpm.no-td-quote"


@both
def test_evidence_without_what_proves_it_is_invalid(vector, tee):
    written = vector(tee)
    lacking = written.without("vcek") if tee is Tee.SNP else written.without("tcb_info_response")
    assert lacking.run("invalid").code == "collateral.missing"


@both
@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"secure-boot": True, "debug": False, "pcr_bank": "sha256"}, None),
        ({"secure-boot": False}, "azure-vtpm.asked"),
        ({"pcr04": "00" * 32}, None),
        ({"pcr04": "01" * 32}, "azure-vtpm.asked"),
    ],
)
def test_what_the_relying_party_asks_for_is_compared(vector, tee, asked, code):
    written = vector(tee)
    written.collateral["policy"] = asked
    assert written.run("valid" if code is None else "invalid").code == code


@both
def test_what_is_not_understood_is_not_supported(vector, tee):
    written = vector(tee)
    written.collateral["policy"] = {"weather": "fine"}
    assert not written.run().supported
    written.collateral = {**collateral_of(BENCHES[tee]), "riddle": "hcl.bin"}
    assert not written.run().supported


def token_vector(folder: Path, token: bytes, jwks: bytes, policy: dict[str, Any]) -> Any:
    (folder / "token.jwt").write_bytes(token)
    (folder / "jwks.json").write_bytes(jwks)

    def run(verdict: str = "valid", **expect: Any) -> CaseResult:
        document = {"kind": "azure", "evidence": "token.jwt", "collateral": {"jwks": "jwks.json", "policy": policy},
                    "verify_at": datetime(2026, 6, 1, tzinfo=UTC).isoformat(),
                    "expect": {"verdict": verdict, **expect}}  # fmt: skip
        (folder / "vector.json").write_text(json.dumps(document))
        (result,) = run_folder(folder)
        return result

    return run


@both
@pytest.mark.parametrize("jwks", [TOKENS.maa.jwks, certified(TOKENS.maa.signer)], ids=["numbers", "certificates"])
def test_tokens_with_keys_in_either_form(tmp_path, tee, jwks):
    run = token_vector(tmp_path, TOKENS.token(tee), jwks, {"iss": TOKENS.maa.issuer})
    kind = {Tee.SNP: "sevsnpvm", Tee.TDX: "tdxvm"}[tee]
    assert run(fields={"type": kind, "runtime_present": True, "iss": TOKENS.maa.issuer}).passed


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({}, None),
        ({"iss": "https://other.weu.attest.azure.net"}, "azure-vtpm.issuer"),
        ({"require_runtime_user_data": USER_DATA.hex()}, None),
        ({"require_runtime_user_data": USER_DATA.hex().upper()}, None),
        ({"require_runtime_user_data": True}, None),
        ({"require_runtime_user_data": False}, None),
        ({"require_runtime_user_data": USER_DATA[:-1].hex()}, "azure-vtpm.user-data"),
        ({"require_runtime_user_data": bytes(64).hex()}, "azure-vtpm.user-data"),
        ({"type": "tdxvm", "compliance": "azure-compliant-cvm", "dbgstat": "disabled"}, None),
        ({"type": "sevsnpvm"}, "azure-vtpm.claim"),
        ({"x-ms-sevsnpvm-vmpl": 0}, "azure-vtpm.claim"),
    ],
)
def test_what_a_tokens_relying_party_asks_for_is_compared(tmp_path, policy, code):
    run = token_vector(tmp_path, TOKENS.token(), TOKENS.maa.jwks, policy)
    assert run("valid" if code is None else "invalid").code == code


def test_a_token_about_hardware_inside_an_azurevm_states_what_stands_there(tmp_path):
    token = TOKENS.maa.wrapped(Tee.TDX, datetime(2026, 6, 1, tzinfo=UTC))
    fields = {"type": "azurevm", "tdx_mrtd": "22" * 48, "compliance": "azure-compliant-cvm", "runtime_present": False}
    assert token_vector(tmp_path, token, TOKENS.maa.jwks, {})(fields=fields).passed


def test_a_token_whose_relying_party_trusts_no_key_is_not_supported(tmp_path):
    run = token_vector(tmp_path, TOKENS.token(), TOKENS.maa.jwks, {"weather": "fine"})
    assert not run().supported
