"""The verdict: every check that a policy asks for, made on claims of verified evidence.

The one holder of the right to make an `Appraisal`. It never stops early: a person who is refused learns every reason
at once (``spec/policy.md`` section 4).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sealroom.errors import MisuseError
from sealroom.evidence import APPRAISED, Appraisal, Check, Claims, Tee
from sealroom.policy.asking import requirement_checks
from sealroom.policy.cca import cca_checks
from sealroom.policy.clouds import azure_checks, gcp_checks
from sealroom.policy.devices import device_checks
from sealroom.policy.inner import inner_checks
from sealroom.policy.model import Policy
from sealroom.policy.nitro import nitro_checks
from sealroom.policy.nvidia import nvidia_checks
from sealroom.policy.references.accepting import attributed, judge_files
from sealroom.policy.room import room_checks
from sealroom.policy.sgx import sgx_checks
from sealroom.policy.snp import snp_checks
from sealroom.policy.subject import Subject
from sealroom.policy.tdx import tdx_checks
from sealroom.policy.tpm import tpm_checks
from sealroom.policy.trust import binding_checks, init_data_checks, trust_checks
from sealroom.policy.vendors import vendor_check

__all__ = ["appraise"]

_TEE_CHECKS: Mapping[Tee, Callable[[Policy, Claims], Iterator[Check]]] = {
    Tee.SNP: snp_checks,
    Tee.TDX: tdx_checks,
    Tee.SGX: sgx_checks,
    Tee.NVIDIA: nvidia_checks,
    Tee.CCA: cca_checks,
    Tee.TPM: tpm_checks,
    Tee.AZURE_VTPM: azure_checks,
    Tee.GCP: gcp_checks,
}
"""What is asked of each TEE: no checks where the policy does not accept it, which ``trust.tee`` refuses. Of Nitro it
is asked with a time."""


def appraise(
    policy: Policy, claims: Claims, *, subject: Subject, at: datetime, devices: Sequence[Claims] = ()
) -> Appraisal:
    """Appraise ``claims`` about ``subject``, and its ``devices``, under ``policy`` at ``at`` (timezone-aware).

    The result may be a refusal; `Appraisal.require_accepted` turns that into an error.
    """
    if at.tzinfo is None:
        raise MisuseError("policy.naive-time", "a time without a timezone", got=at.isoformat())
    asked_by, files, judged = judge_files(policy, at)
    made = tuple(attributed(check, policy, files) for check in _asked(asked_by, claims, tuple(devices), subject, at))
    return Appraisal(
        checks=(*judged, *made),
        simulated=any(one.simulated for one in (claims, *devices)),
        policy_name=policy.name,
        policy_digest=policy.digest,
        claims=claims,
        devices=tuple(devices),
        rests_on=tuple(file.validity for file in files if any(check.source == file.source for check in made)),
        warrant=APPRAISED,
    )


def _asked(
    policy: Policy, claims: Claims, devices: tuple[Claims, ...], subject: Subject, at: datetime
) -> Iterator[Check]:
    yield from trust_checks(policy, claims, subject, at)
    yield from vendor_check(policy, claims, devices)
    yield from binding_checks(policy, claims, subject)
    yield from _tee_checks(replace(policy, scope=claims.tee.value), claims, at)
    yield from inner_checks(policy, claims)
    yield from device_checks(policy, claims, devices, at)
    yield from init_data_checks(policy, claims, subject)
    if subject.statement is not None:
        yield from room_checks(policy, subject.statement, at)
    yield from requirement_checks(policy, claims, devices, subject)


def _tee_checks(policy: Policy, claims: Claims, at: datetime) -> Iterator[Check]:
    if claims.tee is Tee.NITRO:
        yield from nitro_checks(policy, claims, at)
    else:
        yield from _TEE_CHECKS[claims.tee](policy, claims)
