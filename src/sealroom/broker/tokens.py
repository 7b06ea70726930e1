"""The session token: an EAR in an ES256 JWT, and in truth a handle to the session. Section 9."""

import dataclasses
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.ear import Consumer, Ear, Submodule, Tier, TrustVector, issue_jwt
from sealroom.ear.model import TRUSTEE_PROFILE
from sealroom.ear.of_appraisal import OUR_VERIFIER
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.jose import JoseAlg, JwkKey, parse_jwt, verify_jwt
from sealroom.kbs.json_text import JsonObject
from sealroom.kbs.tee_key import ec_jwk
from sealroom.tees._cose.key import spki_of

__all__ = ["TokenSigner"]

_MAX_TOKEN = 16 * 1024
_AREA = "broker"


class TokenSigner:
    """Issues the broker's tokens, and believes in no others."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, broker_id: str) -> None:
        self._key = key
        self._broker_id = broker_id
        public = key.public_key()
        # The key is ours, whatever a token's header brings: its `jwk` is for readers elsewhere.
        self._own = JwkKey(kid=None, alg=None, key=public, spki_sha256=hashlib.sha256(spki_of(public)).digest())

    def __repr__(self) -> str:
        return f"TokenSigner({self._broker_id})"

    def issue(self, token_id: str, tee_pubkey: JsonObject, *, simulated: bool, now: int, expires_at: int) -> str:
        """A token whose ``jti`` is ``token_id``; times in seconds since 1970.

        The hardware is vouched for, nothing else: what is acceptable is decided per resource. Simulated hardware is
        contraindicated, so that no other relying party takes it for the real thing.
        """
        cpu = Submodule(
            label="cpu0",
            claimed=Tier.CONTRAINDICATED if simulated else Tier.NONE,
            vector=TrustVector(hardware=96 if simulated else 2),
            extensions={"ear_veraison_annotated_evidence": {"runtime_data_claims": {"tee-pubkey": tee_pubkey}}},
        )
        issued = datetime.fromtimestamp(now, tz=UTC)
        ear = Ear(
            profile=TRUSTEE_PROFILE, verifier=OUR_VERIFIER, submodules=(cpu,),
            issued_at=issued, not_before=issued, expires_at=datetime.fromtimestamp(expires_at, tz=UTC),
            extensions={"iss": self._broker_id, "aud": self._broker_id, "jti": token_id},
        )  # fmt: skip
        header = {"jwk": ec_jwk(self._key.public_key(), alg="ES256")}
        return issue_jwt(ear, self._key, consumer=Consumer.TRUSTEE, header=header)

    def check(self, token: str, *, now: int) -> str:
        """The ``jti`` of a token of ours that is valid ``now``.

        Raises:
            UnverifiedError: ``broker.token``: not ours, changed, expired, or meant for another broker.
        """
        claims = self._signed_claims(token)
        if (claims.get("iss"), claims.get("aud")) != (self._broker_id, self._broker_id):
            raise _refused("it was made by, or for, another broker")
        nbf, exp, token_id = claims.get("nbf"), claims.get("exp"), claims.get("jti")
        if type(nbf) is not int or type(exp) is not int or not isinstance(token_id, str):
            raise _refused("it lacks a claim")
        if not nbf <= now < exp:
            raise _refused("it is not valid now")
        return token_id

    def _signed_claims(self, token: str) -> Mapping[str, Any]:
        if len(token) > _MAX_TOKEN:
            raise _refused("it is too long")
        try:
            parsed = parse_jwt(token, area=_AREA)
            verify_jwt(dataclasses.replace(parsed, kid=None), (self._own,), algorithms=(JoseAlg.ES256,), area=_AREA)
        except (MalformedError, UnverifiedError) as error:
            raise _refused("it is not one of this broker's tokens") from error
        return parsed.claims


def _refused(why: str) -> UnverifiedError:
    return UnverifiedError("broker.token", f"the token is refused: {why}", hint="attest anew")
