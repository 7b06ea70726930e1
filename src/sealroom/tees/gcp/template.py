"""The template from which a vTPM makes its attestation key: TPMT_PUBLIC with a place where the key will be.

A TPM derives the same primary key from the same template each time, so Google keeps the template and the certificate
in the vTPM, and the key nowhere. Here it is read, and written as tpm2-tools want it told.
"""

from dataclasses import dataclass, field

from sealroom.errors import MalformedError
from sealroom.tees._tpm.attest import Scheme, TpmHash
from sealroom.tees._tpm.reader import TpmReader

__all__ = ["KeyTemplate", "read_template"]

_RSA, _ECC, _NULL = 0x0001, 0x0023, 0x0010
_CURVES = {0x0003: 256, 0x0004: 384, 0x0005: 521}
_EXPONENTS = frozenset({0, 65537})
_LONGEST_COORDINATE = 128
"""Bytes that the tools' own structure has for one (TPM2_MAX_ECC_KEY_BYTES)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTemplate:
    """What the key is to be."""

    algorithm: str
    """As tpm2-tools spell it: ``rsa2048:rsassa-sha256:null``."""
    name_alg: str
    attributes: int
    policy: bytes = field(repr=False)
    unique: bytes = field(repr=False)
    """Tells this key from others of the same kind: the tools' own structure, in the byte order of this machine."""


def read_template(raw: bytes) -> KeyTemplate:
    """Read a template of a signing key.

    Raises:
        MalformedError: ``gcp.template``; ``tpm.truncated``, ``tpm.trailing``.
    """
    reader = TpmReader(raw, "the key's template")
    kind, name_alg, attributes, policy = reader.number(2), reader.number(2), reader.number(4), reader.sized()
    if reader.number(2) != _NULL:
        raise _bad("the key would be for storage")
    scheme = _scheme(reader)
    if kind == _RSA:
        algorithm, unique = _rsa(reader)
    elif kind == _ECC:
        algorithm, unique = _ecc(reader)
    else:
        raise _bad("the key would be neither RSA nor on a curve")
    reader.end()
    if name_alg not in set(TpmHash):
        raise _bad("the key would have a name by an unknown hash")
    return KeyTemplate(algorithm=f"{algorithm}:{scheme}:null", name_alg=TpmHash(name_alg).word, policy=policy,
                       attributes=attributes, unique=unique)  # fmt: skip


def _scheme(reader: TpmReader) -> str:
    scheme = reader.number(2)
    if scheme == _NULL:
        return "null"
    digest = reader.number(2)
    if scheme not in set(Scheme) or digest not in set(TpmHash):
        raise _bad("the key would sign in a way that is not taken here")
    return f"{Scheme(scheme).name.lower()}-{TpmHash(digest).word}"


def _rsa(reader: TpmReader) -> tuple[str, bytes]:
    bits, exponent, unique = reader.number(2), reader.number(4), reader.sized()
    if exponent not in _EXPONENTS:
        raise _bad("the key would have another exponent than the tools can ask for")
    return f"rsa{bits}", len(unique).to_bytes(2, "little") + unique


def _ecc(reader: TpmReader) -> tuple[str, bytes]:
    bits = _CURVES.get(reader.number(2))
    if bits is None or reader.number(2) != _NULL:
        raise _bad("the key would be on a curve that is not taken")
    point = [reader.sized() for _ in range(2)]
    if any(len(coordinate) > _LONGEST_COORDINATE for coordinate in point):
        raise _bad("a coordinate is longer than a curve's")
    unique = b"".join(len(one).to_bytes(2, "little") + one.ljust(_LONGEST_COORDINATE, b"\0") for one in point)
    return f"ecc{bits}", unique


def _bad(message: str) -> MalformedError:
    return MalformedError("gcp.template", message, expected="the template of an attestation key")
