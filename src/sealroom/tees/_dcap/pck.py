"""The Provisioning Certification Key's certificate: which platform, at which versions (Intel PCK Certificate and CRL
Profile, extension 1.2.840.113741.1.13.1).
"""

from dataclasses import dataclass
from functools import lru_cache

from sealroom.der import BOOLEAN, ENUMERATED, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, Element, read_whole
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.x509_reader import Certificate

__all__ = ["PckIdentity", "forget", "read_pck_identity"]

_SGX = "1.2.840.113741.1.13.1"
_LEAF = "Intel SGX PCK Certificate"
_CAS = {"Intel SGX PCK Processor CA": "processor", "Intel SGX PCK Platform CA": "platform"}
_TCB = 2
_PCESVN, _CPUSVN = 17, 18


@dataclass(frozen=True, slots=True, kw_only=True)
class PckIdentity:
    """What the certificate says of the platform."""

    ca: str
    """``processor`` or ``platform``: who issued it, which says which revocation list covers it."""
    ppid: bytes
    components: tuple[int, ...]
    """16 security versions: what the TCB level is decided by."""
    pcesvn: int
    cpusvn: bytes
    pce_id: bytes
    fmspc: bytes
    """Family, model, stepping, platform type, custom SKU."""
    sgx_type: int
    """0: standard, 1: scalable, 2: scalable with integrity."""
    platform_instance_id: bytes | None
    dynamic_platform: bool | None
    cached_keys: bool | None
    smt_enabled: bool | None
    """Of platforms with several packages alone; None: the certificate does not say."""


def read_pck_identity(leaf: Certificate, issuer: Certificate) -> PckIdentity:
    """What a verified PCK certificate says.

    Raises:
        MalformedError, UnverifiedError: ``dcap.pck-…``.
    """
    ca = _CAS.get(issuer.subject.common_name)
    if leaf.subject.common_name != _LEAF or ca is None:
        raise UnverifiedError("dcap.pck-names", "this is no PCK certificate of Intel's",
                              got=f"{leaf.subject}, issued by {issuer.subject}",
                              expected=f"{_LEAF}, issued by {' or '.join(_CAS)}")  # fmt: skip
    extension = leaf.extensions.get(_SGX)
    if extension is None:
        raise MalformedError("dcap.pck-extension", "the PCK certificate lacks its extension", expected=_SGX)
    return _identity(extension.value, ca)


@lru_cache(maxsize=64)
def _identity(extension: bytes, ca: str) -> PckIdentity:
    # a pure function of its bytes, so that remembering it can not change any verdict
    members = _members(read_whole(extension, SEQUENCE), _SGX)
    tcb = _members(_required(members, _TCB, SEQUENCE), f"{_SGX}.{_TCB}")
    configuration = _members(members[7], f"{_SGX}.7") if 7 in members else {}
    if ca == "processor" and (6 in members or 7 in members):
        raise UnverifiedError("dcap.pck-extension", "the processor CA certifies no platform of several packages")
    return PckIdentity(
        ca=ca,
        ppid=_octets(members, 1, 16),
        components=tuple(_version(tcb, number, 0xFF) for number in range(1, 17)),
        pcesvn=_version(tcb, _PCESVN, 0xFFFF),
        cpusvn=_octets(tcb, _CPUSVN, 16),
        pce_id=_octets(members, 3, 2),
        fmspc=_octets(members, 4, 6),
        sgx_type=_sgx_type(members),
        platform_instance_id=_octets(members, 6, 16) if 6 in members else None,
        dynamic_platform=_flag(configuration, 1),
        cached_keys=_flag(configuration, 2),
        smt_enabled=_flag(configuration, 3),
    )


def forget() -> None:
    """Drop what is remembered: for measurements of the cold case."""
    _identity.cache_clear()


def _members(sequence: Element, prefix: str) -> dict[int, Element]:
    """Values by the last number of their identifiers; each once, and all under ``prefix``."""
    if sequence.tag != SEQUENCE:
        raise _malformed(prefix, f"tag 0x{sequence.tag:02x}", "a SEQUENCE")
    found: dict[int, Element] = {}
    reader = sequence.reader()
    while not reader.at_end():
        pair = reader.take(SEQUENCE).reader()
        identifier = pair.take(OBJECT_IDENTIFIER).oid()
        value = pair.take()
        pair.end()
        parent, _, last = identifier.rpartition(".")
        if parent != prefix or int(last) in found:
            raise _malformed(identifier, "an identifier out of place, or twice", f"each member of {prefix} once")
        found[int(last)] = value
    return found


def _required(members: dict[int, Element], number: int, tag: int) -> Element:
    value = members.get(number)
    if value is None or value.tag != tag:
        raise _malformed(f"member {number}", "nothing" if value is None else f"tag 0x{value.tag:02x}",
                         f"tag 0x{tag:02x}")  # fmt: skip
    return value


def _octets(members: dict[int, Element], number: int, size: int) -> bytes:
    content = _required(members, number, OCTET_STRING).content
    if len(content) != size:
        raise _malformed(f"member {number}", f"{len(content)} bytes", f"{size} bytes")
    return content


def _version(members: dict[int, Element], number: int, high: int) -> int:
    value = _required(members, number, INTEGER).integer()
    if not 0 <= value <= high:
        raise _malformed(f"member {number}", str(value), f"0 to {high}")
    return value


def _sgx_type(members: dict[int, Element]) -> int:
    content = _required(members, 5, ENUMERATED).content
    if len(content) != 1 or content[0] > 2:
        raise _malformed("member 5", content[:8].hex(), "0, 1 or 2")
    return content[0]


def _flag(members: dict[int, Element], number: int) -> bool | None:
    return _required(members, number, BOOLEAN).boolean() if number in members else None


def _malformed(where: str, got: str, expected: str) -> MalformedError:
    return MalformedError("dcap.pck-extension", "the PCK certificate's extension is not as Intel's are", where=where,
                          got=got, expected=expected)  # fmt: skip
