"""From how many makers the evidence is: one whose keys are stolen, or forced from it, then forges nothing alone."""

from collections.abc import Iterator, Sequence

from sealroom.evidence import Check, Claims, Tee
from sealroom.policy.model import Policy

__all__ = ["vendor_check", "vendors"]

_MAKERS = {
    Tee.TDX: "Intel",
    Tee.SGX: "Intel",
    Tee.SNP: "AMD",
    Tee.CCA: "the Arm device's maker",
    Tee.NITRO: "AWS",
    Tee.NVIDIA: "NVIDIA",
    Tee.GCP: "Google",
    Tee.TPM: "the TPM's maker",
}
_AZURE_SERVICE = "Microsoft"


def vendors(claims: Claims, devices: Sequence[Claims]) -> tuple[str, ...]:
    """Whose root vouches for what is here, each maker once; a root of simulated hardware is one maker, whatever it
    signs.

    Azure's vTPM has no root but the hardware's: its key counts because the hardware's report names it.
    """
    found: dict[str, None] = {}
    simulated: set[bytes] = set()
    for one in (claims, *([] if claims.inner is None else [claims.inner]), *devices):
        maker = _maker(one)
        if maker is not None and one.root not in simulated:
            found[maker] = None
            simulated |= {one.root} if one.simulated else set()
    return tuple(found)


def vendor_check(policy: Policy, claims: Claims, devices: Sequence[Claims]) -> Iterator[Check]:
    """The one check; none where one maker is enough."""
    least = policy.trust.minimum_vendors
    if least > 1:
        # devices without rules are looked at by nobody, and can stand for nobody
        found = vendors(claims, devices if policy.nvidia is not None else ())
        yield Check(
            name="trust.vendors",
            got=", ".join(found) or "none",
            wanted=f"evidence of at least {least} makers",
            passed=len(found) >= least,
            source="policy: [trust] minimum_vendors",
            code="trust.too-few-vendors",
            fix="use a machine with devices of another maker, and have their evidence sent along",
        )


def _maker(claims: Claims) -> str | None:
    if claims.tee is Tee.AZURE_VTPM:
        return None if claims.inner is not None else _AZURE_SERVICE
    return _MAKERS[claims.tee]
