"""Private keys that a command signs with: PEM files, on P-256 or P-384."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sealroom.cli.input_files import read_input
from sealroom.errors import MisuseError

__all__ = ["read_signing_key"]

_CURVES = (ec.SECP256R1, ec.SECP384R1)
_MOST = 16 * 1024


def read_signing_key(path: Path, *, option: str) -> ec.EllipticCurvePrivateKey:
    """The key in an unencrypted PEM file.

    Args:
        path: as the user gave it.
        option: what the user gave it as.

    Raises:
        MisuseError: ``cli.signing-key``: no such key; ``cli.cannot-read``.
    """
    try:
        key = load_pem_private_key(read_input(path, limit=_MOST), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, _CURVES):
        raise MisuseError("cli.signing-key", f"{option} is no key that can sign this", where=str(path),
                          got=_kind(key), expected="a private key on P-256 or P-384, PEM, without a password",
                          hint="openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem",
                          )  # fmt: skip
    return key


def _kind(key: object) -> str:
    if key is None:
        return "no private key in PEM, or one with a password"
    return f"a key on {key.curve.name}" if isinstance(key, ec.EllipticCurvePrivateKey) else "another kind of key"
