"""The report of a GPU or of an NVLink switch: SPDM 1.1 GET_MEASUREMENTS and its answer (DMTF DSP0274 1.1, 10.11).

    0x00  request   37 bytes: version 11h, code E0h, param1 01h (signature), param2 FFh (all), nonce 32, slot
    0x25  response  version 11h, code 60h, param1, param2, number of blocks, length of the record (u24)
    0x2D  record    blocks: index, specification 01h, size (u16), DMTF type, value size (u16), value
          responder's nonce 32, length of the opaque data (u16), opaque data (`opaque`), signature 96 (r, s)

All lengths little-endian. What is signed is every byte before the signature, the request among them. Nothing says
how long the whole is: the lengths inside have to add up to it exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from struct import Struct
from types import MappingProxyType

from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Evidence, Tee
from sealroom.tees.nvidia.detached_eat import DetachedEat, read_detached_eat
from sealroom.tees.nvidia.opaque import DISABLED, ENABLED, Opaque, OpaqueType, read_opaque

__all__ = [
    "FWID_SIZE",
    "NONCE_SIZE",
    "SIGNATURE_SIZE",
    "DeviceEvidence",
    "NrasEvidence",
    "NvidiaEvidence",
    "NvidiaReport",
    "forget",
    "parse",
    "parse_report",
]

NONCE_SIZE = 32
SIGNATURE_SIZE = 96
FWID_SIZE = 48
_MAX_REPORT = 64 * 1024
_REQUEST_HEAD = bytes((0x11, 0xE0, 0x01, 0xFF))
_RESPONSE_HEAD = bytes((0x11, 0x60))
_NONCE_AT, _SLOT_AT, _RESPONSE_AT, _COUNT_AT, _LENGTH_AT, _RECORD_AT = 4, 36, 37, 41, 42, 45
_HEAD, _VALUE_HEAD = Struct("<BBHBH"), 3
"""Of a block, its value's own head among it; and how long that is."""
_DIGEST, _DIGEST_SIZE = Struct("<BBHBH48s"), 48
"""A whole block with a digest in it."""
_VBIOS_SIZE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaReport:
    """The report's fields. Untrusted until `verify` has said otherwise."""

    request_nonce: bytes
    """32 bytes, chosen by whoever asked."""
    responder_nonce: bytes
    slot: int
    block_count: int
    record_size: int
    measurements: Mapping[int, bytes]
    """By index as the reference values count them: from 0, one less than SPDM's."""
    opaque: Opaque
    driver_version: str | None
    """None: a switch."""
    vbios_version: str
    project: str | None
    project_sku: str | None
    chip_sku: str | None
    chip_info: str | None
    nvdec0_status: int | None
    protected_pcie_status: int | None
    fwid: bytes | None
    opaque_version: int | None
    feature_flag: int | None
    """0 one GPU, 1 several GPUs, 2 protected PCIe; None: firmware that does not say."""
    switch_pdis: tuple[bytes, ...]
    """Of a GPU: its links' switches, bytes reversed, zero where there is none; of a switch: its own."""
    gpu_pdis: tuple[bytes, ...]
    """Of a switch: the GPUs on its ports."""

    @property
    def protected_pcie(self) -> bool:
        """Whether the device says that it works with others over protected PCIe."""
        return self.protected_pcie_status == ENABLED or self.feature_flag == 2


@dataclass(frozen=True, kw_only=True)
class DeviceEvidence(Evidence):
    """A device's report, or what NVIDIA's service says of one."""

    tee: Tee = Tee.NVIDIA

    def __post_init__(self) -> None:
        if self.tee is not Tee.NVIDIA:
            raise MisuseError("nvidia.other-tee", "a GPU's report is of the TEE nvidia", got=self.tee.value)


@dataclass(frozen=True, kw_only=True)
class NrasEvidence(DeviceEvidence):
    """An answer of NVIDIA's attestation service about one device, parsed."""

    eat: DetachedEat = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "eat", read_detached_eat(self.raw))


