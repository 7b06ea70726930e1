"""SEV-SNP reports as trees."""

from sealroom.cli.inspecting.tree import Description, Tree, shown_bytes
from sealroom.errors import MalformedError, UnverifiedError
from sealroom.fixed_layout import Values
from sealroom.tees.snp.claims import FLAGS_OF_POLICY
from sealroom.tees.snp.layout import REPORT, layout_of
from sealroom.tees.snp.tcb import Product, product_of_cpuid, read_tcb

__all__ = ["describe_snp_report"]

_TCB_FIELDS = ("current_tcb", "reported_tcb", "committed_tcb", "launch_tcb")


def describe_snp_report(raw: bytes) -> Description:
    """An SNP attestation report, field by field; TCB versions in parts where the report names its product."""
    values = layout_of(raw).parse(raw)
    content: dict[str, Tree] = {}
    for name, value in values.items():
        content[name] = value if isinstance(value, int) else shown_bytes(value)
    policy = values.integer("policy")
    content["policy"] = f"{policy:#x}"
    content["policy allows"] = [name for bit, name in FLAGS_OF_POLICY.items() if policy >> bit & 1]
    if (product := _product(values)) is not None:
        content["product by CPUID"] = product.value
        for name in _TCB_FIELDS:
            content[name] = _tcb(product, values.octets(name), name)
    return Description(f"SEV-SNP attestation report, version {values.integer('version')}", content)


def _product(values: Values) -> Product | None:
    if "cpuid_fam" not in values:  # version 2 names no product
        return None
    try:
        return product_of_cpuid(values.integer("cpuid_fam"), values.integer("cpuid_mod"))
    except UnverifiedError:  # of a product to come
        return None


def _tcb(product: Product, raw: bytes, name: str) -> Tree:
    try:
        return ", ".join(f"{part} {level}" for part, level in read_tcb(product, raw, REPORT.where(name)).items())
    except MalformedError as error:
        return f"{raw.hex()} ({error.message})"
