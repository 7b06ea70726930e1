"""A TCB version is four or five small numbers, never one large one.

The eight bytes hold a security version for each part of the platform, at places that depend on the product.
Compared as one integer, a new microcode would outweigh an old bootloader; so there is no such comparison here, only
part by part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sealroom.errors import MalformedError, MisuseError, UnverifiedError

__all__ = ["PARTS", "Product", "parts_below", "product_of_cpuid", "read_tcb"]


class Product(StrEnum):
    """The processor lines that have their own root, spelled as in AMD's certificates."""

    MILAN = "Milan"
    GENOA = "Genoa"
    TURIN = "Turin"


PARTS: Mapping[Product, Mapping[str, int]] = {
    Product.MILAN: {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7},
    Product.GENOA: {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7},
    Product.TURIN: {"fmc": 0, "bootloader": 1, "tee": 2, "snp": 3, "microcode": 7},
}
"""Byte of each part in a TCB version (AMD 56860 section 2.2, TCB_VERSION). The other bytes are reserved, zero."""


@dataclass(frozen=True, slots=True)
class _Models:
    family: int
    first: int
    last: int
    product: Product


_CPUID = (
    _Models(0x19, 0x00, 0x0F, Product.MILAN),
    _Models(0x19, 0x10, 0x1F, Product.GENOA),
    _Models(0x19, 0xA0, 0xAF, Product.GENOA),  # Zen 4c: Bergamo and Siena answer to Genoa's root
    _Models(0x1A, 0x00, 0x11, Product.TURIN),
)


def read_tcb(product: Product, raw: bytes, where: str) -> dict[str, int]:
    """The parts of the TCB version ``raw`` (8 bytes) by name.

    Raises:
        MalformedError: ``snp.tcb-reserved``: a byte that ``product`` does not use is not zero.
    """
    places = PARTS[product]
    if any(byte for index, byte in enumerate(raw) if index not in places.values()):
        raise MalformedError("snp.tcb-reserved", f"a TCB version has a byte set that {product} does not use",
                             where=where, got=raw.hex())  # fmt: skip
    return {part: raw[index] for part, index in places.items()}


def parts_below(tcb: Mapping[str, int], minimum: Mapping[str, int]) -> tuple[str, ...]:
    """The parts of ``tcb`` that are below ``minimum``; empty if it suffices.

    Raises:
        MisuseError: ``minimum`` does not name exactly the parts that ``tcb`` has: a part that nobody asked about
            would pass unseen.
    """
    if set(tcb) != set(minimum):
        raise MisuseError("snp.tcb-parts", "a minimum TCB names exactly the parts of its product",
                          got=", ".join(sorted(minimum)), expected=", ".join(sorted(tcb)))  # fmt: skip
    return tuple(part for part, version in tcb.items() if version < minimum[part])


def product_of_cpuid(family: int, model: int) -> Product:
    """The product that a CPUID family and model belong to.

    Raises:
        UnverifiedError: ``snp.unknown-product``.
    """
    for models in _CPUID:
        if family == models.family and models.first <= model <= models.last:
            return models.product
    raise UnverifiedError("snp.unknown-product", "no product that this release knows has this CPUID",
                          where="cpuid_fam at 0x188", got=f"family 0x{family:02x} model 0x{model:02x}",
                          expected=", ".join(Product))  # fmt: skip
