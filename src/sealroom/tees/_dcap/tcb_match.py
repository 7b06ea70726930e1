"""Which level a platform and its TDX module have reached: the walk through what Intel lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import ge

from sealroom.errors import UnverifiedError
from sealroom.tees._dcap.qe_identity import masked
from sealroom.tees._dcap.tcb_info import ModuleIdentity, ModuleLevel, TcbInfo, TcbLevel
from sealroom.tees._dcap.tcb_status import TcbStatus

__all__ = ["ModuleFacts", "match_level", "match_module"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleFacts:
    """What a TD report says of the TDX module under it."""

    mr_signer: bytes
    attributes: bytes


def match_level(
    info: TcbInfo, *, components: Sequence[int], pcesvn: int, tee_tcb_svn: bytes | None = None
) -> TcbLevel | None:
    """The first level, in Intel's order, that is reached part by part; None if none is.

    Args:
        info: of the platform's FMSPC.
        components: the 16 security versions in the PCK certificate; not the report's CPUSVN, which differs.
        pcesvn: in the PCK certificate.
        tee_tcb_svn: of the TD; None for SGX. From module version 1 on, bytes 0 and 1 speak of the module, which has
            levels of its own (`match_module`), and are not compared here.
    """
    skipped = 2 if tee_tcb_svn is not None and tee_tcb_svn[1] > 0 else 0
    for level in info.levels:
        if pcesvn < level.pcesvn or not all(map(ge, components, level.components)):
            continue
        if tee_tcb_svn is not None and not _reaches(tee_tcb_svn, level.tdx_components, skipped):
            continue
        return level
    return None


def match_module(info: TcbInfo, tee_tcb_svn: bytes, facts: ModuleFacts) -> ModuleLevel | None:
    """The level of the TDX module with version ``tee_tcb_svn``; None for module version 0, which has no levels.

    Raises:
        UnverifiedError: ``dcap.tdx-module-…``: unknown, not Intel's, or below every level.
    """
    major = tee_tcb_svn[1]
    if major == 0:
        if info.module is not None:
            _require_signer(info.module, facts)
            return None
        raise _unknown("the TCB info has no tdxModule", "TDX 1.0", "an entry tdxModule")
    name = f"TDX_{major:02X}"
    identity = next((module for module in info.module_identities if module.id == name), None)
    if identity is None:
        known = ", ".join(module.id for module in info.module_identities)
        raise _unknown("the TCB info lists no such TDX module", name, known or "none")
    _require_signer(identity, facts)
    level = next((level for level in identity.levels if level.isvsvn <= tee_tcb_svn[0]), None)
    if level is None:
        raise UnverifiedError("dcap.tdx-module-tcb-not-supported", "the TDX module is older than any that Intel "
                              "lists", where="tee_tcb_svn", got=tee_tcb_svn[0],
                              expected=f"{identity.levels[-1].isvsvn} or more" if identity.levels else "a level",
                              hint="the platform must update its TDX module")  # fmt: skip
    if level.status is TcbStatus.REVOKED:
        raise UnverifiedError("dcap.tcb-revoked", "Intel has revoked this version of the TDX module",
                              where="tee_tcb_svn", got=tee_tcb_svn[0])  # fmt: skip
    return level


def _reaches(tee_tcb_svn: bytes, wanted: bytes | None, skipped: int) -> bool:
    return wanted is not None and all(map(ge, tee_tcb_svn[skipped:], wanted[skipped:]))


def _require_signer(identity: ModuleIdentity, facts: ModuleFacts) -> None:
    if facts.mr_signer != identity.mr_signer:
        raise UnverifiedError("dcap.tdx-module-mrsigner", "the TDX module is not signed by whom Intel names",
                              where="mr_signer_seam", got=facts.mr_signer.hex(),
                              expected=identity.mr_signer.hex())  # fmt: skip
    if masked(facts.attributes, identity.attributes_mask) != masked(identity.attributes, identity.attributes_mask):
        raise UnverifiedError("dcap.tdx-module-attributes", "the TDX module has other attributes than Intel's",
                              where="seam_attributes", got=facts.attributes.hex(),
                              expected=identity.attributes.hex())  # fmt: skip


def _unknown(message: str, got: str, expected: str) -> UnverifiedError:
    return UnverifiedError("dcap.tdx-module-unknown", message, where="tee_tcb_svn", got=got, expected=expected,
                           hint="fetch current TCB info; an unknown module is not trusted")  # fmt: skip
