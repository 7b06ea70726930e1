"""The attestation report: 1184 bytes, declared once (AMD 56860 section 7.3, ATTESTATION_REPORT).

`parse` checks what can be told from the report alone: its length and version, reserved bytes, the signature
algorithm, and values that no firmware writes. Bytes 0 to 0x29F are what is signed. TCB versions stay raw here: the
meaning of their bytes depends on the product, and a version 2 report does not name its product.
"""

from dataclasses import dataclass, field
from enum import IntEnum

from sealroom.errors import MalformedError, MisuseError, UnverifiedError
from sealroom.evidence import Evidence, Tee
from sealroom.fixed_layout import Field, Kind, Layout, Values

__all__ = ["HOST_VMPL", "REPORT", "SIGNED_SIZE", "SigningKey", "SnpEvidence", "SnpReport", "layout_of", "parse"]

REPORT_SIZE = 0x4A0
SIGNED_SIZE = 0x2A0
VERSIONS = (2, 3, 4, 5)
HOST_VMPL = 0xFFFFFFFF
"""The report was asked for by the host, not by any privilege level of the guest."""

_ABI = "56860 7.3"
_SIGNATURE = "56860, ECDSA P-384 signature"
_TCB_MEANING = "parts by product, see `tees/snp/tcb.py`"


def _row(name: str, offset: int, size: int, kind: Kind, meaning: str, since: int = 0) -> Field:
    section = _SIGNATURE if offset >= SIGNED_SIZE else _ABI
    return Field(name=name, offset=offset, size=size, kind=kind, section=section, meaning=meaning, since=since)


REPORT = Layout(
    "the SNP attestation report",
    area="snp",
    size=REPORT_SIZE,
    fields=(
        _row("version", 0x000, 4, Kind.U32, "2, 3, 4 or 5"),
        _row("guest_svn", 0x004, 4, Kind.U32, "security version of the guest, from its ID block"),
        _row("policy", 0x008, 8, Kind.U64, "what the guest owner allows; bit 17 is one, 26 to 63 are zero"),
        _row("family_id", 0x010, 16, Kind.BYTES, "from the ID block"),
        _row("image_id", 0x020, 16, Kind.BYTES, "from the ID block"),
        _row("vmpl", 0x030, 4, Kind.U32, "privilege level that asked, 0 to 3; all ones: the host"),
        _row("sig_algo", 0x034, 4, Kind.U32, "1: ECDSA P-384 with SHA-384"),
        _row("current_tcb", 0x038, 8, Kind.BYTES, f"what runs now; {_TCB_MEANING}"),
        _row(
            "platform_info",
            0x040,
            8,
            Kind.U64,
            "0 SMT, 1 TSME, 2 ECC, 3 RAPL off, 4 ciphertext hiding, 5 alias check",
        ),
        _row("key_info", 0x048, 4, Kind.U32, "0 author key, 1 chip key masked, 2-4 signing key; 5 to 31 are zero"),
        _row("reserved_04c", 0x04C, 4, Kind.RESERVED, "zero"),
        _row("report_data", 0x050, 64, Kind.BYTES, "chosen by the guest: what the report binds"),
        _row("measurement", 0x090, 48, Kind.BYTES, "of the launched guest, SHA-384"),
        _row("host_data", 0x0C0, 32, Kind.BYTES, "chosen by the host at launch"),
        _row("id_key_digest", 0x0E0, 48, Kind.BYTES, "SHA-384 of the key that signed the ID block"),
        _row("author_key_digest", 0x110, 48, Kind.BYTES, "SHA-384 of the key that certified the ID key"),
        _row("report_id", 0x140, 32, Kind.BYTES, "of this guest"),
        _row("report_id_ma", 0x160, 32, Kind.BYTES, "of its migration agent; all ones: none"),
        _row("reported_tcb", 0x180, 8, Kind.BYTES, f"what the signing key belongs to; {_TCB_MEANING}"),
        _row("cpuid_fam", 0x188, 1, Kind.U8, "CPUID family, extended and base added", 3),
        _row("cpuid_mod", 0x189, 1, Kind.U8, "CPUID model, extended and base combined", 3),
        _row("cpuid_step", 0x18A, 1, Kind.U8, "CPUID stepping", 3),
        _row("reserved_18b", 0x18B, 21, Kind.RESERVED, "zero"),
        _row("chip_id", 0x1A0, 64, Kind.BYTES, "of the processor; zero if masked; Turin uses the first 8 bytes"),
        _row("committed_tcb", 0x1E0, 8, Kind.BYTES, f"below which it can not go back; {_TCB_MEANING}"),
        _row("current_build", 0x1E8, 1, Kind.U8, "firmware that runs now"),
        _row("current_minor", 0x1E9, 1, Kind.U8, "firmware that runs now"),
        _row("current_major", 0x1EA, 1, Kind.U8, "firmware that runs now"),
        _row("reserved_1eb", 0x1EB, 1, Kind.RESERVED, "zero"),
        _row("committed_build", 0x1EC, 1, Kind.U8, "firmware below which it can not go back"),
        _row("committed_minor", 0x1ED, 1, Kind.U8, "firmware below which it can not go back"),
        _row("committed_major", 0x1EE, 1, Kind.U8, "firmware below which it can not go back"),
        _row("reserved_1ef", 0x1EF, 1, Kind.RESERVED, "zero"),
        _row("launch_tcb", 0x1F0, 8, Kind.BYTES, f"when the guest was launched or imported; {_TCB_MEANING}"),
        _row("launch_mit_vector", 0x1F8, 8, Kind.BYTES, "mitigations when the guest was launched", 5),
        _row("current_mit_vector", 0x200, 8, Kind.BYTES, "mitigations now", 5),
        _row("reserved_208", 0x208, 152, Kind.RESERVED, "zero"),
        _row("signature_r", 0x2A0, 48, Kind.BYTES, "little-endian"),
        _row("reserved_2d0", 0x2D0, 24, Kind.RESERVED, "zero: r is below the order of the curve"),
        _row("signature_s", 0x2E8, 48, Kind.BYTES, "little-endian"),
        _row("reserved_318", 0x318, 24, Kind.RESERVED, "zero: s is below the order of the curve"),
        _row("reserved_330", 0x330, 368, Kind.RESERVED, "zero"),
    ),
)

