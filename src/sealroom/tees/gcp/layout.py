"""An attestation of go-tpm-tools (``Attestation`` of attest.proto), or a Confidential Space token."""

from dataclasses import dataclass, field

from sealroom.errors import MalformedError, MisuseError
from sealroom.evidence import Evidence, Tee
from sealroom.jose import Jwt, parse_jwt
from sealroom.tees._tpm.attest import QuoteAttest, TpmHash, TpmSignature, read_attest, read_signature
from sealroom.tees._tpm.public import TpmPublic, read_public
from sealroom.tees._tpm.quote import Pcrs
from sealroom.tees.gcp.inner import HardwareReport, read_hardware
from sealroom.tees.gcp.protobuf import Message, read_message

__all__ = ["GcpEvidence", "GcpQuote", "VtpmAttestation", "parse"]

_AK_PUB, _QUOTES, _EVENT_LOG, _AK_CERT, _INTERMEDIATES = 1, 2, 3, 6, 7
_KNOWN = frozenset(range(1, 10))
"""Fields of attest.proto. Beside those read here: who says which instance it is (4, the certificate says it under
signature) and a log of what software measured (5), neither of which says anything in the claims."""
_MAX_SIZE = 4 * 1024 * 1024
_MAX_QUOTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpQuote:
    """One quote with the values of its bank."""

    message: bytes = field(repr=False)
    attest: QuoteAttest
    signature: TpmSignature
    bank: TpmHash
    pcrs: Pcrs = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VtpmAttestation:
    """The attestation's parts; untrusted."""

    public: TpmPublic
    quotes: tuple[GcpQuote, ...]
    event_log: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    """Of the attestation key, DER; empty: none."""
    intermediates: tuple[bytes, ...] = field(repr=False)
    hardware: HardwareReport | None
    """What the silicon says of the same VM."""


@dataclass(frozen=True, kw_only=True)
class GcpEvidence(Evidence):
    """One of the two forms, parsed from `raw` when this is made."""

    tee: Tee = Tee.GCP
    vtpm: VtpmAttestation | None = field(init=False)
    token: Jwt | None = field(init=False)

    def __post_init__(self) -> None:
        if self.tee is not Tee.GCP:
            raise MisuseError("gcp.other-tee", "this is evidence of the TEE gcp", got=self.tee.value)
        is_token = self.raw[:3] == b"eyJ"
        object.__setattr__(self, "token", parse_jwt(self.raw, area="gcp") if is_token else None)
        object.__setattr__(self, "vtpm", None if is_token else _attestation(self.raw))


def parse(raw: bytes) -> GcpEvidence:
    """Read a vTPM attestation or a Confidential Space token.

    Raises:
        MalformedError, UnverifiedError: ``gcp.*``, ``tpm.*``: the bytes are neither.
    """
    return GcpEvidence(raw=bytes(raw))


def _attestation(raw: bytes) -> VtpmAttestation:
    if not 0 < len(raw) <= _MAX_SIZE:
        raise MalformedError("gcp.attestation", "the attestation is empty or too large", got=f"{len(raw)} bytes")
    message = read_message(raw)
    if foreign := message.numbers - _KNOWN:
        raise MalformedError("gcp.attestation", "the attestation has a part that is not known here, so nobody would "
                             "look at it", where=f"field {min(foreign)}")  # fmt: skip
    quotes = [_quote(read_message(one)) for one in message.all_octets(_QUOTES)]
    if not 1 <= len(quotes) <= _MAX_QUOTES or len({quote.bank for quote in quotes}) != len(quotes):
        raise MalformedError("gcp.attestation", "the attestation has not one quote for each bank", got=len(quotes))
    return VtpmAttestation(
        public=read_public(message.octets(_AK_PUB)), quotes=tuple(quotes), event_log=message.octets(_EVENT_LOG),
        certificate=message.octets(_AK_CERT), intermediates=tuple(message.all_octets(_INTERMEDIATES)),
        hardware=read_hardware(message),
    )  # fmt: skip


def _quote(message: Message) -> GcpQuote:
    quoted = message.octets(1)
    values = read_message(message.octets(3))
    bank = values.integer(1)
    if bank not in set(TpmHash):
        raise MalformedError("gcp.attestation", "a quote is of a bank that is not known", got=bank)
    pcrs: dict[int, bytes] = {}
    for entry in map(read_message, values.all_octets(2)):
        index = entry.integer(1)
        if index in pcrs:
            raise MalformedError("gcp.attestation", "a PCR stands twice", got=index)
        pcrs[index] = entry.octets(2)
    return GcpQuote(message=quoted, attest=read_attest(quoted), signature=read_signature(message.octets(2)),
                    bank=TpmHash(bank), pcrs={TpmHash(bank): pcrs})  # fmt: skip
