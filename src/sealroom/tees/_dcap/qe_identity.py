"""Which quoting enclave may sign (PCS API v4, ``/qe/identity``), and whether this one is it."""

import struct
from dataclasses import dataclass

from sealroom.errors import UnverifiedError
from sealroom.evidence import Validity
from sealroom.tees._dcap.members import Members
from sealroom.tees._dcap.signed_json import read_object
from sealroom.tees._dcap.tcb_info import ModuleLevel, read_module_level
from sealroom.tees._dcap.tcb_status import TcbStatus

__all__ = ["QeIdentity", "match_qe", "read_qe_identity"]

AREA = "dcap.qe-identity"
_IDENTITY = struct.Struct("<16x4s28x16s64x32s96xHH")
"""MISCSELECT, ATTRIBUTES with XFRM, MRSIGNER, ISVPRODID and ISVSVN in an enclave report (SDM vol. 3D, REPORT)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QeIdentity:
    """What Intel says of its quoting enclave. Masks and values are in memory order, byte 0 first."""

    id: str
    """``QE`` for SGX, ``TD_QE`` for TDX."""
    validity: Validity
    evaluation_number: int
    misc_select: bytes
    misc_select_mask: bytes
    attributes: bytes
    attributes_mask: bytes
    mr_signer: bytes
    isv_prod_id: int
    levels: tuple[ModuleLevel, ...]


def read_qe_identity(body: bytes) -> QeIdentity:
    """Read ``body``, whose signature holds.

    Raises:
        MalformedError: ``dcap.qe-identity``.
    """
    members = Members(read_object(body, area=AREA), area=AREA, where="enclaveIdentity")
    version = members.integer("version", 255)
    if version != 2:
        raise members.malformed("is not known here", "version", version, "2")
    return QeIdentity(
        id=members.text("id"),
        validity=Validity(not_before=members.time("issueDate"), not_after=members.time("nextUpdate")),
        evaluation_number=members.integer("tcbEvaluationDataNumber", 2**31),
        misc_select=members.octets("miscselect", 4),
        misc_select_mask=members.octets("miscselectMask", 4),
        attributes=members.octets("attributes", 16),
        attributes_mask=members.octets("attributesMask", 16),
        mr_signer=members.octets("mrsigner", 32),
        isv_prod_id=members.integer("isvprodid", 0xFFFF),
        levels=tuple(read_module_level(level) for level in members.objects("tcbLevels")),
    )


def match_qe(identity: QeIdentity, report: bytes) -> ModuleLevel:
    """The level of the quoting enclave whose report (384 bytes, its signature checked) this is.

    A debug enclave fails at the attributes: the mask covers the bit.

    Raises:
        UnverifiedError: ``dcap.qe-…``: another enclave, below every level, or revoked.
    """
    misc_select, attributes, mr_signer, isv_prod_id, isv_svn = _IDENTITY.unpack_from(report)
    for name, got, wanted, mask in (
        ("miscselect", misc_select, identity.misc_select, identity.misc_select_mask),
        ("attributes", attributes, identity.attributes, identity.attributes_mask),
        ("mrsigner", mr_signer, identity.mr_signer, b"\xff" * 32),
    ):
        if masked(got, mask) != masked(wanted, mask):
            raise _other_enclave(name, got.hex(), f"{wanted.hex()} under the mask {mask.hex()}")
    if isv_prod_id != identity.isv_prod_id:
        raise _other_enclave("isvprodid", isv_prod_id, identity.isv_prod_id)
    level = next((level for level in identity.levels if level.isvsvn <= isv_svn), None)
    if level is None:
        raise UnverifiedError("dcap.qe-tcb-not-supported", "the quoting enclave is older than any that Intel lists",
                              where="QE report, isvsvn", got=isv_svn,
                              hint="the platform must update its quoting enclave")  # fmt: skip
    if level.status is TcbStatus.REVOKED:
        raise UnverifiedError("dcap.tcb-revoked", "Intel has revoked this version of the quoting enclave",
                              where="QE report, isvsvn", got=isv_svn)  # fmt: skip
    return level


def masked(value: bytes, mask: bytes) -> int:
    """``value`` where ``mask`` has ones."""
    return int.from_bytes(value, "big") & int.from_bytes(mask, "big")


def _other_enclave(field: str, got: object, expected: object) -> UnverifiedError:
    return UnverifiedError(f"dcap.qe-{field}", "the quote was signed by another enclave than Intel's quoting enclave",
                           where=f"QE report, {field}", got=got, expected=expected,
                           hint="the QE identity must be the one for this TEE")  # fmt: skip
