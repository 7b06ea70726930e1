"""Does this quote hold? Signature, and the values of the PCRs that it is a digest of."""

import hmac
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sealroom.errors import UnverifiedError
from sealroom.tees._tpm.attest import HASHES, QuoteAttest, Scheme, TpmHash, TpmSignature
from sealroom.x509_chain import PublicKey

__all__ = ["Pcrs", "PublicKey", "require_pcrs", "require_signature"]

Pcrs = Mapping[TpmHash, Mapping[int, bytes]]
"""Values by bank, then by index."""

_DIGESTS: Mapping[TpmHash, hashes.HashAlgorithm] = {
    TpmHash.SHA256: hashes.SHA256(),
    TpmHash.SHA384: hashes.SHA384(),
    TpmHash.SHA512: hashes.SHA512(),
}


def require_signature(message: bytes, signature: TpmSignature, key: PublicKey) -> None:
    """Raise unless ``key`` signed ``message``.

    Raises:
        UnverifiedError: ``tpm.signature``; ``tpm.key``: the key is of another kind than the scheme.
    """
    digest = _DIGESTS[signature.digest]
    try:
        if signature.scheme is Scheme.ECDSA:
            if not isinstance(key, ec.EllipticCurvePublicKey):
                raise _other_key(signature)
            key.verify(encode_dss_signature(signature.r, signature.s), message, ec.ECDSA(digest))
        else:
            if not isinstance(key, rsa.RSAPublicKey):
                raise _other_key(signature)
            key.verify(signature.rsa, message, _rsa_padding(signature.scheme, digest), digest)
    except InvalidSignature:
        raise UnverifiedError("tpm.signature", "the quote was not signed by this key, or was changed since",
                              hint="ask the TPM anew, and take its key from the same machine") from None  # fmt: skip


def require_pcrs(attest: QuoteAttest, pcrs: Pcrs, digest: TpmHash) -> None:
    """Raise unless the quote's digest is that of exactly ``pcrs``.

    The digest is made with the hash of the signature scheme, over the values of each bank in ascending order, banks
    in the order of the selection (part 3, 18.4). What the quote does not select proves nothing, and is refused.

    Raises:
        UnverifiedError: ``tpm.pcr-missing``, ``tpm.pcr-not-quoted``, ``tpm.pcr-size``, ``tpm.pcr-digest``.
    """
    selected = {(bank, index) for bank, indices in attest.selection for index in indices}
    given = {(bank, index) for bank, values in pcrs.items() for index in values}
    if missing := selected - given:
        bank, index = min(missing)
        raise UnverifiedError("tpm.pcr-missing", "a PCR that the quote selects did not come with it",
                              got=f"{len(given)} values", expected=f"PCR{index} of {bank.word}")  # fmt: skip
    if foreign := given - selected:
        bank, index = min(foreign)
        raise UnverifiedError("tpm.pcr-not-quoted", "a PCR came that the quote does not select, so nothing proves it",
                              got=f"PCR{index} of {bank.word}")  # fmt: skip
    for bank, index in sorted(selected):
        _require_size(bank, index, pcrs[bank][index])
    values = b"".join(pcrs[bank][index] for bank, indices in attest.selection for index in indices)
    computed = HASHES[digest](values).digest()
    if not hmac.compare_digest(computed, attest.pcr_digest):
        raise UnverifiedError("tpm.pcr-digest", "the PCRs are not those that the TPM quoted",
                              got=computed.hex(), expected=attest.pcr_digest.hex())  # fmt: skip


def _require_size(bank: TpmHash, index: int, value: bytes) -> None:
    """The digest is over what stands side by side: other lengths would make other values of the same digest."""
    if len(value) != (size := HASHES[bank](b"").digest_size):
        raise UnverifiedError("tpm.pcr-size", "a PCR is not as long as its bank's digest",
                              where=f"PCR{index} of {bank.word}", got=f"{len(value)} bytes",
                              expected=f"{size} bytes")  # fmt: skip


def _rsa_padding(scheme: Scheme, digest: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    if scheme is Scheme.RSASSA:
        return padding.PKCS1v15()
    # a TPM salts with as many bytes as fit or as the digest has, by its firmware: both are sound
    return padding.PSS(mgf=padding.MGF1(digest), salt_length=padding.PSS.AUTO)


def _other_key(signature: TpmSignature) -> UnverifiedError:
    return UnverifiedError("tpm.key", "the key is of another kind than the signature", got=signature.scheme.name)
