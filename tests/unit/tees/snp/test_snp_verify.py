"""Is it what the silicon said? The numbers are of the faults that other verifiers had (cpu-tee.md, section 5)."""

import warnings
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealroom import x509_chain
from sealroom.errors import MalformedError, MisuseError, UnverifiedError
from sealroom.evidence import Collateral, Tee, TrustRoots, Validity
from sealroom.pem import as_pem
from sealroom.tees import snp
from sealroom.tees.registry import for_tee, known_tees
from sealroom.tees.snp.certificates import AMD_ROOTS, verify_endorsement
from sealroom.tees.snp.layout import SigningKey
from sealroom.tees.snp.tcb import PARTS, Product
from sealroom.testing import der
from sealroom.testing.pki import CrlForm, authority
from sealroom.testing.snp import SnpPlatform, flip_bit, leaf_extensions, tcb_bytes

AMD = "1.3.6.1.4.1.3704.1"
AT = datetime(2026, 6, 1, tzinfo=UTC)
YEAR = Validity(not_before=datetime(2026, 1, 1, tzinfo=UTC), not_after=datetime(2027, 1, 1, tzinfo=UTC))


def refusal(bench, raw, collateral=None, **arguments):
    with pytest.raises((UnverifiedError, MalformedError)) as error:
        bench.verify(raw, collateral, **arguments)
    return error.value.code


def with_leaf(bench, form):
    return bench.platform.collateral(leaf=bench.platform.issue(form))


def with_extension(bench, number, value):
    """The honest leaf with one AMD extension replaced, or left out if ``value`` is None."""
    form = bench.platform.leaf_form()
    oid = f"{AMD}.{number}"
    kept = tuple(extension for extension in form.extensions if extension[0] != oid)
    added = () if value is None else ((oid, False, value),)
    return with_leaf(bench, replace(form, extensions=kept + added))


# what holds


@pytest.mark.parametrize("kind", SigningKey)
@pytest.mark.parametrize("version", [2, 3, 4, 5])
@pytest.mark.parametrize("product", Product)
def test_every_product_kind_of_key_and_version_verifies(bench_of, product, kind, version):
    bench = bench_of(product, kind)
    claims = bench.verify(bench.report(version=version))
    assert (claims.hardware_model, claims.signer, claims.simulated) == (product, kind.name, True)
    assert claims.device_id == (bench.platform.chip_id if kind is SigningKey.VCEK else None)
    assert claims.tcb["reported"] == bench.platform.tcb
    assert claims.root == bench.platform.root_fingerprint


def test_the_verdict_holds_as_long_as_every_window_does(genoa):
    form = replace(genoa.platform.leaf_form(), validity=YEAR)
    crl = genoa.platform.vendor.crl(CrlForm(validity=replace(YEAR, not_after=datetime(2026, 7, 1, tzinfo=UTC))))
    leaf = genoa.platform.issue(form)
    assert genoa.verify(genoa.report(), genoa.platform.collateral(leaf=leaf)).validity == YEAR
    narrowed = genoa.verify(genoa.report(), genoa.platform.collateral(leaf=leaf, crl=crl)).validity
    assert narrowed.not_after == datetime(2026, 7, 1, tzinfo=UTC)


def test_serial_number_zero_gives_no_warning(genoa, recwarn):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert genoa.platform.leaf_form().serial == 0
        genoa.verify(genoa.report())
    assert not list(recwarn)


# the report's signature


@given(bit=st.integers(0, 8 * 0x330 - 1))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_flipped_bit_of_a_report_goes_unseen(genoa, bit):
    assert refusal(genoa, flip_bit(genoa.report(), bit)).startswith("snp.")


def test_r_and_s_are_little_endian(genoa):
    raw = genoa.report()
    turned = raw[:0x2A0] + raw[0x2A0:0x2D0][::-1] + bytes(24) + raw[0x2E8:0x318][::-1] + raw[0x318:]
    assert refusal(genoa, turned) == "snp.signature"


