"""Minted evidence of Google's VMs as cases: what was done to one, and what a verifier has to make of it.

gcp_cases         a case, the bench on which it is made, and all that is authentic
gcp_faults        one fault each in the attestation, its key and that key's certificate: to be refused
gcp_quote_faults  the same of quotes, registers, the event log, and the hardware's own report
gcp_space_cases   tokens of Confidential Space, authentic ones and their flags
gcp_space_faults  one fault each in such tokens: to be refused
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.evidence import Collateral, Tee
from sealroom.pem import as_pem
from sealroom.tees._tpm.attest import Scheme, TpmHash
from sealroom.tees.gcp.protobuf import octets_field
from sealroom.tees.gcp.writing import AttestationForm, QuotedBank
from sealroom.testing.gcp import GcpMachine, SimulatedGcp
from sealroom.testing.gcp_certificates import AIK_USAGE, InstanceForm, ak_form
from sealroom.testing.pki import CertificateForm
from sealroom.testing.tpm import AK_ATTRIBUTES, BANKS, SoftTpm
from sealroom.testing.tpm_log import boot, logged_boot
from sealroom.testing.tpm_quote import QuoteForm

__all__ = ["AT", "NONCE", "GcpBench", "GcpCase", "authentic"]

AT = datetime(2026, 6, 1, tzinfo=UTC)
"""The time at which a case is to be verified, unless it says another."""
NONCE = bytes(range(1, 33))
"""What honest evidence answers."""
_BARE = frozenset({"no_hardware_proof"})
_INSTANCE_INFO, _CANONICAL_LOG = 4, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpCase:
    """Evidence, and what is to come of it."""

    name: str
    code: str | None
    """Of our refusal; None: authentic."""
    raw: bytes = field(repr=False)
    collateral: Collateral
    roots: frozenset[bytes]
    """SHA-256 of the private roots and keys to trust."""
    flags: frozenset[str] = frozenset()
    """Of the claims, where it is authentic."""
    at: datetime = AT


@dataclass(frozen=True, kw_only=True)
class GcpBench:
    """Two VMs on one vendor's machines; whatever a case does not change is right."""

    guest: SimulatedGcp
    other: SimulatedGcp
    """Whose parts are spliced into the first one's evidence."""

    @classmethod
    def create(cls, tee: Tee | None) -> "GcpBench":
        """Two new VMs, with confidential memory of ``tee`` or with none."""
        first = GcpMachine.create(tee)
        platform: Any = first.platform
        second = GcpMachine(vendor=first.vendor, tpm=SoftTpm.create(),
                            platform=platform and type(platform).create(vendor=platform.vendor))  # fmt: skip
        return cls(guest=SimulatedGcp(machine=first), other=SimulatedGcp(machine=second))

    @property
    def name(self) -> str:
        """Of the hardware, for cases."""
        report = self.guest.hardware(NONCE)
        return "bare" if report is None else report.tee.value

    def form(self, nonce: bytes = NONCE) -> AttestationForm:
        """An honest attestation before it is encoded."""
        return self.guest.form(nonce)

    def case(
        self, name: str, code: str | None = None, *, raw: bytes | None = None, at: datetime = AT,
        form: AttestationForm | None = None, items: Mapping[str, bytes | None] | None = None,
        flags: frozenset[str] = frozenset(), **members: Any,
    ) -> GcpCase:  # fmt: skip
        """Honest evidence with ``members`` of its form changed, or other bytes altogether.

        ``items`` changes what goes along; None leaves an item out.
        """
        made = self.guest.evidence(replace(form or self.form(), **members))
        along = {**made.collateral.items, **(items or {})}
        collateral = Collateral(items={item: value for item, value in along.items() if value is not None})
        bare = _BARE if self.guest.machine.platform is None else frozenset()
        return GcpCase(name=f"{self.name}: {name}", code=code, raw=made.raw if raw is None else raw, at=at,
                       collateral=collateral, roots=frozenset(self.guest.machine.root_fingerprints),
                       flags=flags | bare)  # fmt: skip

    def certified(self, name: str, code: str | None, form: CertificateForm, **options: Any) -> GcpCase:
        """With another certificate of the key."""
        return self.case(name, code, certificate=self.guest.machine.vendor.issue(form), **options)

    def quoted(self, name: str, code: str | None, form: QuoteForm, **members: Any) -> GcpCase:
        """With another quote of the SHA-256 bank, which the key signed."""
        message = form.encode()
        return self.quotes(name, code, message=message, signature=self.guest.tpm.sign(message), **members)

    def quotes(self, name: str, code: str | None, **members: Any) -> GcpCase:
        """With members of the SHA-256 bank's quote changed."""
        first, second, third = self.form().quotes
        return self.case(name, code, quotes=(first, replace(second, **members), third))

    def of(self, tpm: SoftTpm, nonce: bytes = NONCE) -> AttestationForm:
        """An attestation by another key, with a certificate of its own."""
        guest = SimulatedGcp(machine=replace(self.guest.machine, tpm=tpm))
        return guest.form(nonce)


