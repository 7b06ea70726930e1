"""Reports as NVIDIA's devices write them: SPDM 1.1 request and answer, blocks of measurements, opaque data.

Every part can be set before the report is signed, lengths and counts among them, so that each lie can be had alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.tees.nvidia.opaque import DISABLED, ENABLED, OpaqueType
from sealroom.testing.nvidia_families import Family, Software

__all__ = ["Block", "Links", "ReportForm", "gpu_opaque", "measured", "raw_signature",
           "switch_opaque", "write_opaque", "write_report"]  # fmt: skip

_GPU_INFO = {"hopper": "8001000000000000", "blackwell": "a001000000000000"}
_MEASURED_UNITS = 64
_MANY_TIMES = {2: 4, 11: 0x82}
"""Units that were measured more than once, on an arbitrary machine."""
_NO_PORT = b"\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One measurement; ``index`` as SPDM counts, from 1."""

    index: int
    value: bytes
    specification: int = 1
    kind: int = 1
    size: int | None = None
    value_size: int | None = None

    def encode(self) -> bytes:
        """The block's bytes; sizes that are not given are true."""
        value_size = len(self.value) if self.value_size is None else self.value_size
        body = bytes((self.kind,)) + value_size.to_bytes(2, "little") + self.value
        size = len(body) if self.size is None else self.size
        return bytes((self.index, self.specification)) + size.to_bytes(2, "little") + body


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportForm:
    """A report before it is signed. Change one field with `dataclasses.replace` to have one fault."""

    nonce: bytes
    responder_nonce: bytes
    blocks: tuple[Block, ...] = field(repr=False)
    opaque: tuple[tuple[int, bytes], ...] = field(repr=False)
    slot: int = 0
    request_head: bytes = bytes((0x11, 0xE0, 0x01, 0xFF))
    response_head: bytes = bytes((0x11, 0x60, 0x00, 0x00))
    count: int | None = None
    record_size: int | None = None
    opaque_size: int | None = None
    opaque_raw: bytes | None = None
    """In place of ``opaque``."""

    def with_item(self, kind: int, value: bytes | None) -> "ReportForm":
        """The same with one item of the opaque data set, or left out (None)."""
        kept = [(known, value if known == kind else old) for known, old in self.opaque]
        if kind not in dict(kept):
            kept.append((kind, value))
        opaque = tuple((known, item) for known, item in kept if item is not None)
        return replace(self, opaque=opaque)

    def with_measurement(self, index: int, value: bytes) -> "ReportForm":
        """The same with another value at ``index``, counted from 0."""
        blocks = tuple(replace(block, value=value) if block.index == index + 1 else block for block in self.blocks)
        return replace(self, blocks=blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Who is at the other ends. ``own``: of a switch, its identifier."""

    own: bytes = b""
    peers: tuple[bytes, ...] = ()
    """Of a GPU: the switch of each link; of a switch: the GPUs."""


def write_report(form: ReportForm) -> bytes:
    """Everything that is signed."""
    record = b"".join(block.encode() for block in form.blocks)
    opaque = write_opaque(form.opaque) if form.opaque_raw is None else form.opaque_raw
    count = len(form.blocks) if form.count is None else form.count
    record_size = len(record) if form.record_size is None else form.record_size
    opaque_size = len(opaque) if form.opaque_size is None else form.opaque_size
    request = form.request_head + form.nonce + bytes((form.slot,))
    head = form.response_head + bytes((count,)) + record_size.to_bytes(3, "little")
    return request + head + record + form.responder_nonce + opaque_size.to_bytes(2, "little") + opaque


def write_opaque(items: Iterable[tuple[int, bytes]]) -> bytes:
    """Items one after the other, each with its type and size."""
    return b"".join(kind.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value for kind, value in items)


def raw_signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """r and s over SHA-384 of ``message``, big-endian, 48 bytes each; the same each time (RFC 6979)."""
    signature = key.sign(message, ec.ECDSA(hashes.SHA384(), deterministic_signing=True))
    return b"".join(number.to_bytes(48, "big") for number in decode_dss_signature(signature))


def gpu_opaque(
    family: Family, software: Software, *, fwid: bytes, protected_pcie: bool = False, several: bool = False,
    links: Links = Links(), nvdec0: int = DISABLED,
) -> tuple[tuple[int, bytes], ...]:  # fmt: skip
    """What a GPU says of itself, in the order in which real ones say it.

    Args:
        family: of the GPU.
        software: what it runs.
        fwid: 48 bytes, in its certificate too.
        protected_pcie: whether it works with the others over protected PCIe.
        several: whether several GPUs are passed to one machine.
        links: the switch of each of its links, if it says so.
        nvdec0: status of that unit.
    """
    items: list[tuple[int, bytes | None]] = [
        (OpaqueType.VBIOS_VERSION, _vbios(software.vbios)),
        (OpaqueType.BOARD_ID, software.board_id.to_bytes(4, "little")),
        (OpaqueType.CHIP_SKU, software.chip_sku.encode().ljust(9, b"\0")),
        (OpaqueType.CHIP_SKU_MOD, b"0".ljust(5, b"\0")),
        (OpaqueType.PROJECT, _text(software.project)),
        (OpaqueType.PROJECT_SKU, _text(software.project_sku)),
        (OpaqueType.PROJECT_SKU_MOD, bytes(2) if family.architecture == "hopper" else b"0\0"),
        (OpaqueType.DRIVER_VERSION, _text(software.driver or "")),
        (OpaqueType.GPU_INFO, bytes.fromhex(_GPU_INFO[family.architecture])),
        (OpaqueType.MSRSCNT, _counts(_MEASURED_UNITS)),
        (OpaqueType.CPRINFO, bytes.fromhex("00c00100") if family.architecture == "hopper" else bytes(4)),
        (OpaqueType.NVDEC0_STATUS, bytes((nvdec0,))),
        (OpaqueType.FWID, fwid if software.names_fwid else None),
    ]
    if software.says_protected_pcie:
        status = bytes((ENABLED if protected_pcie else DISABLED,))
        items.append((OpaqueType.PROTECTED_PCIE_STATUS, status))
    if links.peers:
        items.append((OpaqueType.SWITCH_PDI, b"".join(pdi[::-1] for pdi in links.peers)))
    if family.architecture == "blackwell":
        items.append((OpaqueType.SYS_ENABLE_STATUS, bytes.fromhex("0700")))
    items.append((OpaqueType.CHIP_INFO, _text(software.chip_info) if software.chip_info else None))
    if software.opaque_version is not None:
        flag = 2 if protected_pcie else int(several)
        items.append((OpaqueType.OPAQUE_DATA_VERSION, software.opaque_version.to_bytes(2, "little")))
        items.append((OpaqueType.FEATURE_FLAG, flag.to_bytes(2, "little")))
    return tuple((kind, value) for kind, value in items if value is not None)


def switch_opaque(software: Software, *, links: Links, position: int = 0) -> tuple[tuple[int, bytes], ...]:
    """What an NVLink switch says of itself."""
    listed = b"".join(pdi.ljust(8, b"\0") for pdi in links.peers).ljust(64, b"\0")
    ports = b"".join(bytes((gpu, port)) for gpu in range(len(links.peers)) for port in range(2))
    return (
        (OpaqueType.VBIOS_VERSION, software.vbios.encode()),
        (OpaqueType.SWITCH_PDI, links.own),
        (OpaqueType.MSRSCNT, _counts(26)),
        (OpaqueType.SWITCH_GPU_PDIS, listed + ports.ljust(64, _NO_PORT)),
        (OpaqueType.FLOORSWEPT_PORTS, bytes.fromhex("ec00")),
        (OpaqueType.POSITION_ID, position.to_bytes(2, "little")),
        (OpaqueType.LOCK_SWITCH_STATUS, bytes.fromhex("0100")),
    )


def measured(values: Mapping[int, bytes], blocks: int) -> tuple[Block, ...]:
    """All blocks; zero where nothing was measured. ``values`` by index from 0."""
    return tuple(Block(index=index + 1, value=values.get(index, bytes(48))) for index in range(blocks))


def _vbios(version: str) -> bytes:
    """``96.00.a5.00.01`` in eight bytes, the first four turned round."""
    parts = bytes.fromhex(version.replace(".", ""))
    return parts[3::-1] + parts[4:5] + bytes(3)


def _text(value: str) -> bytes:
    return value.encode() + b"\0"


def _counts(units: int) -> bytes:
    return b"".join(_MANY_TIMES.get(unit, 1).to_bytes(4, "little") for unit in range(units))
