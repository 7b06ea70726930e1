"""Reference files: what a publisher signs is accepted from then on, for a time, and nothing else is."""

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from jwcrypto import jwk, jws
from made_claims import AT, changed, codes, judged, made, policy_for

from sealroom.errors import MalformedError, MisuseError, SealroomError
from sealroom.evidence import Appraisal, Claims, Tee
from sealroom.policy import Policy, explain
from sealroom.policy.references.accepting import with_references
from sealroom.policy.references.read import MAX_FILE, read_reference_file
from sealroom.policy.references.signing import add_signature, sign_reference_values

_KEYS = [ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1()),
         ec.generate_private_key(ec.SECP256R1())]  # fmt: skip
_OLD, _NEW = b"\x01" * 48, b"\x02" * 48
_ENCLAVE = made(Tee.NITRO, details={"document": "enclave", "timestamp_ms": int(AT.timestamp() * 1000)},
                measurements={"pcr0": _NEW})  # fmt: skip


def _digest(key: ec.EllipticCurvePrivateKey) -> str:
    signed = read_reference_file(sign_reference_values(_payload(), [key]))
    return f"sha256:{signed.signatures[0].key.spki_sha256.hex()}"


def _payload(**changes: Any) -> dict[str, Any]:
    now = int(AT.timestamp())
    members = {
        "version": 1, "name": "releases", "iss": "the publisher", "for": "nitro", "serial": 7, "iat": now - 60,
        "exp": now + 86_400, "values": {"pcr0": [_NEW.hex()]}, "reason": "release 2.1 mends CVE-2026-1",
    }  # fmt: skip
    return {name: value for name, value in (members | changes).items() if value is not None}


def _policy(rules: str = "", *, pins: bool = True, keys: str = '["pcr0"]') -> Policy:
    signers = ", ".join(f'"{_digest(key)}"' for key in _KEYS)
    own = f'pcr0 = ["{_OLD.hex()}"]' if pins else ""
    return policy_for(
        Tee.NITRO,
        f'[nitro]\n{own}\n[[reference_files]]\nname = "releases"\nfor = "nitro"\nkeys = {keys}\n'
        f"signers = [{signers}]\n{rules or 'threshold = 2'}\n",
    )


def _judge(*files: bytes, policy: Policy | None = None, claims: Claims = _ENCLAVE, **kwargs: Any) -> Appraisal:
    return judged(with_references(policy or _policy(), files), claims, **kwargs)


def test_new_software_is_accepted_the_moment_its_publishers_sign_it() -> None:
    assert codes(_judge()) == ["nitro.pcr0-not-accepted"]

    verdict = _judge(sign_reference_values(_payload(), _KEYS[:2]))

    assert verdict.accepted
    (check,) = [one for one in verdict.checks if one.name == "nitro.pcr0"]
    for words in ("releases, serial 7", "the publisher", "signed by 2 of 3", "release 2.1 mends CVE-2026-1"):
        assert words in check.source, check.source


def test_what_the_policy_names_itself_stays_accepted_and_needs_no_file() -> None:
    old = changed(_ENCLAVE, measurements={"pcr0": _OLD})
    signed = sign_reference_values(_payload(), _KEYS)

    assert _judge(claims=old).accepted
    verdict = _judge(signed, claims=old)
    assert verdict.accepted
    assert {check.source for check in verdict.checks if check.name == "nitro.pcr0"} == {"policy: [nitro] pcr0"}
    assert verdict.rests_on == ()


def test_a_table_can_take_all_its_pins_from_files_and_accepts_nothing_without_one() -> None:
    policy = _policy(pins=False)

    assert codes(_judge(policy=policy)) == ["nitro.pcr0-not-accepted"]
    assert _judge(sign_reference_values(_payload(), _KEYS[1:]), policy=policy).accepted


def test_a_verdict_lasts_no_longer_than_the_file_that_it_rests_on() -> None:
    verdict = _judge(sign_reference_values(_payload(), _KEYS))

    assert verdict.validity.not_after == AT + timedelta(seconds=86_400)


