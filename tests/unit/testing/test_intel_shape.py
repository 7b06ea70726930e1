"""Minted Intel evidence is right to the byte: told what real evidence says, it writes what Intel wrote.

Keys and serial numbers are given, so that all that is left to differ is signatures.
"""

import json
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sealroom.der import SEQUENCE, read_whole
from sealroom.evidence import Tee, Validity
from sealroom.tees._dcap.layouts import ENCLAVE_REPORT
from sealroom.tees._dcap.pck import read_pck_identity
from sealroom.tees._dcap.quote import Quote, read_quote
from sealroom.tees._dcap.signed_json import signed_body
from sealroom.testing.dcap import DcapPlatform, QuoteForm
from sealroom.testing.intel import Ca, IntelVendor, Level, ModuleForm, PckForm, QeIdentityForm, TcbInfoForm
from sealroom.testing.intel_certificates import ca_form, crl_form, pck_certificate, root_form, signer_form
from sealroom.testing.pki import CertificateForm, PublicKey, mint_certificate, mint_crl
from sealroom.x509_reader import Certificate, RevocationList, read_certificate, read_certificates, read_crl

REAL = (
    "tdx/v4-b0c06f-uptodate", "tdx/v5-90c06f-uptodate", "sgx/v3-00606a-swhardening", "sgx/v3-00a067-config-and-sw",
)  # fmt: skip


@pytest.fixture(scope="module")
def vendor() -> IntelVendor:
    return IntelVendor.create()


@pytest.fixture(scope="module", params=REAL)
def real(request: pytest.FixtureRequest, shared_vectors: Path) -> Path:
    return shared_vectors / request.param


def quote_of(folder: Path) -> Quote:
    return read_quote((folder / "quote.bin").read_bytes())


def chain_of(folder: Path) -> tuple[Certificate, ...]:
    return read_certificates(quote_of(folder).pck_chain.rstrip(b"\0"))


def key_of(certificate: Certificate) -> PublicKey:
    key: Any = load_der_public_key(certificate.public_key)
    return key


def test_certificates(real, vendor):
    leaf, issuer, root = chain_of(real)
    signer = read_certificates((real / "tcb_info_issuer_chain.pem").read_bytes())[0]
    identity = read_pck_identity(leaf, issuer)
    flags = (identity.dynamic_platform, identity.cached_keys, identity.smt_enabled)
    pck = PckForm(
        ca=Ca(identity.ca), ppid=identity.ppid, components=identity.components, pcesvn=identity.pcesvn,
        cpusvn=identity.cpusvn, pce_id=identity.pce_id, fmspc=identity.fmspc, sgx_type=identity.sgx_type,
        platform_instance_id=identity.platform_instance_id or b"", configuration=tuple(map(bool, flags)),
    )  # fmt: skip
    root_key, issuer_key = key_of(root), key_of(issuer)
    assert_written(root_form(root_key), root, vendor)
    assert_written(ca_form(Ca(identity.ca), issuer_key, issuer=root_key), issuer, vendor)
    assert_written(signer_form(key_of(signer), issuer=root_key), signer, vendor)
    form = pck_certificate(pck, key_of(leaf), issuer=issuer_key)
    by_ca = replace(vendor.root, common_name=issuer.subject.common_name)
    assert_written(replace(form, serial=leaf.serial), leaf, replace(vendor, root=by_ca))


def assert_written(form: CertificateForm, real: Certificate, vendor: IntelVendor) -> None:
    """Every byte that is signed; numbers of authorities follow from their keys."""
    minted = read_certificate(mint_certificate(replace(form, validity=real.validity), vendor.root))
    # certificates of before 2025 name the address of the list in an older version of the service
    assert minted.tbs == real.tbs.replace(b"/sgx/certification/v3/", b"/sgx/certification/v4/")


def test_revocation_lists(real, vendor):
    _, issuer, root = chain_of(real)
    for name, by in (("pck_crl.der", issuer), ("root_ca_crl.der", root)):
        crl = read_crl((real / name).read_bytes())
        form = crl_form(key_of(by), revoked=in_order(crl), window=crl.validity)
        signer = replace(vendor.root, common_name=by.subject.common_name)
        assert read_crl(mint_crl(form, signer)).tbs == crl.tbs


def in_order(crl: RevocationList) -> tuple[int, ...]:
    reader, serials = read_whole(crl.entries, SEQUENCE).reader() if crl.entries else None, []
    while reader is not None and not reader.at_end():
        serials.append(reader.take(SEQUENCE).reader().take().integer())
    return tuple(serials)