def authentic(bench: GcpBench) -> Iterator[GcpCase]:
    """Everything that may differ and is right."""
    for make in (_attestations, _certificates, _keys, _banks):
        yield from make(bench)


def _attestations(bench: GcpBench) -> Iterator[GcpCase]:
    issuers, form = bench.guest.machine.vendor.issuers, bench.form()
    chain = (bench.guest.machine.vendor.ca.certificate, bench.guest.machine.vendor.root.certificate)
    yield bench.case("as it is")
    yield bench.case("the key's issuers in it", intermediates=chain, items={"ak_issuers": None})
    yield bench.case("a copy of the certificate before its issuers",
                     items={"ak_issuers": as_pem(form.certificate) + issuers})  # fmt: skip
    yield bench.case("whose instance it is, and what software measured",
                     more=octets_field(_INSTANCE_INFO, b"") + octets_field(_CANONICAL_LOG, b"log"))  # fmt: skip
    for nonce in (b"\x90\x09", bytes(range(48)), bytes(range(64))):
        yield bench.case(f"a nonce of {len(nonce)} bytes", form=bench.form(nonce))
    if bench.guest.machine.platform is None:
        yield bench.case("no nonce at all", form=bench.form(b""))
    tpm = replace(bench.guest.tpm, pcrs=SoftTpm(key=bench.guest.tpm.key).pcrs)
    log = logged_boot(tpm, boot())
    yield bench.case("with the log of its boot", form=bench.of(tpm), event_log=log)
    yield bench.case("with the log beside it", form=bench.of(tpm), items={"event_log": log})


def _certificates(bench: GcpBench) -> Iterator[GcpCase]:
    key = bench.guest.tpm.key.public_key()
    instance = bench.guest.machine.instance
    yield bench.certified("a certificate that names no instance", None, ak_form(key, None))
    yield bench.certified(
        "an instance that is not production", None, ak_form(key, replace(instance, production=False))
    )
    yield bench.certified("an instance of which that is not said", None, ak_form(key, InstanceForm(production=None)))
    yield bench.certified("a certificate for attestation keys", None, ak_form(key, instance, usages=(AIK_USAGE,)))
    form = bench.guest.machine.form()
    newer = tuple(extension for extension in form.extensions if extension[0] not in {"2.5.29.37", "2.5.29.17"})
    yield bench.certified("a certificate as the newer CA makes them", None, replace(form, extensions=newer))
    yield bench.certified("a certificate without a name", None, replace(form, name=()))


def _keys(bench: GcpBench) -> Iterator[GcpCase]:
    for kind in ("rsapss", "ecdsa"):
        yield bench.case(f"a key of {kind}", form=bench.of(SoftTpm.create(kind)))
    for curve, digest in ((ec.SECP384R1(), TpmHash.SHA384), (ec.SECP521R1(), TpmHash.SHA512)):
        tpm = SoftTpm(key=ec.generate_private_key(curve), scheme=Scheme.ECDSA, digest=digest)
        yield bench.case(f"a key on {curve.name}", form=bench.of(tpm))
    for digest in (TpmHash.SHA384, TpmHash.SHA512):
        yield bench.case(f"signed over {digest.word}", form=bench.of(replace(bench.guest.tpm, digest=digest)))
    without_password = AK_ATTRIBUTES & ~(1 << 6)
    yield bench.case("a key with a policy in place of a password",
                     form=bench.of(replace(bench.guest.tpm, attributes=without_password)))  # fmt: skip


def _banks(bench: GcpBench) -> Iterator[GcpCase]:
    sha1, *others = bench.form().quotes
    yield bench.case("the strongest bank alone", quotes=(others[-1],))
    yield bench.case("no bank but SHA-1", quotes=(sha1,), flags=frozenset({"sha1_bank"}))
    yield bench.case("banks in another order", quotes=(*others, sha1))
    tpm = SoftTpm(key=bench.guest.tpm.key, pcrs=SoftTpm.create("ecdsa", banks=(*BANKS, TpmHash.SHA512)).pcrs)
    guest = SimulatedGcp(machine=replace(bench.guest.machine, tpm=tpm))
    yield bench.case("a bank of SHA-512", quotes=guest.quotes(NONCE, (*BANKS, TpmHash.SHA512)))
    few = {TpmHash.SHA256: (0, 4, 7, 14)}
    message, signature = bench.guest.tpm.quote(NONCE, few)
    values = bench.guest.tpm.values(few)[TpmHash.SHA256]
    backwards = dict(sorted(values.items(), reverse=True))
    quote = QuotedBank(bank=TpmHash.SHA256, message=message, signature=signature, pcrs=values)
    yield bench.case("four registers", quotes=(quote,))
    yield bench.case("registers in another order", quotes=(replace(quote, pcrs=backwards),))
