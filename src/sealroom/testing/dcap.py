"""Intel TDX and SGX hardware in software: quotes that are right to the byte, with full collateral, under a private
root.

    DcapPlatform   one machine: a PCK and what its certificate says, a quoting enclave
    SimulatedTdx   one TD on it, SimulatedSgx one enclave; each asks for quotes as on silicon, as an `Attester`

Every field of a body, header or QE report can be changed before it is signed, so that each fault can be had alone.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.errors import MisuseError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.pem import as_pem
from sealroom.tees._dcap.layouts import ENCLAVE_REPORT, TD_REPORT_10, TD_REPORT_15
from sealroom.tees._dcap.quote import INTEL_QE, SGX, TDX
from sealroom.testing.intel import IntelVendor, PckForm, QeIdentityForm, TcbInfoForm, raw_signature

__all__ = ["DcapPlatform", "QuoteForm", "SimulatedSgx", "SimulatedTdx"]

_LAYOUTS = {1: ENCLAVE_REPORT, 2: TD_REPORT_10, 3: TD_REPORT_15}
_AUTH_DATA = bytes(range(32))
_TD_ATTRIBUTES, _XFAM = 1 << 28, 0x602E7


@dataclass(frozen=True, kw_only=True)
class QuoteForm:
    """What a quote is put together from, apart from its signatures."""

    version: int
    body_type: int
    body: bytes = field(repr=False)
    key_type: int = 2
    vendor: bytes = INTEL_QE
    auth_data: bytes = _AUTH_DATA
    certification_type: int = 5
    qe: Mapping[str, int | bytes] = field(default_factory=dict)
    """Fields of the QE report that are to differ."""
    bound_to: bytes | None = None
    """What the QE report vouches for in place of key and auth data."""


@dataclass(frozen=True, kw_only=True)
class DcapPlatform:
    """One machine."""

    vendor: IntelVendor
    pck: PckForm = field(default_factory=PckForm)
    pck_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )
    attestation_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )

    @classmethod
    def create(cls, vendor: IntelVendor | None = None) -> "DcapPlatform":
        """A new machine; the vendor's keys are made anew unless given."""
        return cls(vendor=vendor or IntelVendor.create())

    @cached_property
    def leaf(self) -> bytes:
        """The honest PCK certificate, DER."""
        return self.vendor.issue(self.vendor.pck(self.pck, self.pck_key.public_key()))

    @cached_property
    def _report_signatures(self) -> dict[bytes, bytes]:
        return {}

    def chain(self, leaf: bytes | None = None) -> bytes:
        """PEM as a quote brings it, with the NUL at its end."""
        certificates = (leaf or self.leaf, self.vendor.platform_ca.certificate, self.vendor.root.certificate)
        return as_pem(*certificates) + b"\x00"

    def quote(self, form: QuoteForm, *, leaf: bytes | None = None) -> bytes:
        """The quote, signed."""
        tee = SGX if form.body_type == 1 else TDX
        header = struct.pack("<HHIHH16s20s", form.version, form.key_type, tee, 0, 0, form.vendor, bytes(20))
        if form.version == 5:
            header += struct.pack("<HI", form.body_type, len(form.body))
        signed = header + form.body
        key = self.attestation_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
        data = raw_signature(self.attestation_key, signed) + key
        report = self._qe_report(form, form.bound_to or key + form.auth_data)
        # a quoting enclave has its report signed once for each attestation key, and not for each quote
        inner = report + self._report_signatures.setdefault(report, raw_signature(self.pck_key, report))
        inner += struct.pack("<H", len(form.auth_data)) + form.auth_data
        chain = self.chain(leaf)
        inner += struct.pack("<HI", form.certification_type, len(chain)) + chain
        data += inner if form.version == 3 else struct.pack("<HI", 6, len(inner)) + inner
        return signed + struct.pack("<I", len(data)) + data

    def _qe_report(self, form: QuoteForm, bound: bytes) -> bytes:
        values: dict[str, int | bytes] = {
            row.name: bytes(row.size) if row.kind.value == "bytes" else 0
            for row in ENCLAVE_REPORT.fields
            if row.kind.value != "reserved"
        }
        values |= {"attributes": 0x15, "xfrm": 0xE7, "mr_signer": b"\xdc" * 32, "isv_svn": 4,
                   "isv_prod_id": 1 if form.body_type == 1 else 2,
                   "report_data": hashlib.sha256(bound).digest() + bytes(32)}  # fmt: skip
        return ENCLAVE_REPORT.pack({**values, **form.qe})

    def collateral(
        self, tee: Tee, *, tcb_info: TcbInfoForm | None = None, qe_identity: QeIdentityForm | None = None
    ) -> dict[str, bytes]:
        """What Intel says of this platform: up to date, unless the forms say otherwise."""
        is_tdx = tee is Tee.TDX
        tcb = tcb_info or TcbInfoForm(id="TDX" if is_tdx else "SGX", fmspc=self.pck.fmspc, pce_id=self.pck.pce_id)
        identity = qe_identity or QeIdentityForm(id="TD_QE" if is_tdx else "QE", isv_prod_id=2 if is_tdx else 1)
        return self.vendor.collateral(tcb, identity)