def window_of(document: dict[str, Any]) -> Validity:
    return Validity(not_before=datetime.fromisoformat(document["issueDate"]),
                    not_after=datetime.fromisoformat(document["nextUpdate"]))  # fmt: skip


def level_of(level: dict[str, Any]) -> Level:
    tcb = level["tcb"]
    svns = {name: tuple(part["svn"] for part in tcb.get(member, ()))
            for name, member in (("components", "sgxtcbcomponents"), ("tdx", "tdxtcbcomponents"))}  # fmt: skip
    return Level(**svns, pcesvn=tcb.get("pcesvn", 0), isvsvn=tcb.get("isvsvn", 0), status=level["tcbStatus"],
                 date=level["tcbDate"], advisories=tuple(level.get("advisoryIDs", ())))  # fmt: skip


def test_tcb_info(real):
    body, _ = signed_body((real / "tcb_info_response.json").read_bytes(), "tcbInfo", area="x")
    document = json.loads(body)
    modules = tuple(
        ModuleForm(id=module["id"], levels=tuple(map(level_of, module["tcbLevels"])))
        for module in document.get("tdxModuleIdentities", ())
    )
    form = TcbInfoForm(
        id=document["id"], fmspc=bytes.fromhex(document["fmspc"]), window=window_of(document), modules=modules,
        evaluation_number=document["tcbEvaluationDataNumber"], levels=tuple(map(level_of, document["tcbLevels"])),
    )  # fmt: skip
    written = form.body()
    # the service writes either; of late, small letters
    written = written.replace(document["fmspc"].lower().encode(), document["fmspc"].encode())
    if b'"category"' not in body:  # not every platform's components have a name
        written = nameless(written)
    assert written == body


def nameless(body: bytes) -> bytes:
    document = json.loads(body)
    for level in document["tcbLevels"]:
        for part in level["tcb"]["sgxtcbcomponents"]:
            part.pop("category", None)
            part.pop("type", None)
    return json.dumps(document, separators=(",", ":")).encode()


def test_qe_identity(real):
    body, _ = signed_body((real / "qe_identity_response.json").read_bytes(), "enclaveIdentity", area="x")
    document = json.loads(body)
    form = QeIdentityForm(
        id=document["id"], window=window_of(document), evaluation_number=document["tcbEvaluationDataNumber"],
        levels=tuple(map(level_of, document["tcbLevels"])),
    )  # fmt: skip
    assert form.body() == body


def test_quote(real, vendor):
    """All but the key, what the QE report says of the key, and three signatures."""
    quote = quote_of(real)
    raw = (real / "quote.bin").read_bytes()[: quote.size]
    theirs = ENCLAVE_REPORT.parse(quote.qe_report)
    form = QuoteForm(
        version=quote.version, body_type=quote.body_type, body=quote.body, qe_id=quote.user_data[:16],
        certification_data=quote.pck_chain,
        qe={name: value for name, value in theirs.items() if name in {"mr_enclave", "cpu_svn", "isv_svn"}},
    )  # fmt: skip
    platform = DcapPlatform.create(vendor, pcesvn=quote.pce_svn)
    minted = platform.quote(form)
    ours = read_quote(minted)
    for secret in ("signature", "attestation_key", "qe_report_signature"):
        minted = minted.replace(getattr(ours, secret), getattr(quote, secret))
    minted = minted.replace(ours.qe_report[320:352], quote.qe_report[320:352])
    assert minted == raw


def test_the_end_of_what_is_sent(real, vendor):
    """A NUL after the chain in a quote, a line's end after one in a header's place."""
    platform = DcapPlatform.create(vendor)
    tee = Tee.SGX if real.parent.name == "sgx" else Tee.TDX
    assert quote_of(real).pck_chain[-2:] == platform.chain()[-2:] == b"\n\0"
    for name, minted in platform.collateral(tee).items():
        suffix = {"response": "json", "chain": "pem", "crl": "der"}[name.rpartition("_")[2]]
        recorded = (real / f"{name}.{suffix}").read_bytes()
        assert minted[-1:] == recorded[-1:] or suffix == "der"
        assert minted[:12] == recorded[:12] or suffix == "der"


def test_minting_is_quick(vendor):
    started = time.perf_counter()
    for _ in range(20):
        DcapPlatform.create(vendor).leaf  # noqa: B018 - minted when it is first asked for
    assert (time.perf_counter() - started) / 20 < 0.01
