"""One fault each in tokens of Confidential Space: who signed, when, for whom, and what stands in them.

Whatever else is in it holds, so that one check alone can refuse it; the code is the one that this check gives.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from sealroom.testing.gcp_cases import AT, GcpCase
from sealroom.testing.gcp_pki_faults import certificate_faults
from sealroom.testing.gcp_space import ISSUER, SimulatedSpace
from sealroom.testing.gcp_space_cases import SpaceBench
from sealroom.testing.tokens import LEFT_OUT, TokenSigner, base64url

__all__ = ["token_faults"]

_TOKEN, _CLAIM, _ALGORITHM = "gcp.token", "gcp.token-claim", "gcp.token-algorithm"
_SIGNATURE, _KEY = "gcp.token-signature", "gcp.token-key"


def token_faults(bench: SpaceBench) -> Iterator[GcpCase]:
    """Every fault."""
    for make in (_algorithms, _signers, _texts, _times, _issuers, _claims, certificate_faults):
        yield from make(bench)


def _algorithms(bench: SpaceBench) -> Iterator[GcpCase]:
    head, body, _ = bench.token().split(b".")
    for name in ("none", "None", "", "RS512", "HS256", "ES256", "PS256", "RS384"):
        yield bench.case(f"algorithm {name!r}", _ALGORITHM, header={"alg": name})
    unsigned = base64url(json.dumps({"alg": "none"}).encode()).encode() + b"." + body + b"."
    yield bench.case("no signature", _ALGORITHM, raw=unsigned)
    text = _head(bench, alg="HS256") + b"." + body
    for what, secret in {"the key": bench.space.signer.spki, "the key set": bench.space.jwks}.items():
        signed = base64url(hmac.new(secret, text, hashlib.sha256).digest()).encode()
        yield bench.case(f"signed with {what} as a secret", _ALGORITHM, raw=text + b"." + signed)
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    text = head + b"." + body
    padded = bench.space.signer.key.sign(text, pss, hashes.SHA256())
    yield bench.case("another padding", _SIGNATURE, raw=text + b"." + base64url(padded).encode())


def _signers(bench: SpaceBench) -> Iterator[GcpCase]:
    honest, by_stranger = bench.token(), replace(bench, space=SimulatedSpace(signer=bench.stranger))
    named = TokenSigner(kid=bench.space.signer.kid, key=bench.stranger.key)
    posing = replace(bench, space=SimulatedSpace(signer=named))
    head, body, signature = honest.split(b".")
    yield bench.case("a stranger's", _KEY, raw=by_stranger.token())
    yield bench.case("a stranger's, with its key set", "gcp.unknown-signer", raw=by_stranger.token(),
                     items={"jwks": bench.stranger.jwks()})  # fmt: skip
    yield bench.case("a stranger's in the key's name", _SIGNATURE, raw=posing.token())
    yield bench.case("a key in its header", _SIGNATURE, raw=posing.token(header={"jwk": named.jwk()}))
    yield bench.case("a stranger's that brings its key", _KEY,
                     raw=by_stranger.token(header={"jwk": bench.stranger.jwk()}))  # fmt: skip
    yield bench.case("no name of the key, and two keys", _KEY, header={"kid": LEFT_OUT},
                     items={"jwks": bench.space.signer.jwks(bench.stranger)})  # fmt: skip
    edited = body[:-8] + bytes((body[-8] ^ 1,)) + body[-7:]
    sloppy = base64url(json.dumps({**json.loads(_decoded(body)), "secboot": False}).encode()).encode()
    yield bench.case("claims that were changed", _SIGNATURE, raw=b".".join((head, sloppy, signature)))
    yield bench.case("claims that are none any more", _TOKEN, raw=b".".join((head, b"!" + edited[1:], signature)))
    yield bench.case(
        "another's signature", _SIGNATURE, raw=b".".join((head, body, by_stranger.token().split(b".")[2]))
    )
    yield bench.case(
        "a signature cut off", _SIGNATURE, raw=b".".join((head, body, base64url(_decoded(signature)[:-3]).encode()))
    )
    yield bench.case("no key set", "collateral.missing", items={"jwks": None})
    for name, (content, code) in {"that is none": (b"{}", "gcp.jwks"), "that is no JSON": (b"no", _TOKEN),
                                  "of no keys": (b'{"keys":[]}', _KEY)}.items():  # fmt: skip
        yield bench.case(f"a key set {name}", code, items={"jwks": content})
    other_use = json.dumps({"keys": [bench.space.signer.jwk(use="enc")]}).encode()
    yield bench.case("a key that is for encryption", _KEY, items={"jwks": other_use})
    other_alg = json.dumps({"keys": [bench.space.signer.jwk(alg="PS256")]}).encode()
    yield bench.case("a key of another algorithm", _SIGNATURE, items={"jwks": other_alg})
    weak = json.dumps({"keys": [bench.space.signer.jwk(n=base64url(b"\xff" * 128))]}).encode()
    yield bench.case("a key of 1024 bits", "gcp.jwks", items={"jwks": weak})


def _texts(bench: SpaceBench) -> Iterator[GcpCase]:
    raw, head = bench.token(), {"alg": "RS256", "kid": bench.space.signer.kid}
    texts = {"one part": b"eyJhbGciOiJSUzI1NiJ9", "two parts": raw.rsplit(b".", 1)[0], "four parts": raw + b".x",
             "padding": raw.replace(b".", b"=.", 1), "a space within": raw.replace(b".", b" .", 1),
             "too large": b"eyJ" + b"a" * (256 * 1024)}  # fmt: skip
    for name, text in texts.items():
        yield bench.case(f"text of {name}", _TOKEN, raw=text)
    payloads = {"a list": b"[]", "no JSON": b"{", "a member twice": b'{"iss":"a","iss":"b"}',
                "no number": b'{"a":NaN}', "not UTF-8": b'{"a":"\xff"}', "deep": b"[" * 100_000}  # fmt: skip
    for name, payload in payloads.items():
        yield bench.case(f"claims that are {name}", _TOKEN, raw=bench.space.signer.sign_text(head, payload))
    changes: dict[str, dict[str, Any]] = {
        "something critical": {"crit": ["exp"]}, "a payload that is not encoded": {"b64": False},
        "a key's name that is a number": {"kid": 5}, "an algorithm that is a list": {"alg": ["RS256"]},
        "no algorithm": {"alg": LEFT_OUT},
    }  # fmt: skip
    for name, change in changes.items():
        yield bench.case(f"a header with {name}", _TOKEN, header=change)


def _times(bench: SpaceBench) -> Iterator[GcpCase]:
    begins = int(AT.timestamp())
    yield bench.case("the second at which it ends", "gcp.token-expired", at=AT + timedelta(hours=1))
    yield bench.case("that ends before it begins", "gcp.token-expired", exp=begins - 1)
    early = "gcp.token-not-yet-valid"
    yield bench.case("more than a minute ahead of the clock", early, at=AT - timedelta(seconds=61))
    yield bench.case("that begins later", early, nbf=begins + 61)
    yield bench.case("that is issued later", early, iat=begins + 61)
    for name in ("exp", "iat"):
        yield bench.case(f"without {name}", _TOKEN, **{name: LEFT_OUT})
    odd: tuple[dict[str, Any], ...] = ({"exp": "2100-01-01"}, {"exp": True}, {"exp": None}, {"exp": 1e300},
                                       {"iat": []}, {"nbf": "0"})  # fmt: skip
    for changes in odd:
        yield bench.case(f"time {changes}", _TOKEN, **changes)


def _issuers(bench: SpaceBench) -> Iterator[GcpCase]:
    for issuer in ("https://accounts.google.com", f"{ISSUER}.evil.example", f"http{ISSUER[5:]}", f"{ISSUER}/x",
                   ISSUER.upper(), "", [ISSUER], None, LEFT_OUT, f"https://evil.example/{ISSUER}"):  # fmt: skip
        yield bench.case(f"issuer {issuer!r}", "gcp.issuer", iss=issuer)


def _claims(bench: SpaceBench) -> Iterator[GcpCase]:
    """Of another type than they have."""
    tdx: dict[str, Any] = {"gcp_attester_tcb_status": "UpToDate", "gcp_attester_tcb_date": "2024-03-13T00:00:00Z"}
    odd: dict[str, dict[str, Any]] = {
        "parts in a list": {"submods": []}, "a container that is a text": {"submods": {"container": "x"}},
        "a digest that is a number": {"submods": {"container": {"image_digest": 1}}},
        "an environment that is a text": {"submods": {"container": {"env_override": "A=1"}}},
        "a command that is a text": {"submods": {"container": {"cmd_override": "sh"}}},
        "support that is a text": {"submods": {"confidential_space": {"support_attributes": "STABLE"}}},
        "hardware that is a number": {"hwmodel": 1}, "software in a list": {"swname": ["CONFIDENTIAL_SPACE"]},
        "accounts that are a text": {"google_service_accounts": "x"}, "two TDs": {"tdx": [tdx, tdx]},
        "a TD that is a text": {"tdx": "UpToDate"},
        "a TD of no date": {"tdx": {**tdx, "gcp_attester_tcb_date": "yesterday"}},
        "a TD of a status that is true": {"tdx": {**tdx, "gcp_attester_tcb_status": True}},
    }  # fmt: skip
    for name, changes in odd.items():
        yield bench.case(name, _CLAIM, **changes)


def _head(bench: SpaceBench, **changes: Any) -> bytes:
    return base64url(json.dumps({"alg": "RS256", "kid": bench.space.signer.kid, **changes}).encode()).encode()


def _decoded(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
