"""One fault each in a token of Azure's service. Whatever else is in it holds, so that one check alone can refuse it;
the code is the one that this check gives.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from sealroom.testing.azure_cases import AT, CloudCase
from sealroom.testing.azure_maa_cases import USER_DATA, MaaBench
from sealroom.testing.snp import flip_bit
from sealroom.testing.tokens import LEFT_OUT, TokenSigner, base64url

__all__ = ["token_faults"]

_TOKEN, _CLAIM = "azure-vtpm.token", "azure-vtpm.token-claim"
_ALGORITHM, _SIGNATURE, _KEY = ("azure-vtpm.token-algorithm", "azure-vtpm.token-signature", "azure-vtpm.token-key")
_LIFETIME = timedelta(hours=8)


def token_faults(bench: MaaBench) -> Iterator[CloudCase]:
    """Every fault."""
    for make in (algorithm_faults, key_faults, signature_faults, issuer_faults, time_faults, text_faults,
                 claim_faults):  # fmt: skip
        yield from make(bench)


def algorithm_faults(bench: MaaBench) -> Iterator[CloudCase]:
    """Of how it is signed."""
    header, payload, signature = bench.token().split(b".")
    for word in ("none", "None", "NONE", "nOnE", ""):
        head = _part({"alg": word, "kid": bench.maa.signer.kid, "typ": "JWT"})
        yield bench.case(f"alg {word!r} and no signature", _ALGORITHM, raw=head + b"." + payload + b".")
        yield bench.case(f"alg {word!r} and the old signature", _ALGORITHM,
                         raw=b".".join((head, payload, signature)))  # fmt: skip
    for name, secret in _public_forms(bench.maa.signer).items():
        text = _part({"alg": "HS256", "kid": bench.maa.signer.kid}) + b"." + payload
        made = text + b"." + base64url(hmac.digest(secret, text, "sha256")).encode()
        yield bench.case(f"HS256 with the public key as {name}", _ALGORITHM, raw=made)
    for word in ("RS1", "RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256"):
        yield bench.case(f"alg {word}", _ALGORITHM, header={"alg": word})
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    other_padding = bench.maa.signer.key.sign(header + b"." + payload, pss, hashes.SHA256())
    yield bench.case("a signature of another padding", _SIGNATURE,
                     raw=b".".join((header, payload, base64url(other_padding).encode())))  # fmt: skip


def key_faults(bench: MaaBench) -> Iterator[CloudCase]:
    """Of who signed it."""
    signer, stranger = bench.maa.signer, TokenSigner(kid=bench.maa.signer.kid)
    foreign = replace(bench, maa=replace(bench.maa, signer=stranger))
    for name, header in {
        "": {}, " and brings its key": {"jwk": stranger.jwk()}, " and says where its key is":
        {"jku": "https://keys.example/certs", "x5u": "https://keys.example/key.pem"},
        " and brings a certificate": {"x5c": [base64.b64encode(stranger.spki).decode()]},
    }.items():  # fmt: skip
        yield bench.case(f"a stranger signed it{name}", _SIGNATURE, raw=foreign.token(header=header))
    yield bench.case("a key that nobody knows", _KEY, header={"kid": "unknown"})
    yield bench.case("another key of the set", _SIGNATURE, jwks=signer.jwks(bench.other),
                     header={"kid": bench.other.kid})  # fmt: skip
    yield bench.case("no kid, and a set of two keys", _KEY, jwks=signer.jwks(bench.other),
                     header={"kid": LEFT_OUT})  # fmt: skip
    yield bench.case("a key of the set that nobody trusts", "azure-vtpm.unknown-signer", trusted=bench.other)
    only = json.dumps({"keys": [signer.jwk(alg="PS256")]}).encode()
    yield bench.case("a key that is for another algorithm", _SIGNATURE, jwks=only)
    yield bench.case("a set without keys", _KEY, jwks=b'{"keys":[]}')
    yield bench.case("no key set", "collateral.missing", collateral={})
    for name, code, raw in (("no JSON", _TOKEN, b"keys"), ("a list", "azure-vtpm.jwks", b"[]"),
                            ("a member twice", _TOKEN, b'{"keys":[],"keys":[]}')):  # fmt: skip
        yield bench.case(f"a key set that is {name}", code, jwks=raw)
    entries = {"a certificate that is none": {"kty": "RSA", "kid": signer.kid, "x5c": ["MIIB"]},
               "no certificate": {"kty": "RSA", "kid": signer.kid, "x5c": []}}  # fmt: skip
    for name, entry in entries.items():
        yield bench.case(f"a key that is {name}", "azure-vtpm.jwks", jwks=json.dumps({"keys": [entry]}).encode())


def signature_faults(bench: MaaBench) -> Iterator[CloudCase]:
    """Of the signature, or what it is over."""
    raw = bench.token()
    header, payload, signature = raw.split(b".")
    octets = base64.urlsafe_b64decode(signature + b"==")
    wrong = {"changed": flip_bit(octets, 9), "empty": b"", "cut off": octets[:-1], "longer": octets + b"\0"}
    for name, made in wrong.items():
        yield bench.case(f"a signature {name}", _SIGNATURE,
                         raw=b".".join((header, payload, base64url(made).encode())))  # fmt: skip
    edited = _part({**json.loads(_octets(payload)), "x-ms-compliance-status": "better"})
    yield bench.case("claims that were changed", _SIGNATURE, raw=b".".join((header, edited, signature)))
    moved = _part({"alg": "RS256", "typ": "JWT", "kid": bench.maa.signer.kid})
    yield bench.case("a header that was changed", _SIGNATURE, raw=b".".join((moved, payload, signature)))


def issuer_faults(bench: MaaBench) -> Iterator[CloudCase]:
    """Of who issued it, by its own word; the key is the service's."""
    issuers: list[Any] = [
        "https://attest.azure.net.example", "https://sharedweu.weu.attest.azure.net.example",
        "https://attest.azure.net", "http://sharedweu.weu.attest.azure.net", "sharedweu.attest.azure.net",
        "https://keys.example/.attest.azure.net", "https://us@sharedweu.weu.attest.azure.net",
        "https://sharedweu.weu.attest.azure.net:8443", "https://sharedweu.weu.attest.azure.net?a",
        "https://confidentialcomputing.googleapis.com", "", None, 7, ["https://sharedweu.weu.attest.azure.net"],
        LEFT_OUT,
    ]  # fmt: skip
    for issuer in issuers:
        told = "left out" if issuer is LEFT_OUT else repr(issuer)
        yield bench.case(f"issuer {told}", "azure-vtpm.issuer", iss=issuer)


