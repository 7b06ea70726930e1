"""The faults that verifiers of quotes were found to have (numbers: cpu-tee.md section 5), each on evidence in which
everything else is right; and what every format has to bear."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealroom.errors import SealroomError
from sealroom.evidence import Collateral, Tee, TrustRoots, Validity
from sealroom.pem import as_pem
from sealroom.tees import sgx, tdx
from sealroom.tees.registry import for_tee
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.intel import IntelVendor, Level, ModuleForm, PckForm, QeIdentityForm, TcbInfoForm
from sealroom.testing.pki import mint_certificate, mint_crl

AT = datetime(2026, 6, 1, tzinfo=UTC)
DATA = bytes(range(64))
OLD = Level(status="OutOfDate", date="2024-01-01T00:00:00Z", advisories=("INTEL-SA-1",))
HIGH = (255,) * 16


@pytest.mark.parametrize(("version", "td_15"), [(4, False), (5, False), (5, True)])
def test_a_td_of_every_form_verifies(world, version, td_15):
    claims = world.claims(world.td(version=version, td_15=td_15, mr_td=b"\x07" * 48).quote(DATA), world.items())
    assert (claims.tcb_status, claims.report_data, claims.simulated) == ("UpToDate", DATA, True)
    assert claims.measurements["mr_td"] == b"\x07" * 48
    assert ("mr_service_td" in claims.measurements) is td_15


@pytest.mark.parametrize("version", [3, 4, 5])
def test_an_enclave_of_every_form_verifies(world, version):
    claims = world.claims(world.enclave(version=version, isv_svn=9).quote(DATA), world.items(Tee.SGX), Tee.SGX)
    assert (claims.tcb_status, claims.details["isv_svn"], claims.migratable) == ("UpToDate", 9, False)


def test_old_collateral_of_version_2_serves_enclaves_and_no_td(world):
    form = TcbInfoForm(id="SGX", version=2)
    assert world.claims(world.enclave().quote(DATA), world.items(Tee.SGX, tcb_info=form), Tee.SGX).tcb_status
    assert world.refusal(world.td().quote(DATA), world.items(tcb_info=form)) == "dcap.tcb-info-id"


def test_fault_01_a_status_other_than_current_is_told_and_not_called_valid(world):
    claims = world.claims(world.td().quote(DATA), world.items(tcb_info=TcbInfoForm(levels=(OLD,))))
    assert (claims.tcb_status, claims.advisories) == ("OutOfDate", ("INTEL-SA-1",))


@pytest.mark.parametrize(
    ("module", "code"),
    [
        (ModuleForm(id="TDX_02"), "dcap.tdx-module-unknown"),
        (ModuleForm(mr_signer=b"\x01" * 48), "dcap.tdx-module-mrsigner"),
        (ModuleForm(levels=(Level(isvsvn=6),)), "dcap.tdx-module-tcb-not-supported"),
        (ModuleForm(levels=(Level(isvsvn=4, status="Revoked"),)), "dcap.tcb-revoked"),
    ],
)
def test_fault_02_the_tdx_module_is_looked_at(world, module, code):
    assert world.refusal(world.td().quote(DATA), world.items(tcb_info=TcbInfoForm(modules=(module,)))) == code


def test_fault_03_another_vendors_quoting_enclave_is_refused(world):
    form = replace(world.td().form(DATA), vendor=bytes(16))
    assert world.refusal(world.platform.quote(form), world.items()) == "dcap.qe-vendor"


@pytest.mark.parametrize("short", ["components", "tdx"])
def test_fault_04_a_short_list_of_components_is_refused_and_not_compared_as_far_as_it_goes(world, short):
    level = replace(Level(), **{short: (0,) * 8})
    assert (
        world.refusal(world.td().quote(DATA), world.items(tcb_info=TcbInfoForm(levels=(level,)))) == "dcap.tcb-info"
    )


@pytest.mark.parametrize(
    ("platform", "module", "status"),
    [
        ("UpToDate", "UpToDate", "UpToDate"),
        ("UpToDate", "OutOfDate", "OutOfDate"),
        ("SWHardeningNeeded", "OutOfDate", "OutOfDate"),
        ("ConfigurationNeeded", "UpToDate", "ConfigurationNeeded"),
        ("ConfigurationNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"),
        ("ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"),
        ("OutOfDate", "OutOfDate", "OutOfDate"),
        ("OutOfDateConfigurationNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"),
    ],
)
@pytest.mark.parametrize("part", ["module", "qe"])
def test_fault_05_and_15_module_and_enclave_count_whatever_the_platform_is(world, platform, module, status, part):
    old = (Level(isvsvn=4, status=module),)
    tcb = TcbInfoForm(levels=(Level(status=platform),), modules=(ModuleForm(levels=old),) if part == "module" else
                      (ModuleForm(),))  # fmt: skip
    identity = QeIdentityForm(levels=old if part == "qe" else (Level(isvsvn=4),))
    claims = world.claims(world.td().quote(DATA), world.items(tcb_info=tcb, qe_identity=identity))
    assert claims.tcb_status == status
    assert claims.details["tdx_module_status" if part == "module" else "qe_status"] == module


def test_fault_06_a_service_td_is_seen(world):
    quote = world.td(version=5, td_15=True, mr_service_td=b"\x01" * 48).quote(DATA)
    assert "mr_service_td_nonzero" in world.claims(quote, world.items()).flags


@pytest.mark.parametrize("which", ["tcb_info", "qe_identity"])
@pytest.mark.parametrize(
    ("window", "code"),
    [
        (Validity(not_before=datetime(2025, 1, 1, tzinfo=UTC), not_after=datetime(2026, 5, 31, tzinfo=UTC)),
         "x509.expired"),
        (Validity(not_before=datetime(2026, 6, 2, tzinfo=UTC), not_after=datetime(2026, 7, 1, tzinfo=UTC)),
         "x509.not-yet-valid"),
    ],
)  # fmt: skip
def test_fault_07_signed_collateral_has_an_end_and_a_beginning(world, which, window, code):
    form = TcbInfoForm(window=window) if which == "tcb_info" else QeIdentityForm(window=window)
    assert world.refusal(world.td().quote(DATA), world.items(**{which: form})) == code


def test_fault_07_a_remembered_verdict_ends_with_its_window(world):
    quote, items = world.td().quote(DATA), world.items()
    assert world.claims(quote, items).validity.not_after == datetime(2027, 12, 31, tzinfo=UTC)
    assert world.refusal(quote, items, at=datetime(2028, 1, 1, tzinfo=UTC)) == "x509.expired"
    assert world.refusal(quote, items, at=datetime(2025, 12, 31, tzinfo=UTC)) == "x509.not-yet-valid"


@pytest.mark.parametrize("item", ["tcb_info_response", "qe_identity_response"])
@pytest.mark.parametrize("old_new", [(b",", b", "), (b'"version":', b'"version": '), (b"0000", b"0001")])
def test_fault_08_the_signature_is_over_the_very_bytes(world, item, old_new):
    items = world.items()
    items[item] = items[item].replace(*old_new, 1)
    area = "dcap.tcb-info" if item.startswith("tcb") else "dcap.qe-identity"
    assert world.refusal(world.td().quote(DATA), items) == f"{area}-signature"


def test_fault_08_a_member_that_stands_twice_is_refused_though_it_is_signed(world):
    items = world.items()
    body = TcbInfoForm().body().replace(b'"version":3', b'"version":3,"version":3')
    items["tcb_info_response"] = world.platform.vendor.signed("tcbInfo", body)
    assert world.refusal(world.td().quote(DATA), items) == "dcap.tcb-info"


def test_fault_09_an_identity_for_sgx_says_nothing_of_a_td(world):
    form = QeIdentityForm(id="QE", isv_prod_id=2)
    assert world.refusal(world.td().quote(DATA), world.items(qe_identity=form)) == "dcap.qe-identity-id"


@pytest.mark.parametrize(
    ("qe", "code"),
    [
        ({"mr_signer": bytes(32)}, "dcap.qe-mrsigner"),
        ({"isv_prod_id": 1}, "dcap.qe-isvprodid"),
        ({"attributes": 0x17}, "dcap.qe-attributes"),
        ({"misc_select": b"\x01\x00\x00\x00"}, "dcap.qe-miscselect"),
        ({"isv_svn": 3}, "dcap.qe-tcb-not-supported"),
    ],
)
def test_fault_09_every_field_of_the_quoting_enclave_is_compared_at_its_own_place(world, qe, code):
    form = replace(world.td().form(DATA), qe=qe)
    assert world.refusal(world.platform.quote(form), world.items()) == code


def test_fault_10_the_level_is_the_first_that_is_reached_and_its_own_status_counts(world):
    levels = (replace(Level(), components=HIGH), OLD, Level(status="ConfigurationNeeded"))
    claims = world.claims(world.td().quote(DATA), world.items(tcb_info=TcbInfoForm(levels=levels)))
    assert claims.tcb_status == "OutOfDate"


def test_fault_10_an_old_level_does_not_hide_a_revoked_enclave(world):
    identity = QeIdentityForm(levels=(Level(isvsvn=4, status="Revoked"),))
    items = world.items(tcb_info=TcbInfoForm(levels=(OLD,)), qe_identity=identity)
    assert world.refusal(world.td().quote(DATA), items) == "dcap.tcb-revoked"


def test_fault_11_a_list_by_another_key_of_the_same_name_is_refused(world):
    other = DcapPlatform.create()
    for name in ("pck_crl", "root_ca_crl"):
        items = world.items() | {name: other.collateral(Tee.TDX)[name]}
        assert world.refusal(world.td().quote(DATA), items) == "x509.signature"


def test_fault_11_no_list_is_a_refusal(world):
    for name in ("pck_crl", "root_ca_crl"):
        items = world.items()
        del items[name]
        assert world.refusal(world.td().quote(DATA), items) == "collateral.missing"


@pytest.mark.parametrize("padding", [b"", b"\x00", b"\n"])
def test_fault_12_a_list_is_read_in_every_form_that_services_send(world, padding):
    items = world.items()
    for name in ("pck_crl", "root_ca_crl"):
        raw = items[name]
        pem = as_pem(raw).replace(b"CERTIFICATE", b"X509 CRL")
        for form in (raw, raw.hex().encode(), raw.hex().upper().encode(), pem):
            assert world.claims(world.td().quote(DATA), items | {name: form + padding}).tcb_status == "UpToDate"


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4, 6, 7, 0xFFFF])
def test_fault_13_a_quote_without_its_certificates_is_refused_by_name(world, kind):
    form = replace(world.td().form(DATA), certification_type=kind)
    assert world.refusal(world.platform.quote(form), world.items()) == "dcap.unsupported-certification"


@pytest.mark.parametrize("field", [{"fmspc": bytes(6)}, {"pce_id": b"\x00\x01"}])
def test_fault_14_collateral_for_other_platforms_is_refused(world, field):
    assert (
        world.refusal(world.td().quote(DATA), world.items(tcb_info=TcbInfoForm(**field))) == "dcap.tcb-info-platform"
    )


def test_fault_14_who_signs_collateral_must_be_named_for_it_by_the_root(world):
    vendor, items = world.platform.vendor, world.items()
    stranger = mint_certificate(
        replace(vendor.pck(PckForm(), vendor.tcb_signer.key.public_key()), extensions=()), vendor.root
    )
    items["tcb_info_issuer_chain"] = as_pem(stranger, vendor.root.certificate)
    assert world.refusal(world.td().quote(DATA), items) == "dcap.collateral-signer"


def test_fault_21_every_component_is_compared_by_itself(world):
    """One part above does not make good for another below."""
    for index in range(16):
        components = tuple(255 if at < index else 0 for at in range(16))
        needed = tuple(1 if at == index else 0 for at in range(16))
        machine = replace(world.platform, pck=PckForm(components=components))
        level = replace(Level(), components=needed)
        items = machine.collateral(Tee.TDX, tcb_info=TcbInfoForm(levels=(level,)))
        assert world.refusal(world_of(world, machine).td().quote(DATA), items) == "dcap.tcb-not-supported"


def test_fault_26_a_key_that_the_enclave_does_not_vouch_for_signs_nothing(world):
    form = replace(world.td().form(DATA), bound_to=b"another key")
    assert world.refusal(world.platform.quote(form), world.items()) == "dcap.attestation-key-binding"


def test_fault_26_the_whole_chain_under_another_root_of_the_same_name_is_refused(world):
    other = DcapPlatform.create(IntelVendor.create())
    quote = world_of(world, other).td().quote(DATA)
    assert world.refusal(quote, other.collateral(Tee.TDX)) == "x509.untrusted-root"


def test_revocation_reaches_leaf_ca_and_signer(world):
    vendor = world.platform.vendor
    chain = tdx.parse(world.td().quote(DATA)).quote.pck_chain
    from sealroom.x509_reader import read_certificate, read_certificates

    leaf, issuer, _ = read_certificates(chain.rstrip(b"\x00"))
    signer = read_certificate(vendor.tcb_signer.certificate)
    for options in ({"revoked_pck": [leaf.serial]}, {"revoked_by_root": [issuer.serial]},
                    {"revoked_by_root": [signer.serial]}):  # fmt: skip
        items = vendor.collateral(TcbInfoForm(), QeIdentityForm(), **options)
        assert world.refusal(world.td().quote(DATA), items) == "x509.revoked"
    items = vendor.collateral(TcbInfoForm(), QeIdentityForm(), revoked_pck=[1], revoked_by_root=[2])
    assert world.claims(world.td().quote(DATA), items).tcb_status == "UpToDate"


def test_a_pck_certificate_never_acts_as_an_issuer(world):
    vendor = world.platform.vendor
    below = replace(vendor, platform_ca=replace(vendor.platform_ca, key=world.platform.pck_key,
                                                certificate=world.platform.leaf,
                                                common_name="Intel SGX PCK Certificate"))  # fmt: skip
    leaf = below.issue(vendor.pck(PckForm(), world.platform.attestation_key.public_key()))
    chain = as_pem(leaf, world.platform.leaf, vendor.root.certificate)
    raw = world.td().quote(DATA)
    start = raw.index(b"-----BEGIN")
    forged = raw[:start] + chain.ljust(len(raw) - start, b"\x00")[: len(raw) - start]
    assert world.refusal(forged, world.items()) != ""


def test_relaunch_is_advised_where_only_what_was_launched_is_old(world):
    module = ModuleForm(levels=(Level(isvsvn=6), Level(isvsvn=4, status="OutOfDate")))
    tcb = TcbInfoForm(modules=(module,))
    now = bytes((6, 1, 4, *bytes(13)))
    quote = world.td(version=5, td_15=True, tee_tcb_svn_2=now).quote(DATA)
    assert world.claims(quote, world.items(tcb_info=tcb)).tcb_status == "TDRelaunchAdvised"
    same = world.td(version=5, td_15=True).quote(DATA)
    assert world.claims(same, world.items(tcb_info=tcb)).tcb_status == "OutOfDate"
    old_qe = QeIdentityForm(levels=(Level(isvsvn=4, status="OutOfDate"),))
    assert world.claims(quote, world.items(tcb_info=tcb, qe_identity=old_qe)).tcb_status == "OutOfDate"


@pytest.mark.parametrize("key_type", [0, 1, 3, 4])
def test_another_kind_of_attestation_key_is_refused_by_name(world, key_type):
    form = replace(world.td().form(DATA), key_type=key_type)
    assert world.refusal(world.platform.quote(form), world.items()) == "dcap.attestation-key-type"


def test_bytes_after_the_quote_belong_to_nobody(world):
    raw = world.td().quote(DATA)
    assert world.claims(raw + b"\x00" * 99 + b"rubbish", world.items()).tcb_status == "UpToDate"


def test_authentication_data_may_have_any_length(world):
    for auth in (b"", b"x", bytes(1000)):
        form = replace(world.td().form(DATA), auth_data=auth)
        assert world.claims(world.platform.quote(form), world.items()).tcb_status == "UpToDate"


def test_an_item_that_nobody_knows_is_refused(world):
    assert world.refusal(world.td().quote(DATA), world.items() | {"tcb_info": b"x"}) == "collateral.unknown-item"


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ({"td_attributes": 1 << 28 | 1}, "td_debug"),
        ({"td_attributes": 1 << 28 | 2}, "td_attributes_reserved"),
        ({"td_attributes": 1 << 28 | 1 << 40}, "td_attributes_reserved"),
        ({"td_attributes": 0}, "sept_ve_disable_off"),
        ({"td_attributes": 1 << 28 | 1 << 29}, "migratable"),
        ({"td_attributes": 1 << 28 | 1 << 63}, "perfmon"),
        ({"xfam": 0x602E6}, "xfam_required_bit_clear"),
        ({"xfam": 0x602E7 | 1 << 40}, "xfam_unknown_bit"),
    ],
)
def test_what_weakens_a_td_is_a_flag(world, values, flag):
    assert world.claims(world.td(**values).quote(DATA), world.items()).flags == {flag}


@pytest.mark.parametrize(
    ("attributes", "flag"),
    [(0x7, "enclave_debug"), (0x4, "not_initialised"), (0x15, "provision_key"), (0x25, "einittoken_key"),
     (0x5 | 1 << 30, "attributes_unknown")],
)  # fmt: skip
def test_what_weakens_an_enclave_is_a_flag(world, attributes, flag):
    quote = world.enclave(attributes=attributes).quote(DATA)
    assert world.claims(quote, world.items(Tee.SGX), Tee.SGX).flags == {flag}


def test_a_quote_is_refused_at_every_shorter_length(world):
    for raw, parse in ((world.td().quote(DATA), tdx.parse), (world.enclave().quote(DATA), sgx.parse)):
        for size in range(len(raw)):
            with pytest.raises(SealroomError):
                parse(raw[:size])


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_damage_to_a_quote_does_more_than_be_refused(world, recorded, data):
    quote, items = recorded
    raw = bytearray(quote)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, 1400))] = data.draw(st.integers(0, 255))
    try:
        claims = world.claims(bytes(raw), items)
    except SealroomError:
        return
    assert claims.report_data == DATA


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_damage_to_collateral_does_more_than_be_refused(world, recorded, data):
    quote, items = recorded
    name = data.draw(st.sampled_from(sorted(items)))
    raw = bytearray(items[name])
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        world.claims(quote, items | {name: bytes(raw)})
    except SealroomError:
        return
    # PEM has bytes that mean nothing, and hexadecimal digits two cases
    assert name.endswith("chain") or b'"signature"' in raw


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_are_a_quote_or_refused(raw):
    for parse in (tdx.parse, sgx.parse):
        try:
            parse(raw)
        except SealroomError:
            continue


def test_what_is_remembered_of_one_verdict_on_a_quote_is_not_told_of_another(world):
    quote = world.td().quote(DATA)
    for status in ("UpToDate", "SWHardeningNeeded", "OutOfDate", "UpToDate"):
        items = world.items(tcb_info=TcbInfoForm(levels=(Level(status=status),)))
        assert world.claims(quote, items).tcb_status == status
        assert world.claims(quote, items).tcb_status == status


def test_the_verdict_window_is_every_window(world):
    claims = world.claims(world.td().quote(DATA), world.items())
    assert claims.validity.holds_at(AT)
    assert claims.validity.not_before == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_list_minted_by_hand_with_a_critical_extension_is_refused(world):
    from sealroom.testing.pki import CrlForm

    window = Validity(not_before=datetime(2026, 1, 1, tzinfo=UTC), not_after=datetime(2027, 1, 1, tzinfo=UTC))
    form = CrlForm(validity=window, extensions=(("2.5.29.28", True, b"\x30\x00"),))
    items = world.items() | {"pck_crl": mint_crl(form, world.platform.vendor.platform_ca)}
    assert world.refusal(world.td().quote(DATA), items) == "x509.critical-extension"


def world_of(world, platform):
    return type(world)(platform)


@pytest.fixture(scope="module")
def recorded(world):
    """One quote and its collateral, whose lengths stay as they are."""
    return world.td(version=5, td_15=True).quote(DATA), world.items()


@pytest.mark.parametrize("tee", [Tee.TDX, Tee.SGX])
def test_a_verdict_that_is_remembered_is_none_under_other_roots_with_other_collateral_or_at_another_time(world, tee):
    raw = (world.td() if tee is Tee.TDX else world.enclave()).quote(DATA)
    items, verifier = world.items(tee), for_tee(tee)
    window = world.claims(raw, items, tee).validity
    stranger = TrustRoots(insecure_simulated=frozenset({b"\x5e" * 32}))
    for roots in (TrustRoots(), stranger):
        with pytest.raises(SealroomError) as refused:
            verifier.verify(verifier.parse(raw), roots=roots, collateral=Collateral(items=items), at=AT)
        assert refused.value.code in {"x509.untrusted-root", "dcap.untrusted-root"}
    assert world.refusal(raw, items | {"tcb_info_response": b"{}"}, tee)
    assert world.refusal(raw, {name: item for name, item in items.items() if name != "pck_crl"}, tee)
    assert world.refusal(raw, items, tee, window.not_after + timedelta(seconds=1))
    assert world.refusal(raw, items, tee, window.not_before - timedelta(seconds=1))
    assert world.claims(raw, items, tee).validity == window
