"""Simulated Intel hardware is right to the byte: somebody else's verifier takes it, given the private root."""

import json
from datetime import UTC, datetime

import dcap_qvl
import pytest

from sealroom.evidence import CollectedEvidence, Tee
from sealroom.testing.dcap import SimulatedSgx, SimulatedTdx
from sealroom.testing.intel import IntelVendor, Level, TcbInfoForm

AT = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())
DATA = bytes(range(64))


def judged_by_others(collected: CollectedEvidence, vendor: IntelVendor) -> str:
    items = collected.collateral.items

    def signed(name: str) -> tuple[str, bytes]:
        raw = items[name]
        return raw[raw.index(b"{", 1) : raw.rindex(b',"signature"')].decode(), bytes.fromhex(
            json.loads(raw)["signature"]
        )

    collateral = dcap_qvl.QuoteCollateralV3(
        items["pck_crl_issuer_chain"].decode(), items["root_ca_crl"], items["pck_crl"],
        items["tcb_info_issuer_chain"].decode(), *signed("tcb_info_response"),
        items["qe_identity_issuer_chain"].decode(), *signed("qe_identity_response"),
    )  # fmt: skip
    return str(dcap_qvl.verify_with_root_ca(collected.raw, collateral, vendor.root.certificate, AT).status)


@pytest.mark.parametrize(
    "guest",
    [SimulatedTdx(), SimulatedTdx(version=5), SimulatedTdx(version=5, td_15=True), SimulatedSgx()],
    ids=["td v4", "td v5", "td 1.5", "enclave v3"],
)
def test_another_verifier_accepts_what_is_minted(guest):
    assert judged_by_others(guest.collect(DATA), guest.platform.vendor) == "UpToDate"


def test_another_verifier_sees_the_same_status():
    guest = SimulatedTdx()
    items = guest.platform.collateral(Tee.TDX, tcb_info=TcbInfoForm(levels=(Level(status="OutOfDate"),)))
    from sealroom.evidence import Collateral

    collected = CollectedEvidence(tee=Tee.TDX, raw=guest.quote(DATA), collateral=Collateral(items=items))
    assert judged_by_others(collected, guest.platform.vendor) == "OutOfDate"


def test_another_verifier_refuses_it_under_the_real_root():
    guest = SimulatedTdx()
    other = IntelVendor.create()
    with pytest.raises(ValueError, match="erification failed"):
        judged_by_others(guest.collect(DATA), other)
