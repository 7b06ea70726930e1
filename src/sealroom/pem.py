"""PEM text (RFC 7468), strictly: blocks of the one expected label, and white space alone between and after them.

NUL bytes at the end are let pass too, because some certificate services append one.
"""

import base64
import binascii
import re

from sealroom.errors import MalformedError

__all__ = ["as_pem", "is_pem", "read_pem"]

_BLOCK = re.compile(rb"\s*-----BEGIN ([A-Z0-9 ]{1,32})-----\r?\n([A-Za-z0-9+/=\r\n]*)-----END \1-----[ \t]*\r?\n?")

_FIRST_LINE = re.compile(rb"\s*-----BEGIN [A-Z0-9 ]{1,32}-----")


def is_pem(raw: bytes) -> bool:
    """Whether ``raw`` begins like PEM and not like DER."""
    return raw.lstrip(b" \t\r\n").startswith(b"-----BEGIN ")


def read_pem(raw: bytes, label: str) -> list[bytes]:
    """The blocks of ``raw``, in their order.

    Raises:
        MalformedError: ``x509.pem``: something else than blocks of this label stands there.
    """
    blocks = []
    offset = 0
    end = len(raw.rstrip(b"\x00 \t\r\n"))
    while offset < end:
        match = _BLOCK.match(raw, offset)
        if match is None or match[1] != label.encode():
            raise MalformedError("x509.pem", f"only PEM blocks of the kind {label} are expected",
                                 where=f"byte {offset}", got=_shown(raw[offset:]))  # fmt: skip
        try:
            blocks.append(base64.b64decode(match[2].translate(None, b"\r\n"), validate=True))
        except binascii.Error as reason:
            raise MalformedError("x509.pem", f"a PEM block is not base64: {reason}", where=f"byte {offset}") from None
        offset = match.end()
    return blocks


def _shown(raw: bytes) -> str:
    """The first line of a block of another kind; of anything else its size alone, since it may be secret."""
    label = _FIRST_LINE.match(raw)
    return label[0].strip().decode() if label else f"{len(raw)} bytes that are not PEM"


def as_pem(*blocks: bytes, label: str = "CERTIFICATE") -> bytes:
    """DER blocks as PEM text, in their order."""
    lines = []
    for block in blocks:
        text = base64.b64encode(block)
        body = b"\n".join(text[start : start + 64] for start in range(0, len(text), 64))
        lines.append(b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label.encode(), body, label.encode()))
    return b"".join(lines)
