"""Public keys, and what a policy names each by."""

import json
from collections.abc import Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sealroom.cli.inspecting.tree import Description, Tree, key_digest
from sealroom.errors import MalformedError
from sealroom.jose import read_jwks

__all__ = ["describe_public_key", "digest_of_jwk"]


def describe_public_key(raw: bytes) -> Description:
    """A public key in PEM."""
    try:
        key = load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise MalformedError("inspect.not-a-key", "this is no public key in PEM",
                             expected="a SubjectPublicKeyInfo (RFC 7468 section 13)") from None  # fmt: skip
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return Description("public key", {"type": f"{type(key).__name__.removesuffix('PublicKey')}, not used here"})
    kind = f"RSA, {key.key_size} bits" if isinstance(key, rsa.RSAPublicKey) else key.curve.name
    return Description("public key", {"type": kind, "a policy names it": key_digest(key)})


def digest_of_jwk(key: Mapping[str, Tree]) -> str:
    """What a policy names a key of a set by, or why it can not be one that signs tokens."""
    try:
        found = read_jwks(json.dumps({"keys": [key]}).encode(), area="inspect")
    except MalformedError as error:
        return f"not at all: {error.message}"
    return f"sha256:{found[0].spki_sha256.hex()}" if found else "not at all: of a kind that is not used here"
