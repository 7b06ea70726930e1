"""Reading claims: three spellings, one meaning, and nothing that two readers could read differently."""

import json
import struct

import pytest
from ear_tokens import ALL, DOTS, INTEGERS, NOW, UNDERSCORES, changed

from sealroom.cbor import Tagged, encode_cbor
from sealroom.ear import Spelling, Tier, read_claims_cbor, read_claims_json
from sealroom.errors import MalformedError, SealroomError, UnverifiedError


def read(claims, **options):
    if 265 in claims or 6 in claims:
        return read_claims_cbor(encode_cbor(claims), **options)
    return read_claims_json(json.dumps(claims).encode(), **options)


def test_three_spellings_say_the_same():
    results = [read(claims) for claims in ALL]
    assert [result.spelling for result in results] == [Spelling.UNDERSCORES, Spelling.DOTS, Spelling.INTEGERS]
    for result in results:
        (cpu,) = result.submodules
        assert (cpu.label, cpu.status, cpu.policy_ids) == ("cpu0", Tier.AFFIRMING, ("policy-1",))
        assert cpu.vector.members() == {"executables": 3, "hardware": 2}
        assert result.verifier.developer == "https://verifier.example"
        assert int(result.issued_at.timestamp()) == NOW
        assert result.status is Tier.AFFIRMING


CASES = [
    (UNDERSCORES, "ear_status", "ear_trustworthiness_vector"),
    (DOTS, "ear.status", "ear.trustworthiness-vector"),
]


@pytest.mark.parametrize(("claims", "status", "vector"), CASES)
@pytest.mark.parametrize(("member", "value"), [("hardware", 97), ("executables", 33), ("configuration", -97),
                                               ("hardware", 1)])  # fmt: skip
def test_a_status_better_than_its_vector_is_refused(claims, status, vector, member, value):
    with pytest.raises(UnverifiedError, match=r"ear\.status-overstated"):
        read(changed(claims, "submods", "cpu0", vector, member, to=value))


def test_a_status_better_than_its_vector_is_refused_in_cbor():
    with pytest.raises(UnverifiedError, match=r"ear\.status-overstated"):
        read(changed(INTEGERS, 266, "cpu0", 1001, 4, to=96))


def test_a_vector_of_zeros_carries_no_affirming_status():
    with pytest.raises(UnverifiedError, match=r"ear\.status-overstated"):
        read(changed(UNDERSCORES, "submods", "cpu0", "ear_trustworthiness_vector", to={"hardware": 0}))


def test_a_status_worse_than_its_vector_stands():
    result = read(changed(UNDERSCORES, "submods", "cpu0", "ear_status", to="contraindicated"))
    assert result.status is Tier.CONTRAINDICATED


def test_a_status_without_a_vector_is_read_and_asserts_nothing():
    result = read(changed(UNDERSCORES, "submods", "cpu0", "ear_trustworthiness_vector", to=...))
    assert result.submodules[0].claimed is Tier.AFFIRMING
    assert result.status is Tier.NONE


def test_the_overall_status_is_no_better_than_the_worst_attester():
    two = changed(UNDERSCORES, "submods", "gpu0", to={"ear_status": "warning"})
    assert read(two | {"ear_status": "warning"}).status is Tier.WARNING
    with pytest.raises(UnverifiedError, match=r"ear\.status-overstated"):
        read(two | {"ear_status": "affirming"})


