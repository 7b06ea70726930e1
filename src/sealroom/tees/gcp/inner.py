"""The hardware's own report in an attestation, where it stands field by field: put together again as it was signed.

    8  sevsnp.Attestation  report, certificates      google/go-sev-guest, proto/sevsnp.proto
    9  tdx.QuoteV4         quote                     google/go-tdx-guest, proto/tdx.proto

Only bytes were signed, so only bytes are verified: by the verifier of that TEE, as if they had come alone.
"""

from dataclasses import dataclass, field

from sealroom.errors import MalformedError
from sealroom.evidence import Tee
from sealroom.pem import as_pem
from sealroom.tees.gcp.packing import Nested, Number, Octets, Parts, Rest, Row, Zeros, pack, spread
from sealroom.tees.gcp.protobuf import Message, number_field, octets_field, read_message
from sealroom.x509_reader import read_certificate, read_certificates

__all__ = ["HardwareReport", "read_hardware", "write_hardware"]

_SNP_FIELD, _TDX_FIELD = 8, 9
_REPORT, _CERTIFICATES = 1, 2
_CPUID_AT, _CPUID_SIZE, _KEY_INFO_AT = 0x188, 3, 0x48
_VCEK, _ASK, _ARK, _VLEK = 1, 2, 3, 6
_CPUID = 29
_SIGNING_KEY, _IS_VLEK = 2, 1
_QUOTE_VERSION, _SIGNED_SIZE_AT = 4, 632

