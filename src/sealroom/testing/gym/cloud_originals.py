"""Takes samples out of vectors of clouds and TPMs, whose evidence lies in parts: put together as an agent does."""

import hashlib
import json
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from sealroom.evidence import Tee, TrustRoots
from sealroom.jose import read_jwks
from sealroom.pem import as_pem
from sealroom.tees._tpm.attest import read_attest
from sealroom.tees.azure_vtpm.writing import EvidenceForm
from sealroom.testing.gym.mutation import Sample
from sealroom.testing.gym.tpm import write_tpm_evidence
from sealroom.testing.vector_pcrs import pcrs_of
from sealroom.testing.vector_store import VectorCase
from sealroom.x509_reader import read_certificate

__all__ = ["CLOUDS", "cloud_sample"]


def cloud_sample(case: VectorCase) -> Sample | None:
    """The sample; None: the vector is a part of evidence, or of a TD without what Intel says of it."""
    return CLOUDS[case.kind](case)


def _azure(case: VectorCase) -> Sample | None:
    named = case.collateral
    if "jwks" in named:
        return _token(case, Tee.AZURE_VTPM)
    if not {"quote_message", "quote_signature", "vcek", "ask", "ark"} <= set(named):
        return None
    message = case.file(named["quote_message"])
    form = EvidenceForm(
        hcl_report=case.evidence, message=message, signature=case.file(named["quote_signature"]),
        pcrs=_pcrs(case, message, next(name for name in named if name.startswith("pcrs"))),
        vcek=read_certificate(case.file(named["vcek"])).der,
    )  # fmt: skip
    chain = as_pem(*(read_certificate(case.file(named[name])).der for name in ("ask", "ark")))
    return Sample(name=case.name, tee=Tee.AZURE_VTPM, raw=form.encode(), collateral={"chain": chain},
                  at=case.verify_at)  # fmt: skip


def _gcp(case: VectorCase) -> Sample | None:
    named = case.collateral
    if "jwks" in named:
        return _token(case, Tee.GCP)
    if case.evidence[:1] == b"-":
        return None
    issuers = as_pem(*(read_certificate(case.file(named[name])).der for name in ("intermediate", "root")))
    return Sample(name=case.name, tee=Tee.GCP, raw=case.evidence, collateral={"ak_issuers": issuers},
                  at=case.verify_at)  # fmt: skip


def _tpm(case: VectorCase) -> Sample | None:
    """Enrolled by its key, which the vector brings."""
    named = case.collateral
    message = case.evidence
    key = load_pem_public_key(case.file(named["ak_public"]))
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signature = case.file(str(named["signature"]).partition(" ")[0])
    raw = write_tpm_evidence(message, signature, _pcrs(case, message, "pcrs"), spki)
    roots = TrustRoots(insecure_simulated=frozenset({hashlib.sha256(spki).digest()}))
    return Sample(name=case.name, tee=Tee.TPM, raw=raw, collateral={}, roots=roots, at=case.verify_at)


def _token(case: VectorCase, tee: Tee) -> Sample:
    """Every key of the set that the vector brings is one that its relying party named."""
    jwks = case.file(case.collateral["jwks"])
    signers = frozenset(key.spki_sha256 for key in read_jwks(jwks, area=tee.value))
    return Sample(name=case.name, tee=tee, raw=case.evidence.strip(), collateral={"jwks": jwks},
                  roots=TrustRoots(token_signers=signers), at=case.verify_at)  # fmt: skip


def _pcrs(case: VectorCase, message: bytes, name: str) -> tuple[bytes, ...]:
    """In the order of their numbers."""
    found = pcrs_of(json.loads(case.file(case.collateral[name])), read_attest(message))
    return tuple(value for values in found.values() for _, value in sorted(values.items()))


CLOUDS: Mapping[str, Callable[[VectorCase], Sample | None]] = {"azure": _azure, "gcp": _gcp, "tpm": _tpm}
"""By the kind of the vectors."""
