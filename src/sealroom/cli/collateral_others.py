"""Collateral of devices, clouds and Arm from files in any order: by their names where those are the items', else by
what they hold.

Sorting decides nothing: what is put into the wrong place here is refused by verification.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography.x509.ocsp import load_der_ocsp_response

from sealroom.cbor import encode_cbor
from sealroom.cli.collateral_intel import File
from sealroom.errors import MalformedError, MisuseError, SealroomError
from sealroom.evidence import Tee
from sealroom.pem import as_pem
from sealroom.tees.azure_vtpm.layout import parse as parse_azure
from sealroom.tees.gcp.layout import parse as parse_gcp
from sealroom.x509_reader import Certificate, read_certificates

__all__ = ["ITEMS", "GcpHardware", "about_the_vtpm", "inside_azure", "inside_gcp", "is_self_issued", "other_items"]

_LEAST_CHAIN = 3
"""Certificates in the shortest chain of a device; the anchors that lie beside one are single."""
_HEAD = 4096
_VERSION = re.compile(rb'colloquialVersion="([0-9A-Fa-f.]{1,40})"')


def _is_chain(raw: bytes) -> bool:
    return _certificates(raw) >= _LEAST_CHAIN


def _is_certificate(raw: bytes) -> bool:
    return _certificates(raw) > 0


def _is_rim(*, dots: tuple[int, ...]) -> Callable[[bytes], bool]:
    """A VBIOS has five numbers in its version, a driver two or three."""

    def fits(raw: bytes) -> bool:
        version = _VERSION.search(raw[:_HEAD])
        return b"SoftwareIdentity" in raw[:_HEAD] and version is not None and version[1].count(b".") in dots

    return fits


def _is_ocsp(raw: bytes) -> bool:
    if raw[:1] != b"\x30":
        return False
    try:
        load_der_ocsp_response(raw)
    except ValueError:
        return False
    return True


def _is_key_set(raw: bytes) -> bool:
    return raw.lstrip()[:1] == b"{" and b'"keys"' in raw


def _is_key(raw: bytes) -> bool:
    return (raw.lstrip()[:1] == b"{" and b'"kty"' in raw and b'"keys"' not in raw) or b"BEGIN PUBLIC KEY" in raw


def _never(_raw: bytes) -> bool:
    return False


def _issuers(found: list[bytes]) -> bytes:
    """One chain out of several files: each certificate once, the root last."""
    certificates = {one.der: one for raw in found for one in _read(raw)}
    if len(found) == 1 or not certificates:
        return b"\n".join(found)
    return as_pem(*(one.der for one in sorted(certificates.values(), key=is_self_issued)))


def is_self_issued(certificate: Certificate) -> bool:
    """As roots are; false comes before true, so that sorting by it puts the root last."""
    return certificate.issuer.der == certificate.subject.der


ITEMS: Mapping[Tee, Mapping[str, Callable[[bytes], bool]]] = {
    Tee.NVIDIA: {"cert_chain": _is_chain, "driver_rim": _is_rim(dots=(1, 2)), "vbios_rim": _is_rim(dots=(4,)),
                 "ocsp": _is_ocsp, "jwks": _is_key_set},
    Tee.CCA: {"platform_key": _is_key},
    Tee.TPM: {"event_log": _never, "ak_public": _is_key},
    Tee.AZURE_VTPM: {"jwks": _is_key_set, "event_log": _never},
    Tee.GCP: {"ak_issuers": _is_certificate, "jwks": _is_key_set, "event_log": _never},
    Tee.NITRO: {},
}  # fmt: skip
"""By TEE, the items and how a file is known for one; an event log is known by its name alone."""
_PILES: Mapping[str, Callable[[list[bytes]], bytes]] = {
    "ocsp": lambda found: found[0] if found[0][:1] != b"\x30" else encode_cbor(list(found)),
    "ak_issuers": _issuers,
}
"""Items that can be made of several files."""


def other_items(files: Iterator[File], tee: Tee, _evidence: bytes) -> dict[str, bytes]:
    """Items by name.

    Args:
        files: in any order.
        tee: of the evidence.

    Raises:
        MisuseError: ``cli.ambiguous-collateral``: several files could be one item.
        MalformedError: ``cli.collateral``: a file that was named is no collateral of this TEE.
    """
    named: dict[str, list[File]] = {}
    known: dict[str, list[File]] = {}
    for file in files:
        item, by_name = _item_of(file, tee)
        if item is not None:
            (named if by_name else known).setdefault(item, []).append(file)
        elif file.named:
            raise MalformedError("cli.collateral", f"a file is no collateral of {tee} evidence", where=str(file.path),
                                 expected=", ".join(ITEMS[tee]) or "none: everything is in the evidence",
                                 )  # fmt: skip
    return {item: _the_one(item, (named.get(item) or known[item])) for item in named | known}


def inside_azure(evidence: bytes) -> tuple[Tee, bytes] | None:
    """The hardware's own evidence inside Azure's, and of which TEE; None for a token, and for what is none."""
    try:
        guest = parse_azure(evidence).guest
    except SealroomError:  # verification will say what is wrong with it
        return None
    if guest is None:
        return None
    return guest.hcl.inner, guest.hcl.hardware_report if guest.hcl.inner is Tee.SNP else guest.td_quote or b""


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpHardware:
    """What the silicon says inside an attestation of Google's, and the certificate of the vTPM's key around it."""

    tee: Tee
    report: bytes
    certificate: bytes


def inside_gcp(evidence: bytes) -> GcpHardware | None:
    """The hardware's own evidence inside Google's; None for a token, without hardware, and for what is none."""
    try:
        vtpm = parse_gcp(evidence).vtpm
    except SealroomError:  # verification will say what is wrong with it
        return None
    if vtpm is None or vtpm.hardware is None:
        return None
    return GcpHardware(tee=vtpm.hardware.tee, report=vtpm.hardware.raw, certificate=vtpm.certificate)


def about_the_vtpm(files: Sequence[File], certificate: bytes) -> list[File]:
    """Of ``files``, those with an item's name, key sets, and certificates above that of the vTPM's key."""
    by_file = {file.path: _read(file.raw) for file in files}
    names = {one.issuer.der for one in _read(certificate)}
    for _ in by_file:  # each round finds the next issuer at least, or nothing more
        names |= {one.issuer.der for found in by_file.values() for one in found if one.subject.der in names}
    above = {path for path, found in by_file.items() if any(one.subject.der in names for one in found)}
    return [
        file
        for file in files
        if file.path in above or file.path.name.partition(".")[0] in ITEMS[Tee.GCP] or _is_key_set(file.raw)
    ]


def _item_of(file: File, tee: Tee) -> tuple[str | None, bool]:
    stem = file.path.name.partition(".")[0]
    if stem in ITEMS[tee]:
        return stem, True
    return next((item for item, fits in ITEMS[tee].items() if fits(file.raw)), None), False


def _the_one(item: str, files: list[File]) -> bytes:
    different = list(dict.fromkeys(file.raw for file in files))
    if item in _PILES:
        return _PILES[item](different)
    if len(different) > 1:
        raise MisuseError("cli.ambiguous-collateral", f"several files could be {item}",
                          got=", ".join(str(file.path) for file in files[:4]),
                          hint="name the files one by one with --collateral")  # fmt: skip
    return different[0]


def _certificates(raw: bytes) -> int:
    return len(_read(raw))


def _read(raw: bytes) -> list[Certificate]:
    try:
        return list(read_certificates(raw))
    except MalformedError:
        return []
