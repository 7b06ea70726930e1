"""One guest's message, from bytes to a key that accepted evidence vouches for. Sections 3 to 7 of the specification.

Pure, and done twice per release: at ``/attest`` with every root that any policy trusts, to learn whether the evidence
is authentic; at GET with the one policy of the resource, to learn whether it is acceptable.
"""

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from datetime import datetime

from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import AttestedKey, Claims, Collateral, CollectedEvidence, Tee, TrustRoots
from sealroom.kbs.binding import fit, primary_digest
from sealroom.kbs.device_evidence import device_nonce, parse_device_evidence
from sealroom.kbs.evidence import EvidenceFormat, format_for
from sealroom.kbs.init_data import InitData, parse_init_data
from sealroom.kbs.json_text import canonical
from sealroom.kbs.messages import Attestation
from sealroom.kbs.tee_key import TeeKey, parse_tee_key
from sealroom.policy import InitData as BoundInitData
from sealroom.policy import Policy
from sealroom.tees.registry import for_tee
from sealroom.verifier import GuestDevices, attest_guest

__all__ = ["MAX_KEPT", "Guest", "authenticate", "kept_attestation", "read_guest", "vouched_key"]


MAX_KEPT = 1024 * 1024
"""Bytes of one attestation that are kept until the release: 256 KiB of init data, escaped, and room for the rest,
such as the 400 KiB or so of eight GPUs and four switches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """What a guest sent, parsed and untrusted."""

    form: EvidenceFormat
    raw: bytes = field(repr=False)
    collateral: Collateral = field(repr=False)
    expected_report_data: bytes
    tee_key: TeeKey
    tee_pubkey: bytes
    """The JWK in RFC 8785 form."""
    init_data: InitData | None
    additional_evidence: str = field(default="", repr=False)
    """The text that the CPU's evidence vouches for."""
    devices: tuple[CollectedEvidence, ...] = ()
    """What stands in it."""
    expected_device_nonce: bytes = b""

    @property
    def bound_init_data(self) -> BoundInitData | None:
        """The init data as evidence vouches for it."""
        init = self.init_data
        return None if init is None else BoundInitData(facts=init.data, digest=init.digest)

    def facts(self) -> dict[str, str | None]:
        """Digests for the record: which evidence, which key, which init data."""
        return {
            "tee": self.form.tee.value,
            "evidence": hashlib.sha256(self.raw).hexdigest(),
            "device_evidence": _digest(self.additional_evidence),
            "tee_key": hashlib.sha256(self.tee_pubkey).hexdigest(),
            "init_data": None if self.init_data is None else self.init_data.digest.hex(),
        }


def read_guest(tee: str, message: Attestation) -> Guest:
    """Read the parts of ``message``; ``tee`` is what the guest announced at ``/auth``."""
    form = format_for(tee)
    raw, collateral = form.parse(message.primary_evidence)
    return Guest(
        form=form, raw=raw, collateral=collateral,
        expected_report_data=fit(
            primary_digest(message.runtime_data, message.additional_evidence), form.report_data_size
        ),
        tee_key=parse_tee_key(message.tee_pubkey), tee_pubkey=canonical(message.tee_pubkey),
        init_data=None if message.init_data is None else parse_init_data(message.init_data),
        additional_evidence=message.additional_evidence,
        devices=parse_device_evidence(message.additional_evidence),
        expected_device_nonce=device_nonce(message.runtime_data),
    )  # fmt: skip


def authenticate(guest: Guest, *, roots: TrustRoots, at: datetime) -> tuple[Claims, ...]:
    """What authentic evidence says, of the CPU first and then of each device, bound to this guest's nonce and key;
    nothing about whether it is acceptable.

    Raises:
        UnverifiedError: not authentic, or about another key or nonce, or other init data.
    """
    claims = _authentic(guest.form.tee, guest.raw, guest.collateral, roots, at)
    if not hmac.compare_digest(claims.report_data, guest.expected_report_data):
        raise UnverifiedError("binding.report-data", "the evidence does not vouch for this nonce and this key, or "
                              "for other devices", hint="report data is SHA-384 over the RFC 8785 form of nonce, "
                              "tee-pubkey and the text of additional_evidence")  # fmt: skip
    if (bound := guest.bound_init_data) is not None and not bound.bound_by(claims):
        raise UnverifiedError("binding.init-data", "the guest was not started with this init data",
                              hint="start the guest with the init data that it sends")  # fmt: skip
    devices = [_authentic(one.tee, one.raw, one.collateral, roots, at) for one in guest.devices]
    for index, device in enumerate(devices):
        if not hmac.compare_digest(device.report_data, guest.expected_device_nonce):
            raise UnverifiedError("binding.device-nonce", "a device's evidence answers another nonce",
                                  where=f"device {index}", hint="its nonce is the first 32 bytes of SHA-384 over the "
                                  "RFC 8785 form of the runtime data")  # fmt: skip
    return (claims, *devices)


def _authentic(tee: Tee, raw: bytes, collateral: Collateral, roots: TrustRoots, at: datetime) -> Claims:
    verifier = for_tee(tee)
    return verifier.claims(verifier.verify(verifier.parse(raw), roots=roots, collateral=collateral, at=at))


def _digest(text: str) -> str | None:
    return hashlib.sha256(text.encode()).hexdigest() if text else None


def kept_attestation(guest: Guest, message: Attestation) -> bytes:
    """What the release needs of ``message`` to verify and bind everything again, in the message's own form.

    The evidence is written anew from what was verified of it: members that nobody reads stay behind.

    Raises:
        MalformedError: ``broker.attestation-size``.
    """
    evidence = guest.form.write(guest.raw, guest.collateral)
    kept = replace(message, primary_evidence=evidence).encode()
    if len(kept) > MAX_KEPT:
        raise MalformedError("broker.attestation-size", "the attestation is too large to be kept until the release",
                             got=len(kept), expected=f"at most {MAX_KEPT} bytes")  # fmt: skip
    return kept


def vouched_key(guest: Guest, policy: Policy, *, at: datetime) -> AttestedKey:
    """The guest's key, if ``policy`` accepts its evidence; verified from the first byte again."""
    return attest_guest(
        CollectedEvidence(tee=guest.form.tee, raw=guest.raw, collateral=guest.collateral),
        expected_report_data=guest.expected_report_data,
        tee_pubkey_jwk=guest.tee_pubkey,
        init_data=guest.bound_init_data,
        policy=policy,
        at=at,
        devices=GuestDevices(collected=guest.devices, nonce=guest.expected_device_nonce),
    )