@pytest.mark.parametrize(
    ("claims", "path"),
    [(UNDERSCORES, ("iat",)), (UNDERSCORES, ("ear_verifier_id",)), (UNDERSCORES, ("submods",)),
     (UNDERSCORES, ("eat_profile",)), (UNDERSCORES, ("submods", "cpu0", "ear_status")),
     (UNDERSCORES, ("ear_verifier_id", "build")), (DOTS, ("ear.verifier-id",)),
     (DOTS, ("submods", "cpu0", "ear.status")),
     (INTEGERS, (265,)), (INTEGERS, (1004,)), (INTEGERS, (266,)), (INTEGERS, (266, "cpu0", 1000)),
     (INTEGERS, (1004, 0))],
)  # fmt: skip
def test_what_must_be_there_must_be_there(claims, path):
    with pytest.raises(MalformedError, match=r"ear\.(claim|profile)"):
        read(changed(claims, *path, to=...))


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("iat",), 1.666529184e09, r"ear\.time-not-integer"), (("iat",), "1", r"ear\.time-not-integer"),
        (("iat",), True, r"ear\.time-not-integer"), (("iat",), -1, r"ear\.claim"), (("iat",), 10**18, r"ear\.claim"),
        (("exp",), NOW + 0.5, r"ear\.time-not-integer"), (("nbf",), float(NOW), r"ear\.time-not-integer"),
        (("exp",), None, r"ear\.claim"), (("eat_profile",), "tag:ietf.org,2026:rats/ear#99", r"ear\.profile-unknown"),
        (("eat_profile",), "1.2.3.4.5", r"ear\.profile-unknown"), (("eat_profile",), ["x"], r"ear\.profile-unknown"),
        (("submods",), {}, r"ear\.submods"), (("submods",), [], r"ear\.submods"),
        (("submods",), {"cpu0": "a.b.c"}, r"ear\.claim"), (("submods",), {"": {"ear_status": "none"}}, r"ear\.claim"),
        (("eat_nonce",), "1337", r"ear\.claim"), (("eat_nonce",), [], r"ear\.claim"),
        (("eat_nonce",), "x" * 89, r"ear\.claim"),
        (("ear_verifier_id",), "me", r"ear\.claim"), (("ear_raw_evidence",), "a=", r"ear\.claim"),
        (("ear_raw_evidence",), "?", r"ear\.claim"), (("ear_status",), "splendid", r"ear\.claim"),
        (("submods", "cpu0", "ear_status"), 2, r"ear\.claim"),
        (("submods", "cpu0", "ear_status"), "AFFIRMING", r"ear\.claim"),
        (("submods", "cpu0", "ear_trustworthiness_vector"), [2], r"ear\.claim"),
        (("submods", "cpu0", "ear_trustworthiness_vector", "hardware"), 2.0, r"ear\.claim"),
        (("submods", "cpu0", "ear_trustworthiness_vector", "hardware"), True, r"ear\.claim"),
        (("submods", "cpu0", "ear_trustworthiness_vector", "hardware"), 128, r"ear\.claim"),
        (("submods", "cpu0", "ear_trustworthiness_vector", "luck"), 2, r"ear\.claim"),
        (("submods", "cpu0", "ear_appraisal_policy_ids"), [], r"ear\.claim"),
        (("submods", "cpu0", "ear_appraisal_policy_ids"), "policy", r"ear\.claim"),
        (("submods", "\ud800"), {"ear_status": "none"}, r"ear\.claim"),
    ],
)  # fmt: skip
def test_a_claim_that_is_not_as_defined_is_refused(path, value, code):
    with pytest.raises(MalformedError, match=code):
        read(changed(UNDERSCORES, *path, to=value))


def test_a_floating_time_is_read_only_where_the_caller_bears_old_verifiers():
    old = changed(DOTS, "iat", to=float(NOW))
    with pytest.raises(MalformedError, match=r"ear\.time-not-integer"):
        read(old)
    assert int(read(old, strict=False).issued_at.timestamp()) == NOW
    with pytest.raises(MalformedError, match=r"ear\.time-not-integer"):
        read(changed(DOTS, "iat", to=NOW + 0.5), strict=False)


@pytest.mark.parametrize(
    ("claims", "path", "value"),
    [(UNDERSCORES, ("submods", "cpu0", "ear.status"), "contraindicated"), (UNDERSCORES, ("ear.verifier-id",), {}),
     (DOTS, ("submods", "cpu0", "ear_status"), "contraindicated"), (DOTS, ("ear_status",), "affirming"),
     (UNDERSCORES, ("eat_profile",), DOTS["eat_profile"]), (DOTS, ("eat_profile",), UNDERSCORES["eat_profile"]),
     (INTEGERS, ("ear_status",), "none"), (INTEGERS, (265,), DOTS["eat_profile"])],
)  # fmt: skip
def test_no_claim_hides_behind_the_other_spelling(claims, path, value):
    """Else a reader of old results sees a contraindicated attester where one of new results sees an affirmed one."""
    with pytest.raises(MalformedError):
        read(changed(claims, *path, to=value))


def test_old_results_name_one_policy_or_several_but_not_twice():
    several = changed(DOTS, "submods", "cpu0", "ear.appraisal-policy-ids", to=["a", "b"])
    with pytest.raises(MalformedError, match="two claims"):
        read(several)
    only = changed(several, "submods", "cpu0", "ear.appraisal-policy-id", to=...)
    assert read(only).submodules[0].policy_ids == ("a", "b")


