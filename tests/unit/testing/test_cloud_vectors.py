"""Vectors of TPMs and of Google in every shape that their files may have, run by the runner that takes anybody's."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.evidence import Claims, Tee
from sealroom.pem import as_pem
from sealroom.tees._tpm.attest import TpmHash, read_signature
from sealroom.testing import der
from sealroom.testing.conformance import CaseResult, run_folder
from sealroom.testing.gcp import GcpVendor
from sealroom.testing.gcp_cases import NONCE, GcpBench
from sealroom.testing.gcp_space import container
from sealroom.testing.gcp_space_cases import SpaceBench
from sealroom.testing.outcome import UnsupportedCaseError
from sealroom.testing.tpm import AK_ATTRIBUTES, Selection, SoftTpm, sized
from sealroom.testing.tpm_log import boot, logged_boot, write_log
from sealroom.testing.vector_asked import require_as_asked

AT = "2026-06-01T00:00:00+00:00"
BANKS = (TpmHash.SHA1, TpmHash.SHA256, TpmHash.SHA384, TpmHash.SHA512)
TPMS = {kind: SoftTpm.create(kind, banks=BANKS) for kind in ("rsassa", "rsapss", "ecdsa")}
SPACE = SpaceBench.create()
GUESTS = {tee: GcpBench.create(tee) for tee in (None, Tee.SNP, Tee.TDX)}


def run(
    folder: Path, kind: str, evidence: bytes, files: Mapping[str, bytes], *, verdict: str = "valid",
    trust_root: bytes | None = None, expect: Mapping[str, Any] | None = None, **collateral: Any,
) -> CaseResult:  # fmt: skip
    """Write a vector and run it; a member of ``collateral`` that names no file stands there as it is."""
    folder.mkdir(parents=True)
    document: dict[str, Any] = {"kind": kind, "evidence": "evidence", "verify_at": AT,
                                "expect": {"verdict": verdict, **(expect or {})}}  # fmt: skip
    document["collateral"] = dict(collateral) | {name: name for name in files if name not in collateral}
    if trust_root is not None:
        files = {**files, "root.pem": trust_root}
        document["trust_root"] = "root.pem"
    for name, content in {"evidence": evidence, **files}.items():
        (folder / name).write_bytes(content)
    document["collateral"].pop("root.pem", None)
    (folder / "vector.json").write_text(json.dumps(document))
    (result,) = run_folder(folder)
    return result


# TPM quotes


def tpm_files(tpm: SoftTpm, selection: Selection | None = None, pcrs: Any = None) -> tuple[bytes, dict[str, bytes]]:
    message, signature = tpm.quote(NONCE, selection)
    values = {bank.word: [value.hex() for value in found.values()] for bank, found in tpm.values(selection).items()}
    listed = [value for bank in values.values() for value in bank] if pcrs is None else pcrs
    key = tpm.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return message, {"signature": signature, "ak_public": key, "pcrs": json.dumps(listed).encode()}


def verdict_of(path: Path, tpm: SoftTpm, *, selection: Selection | None = None, pcrs: Any = None,
               changes: Mapping[str, bytes] | None = None, expect: Mapping[str, Any] | None = None,
               **collateral: Any) -> tuple[str, str | None]:  # fmt: skip
    message, files = tpm_files(tpm, selection, pcrs)
    result = run(path, "tpm", message, {**files, **(changes or {})}, expect=expect,
                 **{"expected_nonce": NONCE.hex(), **collateral})  # fmt: skip
    assert result.passed == (result.verdict == "valid"), result
    return result.verdict, result.code


@pytest.mark.parametrize("kind", TPMS)
@pytest.mark.parametrize("bank", BANKS)
def test_a_quote_of_every_scheme_and_bank(tmp_path: Path, kind: str, bank: TpmHash) -> None:
    flags = ["sha1_bank"] if bank is TpmHash.SHA1 else []
    fields = {"scheme": kind, "hash": 11, "nonce": NONCE.hex(), "selection": [[int(bank), [0, 7, 14, 23]]]}
    expect = {"fields": fields, "policy_flags": flags}
    assert verdict_of(tmp_path / "v", TPMS[kind], selection={bank: (0, 7, 14, 23)}, pcr_bank=bank.word,
                      expect=expect) == ("valid", None)  # fmt: skip
    assert verdict_of(tmp_path / "w", TPMS[kind], selection={bank: (0, 7)}, pcr_bank="sm3")[1] == "tpm.pcr-bank"


@pytest.mark.parametrize("order", [(TpmHash.SHA1, TpmHash.SHA256), (TpmHash.SHA512, TpmHash.SHA256, TpmHash.SHA1)])
def test_a_quote_of_several_banks_in_every_spelling_of_their_registers(
    tmp_path: Path, order: tuple[TpmHash, ...]
) -> None:
    tpm, selection = TPMS["ecdsa"], dict.fromkeys(order, (0, 4, 23))
    values = tpm.values(selection)
    by_name = {
        bank.word: {str(index): value.hex() for index, value in found.items()} for bank, found in values.items()
    }
    named = {
        bank.word: {f"PCR{index}": value.hex() for index, value in found.items()} for bank, found in values.items()
    }
    in_lists = {bank.word: [value.hex() for value in found.values()] for bank, found in values.items()}
    all_of_them = {bank.word: [value.hex() for value in tpm.pcrs[bank].values()] for bank in order}
    for number, pcrs in enumerate((None, by_name, named, in_lists, all_of_them)):
        assert verdict_of(tmp_path / str(number), tpm, selection=selection, pcrs=pcrs) == ("valid", None), pcrs
    lacking = {word: found for word, found in in_lists.items() if word != "sha1"}
    assert verdict_of(tmp_path / "lacking", tpm, selection=selection, pcrs=lacking)[1] == "tpm.pcr-missing"
    turned = list(reversed([value for bank in in_lists.values() for value in bank]))
    assert verdict_of(tmp_path / "turned", tpm, selection=selection, pcrs=turned)[0] == "invalid"
    short = [value for bank in in_lists.values() for value in bank][:-1]
    assert verdict_of(tmp_path / "short", tpm, selection=selection, pcrs=short)[1] == "tpm.pcrs"


@pytest.mark.parametrize("pcrs", ["text", {"x": "00"}, {"100": "00"}, {"sha256": 5}, {"sha256": {"0": 5}}, 5])
def test_registers_that_are_none_are_refused_and_break_nothing(tmp_path: Path, pcrs: object) -> None:
    assert verdict_of(tmp_path / "v", TPMS["ecdsa"], pcrs=pcrs)[0] == "invalid"


def test_a_key_in_every_form(tmp_path: Path) -> None:
    for kind, tpm in TPMS.items():
        area = tpm.public_area()
        for number, key in enumerate((tpm.spki, area, sized(area))):
            assert verdict_of(tmp_path / f"{kind}{number}", tpm, changes={"ak_public": key}) == ("valid", None)
        certificate = as_pem(GUESTS[None].guest.certificate)
        assert (
            verdict_of(tmp_path / f"{kind}c", GUESTS[None].guest.tpm, changes={"ak_public": certificate})[0]
            == "valid"
        )
    weak = SoftTpm(key=TPMS["ecdsa"].key, scheme=TPMS["ecdsa"].scheme, attributes=AK_ATTRIBUTES & ~(1 << 16))
    found = verdict_of(tmp_path / "weak", weak, changes={"ak_public": weak.public_area()})
    assert found == ("invalid", "tpm.key-attributes")


def test_a_signature_without_its_scheme(tmp_path: Path) -> None:
    for kind, tpm in TPMS.items():
        message, files = tpm_files(tpm)
        raw = tpm.sign(message)
        bare = raw[6:]
        if kind == "ecdsa":
            numbers = read_signature(raw)
            bare = encode_dss_signature(numbers.r, numbers.s)
        remark = "signature (raw, RSASSA-PSS)" if kind == "rsapss" else "signature (raw)"
        result = run(tmp_path / kind, "tpm", message, {**files, "signature": bare}, signature=remark)
        assert (result.verdict, result.passed) == ("valid", True)


def test_a_log_beside_a_quote_leads_to_its_registers_or_is_refused(tmp_path: Path) -> None:
    tpm = SoftTpm.create("ecdsa", banks=BANKS)
    log = logged_boot(tpm, boot())
    assert verdict_of(tmp_path / "a", tpm, changes={"event_log": log}) == ("valid", None)
    other = write_log(boot(application=b"other"), BANKS)
    assert verdict_of(tmp_path / "b", tpm, changes={"event_log": other})[0] == "invalid"


def test_another_nonce_is_refused_to_its_last_byte(tmp_path: Path) -> None:
    """Fault gpu-cloud 16."""
    for number, nonce in enumerate((NONCE[:-1], NONCE + b"\0", b"", NONCE.ljust(64, b"\0"))):
        assert verdict_of(tmp_path / str(number), TPMS["ecdsa"], expected_nonce=nonce.hex())[1] == "tpm.nonce"


# Google


@pytest.mark.parametrize("tee", GUESTS)
@pytest.mark.parametrize("named", [True, False])
def test_an_attestation_of_every_hardware(tmp_path: Path, tee: Tee | None, named: bool) -> None:
    bench = GUESTS[tee]
    case, vendor = bench.case("x"), bench.guest.machine.vendor
    hardware: Any = bench.guest.machine.platform
    roots = [vendor.root.certificate]
    if hardware is not None:
        roots.append(hardware.vendor.ark.certificate if tee is Tee.SNP else hardware.vendor.root.certificate)
    files = {name: content for name, content in case.collateral.items.items() if name != "ak_issuers"}
    files |= {"intermediate": vendor.ca.certificate, "root": vendor.root.certificate} if named else {}
    raw = case.raw if named else bench.case("x", intermediates=(vendor.ca.certificate, vendor.root.certificate)).raw
    flags = [] if tee else ["no_hardware_proof"]
    expect: dict[str, Any] = {"policy_flags": flags} | ({"tcb_status": "UpToDate"} if tee is Tee.TDX else {})
    result = run(tmp_path / "v", "gcp", raw, files, trust_root=as_pem(*roots), expect=expect,
                 expected_nonce=NONCE.hex(), proto="a remark")  # fmt: skip
    assert (result.verdict, result.passed) == ("valid", True), result
    result = run(tmp_path / "w", "gcp", raw, files, trust_root=as_pem(*roots[1:] or [vendor.ca.certificate]),
                 verdict="invalid", expected_nonce=NONCE.hex())  # fmt: skip
    assert (result.code, result.passed) == ("x509.untrusted-root", True)


def token(path: Path, raw: bytes, policy: Mapping[str, Any], *, verdict: str = "valid", **options: Any) -> CaseResult:
    files = {} if options.pop("certified", False) else {"jwks": SPACE.space.jwks}
    return run(path, "gcp", raw, files, policy=policy, verdict=verdict, **options)


HERE, IMAGE = "https://room.example", "sha256:" + "5d" * 32
ASKED = [
    ({}, "valid"), ({"iss": "https://confidentialcomputing.googleapis.com"}, "valid"), ({"iss": "x"}, "invalid"),
    ({"aud": HERE}, "valid"), ({"aud": "other"}, "invalid"), ({"aud": ["a", HERE]}, "valid"),
    ({"eat_nonce": NONCE.hex()}, "valid"), ({"eat_nonce": [NONCE.hex()]}, "valid"),
    ({"eat_nonce": NONCE.hex()[:-2]}, "invalid"), ({"eat_nonce": [NONCE.hex(), "other"]}, "invalid"),
    ({"eat_nonce": NONCE.hex().upper()}, "invalid"), ({"image_digest": IMAGE}, "valid"),
    ({"image_digest": "sha256:" + "5e" * 32}, "invalid"), ({"hwmodel": "GCP_AMD_SEV"}, "valid"),
    ({"hwmodel": ["GCP_INTEL_TDX", "GCP_AMD_SEV"]}, "valid"), ({"hwmodel": "GCP_INTEL_TDX"}, "invalid"),
    ({"secboot": True}, "valid"), ({"secboot": 1}, "invalid"), ({"support_attributes": "STABLE"}, "valid"),
    ({"support_attributes": ["STABLE"]}, "valid"), ({"support_attributes": ["EXPERIMENTAL"]}, "invalid"),
    ({"project_id": "simulated"}, "valid"), ({"zone": "mars"}, "invalid"), ({"dbgstat": "enabled"}, "invalid"),
    ({"instance_id": 575814989817163620}, "invalid"),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "verdict"), ASKED)
def test_a_token_is_what_was_asked_for_to_the_type(tmp_path: Path, policy: dict[str, Any], verdict: str) -> None:
    result = token(tmp_path / "v", SPACE.token(), policy, verdict=verdict)
    assert (result.verdict, result.passed) == (verdict, True), result


def test_what_nobody_knows_is_asked_for_in_vain(tmp_path: Path) -> None:
    result = token(tmp_path / "v", SPACE.token(), {"phase_of_moon": "full"})
    assert (result.verdict, result.passed, result.supported) == ("unsupported", False, False)
    with pytest.raises(UnsupportedCaseError):
        require_as_asked([], {}, _claims())


def _claims() -> Claims:
    return None  # type: ignore[return-value]  # not reached: the policy is no object


def test_debug_passes_where_it_is_allowed_and_overrides_where_they_are_not_forbidden(tmp_path: Path) -> None:
    debug = SPACE.token(dbgstat="enabled", submods=SPACE.submods(confidential_space={"support_attributes": []}))
    assert token(tmp_path / "a", debug, {}, verdict="invalid").passed
    assert token(
        tmp_path / "b", debug, {"allow_debug": True}, expect={"policy_flags": ["debug", "not_stable"]}
    ).passed
    changed = SPACE.token(submods=SPACE.submods(container=container(env_override={"A": "1"})))
    assert token(tmp_path / "c", changed, {}, expect={"policy_flags": ["env_or_args_set"]}).passed
    assert token(tmp_path / "d", changed, {"allow_env_override": False}, verdict="invalid").passed


def test_several_nonces_and_audiences_are_searched(tmp_path: Path) -> None:
    raw = SPACE.token(nonce=["a", NONCE.hex()], audience=["me", "you"])
    assert token(tmp_path / "a", raw, {"eat_nonce": NONCE.hex(), "aud": "you"}).passed
    assert token(tmp_path / "b", raw, {"eat_nonce": "b"}, verdict="invalid").passed


def test_a_td_s_status_is_compared(tmp_path: Path) -> None:
    tdx = {"gcp_attester_tcb_status": "OutOfDate", "gcp_attester_tcb_date": "2024-03-13T00:00:00Z"}
    raw = SPACE.token(hwmodel="GCP_INTEL_TDX", tdx=tdx)
    fields = {"hwmodel": "GCP_INTEL_TDX", "tdx": tdx, "dbgstat": "disabled-since-boot", "image_digest": IMAGE}
    expect = {"tcb_status": "OutOfDate", "fields": fields}
    assert token(tmp_path / "a", raw, {}, expect=expect).passed
    assert not token(tmp_path / "b", raw, {}, expect={"tcb_status": "UpToDate"}).passed


def test_a_token_that_brings_certificates_needs_its_root_and_no_key_set(tmp_path: Path) -> None:
    raw, root = SPACE.certified("x").raw, as_pem(SPACE.above.root.certificate)
    assert token(tmp_path / "a", raw, {"eat_nonce": NONCE.hex()}, certified=True, trust_root=root).passed
    assert token(tmp_path / "b", raw, {}, certified=True, verdict="invalid").code == "x509.untrusted-root"
    key = SPACE.space.signer.key.public_key()
    leaf, ca, _ = SPACE.above.chain(key)
    rootless = SPACE.certified("x", chain=(leaf, ca)).raw
    result = run(tmp_path / "c", "gcp", rootless, {"root": root}, trust_root=root)
    assert (result.verdict, result.passed) == ("valid", True)


def usage(bit: int, *more: tuple[str, bool, bytes]) -> bytes:
    """A certificate of a vTPM's key whose use is ``bit`` (RFC 5280 section 4.2.1.3)."""
    machine = GUESTS[None].guest.machine
    form = machine.form()
    changed = tuple((oid, critical, der.named_bits(bit) if oid == "2.5.29.15" else value)
                    for oid, critical, value in form.extensions)  # fmt: skip
    return machine.vendor.issue(replace(form, extensions=(*changed, *more)))


