"""What a relying party checks, each check alone."""

import json
from datetime import timedelta

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from ear_tokens import AT, DOTS, INTEGERS, KEY, NOW, OTHER_KEY, UNDERSCORES, b64, changed, jwk, keys, token
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jws as jwcrypto_jws

from sealroom.cbor import Tagged, encode_cbor
from sealroom.ear import Tier, Wanted, issue_cwt, issue_jwt, read_ear_cwt, read_ear_jwt
from sealroom.errors import MalformedError, MisuseError, RefusedError, UnverifiedError
from sealroom.jose import JoseAlg

NONCE = b"a nonce of ours!"


def read(claims, *, at=AT, signed_by=KEY, key_set=None, header=None, **wanted):
    return read_ear_jwt(
        token(claims, header=header, key=signed_by), key_set or keys(), at=at, wanted=Wanted(**wanted)
    )


@pytest.mark.parametrize("claims", [UNDERSCORES, DOTS])
def test_a_signed_result_is_read(claims):
    assert read(claims).status is Tier.AFFIRMING


@pytest.mark.parametrize("alg", ["none", "HS256", "RS256", "ES512", "es256"])
def test_an_algorithm_that_is_not_on_the_list_is_refused(alg):
    with pytest.raises(UnverifiedError, match=r"ear\.token-algorithm"):
        read(UNDERSCORES, header={"alg": alg})


def test_a_list_can_leave_an_algorithm_out():
    with pytest.raises(UnverifiedError, match=r"ear\.token-algorithm"):
        read(UNDERSCORES, algorithms=(JoseAlg.ES384,))


def test_a_key_in_the_header_is_never_looked_at():
    """A bare ``jwk`` in the header is the attacker's own: Trustee with ``insecure_header_jwk`` believes it."""
    with pytest.raises(UnverifiedError, match=r"ear\.token-signature"):
        read(UNDERSCORES, signed_by=OTHER_KEY, header={"jwk": jwk(OTHER_KEY)})
    with pytest.raises(UnverifiedError, match=r"ear\.token-key"):
        read(UNDERSCORES, signed_by=OTHER_KEY, header={"kid": "mine", "x5u": "https://evil.example"},
             key_set=keys(KEY, ec.generate_private_key(ec.SECP256R1())))  # fmt: skip


def test_a_changed_result_is_refused():
    head, _, signature = token(UNDERSCORES).split(".")
    better = changed(UNDERSCORES, "submods", "cpu0", "ear_trustworthiness_vector", "executables", to=2)
    with pytest.raises(UnverifiedError, match=r"ear\.token-signature"):
        read_ear_jwt(f"{head}.{b64(json.dumps(better).encode())}.{signature}", keys(), at=AT)


@pytest.mark.parametrize("raw", ["", "a.b", "a.b.c.d", token(UNDERSCORES) + ".rubbish", "." + token(UNDERSCORES)])
def test_what_is_no_token_is_refused(raw):
    with pytest.raises(MalformedError, match=r"ear\.token"):
        read_ear_jwt(raw, keys(), at=AT)


def test_an_empty_result_is_refused_though_it_is_signed():
    with pytest.raises(MalformedError, match=r"ear\.claim-missing"):
        read({})


def test_a_profile_that_is_known_and_not_wanted_is_refused():
    with pytest.raises(UnverifiedError, match=r"ear\.profile-not-accepted"):
        read(DOTS, profiles=frozenset({UNDERSCORES["eat_profile"]}))


def test_times():
    assert read(UNDERSCORES | {"exp": NOW + 1, "nbf": NOW}, max_age=timedelta(0))
    for claims, code in [
        ({"exp": NOW}, "expired"),
        ({"nbf": NOW + 61}, "not-yet-valid"),
        ({"iat": NOW + 61}, "not-yet-valid"),
    ]:
        with pytest.raises(UnverifiedError, match=rf"ear\.{code}"):
            read(UNDERSCORES | claims)
    with pytest.raises(UnverifiedError, match=r"ear\.too-old"):
        read(UNDERSCORES | {"iat": NOW - 61}, max_age=timedelta(seconds=60))
    assert read(UNDERSCORES, max_age=timedelta.max)
    with pytest.raises(MisuseError):
        read(UNDERSCORES, at=AT.replace(tzinfo=None))


