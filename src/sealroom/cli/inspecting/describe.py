"""Which reader fits: told from the first bytes, and from what a reader says."""

import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sealroom.cli.inspecting.certificates import describe_certificates, describe_crl
from sealroom.cli.inspecting.devices import describe_ocsp, describe_rim, describe_service_answer
from sealroom.cli.inspecting.documents import (
    describe_json,
    describe_policy,
    describe_sealed_model,
    describe_token,
    looks_like_token,
)
from sealroom.cli.inspecting.evidence import (
    describe_bundle,
    describe_collateral,
    describe_evidence,
    describe_key_configs,
    describe_statement,
)
from sealroom.cli.inspecting.keys import describe_cose_key, describe_public_key
from sealroom.cli.inspecting.quotes import describe_quote, looks_like_quote
from sealroom.cli.inspecting.signed import describe_reference_file, describe_result, looks_like_result
from sealroom.cli.inspecting.snp import describe_snp_report
from sealroom.cli.inspecting.tree import Description
from sealroom.cli.inspecting.wrapped import describe_attest, describe_hcl
from sealroom.collateral.archive import is_archive
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import Tee
from sealroom.kbs.init_data import parse_init_data
from sealroom.room.config import parse_room_config
from sealroom.tees.recognise import recognise
from sealroom.tees.snp.layout import REPORT

__all__ = ["describe", "describe_directory"]

_DER_SEQUENCES = (b"\x30\x59", b"\x30\x76", b"\x30\x81", b"\x30\x82", b"\x30\x83")
"""Keys on P-256 and P-384, then the long forms: a short one would be shorter than any certificate."""
_KNOWN = (
    "evidence and collateral bundles, evidence of every TEE, TPM quotes, HCL reports, reference values of NVIDIA, "
    "OCSP responses, certificates and CRLs (PEM or DER), public keys, policies, reference files, init data, room "
    "configurations, room statements, key configurations, attestation results, JSON, JWS and JWE, folders of sealed "
    "models"
)
_IN_JSON = frozenset({Tee.AZURE_VTPM, Tee.TPM})


def describe(raw: bytes, *, source: str) -> Description:
    """Say what ``raw`` is and what it says.

    Raises:
        MalformedError: it is like something that we know, and broken; or like nothing that we know
            (``inspect.unknown-format``).
    """
    for looks_like, reader in _READERS:
        if looks_like(raw):
            return reader(raw)
    if (document := _toml(raw)) is not None:
        return _describe_toml(raw, document, source)
    return _describe_rest(raw, source)


def describe_directory(folder: Path) -> Description:
    """Say what the sealed model in ``folder`` says of itself."""
    return describe_sealed_model(folder)


def _describe_map(raw: bytes) -> Description:
    """A map in CBOR: of its own kind, or the collection that a room's evidence is."""
    if is_archive(raw):
        return describe_collateral(raw)
    with suppress(MalformedError):
        return describe_cose_key(raw)
    return describe_bundle(raw)


def _describe_x509(raw: bytes) -> Description:
    if b"-----BEGIN PUBLIC KEY" in raw:
        return describe_public_key(raw)
    if b"-----BEGIN X509 CRL" in raw:
        return describe_crl(raw)
    try:
        return describe_certificates(raw)
    except MalformedError as not_certificate:
        for reader in (describe_crl, describe_ocsp, describe_public_key):
            with suppress(MalformedError, UnverifiedError):
                return reader(raw)
        raise not_certificate from None


def _describe_json(raw: bytes) -> Description:
    if b'"key_configs"' in raw and b'"nonce"' in raw:
        return describe_statement(raw)
    if (tee := recognise(raw)) is not None and tee in _IN_JSON:
        return describe_evidence(tee, raw)
    if b'"payload"' in raw and b'"signatures"' in raw:
        with suppress(MalformedError):
            return describe_reference_file(raw)
    if raw.lstrip()[:1] == b"[":
        with suppress(MalformedError, UnverifiedError):
            return describe_service_answer(raw)
    return describe_json(raw)


def _describe_cbor(raw: bytes) -> Description:
    tee = recognise(raw)
    if tee is None:
        raise MalformedError("inspect.unknown-format", "this is CBOR, and nothing that is known here",
                             got=f"{len(raw)} bytes", expected="a Nitro document, or a CCA or PSA token")  # fmt: skip
    return describe_evidence(tee, raw)


def _describe_rest(raw: bytes, source: str) -> Description:
    """What has no mark: an attestation of Google's, or a list of key configurations."""
    with suppress(MalformedError, UnverifiedError):
        return describe_evidence(Tee.GCP, raw)
    try:
        return describe_key_configs(raw)
    except MalformedError:
        raise MalformedError("inspect.unknown-format", "this is nothing that is known here", where=source,
                             got=f"{len(raw)} bytes", expected=_KNOWN) from None  # fmt: skip


def _describe_toml(raw: bytes, document: Mapping[str, Any], source: str) -> Description:
    """By the word that each of our documents begins with; what has none of them is taken for a broken policy."""
    if "room" in document and "policy" not in document:
        parse_room_config(raw.decode(), source=source, folder=Path())
        return Description("configuration of a room", dict(document))
    if document.keys() >= {"algorithm", "data"}:
        found = parse_init_data(raw)
        return Description("init data", {**document, "digest": f"{found.algorithm}:{found.digest.hex()}"})
    return describe_policy(raw, source=source)


def _toml(raw: bytes) -> Mapping[str, Any] | None:
    try:
        return tomllib.loads(raw.decode("utf-8")) or None
    except (ValueError, RecursionError):
        return None


def _describe_private_key(_raw: bytes) -> Description:
    return Description("private key", "(secret, not shown)")


def _is_snp_report(raw: bytes) -> bool:
    return len(raw) == REPORT.size or (raw[:1] in (b"\x02", b"\x03", b"\x04", b"\x05") and raw[1:4] == bytes(3))


def _begins(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda raw: raw.startswith(marks)


_READERS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Description]], ...] = (
    (lambda raw: raw[:1] != b"" and 0xA0 <= raw[0] <= 0xBF, _describe_map),
    (_begins(b"\x11\xe0"), lambda raw: describe_evidence(Tee.NVIDIA, raw)),
    (_begins(b"HCLA"), describe_hcl),
    (_begins(b"\xff\x54\x43\x47"), describe_attest),
    (looks_like_result, describe_result),
    (_begins(b"\x84", b"\x9f", b"\xd2", b"\xd8\x3d", b"\xd9"), _describe_cbor),
    (lambda raw: raw.lstrip()[:1] == b"<", describe_rim),
    (looks_like_quote, describe_quote),
    (_is_snp_report, describe_snp_report),
    (lambda raw: raw.lstrip()[:1] in (b"{", b"[") and _toml(raw) is None, _describe_json),
    (lambda raw: b"PRIVATE KEY-----" in raw[:2000], _describe_private_key),
    (lambda raw: raw[:2] in _DER_SEQUENCES or b"-----BEGIN " in raw[:2000], _describe_x509),
    (looks_like_token, describe_token),
)
"""First match wins; a policy needs its source and comes after them, key configurations have no mark and come last."""
