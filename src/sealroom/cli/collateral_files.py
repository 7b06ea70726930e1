"""Certificates and revocation lists from files in any order, sorted into the names that verification asks for.

Sorting decides nothing: what is put into the wrong place here is refused by verification.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sealroom.cli.collateral_intel import intel_items
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


def collateral_from(paths: Sequence[Path], tee: Tee = Tee.SNP) -> Collateral:
    """The items that ``tee`` asks for, from files and folders; what is none of them in a folder is passed over.

    Raises:
        MisuseError: a path can not be read, or there are two leaves or two lists.
        MalformedError: a file that was named is neither certificate nor revocation list.
    """
    if len(paths) == 1 and paths[0].is_file() and is_archive(raw := read_input(paths[0], limit=MAX_ARCHIVE)):
        return read_archive(raw).collateral
    if tee in {Tee.TDX, Tee.SGX}:
        return Collateral(
            items=intel_items((path, read_input(path, limit=_LIMIT), named) for path, named in _files(paths))
        )
    certificates: dict[bytes, Certificate] = {}
    lists: list[bytes] = []
    for path, named in _files(paths):
        raw = read_input(path, limit=_LIMIT)
        try:
            certificates |= {found.fingerprint: found for found in read_certificates(raw)}
        except MalformedError as not_certificates:
            if _is_crl(raw):
                lists.append(raw)
            elif named:
                raise not_certificates from None
    return Collateral(items=_sorted(list(certificates.values()), lists))


def _files(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    for path in paths:
        if path.is_dir():
            yield from ((child, False) for child in sorted(path.iterdir()) if child.is_file()
                        and child.stat().st_size <= _LIMIT)  # fmt: skip
        else:
            yield path, True


def _is_crl(raw: bytes) -> bool:
    try:
        read_crl(raw)
    except MalformedError:
        return False
    return True


def _sorted(certificates: list[Certificate], lists: list[bytes]) -> dict[str, bytes]:
    leaves = [found for found in certificates if not _is_ca(found)]
    issuers = sorted((found for found in certificates if _is_ca(found)), key=_is_self_issued)  # the root last
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


def _is_self_issued(certificate: Certificate) -> bool:
    return certificate.issuer.der == certificate.subject.der