def test_a_result_without_an_end_is_believed_for_a_day_and_no_longer_unless_that_is_asked():
    old = UNDERSCORES | {"iat": NOW - 24 * 3600 - 1}
    with pytest.raises(UnverifiedError, match=r"ear\.too-old"):
        read(old)
    assert read(old | {"iat": NOW - 24 * 3600})
    assert read(old, max_age=timedelta(days=2))
    assert read(old | {"exp": NOW + 1})


def test_a_floating_time_is_refused_in_strict_mode_only():
    with pytest.raises(MalformedError, match=r"ear\.time-not-integer"):
        read(DOTS | {"iat": float(NOW)})
    assert read(DOTS | {"iat": float(NOW)}, strict=False)


def test_the_nonce_is_the_whole_nonce():
    assert read(UNDERSCORES | {"eat_nonce": b64(NONCE)}, nonce=NONCE)
    assert read(UNDERSCORES | {"eat_nonce": ["another nonce", b64(NONCE)]}, nonce=NONCE)
    assert read(UNDERSCORES | {"eat_nonce": "as a text"}, nonce="as a text")
    for claims in ({}, {"eat_nonce": b64(NONCE + b"\0")}, {"eat_nonce": b64(NONCE[:-1])}):
        with pytest.raises(UnverifiedError, match=r"ear\.nonce"):
            read(UNDERSCORES | claims, nonce=NONCE)


def test_the_evidence_nonce_of_an_attester_is_not_the_result_s():
    with pytest.raises(UnverifiedError, match=r"ear\.nonce"):
        read(changed(UNDERSCORES, "submods", "cpu0", "eat_nonce", to=b64(NONCE)), nonce=NONCE)


def test_audience_and_verifier():
    assert read(UNDERSCORES | {"aud": ["x", "us"]}, audience="us", verifiers=frozenset({"https://verifier.example"}))
    for claims in ({}, {"aud": "them"}, {"aud": ["them"]}, {"aud": {"us": 1}}):
        with pytest.raises(UnverifiedError, match=r"ear\.audience"):
            read(UNDERSCORES | claims, audience="us")
    with pytest.raises(UnverifiedError, match=r"ear\.verifier"):
        read(UNDERSCORES, verifiers=frozenset({"https://other.example"}))


def test_the_issuer_is_the_one_that_is_asked_for():
    assert read(UNDERSCORES | {"iss": "https://verifier.example"}, issuer="https://verifier.example")
    for claims in ({}, {"iss": "https://other.example"}, {"iss": ["https://verifier.example"]}):
        with pytest.raises(UnverifiedError, match=r"ear\.issuer"):
            read(UNDERSCORES | claims, issuer="https://verifier.example")


def test_an_attester_that_must_be_there():
    with pytest.raises(UnverifiedError, match=r"ear\.attester-missing"):
        read(UNDERSCORES, submodules=frozenset({"cpu0", "gpu0"}))


def test_each_attester_was_appraised_by_a_policy_that_counts():
    assert read(UNDERSCORES, policies=frozenset({"policy-1"}))
    two = changed(UNDERSCORES, "submods", "gpu0", to={"ear_status": "none"})
    with pytest.raises(UnverifiedError, match=r"ear\.policy"):
        read(two, policies=frozenset({"policy-1"}))
    with pytest.raises(UnverifiedError, match=r"ear\.policy"):
        read(UNDERSCORES, policies=frozenset({"policy-2", "policy-"}))


