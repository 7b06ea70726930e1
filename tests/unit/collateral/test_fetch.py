"""Collateral over real HTTP on loopback: the vendors' paths and headers, and services that are slow, busy or lie."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sealroom.collateral.fetch.amd import fetch_amd, vcek_path
from sealroom.collateral.fetch.intel import IntelOptions, fetch_intel
from sealroom.collateral.fetch.transport import MAX_BODY, OneRound, Transport
from sealroom.errors import MalformedError, MisuseError, SealroomError, UnavailableError
from sealroom.evidence import Collateral, Tee, TrustRoots
from sealroom.tees import snp
from sealroom.tees.needs import AmdRequest, IntelRequest, what_is_needed
from sealroom.tees.registry import for_tee
from sealroom.tees.snp.layout import SigningKey
from sealroom.tees.snp.tcb import Product
from sealroom.testing.dcap import SimulatedSgx, SimulatedTdx
from sealroom.testing.machines import Launched, kind_named
from sealroom.testing.snp import SnpPlatform, SnpVendor
from sealroom.testing.vendor_service import Reply, kds_replies, pccs_replies, serving

AT = datetime(2026, 6, 1, tzinfo=UTC)
DATA = bytes(range(64))


@pytest.fixture
def transport():
    made = Transport(timeout=2.0, pause=lambda _seconds: None)
    yield made
    made.close()


@pytest.fixture(scope="module")
def td():
    return SimulatedTdx()


def replies_for(guest):
    return pccs_replies(guest.platform.collateral(guest.tee), fmspc=guest.platform.pck.fmspc)


def verified(guest, items):
    verifier, roots = for_tee(guest.tee), TrustRoots(insecure_simulated=frozenset({guest.root_fingerprint}))
    raw = guest.quote(DATA)
    return verifier.claims(
        verifier.verify(verifier.parse(raw), roots=roots, collateral=Collateral(items=items), at=AT)
    )


@pytest.mark.parametrize("guest", [SimulatedTdx(), SimulatedSgx()], ids=["td", "enclave"])
def test_what_a_pccs_serves_verifies(transport, guest):
    needed = what_is_needed(guest.tee, guest.quote(DATA))
    with serving(replies_for(guest)) as service:
        items = fetch_intel(needed, transport, IntelOptions(service=service.address + "/"))
    assert verified(guest, items).tcb_status == "UpToDate"
    assert service.asked == [
        f"/{guest.tee.value}/certification/v4/tcb?fmspc=90c06f000000&update=standard",
        f"/{guest.tee.value}/certification/v4/qe/identity?update=standard",
        "/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
        "/sgx/certification/v4/rootcacrl",
    ]


@pytest.mark.parametrize(
    ("options", "query"),
    [({"update": "early"}, "update=early"), ({"evaluation_number": 17}, "tcbEvaluationDataNumber=17")],
)
def test_another_data_set_is_asked_for_by_name_or_number(transport, td, options, query):
    with serving(replies_for(td)) as service:
        fetch_intel(what_is_needed(Tee.TDX, td.quote(DATA)), transport,
                    IntelOptions(service=service.address, **options))  # fmt: skip
    assert service.asked[0].endswith(query)
    with pytest.raises(MisuseError):
        _ = IntelOptions(update="latest").query


def test_the_old_name_of_a_header_is_known(transport, td):
    honest = replies_for(td)

    def old(path, query):
        reply = honest(path, query)
        if reply is not None and path.endswith("/tcb"):
            return replace(reply, headers={"SGX-TCB-Info-Issuer-Chain": reply.headers["TCB-Info-Issuer-Chain"]})
        return reply

    with serving(old) as service:
        items = fetch_intel(what_is_needed(Tee.TDX, td.quote(DATA)), transport,
                            IntelOptions(service=service.address))  # fmt: skip
    assert verified(td, items).tcb_status == "UpToDate"


def faulty(honest, change):
    return lambda path, query: None if (reply := honest(path, query)) is None else change(reply)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda reply: replace(reply, headers={}), MalformedError),
        (lambda reply: replace(reply, headers=dict.fromkeys(reply.headers, "%2D%2Drubbish")), MalformedError),
        (lambda reply: replace(reply, cut_at=10), UnavailableError),
        (lambda reply: replace(reply, status=500), UnavailableError),
        (lambda reply: replace(reply, status=404), UnavailableError),
        (lambda _reply: Reply(body=b"", status=302, headers={"Location": "http://127.0.0.1:1/"}), UnavailableError),
        (lambda _reply: Reply(body=bytes(MAX_BODY + 1)), UnavailableError),
    ],
    ids=["no chain", "damaged chain", "cut off", "500", "404", "redirect", "too long"],
)
def test_an_answer_that_can_not_be_used_is_told_and_nothing_is_handed_on(transport, td, change, kind):
    with serving(faulty(replies_for(td), change)) as service, pytest.raises(kind) as error:
        fetch_intel(what_is_needed(Tee.TDX, td.quote(DATA)), transport, IntelOptions(service=service.address))
    assert error.value.code.startswith("collateral.")


def test_a_slow_service_is_given_up(td):
    slow = Transport(timeout=0.1)
    with serving(faulty(replies_for(td), lambda reply: replace(reply, delay=0.5))) as service:
        with pytest.raises(UnavailableError) as error:
            fetch_intel(what_is_needed(Tee.TDX, td.quote(DATA)), slow, IntelOptions(service=service.address))
        slow.close()
    assert "Timeout" in error.value.got


def test_an_answer_that_trickles_for_ever_is_given_up(td):
    slow = Transport(timeout=5.0, longest=0.2)
    with serving(faulty(replies_for(td), lambda reply: replace(reply, trickle=0.05))) as service:
        with pytest.raises(UnavailableError) as error:
            fetch_intel(what_is_needed(Tee.TDX, td.quote(DATA)), slow, IntelOptions(service=service.address))
        slow.close()
    assert "not whole after 0.2 s" in error.value.got


def test_one_round_asks_each_question_once_whether_it_is_answered_or_not(td):
    one = OneRound(timeout=2.0, attempts=1)
    with serving(replies_for(td)) as service:
        for _ in range(2):
            fetch_intel(what_is_needed(Tee.TDX, td.quote(DATA)), one, IntelOptions(service=service.address))
            with pytest.raises(UnavailableError):
                one.get(service.address + "/nothing")
    one.close()
    assert len(service.asked) == len(set(service.asked)) == 5


def test_nobody_at_the_address_is_told(transport, td):
    with pytest.raises(UnavailableError) as error:
        fetch_intel(what_is_needed(Tee.TDX, td.quote(DATA)), transport, IntelOptions(service="http://127.0.0.1:9"))
    assert error.value.code == "collateral.service"


def test_a_busy_service_is_asked_again_when_it_says(td):
    waits = []
    patient = Transport(timeout=2.0, pause=waits.append)
    with serving(replies_for(td)) as service:
        service.busy, service.retry_after = 2, "7"
        items = fetch_intel(what_is_needed(Tee.TDX, td.quote(DATA)), patient, IntelOptions(service=service.address))
        assert waits == [7.0, 7.0]
        service.busy, service.retry_after = 100, "Mon, 23 Nov 2026 00:00:00 GMT"
        with pytest.raises(UnavailableError) as error:
            patient.get(service.address)
    patient.close()
    assert "429" in error.value.got
    assert verified(td, items)


def test_a_service_that_lies_is_found_out_by_verification(transport, td):
    stranger = SimulatedTdx()
    with serving(replies_for(stranger)) as service:
        items = fetch_intel(what_is_needed(Tee.TDX, td.quote(DATA)), transport,
                            IntelOptions(service=service.address))  # fmt: skip
    with pytest.raises(SealroomError):
        verified(td, items)


# AMD


@pytest.fixture(scope="module")
def vendors(snp_platform):
    return {product: SnpVendor.create(product, keys=snp_platform.vendor) for product in Product}


@pytest.mark.parametrize("product", Product)
def test_what_amds_service_serves_verifies(transport, vendors, product):
    platform = SnpPlatform.create(product, vendor=vendors[product])
    raw = platform.sign(platform.report_values(version=5) | {"report_data": DATA})
    needed = what_is_needed(Tee.SNP, raw)
    replies = kds_replies({vcek_path(needed): platform.leaf}, product=product.value, chain=vendors[product].chain(),
                          crl=vendors[product].crl())  # fmt: skip
    with serving(replies) as service:
        items = fetch_amd(needed, transport, service=service.address)
    roots = TrustRoots(insecure_simulated=frozenset({platform.root_fingerprint}))
    claims = snp.claims(snp.verify(snp.parse(raw), roots=roots, collateral=Collateral(items=items), at=AT))
    assert claims.details["revocation"] == "checked"


def test_the_paths_of_a_vcek_are_those_of_the_specification(vendors):
    genoa = SnpPlatform.create(Product.GENOA, vendor=vendors[Product.GENOA], chip_id=b"\xab" * 64)
    needed = what_is_needed(Tee.SNP, genoa.sign(genoa.report_values()))
    assert vcek_path(needed) == f"/vcek/v1/Genoa/{'ab' * 64}?blSPL=10&teeSPL=00&snpSPL=27&ucodeSPL=84"
    turin = SnpPlatform.create(Product.TURIN, vendor=vendors[Product.TURIN], chip_id=b"\xcd" * 8)
    needed = what_is_needed(Tee.SNP, turin.sign(turin.report_values(version=5)))
    assert vcek_path(needed) == f"/vcek/v1/Turin/{'cd' * 8}?fmcSPL=01&blSPL=02&teeSPL=01&snpSPL=04&ucodeSPL=81"


def test_a_vlek_and_a_masked_chip_are_served_by_nobody(transport, vendors):
    vlek = SnpPlatform.create(Product.MILAN, vendor=vendors[Product.MILAN], kind=SigningKey.VLEK)
    masked = SnpPlatform.create(Product.GENOA, vendor=vendors[Product.GENOA])
    for raw in (vlek.sign(vlek.report_values()), masked.sign(masked.report_values() | {"chip_id": bytes(64)})):
        with pytest.raises(UnavailableError) as error:
            fetch_amd(what_is_needed(Tee.SNP, raw), transport, service="http://127.0.0.1:9")
        assert error.value.code == "collateral.no-leaf"


def test_a_leaf_that_is_at_hand_is_not_asked_for(transport, vendors):
    vlek = SnpPlatform.create(Product.MILAN, vendor=vendors[Product.MILAN], kind=SigningKey.VLEK)
    raw = vlek.sign(vlek.report_values())
    replies = kds_replies({}, product="Milan", chain=vendors[Product.MILAN].chain(SigningKey.VLEK), crl=b"list")
    with serving(replies) as service:
        items = fetch_amd(what_is_needed(Tee.SNP, raw), transport, service=service.address, leaf=vlek.leaf)
    assert items["leaf"] == vlek.leaf
    assert service.asked == ["/vlek/v1/Milan/cert_chain", "/vlek/v1/Milan/crl"]


def test_a_report_that_does_not_say_its_product_needs_to_be_told(vendors):
    milan = SnpPlatform.create(Product.MILAN, vendor=vendors[Product.MILAN])
    raw = milan.sign(milan.report_values(version=2))
    with pytest.raises(MalformedError):
        what_is_needed(Tee.SNP, raw)
    assert what_is_needed(Tee.SNP, raw, product="Milan").product == "Milan"


@pytest.mark.parametrize(("kind", "request_type"), [("azure-tdx", IntelRequest), ("azure-snp", AmdRequest)])
def test_a_clouds_wrapper_needs_what_the_silicon_in_it_needs(kind, request_type):
    cpu = kind_named(kind).cpu
    guest = cpu.attester(cpu.create(), Launched(measurement=bytes(48), init_data=bytes(32)))
    assert isinstance(what_is_needed(Tee.AZURE_VTPM, guest.collect(bytes(32)).raw), request_type)
