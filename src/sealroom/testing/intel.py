"""What Intel is to its platforms, in software: certificates, revocation lists and signed collateral under a private
root.

    IntelVendor    root, platform CA, the key that signs TCB info and QE identity, revocation lists
    PckForm        what a platform's certificate says of it
    TcbInfoForm    what Intel says of its family and model; QeIdentityForm: of the quoting enclave

Each is a form: change one field with `dataclasses.replace` before it is signed, to have one fault alone.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.evidence import Validity
from sealroom.pem import as_pem
from sealroom.testing import der
from sealroom.testing.pki import (
    INTEL_NAME,
    Authority,
    CertificateForm,
    CrlForm,
    PublicKey,
    authority,
    key_id,
    mint_certificate,
    mint_crl,
)

__all__ = ["IntelVendor", "Level", "ModuleForm", "PckForm", "QeIdentityForm", "TcbInfoForm", "raw_signature"]

_SGX = "1.2.840.113741.1.13.1"
_USAGE, _CONSTRAINTS = "2.5.29.15", "2.5.29.19"
_CRL_NUMBER, _REASON, _AUTHORITY_KEY = "2.5.29.20", "2.5.29.21", "2.5.29.35"
COLLATERAL_WINDOW = Validity(
    not_before=datetime(2026, 1, 1, tzinfo=UTC), not_after=datetime(2027, 12, 31, tzinfo=UTC)
)


@dataclass(frozen=True, kw_only=True)
class PckForm:
    """What a PCK certificate says of its platform."""

    ppid: bytes = bytes(range(16))
    components: tuple[int, ...] = (4, 4, 2, 2, 4, 1, 0, 5, 255, 0, 0, 0, 0, 0, 0, 0)
    pcesvn: int = 13
    pce_id: bytes = bytes(2)
    fmspc: bytes = bytes.fromhex("90c06f000000")
    sgx_type: int = 1

    def extension(self) -> bytes:
        """The content of 1.2.840.113741.1.13.1, as the platform CA writes it."""
        svns = [_member(f"2.{number}", der.integer(svn)) for number, svn in enumerate(self.components, start=1)]
        tcb = der.sequence(*svns, _member("2.17", der.integer(self.pcesvn)),
                           _member("2.18", der.octet_string(bytes(self.components))))  # fmt: skip
        configuration = der.sequence(*(_member(f"7.{number}", der.boolean(True)) for number in (1, 2, 3)))
        return der.sequence(
            _member("1", der.octet_string(self.ppid)),
            _member("2", tcb),
            _member("3", der.octet_string(self.pce_id)),
            _member("4", der.octet_string(self.fmspc)),
            _member("5", der.element(0x0A, bytes((self.sgx_type,)))),
            _member("6", der.octet_string(bytes(16))),
            _member("7", configuration),
        )


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level; ``svn`` is a list of components for a platform, one number for a module or enclave."""

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


@dataclass(frozen=True, kw_only=True)
class ModuleForm:
    """A TDX module."""

    id: str = "TDX_01"
    mr_signer: bytes = bytes(48)
    levels: tuple[Level, ...] = (Level(isvsvn=4),)

    def document(self) -> dict[str, Any]:
        """As TCB info has it."""
        levels = [{"tcb": {"isvsvn": level.isvsvn}, **level.rest()} for level in self.levels]
        return {"id": self.id, "mrsigner": self.mr_signer.hex().upper(), "attributes": "00" * 8,
                "attributesMask": "FF" * 8, "tcbLevels": levels}  # fmt: skip


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

    def body(self) -> bytes:
        """The exact bytes to sign."""
        return _json(self._document())

    def _document(self) -> Mapping[str, Any]:
        head: dict[str, Any] = {"id": self.id} if self.version == 3 else {}
        head |= {"version": self.version, **_window(self.window), "fmspc": self.fmspc.hex().upper(),
                 "pceId": self.pce_id.hex(), "tcbType": 0,
                 "tcbEvaluationDataNumber": self.evaluation_number}  # fmt: skip
        if self.id == "TDX":
            head["tdxModule"] = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
            head["tdxModuleIdentities"] = [module.document() for module in self.modules]
        head["tcbLevels"] = [{"tcb": self._tcb(level), **level.rest()} for level in self.levels]
        return head

    def _tcb(self, level: Level) -> dict[str, Any]:
        if self.version == 2:
            flat = {f"sgxtcbcomp{number:02d}svn": svn for number, svn in enumerate(level.components, start=1)}
            return flat | {"pcesvn": level.pcesvn}
        tcb: dict[str, Any] = {"sgxtcbcomponents": [{"svn": svn} for svn in level.components], "pcesvn": level.pcesvn}
        return tcb | ({"tdxtcbcomponents": [{"svn": svn} for svn in level.tdx]} if self.id == "TDX" else {})


