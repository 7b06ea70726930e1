"""From a TOML document to a `Policy` (``spec/policy.md`` sections 2 and 3)."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from sealroom.errors import MalformedError
from sealroom.evidence import Tee
from sealroom.policy.document import Table, read_document
from sealroom.policy.load_sgx import sgx_rules
from sealroom.policy.load_snp import snp_rules
from sealroom.policy.load_tdx import tdx_rules
from sealroom.policy.model import INSECURE_LAYER, UNCHECKABLE, EngineRules, ModelRules, Policy, TrustRules
from sealroom.policy.pinning import not_both
from sealroom.policy.requirements import Requirement, compile_requirement

__all__ = ["POLICY_VERSION", "load_policy"]

POLICY_VERSION = 1
_DEFAULT_MAX_AGE = 3600
_LONGEST_AGE = 31 * 24 * 3600
_WITH_RULES = (Tee.SNP, Tee.TDX, Tee.SGX)

_TOP = (
    "policy",
    "name",
    "description",
    "trust",
    "snp",
    "tdx",
    "sgx",
    "model",
    "engine",
    "init_data",
    "require",
    "unchecked",
)
_TRUST = ("tees", "insecure_simulated", "freshness", "max_age_seconds")
_MODEL = ("name", "digest", "package_digest", "minimum_version")
_ENGINE = ("name", "config_digest", "sandbox_layers", "insecure_layers")
_REQUIRE = ("when", "because", "fix")


def load_policy(text: str | bytes, *, source: str) -> Policy:
    """Read a policy document.

    Args:
        text: the document; as bytes where it comes from a file, so that the digest is that of the file.
        source: where it came from, for messages.

    Raises:
        MalformedError: ``policy.*``, for every row of section 3.
    """
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    top = read_document(raw, source=source, known=_TOP)
    top.must_have("policy", "name", "trust")
    version = top.integer("policy", low=0, high=2**31, default=0)
    if version != POLICY_VERSION:
        raise MalformedError("policy.version", "the policy is of a version that is not known here",
                             where=top.where("policy"), got=version, expected=POLICY_VERSION)  # fmt: skip
    unchecked = _unchecked(top.table("unchecked", UNCHECKABLE))
    trust = _trust(top)
    return Policy(
        name=top.text("name"),
        description=top.text("description"),
        source=source,
        digest=hashlib.sha256(raw).digest(),
        trust=trust,
        snp=snp_rules(top, unchecked) if Tee.SNP in trust.tees else None,
        tdx=tdx_rules(top, unchecked) if Tee.TDX in trust.tees else None,
        sgx=sgx_rules(top, unchecked) if Tee.SGX in trust.tees else None,
        model=_model(top.table("model", _MODEL), unchecked) if "model" in top else None,
        engine=_engine(top.table("engine", _ENGINE), unchecked) if "engine" in top else None,
        init_data=_init_data(top, unchecked),
        require=_require(top),
        unchecked=unchecked,
    )


def _unchecked(table: Table) -> Mapping[str, str]:
    return MappingProxyType({key: table.text(key) for key in table})


def _trust(top: Table) -> TrustRules:
    table = top.table("trust", _TRUST)
    table.must_have("tees")
    tees = tuple(Tee(name) for name in table.choices("tees", tuple(Tee)))
    for tee in tees:
        if tee not in _WITH_RULES or tee not in top:
            raise MalformedError("policy.tee-without-rules", f"the policy accepts {tee} and has no rules for it",
                                 where=table.where("tees"),
                                 expected=f"a table [{tee}]" if tee in _WITH_RULES else ", ".join(_WITH_RULES),
                                 )  # fmt: skip
    for tee in _WITH_RULES:
        if tee in top and tee not in tees:
            raise MalformedError("policy.tee-without-rules", f"the policy has rules for {tee} and does not accept it",
                                 where=top.where(tee), hint=f"name {tee} in [trust] tees")  # fmt: skip
    if (freshness := table.text("freshness", default="nonce")) != "nonce":
        raise table.bad_value("freshness", freshness, '"nonce"',
                              "to do without, say why in [unchecked] freshness")  # fmt: skip
    seconds = table.integer("max_age_seconds", low=1, high=_LONGEST_AGE, default=_DEFAULT_MAX_AGE)
    return TrustRules(
        tees=tees,
        insecure_simulated=frozenset(table.digests("insecure_simulated")),
        max_age=timedelta(seconds=seconds),
    )


def _model(table: Table, unchecked: Mapping[str, str]) -> ModelRules:
    not_both(table, "model", unchecked)
    table.must_have("name", "digest")
    return ModelRules(
        name=table.text("name"),
        digest=table.digests("digest"),
        package_digest=table.digests("package_digest"),
        minimum_version=table.integer("minimum_version", low=1, high=2**53 - 1, default=1),
    )


def _engine(table: Table, unchecked: Mapping[str, str]) -> EngineRules:
    not_both(table, "engine", unchecked)
    rules = EngineRules(
        name=table.texts("name"),
        config_digest=table.digests("config_digest"),
        sandbox_layers=table.texts("sandbox_layers"),
        insecure_layers=_insecure_layers(table),
    )
    if not (rules.config_digest or rules.sandbox_layers):  # a name says nothing of how it runs
        raise MalformedError("policy.nothing-pinned", "the policy pins nothing of how an engine runs",
                             where=table.where("config_digest"), expected="config_digest or sandbox_layers",
                             hint='name one, or give a reason in place of [engine]: [unchecked] engine = "why"',
                             )  # fmt: skip
    return rules


def _insecure_layers(table: Table) -> tuple[str, ...]:
    layers = table.texts("insecure_layers")
    for layer in layers:
        if not layer.startswith(INSECURE_LAYER):
            raise table.bad_value("insecure_layers", layer, f"a name that begins with {INSECURE_LAYER}",
                                  "layers that protect belong in sandbox_layers")  # fmt: skip
    return layers


def _init_data(top: Table, unchecked: Mapping[str, str]) -> Mapping[str, str]:
    table = top.table("init_data")
    if "init_data" in top:
        not_both(top, "init_data", unchecked)
        if not list(table):
            raise MalformedError("policy.missing-key", "the table [init_data] is empty", where=top.where("init_data"))
    return MappingProxyType({key: table.text(key) for key in table})


def _require(top: Table) -> tuple[Requirement, ...]:
    found = []
    for number, table in enumerate(top.tables("require", _REQUIRE), start=1):
        table.must_have("when", "because")
        found.append(
            compile_requirement(
                number=number,
                when=table.expression("when"),
                because=table.text("because"),
                fix=table.text("fix", default="ask whoever wrote the policy"),
                where=f"{table.where('when')} (number {number})",
            )
        )
    return tuple(found)
