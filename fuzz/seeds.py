# ruff: noqa: INP001, S324 - a folder of programs; SHA-1 is how the fuzzer names its files
"""Writes a first corpus: minted evidence and documents, of each kind that a target has to get past.

``seeds.py FOLDER``. The kept corpus is what ``run.py --grow`` made of these, minimised (docs/reference/fuzzing.md).
"""

import hashlib
import json
import struct
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from cloud_seeds import cloud_seeds
from cryptography.hazmat.primitives.asymmetric import ec
from device_seeds import device_seeds
from result_seeds import result_seeds

from sealroom.collateral import EvidenceBundle
from sealroom.evidence import Collateral, CollectedEvidence, Tee
from sealroom.pem import as_pem
from sealroom.statement import RoomStatement
from sealroom.tees.snp.certificate_table import GUIDS
from sealroom.testing import der
from sealroom.testing.gym.quote_parts import QuoteParts
from sealroom.testing.pki import Authority, CertificateForm, CrlForm, authority, mint_certificate, mint_crl

_VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
_SGX = "1.2.840.113741.1.13.1"
_POLICY = """\
policy = 1
name = "seed"
[trust]
tees = ["snp"]
[snp]
measurement = ["{measurement}"]
products = ["Milan"]
signing_key = ["VCEK"]
vmpl = [0]
allow = ["smt"]
[snp.minimum_tcb.Milan]
bootloader = 1
tee = 0
snp = 2
microcode = 3
[model]
name = "model"
digest = ["sha256:{digest}"]
[engine]
config_digest = ["sha256:{digest}"]
[unchecked]
init_data = "none"
[[require]]
when = "claims.tcb.reported.snp >= 2"
because = "it is so"
fix = "update"
"""


def main(folder: Path) -> None:
    """Write every seed under the SHA-1 of its bytes, as the fuzzer itself does."""
    for target, raw in seeds():
        place = folder / target
        place.mkdir(parents=True, exist_ok=True)
        (place / hashlib.sha1(raw).hexdigest()).write_bytes(raw)


def seeds() -> Iterator[tuple[str, bytes]]:
    """Target and input."""
    key = ec.derive_private_key(7, ec.SECP256R1())
    root = authority("root", key, serial=1, signs_crls=True)
    leaf = mint_certificate(CertificateForm(subject="leaf", public_key=key.public_key()), root)
    yield from (("quote", raw) for raw in quotes(as_pem(leaf, root.certificate)))
    yield from (("signed-json", raw) for raw in documents())
    yield from (("snp-report", bytes((version, 0, 0, 0)) + report[4:]) for version, report in reports())
    yield "certificate", leaf
    yield "certificate", root.certificate
    yield "certificate", as_pem(leaf, root.certificate)
    yield "pem", as_pem(b"\x30\x00", b"abc") + b"\0"
    yield "pck-extension", pck_certificate(root)
    for form in (CrlForm(), CrlForm(revoked=(1, 1 << 80))):
        crl = mint_crl(form, root)
        forms = (crl, crl.hex().encode() + b"\n", as_pem(crl, label="X509 CRL"))
        yield from (("revocation-list", raw) for raw in forms)
    yield "statement", stated()
    cpu = CollectedEvidence(tee=Tee.SNP, raw=next(reports())[1],
                            collateral=Collateral(items={"leaf": leaf, "chain": b"chain"}))  # fmt: skip
    gpu = CollectedEvidence(tee=Tee.NVIDIA, raw=b"gpu", collateral=Collateral(items={"cert_chain": b"chain"}))
    yield "evidence-bundle", EvidenceBundle.of(stated(), cpu).encode()
    yield "evidence-bundle", EvidenceBundle.of(stated(), cpu, {"gpu0": gpu}).encode()
    yield "certificate-table", table(leaf, root.certificate)
    yield from (("event-log", raw) for raw in logs())
    yield from images()
    yield "firmware", firmware()
    yield from (("enclave-signature", raw) for raw in recorded("sigstruct-*/enclave.sig"))
    yield from (("ima-list", raw) for raw in recorded("ima-*/ascii_runtime_measurements"))
    yield from device_seeds()
    yield from cloud_seeds()
    yield from result_seeds()
    yield "policy", _POLICY.format(measurement="ab" * 48, digest="cd" * 32).encode()


def recorded(pattern: str) -> Iterator[bytes]:
    """What can not be minted without the vendor's tools: recorded files, where they are on this machine."""
    measured = Path(__file__).resolve().parents[2] / "shared" / "vectors" / "measure"
    yield from (path.read_bytes() for path in sorted(measured.glob(pattern)))


