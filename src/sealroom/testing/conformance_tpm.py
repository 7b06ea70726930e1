"""Runs TPM vectors: a quote, its signature, PCRs and key in files. The key is trusted for its case alone."""

import hmac
import json

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sealroom.errors import SealroomError, UnverifiedError
from sealroom.evidence import TrustRoots
from sealroom.tees._tpm.attest import QuoteAttest, Scheme, TpmHash, TpmSignature, read_attest, read_signature
from sealroom.tees._tpm.event_log import strongest_bank, verify_log
from sealroom.tees._tpm.public import TpmPublic, read_public, require_attestation_key
from sealroom.tees._tpm.quote import PublicKey, require_pcrs, require_signature
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_pcrs import pcrs_of
from sealroom.testing.vector_store import VectorCase
from sealroom.x509_chain import public_key, public_key_of
from sealroom.x509_reader import read_certificate

__all__ = ["quote_fields", "require_nonce", "run"]


def run(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``tpm``."""
    del roots
    message, (key, public) = case.evidence, _key(case)
    attest = read_attest(message)
    signature = _signature(case, key)
    fields, flags = quote_fields(attest, signature), frozenset[str]()
    try:
        if public is not None:
            require_attestation_key(public)
        require_signature(message, signature, key)
        pcrs = pcrs_of(json.loads(case.file(case.collateral["pcrs"])), attest, asked=case.collateral.get("pcr_bank"))
        require_pcrs(attest, pcrs, signature.digest)
        verify_log(case.file(case.collateral["event_log"]) if "event_log" in case.collateral else None, pcrs)
        require_nonce(case, attest.extra_data)
        flags = frozenset({"sha1_bank"} if strongest_bank(pcrs) is TpmHash.SHA1 else ())
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    return Outcome(simulated=True, flags=flags, fields=fields)


def require_nonce(case: VectorCase, got: bytes) -> None:
    """Raise unless ``got`` is exactly the nonce that the case's relying party chose, if it chose one."""
    wanted = case.collateral.get("expected_nonce")
    if isinstance(wanted, str) and not hmac.compare_digest(got, bytes.fromhex(wanted)):
        raise UnverifiedError("tpm.nonce", "the quote answers another nonce", got=got.hex(), expected=wanted)


def quote_fields(attest: QuoteAttest, signature: TpmSignature) -> dict[str, object]:
    """A quote's fields under the names of the vectors."""
    return {
        "scheme": signature.scheme.name.lower(),
        "hash": int(signature.digest),
        "nonce": attest.extra_data.hex(),
        "selection": [[int(bank), list(indices)] for bank, indices in attest.selection],
        "pcr_digest": attest.pcr_digest.hex(),
        "clock": attest.clock,
        "reset": attest.reset_count,
        "restart": attest.restart_count,
        "safe": attest.safe,
        "firmware": attest.firmware_version,
        "qualified_signer": attest.qualified_signer.hex(),
    }


def _key(case: VectorCase) -> tuple[PublicKey, TpmPublic | None]:
    """The key, and what the TPM says of it where it stands in the TPM's own form."""
    raw = case.file(case.collateral["ak_public"])
    if b"BEGIN CERTIFICATE" in raw:
        return public_key(read_certificate(raw)), None
    if raw.lstrip().startswith(b"-----"):
        key = load_pem_public_key(raw)
        if not isinstance(key, PublicKey):
            raise UnsupportedCaseError("a key of another kind")
        return key, None
    if raw.startswith(b"\x30"):
        return public_key_of(raw), None
    public = read_public(raw[2:] if int.from_bytes(raw[:2], "big") == len(raw) - 2 else raw)
    return public.key, public


def _signature(case: VectorCase, key: PublicKey) -> TpmSignature:
    """With its scheme, as TPMs write it; or the bare numbers, of which the vector says how they were made."""
    path, _, remark = str(case.collateral["signature"]).partition(" ")
    raw = case.file(path)
    if raw[:1] == b"\x00" and int.from_bytes(raw[:2], "big") in set(Scheme):
        return read_signature(raw)
    if isinstance(key, rsa.RSAPublicKey) and len(raw) == key.key_size // 8:
        scheme = Scheme.RSAPSS if "pss" in remark.lower() else Scheme.RSASSA
        return TpmSignature(scheme=scheme, digest=TpmHash.SHA256, rsa=raw)
    if raw[:1] == b"\x30" and not isinstance(key, rsa.RSAPublicKey):
        r, s = decode_dss_signature(raw)
        return TpmSignature(scheme=Scheme.ECDSA, digest=TpmHash.SHA256, r=r, s=s)
    return read_signature(raw)
