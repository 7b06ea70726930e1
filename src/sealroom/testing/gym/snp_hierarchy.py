"""A recorded SNP report in a world of one's own, and one fault at a time in it.

The root has an empty revocation list, which a recorded report seldom comes with. Names, extensions,
numbers and times of the certificates and every field of the report stay as they were recorded; the keys are others.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.evidence import TrustRoots, Validity
from sealroom.pem import as_pem
from sealroom.tees.snp.layout import REPORT, SIGNED_SIZE
from sealroom.testing import der
from sealroom.testing.gym.byte_edits import flipped
from sealroom.testing.gym.mutation import Expectation, Level, Mutation, Sample
from sealroom.testing.gym.own_keys import PrivateKey, own_p384, own_rsa, signed, unsigned
from sealroom.testing.gym.snp import certificate_chain
from sealroom.testing.pki import Authority, CrlForm, mint_crl
from sealroom.x509_reader import read_certificate

__all__ = ["SnpHierarchy", "snp_hierarchy_mutations"]

Fault = tuple[str, "SnpHierarchy"]

_AMD = "1.3.6.1.4.1.3704.1"
_PAST, _FUTURE = b"010101000000Z", b"490101000000Z"
_NAMES = ("leaf", "intermediate", "root")
_UTC_TIME = b"\x17\x0d"
_KEY_INFO, _CHIP_ID, _REPORTED_TCB, _CPUID = 0x48, 0x1A0, 0x180, 0x188


def _key(name: str) -> PrivateKey:
    return own_p384("re-minted leaf") if name == "leaf" else own_rsa(name)


@lru_cache(maxsize=64)
def _signed_by(name: str, body: bytes) -> bytes:
    # remembered because such a signature is another each time, and the root is trusted by its bytes
    return signed(body, _key(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpHierarchy:
    """Report and the signed parts of three certificates; change any with `dataclasses.replace`, and sign."""

    base: Sample = field(repr=False)
    report: bytes = field(repr=False)
    leaf: bytes = field(repr=False)
    leaf_signer: str = "intermediate"
    intermediate: bytes = field(repr=False)
    intermediate_signer: str = "root"
    root: bytes = field(repr=False)
    crl: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, sample: Sample) -> "SnpHierarchy | None":
        """The world of ``sample``; None: there are not three certificates."""
        blocks = certificate_chain(sample)
        if len(blocks) != 3:
            return None
        leaf, intermediate, root = (
            unsigned(block, key=_key(name)) for block, name in zip(blocks, _NAMES, strict=True)
        )
        world = cls(base=sample, report=sample.raw, leaf=leaf, intermediate=intermediate, root=root)
        return world.with_list("root")

    def sample(self) -> Sample:
        """Everything signed, and the own root trusted."""
        root = _signed_by("root", self.root)
        items = {
            "leaf": _signed_by(self.leaf_signer, self.leaf),
            "chain": as_pem(_signed_by(self.intermediate_signer, self.intermediate), root),
        }
        return replace(
            self.base, name=f"{self.base.name}, re-minted", raw=_signed_report(self.report),
            collateral=items | {"crl": self.crl},
            roots=TrustRoots(insecure_simulated=frozenset({read_certificate(root).fingerprint})), own_root=root,
        )  # fmt: skip

    def with_list(self, signer: str, *serials: int, days: tuple[int, int] = (-1, 30)) -> "SnpHierarchy":
        """The same with another revocation list; ``days``: its window, counted from the sample's time."""
        issuer = read_certificate(_signed_by("root", self.root)).issuer.common_name
        first, last = (self.base.at + timedelta(days=number) for number in days)
        form = CrlForm(revoked=serials, validity=Validity(not_before=first, not_after=last))
        return replace(self, crl=mint_crl(form, Authority(key=_key(signer), common_name=issuer, certificate=b"")))