@dataclass(frozen=True, kw_only=True)
class NvidiaEvidence(DeviceEvidence):
    """A report, parsed. All of it is what `raw` says: it is read from there when this is made."""

    unchanging: bytes = field(init=False, repr=False, compare=False)
    """All that the device says each time, whatever it is asked: everything but two nonces and the signature."""

    def __post_init__(self) -> None:
        super().__post_init__()
        raw = self.raw
        record_end = _record_end(raw)
        object.__setattr__(
            self, "unchanging", raw[_SLOT_AT:record_end] + raw[record_end + NONCE_SIZE : -SIGNATURE_SIZE]
        )
        _said(self.unchanging)

    @property
    def request_nonce(self) -> bytes:
        """32 bytes, chosen by whoever asked."""
        return self.raw[_NONCE_AT:_SLOT_AT]

    @cached_property
    def report(self) -> NvidiaReport:
        """Every field."""
        said = _said(self.unchanging)
        record_end = _RECORD_AT + said.record_size
        return replace(said, request_nonce=self.request_nonce,
                       responder_nonce=self.raw[record_end : record_end + NONCE_SIZE])  # fmt: skip

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers."""
        return self.raw[:-SIGNATURE_SIZE]

    @property
    def signature(self) -> bytes:
        """r and s, 48 bytes each, most significant byte first."""
        return self.raw[-SIGNATURE_SIZE:]


def parse(raw: bytes) -> DeviceEvidence:
    """Read a device's report, or an answer of NVIDIA's attestation service about a device.

    Raises:
        MalformedError: ``nvidia.*``: the bytes are neither.
        UnverifiedError: ``nvidia.nras-*``: the parts of an answer do not belong together.
    """
    return NrasEvidence(raw=bytes(raw)) if raw[:1] == b"[" else parse_report(raw)


def parse_report(raw: bytes) -> NvidiaEvidence:
    """Read the report of a Hopper or Blackwell GPU, or of an NVLink switch.

    Raises:
        MalformedError: ``nvidia.*``: the bytes are no such report.
    """
    return NvidiaEvidence(raw=bytes(raw))


def forget() -> None:
    """Drop what is remembered of the parts of reports: for measurements of the cold case."""
    _said.cache_clear()


@lru_cache(maxsize=64)
def _said(unchanging: bytes) -> NvidiaReport:
    """The report's fields but for its nonces, which are empty here. A device says the same each time, so that a pure
    function of these bytes is worth remembering."""
    record_end = (
        _RECORD_AT - _SLOT_AT + int.from_bytes(unchanging[_LENGTH_AT - _SLOT_AT : _RECORD_AT - _SLOT_AT], "little")
    )
    record, count = unchanging[_RECORD_AT - _SLOT_AT : record_end], unchanging[_COUNT_AT - _SLOT_AT]
    opaque = read_opaque(unchanging[record_end + 2 :])
    report = NvidiaReport(
        request_nonce=b"",
        responder_nonce=b"",
        slot=unchanging[0],
        block_count=count,
        record_size=len(record),
        measurements=_measurements(record, count),
        opaque=opaque,
        driver_version=opaque.text(OpaqueType.DRIVER_VERSION),
        vbios_version=_vbios_version(opaque),
        project=opaque.text(OpaqueType.PROJECT),
        project_sku=opaque.text(OpaqueType.PROJECT_SKU),
        chip_sku=opaque.text(OpaqueType.CHIP_SKU),
        chip_info=opaque.text(OpaqueType.CHIP_INFO),
        nvdec0_status=opaque.integer(OpaqueType.NVDEC0_STATUS, size=1),
        protected_pcie_status=opaque.integer(OpaqueType.PROTECTED_PCIE_STATUS, size=1),
        fwid=opaque.octets(OpaqueType.FWID, size=FWID_SIZE),
        opaque_version=opaque.integer(OpaqueType.OPAQUE_DATA_VERSION, size=2),
        feature_flag=opaque.integer(OpaqueType.FEATURE_FLAG, size=2),
        switch_pdis=opaque.pdis(OpaqueType.SWITCH_PDI),
        gpu_pdis=_gpu_pdis(opaque),
    )
    _require_sane(report)
    return report


def _record_end(raw: bytes) -> int:
    """Where the measurements end, once all lengths add up to that of ``raw``."""
    shortest = _RECORD_AT + NONCE_SIZE + 2 + SIGNATURE_SIZE
    if not shortest <= len(raw) <= _MAX_REPORT:
        raise MalformedError("nvidia.wrong-length", "no report is so short or so long", got=f"{len(raw)} bytes",
                             expected=f"{shortest} to {_MAX_REPORT} bytes")  # fmt: skip
    if raw[:_NONCE_AT] != _REQUEST_HEAD:
        raise MalformedError("nvidia.request", "this is no signed request for all measurements, SPDM 1.1",
                             where="0x00", got=raw[:_NONCE_AT].hex(), expected=_REQUEST_HEAD.hex())  # fmt: skip
    if raw[_RESPONSE_AT : _RESPONSE_AT + 2] != _RESPONSE_HEAD:
        raise MalformedError("nvidia.response", "no answer with measurements follows the request, SPDM 1.1",
                             where="0x25", got=raw[_RESPONSE_AT : _RESPONSE_AT + 2].hex(),
                             expected=_RESPONSE_HEAD.hex())  # fmt: skip
    end = _RECORD_AT + int.from_bytes(raw[_LENGTH_AT:_RECORD_AT], "little")
    if end + NONCE_SIZE + 2 + SIGNATURE_SIZE > len(raw):
        raise MalformedError("nvidia.record-length", "the measurements are longer than the report", where="0x2a",
                             got=f"{end - _RECORD_AT} bytes")  # fmt: skip
    opaque_at = end + NONCE_SIZE
    total = opaque_at + 2 + int.from_bytes(raw[opaque_at : opaque_at + 2], "little") + SIGNATURE_SIZE
    if total != len(raw):
        raise MalformedError("nvidia.wrong-length", "the parts of the report do not add up to its length",
                             got=f"{len(raw)} bytes", expected=f"{total} bytes",
                             hint="the report was cut off, or something follows it")  # fmt: skip
    return end


def _measurements(record: bytes, count: int) -> Mapping[int, bytes]:
    if found := _of_one_size(record, count):
        return MappingProxyType(found)
    at = 0
    for _ in range(count):
        index, value, at = _block(record, at)
        if index < 1 or index - 1 in found:
            raise _bad_block("a measurement's index is zero or stands twice", at, index)
        found[index - 1] = value
    if at != len(record):
        raise _bad_block("the blocks do not fill the record", at, f"{len(record) - at} bytes left")
    return MappingProxyType(found)


def _of_one_size(record: bytes, count: int) -> dict[int, bytes]:
    """A record whose blocks are all of 48 bytes, as they are everywhere that was seen; of any other nothing, for the
    reader of single blocks to take or to say what is wrong."""
    if len(record) != count * _DIGEST.size:
        return {}
    sizes = (_DIGEST_SIZE + _VALUE_HEAD, _DIGEST_SIZE)
    found = {index - 1: value for index, specification, size, _, value_size, value in _DIGEST.iter_unpack(record)
             if index and specification == 1 and (size, value_size) == sizes}  # fmt: skip
    return found if len(found) == count else {}


def _block(record: bytes, at: int) -> tuple[int, bytes, int]:
    """Index and value of the block at ``at``, and where the next one begins."""
    body = at + _HEAD.size
    if body > len(record):
        raise _bad_block("the record ends inside a block", at, f"{len(record) - at} bytes")
    index, specification, size, _, value_size = _HEAD.unpack_from(record, at)
    end = body + value_size
    if specification != 1 or size != value_size + _VALUE_HEAD or end > len(record) or not value_size:
        raise _bad_block("a block is not a DMTF measurement, or its sizes differ", at, record[at:body].hex())
    return index, record[body:end], end


def _gpu_pdis(opaque: Opaque) -> tuple[bytes, ...]:
    """The first half of the item; the second is a map of ports."""
    listed = opaque.pdis(OpaqueType.SWITCH_GPU_PDIS)
    if len(listed) % 2:
        raise MalformedError("nvidia.opaque-size", "the list of a switch's GPUs has no second half of equal length",
                             where="opaque data, SWITCH_GPU_PDIS", got=f"{len(listed) * 8} bytes")  # fmt: skip
    return listed[: len(listed) // 2]


def _require_sane(report: NvidiaReport) -> None:
    if report.protected_pcie_status not in {None, ENABLED, DISABLED}:
        raise MalformedError("nvidia.protected-pcie-status", "the status of protected PCIe is neither on nor off",
                             got=f"0x{report.protected_pcie_status:02x}", expected="0xaa or 0x55")  # fmt: skip
    if report.opaque_version and report.feature_flag is None:
        raise MalformedError("nvidia.feature-flag", "opaque data of this version has a feature flag",
                             got=f"version {report.opaque_version}")  # fmt: skip


def _vbios_version(opaque: Opaque) -> str:
    """``96.00.9f.00.01``: of a GPU in eight bytes, of which the first four stand reversed; of a switch in ASCII."""
    raw = opaque.items.get(OpaqueType.VBIOS_VERSION)
    if raw is None:
        raise MalformedError("nvidia.no-vbios-version", "the report does not say the version of its VBIOS")
    if len(raw) == _VBIOS_SIZE:
        return ".".join(f"{byte:02x}" for byte in (*raw[3::-1], raw[4]))
    return opaque.text(OpaqueType.VBIOS_VERSION) or ""


def _bad_block(message: str, at: int, got: object) -> MalformedError:
    return MalformedError("nvidia.measurement-block", message, where=f"record at 0x{at:x}", got=got)