_BY_VERSION = {version: REPORT.at_version(version) for version in VERSIONS}

_POLICY_RESERVED_ONE = 1 << 17
_POLICY_KNOWN = (1 << 26) - 1
_KEY_INFO_KNOWN = (1 << 5) - 1
_SIGNED_BY_NOBODY = 7


class SigningKey(IntEnum):
    """What `key_info` bits 2 to 4 say signed the report. 7 means nobody did; the rest is reserved."""

    VCEK = 0
    VLEK = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpReport:
    """The report's fields under AMD's names. Untrusted until `verify` has said otherwise."""

    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    platform_info: int
    key_info: int
    signing_key: SigningKey
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    current_tcb: bytes
    reported_tcb: bytes
    committed_tcb: bytes
    launch_tcb: bytes
    cpuid: tuple[int, int, int] | None
    """Family, model, stepping; None before version 3."""
    chip_id: bytes
    current_version: tuple[int, int, int]
    """Major, minor, build of the firmware."""
    committed_version: tuple[int, int, int]
    launch_mit_vector: bytes | None
    """None before version 5."""
    current_mit_vector: bytes | None
    signature_r: int
    signature_s: int


@dataclass(frozen=True, kw_only=True)
class SnpEvidence(Evidence):
    """A report, parsed. `report` is always what `raw` says: it is read from there when this is made."""

    tee: Tee = Tee.SNP
    report: SnpReport = field(init=False)

    def __post_init__(self) -> None:
        if self.tee is not Tee.SNP:
            raise MisuseError("snp.other-tee", "SNP evidence is of the TEE snp", got=self.tee.value)
        object.__setattr__(self, "report", _report(self.raw))

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers."""
        return self.raw[:SIGNED_SIZE]


def parse(raw: bytes) -> SnpEvidence:
    """Read an attestation report of version 2 to 5.

    Raises:
        MalformedError: ``snp.*``: the bytes are no such report.
    """
    return SnpEvidence(raw=bytes(raw))


def layout_of(raw: bytes) -> Layout:
    """The table of the version that ``raw`` states.

    Raises:
        MalformedError: ``snp.wrong-length``, ``snp.unsupported-version``.
    """
    REPORT.require_size(raw)
    version = int.from_bytes(raw[:4], "little")
    layout = _BY_VERSION.get(version)
    if layout is None:
        raise MalformedError("snp.unsupported-version", "the report is of a version that this release does not read",
                             where=REPORT.where("version"), got=version,
                             expected=", ".join(str(known) for known in VERSIONS))  # fmt: skip
    return layout


def _report(raw: bytes) -> SnpReport:
    values = layout_of(raw).parse(raw)
    _require_sane(values)
    version, integer, octets = values.integer("version"), values.integer, values.octets
    return SnpReport(
        version=version,
        guest_svn=integer("guest_svn"),
        policy=integer("policy"),
        family_id=octets("family_id"),
        image_id=octets("image_id"),
        vmpl=integer("vmpl"),
        platform_info=integer("platform_info"),
        key_info=integer("key_info"),
        signing_key=SigningKey(integer("key_info") >> 2),
        report_data=octets("report_data"),
        measurement=octets("measurement"),
        host_data=octets("host_data"),
        id_key_digest=octets("id_key_digest"),
        author_key_digest=octets("author_key_digest"),
        report_id=octets("report_id"),
        report_id_ma=octets("report_id_ma"),
        current_tcb=octets("current_tcb"),
        reported_tcb=octets("reported_tcb"),
        committed_tcb=octets("committed_tcb"),
        launch_tcb=octets("launch_tcb"),
        cpuid=(integer("cpuid_fam"), integer("cpuid_mod"), integer("cpuid_step")) if version >= 3 else None,
        chip_id=octets("chip_id"),
        current_version=_firmware(values, "current"),
        committed_version=_firmware(values, "committed"),
        launch_mit_vector=octets("launch_mit_vector") if version >= 5 else None,
        current_mit_vector=octets("current_mit_vector") if version >= 5 else None,
        signature_r=int.from_bytes(octets("signature_r"), "little"),
        signature_s=int.from_bytes(octets("signature_s"), "little"),
    )


def _firmware(values: Values, which: str) -> tuple[int, int, int]:
    return values.integer(f"{which}_major"), values.integer(f"{which}_minor"), values.integer(f"{which}_build")


def _require_sane(values: Values) -> None:
    """Values that no firmware writes, whoever signed them."""
    if values.integer("sig_algo") != 1:
        raise MalformedError("snp.signature-algorithm", "the report is signed in a way that is not known",
                             where=REPORT.where("sig_algo"), got=values.integer("sig_algo"),
                             expected="1 (ECDSA P-384 with SHA-384)")  # fmt: skip
    policy = values.integer("policy")
    if not policy & _POLICY_RESERVED_ONE or policy & ~_POLICY_KNOWN:
        raise MalformedError("snp.policy-reserved", "the guest policy has reserved bits that are not as they must be",
                             where=REPORT.where("policy"), got=hex(policy),
                             expected="bit 17 one, bits 26 to 63 zero")  # fmt: skip
    vmpl = values.integer("vmpl")
    if vmpl > 3 and vmpl != HOST_VMPL:
        raise MalformedError("snp.vmpl", "there is no such privilege level", where=REPORT.where("vmpl"), got=vmpl,
                             expected="0 to 3, or 0xffffffff")  # fmt: skip
    _require_signing_key(values.integer("key_info"))


def _require_signing_key(key_info: int) -> None:
    if key_info & ~_KEY_INFO_KNOWN:
        raise MalformedError("snp.key-info-reserved", "the key information has reserved bits set",
                             where=REPORT.where("key_info"), got=hex(key_info),
                             expected="bits 5 to 31 zero")  # fmt: skip
    if key_info >> 2 == _SIGNED_BY_NOBODY:
        raise UnverifiedError(
            "snp.not-signed", "the report says that no key signed it", where=REPORT.where("key_info")
        )
    if key_info >> 2 not in {key.value for key in SigningKey}:
        raise MalformedError("snp.signing-key", "the report names no signing key that exists",
                             where=REPORT.where("key_info"), got=key_info >> 2,
                             expected="0 (VCEK) or 1 (VLEK)")  # fmt: skip
