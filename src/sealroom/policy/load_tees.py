"""The tables of a policy that are about one TEE each, by the reader of each."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from sealroom.evidence import Tee
from sealroom.policy.document import Table
from sealroom.policy.load_cca import cca_rules
from sealroom.policy.load_clouds import azure_rules, gcp_rules, inner_rules
from sealroom.policy.load_nitro import nitro_rules
from sealroom.policy.load_nvidia import nvidia_rules
from sealroom.policy.load_sgx import sgx_rules
from sealroom.policy.load_snp import snp_rules
from sealroom.policy.load_tdx import tdx_rules
from sealroom.policy.load_tpm import tpm_rules
from sealroom.policy.load_trust import WRAPPERS
from sealroom.policy.scope import Scope, scope_of

__all__ = ["read_tee_tables"]

_READERS: Mapping[Tee, Callable[[Table, Scope], Any]] = {
    Tee.SNP: snp_rules,
    Tee.TDX: tdx_rules,
    Tee.SGX: sgx_rules,
    Tee.NVIDIA: nvidia_rules,
    Tee.NITRO: nitro_rules,
    Tee.CCA: cca_rules,
    Tee.TPM: tpm_rules,
    Tee.AZURE_VTPM: azure_rules,
    Tee.GCP: gcp_rules,
}


def read_tee_tables(
    top: Table, unchecked: Mapping[str, str], supplied: Mapping[str, frozenset[str]]
) -> dict[str, Any]:
    """The rules by field of `Policy`; None for a table that the document does not have.

    Args:
        top: the document.
        unchecked: what it leaves open.
        supplied: by table, the keys that reference files fill in.

    Raises:
        MalformedError: ``policy.*``.
    """
    rules: dict[str, Any] = {
        tee.value.replace("-", "_"): read(top, scope_of(unchecked, tee, supplied.get(tee, frozenset())))
        if tee in top
        else None
        for tee, read in _READERS.items()
    }
    inner = {
        path: found for tee in WRAPPERS if tee in top for path, found in inner_rules(top, tee, unchecked).items()
    }
    return {**rules, "inner": MappingProxyType(inner)}
