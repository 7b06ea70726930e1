"""Intel's collateral from files in any order: by their names where those are the items', else by what they hold.

Sorting decides nothing: what is put into the wrong place here is refused by verification.
"""

from collections.abc import Iterator
from pathlib import Path

from sealroom.errors import MalformedError, MisuseError, UnverifiedError
from sealroom.x509_reader import read_certificates, read_crl

__all__ = ["ITEMS", "intel_items"]

ITEMS = (
    "tcb_info_response", "tcb_info_issuer_chain", "qe_identity_response", "qe_identity_issuer_chain", "pck_crl",
    "root_ca_crl", "pck_crl_issuer_chain",
)  # fmt: skip
_SIGNER, _ROOT = "Intel SGX TCB Signing", "Intel SGX Root CA"


def intel_items(files: Iterator[tuple[Path, bytes, bool]]) -> dict[str, bytes]:
    """Items by name.

    Args:
        files: path, content, and whether the file was named itself rather than found in a folder.

    Raises:
        MisuseError: ``cli.ambiguous-collateral``: two files for one item.
        MalformedError: ``cli.collateral``: a file that was named is none of Intel's collateral.
    """
    found: dict[str, tuple[Path, bytes]] = {}
    for path, raw, named in files:
        stem = path.name.partition(".")[0]
        names = (stem,) if stem in ITEMS else _names_by_content(raw)
        if not names and named:
            raise MalformedError("cli.collateral", "a file is no part of Intel's collateral", where=str(path),
                                 expected=", ".join(ITEMS))  # fmt: skip
        for name in names:
            if name in found and found[name][1] != raw:
                raise MisuseError("cli.ambiguous-collateral", f"two files are {name}",
                                  got=f"{found[name][0]}, {path}",
                                  hint="name the files one by one with --collateral")  # fmt: skip
            found[name] = path, raw
    return {name: raw for name, (_, raw) in found.items()}


def _names_by_content(raw: bytes) -> tuple[str, ...]:
    text = raw.lstrip()[:40]
    if text.startswith(b'{"tcbInfo"'):
        return ("tcb_info_response",)
    if text.startswith(b'{"enclaveIdentity"'):
        return ("qe_identity_response",)
    if (issuer := _crl_issuer(raw)) is not None:
        return ("root_ca_crl" if issuer == _ROOT else "pck_crl",)
    try:
        leaf = read_certificates(raw)[0].subject.common_name
    except (MalformedError, UnverifiedError):
        return ()
    if leaf == _SIGNER:
        return ("tcb_info_issuer_chain", "qe_identity_issuer_chain")
    return ("pck_crl_issuer_chain",) if leaf.endswith("CA") and leaf != _ROOT else ()


def _crl_issuer(raw: bytes) -> str | None:
    try:
        return read_crl(raw).issuer.common_name
    except (MalformedError, UnverifiedError):
        return None
