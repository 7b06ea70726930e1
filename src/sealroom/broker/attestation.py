"""One guest's message, from bytes to a key that accepted evidence vouches for. Sections 3 to 7 of the specification.

Pure, and done twice per release: at ``/attest`` with every root that any policy trusts, to learn whether the evidence
is authentic; at GET with the one policy of the resource, to learn whether it is acceptable.
"""

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from datetime import datetime

from sealroom.errors import MalformedError, RefusedError, UnverifiedError
from sealroom.evidence import AttestedKey, Claims, Collateral, TrustRoots
from sealroom.kbs.binding import fit, primary_digest
from sealroom.kbs.evidence import EvidenceFormat, format_for
from sealroom.kbs.init_data import InitData, parse_init_data
from sealroom.kbs.json_text import canonical
from sealroom.kbs.messages import Attestation
from sealroom.kbs.tee_key import TeeKey, parse_tee_key
from sealroom.policy import InitData as BoundInitData
from sealroom.policy import Policy
from sealroom.tees.registry import for_tee
from sealroom.verifier import attest_guest

__all__ = ["MAX_KEPT", "Guest", "authenticate", "kept_attestation", "read_guest", "vouched_key"]


MAX_KEPT = 512 * 1024
"""Bytes of one attestation that are kept until the release: 256 KiB of init data, escaped, and room for the rest."""


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
            "tee_key": hashlib.sha256(self.tee_pubkey).hexdigest(),
            "init_data": None if self.init_data is None else self.init_data.digest.hex(),
        }


def read_guest(tee: str, message: Attestation) -> Guest:
    """Read the parts of ``message``; ``tee`` is what the guest announced at ``/auth``."""
    form = format_for(tee)
    if message.additional_evidence:
        raise RefusedError("broker.device-evidence-not-supported", "evidence of devices is not verified here yet",
                           hint="attest the CPU alone: unverified evidence must not pass for verified")  # fmt: skip
    raw, collateral = form.parse(message.primary_evidence)
    return Guest(
        form=form, raw=raw, collateral=collateral,
        expected_report_data=fit(
            primary_digest(message.runtime_data, message.additional_evidence), form.report_data_size
        ),
        tee_key=parse_tee_key(message.tee_pubkey), tee_pubkey=canonical(message.tee_pubkey),
        init_data=None if message.init_data is None else parse_init_data(message.init_data),
    )  # fmt: skip


def authenticate(guest: Guest, *, roots: TrustRoots, at: datetime) -> Claims:
    """What authentic evidence says, bound to this guest's nonce and key; nothing about whether it is acceptable.

    Raises:
        UnverifiedError: not authentic, or about another key or nonce, or other init data.
    """
    verifier = for_tee(guest.form.tee)
    claims = verifier.claims(
        verifier.verify(verifier.parse(guest.raw), roots=roots, collateral=guest.collateral, at=at)
    )
    if not hmac.compare_digest(claims.report_data, guest.expected_report_data):
        raise UnverifiedError("binding.report-data", "the evidence does not vouch for this nonce and this key",
                              hint="report data is SHA-384 over the RFC 8785 form of the runtime data")  # fmt: skip
    if (bound := guest.bound_init_data) is not None and not bound.bound_by(claims):
        raise UnverifiedError("binding.init-data", "the guest was not started with this init data",
                              hint="start the guest with the init data that it sends")  # fmt: skip
    return claims


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
        tee=guest.form.tee,
        raw=guest.raw,
        collateral=guest.collateral,
        expected_report_data=guest.expected_report_data,
        tee_pubkey_jwk=guest.tee_pubkey,
        init_data=guest.bound_init_data,
        policy=policy,
        at=at,
    )