@pytest.mark.parametrize(
    ("changes", "signers"),
    [
        ({}, _KEYS[:1]),
        ({}, [_KEYS[0], ec.generate_private_key(ec.SECP256R1())]),
        ({"exp": int(AT.timestamp())}, _KEYS),
        ({"iat": int(AT.timestamp()) + 120}, _KEYS),
        ({"nbf": int(AT.timestamp()) + 120}, _KEYS),
        ({"for": "tdx", "values": {"mr_td": [_NEW.hex()]}}, _KEYS),
    ],
    ids=["one signer", "a stranger", "expired", "from the future", "not yet", "another table"],
)
def test_a_file_that_does_not_count_is_a_refusal_and_accepts_nothing(
    changes: dict[str, Any], signers: list[ec.EllipticCurvePrivateKey]
) -> None:
    refused = codes(_judge(sign_reference_values(_payload(**changes), signers)))

    assert refused == ["reference.does-not-count", "nitro.pcr0-not-accepted"]


def test_an_older_file_than_the_policy_asks_for_does_not_count() -> None:
    policy = _policy("threshold = 2\nminimum_serial = 8")

    assert "reference.does-not-count" in codes(_judge(sign_reference_values(_payload(), _KEYS), policy=policy))
    assert _judge(sign_reference_values(_payload(serial=8), _KEYS), policy=policy).accepted


def test_a_signature_of_other_values_does_not_count() -> None:
    honest = json.loads(sign_reference_values(_payload(), _KEYS))
    other = json.loads(sign_reference_values(_payload(values={"pcr0": ["66" * 48]}), _KEYS))

    mixed = json.dumps({"payload": other["payload"], "signatures": honest["signatures"]}).encode()

    assert codes(_judge(mixed)) == ["reference.does-not-count", "nitro.pcr0-not-accepted"]


def test_a_file_fills_in_only_the_keys_that_the_policy_gives_it() -> None:
    values = {"pcr0": [_NEW.hex()], "pcr8": ["09" * 48]}
    policy = _policy(keys='["pcr8"]')

    refused = codes(_judge(sign_reference_values(_payload(values=values), _KEYS), policy=policy))

    assert "nitro.pcr0-not-accepted" in refused


@pytest.mark.parametrize("kind", ["JWT", "sealroom-reference-values", "", None])
def test_a_signature_that_was_made_for_something_else_is_none(kind: str | None) -> None:
    """A publisher's key may sign other tokens, and somebody may choose what stands in them."""
    payload = json.dumps(_payload()).encode()
    token = jws.JWS(payload)
    key = jwk.JWK.from_pyca(_KEYS[0])
    header = {"alg": "ES256", "jwk": key.export_public(as_dict=True), "typ": kind}
    header["jwk"] = {name: value for name, value in header["jwk"].items() if name in {"kty", "crv", "x", "y"}}
    token.add_signature(key, None, json.dumps({name: said for name, said in header.items() if said is not None}))
    made_for = json.loads(token.serialize())
    raw = json.dumps({"payload": made_for["payload"], "signatures": [
        {"protected": made_for["protected"], "signature": made_for["signature"]}]}).encode()  # fmt: skip

    with pytest.raises(MalformedError) as refused:
        read_reference_file(raw)
    assert refused.value.code == "reference.header"


def test_signers_sign_one_after_the_other() -> None:
    first = sign_reference_values(_payload(), _KEYS[:1])

    assert codes(_judge(first)) == ["reference.does-not-count", "nitro.pcr0-not-accepted"]
    assert _judge(add_signature(first, _KEYS[2])).accepted
    with pytest.raises(MalformedError) as refused:
        add_signature(first, _KEYS[0])
    assert refused.value.code == "reference.signer-twice"


