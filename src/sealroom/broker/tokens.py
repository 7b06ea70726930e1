"""The session token: an EAR in an ES256 JWT, and in truth a handle to the session. Section 9."""

from importlib.metadata import version

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.kbs.json_text import JsonObject, b64url_decode, b64url_encode, compact, parse_object
from sealroom.kbs.tee_key import ec_jwk

__all__ = ["TokenSigner"]

_MAX_TOKEN = 16 * 1024
_BUILD = f"sealroom {version('sealroom')}"
_PROFILE = "tag:github.com,2024:confidential-containers/Trustee"


class TokenSigner:
    """Issues the broker's tokens, and believes in no others."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, broker_id: str) -> None:
        self._key = key
        self._broker_id = broker_id

    def __repr__(self) -> str:
        return f"TokenSigner({self._broker_id})"

    def issue(self, token_id: str, tee_pubkey: JsonObject, *, simulated: bool, now: int, expires_at: int) -> str:
        """A token whose ``jti`` is ``token_id``; times in seconds since 1970.

        The hardware is vouched for, nothing else: what is acceptable is decided per resource. Simulated hardware is
        contraindicated, so that no other relying party takes it for the real thing.
        """
        header: JsonObject = {"alg": "ES256", "jwk": ec_jwk(self._key.public_key(), alg="ES256"), "typ": "JWT"}
        cpu: JsonObject = {
            "ear.status": "contraindicated" if simulated else "none",
            "ear.trustworthiness-vector": {"hardware": 96 if simulated else 2},
            "ear.veraison.annotated-evidence": {"runtime_data_claims": {"tee-pubkey": tee_pubkey}},
        }
        claims: JsonObject = {
            "eat_profile": _PROFILE,
            "iss": self._broker_id, "aud": self._broker_id, "jti": token_id,
            "iat": now, "nbf": now, "exp": expires_at,
            "ear.verifier-id": {"developer": "Sealroom", "build": _BUILD},
            "submods": {"cpu0": cpu},
        }  # fmt: skip
        signed = f"{b64url_encode(compact(header))}.{b64url_encode(compact(claims))}"
        r, s = decode_dss_signature(self._key.sign(signed.encode("ascii"), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{b64url_encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def check(self, token: str, *, now: int) -> str:
        """The ``jti`` of a token of ours that is valid ``now``.

        Raises:
            UnverifiedError: ``broker.token``: not ours, changed, expired, or meant for another broker.
        """
        try:
            claims = self._signed_claims(token)
        except (MalformedError, InvalidSignature, ValueError) as error:
            raise _refused("it is not one of this broker's tokens") from error
        if (claims.get("iss"), claims.get("aud")) != (self._broker_id, self._broker_id):
            raise _refused("it was made by, or for, another broker")
        nbf, exp, token_id = claims.get("nbf"), claims.get("exp"), claims.get("jti")
        if type(nbf) is not int or type(exp) is not int or not isinstance(token_id, str):
            raise _refused("it lacks a claim")
        if not nbf <= now < exp:
            raise _refused("it is not valid now")
        return token_id

    def _signed_claims(self, token: str) -> JsonObject:
        if len(token) > _MAX_TOKEN:
            raise ValueError("too long")
        head, body, signature = token.split(".")
        # The key is ours, whatever the header brings: its `jwk` is for readers elsewhere.
        header = parse_object(b64url_decode(head, what="token"), what="token")
        raw = b64url_decode(signature, what="token")
        if header.get("alg") != "ES256" or "crit" in header or len(raw) != 64:
            raise ValueError("not an ES256 token")
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        self._key.public_key().verify(der, f"{head}.{body}".encode("ascii"), ec.ECDSA(hashes.SHA256()))
        return parse_object(b64url_decode(body, what="token"), what="token")


def _refused(why: str) -> UnverifiedError:
    return UnverifiedError("broker.token", f"the token is refused: {why}", hint="attest anew")
