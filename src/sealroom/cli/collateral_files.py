"""Certificates and revocation lists from files in any order, sorted into the names that verification asks for.

Sorting decides nothing: what is put into the wrong place here is refused by verification.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sealroom.cli.collateral_intel import File, intel_items
from sealroom.cli.collateral_others import about_the_vtpm, inside_azure, inside_gcp, is_self_issued, other_items
from sealroom.cli.input_files import read_input
from sealroom.collateral.archive import MAX_ARCHIVE, is_archive, read_archive
from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Collateral, Tee
from sealroom.pem import as_pem
from sealroom.x509_reader import Certificate, read_certificates, read_crl

__all__ = ["collateral_from"]

_BASIC_CONSTRAINTS = "2.5.29.19"
_CA_TRUE = b"\x01\x01\xff"
_LIMIT = 1024 * 1024


def collateral_from(paths: Sequence[Path], tee: Tee, evidence: bytes) -> Collateral:
    """The items that ``tee`` asks for, from files and folders; what is none of them in a folder is passed over.

    Args:
        paths: files and folders.
        tee: of the evidence.
        evidence: which the collateral is for; untrusted.

    Raises:
        MisuseError: a path can not be read, or several files could be one item.
        MalformedError: a file that was named is no collateral.
    """
    if len(paths) == 1 and paths[0].is_file() and is_archive(raw := read_input(paths[0], limit=MAX_ARCHIVE)):
        return read_archive(raw).collateral
    return Collateral(items=_SORTERS.get(tee, other_items)(_files(paths), tee, evidence))


def _intel(files: Iterator[File], tee: Tee, evidence: bytes) -> dict[str, bytes]:
    return intel_items(files, tee=tee, quote=evidence)


def _amd(files: Iterator[File], _tee: Tee, _evidence: bytes) -> dict[str, bytes]:
    certificates: dict[bytes, Certificate] = {}
    lists: list[bytes] = []
    for file in files:
        try:
            certificates |= {found.fingerprint: found for found in read_certificates(file.raw)}
        except MalformedError as not_certificates:
            if _is_crl(file.raw):
                lists.append(file.raw)
            elif file.named:
                raise not_certificates from None
    return _sorted(list(certificates.values()), lists)


def _azure(files: Iterator[File], tee: Tee, evidence: bytes) -> dict[str, bytes]:
    """What the hardware inside asks for, and an event log; of a token the key set."""
    found = list(files)
    inside = inside_azure(evidence)
    if inside is None:
        return other_items(iter(found), tee, evidence)
    inner_tee, report = inside
    logs = [file for file in found if file.path.name.partition(".")[0] == "event_log"]
    rest = iter([file for file in found if file not in logs])
    items = _SORTERS[inner_tee](rest, inner_tee, report)
    return items | other_items(iter(logs), tee, evidence)


def _gcp(files: Iterator[File], tee: Tee, evidence: bytes) -> dict[str, bytes]:
    """What is about the vTPM, and what the hardware inside asks for; of a token the key set."""
    found = list(files)
    inside = inside_gcp(evidence)
    if inside is None:
        return other_items(iter(found), tee, evidence)
    ours = about_the_vtpm(found, inside.certificate)
    rest = iter([file for file in found if file not in ours])
    items = _SORTERS[inside.tee](rest, inside.tee, inside.report)
    return items | other_items(iter(ours), tee, evidence)


_SORTERS = {Tee.SNP: _amd, Tee.TDX: _intel, Tee.SGX: _intel, Tee.AZURE_VTPM: _azure, Tee.GCP: _gcp}


def _files(paths: Sequence[Path]) -> Iterator[File]:
    for path in paths:
        if path.is_dir():
            for child in sorted(path.iterdir()):
                if child.is_file() and child.stat().st_size <= _LIMIT:
                    yield File(child, read_input(child, limit=_LIMIT), named=False)
        else:
            yield File(path, read_input(path, limit=_LIMIT), named=True)


def _is_crl(raw: bytes) -> bool:
    try:
        read_crl(raw)
    except MalformedError:
        return False
    return True


def _sorted(certificates: list[Certificate], lists: list[bytes]) -> dict[str, bytes]:
    leaves = [found for found in certificates if not _is_ca(found)]
    issuers = sorted((found for found in certificates if _is_ca(found)), key=is_self_issued)  # the root last
    if len(leaves) > 1 or len(lists) > 1:
        raise MisuseError("cli.ambiguous-collateral", "the collateral holds more than one leaf or revocation list",
                          got=f"{len(leaves)} leaves, {len(lists)} lists",
                          hint="name the files one by one with --collateral")  # fmt: skip
    items: dict[str, bytes] = {}
    if leaves:
        items["leaf"] = leaves[0].der
    if issuers:
        items["chain"] = as_pem(*(issuer.der for issuer in issuers))
    if lists:
        items["crl"] = lists[0]
    return items


def _is_ca(certificate: Certificate) -> bool:
    constraints = certificate.extensions.get(_BASIC_CONSTRAINTS)
    return constraints is not None and _CA_TRUE in constraints.value