def test_a_status_that_is_asked_for_is_the_recomputed_one():
    assert read(UNDERSCORES, least=Tier.AFFIRMING)
    claimed_only = changed(UNDERSCORES, "submods", "cpu0", "ear_trustworthiness_vector", to=...)
    for claims in (claimed_only, changed(UNDERSCORES, "submods", "gpu0", to={"ear_status": "none"})):
        with pytest.raises(RefusedError, match=r"ear\.status"):
            read(claims, least=Tier.AFFIRMING)


def cwt(claims, *, alg=-7, key=KEY, tags=(18,)):
    from cryptography.hazmat.primitives import hashes

    from sealroom.ear.write import _signature

    head, payload = encode_cbor({1: alg}), encode_cbor(claims)
    signed = encode_cbor(["Signature1", head, b"", payload])
    message = [head, {}, payload, _signature(key, signed, hashes.SHA256(), 32)]
    for tag in tags:
        message = Tagged(tag, message)
    return encode_cbor(message)


@pytest.mark.parametrize("tags", [(), (18,), (18, 61)])
def test_a_signed_cbor_result_is_read_with_or_without_its_tags(tags):
    assert read_ear_cwt(cwt(INTEGERS, tags=tags), KEY.public_key(), at=AT).status is Tier.AFFIRMING


def test_a_cbor_result_is_checked_as_one_in_json():
    raw = cwt(INTEGERS | {10: NONCE, 3: "us", 1: "me"})
    assert read_ear_cwt(raw, KEY.public_key(), at=AT, wanted=Wanted(nonce=NONCE, audience="us", issuer="me"))
    with pytest.raises(UnverifiedError, match=r"ear\.issuer"):
        read_ear_cwt(raw, KEY.public_key(), at=AT, wanted=Wanted(issuer="us"))
    with pytest.raises(UnverifiedError, match=r"ear\.nonce"):
        read_ear_cwt(raw, KEY.public_key(), at=AT, wanted=Wanted(nonce=NONCE[1:]))
    with pytest.raises(UnverifiedError, match=r"ear\.signature"):
        read_ear_cwt(raw, OTHER_KEY.public_key(), at=AT)
    with pytest.raises(UnverifiedError, match=r"ear\.cose-algorithm"):
        read_ear_cwt(cwt(INTEGERS, alg=5), KEY.public_key(), at=AT)
    with pytest.raises(UnverifiedError, match=r"ear\.cose-key"):
        read_ear_cwt(raw, ec.generate_private_key(ec.SECP384R1()).public_key(), at=AT)
    with pytest.raises(MalformedError):
        read_ear_cwt(raw + b"\0", KEY.public_key(), at=AT)
    with pytest.raises(MalformedError):
        read_ear_cwt(cwt(INTEGERS, tags=(17,)), KEY.public_key(), at=AT)


def test_an_independent_library_verifies_what_we_sign_and_signs_what_we_verify():
    for curve, alg in ((ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384")):
        key = ec.generate_private_key(curve)
        ours = issue_jwt(read(UNDERSCORES), key, header={"kid": "k"})
        theirs = jwcrypto_jwk.JWK.from_pyca(key)
        checked = jwcrypto_jws.JWS()
        checked.deserialize(ours)
        checked.verify(theirs, alg=alg)
        assert json.loads(checked.payload) == UNDERSCORES

        signed = jwcrypto_jws.JWS(json.dumps(DOTS).encode())
        signed.add_signature(theirs, None, json.dumps({"alg": alg}))
        assert read_ear_jwt(signed.serialize(compact=True), keys(key), at=AT).status is Tier.AFFIRMING


def test_an_independent_library_reads_the_claims_that_we_write_in_cbor():
    message = cbor2.loads(issue_cwt(read(UNDERSCORES), KEY))
    assert message.tag == 18
    assert cbor2.loads(message.value[0]) == {1: -7}
    assert cbor2.loads(message.value[2]) == INTEGERS
