"""Public keys, and what a policy names each by."""

import json
from collections.abc import Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from sealroom.cli.inspecting.tree import Description, Tree, key_digest
from sealroom.errors import MalformedError
from sealroom.jose import read_jwks
from sealroom.tees._cose.key import read_cose_key

__all__ = ["describe_cose_key", "describe_public_key", "digest_of_jwk"]


def describe_public_key(raw: bytes) -> Description:
    """A public key in PEM or DER."""
    try:
        key = load_der_public_key(raw) if raw[:1] == b"\x30" else load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise MalformedError("inspect.not-a-key", "this is no public key in PEM or DER",
                             expected="a SubjectPublicKeyInfo (RFC 7468 section 13)") from None  # fmt: skip
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return Description("public key", {"type": f"{type(key).__name__.removesuffix('PublicKey')}, not used here"})
    kind = f"RSA, {key.key_size} bits" if isinstance(key, rsa.RSAPublicKey) else key.curve.name
    return Description("public key", {"type": kind, "a policy names it": key_digest(key)})


def describe_cose_key(raw: bytes) -> Description:
    """A public key as COSE_Key, which is how Arm's platforms are handed over."""
    key = read_cose_key(raw, area="inspect")
    return Description("public key (COSE_Key)", {"type": key.curve.name, "a policy names it": key_digest(key)})


def digest_of_jwk(key: Mapping[str, Tree]) -> str:
    """What a policy names a key of a set by, or why it can not be one that signs tokens."""
    try:
        found = read_jwks(json.dumps({"keys": [key]}).encode(), area="inspect")
    except MalformedError as error:
        return f"not at all: {error.message}"
    return f"sha256:{found[0].spki_sha256.hex()}" if found else "not at all: of a kind that is not used here"
