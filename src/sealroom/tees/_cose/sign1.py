"""COSE_Sign1 (RFC 9052 section 4.2): read, and the one signature verified."""

from collections.abc import Collection
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sealroom.cbor import CborKey, CborValue, Tagged, encode_cbor, read_cbor
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.tees._cose.algorithms import CoseAlg, scheme_of

__all__ = ["SIGN1_TAG", "Sign1", "parse_sign1", "sign1_of", "verify_sign1"]

SIGN1_TAG = 18
_ALG, _CRIT = 1, 2
_MAX_SIZE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign1:
    """A message and its signature; untrusted until `verify_sign1` has returned."""

    protected_raw: bytes = field(repr=False)
    """The protected header as it is signed."""
    protected: dict[CborKey, CborValue]
    unprotected: dict[CborKey, CborValue]
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    tagged: bool
    """Whether tag 18 stood before it; the signature is over the same bytes either way."""

    @property
    def alg(self) -> CborValue:
        """The algorithm that the protected header names; only that one counts."""
        return self.protected.get(_ALG)


def parse_sign1(raw: bytes, *, area: str, tags: Collection[int | None] = (None, SIGN1_TAG)) -> Sign1:
    """Read a COSE_Sign1 that fills ``raw``.

    Args:
        raw: untrusted, at most 1 MiB.
        area: first word of the error codes.
        tags: which tags may stand before it; None: none.

    Raises:
        MalformedError: ``AREA.cose``, ``AREA.cbor-*``.
    """
    if len(raw) > _MAX_SIZE:
        raise _bad(area, "the message is too large", f"{len(raw)} bytes", f"at most {_MAX_SIZE}")
    value = read_cbor(raw, area=area)
    tag = value.tag if isinstance(value, Tagged) else None
    if tag not in tags:
        raise _bad(area, "the message has another tag than it may have", tag or "none",
                   " or ".join(sorted(str(one or "none") for one in tags)))  # fmt: skip
    return sign1_of(value.value if isinstance(value, Tagged) else value, area=area, tagged=tag is not None)


def sign1_of(value: CborValue, *, area: str, tagged: bool = False) -> Sign1:
    """The same from CBOR that was read already."""
    if not isinstance(value, list) or len(value) != 4:
        raise _bad(area, "a COSE_Sign1 is an array of four", type(value).__name__, "an array of 4")
    protected_raw, unprotected, payload, signature = value
    if not isinstance(protected_raw, bytes) or not isinstance(unprotected, dict):
        raise _bad(area, "the headers of a COSE_Sign1 are a byte string and a map", None, None)
    if not isinstance(payload, bytes) or not isinstance(signature, bytes):
        raise _bad(area, "payload and signature of a COSE_Sign1 are byte strings", None, "attached payload")
    protected = read_cbor(protected_raw, area=area) if protected_raw else {}
    if not isinstance(protected, dict):
        raise _bad(area, "the protected header is not a map", type(protected).__name__, "a map")
    if _CRIT in protected or set(protected) & set(unprotected):
        raise _bad(area, "a header that must be understood is not, or stands in both places", None, None)
    return Sign1(protected_raw=protected_raw, protected=protected, unprotected=unprotected, payload=payload,
                 signature=signature, tagged=tagged)  # fmt: skip


def verify_sign1(
    message: Sign1,
    key: ec.EllipticCurvePublicKey,
    *,
    algorithms: Collection[CoseAlg],
    area: str,
    external_aad: bytes = b"",
) -> CoseAlg:
    """Verify the signature (RFC 9052 section 4.4) and return the algorithm.

    1. The protected header names an algorithm that is in ``algorithms``.
    2. ``key`` is on the curve of that algorithm.
    3. The signature is r and s, as long as the curve says, and holds.

    Raises:
        UnverifiedError: ``AREA.cose-algorithm``, ``AREA.cose-key``, ``AREA.signature``.
    """
    # 1.
    named = message.alg
    if isinstance(named, bool) or not isinstance(named, int) or named not in set(algorithms):
        raise UnverifiedError(f"{area}.cose-algorithm", "the message is signed in a way that is not accepted here",
                              got=ascii(named)[:40],
                              expected=", ".join(algorithm.name for algorithm in algorithms))  # fmt: skip
    algorithm = CoseAlg(named)
    scheme = scheme_of(algorithm)
    # 2.
    if not isinstance(key.curve, scheme.curve):
        raise UnverifiedError(f"{area}.cose-key", "the key is on another curve than the algorithm",
                              got=key.curve.name, expected=scheme.curve.name)  # fmt: skip
    # 3.
    if len(message.signature) != 2 * scheme.size:
        raise UnverifiedError(f"{area}.signature", "the signature has another length than its algorithm gives",
                              got=f"{len(message.signature)} bytes", expected=f"{2 * scheme.size} bytes (r and s)",
                              )  # fmt: skip
    r, s = (int.from_bytes(half, "big") for half in (message.signature[: scheme.size],
                                                     message.signature[scheme.size :]))  # fmt: skip
    signed = encode_cbor(["Signature1", message.protected_raw, external_aad, message.payload])
    try:
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(scheme.digest))
    except InvalidSignature:
        raise UnverifiedError(f"{area}.signature", "the message was not signed by this key, or was changed since",
                              hint="fetch the evidence anew") from None  # fmt: skip
    return algorithm


def _bad(area: str, message: str, got: object, expected: object) -> MalformedError:
    return MalformedError(f"{area}.cose", message, got=got, expected=expected)
