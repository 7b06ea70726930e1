"""A TPM 2.0 in software: quotes that are right to the byte, by an attestation key of one's own.

    tpm = SoftTpm.create()                             # or create("rsapss"), create("ecdsa")
    tpm.measure(4, b"a boot loader")                   # extends PCR 4 of every bank with the hash of that
    message, signature = tpm.quote(b"a nonce")         # TPMS_ATTEST and TPMT_SIGNATURE
    tpm.values(), tpm.public_area(), tpm.spki          # what goes along with them

A wrong quote is a right one with one member changed before it is signed, by the same key:

    form = tpm.form(b"a nonce")
    message = replace(form, magic=0, pcr_digest=bytes(32)).encode()
    signature = tpm.sign(message)

TCG TPM 2.0 Library, part 1 (names, PCRs) and part 2 (structures).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.tees._tpm.attest import HASHES, Scheme, TpmHash
from sealroom.testing.tpm_quote import QuoteForm, sized

__all__ = ["AK_ATTRIBUTES", "BANKS", "QuoteForm", "Selection", "SoftTpm", "sized"]

AK_ATTRIBUTES = 0x00050072
"""fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, restricted, sign: as AKs of clouds and of tpm2-tools."""
BANKS = (TpmHash.SHA1, TpmHash.SHA256, TpmHash.SHA384)
Selection = Mapping[TpmHash, Sequence[int]]
"""PCRs by bank; banks in the order of the mapping."""

_PCRS = 24
_DYNAMIC = range(17, 23)
_NULL, _RSA, _ECC = 0x0010, 0x0001, 0x0023
_CURVES = {256: 0x0003, 384: 0x0004, 521: 0x0005}
_ENDORSEMENT = 0x4000000B
_HASHES: Mapping[TpmHash, hashes.HashAlgorithm] = {
    TpmHash.SHA256: hashes.SHA256(), TpmHash.SHA384: hashes.SHA384(), TpmHash.SHA512: hashes.SHA512(),
}  # fmt: skip


@dataclass(kw_only=True)
class SoftTpm:
    """One TPM with one attestation key; `extend` changes it, all else only asks.

    Can be kept in a file (`sealroom.testing.object_store`) with its registers as they are.
    """

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)
    scheme: Scheme = Scheme.RSASSA
    digest: TpmHash = TpmHash.SHA256
    """Of the signature, and of the PCR digest."""
    attributes: int = AK_ATTRIBUTES
    pcrs: dict[TpmHash, dict[int, bytes]] = field(default_factory=lambda: _start(BANKS), repr=False)

    @classmethod
    def create(
        cls, kind: str = "rsassa", *, banks: Iterable[TpmHash] = BANKS, attributes: int = AK_ATTRIBUTES
    ) -> "SoftTpm":
        """A TPM that was just switched on, with a new key.

        Args:
            kind: ``rsassa`` or ``rsapss`` (RSA of 2048 bits), or ``ecdsa`` (P-256).
            banks: of PCRs, 24 in each.
            attributes: of the key (TPMA_OBJECT).
        """
        scheme = Scheme[kind.upper()]
        key = (ec.generate_private_key(ec.SECP256R1()) if scheme is Scheme.ECDSA
               else rsa.generate_private_key(public_exponent=65537, key_size=2048))  # fmt: skip
        return cls(key=key, scheme=scheme, attributes=attributes, pcrs=_start(banks))

    def extend(self, index: int, digests: Mapping[TpmHash, bytes]) -> None:
        """Extend PCR ``index`` of each bank with the digest for it."""
        for bank, digest in digests.items():
            self.pcrs[bank][index] = HASHES[bank](self.pcrs[bank][index] + digest).digest()

    def measure(self, index: int, content: bytes) -> None:
        """Extend PCR ``index`` of every bank with the bank's hash of ``content``."""
        self.extend(index, {bank: HASHES[bank](content).digest() for bank in self.pcrs})

    def values(self, selection: Selection | None = None) -> dict[TpmHash, dict[int, bytes]]:
        """The PCRs that a quote of ``selection`` is over."""
        return {bank: {index: self.pcrs[bank][index] for index in sorted(set(indices))}
                for bank, indices in (selection or self.all_of()).items()}  # fmt: skip

    def all_of(self, bank: TpmHash = TpmHash.SHA256) -> Selection:
        """Every PCR of ``bank``."""
        return {bank: range(_PCRS)}

    def form(self, extra_data: bytes, selection: Selection | None = None) -> QuoteForm:
        """A right quote before it is encoded; of every PCR of SHA-256 unless ``selection`` says otherwise."""
        values = self.values(selection)
        joined = b"".join(value for bank in values.values() for value in bank.values())
        return QuoteForm(
            extra_data=extra_data, selection=[(int(bank), tuple(found)) for bank, found in values.items()],
            pcr_digest=HASHES[self.digest](joined).digest(), qualified_signer=self.qualified_name,
        )  # fmt: skip

    def sign(self, message: bytes) -> bytes:
        """TPMT_SIGNATURE over any bytes at all: what a restricted key would refuse is signed here too.

        Of RSA, the bare signature that Azure's tools carry is this without its first six bytes.
        """
        head = self.scheme.to_bytes(2, "big") + self.digest.to_bytes(2, "big")
        algorithm = _HASHES[self.digest]
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            numbers = decode_dss_signature(self.key.sign(message, ec.ECDSA(algorithm)))
            size = (self.key.key_size + 7) // 8
            return head + b"".join(sized(number.to_bytes(size, "big")) for number in numbers)
        pss = padding.PSS(mgf=padding.MGF1(algorithm), salt_length=algorithm.digest_size)
        return head + sized(
            self.key.sign(message, pss if self.scheme is Scheme.RSAPSS else padding.PKCS1v15(), algorithm)
        )

    def quote(self, extra_data: bytes, selection: Selection | None = None) -> tuple[bytes, bytes]:
        """TPMS_ATTEST and TPMT_SIGNATURE of a right quote."""
        message = self.form(extra_data, selection).encode()
        return message, self.sign(message)

    def public_area(self) -> bytes:
        """TPMT_PUBLIC of the key; `sized` makes TPM2B_PUBLIC of it."""
        numbers = self.key.public_key().public_numbers()
        scheme = _u16(_NULL, self.scheme, self.digest)
        if isinstance(numbers, rsa.RSAPublicNumbers):
            bits = self.key.key_size
            kind, key = _RSA, scheme + _u16(bits) + bytes(4) + sized(numbers.n.to_bytes(bits // 8, "big"))
        else:
            size = (self.key.key_size + 7) // 8
            point = b"".join(sized(number.to_bytes(size, "big")) for number in (numbers.x, numbers.y))
            kind, key = _ECC, scheme + _u16(_CURVES[self.key.key_size], _NULL) + point
        return _u16(kind, TpmHash.SHA256) + self.attributes.to_bytes(4, "big") + sized(b"") + key

    @property
    def name(self) -> bytes:
        """The key's name: hash identifier and SHA-256 of its public area (part 1, section 16)."""
        return _u16(TpmHash.SHA256) + hashlib.sha256(self.public_area()).digest()

    @property
    def qualified_name(self) -> bytes:
        """The name of a primary key in the endorsement hierarchy (part 1, section 26.5)."""
        return _u16(TpmHash.SHA256) + hashlib.sha256(_ENDORSEMENT.to_bytes(4, "big") + self.name).digest()

    @property
    def spki(self) -> bytes:
        """SubjectPublicKeyInfo of the key, DER."""
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of `spki`: what a policy names under ``insecure_simulated``, or ``device_keys``."""
        return hashlib.sha256(self.spki).digest()


def _start(banks: Iterable[TpmHash]) -> dict[TpmHash, dict[int, bytes]]:
    sizes = {bank: HASHES[bank](b"").digest_size for bank in banks}
    return {bank: {index: (b"\xff" if index in _DYNAMIC else b"\0") * size for index in range(_PCRS)}
            for bank, size in sizes.items()}  # fmt: skip


def _u16(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in numbers)