def _signed_report(report: bytes) -> bytes:
    key = own_p384("re-minted leaf")
    signature = key.sign(report[:SIGNED_SIZE], ec.ECDSA(hashes.SHA384(), deterministic_signing=True))
    numbers = b"".join(number.to_bytes(72, "little") for number in decode_dss_signature(signature))
    return report[:SIGNED_SIZE] + numbers + report[SIGNED_SIZE + 144 :]


def snp_hierarchy_mutations(world: SnpHierarchy) -> Iterator[Mutation]:
    """Every fault of this kind, and a revocation list that names nobody here, which is none."""
    for label, faulty in (*_reports(world), *_leaves(world), *_issuers(world), *_lists(world)):
        yield _mutation(label, faulty, Expectation.FORGERY)
    for label, faulty in _reserved(world):
        yield _mutation(label, faulty, Expectation.NEUTRAL)
    yield _mutation("a list that revokes another", world.with_list("root", 12345), Expectation.BENIGN)


def _mutation(label: str, world: SnpHierarchy, expectation: Expectation) -> Mutation:
    return Mutation(label=f"re-minted: {label}", level=Level.MINTED, expectation=expectation,
                    sample=world.sample())  # fmt: skip


def _put(world: SnpHierarchy, place: int, value: bytes) -> SnpHierarchy:
    return replace(world, report=world.report[:place] + value + world.report[place + len(value) :])


def _changed_part(world: SnpHierarchy, name: str, value: bytes) -> SnpHierarchy:
    changes: dict[str, Any] = {name: value}
    return replace(world, **changes)


def _reports(world: SnpHierarchy) -> Iterator[Fault]:
    report = world.report
    for version in (0, 1, 6, 255):
        yield f"report of version {version}", _put(world, 0, bytes((version,)))
    for algorithm in (0, 2):
        yield f"report of signature algorithm {algorithm}", _put(world, 0x34, bytes((algorithm,)))
    for label, value in (("the other key", report[_KEY_INFO] ^ 4), ("no key", 7 << 2), ("a key unknown", 3 << 2)):
        yield f"report that says it was signed by {label}", _put(world, _KEY_INFO, bytes((value,)))
    yield "report of a privilege level that is none", _put(world, 0x30, b"\4")
    for part in (0, 1, 2, 3, 6, 7):
        place = _REPORTED_TCB + part
        if report[place] or part in {0, 7}:
            yield f"report of another TCB in byte {part}", _put(world, place, bytes((report[place] ^ 1,)))
    if any(report[_CHIP_ID : _CHIP_ID + 64]) and not report[_KEY_INFO] >> 2 & 7:
        for bit in (0, 8 * 7 + 7, 8 * 63 + 7):
            yield f"report of another chip in bit {bit}", replace(world, report=flipped(report, 8 * _CHIP_ID + bit))
    if report[0] > 2:
        milan = report[_CPUID : _CPUID + 2] == b"\x19\x01" or report[_CPUID + 1] < 0x10
        other = b"\x19\x11" if milan else b"\x19\x01"
        yield "report of another product", _put(world, _CPUID, other)
        yield "report of no product", _put(world, _CPUID, b"\x06\x01")


def _reserved(world: SnpHierarchy) -> Iterator[Fault]:
    for row in REPORT.fields:
        if row.kind.value == "reserved" and row.offset < SIGNED_SIZE:
            yield f"reserved byte at 0x{row.offset:x}", _put(world, row.offset, b"\1")
    yield "guest policy without bit 17", _put(world, 0x0A, bytes((world.report[0x0A] & ~2,)))
    yield "guest policy with bit 63", _put(world, 0x0F, b"\x80")
    yield "reserved byte of the current TCB", _put(world, 0x38 + 4, b"\1")


