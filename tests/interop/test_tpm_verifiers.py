"""Minted evidence before other people's verifiers in Go: vTPM attestations and quotes before go-tpm-tools v0.4.9,
signed CBOR of Nitro and Arm before go-cose v1.3.0. They accept what is authentic and refuse the faults, but for those
listed.
"""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from go_program import Answers, Ask, asker

from sealroom.cbor import Tagged, encode_cbor, read_cbor
from sealroom.errors import SealroomError
from sealroom.pem import read_pem
from sealroom.tees import gcp, nitro
from sealroom.tees._cose.key import read_key, spki_of
from sealroom.tees._tpm.attest import read_attest
from sealroom.tees._tpm.public import read_public
from sealroom.tees.cca.layout import parse as parse_cca
from sealroom.testing import cca_cases, nitro_cases
from sealroom.testing.cca_key_faults import faults as cca_faults
from sealroom.testing.gcp_cases import AT, NONCE, GcpBench, GcpCase
from sealroom.testing.gcp_cases import authentic as gcp_authentic
from sealroom.testing.gcp_faults import faults as gcp_faults
from sealroom.testing.nitro_faults import signature_faults
from sealroom.testing.psa_cases import authentic_devices
from sealroom.testing.tpm_cases import TpmBench, TpmCase
from sealroom.testing.tpm_cases import authentic as tpm_authentic
from sealroom.testing.tpm_faults import faults as tpm_faults
from sealroom.x509_reader import read_certificate

LARGEST = 1 << 20

IN_THE_MESSAGE = {
    "a bank twice", "a field of eight bytes", "a number where the log should be", "a second certificate",
    "a second event log", "a second key", "field 10, which nobody knows", "field 15, which nobody knows",
    "field 1000, which nobody knows",
}  # fmt: skip
"""Protocol buffers as their library reads them: what is unknown is passed over, of two the last counts."""
OF_THE_KEY = {
    "a byte behind the key", "a key in a sized buffer", "a key that does not sign", "a key that is for encryption",
    "a key that is for storage", "a key that is neither RSA nor on a curve", "a key that may leave its TPM",
    "a key that may leave its parent", "a key that signs anything", "a key that was not made in it",
    "another VM's key", "no key",
}  # fmt: skip
"""Where a certificate came, the key's public area is not looked at."""
OF_CERTIFICATES = {
    "a CA as the key", "a VM with a number below zero", "a certificate by the root, with the CA between",
    "a project with a number below zero", "a server's besides", "a server's certificate",
    "an instance that is none", "issuers the other way round", "issuers without the root",
    "something behind the instance",
}  # fmt: skip
"""Any usage will do, and any path that Go finds. What the instance is, `VerifyAttestation` alone asks."""
IN_QUOTES = {"a byte that moved to the register before", "a clock that is neither safe nor unsafe"}
"""A register's size is not compared with its bank's: only that all of them one behind the other are right."""
IN_BARE_QUOTES = IN_QUOTES | {"a bitmap of five bytes", "a byte behind a signature", "a byte behind it"}


@pytest.fixture(scope="module")
def ask() -> Ask:
    """Put questions to the program of the folder ``go-tpm``."""
    return asker("go-tpm", "tpm-verifiers")


def about_attestation(case: GcpCase, root: bytes, kind: str = "quotes") -> dict[str, Any] | None:
    """None: the issuers are no certificates, the time is another, or the fault is in the log."""
    try:
        issuers = read_pem(case.collateral.require("ak_issuers"), "CERTIFICATE")
    except SealroomError:
        return None
    about_logs = (case.code or "").startswith(("eventlog.", "tpm.event-log"))
    if case.at != AT or len(case.raw) > LARGEST or (about_logs and kind == "quotes"):
        return None
    return {"kind": kind, "evidence": case.raw.hex(), "nonce": nonce_of(case).hex(), "root": root.hex(),
            "issuers": [one.hex() for one in issuers if one != root]}  # fmt: skip


def nonce_of(case: GcpCase) -> bytes:
    vtpm = gcp.parse(case.raw).vtpm if case.code is None else None
    return NONCE if vtpm is None else vtpm.quotes[0].attest.extra_data


def about_quote(case: TpmCase) -> dict[str, Any] | None:
    """None: the fault is not in the quote, or it is of several banks, for which this verifier has no words."""
    try:
        said = json.loads(case.raw)
        quoted, key = said["tpm_quote"], base64.b64decode(said["ak_public"], validate=True)
        message, signature = (base64.b64decode(quoted[name], validate=True) for name in ("message", "signature"))
        pcrs = [bytes.fromhex(value) for value in quoted["pcrs"]]
        spki = (
            key if key[:1] == b"\x30" else _spki(key[2:] if len(key) == 2 + int.from_bytes(key[:2], "big") else key)
        )
    except (ValueError, KeyError, TypeError, SealroomError):
        return None
    nonce, bank, indices = _asked(message, len(pcrs))
    if len(indices) != len(pcrs) or (case.code or "tpm.").startswith(_ELSEWHERE):
        return None
    return {"kind": "quote", "message": message.hex(), "signature": signature.hex(), "bank": bank,
            "pcrs": {str(index): value.hex() for index, value in zip(indices, pcrs, strict=True)},
            "key": spki.hex(), "nonce": (nonce if case.code is None else NONCE).hex()}  # fmt: skip


_ELSEWHERE = ("tpm.unknown-key", "tpm.key-attributes", "tpm.public", "tpm.evidence", "tpm.token", "tpm.event-log",
              "eventlog.")  # fmt: skip


