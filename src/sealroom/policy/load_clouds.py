"""The tables ``[azure-vtpm]`` and ``[gcp]`` of a policy (``spec/policy.md`` section 2.3.9)."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from sealroom.errors import MalformedError
from sealroom.policy.document import Table
from sealroom.policy.load_snp import snp_rules
from sealroom.policy.load_tdx import tdx_rules
from sealroom.policy.load_tpm import KERNEL_PCRS, SHARED, pcr_rules
from sealroom.policy.model import SnpRules, TdxRules
from sealroom.policy.model_others import AZURE_ALLOWANCES, GCP_ALLOWANCES, AzureRules, GcpRules
from sealroom.policy.pinning import not_both
from sealroom.policy.scope import Scope, scope_of

__all__ = ["AZURE_KINDS", "AZURE_WORDS", "GCP_KINDS", "GCP_WORDS", "azure_rules", "gcp_rules", "inner_rules"]

QUOTE, MAA, CONFIDENTIAL_SPACE = "quote", "maa", "confidential-space"
AZURE_KINDS = (QUOTE, MAA)
GCP_KINDS = (QUOTE, CONFIDENTIAL_SPACE)
AZURE_WORDS = ("vm_unique_id", "issuer", "attestation_type", "compliance")
GCP_WORDS = (
    "project_id", "project_number", "zone", "instance_name", "instance_id", "image_reference", "issuer", "audience",
    "hardware", "service_accounts", "token_type", "gpu_mode",
)  # fmt: skip
"""Facts that are compared with lists of words."""
_DIGEST = "image_digest"
_STABLE = ("STABLE",)
_ATTRIBUTES = ("LATEST", "STABLE", "USABLE", "EXPERIMENTAL")
_INNER: Mapping[str, Callable[[Table, Scope], SnpRules | TdxRules]] = {"snp": snp_rules, "tdx": tdx_rules}


def azure_rules(top: Table, scope: Scope) -> AzureRules:
    """Read ``[azure-vtpm]``.

    Whoever sets up a provider of Azure's service writes its policy, and with it what its tokens call compliant, and
    one key signs for all providers of a region. So a token means something only of a provider that is named.

    Raises:
        MalformedError: ``policy.*``.
    """
    table = top.table("azure-vtpm", (*SHARED, "kind", *AZURE_WORDS, *_INNER))
    kind = table.choices("kind", AZURE_KINDS) or (QUOTE,)
    if MAA in kind and "issuer" not in table:
        raise MalformedError("policy.nothing-pinned", "the policy takes tokens of any provider of Azure's service",
                             where=table.where("issuer"), expected='issuer = ["https://NAME.REGION.attest.azure.net"]',
                             hint="name the providers whose policy you know: anybody may set one up")  # fmt: skip
    return AzureRules(
        pcrs=pcr_rules(table, scope, AZURE_ALLOWANCES),
        kind=kind,
        words=_words(table, AZURE_WORDS),
    )


def gcp_rules(top: Table, scope: Scope) -> GcpRules:
    """Read ``[gcp]``.

    What is pinned says which kind of evidence is meant: a kernel's registers a quote, an image a token.

    Raises:
        MalformedError: ``policy.*``.
    """
    table = top.table("gcp", (*SHARED, "kind", _DIGEST, "support_attributes", *GCP_WORDS, *_INNER))
    pcrs = pcr_rules(table, scope, GCP_ALLOWANCES, or_else=((_DIGEST,),))
    words = dict(_words(table, GCP_WORDS))
    if _DIGEST in table or _DIGEST in scope.supplied:
        words[_DIGEST] = tuple(f"sha256:{digest.hex()}" for digest in table.digests(_DIGEST))
    return GcpRules(
        pcrs=pcrs,
        kind=table.choices("kind", GCP_KINDS) or _meant(table, scope),
        words=MappingProxyType(words),
        support_attributes=_support_attributes(table, scope),
    )


def inner_rules(top: Table, wrapper: str, unchecked: Mapping[str, str]) -> Mapping[str, SnpRules | TdxRules]:
    """``[azure-vtpm.snp]`` and the like, by path.

    Raises:
        MalformedError: ``policy.*``.
    """
    table = top.table(wrapper)
    return {
        f"{wrapper}.{name}": read(table, scope_of(unchecked, f"{wrapper}.{name}"))
        for name, read in _INNER.items()
        if name in table
    }


def _words(table: Table, names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType({name: table.texts(name) for name in names if name in table})


def _meant(table: Table, scope: Scope) -> tuple[str, ...]:
    quote = any(pcr in table or pcr in scope.supplied for pcr in KERNEL_PCRS)
    token = _DIGEST in table or _DIGEST in scope.supplied
    return ((QUOTE,) if quote else ()) + ((CONFIDENTIAL_SPACE,) if token else ()) or GCP_KINDS


def _support_attributes(table: Table, scope: Scope) -> tuple[str, ...]:
    if "support_attributes" in table:
        not_both(table, "support_attributes", scope)
        return table.choices("support_attributes", _ATTRIBUTES)
    return () if "support_attributes" in scope else _STABLE