def time_faults(bench: MaaBench) -> Iterator[CloudCase]:
    """Of when it holds."""
    now, late = int(AT.timestamp()), AT + _LIFETIME
    for name, at in (("at its end", late), ("a day later", late + timedelta(days=1))):
        yield bench.case(f"expired, {name}", "azure-vtpm.token-expired", at=at)
    early = AT - timedelta(seconds=61)
    yield bench.case("before it was made", "azure-vtpm.token-not-yet-valid", at=early)
    yield bench.case("nbf in the future", "azure-vtpm.token-not-yet-valid", nbf=now + 61)
    yield bench.case("an end before its beginning", "azure-vtpm.token-expired", exp=now - 1)
    times: list[Any] = [LEFT_OUT, None, str(now + 9), True, [now + 9], 10**20]
    for name in ("exp", "iat"):
        for value in times:
            told = "left out" if value is LEFT_OUT else repr(value)
            yield bench.case(f"{name} {told}", _TOKEN, raw=bench.token(**{name: value}))
    yield bench.case("nbf that is a text", _TOKEN, nbf=str(now))


def text_faults(bench: MaaBench) -> Iterator[CloudCase]:
    """Of the token as a text; what is signed is signed as it stands."""
    raw, signer = bench.token(), bench.maa.signer
    header, payload, signature = raw.split(b".")
    texts = {
        "two parts": header + b"." + payload, "four parts": raw + b".AA", "five parts": raw + b".AA.AA",
        "padding": b".".join((header + b"=" * (-len(header) % 4 or 4), payload, signature)),
        "other letters": raw.replace(b".", b"+.", 1), "a line break inside": raw.replace(b".", b".\n", 1),
        "a byte that is no text": raw + b"\xff", "more than a token may have": raw + b"A" * (256 * 1024),
    }  # fmt: skip
    for name, text in texts.items():
        yield bench.case(name, _TOKEN, raw=text)
    honest = _octets(payload)
    head: dict[str, Any] = {"alg": "RS256", "kid": signer.kid}
    for name, claims in {"a claim twice": honest[:-1] + b',"iss":"https://a.attest.azure.net"}', "a list": b"[]",
                         "half of them": honest[: len(honest) // 2], "a number that is none": b'{"exp":NaN}',
                         "no UTF-8": b'{"iss":"\xff"}'}.items():  # fmt: skip
        yield bench.case(f"claims that are {name}", _TOKEN, raw=signer.sign_text(head, claims))
    for name, changes in {"no alg": {"alg": LEFT_OUT}, "an alg that is a number": {"alg": 256},
                          "a kid that is a number": {"kid": 1}, "something to be understood": {"crit": ["exp"]},
                          "a payload that is not encoded": {"b64": False}}.items():  # fmt: skip
        yield bench.case(f"a header with {name}", _TOKEN, header=changes)
    twice = b'{"alg":"none","alg":"RS256","kid":"' + signer.kid.encode() + b'"}'
    text = base64url(twice).encode() + b"." + payload
    signed = signer.key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    yield bench.case("a header with a member twice", _TOKEN, raw=text + b"." + base64url(signed).encode())


def claim_faults(bench: MaaBench) -> Iterator[CloudCase]:
    """Of what it says: the wrong type, which nothing may be made of."""
    wrong: dict[str, list[Any]] = {
        "x-ms-isolation-tee": [[], "tdxvm", 7], "tdx_mrtd": [7, "no", "2", [], {}], "tdx_report_data": [True],
        "attester_tcb_status": [7, ["UpToDate"]], "x-ms-sevsnpvm-vmpl": ["0", True],
        "x-ms-runtime": ["00", [USER_DATA.hex()], {"user-data": 7}, {"user-data": "zz"}, {"user-data": ["00"]},
                         {"vm-configuration": []}],
    }  # fmt: skip
    for name, values in wrong.items():
        for value in values:
            yield bench.case(f"{name} {json.dumps(value)[:40]}", _CLAIM, **{name: value})


def _public_forms(signer: TokenSigner) -> Mapping[str, bytes]:
    """What a careless library takes for a shared secret."""
    key = load_der_public_key(signer.spki)
    return {
        "PEM": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "DER": signer.spki,
        "a digest": hashlib.sha256(signer.spki).digest(), "nothing": b"",
    }  # fmt: skip


def _part(said: Mapping[str, Any]) -> bytes:
    return base64url(json.dumps(dict(said)).encode()).encode()


def _octets(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