def _leaves(world: SnpHierarchy) -> Iterator[Fault]:
    body, certificate = world.leaf, read_certificate(_signed_by("intermediate", world.leaf))
    for oid, extension in certificate.extensions.items():
        if oid.startswith(f"{_AMD}.") and oid not in {f"{_AMD}.5", f"{_AMD}.1"}:
            changed = _changed(body, oid, extension.value)
            yield f"leaf of another {oid}", replace(world, leaf=changed)
            gone = body.replace(der.oid(oid), der.oid(oid)[:-1] + b"\x7e", 1)
            if not oid.startswith(f"{_AMD}.3.") or extension.value[-1:] != b"\0":
                yield f"leaf without {oid}", replace(world, leaf=gone)
    yield "leaf of extensions of version 9", replace(world, leaf=_with_last(body, f"{_AMD}.1", b"\x09"))
    for word, other in ((b"SEV-VCEK", b"SEV-VLEK"), (b"SEV-VLEK", b"SEV-VCEK")):
        if word in body:
            yield f"leaf called {other.decode()}", replace(world, leaf=body.replace(word, other))
    yield "leaf signed by the root", replace(world, leaf_signer="root")


def _changed(body: bytes, oid: str, value: bytes) -> bytes:
    """The value's last byte is another; of a text a letter in its middle, so that the stepping is not all."""
    place = body.index(value, body.index(der.oid(oid))) + (3 if oid == f"{_AMD}.2" else len(value) - 1)
    return body[:place] + bytes((body[place] ^ 1,)) + body[place + 1 :]


def _with_last(body: bytes, oid: str, last: bytes) -> bytes:
    place = body.index(der.oid(oid)) + len(der.oid(oid))
    end = body.index(b"\x02\x01", place) + 2
    return body[:end] + last + body[end + 1 :]


def _issuers(world: SnpHierarchy) -> Iterator[Fault]:
    for name in _NAMES:
        body = getattr(world, name)
        first, last = _times(body)
        if last:
            yield f"{name} expired", _changed_part(world, name, body[:last] + _PAST + body[last + 13 :])
            yield f"{name} not valid yet", _changed_part(world, name, body[:first] + _FUTURE + body[first + 13 :])
    for name in ("intermediate", "root"):
        body = getattr(world, name)
        no_ca = body.replace(b"\x01\x01\xff\x04\x08\x30\x06\x01\x01\xff", b"\x01\x01\xff\x04\x08\x30\x06\x01\x01\x00")
        no_ca = no_ca.replace(b"\x04\x05\x30\x03\x01\x01\xff", b"\x04\x05\x30\x03\x01\x01\x00")
        if no_ca != body:
            yield f"{name} that is no CA", _changed_part(world, name, no_ca)
        unknown = body.replace(b"\x55\x1d\x0f\x01\x01\xff", b"\x55\x1d\x7f\x01\x01\xff")
        if unknown != body:
            yield f"{name} with a critical extension that nobody knows", _changed_part(world, name, unknown)
    yield "intermediate signed by itself", replace(world, intermediate_signer="intermediate")
    for word, other in ((b"SEV-Milan", b"SEV-Genoa"), (b"SEV-Genoa", b"SEV-Milan"), (b"SEV-Turin", b"SEV-Milan")):
        if word in world.intermediate:
            yield (
                f"issuer called {other.decode()}",
                replace(
                    world, leaf=world.leaf.replace(word, other), intermediate=world.intermediate.replace(word, other)
                ),
            )


def _lists(world: SnpHierarchy) -> Iterator[Fault]:
    serial = read_certificate(_signed_by("root", world.intermediate)).serial
    yield "intermediate revoked", world.with_list("root", serial)
    yield "a list signed by the intermediate", world.with_list("intermediate")
    yield "a list that has run out", world.with_list("root", days=(-30, -1))
    yield "a list of tomorrow", world.with_list("root", days=(1, 30))


def _times(body: bytes) -> tuple[int, int]:
    """Where the two times stand; zeros if one is not of the short form."""
    first = body.find(_UTC_TIME) + 2
    last = body.find(_UTC_TIME, first) + 2
    return (first, last) if 1 < first < last == first + 15 else (0, 0)
