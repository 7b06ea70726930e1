"""Quotes as Intel's quoting enclaves write them (Intel SGX and TDX DCAP Quoting Library API, appendix A), each field
changeable before it is signed.

    QuoteForm   what a quote is put together from
    QuoteKeys   who signs it, and with which certificates

What follows from something else (the key that the QE report vouches for, header words of version 3, certification
data) is None in a form unless it is to differ.
"""

import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.fixed_layout import Kind, Layout
from sealroom.tees._dcap.layouts import ENCLAVE_REPORT
from sealroom.tees._dcap.quote import INTEL_QE, SGX, TDX
from sealroom.testing.intel import PckForm, raw_signature
from sealroom.testing.intel_collateral import QE_SIGNERS

__all__ = ["QE_ISV_SVN", "QuoteForm", "QuoteKeys", "blank", "write_quote"]

AUTH_DATA = bytes(range(32))
"""What quoting enclaves of today send: 00 01 … 1f."""
QE_ISV_SVN = 4
_QE_ATTRIBUTES, _QE_XFRM = 0x15, 0xE7
"""INIT, MODE64, PROVISION_KEY."""
_SGX_BODY = 1


@dataclass(frozen=True, kw_only=True)
class QuoteForm:
    """What a quote is put together from, apart from its signatures."""

    version: int
    body_type: int
    """1: SGX, 2: TD 1.0, 3: TD 1.5."""
    body: bytes = field(repr=False)
    key_type: int = 2
    tee_type: int | None = None
    vendor: bytes = INTEL_QE
    qe_id: bytes = bytes(range(0xE0, 0xF0))
    """The first 16 bytes of the header's user data."""
    auth_data: bytes = AUTH_DATA
    outer_certification_type: int = 6
    """Versions 4 and 5."""
    certification_type: int = 5
    certification_data: bytes | None = None
    """None: what is usual for this type."""
    qe: Mapping[str, int | bytes] = field(default_factory=dict)
    """Fields of the QE report that are to differ."""
    bound_to: bytes | None = None
    """What the QE report vouches for in place of key and auth data."""


@dataclass(frozen=True, kw_only=True)
class QuoteKeys:
    """Who signs, and with which certificates."""

    attestation: ec.EllipticCurvePrivateKey = field(repr=False)
    pck_form: PckForm
    leaf: bytes = field(repr=False)
    """PEM."""
    chain: bytes = field(repr=False)
    """PEM: leaf, CA, root."""


def write_quote(form: QuoteForm, keys: QuoteKeys, sign_report: Callable[[bytes], bytes]) -> bytes:
    """The quote, signed.

    Args:
        form: what to write.
        keys: who signs it.
        sign_report: the platform's key: takes the QE report, returns its signature.
    """
    signed = _header(form, keys) + form.body
    key = keys.attestation.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    report = _qe_report(form, form.bound_to or key + form.auth_data)
    inner = report + sign_report(report) + struct.pack("<H", len(form.auth_data)) + form.auth_data
    certification = _certification(form, keys)
    inner += struct.pack("<HI", form.certification_type, len(certification)) + certification
    if form.version > 3:
        inner = struct.pack("<HI", form.outer_certification_type, len(inner)) + inner
    data = raw_signature(keys.attestation, signed) + key + inner
    return signed + struct.pack("<I", len(data)) + data


def blank(layout: Layout) -> dict[str, int | bytes]:
    """Every field of a structure, zero."""
    return {
        row.name: bytes(row.size) if row.kind is Kind.BYTES else 0
        for row in layout.fields
        if row.kind is not Kind.RESERVED
    }


def _header(form: QuoteForm, keys: QuoteKeys) -> bytes:
    tee = (SGX if form.body_type == _SGX_BODY else TDX) if form.tee_type is None else form.tee_type
    # versions of QE and PCE stand here in version 3 alone; later the words are reserved
    words = (int(form.qe.get("isv_svn", QE_ISV_SVN)), keys.pck_form.pcesvn) if form.version == 3 else (0, 0)
    header = struct.pack("<HHIHH16s20s", form.version, form.key_type, tee, *words, form.vendor, form.qe_id)
    return header + (struct.pack("<HI", form.body_type, len(form.body)) if form.version == 5 else b"")


def _qe_report(form: QuoteForm, bound: bytes) -> bytes:
    is_sgx = form.body_type == _SGX_BODY
    identity = "QE" if is_sgx else "TD_QE"
    values = blank(ENCLAVE_REPORT) | {
        "attributes": _QE_ATTRIBUTES,
        "xfrm": _QE_XFRM,
        "mr_enclave": hashlib.sha256(f"simulated {identity}".encode()).digest(),
        "mr_signer": QE_SIGNERS[identity],
        "isv_prod_id": 1 if is_sgx else 2,
        "isv_svn": QE_ISV_SVN,
        "report_data": hashlib.sha256(bound).digest() + bytes(32),
    }
    return ENCLAVE_REPORT.pack({**values, **form.qe})


def _certification(form: QuoteForm, keys: QuoteKeys) -> bytes:
    """Certification data of the form's type; types that bring no certificates name the platform instead."""
    if form.certification_data is not None:
        return form.certification_data
    pck = keys.pck_form
    platform = bytes(pck.components) + struct.pack("<H", pck.pcesvn) + pck.pce_id
    usual = {
        1: pck.ppid + platform,
        2: bytes(256) + platform,
        3: bytes(384) + platform,
        4: keys.leaf,
    }
    return usual.get(form.certification_type, keys.chain + b"\x00")