@pytest.mark.parametrize("bit", [0, 2, 4])
def test_a_certificate_alone_is_google_s_or_not_whether_its_key_signs_or_encrypts(tmp_path: Path, bit: int) -> None:
    vendor, stranger = GUESTS[None].guest.machine.vendor, GcpVendor.create()
    above = {"intermediate": vendor.ca.certificate, "root": vendor.root.certificate}
    root, instance = as_pem(vendor.root.certificate), GUESTS[None].guest.machine.instance.encode()
    expect = {"fields": {"gce_instance_extension_der": instance.hex()}}
    assert run(tmp_path / "a", "gcp", as_pem(usage(bit)), above, trust_root=root, expect=expect).passed
    wrong: dict[str, tuple[bytes, dict[str, bytes], str]] = {
        "root": (usage(bit), {**above, "root": stranger.root.certificate}, "x509.untrusted-root"),
        "names": (usage(bit), {"root": vendor.root.certificate, "intermediate": vendor.root.certificate},
                  "x509.issuer-name"),
        "signature": (usage(bit)[:-1] + bytes((usage(bit)[-1] ^ 1,)), above, "x509.signature"),
        "critical": (usage(bit, ("1.2.3", True, b"")), above, "x509.critical-extension"),
    }  # fmt: skip
    for name, (raw, files, code) in wrong.items():
        result = run(tmp_path / name, "gcp", as_pem(raw), files, trust_root=root, verdict="invalid")
        assert result.verdict == "invalid"
        assert result.code in {code, "x509.der", "x509.signature"}
