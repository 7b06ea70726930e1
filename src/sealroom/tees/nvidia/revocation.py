"""Stapled answers to whether certificates were withdrawn (OCSP, RFC 6960).

NVIDIA's responder answers for a device's certificates between leaf and root (BROM, provisioner, identity CA), and for
those of whoever signed reference values. It knows nothing of the leaf, and asking for it gets no answer that says so.
What did not come is told, and never good.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from itertools import pairwise

from sealroom.cbor import read_cbor
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.evidence import Collateral, Validity
from sealroom.tees._remembered import Remembered
from sealroom.tees.nvidia.ocsp import OcspState, OcspStatus, answers_for, verify_ocsp
from sealroom.x509_reader import Certificate

__all__ = ["Revocation", "check_revocation", "stapled_answers"]

_MAX_ANSWERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What the answers say of the certificates that can be asked about."""

    checked: int
    """How many certificates an answer calls good."""
    unanswered: tuple[str, ...]
    """Subjects for which no answer came, or one that knows nothing of them."""
    on_hold: tuple[str, ...]
    """Subjects whose certificates are suspended: authentic, and only a policy that says so takes them."""
    validity: Validity
    """Where the windows of all answers meet; without any, always."""


_ALWAYS = Validity(not_before=datetime.min.replace(tzinfo=UTC), not_after=datetime.max.replace(tzinfo=UTC))
_REMEMBERED: Remembered[Revocation] = Remembered(64)
_ANSWERS: Remembered[OcspStatus] = Remembered(256)
"""By themselves too: devices of one machine share all of their issuers."""


def check_revocation(chains: Sequence[Sequence[Certificate]], collateral: Collateral, *, at: datetime) -> Revocation:
    """Check the answers in ``ocsp`` against every certificate of ``chains`` but the roots.

    Args:
        chains: verified, each certificate before its issuer. Not a device's leaf, of which no answer exists.
        collateral: with ``ocsp``, or without.
        at: the time to judge at, timezone-aware.

    Raises:
        MalformedError: ``nvidia.ocsp*``: not a list of answers.
        UnverifiedError: ``nvidia.ocsp-*``: an answer is not authentic or out of its window; ``nvidia.revoked``: a
            certificate was withdrawn.
    """
    # made from the answers, from the certificates that they are about, and from time through windows alone
    key = (collateral.digest("ocsp"), *(tuple(certificate.fingerprint for certificate in chain) for chain in chains))
    return _REMEMBERED.answer(key, at, lambda: _check(chains, stapled_answers(collateral), at))


def _check(chains: Sequence[Sequence[Certificate]], answers: tuple[bytes, ...], at: datetime) -> Revocation:
    good, unanswered, on_hold, windows = 0, [], [], []
    pairs = {one.fingerprint: (one, issuer) for chain in chains for one, issuer in pairwise(chain)}
    for certificate, issuer in pairs.values():
        raw = next((answer for answer in answers if answers_for(answer, certificate)), None)
        if raw is None:
            unanswered.append(str(certificate.subject))
            continue
        status = _verified(raw, certificate, issuer, at)
        windows.append(status.validity)
        match status.state:
            case OcspState.GOOD:
                good += 1
            case OcspState.HOLD:
                on_hold.append(str(certificate.subject))
            case OcspState.UNKNOWN:
                unanswered.append(str(certificate.subject))
            case OcspState.REVOKED:
                raise _revoked(certificate, status.reason)
    return Revocation(checked=good, unanswered=tuple(unanswered), on_hold=tuple(on_hold),
                      validity=reduce(Validity.meet, windows, _ALWAYS))  # fmt: skip


def _verified(raw: bytes, certificate: Certificate, issuer: Certificate, at: datetime) -> OcspStatus:
    key = (hashlib.sha256(raw).digest(), certificate.fingerprint, issuer.fingerprint)
    return _ANSWERS.answer(key, at, lambda: verify_ocsp(raw, certificate=certificate, issuer=issuer, at=at))


def stapled_answers(collateral: Collateral) -> tuple[bytes, ...]:
    """The answers under ``ocsp``: a CBOR array of byte strings, each a DER response; none if there is no such item.

    Raises:
        MalformedError: ``nvidia.ocsp``.
    """
    raw = collateral.items.get("ocsp")
    if raw is None:
        return ()
    answers = read_cbor(raw, area="nvidia.ocsp", max_depth=1)
    if not isinstance(answers, list) or not 1 <= len(answers) <= _MAX_ANSWERS:
        raise MalformedError("nvidia.ocsp", "the stapled answers are no array of responses",
                             expected=f"1 to {_MAX_ANSWERS} byte strings")  # fmt: skip
    found = tuple(answer for answer in answers if isinstance(answer, bytes))
    if len(found) != len(answers):
        raise MalformedError("nvidia.ocsp", "a stapled answer is no byte string")
    return found


def _revoked(certificate: Certificate, reason: str | None) -> UnverifiedError:
    return UnverifiedError("nvidia.revoked", f"NVIDIA has withdrawn the certificate of {certificate.subject}",
                           got=reason or "no reason given", expected="good",
                           hint="this device is not to be trusted; ask its owner")  # fmt: skip
