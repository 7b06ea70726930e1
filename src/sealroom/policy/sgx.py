"""Checks on SGX claims (``spec/policy.md`` section 2.3.3).

Offsets and bits are the matter of ``tees/sgx``; here are only the facts that it hands on, by name.
"""

from collections.abc import Iterator

from sealroom.evidence import Check, Claims
from sealroom.policy.checks import asked, hex_or_none, left_open, one_of
from sealroom.policy.flags import Flag, flag_checks
from sealroom.policy.intel import measurement_checks, platform_checks
from sealroom.policy.model import Policy, SgxRules

__all__ = ["FLAGS", "sgx_checks"]

FLAGS = {
    "enclave_debug": Flag("debug", "start the enclave without DEBUG: with it, the host reads its memory"),
    "provision_key": Flag("provision_key", "build the enclave without PROVISION_KEY"),
    "einittoken_key": Flag("einittoken_key", "build the enclave without EINITTOKEN_KEY"),
    "not_initialised": Flag(None, "start the enclave as a whole: its measurement is not finished"),
    "attributes_unknown": Flag(None, "use a release that knows these attributes"),
}
"""Every flag of SGX claims."""


def sgx_checks(policy: Policy, claims: Claims) -> Iterator[Check]:
    """Every check on an enclave and its platform; none under a policy without ``[sgx]``."""
    if (rules := policy.sgx) is None:
        return
    yield from flag_checks("sgx", FLAGS, rules.platform.allow, claims)
    if not {"mr_enclave", "mr_signer"} & rules.measurements.keys():
        yield left_open(policy, "measurement", "sgx.mr-enclave", hex_or_none(claims.measurements.get("mr_enclave")))
    yield from measurement_checks("sgx", rules.measurements, claims)
    yield from _product(rules, claims)
    yield from platform_checks("sgx", rules.platform, claims)


def _product(rules: SgxRules, claims: Claims) -> Iterator[Check]:
    if rules.isv_prod_id:
        product = claims.details.get("isv_prod_id")
        yield asked("sgx.isv-prod-id", str(product), one_of([str(one) for one in rules.isv_prod_id]),
                    passed=product in rules.isv_prod_id, source="policy: [sgx] isv_prod_id",
                    fix="run the product that the policy names")  # fmt: skip
    if rules.minimum_isv_svn is not None:
        svn = claims.details.get("isv_svn")
        yield asked("sgx.isv-svn", str(svn), f"at least {rules.minimum_isv_svn}",
                    passed=isinstance(svn, int) and svn >= rules.minimum_isv_svn,
                    source="policy: [sgx] minimum_isv_svn", fix="run a newer release of the enclave")  # fmt: skip
