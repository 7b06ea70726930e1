"""The table ``[sgx]`` of a policy (``spec/policy.md`` section 2.3.3)."""

from sealroom.policy.document import Table
from sealroom.policy.load_intel import PLATFORM, measurements, platform_rules
from sealroom.policy.model import SGX_ALLOWANCES, SGX_MEASUREMENTS, SgxRules
from sealroom.policy.pinning import pinned_or_unchecked
from sealroom.policy.scope import Scope

__all__ = ["sgx_rules"]

_IDENTITIES = ("mr_enclave", "mr_signer")
_MOST = 0xFFFF


def sgx_rules(top: Table, scope: Scope) -> SgxRules:
    """Read ``[sgx]``.

    A signer signs many things: naming one takes the product and the oldest version that is accepted of it.

    Raises:
        MalformedError: ``policy.*``.
    """
    table = top.table("sgx", (*SGX_MEASUREMENTS, "isv_prod_id", "minimum_isv_svn", *PLATFORM))
    named = [key for key in _IDENTITIES if key in table or key in scope.supplied]
    for key in named or ("mr_enclave",):
        pinned_or_unchecked(table, key, scope, by="measurement")
    if named == ["mr_signer"]:
        table.must_have("isv_prod_id", "minimum_isv_svn")
    return SgxRules(
        measurements=measurements(table, SGX_MEASUREMENTS, scope),
        isv_prod_id=table.integers("isv_prod_id", low=0, high=_MOST),
        minimum_isv_svn=table.integer("minimum_isv_svn", low=0, high=_MOST, default=0)
        if "minimum_isv_svn" in table
        else None,
        platform=platform_rules(table, SGX_ALLOWANCES),
    )
