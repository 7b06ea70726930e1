"""What others sign and no TEE does: attestation results in CBOR, and reference files."""

from sealroom.cbor import read_cbor
from sealroom.cli.inspecting.tree import Description, Tree, tree_of
from sealroom.ear import read_claims_cbor
from sealroom.errors import MalformedError, SealroomError
from sealroom.policy.references.accepting import written
from sealroom.policy.references.read import read_reference_file
from sealroom.tees._cose.sign1 import Sign1, parse_sign1

__all__ = ["describe_reference_file", "describe_result", "looks_like_result"]

_MARKS = {1004, 266}
"""Claims that every result has, and no evidence: who appraised, and whom."""
_CWT = b"\xd8\x3d"


def looks_like_result(raw: bytes) -> bool:
    """Whether this is a COSE_Sign1 over the claims of a result (draft-ietf-rats-ear)."""
    if not raw.startswith((b"\x84", b"\xd2", _CWT)):
        return False
    try:
        claims = read_cbor(_message(raw).payload, area="inspect")
    except SealroomError:
        return False
    return isinstance(claims, dict) and claims.keys() >= _MARKS


def describe_result(raw: bytes) -> Description:
    """An attestation result in CBOR: what it claims, and what its vectors carry."""
    message = _message(raw)
    ear = read_claims_cbor(message.payload, strict=False)
    attesters = {
        one.label: {"status": one.status.name.lower(), "claimed": one.claimed.name.lower(),
                    "vector": None if one.vector is None else dict(one.vector.members()),
                    "policies": list(one.policy_ids), "more": tree_of(one.extensions)}
        for one in ear.submodules
    }  # fmt: skip
    return Description("attestation result (EAR), CBOR", {
        "profile": ear.profile, "verifier": tree_of(ear.verifier), "issued_at": ear.issued_at.isoformat(),
        "expires_at": tree_of(ear.expires_at), "nonces": tree_of(ear.nonces), "attesters": tree_of(attesters),
        "more": tree_of(ear.extensions), "signature": f"{len(message.signature)} bytes",
    })  # fmt: skip


def describe_reference_file(raw: bytes) -> Description:
    """A file of values that others sign.

    Raises:
        MalformedError: ``reference.*``: it is none.
    """
    file = read_reference_file(raw)
    values: Tree = {key: [written(one) for one in values] for key, values in file.values.items()}
    return Description("reference file", {
        "name": file.name, "publisher": file.publisher, "for": file.table, "serial": file.serial,
        "reason": file.reason, "values": values,
        "times": {name: file.signatures[0].token.claims.get(name) for name in ("iat", "nbf", "exp")},
        "signers": [f"sha256:{one.key.spki_sha256.hex()}" for one in file.signatures],
    })  # fmt: skip


def _message(raw: bytes) -> Sign1:
    try:
        return parse_sign1(raw[2:] if raw.startswith(_CWT) else raw, area="inspect")
    except SealroomError:
        raise MalformedError("inspect.unknown-format", "this is no COSE_Sign1") from None
