"""What an NVIDIA vector brings, in whatever encoding: reports, chains, reference values, revocation answers.

A name that speaks of one file may hold a list of them, or a table: several RIMs of which each device takes its own,
several answers of a responder.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from sealroom.cbor import encode_cbor
from sealroom.errors import MalformedError, SealroomError
from sealroom.evidence import Collateral, TrustRoots
from sealroom.tees.nvidia.envelope import DeviceRecord, read_envelope
from sealroom.tees.nvidia.reference_values import ReportFacts, require_for_device
from sealroom.tees.nvidia.revocation import stapled_answers
from sealroom.tees.nvidia.rim import RIM_ROOTS, read_rim, verify_rim
from sealroom.testing.vector_store import VectorCase
from sealroom.x509_reader import read_certificates

__all__ = ["CaseFiles", "rim_document", "with_own_roots"]

_ROOTS = ("device_root", "rim_root")
_KINDS = ("driver_rim", "vbios_rim")
_FILES = {*_KINDS, "cert_chain", "ocsp"}


def with_own_roots(case: VectorCase, roots: TrustRoots) -> TrustRoots:
    """``roots``, and of a case that brings a root of its own the other one too: devices and reference values have
    two. Of a case without one they are the vendor's, and what lies beside them is for people."""
    if "trust_root" not in case.document:
        return roots
    brought = {one.fingerprint for name in _ROOTS if isinstance(path := case.collateral.get(name), str)
               for one in read_certificates(case.file(path))}  # fmt: skip
    return replace(roots, insecure_simulated=roots.insecure_simulated | brought)


def rim_document(raw: bytes) -> bytes:
    """The XML, also where it stands in the JSON in which NVIDIA's service sends it."""
    if raw.lstrip()[:1] != b"{":
        return raw
    try:
        return base64.b64decode(json.loads(raw)["rim"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        raise MalformedError("nvidia.rim", "JSON that holds no reference values", expected="a member rim in base64",
                             ) from None  # fmt: skip


class CaseFiles:
    """The files of one case."""

    def __init__(self, case: VectorCase, roots: TrustRoots) -> None:
        self._case = case
        self._anchors = frozenset(RIM_ROOTS) | roots.insecure_simulated

    def items(self, facts: ReportFacts | None, *, full: bool) -> dict[str, bytes]:
        """The collateral of the device with these ``facts``; its reference values only of a full appraisal."""
        found = {}
        if "cert_chain" in self._case.collateral:
            found["cert_chain"] = self._case.file(self._case.collateral["cert_chain"])
        if self._answers:
            found["ocsp"] = encode_cbor(list(self._answers))
        return found | (self.rims(facts) if full else {})

    def rims(self, facts: ReportFacts | None) -> dict[str, bytes]:
        """Reference values by kind: the one that the case names; of several the one for this device and time."""
        found = {}
        for kind in _KINDS:
            named = self._named_rims(kind)
            chosen = named if len(named) == 1 else [*self._fitting(kind, named or self._other_rims, facts), *named]
            if chosen:
                found[kind] = chosen[0]
        return found

    def records(self) -> tuple[DeviceRecord, ...]:
        """Every device's evidence: that of the evidence itself, and of every other envelope that the case names."""
        raws = [self._case.evidence]
        raws += [raw for name, raw in self._files() if "evidence" in name]
        return tuple(record for raw in raws for record in read_envelope(raw))

    @cached_property
    def _answers(self) -> tuple[bytes, ...]:
        """One DER file for each answer, or our own list of them."""
        found: list[bytes] = []
        for name, raw in self._files():
            if "ocsp" in name:
                is_list = raw[:1] and raw[0] >> 5 == 4  # an array in CBOR; DER begins with 0x30
                found += stapled_answers(Collateral(items={"ocsp": raw})) if is_list else [raw]
        return tuple(found)

    def _named_rims(self, kind: str) -> list[bytes]:
        return [rim_document(raw) for name, raw in self._files() if name == kind]

    @cached_property
    def _other_rims(self) -> list[bytes]:
        """Under any other name that speaks of reference values."""
        return [rim_document(raw) for name, raw in self._files()
                if "rim" in name and "root" not in name and name not in _KINDS]  # fmt: skip

    def _files(self) -> Iterator[tuple[str, bytes]]:
        for name, value in self._case.collateral.items():
            if name not in _ROOTS:
                yield from ((name, self._case.file(path)) for path in self._paths(name, value))

    def _paths(self, name: str, value: object) -> Iterator[str]:
        """The files that a value names; a remark names none, and a file that is not there is no remark."""
        if isinstance(value, str) and (name in _FILES or self._case.has_file(value)):
            yield value
        elif isinstance(value, list | Mapping):
            for inner in value.values() if isinstance(value, Mapping) else value:
                yield from self._paths(name, inner)

    def _fitting(self, kind: str, rims: list[bytes], facts: ReportFacts | None) -> list[bytes]:
        """Those for such a device; in front the one that holds at the time, since signers come and go."""
        found = [raw for raw in rims if facts is not None and _fits(raw, kind.removesuffix("_rim"), facts)]
        return sorted(found, key=lambda raw: not self._stands(raw))

    def _stands(self, raw: bytes) -> bool:
        try:
            verify_rim(raw, anchors=self._anchors, at=self._case.verify_at)
        except SealroomError:
            return False
        return True


def _fits(raw: bytes, kind: str, facts: ReportFacts) -> bool:
    """Whether these are the values of this kind for such a device, whoever signed them."""
    try:
        require_for_device(read_rim(raw), kind, facts)
    except SealroomError:
        return False
    return True
