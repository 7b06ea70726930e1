"""The table ``[snp]`` of a policy (``spec/policy.md`` section 2.3.1)."""

from collections.abc import Mapping
from types import MappingProxyType

from sealroom.errors import MalformedError
from sealroom.policy.document import Table
from sealroom.policy.model import SNP_ALLOWANCES, SNP_TCB_PARTS, SnpRules
from sealroom.policy.pinning import not_both, pinned_or_unchecked
from sealroom.policy.scope import Scope

__all__ = ["snp_rules"]

_SNP = (
    "measurement", "minimum_tcb", "products", "signing_key", "vmpl", "host_data", "id_key_digest",
    "author_key_digest", "family_id", "image_id", "chip_id", "minimum_guest_svn", "allow",
    "revocation_list",
)  # fmt: skip


def snp_rules(top: Table, scope: Scope) -> SnpRules:
    """Read ``[snp]``.

    Raises:
        MalformedError: ``policy.*``.
    """
    table = top.table("snp", _SNP)
    pinned_or_unchecked(table, "measurement", scope)
    minimum_tcb = _minimum_tcb(table.table("minimum_tcb", tuple(SNP_TCB_PARTS)))
    if minimum_tcb:
        not_both(table, "minimum_tcb", scope)
    products = table.choices("products", tuple(SNP_TCB_PARTS)) or tuple(minimum_tcb or SNP_TCB_PARTS)
    _every_product_has_a_floor(table, products, minimum_tcb, scope)
    return SnpRules(
        measurement=table.hexes("measurement", 48),
        minimum_tcb=minimum_tcb,
        products=products,
        signing_key=table.choices("signing_key", ("VCEK", "VLEK")) or ("VCEK",),
        vmpl=table.integers("vmpl", low=0, high=3) or (0,),
        host_data=table.hexes("host_data", 32),
        id_key_digest=table.hexes("id_key_digest", 48),
        author_key_digest=table.hexes("author_key_digest", 48),
        family_id=table.hexes("family_id", 16),
        image_id=table.hexes("image_id", 16),
        chip_id=_chip_ids(table),
        minimum_guest_svn=table.integer("minimum_guest_svn", low=0, high=2**32 - 1, default=0),
        allow=frozenset(table.choices("allow", SNP_ALLOWANCES)),
        revocation_list_required=_revocation_list_required(table),
        named=frozenset(table),
    )


def _revocation_list_required(table: Table) -> bool:
    if "revocation_list" not in table:
        return False
    if (wish := table.text("revocation_list")) != "required":
        raise table.bad_value("revocation_list", wish, '"required"', "to do without one, leave the key out")
    return True


def _chip_ids(table: Table) -> tuple[bytes, ...]:
    """As reports carry them: 64 bytes, of which Turin uses 8. Zero means masked there, so it can name no chip."""
    found = tuple(value.ljust(64, b"\x00") for value in table.hexes("chip_id", 64, 8))
    if bytes(64) in found:
        raise table.bad_value("chip_id", "zero", "the id of a chip", "zero is what a masked chip id reads as")
    return found


def _minimum_tcb(table: Table) -> Mapping[str, Mapping[str, int]]:
    floors = {}
    for product in table:
        parts = SNP_TCB_PARTS[product]
        floor = table.table(product, parts)
        floor.must_have(*parts)  # a part that is not named would not be checked
        floors[product] = MappingProxyType({part: floor.integer(part, low=0, high=255, default=0) for part in parts})
    return MappingProxyType(floors)


def _every_product_has_a_floor(
    table: Table, products: tuple[str, ...], floors: Mapping[str, object], scope: Scope
) -> None:
    for product in floors:
        if product not in products:
            raise table.bad_value("products", list(products), f"{product} too, which has a minimum_tcb")
    for product in products:
        if product not in floors and "minimum_tcb" not in scope:
            raise MalformedError("policy.no-minimum-tcb", f"the policy names no minimum TCB for {product}",
                                 where=table.where("minimum_tcb"), expected=f"a table [snp.minimum_tcb.{product}]",
                                 hint='or a reason: [unchecked] minimum_tcb = "why"')  # fmt: skip
