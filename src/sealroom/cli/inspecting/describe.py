"""Which reader fits: told from the first bytes, and from what a reader says."""

import tomllib
from collections.abc import Callable
from pathlib import Path

from sealroom.cli.inspecting.certificates import describe_certificates, describe_crl
from sealroom.cli.inspecting.documents import (
    describe_json,
    describe_policy,
    describe_sealed_model,
    describe_token,
    looks_like_token,
)
from sealroom.cli.inspecting.evidence import (
    describe_bundle,
    describe_key_configs,
    describe_snp_report,
    describe_statement,
)
from sealroom.cli.inspecting.tree import Description
from sealroom.errors import MalformedError
from sealroom.tees.snp.layout import REPORT

__all__ = ["describe", "describe_directory"]

_DER_SEQUENCES = (b"\x30\x81", b"\x30\x82", b"\x30\x83")  # a short form would be shorter than any certificate
_KNOWN = (
    "evidence bundles, SNP reports, certificates and CRLs (PEM or DER), policies, room statements, key "
    "configurations, JSON, JWS and JWE, folders of sealed models"
)


def describe(raw: bytes, *, source: str) -> Description:
    """Say what ``raw`` is and what it says.

    Raises:
        MalformedError: it is like something that we know, and broken; or like nothing that we know
            (``inspect.unknown-format``).
    """
    for looks_like, reader in _READERS:
        if looks_like(raw):
            return reader(raw)
    if _is_toml(raw):
        return describe_policy(raw, source=source)
    return _describe_rest(raw, source)


def describe_directory(folder: Path) -> Description:
    """Say what the sealed model in ``folder`` says of itself."""
    return describe_sealed_model(folder)


def _describe_x509(raw: bytes) -> Description:
    if b"-----BEGIN X509 CRL" in raw:
        return describe_crl(raw)
    try:
        return describe_certificates(raw)
    except MalformedError as not_certificate:
        try:
            return describe_crl(raw)
        except MalformedError:
            raise not_certificate from None


def _describe_json(raw: bytes) -> Description:
    if b'"key_configs"' in raw and b'"nonce"' in raw:
        return describe_statement(raw)
    return describe_json(raw)


def _describe_rest(raw: bytes, source: str) -> Description:
    try:
        return describe_key_configs(raw)
    except MalformedError:
        raise MalformedError("inspect.unknown-format", "this is nothing that is known here", where=source,
                             got=f"{len(raw)} bytes, {raw[:16].hex()}…", expected=_KNOWN) from None  # fmt: skip


def _is_toml(raw: bytes) -> bool:
    try:
        return bool(tomllib.loads(raw.decode("utf-8")))
    except (ValueError, RecursionError):
        return False


def _is_snp_report(raw: bytes) -> bool:
    return len(raw) == REPORT.size or (raw[:1] in (b"\x02", b"\x03", b"\x04", b"\x05") and raw[1:4] == bytes(3))


_READERS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Description]], ...] = (
    (lambda raw: raw[:1] != b"" and 0xA0 <= raw[0] <= 0xBF, describe_bundle),
    (_is_snp_report, describe_snp_report),
    (lambda raw: raw[:2] in _DER_SEQUENCES or b"-----BEGIN " in raw[:2000], _describe_x509),
    (lambda raw: raw.lstrip()[:1] in (b"{", b"[") and not _is_toml(raw), _describe_json),
    (looks_like_token, describe_token),
)
"""First match wins; a policy needs its source and comes after them, key configurations have no mark and come last."""