@dataclass(frozen=True, kw_only=True)
class QeIdentityForm:
    """QE identity, version 2."""

    id: str = "TD_QE"
    window: Validity = COLLATERAL_WINDOW
    evaluation_number: int = 18
    attributes_mask: bytes = bytes.fromhex("fbffffffffffffff0000000000000000")
    attributes: bytes = bytes.fromhex("11000000000000000000000000000000")
    mr_signer: bytes = b"\xdc" * 32
    isv_prod_id: int = 2
    levels: tuple[Level, ...] = (Level(isvsvn=4),)

    def body(self) -> bytes:
        """The exact bytes to sign."""
        levels = [{"tcb": {"isvsvn": level.isvsvn}, **level.rest()} for level in self.levels]
        return _json({
            "id": self.id, "version": 2, **_window(self.window), "tcbEvaluationDataNumber": self.evaluation_number,
            "miscselect": "00000000", "miscselectMask": "FFFFFFFF", "attributes": self.attributes.hex().upper(),
            "attributesMask": self.attributes_mask.hex().upper(), "mrsigner": self.mr_signer.hex().upper(),
            "isvprodid": self.isv_prod_id, "tcbLevels": levels,
        })  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class IntelVendor:
    """The keys that Intel keeps."""

    root: Authority
    platform_ca: Authority
    tcb_signer: Authority

    @classmethod
    def create(cls) -> "IntelVendor":
        """New keys."""
        root = _authority("Intel SGX Root CA", path_length=1)
        platform_ca = _authority("Intel SGX PCK Platform CA", issuer=root, path_length=0)
        key = ec.generate_private_key(ec.SECP256R1())
        form = _end_entity("Intel SGX TCB Signing", key.public_key())
        signer = Authority(key=key, common_name=form.subject, certificate=mint_certificate(form, root),
                           name=INTEL_NAME)  # fmt: skip
        return cls(root=root, platform_ca=platform_ca, tcb_signer=signer)

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 of the root's DER: what a policy names under ``insecure_simulated``."""
        return hashlib.sha256(self.root.certificate).digest()

    def pck(self, form: PckForm, key: PublicKey) -> CertificateForm:
        """The form of an honest PCK certificate."""
        honest = _end_entity("Intel SGX PCK Certificate", key)
        return CertificateForm(subject=honest.subject, public_key=key, serial=honest.serial, name=INTEL_NAME,
                               extensions=(*honest.extensions, (_SGX, False, form.extension())))  # fmt: skip

    def issue(self, form: CertificateForm) -> bytes:
        """A PCK certificate, DER."""
        return mint_certificate(form, self.platform_ca)

    def collateral(
        self, tcb_info: TcbInfoForm, qe_identity: QeIdentityForm, *, revoked_pck: Iterable[int] = (),
        revoked_by_root: Iterable[int] = (), window: Validity = COLLATERAL_WINDOW,
    ) -> dict[str, bytes]:  # fmt: skip
        """All seven items, as the service sends them."""
        chain = as_pem(self.tcb_signer.certificate, self.root.certificate)
        return {
            "tcb_info_response": self.signed("tcbInfo", tcb_info.body()),
            "tcb_info_issuer_chain": chain,
            "qe_identity_response": self.signed("enclaveIdentity", qe_identity.body()),
            "qe_identity_issuer_chain": chain,
            "pck_crl": mint_crl(_crl(self.platform_ca, revoked_pck, window), self.platform_ca),
            "pck_crl_issuer_chain": as_pem(self.platform_ca.certificate, self.root.certificate),
            "root_ca_crl": mint_crl(_crl(self.root, revoked_by_root, window), self.root),
        }

    def signed(self, member: str, body: bytes) -> bytes:
        """``body`` with its signature around it."""
        key = self.tcb_signer.key
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - made above
        return b'{"%s":%s,"signature":"%s"}' % (member.encode(), body, raw_signature(key, body).hex().encode())


def raw_signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """r and s over ``message``, SHA-256, 32 bytes each."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _authority(name: str, *, issuer: Authority | None = None, path_length: int) -> Authority:
    return authority(name, ec.generate_private_key(ec.SECP256R1()), serial=_serial(), issuer=issuer, signs_crls=True,
                     path_length=path_length, name=INTEL_NAME)  # fmt: skip


def _end_entity(subject: str, key: PublicKey) -> CertificateForm:
    return CertificateForm(
        subject=subject, public_key=key, serial=_serial(), name=INTEL_NAME,
        extensions=((_USAGE, True, der.named_bits(0, 1)), (_CONSTRAINTS, True, der.sequence())),
    )  # fmt: skip


def _crl(issuer: Authority, revoked: Iterable[int], window: Validity) -> CrlForm:
    """With the number, the issuer's key and the reasons that Intel's lists have."""
    issued_by = der.sequence(der.element(0x80, key_id(issuer.key.public_key())))
    return CrlForm(
        revoked=revoked, validity=window, extensions=((_CRL_NUMBER, False, der.integer(1)),
                                                      (_AUTHORITY_KEY, False, issued_by)),
        entry_extensions=((_REASON, False, der.element(0x0A, b"\x01")),),
    )  # fmt: skip


def _serial() -> int:
    return int.from_bytes(b"\x21" + os.urandom(19), "big")


def _member(number: str, value: bytes) -> bytes:
    return der.sequence(der.oid(f"{_SGX}.{number}"), value)


def _window(window: Validity) -> dict[str, str]:
    form = "%Y-%m-%dT%H:%M:%SZ"
    return {"issueDate": window.not_before.strftime(form), "nextUpdate": window.not_after.strftime(form)}


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
