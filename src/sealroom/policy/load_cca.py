"""The table ``[cca]`` of a policy (``spec/policy.md`` section 2.3.7)."""

from sealroom.policy.document import Table
from sealroom.policy.load_intel import measurements
from sealroom.policy.model_others import CCA_ALLOWANCES, CCA_MEASUREMENTS, CcaRules, ComponentRules
from sealroom.policy.pinning import not_both, one_pinned_or_unchecked
from sealroom.policy.scope import Scope
from sealroom.policy.versions import Version, parse_decimal

__all__ = ["LIFECYCLES", "TOKENS", "cca_rules"]

TOKENS = ("cca", "psa")
LIFECYCLES = ("assembly-and-test", "rot-provisioning", "secured", "non-rot-debug", "recoverable-rot-debug",
              "decommissioned")  # fmt: skip
_REALM = frozenset({"rim", "rem0", "rem1", "rem2", "rem3", "rpv"})
_COMPONENT = ("measurement", "signer_id", "minimum_version")
_DIGESTS = (32, 48, 64)
_DOCUMENT = "measurement of a component, [cca.components.TYPE]"


def cca_rules(top: Table, scope: Scope) -> CcaRules:
    """Read ``[cca]``.

    A realm is its initial measurement; a PSA device has none, so its firmware is pinned by components.

    Raises:
        MalformedError: ``policy.*``.
    """
    others = ("token", "lifecycle", "platform_profile", "components", "allow")
    table = top.table("cca", (*CCA_MEASUREMENTS, *others))
    token = table.choices("token", TOKENS) or ("cca",)
    components = _components(table.table("components"))
    if "cca" in token:
        one_pinned_or_unchecked(table, (("rim",),), scope, by="measurement")
    elif any(component.measurement for component in components):
        not_both(table, "components", scope, by="measurement")
    else:
        one_pinned_or_unchecked(table, ((_DOCUMENT,),), scope, by="measurement")
    pins = measurements(table, CCA_MEASUREMENTS, scope)
    if "psa" in token and (realm := sorted(_REALM & pins.keys())):
        raise table.bad_value("token", list(token), "cca alone", f"a PSA token has no {realm[0]}")
    return CcaRules(
        token=token,
        measurements=pins,
        lifecycle=table.choices("lifecycle", LIFECYCLES) or ("secured",),
        platform_profile=table.texts("platform_profile"),
        components=components,
        allow=frozenset(table.choices("allow", CCA_ALLOWANCES)),
        named=frozenset(table),
    )


def _components(table: Table) -> tuple[ComponentRules, ...]:
    found = []
    for name in table:
        one = table.table(name, _COMPONENT)
        if not list(one):
            raise table.bad_value(name, {}, "at least one of " + ", ".join(_COMPONENT))
        found.append(
            ComponentRules(
                type=name,
                measurement=one.hexes("measurement", *_DIGESTS),
                signer_id=one.hexes("signer_id", *_DIGESTS),
                minimum_version=_version(one),
            )
        )
    return tuple(found)


def _version(table: Table) -> Version | None:
    if "minimum_version" not in table:
        return None
    found = parse_decimal(table.text("minimum_version"))
    if found is None:
        raise table.bad_value("minimum_version", table.text("minimum_version"), "numbers with dots between them")
    return found