def quotes(chain: bytes) -> Iterator[bytes]:
    """One quote of each version and body."""
    for version, tee, body_type, size in ((3, 0, 1, 384), (4, 0, 1, 384), (4, 0x81, 2, 584), (5, 0x81, 2, 584),
                                          (5, 0x81, 3, 648), (5, 0, 1, 384)):  # fmt: skip
        for kind, data in ((5, chain), (3, bytes(404)), (4, chain)):
            header = struct.pack("<HHIHH", version, 2, tee, 0, 0) + _VENDOR + bytes(20)
            head = struct.pack("<HI", body_type, size) if version == 5 else b""
            yield QuoteParts(
                header=header, body_head=head, body=bytes(size), signature=bytes(64), attestation_key=bytes(64),
                outer_type=None if version == 3 else 6, qe_report=bytes(384), qe_report_signature=bytes(64),
                auth_data=bytes(32), certification_type=kind, certification_data=data, trailing=b"",
            ).joined()  # fmt: skip


def documents() -> Iterator[bytes]:
    """Documents as Intel's service sends them, and what is inside each."""
    level = {"tcb": {"sgxtcbcomponents": [{"svn": 1}] * 16, "pcesvn": 2, "tdxtcbcomponents": [{"svn": 3}] * 16},
             "tcbDate": "2026-01-01T00:00:00Z", "tcbStatus": "OutOfDate", "advisoryIDs": ["INTEL-SA-1"]}  # fmt: skip
    times = {"issueDate": "2026-01-01T00:00:00Z", "nextUpdate": "2026-02-01T00:00:00Z"}
    module = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "ff" * 8}
    isv = {"tcb": {"isvsvn": 4}, "tcbDate": times["issueDate"], "tcbStatus": "UpToDate"}
    info = {"id": "TDX", "version": 3, **times, "fmspc": "00" * 6, "pceId": "0000", "tcbType": 0,
            "tcbEvaluationDataNumber": 17, "tdxModule": module, "tcbLevels": [level],
            "tdxModuleIdentities": [{"id": "TDX_03", **module, "tcbLevels": [isv]}]}  # fmt: skip
    flat = {f"sgxtcbcomp{number:02d}svn": 1 for number in range(1, 17)}
    old = {"version": 2, **times, "fmspc": "00" * 6, "pceId": "0000", "tcbType": 0, "tcbEvaluationDataNumber": 17,
           "tcbLevels": [{"tcb": {**flat, "pcesvn": 1}, "tcbDate": times["issueDate"], "tcbStatus": "UpToDate"}],
           }  # fmt: skip
    identity = {"id": "TD_QE", "version": 2, **times, "tcbEvaluationDataNumber": 17, "miscselect": "00000000",
                "miscselectMask": "FFFFFFFF", "attributes": "11" * 16, "attributesMask": "FF" * 16,
                "mrsigner": "22" * 32, "isvprodid": 2, "tcbLevels": [isv]}  # fmt: skip
    for marker, member, value in ((b"\1", "tcbInfo", info), (b"\1", "tcbInfo", old),
                                  (b"\0", "enclaveIdentity", identity)):  # fmt: skip
        body = json.dumps(value, separators=(",", ":")).encode()
        yield marker + body
        yield b'{"' + member.encode() + b'":' + body + b',"signature":"' + b"0" * 128 + b'"}'


def reports() -> Iterator[tuple[int, bytes]]:
    """Reports of each version, unsigned: the reader does not look at signatures."""
    for version in (2, 3, 5):
        raw = bytearray(1184)
        raw[0x08:0x10] = (0x30000).to_bytes(8, "little")
        raw[0x34] = 1
        raw[0x160:0x180] = b"\xff" * 32
        if version > 2:
            raw[0x188:0x18B] = b"\x19\x11\x01"
        yield version, bytes(raw)


def pck_certificate(issuer: Authority) -> bytes:
    """A certificate with the extension of an Intel platform."""

    def pair(number: str, value: bytes) -> bytes:
        return der.sequence(der.oid(f"{_SGX}{number}"), value)

    tcb = [pair(f".2.{number}", der.integer(number * 15)) for number in range(1, 18)]
    tcb.append(pair(".2.18", der.octet_string(bytes(16))))
    configuration = [pair(f".7.{number}", der.boolean(True)) for number in (1, 2, 3)]
    extension = der.sequence(
        pair(".1", der.octet_string(bytes(16))), pair(".2", der.sequence(*tcb)),
        pair(".3", der.octet_string(bytes(2))), pair(".4", der.octet_string(bytes(6))),
        pair(".5", der.element(0x0A, b"\1")), pair(".6", der.octet_string(bytes(16))),
        pair(".7", der.sequence(*configuration)),
    )  # fmt: skip
    form = CertificateForm(subject="Intel SGX PCK Certificate", public_key=issuer.key.public_key(),
                           extensions=((_SGX, False, extension),))  # fmt: skip
    return mint_certificate(form, Authority(key=issuer.key, common_name="Intel SGX PCK Platform CA", certificate=b""))


