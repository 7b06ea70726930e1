"""One fault each in the quotes of Google's VMs, their registers and log, and in the hardware's own report."""

from collections.abc import Iterator
from dataclasses import replace

from sealroom.evidence import Tee
from sealroom.tees._tpm.attest import TpmHash
from sealroom.tees.gcp.inner import HardwareReport, write_hardware
from sealroom.tees.gcp.protobuf import number_field, octets_field
from sealroom.tees.gcp.writing import QuotedBank
from sealroom.testing.gcp_cases import NONCE, GcpBench, GcpCase
from sealroom.testing.snp import flip_bit
from sealroom.testing.tpm import SoftTpm
from sealroom.testing.tpm_log import BootEvent, boot, logged_boot, write_log

__all__ = ["quote_faults"]

_OTHER = bytes(32)
_SHA1_SIGNATURE = b"\x00\x14\x00\x04"
_SNP, _TDX = 8, 9


def quote_faults(bench: GcpBench) -> Iterator[GcpCase]:
    """Every fault."""
    for make in (_signed, _registers, _banks, _logs, _hardware):
        yield from make(bench)
    if bench.guest.machine.platform is not None:
        yield from _fields(bench)


def _signed(bench: GcpBench) -> Iterator[GcpCase]:
    tpm, honest = bench.guest.tpm, bench.form().quotes[1]
    form = tpm.form(NONCE)
    yield bench.quoted("a structure that no TPM made", "tpm.magic", replace(form, magic=0))
    yield bench.quoted("a certificate in place of a quote", "tpm.not-a-quote", replace(form, kind=0x8017))
    yield bench.quoted("no selection", "tpm.selection", replace(form, selection=()))
    yield bench.quoted("a clock that is neither safe nor unsafe", "tpm.clock", replace(form, safe=2))
    yield bench.quoted("one quote of another nonce", "gcp.nonces", replace(form, extra_data=_OTHER))
    yield bench.quotes("a byte behind a quote", "tpm.trailing", message=honest.message + b"\0")
    yield bench.quotes("no quote in it", "tpm.truncated", message=b"")
    signature = honest.signature
    yield bench.quotes("a signature that was changed", "tpm.signature", signature=flip_bit(signature, 8 * 10))
    yield bench.quotes("a signature of another key", "tpm.signature", signature=bench.other.tpm.sign(honest.message))
    by_curve = SoftTpm.create("ecdsa").sign(honest.message)
    yield bench.quotes("a signature of another kind of key", "tpm.key", signature=by_curve)
    padded = replace(tpm, scheme=tpm.scheme.RSAPSS).sign(honest.message)
    yield bench.quotes("a scheme that was renamed", "tpm.signature", signature=signature[:2] + padded[2:])
    yield bench.quotes("a signature over SHA-1", "tpm.signature-algorithm", signature=_SHA1_SIGNATURE + signature[4:])
    yield bench.quotes("a bare signature", "tpm.signature-algorithm", signature=b"\1" * 256)
    yield bench.quotes("no signature", "tpm.truncated", signature=b"")
    later = tpm.form(_OTHER).encode()
    yield bench.quotes("another nonce under the old signature", "tpm.signature", message=later)
    other = bench.other.form(NONCE).quotes
    yield bench.case("another VM's quotes", "tpm.signature", quotes=other)


def _registers(bench: GcpBench) -> Iterator[GcpCase]:
    tpm, honest = bench.guest.tpm, bench.form().quotes[1]
    pcrs = dict(honest.pcrs)
    yield bench.quoted("another digest of registers", "tpm.pcr-digest", replace(tpm.form(NONCE), pcr_digest=_OTHER))
    yield bench.quotes("a register that was changed", "tpm.pcr-digest", pcrs={**pcrs, 4: b"\1" * 32})
    yield bench.quotes("two registers that were swapped", "tpm.pcr-digest", pcrs={**pcrs, 0: pcrs[17], 17: pcrs[0]})
    yield bench.quotes("a register too few", "tpm.pcr-missing", pcrs={k: v for k, v in pcrs.items() if k != 23})
    yield bench.quotes("a register too many", "tpm.pcr-not-quoted", pcrs={**pcrs, 24: bytes(32)})
    yield bench.quotes("no register", "tpm.pcr-missing", pcrs={})
    shifted = {**pcrs, 0: pcrs[0] + pcrs[1][:1], 1: pcrs[1][1:]}
    yield bench.quotes("a byte that moved to the register before", "tpm.pcr-size", pcrs=shifted)
    yield bench.quotes("a register of no bytes", "tpm.pcr-size", pcrs={**pcrs, 0: b"", 1: pcrs[0] + pcrs[1]})
    entry = octets_field(2, number_field(1, 5) + octets_field(2, bytes(32)))
    twice = octets_field(1, honest.message) + octets_field(2, honest.signature)
    values = number_field(1, honest.bank) + entry + entry
    yield bench.case("a register that stands twice", "gcp.attestation", quotes=(),
                     more=octets_field(2, twice + octets_field(3, values)))  # fmt: skip