class _Simulated:
    """What both guests share."""

    simulated = True
    tee: Tee
    _body_type: int
    _version: int

    def __init__(self, platform: DcapPlatform | None, values: Mapping[str, int | bytes]) -> None:
        self.platform = platform or DcapPlatform.create()
        self._values = dict(values)

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of the root's DER: what a policy names under ``insecure_simulated``."""
        return self.platform.vendor.root_fingerprint

    def form(self, report_data: bytes, **changes: int | bytes) -> QuoteForm:
        """A quote before it is signed; ``changes`` sets any field of its body."""
        if len(report_data) != 64:
            raise MisuseError("simulated.report-data", "report data is 64 bytes", got=len(report_data), expected=64)
        layout = _LAYOUTS[self._body_type]
        values: dict[str, int | bytes] = {
            row.name: bytes(row.size) if row.kind.value == "bytes" else 0
            for row in layout.fields
            if row.kind.value != "reserved"
        }
        body = layout.pack(values | self._values | {"report_data": report_data} | changes)
        return QuoteForm(version=self._version, body_type=self._body_type, body=body)

    def quote(self, report_data: bytes, **changes: int | bytes) -> bytes:
        """A signed quote; ``changes`` sets any field of its body before the signature."""
        return self.platform.quote(self.form(report_data, **changes))

    def collect(self, report_data: bytes) -> CollectedEvidence:
        """Return evidence that carries ``report_data`` (64 bytes)."""
        return CollectedEvidence(tee=self.tee, raw=self.quote(report_data),
                                 collateral=Collateral(items=self.platform.collateral(self.tee)))  # fmt: skip


class SimulatedTdx(_Simulated):
    """A TD on simulated hardware: an `Attester` whose evidence verifies under a root that nobody should trust.

    Args:
        platform: the machine; a new one if none is given.
        version: of its quotes, 4 or 5.
        td_15: whether its body is that of TD 1.5, which needs version 5.
        values: fields of the TD report, such as ``mr_td``.
    """

    tee = Tee.TDX

    def __init__(
        self, *, platform: DcapPlatform | None = None, version: int = 4, td_15: bool = False, **values: int | bytes
    ) -> None:
        self._version, self._body_type = version, 3 if td_15 else 2
        defaults: dict[str, int | bytes] = {"tee_tcb_svn": bytes((5, 1, 4, *bytes(13))),
                                            "td_attributes": _TD_ATTRIBUTES, "xfam": _XFAM}  # fmt: skip
        if td_15:
            defaults["tee_tcb_svn_2"] = defaults["tee_tcb_svn"]
        super().__init__(platform, {**defaults, **values})


class SimulatedSgx(_Simulated):
    """An enclave on simulated hardware.

    Args:
        platform: the machine; a new one if none is given.
        version: of its quotes, 3, 4 or 5.
        values: fields of the enclave report, such as ``mr_enclave``.
    """

    tee = Tee.SGX
    _body_type = 1

    def __init__(self, *, platform: DcapPlatform | None = None, version: int = 3, **values: int | bytes) -> None:
        self._version = version
        super().__init__(platform, {"attributes": 0x5, "xfrm": 0xE7, **values})
