"""Intel TDX and SGX hardware in software: quotes that are right to the byte, with full collateral, under a private
root.

    DcapPlatform   one machine: a PCK and what its certificate says, a quoting enclave, what Intel says of both
    SimulatedTdx   one TD on it, SimulatedSgx one enclave; each asks for quotes as on silicon, as an `Attester`

Every field of a body, header or QE report can be changed before it is signed, so that each fault can be had alone.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.errors import MisuseError
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.pem import as_pem
from sealroom.tees._dcap.layouts import ENCLAVE_REPORT, TD_REPORT_10, TD_REPORT_15
from sealroom.testing.dcap_quote import QE_ISV_SVN, QuoteForm, QuoteKeys, blank, write_quote
from sealroom.testing.intel import IntelVendor, Level, ModuleForm, PckForm, QeIdentityForm, TcbInfoForm, raw_signature

__all__ = ["DcapPlatform", "QuoteForm", "SimulatedSgx", "SimulatedTdx"]

_LAYOUTS = {1: ENCLAVE_REPORT, 2: TD_REPORT_10, 3: TD_REPORT_15}
_TD_ATTRIBUTES, _XFAM = 1 << 28, 0x602E7
_TEE_TCB_SVN = bytes((5, 1, 4, *bytes(13)))
"""TDX module 1.5 of version 5, late microcode 4."""
_MR_SEAM = hashlib.sha384(b"simulated TDX module").digest()
_OLD_ADVISORIES = ("INTEL-SA-00001", "INTEL-SA-00002")


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
    def create(cls, vendor: IntelVendor | None = None, **pck: Any) -> "DcapPlatform":
        """A new machine; the vendor's keys are made anew unless given. ``pck``: fields of its `PckForm`."""
        return cls(vendor=vendor or IntelVendor.create(), pck=PckForm(**pck))

    @cached_property
    def leaf(self) -> bytes:
        """The honest PCK certificate, DER."""
        return self.vendor.issue(self.vendor.pck(self.pck, self.pck_key.public_key()), self.pck.ca)

    @cached_property
    def _report_signatures(self) -> dict[bytes, bytes]:
        return {}

    def chain(self, leaf: bytes | None = None) -> bytes:
        """PEM as a quote brings it, with the NUL at its end."""
        return self._pem(leaf) + b"\x00"

    def quote(self, form: QuoteForm, *, leaf: bytes | None = None) -> bytes:
        """The quote, signed; ``leaf``: another certificate (DER) for the platform's key."""
        keys = QuoteKeys(attestation=self.attestation_key, pck_form=self.pck, leaf=as_pem(leaf or self.leaf),
                         chain=self._pem(leaf))  # fmt: skip
        return write_quote(form, keys, self._sign_report)

    def tcb_info(self, tee: Tee) -> TcbInfoForm:
        """What Intel says of such machines: this one is up to date, and an older level is not."""
        # Intel's levels give module major version 0: from 1 on, the module has levels of its own
        loaded = (_TEE_TCB_SVN[0], 0, *_TEE_TCB_SVN[2:])
        own = Level(components=self.pck.components, pcesvn=self.pck.pcesvn, tdx=loaded)
        old = Level(status="OutOfDate", date="2024-03-13T00:00:00Z", advisories=_OLD_ADVISORIES)
        module = ModuleForm(levels=(Level(isvsvn=_TEE_TCB_SVN[0]), replace(old, isvsvn=2)))
        return TcbInfoForm(id=tee.upper(), fmspc=self.pck.fmspc, pce_id=self.pck.pce_id, levels=(own, old),
                           modules=(module,))  # fmt: skip

    def qe_identity(self, tee: Tee) -> QeIdentityForm:
        """What Intel says of the quoting enclave: it is up to date, and an older one is not listed."""
        return QeIdentityForm(id="TD_QE" if tee is Tee.TDX else "QE", levels=(Level(isvsvn=QE_ISV_SVN),))

    def collateral(
        self, tee: Tee, *, tcb_info: TcbInfoForm | bytes | None = None,
        qe_identity: QeIdentityForm | bytes | None = None, **options: Any,
    ) -> dict[str, bytes]:  # fmt: skip
        """What Intel says of this platform: up to date, unless the forms say otherwise.

        Args:
            tee: TDX or SGX.
            tcb_info: another form, or the exact bytes of the object to sign.
            qe_identity: likewise.
            options: as those of `IntelVendor.collateral`: ``revoked_pck``, ``revoked_by_root``, ``window``.
        """
        return self.vendor.collateral(
            tcb_info or self.tcb_info(tee), qe_identity or self.qe_identity(tee), ca=self.pck.ca, **options
        )

    def _pem(self, leaf: bytes | None) -> bytes:
        issuer = self.vendor.issuer_of(self.pck.ca)
        return as_pem(leaf or self.leaf, issuer.certificate, self.vendor.root.certificate)

    def _sign_report(self, report: bytes) -> bytes:
        # a quoting enclave has its report signed once for each attestation key, and not for each quote
        if report not in self._report_signatures:
            self._report_signatures[report] = raw_signature(self.pck_key, report)
        return self._report_signatures[report]


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
        body = layout.pack(blank(layout) | self._values | {"report_data": report_data} | changes)
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
        defaults: dict[str, int | bytes] = {"tee_tcb_svn": _TEE_TCB_SVN, "mr_seam": _MR_SEAM,
                                            "td_attributes": _TD_ATTRIBUTES, "xfam": _XFAM}  # fmt: skip
        if td_15:
            defaults["tee_tcb_svn_2"] = _TEE_TCB_SVN
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
