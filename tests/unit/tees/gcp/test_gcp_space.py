"""Tokens of Confidential Space: each minted fault refused for its own reason, each weakness a flag."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sealroom.errors import SealroomError
from sealroom.evidence import Claims, Collateral, TrustRoots
from sealroom.tees import gcp
from sealroom.tees.gcp.certificates import GCE_ROOTS
from sealroom.tees.gcp.pki_token import SPACE_ROOTS
from sealroom.testing.gcp_cases import NONCE, GcpCase
from sealroom.testing.gcp_space import container
from sealroom.testing.gcp_space_cases import SpaceBench, authentic_tokens
from sealroom.testing.gcp_space_faults import token_faults

BENCH = SpaceBench.create()
FAULTS = {case.name: case for case in token_faults(BENCH)}
AUTHENTIC = {case.name: case for case in authentic_tokens(BENCH)}
TDX = {"gcp_attester_tcb_status": "OutOfDate", "gcp_attester_tcb_date": "2024-03-13T00:00:00Z"}


def judged(case: GcpCase, roots: TrustRoots | None = None) -> Claims:
    trusted = roots or TrustRoots(insecure_simulated=case.roots)
    return gcp.claims(gcp.verify(gcp.parse(case.raw), roots=trusted, collateral=case.collateral, at=case.at))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_for_its_own_reason(name):
    with pytest.raises(SealroomError) as refusal:
        judged(FAULTS[name])
    assert refusal.value.code == FAULTS[name].code


@pytest.mark.parametrize("name", AUTHENTIC)
def test_what_is_authentic_is_accepted_with_its_flags(name):
    claims = judged(AUTHENTIC[name])
    assert (claims.flags, claims.simulated) == (AUTHENTIC[name].flags, True)
    assert claims.debug == ("debug" in claims.flags)


def test_each_case_has_a_name_of_its_own():
    names = Counter(case.name for make in (token_faults, authentic_tokens) for case in make(BENCH))
    assert [name for name, times in names.items() if times > 1] == []
    assert len(FAULTS) > 100


def test_a_key_that_the_relying_party_named_makes_a_token_real():
    case = BENCH.case("x")
    named = TrustRoots(token_signers=frozenset({BENCH.space.signer.fingerprint}))
    claims = judged(case, named)
    assert (claims.simulated, claims.root) == (False, BENCH.space.signer.fingerprint)
    assert claims.details["token_type"] == "OIDC"


def test_a_named_key_is_no_root_and_a_root_is_no_named_key():
    """A policy that names the service's key says nothing of who may certify others; the other way round neither."""
    named = TrustRoots(token_signers=frozenset({BENCH.space.signer.fingerprint, BENCH.above.root_fingerprint}))
    with pytest.raises(SealroomError) as refusal:
        judged(BENCH.certified("x"), named)
    assert refusal.value.code == "x509.untrusted-root"
    of_root = TrustRoots(insecure_simulated=frozenset({BENCH.above.root_fingerprint}))
    with pytest.raises(SealroomError) as refusal:
        judged(BENCH.case("x"), of_root)
    assert refusal.value.code == "gcp.unknown-signer"


def test_google_s_root_is_pinned_and_vouches_for_tokens_alone():
    (pinned,) = SPACE_ROOTS
    assert pinned.hex().startswith("148b293821bb0c6a")
    assert pinned not in GCE_ROOTS
    claims = judged(BENCH.certified("x"))
    assert (claims.root, claims.details["token_type"]) == (BENCH.above.root_fingerprint, "PKI")


def test_a_certified_token_holds_no_longer_than_its_certificates():
    case = BENCH.certified("x", exp=datetime(2060, 1, 1, tzinfo=UTC).timestamp())
    assert judged(case).validity.not_after == datetime(2049, 12, 31, tzinfo=UTC)


@pytest.mark.parametrize(("nonce", "bound"), [
    (NONCE.hex(), NONCE), ([NONCE.hex()], NONCE), (NONCE.hex().upper(), NONCE.hex().upper().encode()),
    ("some text", b"some text"), (["a", "b"], b""), ([], b""), (7, b""), ([7], b""), ({"a": "b"}, b""),
    (f" {NONCE.hex()}", f" {NONCE.hex()}".encode()),
])  # fmt: skip
def test_a_token_binds_its_one_nonce_or_nothing(nonce, bound):
    """Of several nonces nobody could say which one binds."""
    assert judged(BENCH.case("x", nonce=nonce)).report_data == bound


@pytest.mark.parametrize(("audience", "told"), [
    ("https://room.example", "https://room.example"), (["https://room.example"], "https://room.example"),
    (["b", "a"], "a b"), ([], None), (5, None),
])  # fmt: skip
def test_an_audience_is_told_and_several_equal_no_one_s(audience, told):
    assert judged(BENCH.case("x", audience=audience)).details.get("audience") == told


@pytest.mark.parametrize("digest", ["5d" * 32, "sha256:" + "5D" * 32, "sha512:" + "5d" * 32, "sha256:5d", ""])
def test_an_image_is_measured_by_sha256_or_not_at_all(digest):
    claims = judged(BENCH.case("x", submods=BENCH.submods(container=container(image_digest=digest))))
    assert ("image_digest" in claims.measurements) == (digest == "5d" * 32)


def test_what_google_says_of_a_td_is_told_and_never_more_than_a_flag():
    claims = judged(BENCH.case("x", hwmodel="GCP_INTEL_TDX", tdx=TDX))
    assert (claims.tcb_status, claims.tcb_date) == ("OutOfDate", datetime(2024, 3, 13, tzinfo=UTC))
    assert (claims.inner, claims.hardware_model) == (None, "GCP_INTEL_TDX")
    assert judged(BENCH.case("x")).tcb_status is None


def test_a_token_of_another_issuer_s_key_set_is_not_taken_though_it_is_signed():
    case = BENCH.case("x")
    other = replace(case, collateral=Collateral(items={"jwks": BENCH.stranger.jwks(BENCH.space.signer)}))
    assert judged(other).root == BENCH.space.signer.fingerprint
    only = replace(case, collateral=Collateral(items={"jwks": BENCH.stranger.jwks()}))
    with pytest.raises(SealroomError) as refusal:
        judged(only)
    assert refusal.value.code == "gcp.token-key"