ORDER = int("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16)


def with_signature(raw, r, s):
    return raw[:0x2A0] + r.to_bytes(72, "little") + s.to_bytes(72, "little") + raw[0x330:]


@pytest.mark.parametrize(("r", "s"), [(0, 0), (0, 1), (1, 0), (ORDER, 1), (1, ORDER), (2**384 - 1, 2**384 - 1)])
def test_numbers_that_are_no_signature_are_refused(genoa, r, s):
    assert refusal(genoa, with_signature(genoa.report(), r, s)) == "snp.signature"


def test_both_forms_of_a_signature_are_as_good_since_silicon_gives_either(genoa):
    raw = genoa.report()
    r, s = (int.from_bytes(raw[start : start + 48], "little") for start in (0x2A0, 0x2E8))
    assert genoa.verify(with_signature(raw, r, ORDER - s))


def test_a_signature_by_another_key_is_refused(genoa, bench_of):
    other = bench_of()
    assert refusal(genoa, other.report()) == "snp.signature"


# 16: the leaf belongs to REPORTED_TCB


def test_16_the_certificate_belongs_to_the_reported_and_not_to_the_current_tcb(genoa):
    ahead = tcb_bytes(Product.GENOA, {**genoa.platform.tcb, "microcode": 200})
    assert genoa.verify(genoa.report(current_tcb=ahead)).tcb["current"]["microcode"] == 200
    assert refusal(genoa, genoa.report(reported_tcb=ahead)) == "snp.tcb-mismatch"


@pytest.mark.parametrize("step", [-1, 1])
@pytest.mark.parametrize(("product", "part"), [(product, part) for product in Product for part in PARTS[product]])
def test_16_every_part_of_the_tcb_must_be_the_certificates_own(bench_of, product, part, step):
    bench = bench_of(product, tcb=dict.fromkeys(PARTS[product], 100))
    other = {**bench.platform.tcb, part: 100 + step}
    assert refusal(bench, bench.report(reported_tcb=tcb_bytes(product, other))) == "snp.tcb-mismatch"


# 17: the kind of key


def test_17_a_vcek_report_that_says_vlek_and_the_other_way_round_are_refused(genoa, vlek):
    assert refusal(genoa, genoa.report(key_info=1 << 2)) == "snp.signing-key"
    assert refusal(vlek, vlek.report(key_info=0)) == "snp.signing-key"


def test_17_a_vcek_without_its_hardware_id_is_refused(genoa):
    assert refusal(genoa, genoa.report(), with_extension(genoa, "4", None)) == "snp.chip-id-mismatch"


def test_17_a_vlek_leaf_under_the_vcek_intermediate_is_refused(genoa):
    form = replace(genoa.platform.leaf_form(), subject="SEV-VLEK")
    assert refusal(genoa, genoa.report(), with_leaf(genoa, form)) == "snp.leaf-kind"


def test_17_a_vcek_that_names_a_cloud_and_a_vlek_that_names_a_chip_are_refused(genoa, vlek):
    cloud = der.element(0x16, b"CN=somebody")
    assert refusal(genoa, genoa.report(), with_extension(genoa, "5", cloud)) == "snp.leaf-kind"
    assert refusal(vlek, vlek.report(), with_extension(vlek, "4", bytes(64))) == "snp.leaf-kind"


def test_17_a_vlek_that_names_no_cloud_is_refused(vlek):
    assert refusal(vlek, vlek.report(), with_extension(vlek, "5", None)) == "snp.leaf-extension"


# 18: the hardware id is raw bytes


@pytest.mark.parametrize("start", ["0203", "0440", "0408", "3006", "0441", "0000", "ffff"])
@pytest.mark.parametrize("product", Product)
def test_18_a_chip_id_that_looks_like_der_is_taken_as_it_stands(bench_of, product, start):
    size = 8 if product is Product.TURIN else 64
    bench = bench_of(product, chip_id=bytes.fromhex(start).ljust(size, b"\x5a"))
    assert bench.verify(bench.report()).device_id == bench.platform.chip_id


def test_18_a_hardware_id_that_is_wrapped_in_der_is_refused(genoa):
    wrapped = der.octet_string(genoa.platform.chip_id)
    assert refusal(genoa, genoa.report(), with_extension(genoa, "4", wrapped)) == "snp.chip-id-mismatch"


# 19: roles by whole name


@pytest.mark.parametrize("name", ["SEV-VCEK", "SEV-Genoa-VCEK", "xSEV-Genoa", "SEV-Genoax", "SEV-", "sev-genoa"])
def test_19_an_intermediate_is_known_by_its_whole_name(genoa, name):
    vendor = genoa.platform.vendor
    ask = authority(name, vendor.ask.key, serial=9, issuer=vendor.ark)
    platform = replace(genoa.platform, vendor=replace(vendor, ask=ask))
    assert refusal(genoa, genoa.report(), platform.collateral()) == "snp.unknown-product"


@pytest.mark.parametrize("name", ["SEV-VCEKx", "SEV-Genoa", "VCEK", ""])
def test_19_a_leaf_is_known_by_its_whole_name(genoa, name):
    form = replace(genoa.platform.leaf_form(), subject=name)
    assert refusal(genoa, genoa.report(), with_leaf(genoa, form)) == "snp.leaf-kind"


def test_19_a_hardware_id_that_is_not_the_chip_id_is_refused(genoa):
    other = flip_bit(genoa.platform.chip_id, 511)
    assert refusal(genoa, genoa.report(), with_extension(genoa, "4", other)) == "snp.chip-id-mismatch"


# 20: Turin


def test_20_turin_uses_eight_bytes_of_chip_id_and_the_rest_is_zero(turin):
    chip = turin.platform.chip_id
    assert turin.verify(turin.report()).device_id == chip
    for tail in (chip.ljust(63, b"\x00") + b"\x01", chip * 8):
        assert refusal(turin, turin.report(chip_id=tail)) == "snp.chip-id-mismatch"


@pytest.mark.parametrize("size", [7, 9, 64])
def test_20_a_turin_hardware_id_of_another_size_is_refused(turin, size):
    padded = turin.platform.chip_id.ljust(size, b"\x00")[:size]
    assert refusal(turin, turin.report(), with_extension(turin, "4", padded)) == "snp.chip-id-mismatch"


def test_20_turin_needs_its_fmc_level_and_genoa_has_none(turin, genoa):
    assert refusal(turin, turin.report(), with_extension(turin, "3.9", None)) == "snp.leaf-extension"
    assert refusal(genoa, genoa.report(), with_extension(genoa, "3.9", der.integer(1))) == "snp.leaf-extension"


def test_20_the_bytes_of_a_turin_tcb_stand_at_other_places(turin):
    milan_order = tcb_bytes(Product.MILAN, {"bootloader": 1, "tee": 2, "snp": 3, "microcode": 4})
    assert refusal(turin, turin.report(current_tcb=milan_order)) == "snp.tcb-reserved"


@pytest.mark.parametrize("kind", ["current", "reported", "committed", "launch"])
@pytest.mark.parametrize("place", [2, 5])
def test_20_a_reserved_byte_of_a_genoa_tcb_is_refused(genoa, kind, place):
    raw = bytearray(tcb_bytes(Product.GENOA, genoa.platform.tcb))
    raw[place] = 1
    assert refusal(genoa, genoa.report(**{f"{kind}_tcb": bytes(raw)})) == "snp.tcb-reserved"


# 21: extension values whole


@pytest.mark.parametrize(
    "value", [b"\x02\x02\x00\x0a", b"\x02\x01\x0a\x00", b"\x02\x01", b"\x0a", b"\x04\x01\x0a", b""]
)
def test_21_a_security_patch_level_that_is_not_one_whole_der_integer_is_refused(genoa, value):
    assert refusal(genoa, genoa.report(), with_extension(genoa, "3.1", value)) == "x509.der"


@pytest.mark.parametrize("value", [-1, 256, 0x0A0A, 1 << 64])
def test_21_a_security_patch_level_that_fits_no_byte_is_refused(genoa, value):
    collateral = with_extension(genoa, "3.1", der.integer(value))
    assert refusal(genoa, genoa.report(), collateral) == "snp.leaf-extension"


def test_21_a_security_patch_level_above_127_takes_a_leading_zero(bench_of):
    bench = bench_of(tcb={"bootloader": 200, "tee": 128, "snp": 255, "microcode": 219})
    assert bench.verify(bench.report()).tcb["reported"]["snp"] == 255


@pytest.mark.parametrize("number", ["3.1", "3.2", "3.3", "3.8"])
def test_21_a_leaf_without_a_security_patch_level_is_refused(genoa, number):
    assert refusal(genoa, genoa.report(), with_extension(genoa, number, None)) == "snp.leaf-extension"


@pytest.mark.parametrize("number", ["3.4", "3.5", "3.6", "3.7"])
def test_21_a_spare_patch_level_may_be_missing_and_may_not_be_other_than_zero(genoa, number):
    assert genoa.verify(genoa.report(), with_extension(genoa, number, None))
    assert refusal(genoa, genoa.report(), with_extension(genoa, number, der.integer(1))) == "snp.leaf-extension"


@pytest.mark.parametrize("value", [None, der.integer(2), der.integer(-1), b"\x02\x01", b"\x00"])
def test_21_extensions_of_an_unknown_version_are_not_guessed_at(genoa, value):
    code = refusal(genoa, genoa.report(), with_extension(genoa, "1", value))
    assert code in {"snp.leaf-extension", "x509.der"}


# 23: product names


@pytest.mark.parametrize("name", ["Genoa", "Genoa-B1"])
def test_23_a_product_name_with_and_without_stepping_is_the_same_product(genoa, name):
    assert genoa.verify(genoa.report(), with_extension(genoa, "2", der.element(0x16, name.encode())))


@pytest.mark.parametrize("name", ["Milan", "Milan-B0", "GenoaX", "genoa", ""])
def test_23_another_product_name_is_refused(genoa, name):
    collateral = with_extension(genoa, "2", der.element(0x16, name.encode()))
    assert refusal(genoa, genoa.report(), collateral) == "snp.product-mismatch"


@pytest.mark.parametrize("value", [None, b"Genoa", b"\x16\x05Geno", b"\x0c\x05Genoa", b"\x16\x05Geno\xe9"])
def test_23_a_product_name_that_is_no_ia5_string_is_refused(genoa, value):
    assert refusal(genoa, genoa.report(), with_extension(genoa, "2", value)) in {"x509.der", "snp.leaf-extension"}


@pytest.mark.parametrize(("family", "model"), [(0x19, 0x10), (0x19, 0x1F), (0x19, 0xA0), (0x19, 0xAF)])
def test_23_every_model_of_the_genoa_line_answers_to_genoas_root(genoa, family, model):
    assert genoa.verify(genoa.report(cpuid_fam=family, cpuid_mod=model)).hardware_model == "Genoa"


@pytest.mark.parametrize(
    ("family", "model", "code"),
    [
        (0x19, 0x01, "snp.product-mismatch"),
        (0x1A, 0x02, "snp.product-mismatch"),
        (0x1A, 0x11, "snp.product-mismatch"),
        (0x1A, 0x12, "snp.unknown-product"),
        (0x1A, 0x50, "snp.unknown-product"),
        (0x19, 0x20, "snp.unknown-product"),
        (0x17, 0x31, "snp.unknown-product"),
        (0, 0, "snp.unknown-product"),
    ],
)
def test_23_a_cpuid_of_another_or_of_no_product_is_refused(genoa, family, model, code):
    assert refusal(genoa, genoa.report(cpuid_fam=family, cpuid_mod=model)) == code


# 24: version 2


def test_24_a_version_2_report_takes_its_product_from_the_issuer_with_the_chip_masked_or_not(vlek, bench_of):
    assert vlek.verify(vlek.report(version=2)).hardware_model == "Milan"
    milan = bench_of(Product.MILAN)
    assert milan.verify(milan.report(version=2, chip_id=bytes(64))).hardware_model == "Milan"


# 25: masked chip ids


@pytest.mark.parametrize("fixture", ["genoa", "turin"])
def test_25_a_masked_chip_id_is_no_chip_id_and_a_policy_sees_it(request, fixture):
    bench = request.getfixturevalue(fixture)
    claims = bench.verify(bench.report(chip_id=bytes(64)))
    assert claims.device_id is None
    assert "chip_id_masked" in claims.flags


def test_25_masking_the_chip_key_is_not_masking_the_chip_id(genoa):
    claims = genoa.verify(genoa.report(key_info=1 << 1))
    assert claims.device_id == genoa.platform.chip_id
    assert claims.details["mask_chip_key"] == 1
    assert "chip_id_masked" not in claims.flags


def test_25_a_vlek_names_no_chip_and_that_is_no_mask(vlek):
    claims = vlek.verify(vlek.report())
    assert claims.device_id is None
    assert "chip_id_masked" not in claims.flags
    assert claims.details["csp_id"] == "CN=simulated.example"


# 26, 28: anchors


def test_26_a_root_that_nobody_names_is_no_anchor_whatever_its_name(genoa):
    collateral = genoa.platform.collateral()
    with pytest.raises(UnverifiedError) as error:
        snp.verify(snp.parse(genoa.report()), roots=TrustRoots(), collateral=collateral, at=AT)
    assert error.value.code == "x509.untrusted-root"


def test_28_the_whole_chain_made_anew_under_the_same_names_is_refused(genoa, bench_of):
    stranger = SnpPlatform.create(Product.GENOA, chip_id=genoa.platform.chip_id)
    raw = stranger.sign(stranger.report_values())
    assert refusal(genoa, raw, stranger.collateral()) == "x509.untrusted-root"
    # not even with the genuine root put behind it
    issuers = as_pem(stranger.vendor.ask.certificate, genoa.platform.vendor.ark.certificate)
    assert refusal(genoa, raw, stranger.collateral(chain=issuers)) == "x509.signature"


def test_28_amds_roots_are_the_pinned_ones():
    assert set(AMD_ROOTS.values()) == set(Product)
    assert all(len(fingerprint) == 32 for fingerprint in AMD_ROOTS)


# the chain


def test_the_other_intermediate_of_the_same_product_is_refused(genoa, bench_of):
    vlek = bench_of(Product.GENOA, SigningKey.VLEK)
    chain = genoa.platform.vendor.chain(SigningKey.VLEK)
    assert refusal(genoa, genoa.report(), genoa.platform.collateral(chain=chain)) == "x509.issuer-name"
    assert (
        refusal(vlek, vlek.report(), vlek.platform.collateral(chain=vlek.platform.vendor.chain()))
        == "x509.issuer-name"
    )


def test_an_intermediate_of_one_product_under_the_root_of_another_is_refused(genoa, vendors):
    milan = authority("SEV-Milan", vendors[Product.MILAN].ask.key, serial=9, issuer=genoa.platform.vendor.ark)
    mixed = replace(genoa.platform, vendor=replace(genoa.platform.vendor, ask=milan))
    assert refusal(genoa, genoa.report(), mixed.collateral()) == "snp.product-mismatch"


def test_an_intermediate_with_a_shorter_key_is_refused(genoa):
    short = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    vendor = genoa.platform.vendor
    platform = replace(
        genoa.platform, vendor=replace(vendor, ask=authority("SEV-Genoa", short, serial=9, issuer=vendor.ark))
    )
    assert refusal(genoa, genoa.report(), platform.collateral()) == "snp.issuer-key"


def test_a_leaf_on_another_curve_is_refused(genoa):
    form = replace(genoa.platform.leaf_form(), public_key=ec.generate_private_key(ec.SECP256R1()).public_key())
    assert refusal(genoa, genoa.report(), with_leaf(genoa, form)) == "snp.leaf-key"


def test_a_chain_with_one_more_intermediate_is_refused(genoa):
    vendor = genoa.platform.vendor
    wide = authority("SEV-Genoa", vendor.ask.key, serial=9, issuer=vendor.ark)
    lower = authority("SEV-Genoa", vendor.ask.key, serial=10, issuer=wide)
    platform = replace(genoa.platform, vendor=replace(vendor, ask=lower))
    chain = as_pem(lower.certificate, wide.certificate, vendor.ark.certificate)
    assert refusal(genoa, genoa.report(), platform.collateral(chain=chain)) == "snp.chain-length"


def test_a_leaf_directly_below_the_root_is_refused(genoa):
    vendor = genoa.platform.vendor
    platform = replace(genoa.platform, vendor=replace(vendor, ask=vendor.ark))
    chain = as_pem(vendor.ark.certificate)
    assert refusal(genoa, genoa.report(), platform.collateral(chain=chain)) == "snp.chain-length"


@pytest.mark.parametrize("missing", ["leaf", "chain"])
def test_missing_collateral_is_a_refusal_and_never_a_skip(genoa, missing):
    items = {name: raw for name, raw in genoa.platform.collateral().items.items() if name != missing}
    assert refusal(genoa, genoa.report(), Collateral(items=items)) == "collateral.missing"


def test_an_expired_leaf_is_refused_though_its_chain_was_seen_before(genoa):
    leaf = genoa.platform.issue(replace(genoa.platform.leaf_form(), validity=YEAR))
    collateral = genoa.platform.collateral(leaf=leaf)
    assert genoa.verify(genoa.report(), collateral)
    assert refusal(genoa, genoa.report(), collateral, at=datetime(2027, 6, 1, tzinfo=UTC)) == "x509.expired"
    assert refusal(genoa, genoa.report(), collateral, at=datetime(2025, 6, 1, tzinfo=UTC)) == "x509.not-yet-valid"


# revocation


@pytest.mark.parametrize("serial", [0, 0x20000, 0x20001], ids=["leaf", "root", "intermediate"])
def test_a_revoked_certificate_is_refused(genoa, serial):
    crl = genoa.platform.vendor.crl(CrlForm(revoked=(5, serial)))
    assert refusal(genoa, genoa.report(), genoa.platform.collateral(crl=crl)) == "x509.revoked"


def test_a_revocation_list_that_names_others_changes_nothing(genoa):
    crl = genoa.platform.vendor.crl(CrlForm(revoked=(5, 6, 1 << 80)))
    for raw in (crl, as_pem(crl, label="X509 CRL")):
        assert genoa.verify(genoa.report(), genoa.platform.collateral(crl=raw))


def test_the_claims_say_whether_a_revocation_list_was_looked_at_and_until_when_it_holds(genoa):
    until = datetime(2026, 12, 1, tzinfo=UTC)
    crl = genoa.platform.vendor.crl(CrlForm(validity=replace(YEAR, not_after=until)))
    checked = genoa.verify(genoa.report(), genoa.platform.collateral(crl=crl)).details
    silent = genoa.verify(genoa.report()).details

    assert (checked["revocation"], checked["revocation_until"]) == ("checked", "2026-12-01T00:00:00+00:00")
    assert silent["revocation"] == "none"
    assert "revocation_until" not in silent


def test_an_expired_revocation_list_is_refused_and_not_passed_over(genoa):
    past = Validity(not_before=datetime(2025, 1, 1, tzinfo=UTC), not_after=datetime(2025, 2, 1, tzinfo=UTC))
    crl = genoa.platform.vendor.crl(CrlForm(validity=past))
    assert refusal(genoa, genoa.report(), genoa.platform.collateral(crl=crl)) == "x509.expired"


def test_a_revocation_list_of_somebody_else_is_refused_and_not_passed_over(genoa, vendors):
    for vendor in (vendors[Product.MILAN], replace(vendors[Product.GENOA], ark=genoa.platform.vendor.ask)):
        crl = vendor.crl()
        assert refusal(genoa, genoa.report(), genoa.platform.collateral(crl=crl)) == "x509.crl-issuer"
    assert refusal(genoa, genoa.report(), genoa.platform.collateral(crl=b"")) == "x509.der"


# what only a policy can judge


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, {"smt_allowed"}),
        ({"policy": 0x20000}, set()),
        ({"policy": 0xB0000}, {"guest_debug", "smt_allowed"}),
        ({"policy": 0x70000}, {"migrate_ma", "smt_allowed"}),
        ({"policy": 0x220000}, {"cxl_allowed"}),
        ({"vmpl": 2}, {"smt_allowed", "vmpl_2"}),
        ({"vmpl": 0xFFFFFFFF}, {"smt_allowed", "vmpl_4294967295"}),
    ],
)
def test_facts_that_a_policy_has_to_see_are_flags(genoa, changes, flags):
    assert genoa.verify(genoa.report(**changes)).flags == flags


