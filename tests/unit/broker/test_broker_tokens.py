"""The session token: ours alone, and no bearer of trust elsewhere."""

import json

import pytest
from broker_world import World
from cryptography.hazmat.primitives.asymmetric import ec
from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT

from sealroom.broker.tokens import TokenSigner
from sealroom.errors import UnverifiedError
from sealroom.kbs.json_text import b64url_decode, b64url_encode

_KEY = ec.generate_private_key(ec.SECP256R1())


def _token(signer: TokenSigner | None = None) -> str:
    signer = signer or TokenSigner(_KEY, "broker-one")
    return signer.issue("an-id", {"kty": "EC"}, simulated=True, now=1000, expires_at=1300)


def test_a_token_of_ours_names_its_session() -> None:
    assert TokenSigner(_KEY, "broker-one").check(_token(), now=1299) == "an-id"


def test_another_implementation_verifies_it_and_finds_the_key_where_trustee_puts_it() -> None:
    token = JWT(algs=["ES256"], check_claims={"aud": "broker-one", "exp": None})
    token.leeway = 10**12
    token.deserialize(_token(), JWK.from_pyca(_KEY.public_key()))
    claims = json.loads(token.claims)
    cpu = claims["submods"]["cpu0"]
    assert cpu["ear.veraison.annotated-evidence"]["runtime_data_claims"]["tee-pubkey"] == {"kty": "EC"}
    assert cpu["ear.status"] == "contraindicated"  # simulated hardware
    assert json.loads(token.header)["jwk"]["alg"] == "ES256"


@pytest.mark.parametrize("now", [999, 1300, 10**6])
def test_a_token_outside_its_window_is_refused(now: int) -> None:
    with pytest.raises(UnverifiedError, match=r"broker\.token"):
        TokenSigner(_KEY, "broker-one").check(_token(), now=now)


def _forged(head: dict[str, object], body: bytes | None = None, signature: bytes | None = None) -> str:
    first, middle, last = _token().split(".")
    header = json.loads(b64url_decode(first, what="header")) | head
    return ".".join(
        (b64url_encode(json.dumps(header).encode()), middle if body is None else b64url_encode(body),
         last if signature is None else b64url_encode(signature))
    )  # fmt: skip


_OTHER = TokenSigner(ec.generate_private_key(ec.SECP256R1()), "broker-one")


@pytest.mark.parametrize(
    "token",
    [
        "", "a.b.c", "a.b", "....", "x" * 20_000, "ü.ü.ü",
        _forged({"alg": "none"}, signature=b""), _forged({"alg": "HS256"}), _forged({"crit": ["exp"]}),
        _forged({}, body=b"{}"), _forged({}, signature=bytes(64)), _forged({}, signature=bytes(63)),
        _token(_OTHER), _token(TokenSigner(_KEY, "broker-two")),
    ],
)  # fmt: skip
def test_tokens_of_others_are_refused_even_with_their_key_in_the_header(token: str) -> None:
    with pytest.raises(UnverifiedError, match=r"broker\.token"):
        TokenSigner(_KEY, "broker-one").check(token, now=1000)


async def test_a_token_counts_even_where_a_good_cookie_comes_along(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    await guest.attested()
    answer = await guest.get(authorization="Bearer nonsense")
    assert answer.status_code == 401
    assert answer.json()["type"].endswith("/TokenVerifierError")


async def test_a_token_of_a_session_that_was_forgotten_is_refused(world: World) -> None:
    world.admin.register(world.registration())
    guest = world.guest()
    token = await guest.attested()
    world.state.database.execute("DELETE FROM sessions")
    assert (await guest.get(authorization=f"Bearer {token}")).status_code == 401