@pytest.mark.parametrize(
    "attester",
    [["JWT", "a.b.c"], ["DIGEST", ["sha-256", "AAAA"]],
     UNDERSCORES,
     {"ear_status": "affirming", "submods": {"gpu": {"ear_status": "contraindicated"}}}],
    ids=["a token", "a digest", "a result of another verifier", "attesters below an attester"],
)  # fmt: skip
def test_an_attester_whose_appraisal_lies_elsewhere_is_refused_and_not_passed_over(attester):
    with pytest.raises(MalformedError, match=r"ear\.nested"):
        read(changed(UNDERSCORES, "submods", "gpu0", to=attester))


@pytest.mark.parametrize("attester", [b"\xd2\x84", [1, b""], Tagged(18, [b"", {}, b"", b""]),
                                      {1000: 2, 266: {"gpu": {1000: 96}}}])  # fmt: skip
def test_an_attester_whose_appraisal_lies_elsewhere_is_refused_in_cbor_too(attester):
    with pytest.raises(MalformedError, match=r"ear\.nested"):
        read(changed(INTEGERS, 266, "gpu0", to=attester))


def test_old_results_in_cbor_name_their_policy_as_one_text():
    old = changed(INTEGERS, 265, to="tag:github.com,2023:veraison/ear")
    assert read(changed(old, 266, "cpu0", 1003, to="policy-1")).submodules[0].policy_ids == ("policy-1",)
    with pytest.raises(MalformedError, match=r"ear\.claim"):
        read(changed(INTEGERS, 266, "cpu0", 1003, to="policy-1"))


def test_claims_that_are_not_known_are_carried():
    """RFC 9711 section 5 and the draft: a receiver passes over claims that it does not know."""
    result = read(UNDERSCORES | {"iss": "x", "vendor_claim": {"a": 1}})
    assert result.extensions == {"iss": "x", "vendor_claim": {"a": 1}}


@pytest.mark.parametrize(
    ("path", "value"),
    [((266, "cpu0", 1000), "affirming"), ((266, "cpu0", 1000), 3), ((266, "cpu0", 1000), True),
     ((266, "cpu0", 1001), {8: 2}), ((266, "cpu0", 1001), {-1: 2}), ((266, "cpu0", 1001), {"hardware": 2}),
     ((266, "cpu0", 1001), {4: 200}), ((10,), b"short"), ((10,), "a text of enough"), ((10,), b"x" * 65),
     ((1002,), "text"), ((266,), {1: {1000: 0}})],
)  # fmt: skip
def test_a_cbor_claim_that_is_not_as_defined_is_refused(path, value):
    with pytest.raises(MalformedError, match=r"ear\."):
        read(changed(INTEGERS, *path, to=value))


def test_a_floating_time_in_cbor_is_refused_too():
    rest = encode_cbor(changed(INTEGERS, 6, to=...))
    raw = bytes([rest[0] + 1]) + rest[1:] + b"\x06\xfb" + struct.pack(">d", NOW)
    with pytest.raises(MalformedError, match=r"ear\.time-not-integer"):
        read_claims_cbor(raw)
    assert int(read_claims_cbor(raw, strict=False).issued_at.timestamp()) == NOW


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{", b'{"a":1,"a":1}', b"\xff", b"[" * 5000, b"{}",
                                 b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1e999}'])  # fmt: skip
def test_bytes_that_are_no_claims_are_refused(raw):
    with pytest.raises(MalformedError, match=r"ear\."):
        read_claims_json(raw)


@pytest.mark.parametrize("raw", [b"", b"\x80", b"\xa0", b"\xa2\x06\x01\x06\x01", b"\xff", b"\xa1"])
def test_bytes_that_are_no_cbor_claims_are_refused(raw):
    with pytest.raises(MalformedError, match=r"ear\."):
        read_claims_cbor(raw)


@pytest.mark.parametrize("raw", [json.dumps(UNDERSCORES).encode(), json.dumps(DOTS).encode()])
def test_each_beginning_of_a_result_is_refused(raw):
    for end in range(len(raw)):
        with pytest.raises(SealroomError):
            read_claims_json(raw[:end])


def test_each_beginning_of_a_cbor_result_is_refused():
    raw = encode_cbor(INTEGERS)
    for end in range(len(raw)):
        with pytest.raises(SealroomError):
            read_claims_cbor(raw[:end])
    with pytest.raises(MalformedError):
        read_claims_cbor(raw + b"\x00")
