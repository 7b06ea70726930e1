"""A recorded token under a key of one's own, in which one claim or header at a time is not as it must be."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from sealroom.evidence import Tee, TrustRoots
from sealroom.jose import parse_jwt
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.own_keys import own_service
from sealroom.testing.tokens import base64url

__all__ = ["TokenWorld", "token_world_mutations"]

_MINUTES = 3600
_ISSUERS = {
    Tee.AZURE_VTPM: "https://shared.weu.attest.azure.net",
    Tee.GCP: "https://confidentialcomputing.googleapis.com",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWorld:
    """Header and claims; change either with `dataclasses.replace`, and sign."""

    base: Sample = field(repr=False)
    header: Mapping[str, Any]
    claims: Mapping[str, Any] = field(repr=False)
    payload: bytes | None = field(default=None, repr=False)
    """In place of `claims`."""
    signer: str = "service"
    trusted: bool = True

    @classmethod
    def of(cls, sample: Sample) -> "TokenWorld | None":
        """The world of ``sample``; None: who signed it stands in certificates, and not in a key set."""
        token = parse_jwt(sample.raw, area="gym")
        if "jwks" not in sample.collateral:
            return None
        return cls(base=sample, header=dict(token.header), claims=dict(token.claims))

    def sample(self) -> Sample:
        """Signed by an own key that is trusted, and stands in the key set."""
        kid = str(self.header.get("kid", ""))
        service, signer = own_service("service", kid), own_service(self.signer, kid)
        payload = json.dumps(dict(self.claims)).encode() if self.payload is None else self.payload
        known = frozenset({service.fingerprint}) if self.trusted else frozenset[bytes]()
        return replace(
            self.base, name=f"{self.base.name}, re-minted", raw=_signed(signer.key, self.header, payload),
            collateral={"jwks": json.dumps({"keys": [service.jwk(alg=...)]}).encode()},
            roots=TrustRoots(insecure_simulated=known),
        )  # fmt: skip


def token_world_mutations(world: TokenWorld) -> Iterator[Mutation]:
    """One fault at a time, rightly signed."""
    claims, at = dict(world.claims), int(world.base.at.timestamp())

    def said(**changes: Any) -> TokenWorld:
        found = {name: value for name, value in {**claims, **changes}.items() if value is not ...}
        return replace(world, claims=found)

    issuer = str(claims["iss"])
    host = issuer.removeprefix("https://")
    faults = {
        **{f"issuer {name}": said(iss=name) for name in
           (f"http://{host}", f"https://{host}.attacker.invalid", f"https://attacker.invalid/{host}", f"{issuer}.",
            f"https://attacker.invalid#{host}", f"https://user@{host}", f"x{issuer}", host, "", issuer.upper(),
            _other_issuer(world.base.tee))},
        "no issuer": said(iss=...), "issuers in a list": said(iss=[issuer]), "issuer null": said(iss=None),
        "run out a second ago": said(exp=at - 1), "running out now": said(exp=at), "no end": said(exp=...),
        "an end that is a text": said(exp=str(at + _MINUTES)), "an end that is true": said(exp=True),
        "an end in milliseconds of the past": said(exp=-1), "no beginning": said(iat=...),
        "issued in two minutes": said(iat=at + 120, nbf=...), "valid in two minutes": said(nbf=at + 120),
        "a beginning that is a text": said(iat="now"), "signed by another key": replace(world, signer="stranger"),
        "a key that nobody named": replace(world, trusted=False),
        "a claim twice": replace(world, payload=_twice(claims)), "claims in a list": replace(world, payload=b"[]"),
        "claims that are no JSON": replace(world, payload=b"{"), "no claims": replace(world, payload=b"{}"),
        "claims in UTF-16": replace(world, payload=json.dumps(claims).encode("utf-16")),
    }  # fmt: skip
    header = dict(world.header)
    algorithms: tuple[Any, ...] = ("RS384", "RS512", "PS256", "rs256", "none", "", ["RS256"], None)
    for algorithm in algorithms:
        faults[f"algorithm {algorithm}"] = replace(world, header={**header, "alg": algorithm})
    faults["a header that must be understood"] = replace(world, header={**header, "crit": ["more"], "more": 1})
    faults["a key's name that is a number"] = replace(world, header={**header, "kid": 5})
    for label, faulty in faults.items():
        yield Mutation(label=f"re-minted: {label}", level=Level.MINTED, expectation=Expectation.FORGERY,
                       sample=faulty.sample())  # fmt: skip


def _other_issuer(tee: Tee) -> str:
    """The other cloud's."""
    return next(issuer for other, issuer in _ISSUERS.items() if other is not tee)


def _twice(claims: Mapping[str, Any]) -> bytes:
    name, value = next(iter(claims.items()))
    return json.dumps(dict(claims)).encode()[:-1] + f",{json.dumps(name)}:{json.dumps(value)}}}".encode()


def _signed(key: Any, header: Mapping[str, Any], payload: bytes) -> bytes:
    """As the header says, where that can be done: so that the algorithm alone is wrong."""
    text = f"{base64url(json.dumps(dict(header)).encode())}.{base64url(payload)}".encode()
    alg = header.get("alg")
    digest = {"RS384": hashes.SHA384(), "RS512": hashes.SHA512()}.get(str(alg), hashes.SHA256())
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    if alg == "PS256":
        scheme = padding.PSS(mgf=padding.MGF1(digest), salt_length=32)
    return text + b"." + base64url(key.sign(text, scheme, digest)).encode()