def test_firmware_that_can_not_be_is_flagged(genoa):
    ahead = tcb_bytes(Product.GENOA, {**genoa.platform.tcb, "snp": 200, "microcode": 0})
    assert "committed_tcb_above_current" in genoa.verify(genoa.report(committed_tcb=ahead)).flags


def test_the_claims_carry_the_reports_fields(genoa):
    values = {"measurement": b"m" * 48, "host_data": b"h" * 32, "id_key_digest": b"i" * 48, "report_data": b"r" * 64}
    claims = genoa.verify(genoa.report(**values, policy=0x3011F | 1 << 20, guest_svn=7))
    assert claims.report_data == values.pop("report_data")
    assert {name: claims.measurements[name] for name in values} == values
    assert (claims.details["abi_major"], claims.details["abi_minor"], claims.details["guest_svn"]) == (1, 0x1F, 7)
    assert claims.details["policy_single_socket"] == 1


# the registry and the doors


def test_the_registry_runs_the_three_verbs_and_keeps_tees_apart(genoa):
    verifier = for_tee(Tee.SNP)
    roots = TrustRoots(insecure_simulated=frozenset({genoa.platform.root_fingerprint}))
    evidence = verifier.parse(genoa.report())
    verified = verifier.verify(evidence, roots=roots, collateral=genoa.platform.collateral(), at=AT)
    assert verifier.claims(verified).tee is Tee.SNP
    assert set(known_tees()) == set(Tee)


