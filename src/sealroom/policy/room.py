"""Checks on the room statement: its window, the model, the engine (``spec/policy.md`` section 2.4)."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from sealroom.evidence import Check
from sealroom.policy.checks import accepted_bytes, accepted_word, left_open
from sealroom.policy.model import INSECURE_LAYER, EngineRules, ModelRules, Policy
from sealroom.policy.subject import statement_window
from sealroom.statement import RoomStatement

__all__ = ["room_checks"]


def room_checks(policy: Policy, statement: RoomStatement, at: datetime) -> Iterator[Check]:
    """Every check on what a room says about itself."""
    yield _window(policy, statement, at)
    if policy.model is not None:
        yield from _model(policy.model, statement, policy.supplied("model"))
    elif "model" in policy.unchecked:
        yield left_open(policy, "model", "model", f"{statement.model_name}, version {statement.model_version}")
    else:
        yield Check(name="model", got=statement.model_name, wanted="a model that the policy names", passed=False,
                    source="default", code="policy.no-model",
                    fix="add a table [model] with name and digest to the policy")  # fmt: skip
    yield from _engine(policy, statement)


def _window(policy: Policy, statement: RoomStatement, at: datetime) -> Check:
    window = statement_window(statement, policy.trust.max_age)
    early = at < window.not_before
    return Check(
        name="statement.window",
        got=at.isoformat(),
        wanted=f"{window.not_before.isoformat()} to {window.not_after.isoformat()}",
        passed=window.holds_at(at),
        source="statement, and policy: [trust] max_age_seconds",
        code="statement.not-yet-valid" if early else "statement.expired",
        fix="check the clocks of the room and of this machine" if early else "ask the room for new evidence",
    )


def _model(rules: ModelRules, statement: RoomStatement, supplied: Collection[str]) -> Iterator[Check]:
    """``supplied``: keys that reference files fill in, and that are asked for though none came."""
    yield accepted_word("model.name", statement.model_name, (rules.name,), source="policy: [model] name",
                        fix="this room serves another model: use a room that serves the wanted one")  # fmt: skip
    yield accepted_bytes("model.digest", statement.model_digest, rules.digest, source="policy: [model] digest",
                         fix="these are other weights: ask the publisher for the digest of the release")  # fmt: skip
    if rules.package_digest or "package_digest" in supplied:
        yield accepted_bytes("model.package-digest", statement.package_digest, rules.package_digest,
                             source="policy: [model] package_digest",
                             fix="the room opened another sealed package than the policy names")  # fmt: skip
    yield Check(
        name="model.version",
        got=str(statement.model_version),
        wanted=f"at least {rules.minimum_version}",
        passed=statement.model_version >= rules.minimum_version,
        source="policy: [model] minimum_version",
        code="model.version-below-minimum",
        fix="have the room load the newer release of the model",
    )


def _engine(policy: Policy, statement: RoomStatement) -> Iterator[Check]:
    stated = (
        f"{statement.engine_name} {statement.engine_version}, configuration"
        f" sha256:{statement.engine_config_digest.hex()}, layers: {_listed(statement.sandbox_layers)}"
    )
    if policy.engine is not None:
        yield from _pinned_engine(policy.engine, statement, policy.supplied("engine"))
    elif "engine" in policy.unchecked:
        yield left_open(policy, "engine", "engine", stated)
    else:
        yield Check(name="engine", got=stated, wanted="an engine whose configuration or sandbox the policy names",
                    passed=False, source="default", code="policy.no-engine",
                    fix="add a table [engine] with config_digest or sandbox_layers to the policy")  # fmt: skip
    yield _insecure_layers(() if policy.engine is None else policy.engine.insecure_layers, statement)


def _insecure_layers(accepted: tuple[str, ...], statement: RoomStatement) -> Check:
    """Made whatever else the policy leaves open: who runs an engine without its sandbox has to be told to."""
    found = [layer for layer in statement.sandbox_layers if layer.startswith(INSECURE_LAYER)]
    return Check(
        name="engine.insecure-layers",
        got=_listed(found),
        wanted=f"none but {', '.join(accepted)}" if accepted else "none",
        passed=all(layer in accepted for layer in found),
        source="policy: [engine] insecure_layers" if accepted else "default",
        code="engine.insecure-layer",
        fix="run the engine in its sandbox; for development name the layer in [engine] insecure_layers",
    )


def _listed(layers: Sequence[str]) -> str:
    return ", ".join(layers) or "none"


def _pinned_engine(rules: EngineRules, statement: RoomStatement, supplied: Collection[str]) -> Iterator[Check]:
    if rules.name:
        yield accepted_word("engine.name", statement.engine_name, rules.name, source="policy: [engine] name",
                            fix="use a room with an accepted engine")  # fmt: skip
    if rules.config_digest or "config_digest" in supplied:
        yield accepted_bytes("engine.config-digest", statement.engine_config_digest, rules.config_digest,
                             source="policy: [engine] config_digest",
                             fix="run the engine with the configuration that the policy names")  # fmt: skip
    if rules.sandbox_layers:
        missing = [layer for layer in rules.sandbox_layers if layer not in statement.sandbox_layers]
        yield Check(
            name="engine.sandbox-layers",
            got=_listed(statement.sandbox_layers),
            wanted="all of: " + ", ".join(rules.sandbox_layers),
            passed=not missing,
            source="policy: [engine] sandbox_layers",
            code="engine.sandbox-layer-missing",
            fix=f"run the room where the kernel offers {', '.join(missing)}" if missing else "",
        )
