"""Which TEE a bare piece of evidence is of, by its first bytes. Decides nothing: the parser of that TEE does.

An SNP report begins with its version in four bytes; a quote with its version in two, the type of its attestation key
in two, which is never zero, and its TEE type in four.
"""

from sealroom.evidence import Tee

__all__ = ["recognise"]

_SNP_SIZE, _SNP_VERSIONS = 0x4A0, range(2, 6)
_QUOTE_VERSIONS, _HEADER_SIZE = range(3, 6), 48
_QUOTES = {0x00: Tee.SGX, 0x81: Tee.TDX}


def recognise(raw: bytes) -> Tee | None:
    """The TEE that ``raw`` looks like evidence of; None if of none."""
    if len(raw) < 4:
        return None
    version, key_type, tee_type = (int.from_bytes(raw[at:end], "little") for at, end in ((0, 2), (2, 4), (4, 8)))
    if key_type == 0:
        return Tee.SNP if version in _SNP_VERSIONS or (version and len(raw) == _SNP_SIZE) else None
    if version in _QUOTE_VERSIONS and len(raw) >= _HEADER_SIZE:
        return _QUOTES.get(tee_type)
    return None
