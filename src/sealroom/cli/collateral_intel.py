"""Intel's collateral from files in any order: by their names where those are the items', else by what they hold.

Where a folder holds collateral of several platforms, the quote says which is meant. Sorting decides nothing: what is
put into the wrong place here is refused by verification.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sealroom.errors import MalformedError, MisuseError, SealroomError
from sealroom.evidence import Tee
from sealroom.tees._dcap.collateral import ITEMS, crl_bytes
from sealroom.tees._dcap.pck import read_pck_identity
from sealroom.tees._dcap.quote import TDX, read_quote
from sealroom.x509_reader import read_certificates, read_crl

__all__ = ["File", "intel_items"]

_SIGNER, _ROOT = "Intel SGX TCB Signing", "Intel SGX Root CA"
_PADDING = b"\x00 \t\r\n"
_ID = re.compile(rb'"id"\s*:\s*"(TDX|SGX|TD_QE|QE|QVE)"')
_FMSPC = re.compile(rb'"fmspc"\s*:\s*"([0-9A-Fa-f]{12})"')


@dataclass(frozen=True, slots=True)
class File:
    """What was read, and from where."""

    path: Path
    raw: bytes
    named: bool
    """Whether it was named itself rather than found in a folder."""


@dataclass(frozen=True, slots=True)
class _Quote:
    """What says which platform's collateral is meant; None: the quote does not tell."""

    tee: Tee
    fmspc: bytes | None = None
    issuer: str | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """A file as one of the items."""

    file: File
    by_name: bool
    essence: bytes
    """Equal for files that hold the same in another writing."""
    fits: bool


def intel_items(files: Iterable[File], *, tee: Tee, quote: bytes) -> dict[str, bytes]:
    """Items by name.

    Args:
        files: in any order.
        tee: TDX or SGX.
        quote: that the collateral is for; untrusted.

    Raises:
        MisuseError: ``cli.ambiguous-collateral``: several files could be one item.
        MalformedError: ``cli.collateral``: a file that was named is none of Intel's collateral.
    """
    wanted = _wanted(quote, tee)
    parts: dict[str, list[_Part]] = {}
    for file in files:
        found = dict(_by_name(file) or _by_content(file, wanted))
        if not found and file.named:
            raise MalformedError("cli.collateral", "a file is no part of Intel's collateral", where=str(file.path),
                                 expected=", ".join(ITEMS))  # fmt: skip
        for name, part in found.items():
            parts.setdefault(name, []).append(part)
    return {name: _the_one(name, candidates).raw for name, candidates in parts.items()}


def _the_one(name: str, parts: list[_Part]) -> File:
    """By its name before by its content, of this platform before of another."""
    parts = [part for part in parts if part.by_name] or parts
    parts = [part for part in parts if part.fits] or parts
    if len({part.essence for part in parts}) > 1:
        raise MisuseError("cli.ambiguous-collateral", f"several files could be {name}",
                          got=", ".join(str(part.file.path) for part in parts[:4]),
                          hint="name the files one by one with --collateral")  # fmt: skip
    return parts[0].file


def _wanted(raw: bytes, tee: Tee) -> _Quote:
    try:
        quote = read_quote(raw)
        leaf, issuer, *_ = read_certificates(quote.pck_chain.rstrip(_PADDING))
        fmspc = read_pck_identity(leaf, issuer).fmspc
    except (SealroomError, ValueError):  # verification will say what is wrong with it
        return _Quote(tee)
    return _Quote(Tee.TDX if quote.tee_type == TDX else Tee.SGX, fmspc, issuer.subject.common_name)


def _by_name(file: File) -> Mapping[str, _Part]:
    stem = file.path.name.partition(".")[0]
    return {stem: _Part(file, by_name=True, essence=file.raw, fits=True)} if stem in ITEMS else {}


def _by_content(file: File, wanted: _Quote) -> Iterator[tuple[str, _Part]]:
    for reader in _READERS:
        yield from reader(file, wanted)


def _document(file: File, wanted: _Quote) -> Iterator[tuple[str, _Part]]:
    """TCB info or QE identity."""
    if file.raw.lstrip()[:1] != b"{":
        return
    found = _ID.search(file.raw)
    kind = found[1] if found else b"SGX"  # version 2 of TCB info is of SGX and says nothing
    fits = kind in ({b"TDX", b"TD_QE"} if wanted.tee is Tee.TDX else {b"SGX", b"QE"})
    if b'"tcbInfo"' in file.raw:
        fmspc = _FMSPC.search(file.raw)
        of_platform = wanted.fmspc is None or (fmspc is not None and bytes.fromhex(fmspc[1].decode()) == wanted.fmspc)
        yield "tcb_info_response", _Part(file, by_name=False, essence=file.raw, fits=fits and of_platform)
    elif b'"enclaveIdentity"' in file.raw:
        yield "qe_identity_response", _Part(file, by_name=False, essence=file.raw, fits=fits)


def _list(file: File, wanted: _Quote) -> Iterator[tuple[str, _Part]]:
    try:
        crl = read_crl(crl_bytes(file.raw))
    except SealroomError:
        return
    issuer = crl.issuer.common_name
    name = "root_ca_crl" if issuer == _ROOT else "pck_crl"
    fits = name == "root_ca_crl" or wanted.issuer in {None, issuer}
    yield name, _Part(file, by_name=False, essence=crl_bytes(file.raw), fits=fits)


def _chain(file: File, wanted: _Quote) -> Iterator[tuple[str, _Part]]:
    try:
        certificates = read_certificates(file.raw)
    except SealroomError:
        return
    first, essence = certificates[0].subject.common_name, b"".join(one.der for one in certificates)
    if first == _SIGNER:
        for name in ("tcb_info_issuer_chain", "qe_identity_issuer_chain"):
            yield name, _Part(file, by_name=False, essence=essence, fits=True)
    elif first.endswith("CA") and first != _ROOT:
        fits = wanted.issuer in {None, first}
        yield "pck_crl_issuer_chain", _Part(file, by_name=False, essence=essence, fits=fits)


_READERS: tuple[Callable[[File, _Quote], Iterator[tuple[str, _Part]]], ...] = (_document, _list, _chain)
