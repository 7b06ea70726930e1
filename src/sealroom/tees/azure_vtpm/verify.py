"""Is this what a confidential VM of Azure said?"""

from dataclasses import dataclass
from datetime import datetime

from sealroom.errors import UnverifiedError
from sealroom.evidence import VERIFIED, Claims, Collateral, Tee, TrustRoots, Verified
from sealroom.tees._token import verify_token
from sealroom.tees._tpm.event_log import ReplayedLog, verify_log
from sealroom.tees._tpm.quote import require_pcrs, require_signature
from sealroom.tees.azure_vtpm.hcl import HclReport, require_bound
from sealroom.tees.azure_vtpm.layout import AzureEvidence, AzureGuest
from sealroom.tees.azure_vtpm.tdreport import require_quote_of, tdreport_data

__all__ = ["MAA_ISSUERS", "VerifiedAzure", "VerifiedMaa", "require_quote", "verify", "verify_hardware"]

MAA_ISSUERS = (".attest.azure.net", ".attest.azure.us")
"""Of the service everywhere, and of the one for the government of the United States."""
_OURS = frozenset({"jwks", "event_log"})
"""Items that are about the vTPM and the service, and not about the hardware."""


@dataclass(frozen=True, kw_only=True)
class VerifiedAzure(Verified[AzureEvidence]):
    """A guest whose vTPM the hardware vouches for."""

    guest: AzureGuest
    inner: Claims
    """What the hardware itself said."""
    log: ReplayedLog | None


@dataclass(frozen=True, kw_only=True)
class VerifiedMaa(Verified[AzureEvidence]):
    """A token that Azure's service signed."""


def verify(
    evidence: AzureEvidence, *, roots: TrustRoots, collateral: Collateral, at: datetime
) -> VerifiedAzure | VerifiedMaa:
    """Verify a guest's evidence, or a token.

    0. Structures and sizes: done by `layout.parse`.
    1. The hardware's report (SNP), or the quote that Intel's enclave made of it (TDX), by the verifier of that TEE,
       with its collateral; a VCEK may come with the evidence. A TD's quote is of the TDREPORT that came.
    2. The report data is the hash of exactly the runtime data.
    3. The key that the runtime data names signed the vTPM's quote.
    4. The quote's digest is that of the PCRs that came; an event log, if one came, leads to them.

    Of a token: `_token.verify_token`.

    Raises:
        MalformedError, UnverifiedError: ``azure-vtpm.*``, ``tpm.*``, or of the inner TEE: a step does not hold.
    """
    if evidence.token is not None:
        token = verify_token(
            evidence.token, roots=roots, collateral=collateral, at=at, issuers=MAA_ISSUERS, area="azure-vtpm"
        )
        return VerifiedMaa(evidence=evidence, root=token.signer, simulated=token.simulated, validity=token.validity,
                           warrant=VERIFIED)  # fmt: skip
    guest = evidence.guest
    assert guest is not None  # noqa: S101 - one of the two, by `AzureEvidence`
    # 1. and 2.
    inner = verify_hardware(guest.hcl, vcek=guest.vcek, td_quote=guest.td_quote, roots=roots, collateral=collateral,
                            at=at)  # fmt: skip
    # 3. and 4.
    require_quote(guest)
    log = verify_log(guest.event_log or collateral.items.get("event_log"), guest.pcrs)
    return VerifiedAzure(evidence=evidence, root=inner.root, simulated=inner.simulated, validity=inner.validity,
                         guest=guest, inner=inner, log=log,
                         warrant=VERIFIED)  # fmt: skip


def require_quote(guest: AzureGuest) -> None:
    """Raise unless the bound key signed the quote, over the PCRs that came."""
    require_signature(guest.message, guest.signature, guest.runtime.key)
    require_pcrs(guest.attest, guest.pcrs, guest.signature.digest)


def verify_hardware(
    report: HclReport,
    *,
    vcek: bytes | None,
    td_quote: bytes | None,
    roots: TrustRoots,
    collateral: Collateral,
    at: datetime,
) -> Claims:
    """Steps 1 and 2 of `verify`: what the hardware says, and that it vouches for the runtime data.

    Made at boot, so that it says nothing of freshness: the quote alone does.

    Raises:
        MalformedError, UnverifiedError: as `verify`.
    """
    from sealroom.tees.registry import for_tee  # noqa: PLC0415 - the registry knows this package, and loads it late

    raw = report.hardware_report
    items = {name: item for name, item in collateral.items.items() if name not in _OURS}
    if report.inner is Tee.SNP:
        if vcek is not None:
            items.setdefault("leaf", vcek)
    else:
        if td_quote is None:
            raise UnverifiedError("azure-vtpm.no-td-quote", "a TDREPORT proves nothing without the quote made of it")
        raw = td_quote
    verifier = for_tee(report.inner)
    verified = verifier.verify(verifier.parse(raw), roots=roots, collateral=Collateral(items=items), at=at)
    inner = verifier.claims(verified)
    require_bound(report, inner.report_data)
    if report.inner is Tee.TDX:
        require_bound(report, tdreport_data(report))
        require_quote_of(report, raw)
    return inner
