"""Firmware, kernels, enclaves and enclave images made for tests, each part at the tests' will."""

import hashlib
import json
import struct
import zlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.errors import SealroomError

PAGE = 4096
FOOTER = "96b582de-1fb2-45f7-baea-a366c55a082d"
TDX_OFFSET, TDX_DESCRIPTOR = "e47a6535-984a-4798-865e-4685a7bf8ec2", "e9eaf9f3-168e-44d5-a8eb-7f4d8738f6ae"
SEV_METADATA, SEV_HASHES = "dc886566-984a-4798-a75e-5585a7bf67cc", "7255371f-3a3b-4b04-927b-1da6efa8d454"
SEV_RESET, SVSM_INFO = "00f771de-1a7e-4fcb-890e-68c77e2fb44e", "a789a612-0597-4c4b-a49f-cbb1fe9d1ddd"

SEV_SECTIONS = ((0x800000, 0x3000, 1), (0x80D000, PAGE, 2), (0x80E000, PAGE, 3), (0x80F000, PAGE, 4),
                (0x810000, PAGE, 0x10))  # fmt: skip
TDX_SECTIONS = (
    # offset, bytes in the image, address, bytes in memory, type, attributes
    (0, 0x1000, 0xFFFFE000, 0x1000, 0, 1),
    (0x1000, 0x0800, 0xFFFFF000, 0x1000, 1, 0),
    (0, 0, 0x810000, 0x2000, 3, 0),
    (0, 0, 0x809000, 0x1000, 2, 0),
    (0, 0, 0x100000, 0x1000, 4, 2),
)


def refusal(function, *arguments, **named):
    """The code with which ``function`` refuses; nothing if it does not. Whatever else it raises is a failure."""
    try:
        function(*arguments, **named)
    except SealroomError as refused:
        return refused.code
    return ""


def guid(text):
    return UUID(text).bytes_le