_SNP_START: tuple[Row, ...] = (
    Number(1, 4), Number(2, 4), Number(3, 8), Octets(4, 16), Octets(5, 16), Number(6, 4), Number(7, 4), Number(8, 8),
    Number(9, 8), Number(10, 4), Zeros(4), Octets(11, 64), Octets(12, 48), Octets(13, 32), Octets(14, 48),
    Octets(15, 48), Octets(16, 32), Octets(17, 32), Number(18, 8),
)  # fmt: skip
"""Up to the CPUID (AMD 56860, table 23), by the numbers of ``sevsnp.Report``."""
_SNP_END: tuple[Row, ...] = (
    Zeros(21), Octets(19, 64), Number(20, 8), Number(21, 1), Number(22, 1), Number(23, 1), Zeros(1), Number(24, 1),
    Number(25, 1), Number(26, 1), Zeros(1), Number(27, 8), Number(30, 8), Number(31, 8), Zeros(152), Octets(28, 512),
)  # fmt: skip
_HEADER: tuple[Row, ...] = (
    Number(1, 2), Number(2, 2), Number(3, 4), Octets(5, 2), Octets(4, 2), Octets(6, 16), Octets(7, 20),
)  # fmt: skip
_BODY: tuple[Row, ...] = (
    Octets(1, 16), Octets(2, 48), Octets(3, 48), Octets(4, 8), Octets(5, 8), Octets(6, 8), Octets(7, 48),
    Octets(8, 48), Octets(9, 48), Octets(10, 48), Parts(11, 4, 48), Octets(12, 64),
)  # fmt: skip
_ENCLAVE: tuple[Row, ...] = (
    Octets(1, 16), Number(2, 4), Octets(3, 28), Octets(4, 16), Octets(5, 32), Octets(6, 32), Octets(7, 32),
    Octets(8, 96), Number(9, 2), Number(10, 2), Octets(11, 60), Octets(12, 64),
)  # fmt: skip
_QE_CERTIFICATION: tuple[Row, ...] = (
    Nested(1, _ENCLAVE), Octets(2, 64), Nested(3, (Number(1, 2), Rest(2))),
    Nested(4, (Number(1, 2), Number(2, 4), Rest(3))),
)  # fmt: skip
_SIGNED_DATA: tuple[Row, ...] = (
    Octets(1, 64), Octets(2, 64), Nested(3, (Number(1, 2), Number(2, 4), Nested(3, _QE_CERTIFICATION))),
)  # fmt: skip
_QUOTE: tuple[Row, ...] = (Nested(1, _HEADER), Nested(2, _BODY), Number(3, 4), Nested(4, _SIGNED_DATA))
_AFTER_QUOTE = 5
"""What fills the buffer; nobody signed it, and nobody reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareReport:
    """A report as its hardware wrote it; untrusted."""

    tee: Tee
    raw: bytes = field(repr=False)
    leaf: bytes | None = field(repr=False, default=None)
    """Of SNP: the certificate of the signing key that came along."""
    chain: bytes | None = field(repr=False, default=None)
    """PEM: ASK or ASVK, then ARK."""


def read_hardware(attestation: Message) -> HardwareReport | None:
    """The report in ``attestation``; None if there is none.

    Raises:
        MalformedError: ``gcp.inner``: there are two, or one that can not be put together. ``gcp.protobuf``.
            ``x509.*``: a certificate beside it is none.
    """
    snp, tdx = attestation.all_octets(_SNP_FIELD), attestation.all_octets(_TDX_FIELD)
    if len(snp) + len(tdx) > 1:
        raise MalformedError("gcp.inner", "the attestation has more than one report of the hardware")
    if snp:
        return _snp(read_message(snp[0]))
    return _tdx(read_message(tdx[0])) if tdx else None


def write_hardware(report: HardwareReport) -> bytes:
    """The field of an attestation: what a guest makes of its hardware's report, and of the certificates beside it.

    Raises:
        MalformedError: ``gcp.inner``: it is no such report; ``x509.*``.
    """
    if report.tee is Tee.TDX:
        end = _SIGNED_SIZE_AT + 4 + int.from_bytes(report.raw[_SIGNED_SIZE_AT : _SIGNED_SIZE_AT + 4], "little")
        return octets_field(_TDX_FIELD, spread(report.raw[:end], _QUOTE))
    raw, end = report.raw, _CPUID_AT + _CPUID_SIZE
    message = (spread(raw[:_CPUID_AT], _SNP_START) + number_field(_CPUID, _register(*raw[_CPUID_AT:end]))
               + spread(raw[end:], _SNP_END))  # fmt: skip
    leaf_field = _VLEK if raw[_KEY_INFO_AT] >> _SIGNING_KEY & 7 == _IS_VLEK else _VCEK
    named = [(leaf_field, report.leaf)] if report.leaf else []
    if report.chain:
        named += zip((_ASK, _ARK), (issuer.der for issuer in read_certificates(report.chain)), strict=False)
    certificates = b"".join(octets_field(number, certificate) for number, certificate in named)
    return octets_field(_SNP_FIELD, octets_field(_REPORT, message) + octets_field(_CERTIFICATES, certificates))


def _snp(attestation: Message) -> HardwareReport:
    report = read_message(attestation.octets(_REPORT))
    numbers = {row.number for row in (*_SNP_START, *_SNP_END) if not isinstance(row, Zeros)} | {_CPUID}
    if foreign := report.numbers - numbers:
        raise MalformedError("gcp.inner", "a report has a field that is not known here", got=min(foreign))
    raw = (
        pack(report, _SNP_START, partial=True) + _cpuid(report.integer(_CPUID)) + pack(report, _SNP_END, partial=True)
    )
    certificates = read_message(attestation.octets(_CERTIFICATES))
    is_vlek = report.integer(10) >> _SIGNING_KEY & 7 == _IS_VLEK
    leaf = certificates.octets(_VLEK if is_vlek else _VCEK)
    issuers = [certificates.octets(number) for number in (_ASK, _ARK)]
    chain = as_pem(*(read_certificate(issuer).der for issuer in issuers)) if all(issuers) else None
    return HardwareReport(tee=Tee.SNP, raw=raw, leaf=leaf or None, chain=chain)


def _cpuid(eax: int) -> bytes:
    """Family, model and stepping, from the register that CPUID function 1 fills (AMD APM volume 3, Fn0000_0001)."""
    if eax >> 32:
        raise MalformedError("gcp.inner", "a number is larger than its field", where=f"field {_CPUID}", got=eax)
    base, model = eax >> 8 & 0xF, (eax >> 12 & 0xF0) | (eax >> 4 & 0xF)
    family = base + (eax >> 20 & 0xFF) if base == 0xF else base
    return bytes((family & 0xFF, model, eax & 0xF))


def _register(family: int, model: int, stepping: int) -> int:
    """The register that `_cpuid` reads."""
    base = min(family, 0xF)
    return (family - base) << 20 | (model & 0xF0) << 12 | base << 8 | (model & 0xF) << 4 | stepping


def _tdx(quote: Message) -> HardwareReport:
    if (version := read_message(quote.octets(1)).integer(1)) != _QUOTE_VERSION:
        raise MalformedError("gcp.inner", "a quote is of another version than its message", got=version,
                             expected=_QUOTE_VERSION)  # fmt: skip
    return HardwareReport(tee=Tee.TDX, raw=pack(quote, _QUOTE, unread=frozenset({_AFTER_QUOTE})))
