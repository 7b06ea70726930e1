"""Values, tiers, and the status that follows from them."""

import pytest

from sealroom.ear.vector import MEMBERS, Tier, TrustVector, better, tier_of, worst

N, A, W, C = Tier.NONE, Tier.AFFIRMING, Tier.WARNING, Tier.CONTRAINDICATED


@pytest.mark.parametrize(
    ("value", "tier"),
    [(-1, N), (0, N), (1, N), (2, A), (31, A), (-2, A), (-32, A), (32, W), (95, W), (-33, W), (-96, W), (96, C),
     (127, C), (-97, C), (-128, C)],
)  # fmt: skip
def test_each_value_has_the_tier_of_its_range(value, tier):
    assert tier_of(value) is tier


@pytest.mark.parametrize("value", [-129, 128, 10**9])
def test_what_is_no_signed_octet_has_no_tier(value):
    with pytest.raises(ValueError, match="signed octet"):
        tier_of(value)


def test_the_worst_member_decides_and_zero_is_the_same_as_absent():
    assert TrustVector(hardware=2, executables=0).tier is A
    assert TrustVector(hardware=2, executables=33).tier is W
    assert TrustVector(hardware=97, executables=2).tier is C
    assert TrustVector().tier is N
    assert TrustVector(hardware=0, sourced_data=0) == TrustVector()


def test_a_verifier_that_broke_down_affirms_nothing():
    """-1 and 1 say that a claim could not be made: that is less than affirming, though the tier's number is lower."""
    assert TrustVector(hardware=2, executables=-1).tier is N
    assert TrustVector(hardware=2, executables=1).tier is N


def test_none_is_less_trust_than_affirming_and_more_than_a_warning():
    assert better(A, N)
    assert better(N, W)
    assert better(W, C)
    assert not better(N, A)
    assert worst([A, N]) is N
    assert worst([]) is N


def test_members_have_the_places_that_are_their_numbers_in_cbor():
    assert MEMBERS == ("instance-identity", "configuration", "executables", "file-system", "hardware",
                       "runtime-opaque", "storage-opaque", "sourced-data")  # fmt: skip
