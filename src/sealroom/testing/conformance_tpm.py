"""Runs TPM vectors: a quote, its signature, PCRs and key in files. The key is trusted for its case alone."""

import hmac
import json

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sealroom.errors import SealroomError, UnverifiedError
from sealroom.evidence import TrustRoots
from sealroom.tees._tpm.attest import QuoteAttest, TpmSignature, read_attest, read_signature
from sealroom.tees._tpm.evidence_json import pcr_values
from sealroom.tees._tpm.quote import PublicKey, require_pcrs, require_signature
from sealroom.testing.outcome import Outcome, UnsupportedCaseError
from sealroom.testing.vector_store import VectorCase

__all__ = ["quote_fields", "require_nonce", "run"]


def run(case: VectorCase, roots: TrustRoots) -> Outcome:
    """``tpm``."""
    del roots
    message = case.evidence
    attest = read_attest(message)
    signature = read_signature(case.file(str(case.collateral["signature"]).split(" ")[0]))
    fields = quote_fields(attest, signature)
    key = load_pem_public_key(case.file(case.collateral["ak_public"]))
    if not isinstance(key, PublicKey):
        raise UnsupportedCaseError("a key of another kind")
    try:
        require_signature(message, signature, key)
        require_pcrs(attest, pcr_values(json.loads(case.file(case.collateral["pcrs"])), attest, area="tpm"),
                     signature.digest)  # fmt: skip
        require_nonce(case, attest.extra_data)
    except SealroomError as refusal:
        return Outcome(refusal=refusal, fields=fields)
    return Outcome(simulated=True, fields=fields)


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
