"""A recorded report in a world of one's own, and one fault at a time in it.

Names, extensions and times of the certificates, every field of the report and every reference value stay as they were
recorded; the keys are others, and what is changed is signed anew.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from sealroom.der import OCTET_STRING, SEQUENCE, read_whole
from sealroom.errors import SealroomError
from sealroom.evidence import TrustRoots
from sealroom.pem import as_pem, read_pem
from sealroom.tees.nvidia.canonical import canonical
from sealroom.tees.nvidia.layout import parse_report
from sealroom.tees.nvidia.rim_signature import read_signature
from sealroom.tees.nvidia.xml_tree import read_xml
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.nvidia import own_keys
from sealroom.testing.gym.nvidia_rims import certificates_of, with_certificates
from sealroom.testing.gym.own_keys import PrivateKey, own_p384, signed, unsigned
from sealroom.testing.nvidia_report import raw_signature
from sealroom.x509_reader import read_certificate

__all__ = ["NvidiaHierarchy", "nvidia_hierarchy_mutations"]

Fault = tuple[str, "NvidiaHierarchy"]

_SIGNATURE = 96
_NAMES = ("leaf", "BROM", "provisioner", "identity CA", "root")
_LONG_TIME, _SHORT_TIME = b"\x18\x0f", b"\x17\x0d"
_CA = b"\x30\x03\x01\x01\xff"
_USAGE = b"\x55\x1d\x0f\x01\x01\xff"


def _rim_keys(number: int) -> list[PrivateKey]:
    return [own_p384(f"rim {depth}") for depth in range(number)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NvidiaHierarchy:
    """Report, signed parts of certificates and documents; change any with `dataclasses.replace`, and sign."""

    base: Sample = field(repr=False)
    report: bytes = field(repr=False)
    """All that is signed."""
    bodies: tuple[bytes, ...] = field(repr=False)
    """Of the five certificates, leaf first."""
    rims: dict[str, bytes] = field(repr=False)
    """As they were recorded."""
    signers: tuple[int, ...] = (1, 2, 3, 4, 4)
    """Whose key signs each certificate."""
    report_signer: int = 0
    rim_signer: int = 0
    left_out: int | None = None
    rim_bodies: Callable[[int, bytes], bytes] = field(default=lambda _, body: body, repr=False)
    """What becomes of the signed part of a certificate of a RIM, by depth."""

    @classmethod
    def of(cls, sample: Sample) -> "NvidiaHierarchy | None":
        """The world of ``sample``; None: there are not five certificates, or its documents are not such."""
        try:
            blocks = read_pem(sample.collateral["cert_chain"].rstrip(b"\0"), "CERTIFICATE")
            for name in ("driver_rim", "vbios_rim"):
                read_signature(read_xml(sample.collateral[name])) if name in sample.collateral else None
        except SealroomError:
            return None
        if len(blocks) != len(_NAMES):
            return None
        bodies = tuple(unsigned(block, key=key) for block, key in zip(blocks, own_keys(), strict=True))
        rims = {name: sample.collateral[name] for name in ("driver_rim", "vbios_rim") if name in sample.collateral}
        return cls(base=sample, report=sample.raw[:-_SIGNATURE], bodies=bodies, rims=rims)

    def sample(self) -> Sample:
        """Everything signed, and the own roots trusted."""
        keys = own_keys()
        chain = [signed(body, keys[signer]) for body, signer in zip(self.bodies, self.signers, strict=True)]
        kept = [one for depth, one in enumerate(chain) if depth != self.left_out]
        key = keys[self.report_signer]
        rims = {name: self._signed_rim(document) for name, document in self.rims.items()}
        anchors = {chain[-1], *(certificates_of(document)[-1] for document in rims.values())}
        return replace(
            self.base, name=f"{self.base.name}, re-minted",
            raw=self.report + raw_signature(key, self.report),  # type: ignore[arg-type]
            collateral={"cert_chain": as_pem(*kept)} | rims,
            roots=TrustRoots(insecure_simulated=frozenset(read_certificate(one).fingerprint for one in anchors)),
            own_root=chain[-1],
        )  # fmt: skip

    def with_body(self, depth: int, body: bytes) -> "NvidiaHierarchy":
        """The same with another certificate."""
        return replace(self, bodies=(*self.bodies[:depth], body, *self.bodies[depth + 1 :]))

    def with_rim(self, name: str, document: bytes) -> "NvidiaHierarchy":
        """The same with other reference values."""
        return replace(self, rims={**self.rims, name: document})

    def _signed_rim(self, document: bytes) -> bytes:
        blocks = certificates_of(document)
        keys = _rim_keys(len(blocks))
        chain = [signed(self.rim_bodies(depth, unsigned(block, key=keys[depth])), keys[min(depth + 1, len(keys) - 1)])
                 for depth, block in enumerate(blocks)]  # fmt: skip
        document = with_certificates(document, chain)
        root = read_xml(document)
        digest = hashlib.sha384(canonical(root, without=read_signature(root).element)).digest()
        document = _put(document, b"DigestValue", digest)
        key = keys[self.rim_signer]
        value = raw_signature(key, read_signature(read_xml(document)).signed_info)  # type: ignore[arg-type]
        return _put(document, b"SignatureValue", value)


def nvidia_hierarchy_mutations(world: NvidiaHierarchy) -> Iterator[Mutation]:
    """Every fault of this kind."""
    for label, faulty in (*_reports(world), *_certificates(world), *_rims(world)):
        yield Mutation(label=f"re-minted: {label}", level=Level.MINTED, expectation=Expectation.FORGERY,
                       sample=faulty.sample())  # fmt: skip


def _reports(world: NvidiaHierarchy) -> Iterator[Fault]:
    report, fields = world.report, parse_report(world.base.raw).report
    if fields.fwid is not None:
        other = bytes((fields.fwid[0] ^ 1,)) + fields.fwid[1:]
        yield "report of other firmware", replace(world, report=report.replace(fields.fwid, other))
    yield "report signed by the BROM's key", replace(world, report_signer=1)
    for name, text in (("driver", fields.driver_version), ("vbios", None)):
        if text and f"{name}_rim" in world.rims:
            digits = text.encode()
            other = digits.replace(digits[:1], b"9" if digits[:1] != b"9" else b"8", 1)
            yield f"report of another {name}", replace(world, report=report.replace(digits, other))
    for index in (1, 9, 30):
        if world.rims and index in fields.measurements and any(fields.measurements[index]):
            value = fields.measurements[index]
            if any(value.hex().encode() in rim for rim in world.rims.values()):
                changed = report.replace(value, value[:-1] + bytes((value[-1] ^ 1,)))
                yield f"report of another measurement {index}", replace(world, report=changed)


def _certificates(world: NvidiaHierarchy) -> Iterator[Fault]:
    for depth, name in enumerate(_NAMES):
        body = world.bodies[depth]
        first = body.find(_SHORT_TIME) + 2
        if first > 1:
            late = body[:first] + b"490101000000Z" + body[first + 13 :]
            yield f"{name} not valid yet", world.with_body(depth, late)
        last = body.find(_LONG_TIME) + 2
        if last > 1:
            past = body[:last] + b"20210101000000Z" + body[last + 15 :]
            yield f"{name} expired", world.with_body(depth, past)
        unknown = body.replace(_USAGE, b"\x55\x1d\x7f\x01\x01\xff")
        yield f"{name} with a critical extension that nobody knows", world.with_body(depth, unknown)
        if depth:
            yield f"{name} that is no CA", world.with_body(depth, body.replace(_CA, b"\x30\x03\x01\x01\x00"))
    yield "leaf signed by the root", replace(world, signers=(4, 2, 3, 4, 4))
    yield "leaf signed by itself", replace(world, signers=(0, 2, 3, 4, 4))
    for depth, name in enumerate(_NAMES[:-1]):
        yield f"chain without the {name}", replace(world, left_out=depth)
    fwid = parse_report(world.base.raw).report.fwid
    if fwid is not None and fwid in world.bodies[0]:
        other = world.bodies[0].replace(fwid, bytes((fwid[0] ^ 1,)) + fwid[1:])
        yield "leaf of other firmware", world.with_body(0, other)


def _rims(world: NvidiaHierarchy) -> Iterator[Fault]:
    for name, document in world.rims.items():
        edits = {
            "of another version": document.replace(b'colloquialVersion="', b'colloquialVersion="1', 1),
            "of another product": document.replace(b'product="', b'product="A', 1),
            "of another edition": re.sub(rb'edition="\w+"', b'edition="NIC"', document, count=1),
            "with nothing active": document.replace(b'"True"', b'"False"'),
            "with every index active": document.replace(b'"False"', b'"True"'),
            "without its first value": re.sub(rb'index="0"', b'index="1"', document, count=1),
        }
        for label, changed in edits.items():
            if changed != document:
                yield f"{name} {label}", world.with_rim(name, changed)
    if not world.rims:
        return
    yield "RIMs signed by their issuer's key", replace(world, rim_signer=1)
    yield "RIMs whose signer is not valid yet", replace(world, rim_bodies=_not_valid_yet)
    yield "RIMs whose issuer is no CA", replace(world, rim_bodies=_no_ca)


def _not_valid_yet(depth: int, body: bytes) -> bytes:
    first = body.find(_SHORT_TIME) + 2
    return body if depth or first < 2 else body[:first] + b"490101000000Z" + body[first + 13 :]


def _no_ca(depth: int, body: bytes) -> bytes:
    """As an OCTET STRING that says so, whether or not a path length follows."""
    if depth != 1:
        return body
    place = body.index(b"\x55\x1d\x13\x01\x01\xff") + 6
    value = read_whole(body[place : place + 2 + body[place + 1]], OCTET_STRING)
    inner = read_whole(value.content, SEQUENCE)
    return (
        body[: place + 2]
        + inner.whole.replace(b"\x01\x01\xff", b"\x01\x01\x00", 1)
        + body[place + 2 + body[place + 1] :]
    )


def _put(document: bytes, name: bytes, value: bytes) -> bytes:
    pattern = rb"(<ds:" + name + rb">)[^<]*(<)"
    return re.sub(pattern, rb"\g<1>" + base64.b64encode(value).replace(b"\\", b"\\\\") + rb"\2", document, count=1)
