"""TCB info: which versions of a platform's parts Intel holds to be current, and which not (PCS API v4, ``/tcb``).

Levels stay in the order in which Intel wrote them: the first that a platform reaches is its own. Version 3 has lists
of components; version 2, met in old collateral, has numbered members and is for SGX alone.
"""

from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from sealroom.errors import MalformedError
from sealroom.evidence import Validity
from sealroom.tees._dcap.members import Members
from sealroom.tees._dcap.signed_json import read_object
from sealroom.tees._dcap.tcb_status import TcbStatus, read_status

__all__ = ["COMPONENTS", "ModuleIdentity", "ModuleLevel", "TcbInfo", "TcbLevel", "read_tcb_info"]

AREA = "dcap.tcb-info"
COMPONENTS = 16
_MAX_SVN = 0xFFFF
_SVN = itemgetter("svn")


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbLevel:
    """One level of the platform."""

    components: bytes
    """Security versions of the 16 SGX components."""
    pcesvn: int
    tdx_components: bytes | None
    """Security versions of the 16 TDX components; None in an info for SGX."""
    status: TcbStatus
    date: datetime
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleLevel:
    """One level of a TDX module, or of a quoting enclave: reached from its security version on."""

    isvsvn: int
    status: TcbStatus
    date: datetime
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleIdentity:
    """A TDX module that Intel signed."""

    id: str
    """``TDX_01`` for major version 1; empty for the plain entry, version 0."""
    mr_signer: bytes
    attributes: bytes
    attributes_mask: bytes
    levels: tuple[ModuleLevel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbInfo:
    """What Intel says of one family and model (FMSPC)."""

    id: str
    """``TDX`` or ``SGX``; version 2 has none and is for SGX."""
    version: int
    validity: Validity
    fmspc: bytes
    pce_id: bytes
    evaluation_number: int
    module: ModuleIdentity | None
    module_identities: tuple[ModuleIdentity, ...]
    levels: tuple[TcbLevel, ...]


def read_tcb_info(body: bytes) -> TcbInfo:
    """Read ``body``, whose signature holds.

    Raises:
        MalformedError: ``dcap.tcb-info``.
    """
    members = Members(read_object(body, area=AREA), area=AREA, where="tcbInfo")
    version = members.integer("version", 255)
    if version not in {2, 3}:
        raise members.malformed("is not known here", "version", version, "2 or 3")
    if members.integer("tcbType", 255) != 0:
        raise members.malformed("is not known here", "tcbType", members.integer("tcbType", 255), "0")
    tee = members.text("id") if version == 3 else "SGX"
    if tee not in {"SGX", "TDX"}:
        raise members.malformed("is no TEE", "id", tee, "SGX or TDX")
    read_level = _level if version == 3 else _level_2
    levels = tuple(read_level(level, tdx=tee == "TDX") for level in members.objects("tcbLevels"))
    if not levels:
        raise members.malformed("is empty", "tcbLevels", "none", "one level or more")
    return TcbInfo(
        id=tee,
        version=version,
        validity=Validity(not_before=members.time("issueDate"), not_after=members.time("nextUpdate")),
        fmspc=members.octets("fmspc", 6),
        pce_id=members.octets("pceId", 2),
        evaluation_number=members.integer("tcbEvaluationDataNumber", 2**31),
        module=_plain_module(members) if members.has("tdxModule") else None,
        module_identities=_modules(members) if members.has("tdxModuleIdentities") else (),
        levels=levels,
    )


def read_module_level(level: Members) -> ModuleLevel:
    """A level of a module or an enclave."""
    return ModuleLevel(
        isvsvn=level.inner("tcb").integer("isvsvn", _MAX_SVN),
        status=read_status(level.text("tcbStatus"), level),
        date=level.time("tcbDate"),
        advisories=level.texts("advisoryIDs"),
    )


def _level(level: Members, *, tdx: bool) -> TcbLevel:
    tcb = level.inner("tcb")
    return TcbLevel(
        components=_components(tcb, "sgxtcbcomponents"),
        pcesvn=tcb.integer("pcesvn", _MAX_SVN),
        tdx_components=_components(tcb, "tdxtcbcomponents") if tdx else None,
        status=read_status(level.text("tcbStatus"), level),
        date=level.time("tcbDate"),
        advisories=level.texts("advisoryIDs"),
    )


def _level_2(level: Members, *, tdx: bool) -> TcbLevel:  # noqa: ARG001 - version 2 knows no TDX
    tcb = level.inner("tcb")
    return TcbLevel(
        components=bytes(tcb.integer(f"sgxtcbcomp{index:02d}svn", 255) for index in range(1, COMPONENTS + 1)),
        pcesvn=tcb.integer("pcesvn", _MAX_SVN),
        tdx_components=None,
        status=read_status(level.text("tcbStatus"), level),
        date=level.time("tcbDate"),
        advisories=level.texts("advisoryIDs"),
    )


def _components(tcb: Members, name: str) -> bytes:
    """Exactly 16: a shorter list, compared as far as it goes, would let everything after it pass."""
    values = tcb.list(name)
    try:
        versions = list(map(_SVN, values))
        if len(versions) == COMPONENTS and set(map(type, versions)) == {int}:
            return bytes(versions)
    except (TypeError, KeyError, ValueError):
        pass
    raise tcb.malformed(
        "is not 16 security versions", name, f"{len(values)} entries", "16, each an svn from 0 to 255"
    )


def _plain_module(members: Members) -> ModuleIdentity:
    module = members.inner("tdxModule")
    return ModuleIdentity(id="", mr_signer=module.octets("mrsigner", 48), attributes=module.octets("attributes", 8),
                          attributes_mask=module.octets("attributesMask", 8), levels=())  # fmt: skip


def _modules(members: Members) -> tuple[ModuleIdentity, ...]:
    found = tuple(
        ModuleIdentity(
            id=module.text("id").upper(),
            mr_signer=module.octets("mrsigner", 48),
            attributes=module.octets("attributes", 8),
            attributes_mask=module.octets("attributesMask", 8),
            levels=tuple(read_module_level(level) for level in module.objects("tcbLevels")),
        )
        for module in members.objects("tdxModuleIdentities")
    )
    if len({module.id for module in found}) != len(found):
        raise MalformedError(AREA, "a TDX module stands twice in the TCB info", where="tcbInfo.tdxModuleIdentities")
    return found