def _banks(bench: GcpBench) -> Iterator[GcpCase]:
    sha1, sha256, sha384 = bench.form().quotes
    yield bench.case("no quote", "gcp.attestation", quotes=())
    yield bench.case("a bank twice", "gcp.attestation", quotes=(sha256, sha256))
    renamed = replace(sha256, bank=TpmHash.SHA512)
    yield bench.case("a bank by another name", "tpm.pcr-missing", quotes=(sha1, renamed, sha384))
    unknown = replace(sha256, bank=0x0012)  # type: ignore[arg-type]
    yield bench.case("a bank that nobody knows", "gcp.attestation", quotes=(unknown,))
    both = {TpmHash.SHA1: range(24), TpmHash.SHA256: range(24)}
    message, signature = bench.guest.tpm.quote(NONCE, both)
    joint = QuotedBank(bank=TpmHash.SHA256, message=message, signature=signature, pcrs=sha256.pcrs)
    yield bench.case("a quote of two banks with the values of one", "tpm.pcr-missing", quotes=(joint,))


def _logs(bench: GcpBench) -> Iterator[GcpCase]:
    tpm = replace(bench.guest.tpm, pcrs=SoftTpm(key=bench.guest.tpm.key).pcrs)
    logged_boot(tpm, boot())
    form = bench.of(tpm)
    other = write_log(boot(application=b"another loader"), tpm.pcrs)
    yield bench.case("the log of another boot", "eventlog.register-mismatch", form=form, event_log=other)
    yield bench.case("the same beside it", "eventlog.register-mismatch", form=form, items={"event_log": other})
    yield bench.case("a log that is none", "eventlog.malformed", form=form, event_log=b"no log")
    poor = write_log(boot(), (TpmHash.SHA1, TpmHash.SHA256))
    yield bench.case("a log without the strongest bank", "tpm.event-log-bank", form=form, event_log=poor)
    beyond = write_log([BootEvent(index=24, type=0xD, data=b"x")], tpm.pcrs)
    yield bench.case("a log of a register that TPMs do not have", "eventlog.register", form=form, event_log=beyond)
    message, signature = tpm.quote(NONCE, few := {TpmHash.SHA256: (16, 23)})
    debug = QuotedBank(bank=TpmHash.SHA256, message=message, signature=signature,
                       pcrs=tpm.values(few)[TpmHash.SHA256])  # fmt: skip
    yield bench.case("a log of nothing that was quoted", "tpm.event-log-unquoted", quotes=(debug,),
                     event_log=write_log(boot(), tpm.pcrs))  # fmt: skip


def _hardware(bench: GcpBench) -> Iterator[GcpCase]:
    report = bench.guest.hardware(NONCE)
    if report is None:
        return
    yield bench.case("hardware that answers another nonce", "gcp.inner-nonce", hardware=bench.guest.hardware(_OTHER))
    longer = bench.guest.hardware(NONCE + b"\1")
    yield bench.case("hardware that answers more than the nonce", "gcp.inner-nonce", hardware=longer)
    yield bench.case("hardware asked before the vTPM", "gcp.inner-nonce", quotes=bench.guest.quotes(_OTHER))
    yield bench.case("no nonce at all", "gcp.inner-nonce", form=bench.form(b""))
    yield bench.case("two reports of the hardware", "gcp.inner", more=write_hardware(report))
    if report.tee is Tee.SNP:
        yield from _snp(bench, report)
        return
    yield bench.case("a TD that was changed", "dcap.quote-signature",
                     hardware=replace(report, raw=flip_bit(report.raw, 8 * (48 + 136))))  # fmt: skip
    missing = bench.case("a TD without collateral", "collateral.missing")
    yield replace(missing, collateral=replace(missing.collateral, items={
        "ak_issuers": missing.collateral.items["ak_issuers"]
    }))  # fmt: skip


def _snp(bench: GcpBench, report: HardwareReport) -> Iterator[GcpCase]:
    yield bench.case("a report that was changed", "snp.signature",
                     hardware=replace(report, raw=flip_bit(report.raw, 8 * 0x90)))  # fmt: skip
    other = bench.other.hardware(NONCE)
    spliced = None if other is None else replace(report, raw=other.raw)
    yield bench.case("another machine's report", "snp.signature", hardware=spliced)
    yield bench.case("a report without its certificate", "collateral.missing", hardware=replace(report, leaf=None))
    yield bench.case("a report without its chain", "collateral.missing", hardware=replace(report, chain=None))


def _fields(bench: GcpBench) -> Iterator[GcpCase]:
    """Of the message in which the report stands field by field."""
    report = bench.guest.hardware(NONCE)
    assert report is not None  # noqa: S101 - asked by the caller
    number = _SNP if report.tee is Tee.SNP else _TDX
    faults = {
        "a report that is empty": (b"", "gcp.inner"),
        "a report that is no message": (b"\xff", "gcp.protobuf"),
        "a field of a report that nobody knows": (octets_field(1, octets_field(99, b"")), "gcp.inner"),
        "a field of a report that is too large": (octets_field(1, number_field(1, 1 << 40)), "gcp.inner"),
        "a field of a report that is too short": (octets_field(1, octets_field(4, b"short")), "gcp.inner"),
        "a report of another version": (octets_field(1, number_field(1, 9)), "gcp.inner"),
    }
    for name, (content, code) in faults.items():
        yield bench.case(name, code, hardware=None, more=octets_field(number, content))