def test_evidence_of_another_kind_is_a_mistake_of_ours(genoa):
    class Other:
        pass

    with pytest.raises(MisuseError):
        for_tee(Tee.SNP).verify(Other(), roots=TrustRoots(), collateral=Collateral(items={}), at=AT)
    with pytest.raises(MisuseError):
        snp.claims(Other())


def test_a_certificate_chain_alone_can_be_verified(turin):
    roots = TrustRoots(insecure_simulated=frozenset({turin.platform.root_fingerprint}))
    endorsement = verify_endorsement(turin.platform.collateral(), roots=roots, at=AT)
    assert (endorsement.product, endorsement.hardware_id) == (Product.TURIN, turin.platform.chip_id)


@given(data=st.data())
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damage_to_the_collateral_does_more_than_be_refused(genoa, data):
    items = dict(genoa.platform.collateral(crl=genoa.platform.vendor.crl()).items)
    name = data.draw(st.sampled_from(sorted(items)))
    raw = bytearray(items[name])
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    items[name] = bytes(raw)
    with suppress(MalformedError, UnverifiedError):  # anything else fails the test
        genoa.verify(genoa.report(), Collateral(items=items))


def test_remembering_changes_no_verdict(genoa):
    raw, collateral = genoa.report(), genoa.platform.collateral()
    first = genoa.verify(raw, collateral)
    x509_chain.forget()
    assert genoa.verify(raw, collateral) == first
    assert refusal(genoa, flip_bit(raw, 0x90 * 8), collateral) == "snp.signature"


def test_leaf_extensions_are_minted_in_the_shape_of_the_real_ones():
    tcb = dict.fromkeys(PARTS[Product.TURIN], 1)
    numbers = [oid.removeprefix(f"{AMD}.") for oid, _, _ in leaf_extensions(Product.TURIN, tcb, hardware_id=bytes(8))]
    assert numbers == ["1", "2", "3.1", "3.2", "3.3", "3.5", "3.6", "3.7", "3.8", "3.9", "4"]
