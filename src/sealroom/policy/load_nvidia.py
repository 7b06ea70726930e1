"""The table ``[nvidia]`` of a policy (``spec/policy.md`` section 2.3.5)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sealroom.errors import MalformedError
from sealroom.policy.document import Table
from sealroom.policy.model_others import NVIDIA_ALLOWANCES, NvidiaRules
from sealroom.policy.pinning import not_both
from sealroom.policy.scope import Scope
from sealroom.policy.versions import Version, parse_decimal, parse_hexadecimal

__all__ = ["ARCHITECTURES", "EVERY_FAMILY", "MODES", "REFERENCE_VALUES", "nvidia_rules"]

ARCHITECTURES = ("hopper", "blackwell")
MODES = ("single", "multi", "protected-pcie")
REFERENCE_VALUES = ("required", "driver", "vbios", "none")
EVERY_FAMILY = "*"
"""The floor of every family, where the document gives one text."""

_MOST = 64
_NVIDIA = (
    "architectures", "minimum_driver", "minimum_vbios", "minimum_switch_bios", "driver_version", "vbios_version",
    "fwid", "ueid", "mode", "count", "minimum_count", "switches", "reference_values", "allow",
)  # fmt: skip


def nvidia_rules(top: Table, scope: Scope) -> NvidiaRules:
    """Read ``[nvidia]``.

    Raises:
        MalformedError: ``policy.*``.
    """
    table = top.table("nvidia", _NVIDIA)
    architectures = table.choices("architectures", ARCHITECTURES) or ARCHITECTURES
    if "count" in table and "minimum_count" in table:
        raise MalformedError("policy.contradiction", "the policy names count and minimum_count",
                             where=table.where("minimum_count"), hint="count is exact: name one of them")  # fmt: skip
    return NvidiaRules(
        architectures=architectures,
        minimum_driver=_drivers(table, architectures, scope),
        minimum_vbios=_floors(table, "minimum_vbios", (), parse_hexadecimal),
        minimum_switch_bios=_switch_bios(table),
        driver_version=table.texts("driver_version"),
        vbios_version=table.texts("vbios_version"),
        fwid=table.hexes("fwid", 48),
        ueid=_serials(table),
        mode=table.choices("mode", MODES) or MODES,
        count=table.integer("count", low=1, high=_MOST, default=1) if "count" in table else None,
        minimum_count=table.integer("minimum_count", low=0, high=_MOST, default=1),
        switches=table.integer("switches", low=0, high=_MOST, default=0) if "switches" in table else None,
        reference_values=_reference_values(table),
        allow=frozenset(table.choices("allow", NVIDIA_ALLOWANCES)),
        named=frozenset(table),
    )


def _drivers(table: Table, architectures: tuple[str, ...], scope: Scope) -> Mapping[str, Version]:
    """NVIDIA signs reference values of old drivers too: how old one may be is the policy's matter."""
    if "minimum_driver" in table:
        not_both(table, "minimum_driver", scope)
    elif "driver_version" not in table and "driver_version" not in scope.supplied and "minimum_driver" not in scope:
        raise MalformedError("policy.no-minimum-driver", "the policy does not say how old a GPU's driver may be",
                             where=table.where("minimum_driver"), expected="minimum_driver or driver_version",
                             hint='or a reason: [unchecked] minimum_driver = "why"')  # fmt: skip
    floors = _floors(table, "minimum_driver", ARCHITECTURES, parse_decimal)
    if EVERY_FAMILY in floors:
        return dict.fromkeys(architectures, floors[EVERY_FAMILY])
    if floors and set(floors) != set(architectures):
        raise table.bad_value("minimum_driver", sorted(floors), f"a version for each of {', '.join(architectures)}",
                              "architectures says which ones are accepted")  # fmt: skip
    return floors


def _floors(
    table: Table, key: str, names: tuple[str, ...], parse: Callable[[str], Version | None]
) -> Mapping[str, Version]:
    """One version for all, or a table of them by name."""
    if key not in table:
        return {}
    if not table.is_table(key):
        return {EVERY_FAMILY: _version(table, key, parse)}
    floors = table.table(key, names)
    if not list(floors):
        raise table.bad_value(key, {}, "at least one version")
    return MappingProxyType({name: _version(floors, name, parse) for name in floors})


def _switch_bios(table: Table) -> Version | None:
    key = "minimum_switch_bios"
    return _version(table, key, parse_hexadecimal) if key in table else None


def _version(table: Table, key: str, parse: Callable[[str], Version | None]) -> Version:
    found = parse(table.text(key))
    if found is None:
        raise table.bad_value(key, table.text(key), "numbers with dots between them, such as 550.90.07")
    return found


def _serials(table: Table) -> tuple[str, ...]:
    for serial in (serials := table.texts("ueid")):
        if not (serial.isascii() and serial.isdigit()):
            raise table.bad_value("ueid", serial, "a decimal number, as the device's leaf certificate has it")
    return serials


def _reference_values(table: Table) -> str:
    wish = table.text("reference_values", default="required")
    if wish not in REFERENCE_VALUES:
        raise table.bad_value("reference_values", wish, "one of " + ", ".join(REFERENCE_VALUES))
    return wish
