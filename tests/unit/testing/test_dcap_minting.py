"""Minted Intel evidence before somebody else's verifier, given the private root: it accepts what is authentic and
refuses the faults, but for those listed here, which it does not look for."""

import dcap_qvl
import pytest

from sealroom.evidence import Tee
from sealroom.tees._dcap.signed_json import signed_body
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.intel_cases import AT, Bench, MintedCase
from sealroom.testing.intel_faults import faults
from sealroom.testing.intel_weaknesses import authentic

PLATFORM = DcapPlatform.create()
ALL_ITEMS = set(PLATFORM.collateral(Tee.TDX))
CASES = {case.name: case for make in (faults, authentic) for case in make(PLATFORM) if set(case.items) == ALL_ITEMS}
"""Without those that lack an item: it takes each as an argument."""

NOT_LOOKED_FOR = {
    "TCB info of another PCEID",
    "documents signed by another name",
    "documents signed by the platform's own key",
    "leaf of another name",
    "list with the other CA's chain",
    "module twice",
    "outer certification data of type 5",
    "pck_crl not yet valid",
    "root expired",
    "root not yet valid",
    "root_ca_crl not yet valid",
    "signer of documents issued by the CA of platforms",
    "tcb_info of version 9",
}
"""Faults that dcap-qvl 0.7.0 accepts, of both TEEs where both have them."""
NOT_TAKEN = {
    "TCB info of version 2",
    "honest, {'version': 4}",  # of an enclave: it takes version 3 alone
    "honest, {'version': 5}",
    "lists in PEM",
    "lists in hexadecimal",
    "no auth data",
}
"""Authentic, and not in a form that it reads."""
ITS_POLICY = {
    "td_debug", "td_attributes_reserved", "sept_ve_disable_off", "migratable", "service TD", "enclave_debug",
}  # fmt: skip
"""Authentic, and refused by a policy that is part of it."""


def handed_over(case: MintedCase) -> dcap_qvl.QuoteCollateralV3:
    """The collateral as it takes it."""
    items = case.items
    tcb = signed_body(items["tcb_info_response"], "tcbInfo", area="tcb")
    qe = signed_body(items["qe_identity_response"], "enclaveIdentity", area="qe")
    return dcap_qvl.QuoteCollateralV3(
        items["pck_crl_issuer_chain"].decode(), items["root_ca_crl"], items["pck_crl"],
        items["tcb_info_issuer_chain"].decode(), tcb[0].decode(), tcb[1],
        items["qe_identity_issuer_chain"].decode(), qe[0].decode(), qe[1],
    )  # fmt: skip


def judged_by_dcap_qvl(case: MintedCase) -> str:
    """The status that it says; empty: it refuses."""
    collateral, at = handed_over(case), int(AT.timestamp())
    try:
        return str(dcap_qvl.verify_with_root_ca(case.raw, collateral, case.root, at).status)
    except ValueError:
        return ""


def word(name: str) -> str:
    """The name without the TEE."""
    return name.partition(": ")[2]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.code is not None])
def test_the_other_verifier_refuses_the_fault_too(name):
    accepted = bool(judged_by_dcap_qvl(CASES[name]))
    assert accepted is (word(name) in NOT_LOOKED_FOR), "other than recorded: docs/reference/differential.md"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.code is None])
def test_the_other_verifier_says_the_same_status(name):
    case = CASES[name]
    of_td = case.tee is Tee.TDX and word(name).startswith("honest")
    refused = not of_td and word(name) in NOT_TAKEN | ITS_POLICY
    assert judged_by_dcap_qvl(case) == ("" if refused else case.status)


def test_the_other_verifier_refuses_it_under_another_root():
    honest = Bench(platform=PLATFORM).case("honest")
    other = DcapPlatform.create().vendor.root.certificate
    with pytest.raises(ValueError, match="erification failed"):
        dcap_qvl.verify_with_root_ca(honest.raw, handed_over(honest), other, int(AT.timestamp()))