def with_table(body, entries, *, footer=FOOTER):
    """``body`` filled up with zeros to end with a table of ``entries`` (GUID to data), as OVMF does."""
    rows = b"".join(data + struct.pack("<H", len(data) + 18) + guid(name) for name, data in entries.items())
    tail = rows + struct.pack("<H", len(rows) + 18) + guid(footer) + bytes(32)
    size = -(-(len(body) + len(tail)) // PAGE) * PAGE
    return body.ljust(size - len(tail), b"\x00") + tail


def u32(number):
    return struct.pack("<I", number)


def sev_firmware(sections=SEV_SECTIONS, *, hashes_at=0x810C00, reset=0x80B004, pages=2, svsm=None, **head):
    """An image for SEV-SNP; its metadata stand at its second to last KiB."""
    wanted = {"signature": b"ASEV", "size": 16 + 12 * len(sections), "version": 1, "count": len(sections)} | head
    metadata = struct.pack("<4sIII", *wanted.values()) + b"".join(struct.pack("<III", *row) for row in sections)
    body = bytes(range(256)) * (16 * pages - 8) + metadata
    entries = {SEV_METADATA: u32(0), SEV_RESET: u32(reset)}
    entries |= {} if hashes_at is None else {SEV_HASHES: u32(hashes_at) + u32(0x400)}
    entries |= {} if svsm is None else {SVSM_INFO: u32(svsm)}
    offset = len(with_table(body, entries)) - len(body) + len(metadata)
    return with_table(body, entries | {SEV_METADATA: u32(offset)})


def tdx_firmware(sections=TDX_SECTIONS, *, descriptor=TDX_DESCRIPTOR, pages=2, **head):
    """An image for TDX; its metadata stand in its last KiB, or behind as many pages as they need."""
    wanted = {"signature": b"TDVF", "size": 16 + 32 * len(sections), "version": 1, "count": len(sections)} | head
    metadata = struct.pack("<4sIII", *wanted.values()) + b"".join(struct.pack("<IIQQII", *row) for row in sections)
    body = bytes(range(256)) * (16 * pages - 4) + guid(descriptor) + metadata
    offset = len(with_table(body, {TDX_OFFSET: u32(0)})) - len(body) + len(metadata)
    return with_table(body, {TDX_OFFSET: u32(offset)})


def pe_image(*, sections=((0x200, 0x300), (0x600, 0x100)), trailing=b"", signature=b"", plus=True, directories=16,
             headers=0x200):  # fmt: skip
    """A PE image; ``sections`` are place and size of each, ``signature`` what its certificate table holds."""
    size = max([headers, *(start + length for start, length in sections)])
    table = (size + len(trailing), len(signature)) if signature else (0, 0)
    entries = b"".join(struct.pack("<II", *(table if index == 4 else (0, 0))) for index in range(directories))
    optional = struct.pack("<H58xI4x", 0x20B if plus else 0x10B, headers)
    optional = optional.ljust(108 if plus else 92, b"\x00") + struct.pack("<I", directories) + entries
    rows = b"".join(struct.pack("<8s8xII16x", b".text", length, start) for start, length in sections)
    head = b"MZ" + bytes(58) + u32(64) + b"PE\x00\x00"
    head += struct.pack("<HH12xHH", 0x8664, len(sections), len(optional), 0)
    body = bytearray((head + optional + rows).ljust(size, b"\x00"))
    for number, (start, length) in enumerate(sections):
        body[start : start + length] = bytes((number + 1,)) * length
    return bytes(body) + trailing + signature


def linux(image=None, *, protocol=0x20F, load_flags=0x01, above_4g=True, initrd_most=0x7FFFFFFF):
    """A PE image that is a Linux kernel too, by its setup header."""
    kernel = bytearray(image or pe_image(sections=((0x400, 0x300),), headers=0x400))
    kernel[0x202:0x206] = b"HdrS"
    kernel[0x206:0x208] = protocol.to_bytes(2, "little")
    kernel[0x211] = load_flags
    kernel[0x224:0x228] = b"\x11\x22\x33\x44"
    kernel[0x22C:0x230] = initrd_most.to_bytes(4, "little")
    kernel[0x236] = 0x03 if above_4g else 0x01
    return bytes(kernel)


@lru_cache
def enclave_key():
    return rsa.generate_private_key(public_exponent=3, key_size=3072)


def sigstruct(*, attributes=4, mask=0xFF, **changed):
    """A SIGSTRUCT that is right, or signed as it was changed: ``at_40=b"…"`` puts bytes at offset 40."""
    raw = bytearray(1808)
    raw[0:16], raw[24:40] = (bytes.fromhex(text) for text in ("06000000e10000000000010000000000",
                                                             "01010000600000006000000001000000"))  # fmt: skip
    raw[20:24] = u32(0x20261123)
    numbers = enclave_key().public_key().public_numbers()
    raw[128:512], raw[512:516] = numbers.n.to_bytes(384, "little"), u32(3)
    raw[928], raw[944], raw[960:992] = attributes, mask, hashlib.sha256(b"enclave").digest()
    raw[1024:1028] = struct.pack("<HH", 7, 9)
    for name, content in changed.items():
        at = int(name.removeprefix("at_"))
        raw[at : at + len(content)] = content
    signature = enclave_key().sign(bytes(raw[:128] + raw[900:1028]), padding.PKCS1v15(), hashes.SHA256())
    s = int.from_bytes(signature, "big")
    first = s * s // numbers.n
    second = (s**3 - first * s * numbers.n) // numbers.n
    for at, number in ((516, s), (1040, first), (1424, second)):
        raw[at : at + 384] = number.to_bytes(384, "little")
    return bytes(raw)


def eif(contents=((1, b"kernel"), (2, b"cmdline"), (5, b'{"ImageName":"made"}'), (3, b"first"), (3, b"second")), *,
        version=4, flags=0, magic=b".eif", count=None):  # fmt: skip
    """An enclave image with these sections."""
    body, offsets, place = b"", [], 548
    for kind, content in contents:
        offsets.append(place)
        body += struct.pack(">HHQ", kind, 0, len(content)) + content
        place += 12 + len(content)
    none = [0] * (32 - len(contents))
    sizes = [len(content) for _, content in contents]
    head = struct.pack(">4sHHQQHH32Q32QI", magic, version, flags, 1 << 28, 2, 0,
                       len(contents) if count is None else count, *offsets, *none, *sizes, *none, 0)  # fmt: skip
    return with_checksum(head + bytes(4) + body)


def with_checksum(image):
    """The image with the checksum that anybody can make."""
    return image[:544] + zlib.crc32(image[548:], zlib.crc32(image[:544])).to_bytes(4, "big") + image[548:]


def cbor(value):
    """Deterministic CBOR of what a signature section holds."""
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    content = value.encode() if isinstance(value, str) else value
    return head(3 if isinstance(value, str) else 2, len(content)) + content


def head(major, number):
    if number < 24:
        return bytes((major << 5 | number,))
    size = next(size for size in (1, 2, 4) if number < 1 << 8 * size)
    return bytes((major << 5 | 23 + size.bit_length(),)) + number.to_bytes(size, "big")


def image_signer(curve="secp384r1"):
    """Key and self-signed certificate (PEM) of whoever signs an enclave image."""
    return _signer(curve)


@lru_cache
def _signer(curve):
    key = ec.generate_private_key({"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1()}[curve])
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signer")])
    at = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, at, at + timedelta(days=365))
    certificate = builder.sign(key, hashes.SHA256())
    return key, certificate.public_bytes(serialization.Encoding.PEM)


def signed_payload(payload, *, curve="secp384r1", algorithm=-35, instead=None):
    """COSE_Sign1 over ``payload``; ``instead``: what is put in its place after it was signed."""
    key, _ = image_signer(curve)
    protected = cbor({1: algorithm})
    signed = cbor(["Signature1", protected, b"", payload])
    digest = hashes.SHA384() if curve == "secp384r1" else hashes.SHA256()
    numbers = decode_dss_signature(key.sign(signed, ec.ECDSA(digest)))
    signature = b"".join(number.to_bytes(key.curve.key_size // 8, "big") for number in numbers)
    return cbor([protected, {}, instead or payload, signature])


def statement(value, register=0):
    """What is signed: the value of one PCR."""
    return cbor({"register_index": register, "register_value": list(value)})


def signature_section(value, *, register=0, certificate=None, as_bytes=False, **how):
    """A signature over one PCR, as the vendor's tool writes it: byte strings as arrays of numbers."""
    _, pem = image_signer(how.get("curve", "secp384r1"))
    cose = signed_payload(statement(value, register), **how)
    parts = {"signing_certificate": certificate or pem, "signature": cose}
    return cbor([{name: part if as_bytes else list(part) for name, part in parts.items()}])


def pcr(*contents):
    """A Nitro PCR by hand: SHA-384 over 48 zeros and the SHA-384 of the contents."""
    return hashlib.sha384(bytes(48) + hashlib.sha384(b"".join(contents)).digest()).digest()


def metadata(**members):
    return json.dumps(members).encode()
