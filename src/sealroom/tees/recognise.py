"""Which TEE a bare piece of evidence is of, by its first bytes. Decides nothing: the parser of that TEE does."""

from sealroom.evidence import Tee

__all__ = ["recognise"]

_SNP_SIZE, _SNP_VERSIONS = 0x4A0, range(2, 6)
_TDX = 0x81


def recognise(raw: bytes) -> Tee | None:
    """The TEE that ``raw`` looks like evidence of; None if of none."""
    if len(raw) == _SNP_SIZE and int.from_bytes(raw[:4], "little") in _SNP_VERSIONS:
        return Tee.SNP
    version, tee_type = int.from_bytes(raw[:2], "little"), int.from_bytes(raw[4:8], "little")
    if version in {4, 5} and tee_type == _TDX:
        return Tee.TDX
    if version in {3, 4, 5} and tee_type == 0 and len(raw) > _SNP_SIZE // 2:
        return Tee.SGX
    return None