def _spki(area: bytes) -> bytes:
    return read_public(area).key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _asked(message: bytes, number: int) -> tuple[bytes, int, tuple[int, ...]]:
    """Nonce, bank and registers of a quote; of what is none, as if it were of so many of SHA-256."""
    try:
        attest = read_attest(message)
    except SealroomError:
        return NONCE, 11, tuple(range(number))
    banks = [(bank, indices) for bank, indices in attest.selection if indices]
    return attest.extra_data, int(banks[0][0]), banks[0][1] if len(banks) == 1 else ()


def wrong(asked: list[tuple[Any, Any]], answers: Answers) -> tuple[set[str], set[str]]:
    """Names of the faults that were accepted, and of what is authentic and was not."""
    named = [(case.name.partition(": ")[2], case.code, answer["accepted"])
             for (case, _), answer in zip(asked, answers, strict=True)]  # fmt: skip
    return ({name for name, code, accepted in named if code is not None and accepted},
            {name for name, code, accepted in named if code is None and not accepted})  # fmt: skip


@pytest.fixture(scope="module")
def attestations() -> tuple[list[GcpCase], bytes]:
    """Cases, and the private root."""
    bench = GcpBench.create(None)
    cases = [case for make in (gcp_authentic, gcp_faults) for case in make(bench)]
    return cases, bench.guest.machine.vendor.root.certificate


def test_attestations_of_google_s_vms(ask, attestations):
    """Certificate, chain and every quote."""
    cases, root = attestations
    asked = [(case, question) for case in cases if (question := about_attestation(case, root)) is not None]
    accepted, refused = wrong(asked, ask(question for _, question in asked))
    assert accepted == IN_THE_MESSAGE | OF_THE_KEY | OF_CERTIFICATES | IN_QUOTES | {"a register of no bytes"}
    assert refused == {"a key of rsapss"}, "other than recorded: docs/reference/differential.md"


def test_attestations_whole(ask, attestations):
    """As go-tpm-tools verifies them itself, event log included. Of several banks one that holds is enough for it."""
    cases, root = attestations
    asked = [(case, question) for case in cases if case.code is None
             and (question := about_attestation(case, root, "attestation")) is not None]  # fmt: skip
    assert len(asked) > 20
    _, refused = wrong(asked, ask(question for _, question in asked))
    assert refused == {"a key of rsapss", "no bank but SHA-1", "with the log of its boot"}


@pytest.mark.parametrize("kind", ["rsassa", "ecdsa"])
def test_quotes(ask, kind):
    bench = TpmBench.create(kind)
    asked = [(case, question) for make in (tpm_authentic, tpm_faults) for case in make(bench)
             if (question := about_quote(case)) is not None]  # fmt: skip
    accepted, refused = wrong(asked, ask(question for _, question in asked))
    assert len(asked) > 50
    assert accepted == IN_BARE_QUOTES, "other than recorded: docs/reference/differential.md"
    assert refused == {"a bank that it lists and takes nothing of"}


def sign1(raw: bytes, spki: bytes) -> dict[str, Any]:
    return {"kind": "sign1", "evidence": raw.hex(), "key": spki.hex()}


def test_nitro_documents(ask):
    bench = nitro_cases.Bench.create()
    cases = [*nitro_cases.authentic(bench), *signature_faults(bench)]
    asked = [(case, sign1(case.raw, read_certificate(nitro.parse(case.raw).document.certificate).public_key))
             for case in cases]  # fmt: skip
    assert len(asked) > 30
    assert wrong(asked, ask(question for _, question in asked)) == (set(), set())


def test_tokens_of_arm(ask):
    """Each of the two messages by its own key; what binds one to the other is not this library's to say."""
    bench = cca_cases.Bench.create()
    asked = []
    for make in (cca_cases.authentic, authentic_devices, cca_faults):
        for case in make(bench):
            if case.code in {None, "cca.signature", "cca.cose-key", "cca.cose-algorithm"}:
                asked += [(case, question) for question in about_token(case)]
    answers = ask(question for _, question in asked)
    holds = {case.name: True for case, _ in asked}
    for (case, _), answer in zip(asked, answers, strict=True):
        holds[case.name] &= answer["accepted"]
    cases = {case.name: case for case, _ in asked}
    accepted, refused = wrong(
        [(case, None) for case in cases.values()], [{"accepted": holds[name]} for name in cases]
    )
    assert len(cases) > 120
    assert accepted == set(), "other than recorded: docs/reference/differential.md"
    assert all("written loosely" in name for name in refused)  # a COSE_Sign1 has to say that it is an array of four
    assert len(refused) == 4


def about_token(case: cca_cases.CcaCase) -> list[dict[str, Any]]:
    evidence = parse_cca(case.raw)
    keys = [spki_of(read_key(case.key, area="cca"))]
    if evidence.realm is not None:
        keys.append(spki_of(evidence.realm.claims.key))
    return [sign1(_message(case.raw, number), key) for number, key in enumerate(keys)]


def _message(raw: bytes, number: int) -> bytes:
    """The platform's or the realm's; of a PSA token the whole, less the tag that says that it is a CWT."""
    whole = read_cbor(raw)
    match whole:
        case Tagged(tag=399, value=dict() as tokens):
            return bytes(tokens[(44234, 44241)[number]])
        case Tagged(tag=907, value=dict() as tokens):
            return bytes(tokens[(44234, 44241)[number]][1])
        case Tagged(tag=61):
            return encode_cbor(whole.value)
    return raw
