"""Minted evidence before Google's verifiers (Go: go-tdx-guest v0.3.1, go-sev-guest v0.15.0), given the private root
and the collateral: they accept what is authentic and refuse the faults, but for those listed here.
"""

from typing import Any

import pytest
from go_program import Ask, asker

from sealroom.evidence import Tee
from sealroom.tees.snp.layout import SigningKey
from sealroom.tees.snp.tcb import Product
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.intel_cases import AT, MintedCase
from sealroom.testing.intel_faults import faults
from sealroom.testing.intel_weaknesses import authentic
from sealroom.testing.snp import SimulatedSnp, SnpPlatform, SnpVendor

NOT_LOOKED_FOR = {
    "another QE vendor",
    "list with the other CA's chain",
    "module of another signer",
    "module of other attributes",
    "module twice",
    "pck_crl not yet valid",
    "qe_identity not yet valid",
    "qe_identity with a member that stands twice",
    "root_ca_crl not yet valid",
    "tcb_info not yet valid",
    "tcb_info with a member that stands twice",
}
"""Faults that go-tdx-guest v0.3.1 accepts."""
NOT_TAKEN = {
    "honest, of the processor CA",
    "honest, {'version': 5, 'td_15': True}",
    "honest, {'version': 5}",
    "lists in PEM",
    "lists in hexadecimal",
    "no chain with the list",
    "service TD",  # of version 5
}
"""Authentic, and not in a form that it reads."""


@pytest.fixture(scope="module")
def ask() -> Ask:
    """Put questions to the program of the folder ``go``."""
    return asker("go", "google-verifiers")


def question(tee: Tee, raw: bytes, items: Any, **more: object) -> dict[str, Any]:
    return {"tee": tee.value, "evidence": raw.hex(), "root": "", "at": int(AT.timestamp()),
            "items": {name: value.hex() for name, value in items.items()}, **more}  # fmt: skip


@pytest.fixture(scope="module")
def judged(ask: Ask) -> list[tuple[MintedCase, dict[str, Any]]]:
    platform = DcapPlatform.create()
    cases = [case for make in (faults, authentic) for case in make(platform) if case.tee is Tee.TDX]
    answers = ask(question(Tee.TDX, case.raw, case.items, root=case.root.hex()) for case in cases)
    return list(zip(cases, answers, strict=True))


def word(case: MintedCase) -> str:
    return case.name.partition(": ")[2]


def test_faults_in_quotes_are_refused_but_for_those_that_it_does_not_look_for(judged):
    accepted = {word(case) for case, answer in judged if case.code is not None and answer["accepted"]}
    assert accepted == NOT_LOOKED_FOR, "other than recorded: docs/reference/differential.md"


def test_what_is_up_to_date_is_accepted_and_nothing_else(judged):
    """It knows no other verdict than up to date."""
    wrong = {
        word(case)
        for case, answer in judged
        if case.code is None and answer["accepted"] is not (case.status == "UpToDate")
    }
    assert wrong == NOT_TAKEN, "other than recorded: docs/reference/differential.md"
    assert not any(answer["crashed"] for _, answer in judged)


def test_reports_of_every_product_and_version_are_accepted(ask, snp_platform):
    """Turin's leaves have an extension (fmcSPL) that it does not know; a Genoa report of version 2 a product name."""
    kinds, questions = [], []
    for product in Product:
        vendor = SnpVendor.create(product, keys=snp_platform.vendor)
        for key in (SigningKey.VCEK, SigningKey.VLEK):
            platform = SnpPlatform.create(product, vendor=vendor, kind=key)
            for version in (2, 3, 4, 5):
                collected = SimulatedSnp(platform=platform, version=version).collect(bytes(64))
                kinds.append((product, key.name, version))
                questions.append(question(Tee.SNP, collected.raw, collected.collateral.items, product=product.value))
    answers = ask(questions)
    refused = {kind for kind, answer in zip(kinds, answers, strict=True) if not answer["accepted"]}
    turin = {kind for kind in kinds if kind[0] is Product.TURIN}
    assert refused == turin | {(Product.GENOA, "VCEK", 2)}
    assert {answer["word"] for kind, answer in zip(kinds, answers, strict=True) if kind in turin} == {
        "not an AMD KDS OID: 1.3.6.1.4.1.3704.1.3.9"
    }


def test_a_report_that_was_changed_is_refused(ask, snp_platform):
    collected = SimulatedSnp(platform=snp_platform).collect(bytes(64))
    items = collected.collateral.items
    changed = bytearray(collected.raw)
    changed[0x90] ^= 1
    answers = ask(question(Tee.SNP, bytes(raw), items, product=snp_platform.product.value)
                  for raw in (collected.raw, changed))  # fmt: skip
    assert [answer["accepted"] for answer in answers] == [True, False]
