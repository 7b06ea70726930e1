"""From a TOML document to a `Policy` (``spec/policy.md`` sections 2 and 3)."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from sealroom.errors import MalformedError
from sealroom.evidence import Tee
from sealroom.policy.document import Table, read_document
from sealroom.policy.load_tees import read_tee_tables
from sealroom.policy.load_trust import TRUST, trust_rules
from sealroom.policy.model import INSECURE_LAYER, EngineRules, ModelRules, Policy
from sealroom.policy.pinning import not_both
from sealroom.policy.references.load import reference_rules, supplied_by
from sealroom.policy.requirements import Requirement, compile_requirement
from sealroom.policy.scope import Scope, read_unchecked, scope_of

__all__ = ["POLICY_VERSION", "load_policy"]

POLICY_VERSION = 1

_TOP = (
    "policy",
    "name",
    "description",
    "trust",
    *Tee,
    "model",
    "engine",
    "init_data",
    "require",
    "reference_files",
    "unchecked",
)
_TRUST = TRUST
_MODEL = ("name", "digest", "package_digest", "minimum_version")
_ENGINE = ("name", "config_digest", "sandbox_layers", "insecure_layers")
_REQUIRE = ("when", "because", "fix")
_NOTHING: frozenset[str] = frozenset()


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
    unchecked = read_unchecked(top)
    references = reference_rules(top)
    trust = trust_rules(top)
    supplied = supplied_by(references)
    return Policy(
        name=top.text("name"),
        description=top.text("description"),
        source=source,
        digest=hashlib.sha256(raw).digest(),
        trust=trust,
        **read_tee_tables(top, unchecked, supplied),
        model=_model(top, scope_of(unchecked, "model", supplied.get("model", _NOTHING))),
        engine=_engine(top, scope_of(unchecked, "engine", supplied.get("engine", _NOTHING))),
        init_data=_init_data(top, unchecked),
        require=_require(top),
        unchecked=unchecked,
        reference_rules=references,
    )


def _model(top: Table, scope: Scope) -> ModelRules | None:
    if "model" not in top:
        return None
    table = top.table("model", _MODEL)
    not_both(table, "model", scope)
    table.must_have("name", *(("digest",) if "digest" not in scope.supplied else ()))
    return ModelRules(
        name=table.text("name"),
        digest=table.digests("digest"),
        package_digest=table.digests("package_digest"),
        minimum_version=table.integer("minimum_version", low=1, high=2**53 - 1, default=1),
    )


def _engine(top: Table, scope: Scope) -> EngineRules | None:
    if "engine" not in top:
        return None
    table = top.table("engine", _ENGINE)
    not_both(table, "engine", scope)
    rules = EngineRules(
        name=table.texts("name"),
        config_digest=table.digests("config_digest"),
        sandbox_layers=table.texts("sandbox_layers"),
        insecure_layers=_insecure_layers(table),
    )
    if not (
        rules.config_digest or rules.sandbox_layers or "config_digest" in scope.supplied
    ):  # a name says nothing of how it runs
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
