"""What Intel says of platforms and quoting enclaves, as its service writes it (PCS API v4): the inner objects, to be
signed as they stand.

    TcbInfoForm      of a family and model: levels, TDX modules
    QeIdentityForm   of a quoting enclave

Members stand in the service's order and without spaces. Each is a form: change one field with `dataclasses.replace`
to have one fault alone; what no field can express is done to the bytes of `body` before they are signed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from sealroom.evidence import Validity

__all__ = ["COLLATERAL_WINDOW", "QE_SIGNERS", "Level", "ModuleForm", "QeIdentityForm", "TcbInfoForm"]

COLLATERAL_WINDOW = Validity(
    not_before=datetime(2026, 1, 1, tzinfo=UTC), not_after=datetime(2027, 12, 31, tzinfo=UTC)
)
QE_SIGNERS: Mapping[str, bytes] = {
    "QE": bytes.fromhex("8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff"),
    "TD_QE": bytes.fromhex("dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5"),
}
"""MRSIGNER of Intel's quoting enclaves, by the id of their identity."""
_PRODUCTS = {"QE": 1, "TD_QE": 2}

_SGX_PARTS = {
    0: ("BIOS", "Early Microcode Update"), 1: ("OS/VMM", "SGX Late Microcode Update"), 2: ("OS/VMM", "TXT SINIT"),
    3: ("BIOS",),
}  # fmt: skip
_SGX_PARTS_OF_TDX = {**_SGX_PARTS, 4: ("BIOS",), 5: ("BIOS",), 7: ("OS/VMM", "SEAMLDR ACM")}
_TDX_PARTS = {
    0: ("OS/VMM", "TDX Module"), 1: ("OS/VMM", "TDX Module"), 2: ("OS/VMM", "TDX Late Microcode Update"),
}  # fmt: skip
"""What the service calls a component, by its index: category and type."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level: ``components``, ``pcesvn`` and ``tdx`` of a platform, ``isvsvn`` of a module or enclave."""

    components: tuple[int, ...] = (0,) * 16
    pcesvn: int = 0
    tdx: tuple[int, ...] = (0,) * 16
    isvsvn: int = 0
    status: str = "UpToDate"
    date: str = "2026-02-11T00:00:00Z"
    advisories: tuple[str, ...] = ()

    def rest(self) -> dict[str, Any]:
        """Status, date and advisories, which are left out where there are none."""
        return {"tcbDate": self.date, "tcbStatus": self.status} | (
            {"advisoryIDs": list(self.advisories)} if self.advisories else {}
        )

    def of_enclave(self) -> dict[str, Any]:
        """As module identities and QE identities have it."""
        return {"tcb": {"isvsvn": self.isvsvn}, **self.rest()}


@dataclass(frozen=True, kw_only=True)
class ModuleForm:
    """A TDX module."""

    id: str = "TDX_01"
    mr_signer: bytes = bytes(48)
    attributes: bytes = bytes(8)
    levels: tuple[Level, ...] = (Level(isvsvn=4),)

    def document(self) -> dict[str, Any]:
        """As TCB info has it."""
        return {"id": self.id, **_module(self.mr_signer, self.attributes),
                "tcbLevels": [level.of_enclave() for level in self.levels]}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TcbInfoForm:
    """TCB info, version 3 (or 2, for SGX)."""

    id: str = "TDX"
    version: int = 3
    fmspc: bytes = bytes.fromhex("90c06f000000")
    pce_id: bytes = bytes(2)
    window: Validity = COLLATERAL_WINDOW
    evaluation_number: int = 18
    levels: tuple[Level, ...] = (Level(),)
    modules: tuple[ModuleForm, ...] = (ModuleForm(),)

    def with_status(self, status: str, *advisories: str) -> Self:
        """The same, but for the word on its first level."""
        first = replace(self.levels[0], status=status, advisories=advisories)
        return replace(self, levels=(first, *self.levels[1:]))

    def body(self) -> bytes:
        """The exact bytes to sign."""
        return _json(self._document())

    def _document(self) -> Mapping[str, Any]:
        head: dict[str, Any] = {"id": self.id} if self.version == 3 else {}
        head |= {"version": self.version, **_window(self.window), "fmspc": self.fmspc.hex(),
                 "pceId": self.pce_id.hex(), "tcbType": 0,
                 "tcbEvaluationDataNumber": self.evaluation_number}  # fmt: skip
        if self.id == "TDX":
            head["tdxModule"] = _module(bytes(48), bytes(8))
            head["tdxModuleIdentities"] = [module.document() for module in self.modules]
        head["tcbLevels"] = [{"tcb": self._tcb(level), **level.rest()} for level in self.levels]
        return head

    def _tcb(self, level: Level) -> dict[str, Any]:
        if self.version == 2:
            flat = {f"sgxtcbcomp{number:02d}svn": svn for number, svn in enumerate(level.components, start=1)}
            return flat | {"pcesvn": level.pcesvn}
        is_tdx = self.id == "TDX"
        parts = _components(level.components, _SGX_PARTS_OF_TDX if is_tdx else _SGX_PARTS)
        tcb: dict[str, Any] = {"sgxtcbcomponents": parts, "pcesvn": level.pcesvn}
        return tcb | ({"tdxtcbcomponents": _components(level.tdx, _TDX_PARTS)} if is_tdx else {})


@dataclass(frozen=True, kw_only=True)
class QeIdentityForm:
    """QE identity, version 2. What is None follows from ``id``."""

    id: str = "TD_QE"
    version: int = 2
    window: Validity = COLLATERAL_WINDOW
    evaluation_number: int = 18
    attributes_mask: bytes = bytes.fromhex("fbffffffffffffff0000000000000000")
    attributes: bytes = bytes.fromhex("11000000000000000000000000000000")
    mr_signer: bytes | None = None
    isv_prod_id: int | None = None
    levels: tuple[Level, ...] = (Level(isvsvn=4),)

    def body(self) -> bytes:
        """The exact bytes to sign."""
        mr_signer = QE_SIGNERS[self.id] if self.mr_signer is None else self.mr_signer
        product = _PRODUCTS[self.id] if self.isv_prod_id is None else self.isv_prod_id
        return _json({
            "id": self.id, "version": self.version, **_window(self.window),
            "tcbEvaluationDataNumber": self.evaluation_number,
            "miscselect": "00000000", "miscselectMask": "FFFFFFFF", "attributes": self.attributes.hex().upper(),
            "attributesMask": self.attributes_mask.hex().upper(), "mrsigner": mr_signer.hex().upper(),
            "isvprodid": product, "tcbLevels": [level.of_enclave() for level in self.levels],
        })  # fmt: skip


def _module(mr_signer: bytes, attributes: bytes) -> dict[str, str]:
    return {"mrsigner": mr_signer.hex().upper(), "attributes": attributes.hex().upper(), "attributesMask": "FF" * 8}


def _components(svns: tuple[int, ...], parts: Mapping[int, tuple[str, ...]]) -> list[dict[str, Any]]:
    named = (dict(zip(("category", "type"), parts.get(index, ()), strict=False)) for index in range(len(svns)))
    return [{"svn": svn} | words for svn, words in zip(svns, named, strict=True)]


def _window(window: Validity) -> dict[str, str]:
    form = "%Y-%m-%dT%H:%M:%SZ"
    return {"issueDate": window.not_before.strftime(form), "nextUpdate": window.not_after.strftime(form)}


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