def logs() -> Iterator[bytes]:
    """Event logs: crypto agile ones of a TD and of a TPM, and one of the older form."""
    sizes = {0x0B: 32, 0x0C: 48}
    table = b"".join(struct.pack("<HH", *pair) for pair in sizes.items())
    spec = b"Spec ID Event03\0" + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, len(sizes)) + table + b"\0"
    first = struct.pack("<II20sI", 1, 3, bytes(20), len(spec)) + spec
    texts = ((3, 0x80000001, b"variable"), (1, 0x4, bytes(4)), (2, 0xD, b"kernel_cmdline: x\0"),
             (2, 0x80000003, bytes(32) + b"p\0a\0\0\0"), (1, 0x80000008, bytes(16)))  # fmt: skip
    events = b""
    for index, kind, text in texts:
        digests = struct.pack("<H32sH48s", 0x0B, hashlib.sha256(text).digest(), 0x0C, hashlib.sha384(text).digest())
        events += struct.pack("<III", index, kind, 2) + digests + struct.pack("<I", len(text)) + text
    yield b"\1" + first + events + b"\xff" * 20
    yield b"\0" + first + events
    yield b"\0" + struct.pack("<II20sI", 0, 8, hashlib.sha1(b"x").digest(), 1) + b"x"


def images() -> Iterator[tuple[str, bytes]]:
    """What software is measured from: an enclave image, a PE image, firmware, a table."""
    contents = [(1, b"kernel"), (2, b"cmdline"), (5, b'{"ImageName":"x"}'), (3, b"ramdisk"), (3, b"second")]
    sections, offsets, place = b"", [], 548
    for kind, content in contents:
        offsets.append(place)
        sections += struct.pack(">HHQ", kind, 0, len(content)) + content
        place += 12 + len(content)
    sizes = [len(content) for _, content in contents]
    none = [0] * (32 - len(contents))
    head = struct.pack(
        ">4sHHQQHH32Q32QI", b".eif", 4, 0, 1 << 28, 2, 0, len(contents), *offsets, *none, *sizes, *none, 0
    )
    yield "enclave-image", head + bytes(4) + sections
    optional = struct.pack("<H58xI", 0x20B, 0x200).ljust(108, b"\0") + struct.pack("<I", 16) + bytes(128)
    section = b".text\0\0\0" + struct.pack("<8xII16x", 16, 0x200)
    pe = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<HH12xHH", 0x8664, 1, len(optional), 0)
    yield "pe-image", (pe + optional + section).ljust(0x200, b"\0") + bytes(32)
    table = b"CCEL" + struct.pack("<I28xBBHQQ", 56, 2, 0, 0, 4096, 1 << 32)
    yield "ccel-table", table[:9] + bytes((-sum(table) & 0xFF,)) + table[10:]
    event = {"imr": 3, "event_type": 134217729, "digest": "00" * 48, "event": "app-id", "event_payload": "abcd"}
    yield "dstack-log", json.dumps([event, event | {"imr": 0, "event": "", "event_payload": ""}]).encode()


def firmware() -> bytes:
    """A page of firmware with a table of entries and TDX metadata."""
    rows = struct.pack("<IIQQII", 0, 1024, 0xFFFFF000, 4096, 0, 1) + struct.pack("<IIQQII", 0, 0, 0x1000, 4096, 2, 0)
    metadata = UUID("e9eaf9f3-168e-44d5-a8eb-7f4d8738f6ae").bytes_le + struct.pack("<4sIII", b"TDVF", 80, 1, 2) + rows
    entry = struct.pack("<IH", 4096 - 1040, 22) + UUID("e47a6535-984a-4798-865e-4685a7bf8ec2").bytes_le
    footer = struct.pack("<H", 18 + len(entry)) + UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
    page = bytes(1024) + metadata
    return page.ljust(4096 - 32 - 18 - len(entry), b"\0") + entry + footer + bytes(32)


def stated() -> bytes:
    """What a room states."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return RoomStatement(
        nonce=bytes(32), key_configs=b"\0\1k", model_name="model", model_version=1, model_digest=bytes(32),
        package_digest=bytes(32), engine_name="none", engine_version="1", engine_config_digest=bytes(32),
        sandbox_layers=(), software_version="0.1.0", created_at=at, not_after=at + timedelta(minutes=30),
    ).encode()  # fmt: skip


def table(*certificates: bytes) -> bytes:
    """A certificate table."""
    entries, content, place = b"", b"", 24 * (len(certificates) + 1)
    for guid, certificate in zip(GUIDS, certificates, strict=False):
        entries += guid + struct.pack("<II", place + len(content), len(certificate))
        content += certificate
    return entries + bytes(24) + content


if __name__ == "__main__":
    main(Path(sys.argv[1]))