def test_all_signers_are_asked_for_unless_the_policy_says_how_many() -> None:
    policy = _policy("minimum_serial = 0")

    assert "reference.does-not-count" in codes(_judge(sign_reference_values(_payload(), _KEYS[:2]), policy=policy))
    assert _judge(sign_reference_values(_payload(), _KEYS), policy=policy).accepted


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": 2}, "reference.version"),
        ({"version": True}, "reference.version"),
        ({"serial": -1}, "reference.serial"),
        ({"serial": "7"}, "reference.serial"),
        ({"serial": None}, "reference.member-missing"),
        ({"more": 1}, "reference.unknown-member"),
        ({"for": "everything"}, "reference.table"),
        ({"name": ""}, "reference.text"),
        ({"reason": "a\nline"}, "reference.text"),
        ({"values": {}}, "reference.values"),
        ({"values": {"pcr0": []}}, "reference.values"),
        ({"values": {"pcr0": ["00"]}}, "reference.values"),
        ({"values": {"pcr0": [7]}}, "reference.values"),
        ({"values": {"document": ["enclave"]}}, "reference.values"),
    ],
)
def test_a_file_with_one_thing_wrong_is_none(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(MalformedError) as refused:
        sign_reference_values(_payload(**changes), _KEYS[:1])

    assert refused.value.code == code


def test_a_file_that_nobody_asked_for_or_that_comes_twice_is_misuse() -> None:
    with pytest.raises(MisuseError, match=r"reference\.not-asked-for"):
        _judge(sign_reference_values(_payload(name="others"), _KEYS))
    signed = sign_reference_values(_payload(), _KEYS)
    with pytest.raises(MisuseError, match=r"reference\.given-twice"):
        _judge(signed, signed)


def test_a_file_too_large_is_refused_unread() -> None:
    with pytest.raises(MalformedError, match=r"reference\.too-large"):
        read_reference_file(b" " * (MAX_FILE + 1))


@given(raw=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_get_a_clear_error(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        read_reference_file(raw)


@given(data=st.data())
def test_a_changed_file_never_widens_a_policy_otherwise(data: st.DataObject) -> None:
    signed = bytearray(_SIGNED)
    signed[data.draw(st.integers(0, len(signed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    other = changed(_ENCLAVE, measurements={"pcr0": b"\x66" * 48})

    with suppress(SealroomError):
        assert not _judge(bytes(signed), claims=other).accepted


_SIGNED = sign_reference_values(_payload(), _KEYS)


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ('name = "a"\nfor = "tdx"\nkeys = ["mr_td"]\nsigners = ["sha256:{s}"]', "policy.bad-value"),
        ('name = "a"\nfor = "nitro"\nkeys = ["mr_td"]\nsigners = ["sha256:{s}"]', "policy.bad-value"),
        ('name = "a"\nfor = "nitro"\nkeys = ["pcr0"]\nsigners = ["sha256:{s}"]\nthreshold = 2', "policy.bad-value"),
        ('name = "a"\nfor = "nitro"\nkeys = ["pcr0"]', "policy.missing-key"),
    ],
)
def test_rules_that_could_never_count_are_no_policy(table: str, code: str) -> None:
    with pytest.raises(MalformedError) as refused:
        policy_for(Tee.NITRO, f'[nitro]\npcr0 = ["{_OLD.hex()}"]\n[[reference_files]]\n{table.format(s="11" * 32)}\n')

    assert refused.value.code == code


def test_a_policy_explains_why_something_new_is_accepted() -> None:
    text = explain(with_references(_policy(), [_SIGNED]), at=AT)

    for words in ("releases", "pcr0", _NEW.hex(), "serial 7", "2 of 3", "release 2.1 mends CVE-2026-1"):
        assert words in text
    assert "none came" in explain(_policy(), at=AT)


def test_an_independent_library_verifies_every_signature_of_a_file() -> None:
    signed = sign_reference_values(_payload(), _KEYS)
    for key in _KEYS:
        token = jws.JWS()
        token.deserialize(signed.decode())
        token.verify(jwk.JWK.from_pyca(key.public_key()))
        assert json.loads(token.payload) == _payload()
    stranger = jws.JWS()
    stranger.deserialize(signed.decode())
    with pytest.raises(jws.InvalidJWSSignature):
        stranger.verify(jwk.JWK.from_pyca(ec.generate_private_key(ec.SECP256R1()).public_key()))
