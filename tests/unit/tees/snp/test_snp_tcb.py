"""22: a TCB version is compared part by part and never as one number."""

import pytest

from sealroom.errors import MisuseError
from sealroom.tees.snp.tcb import Product, parts_below, read_tcb

MINIMUM = {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 84}


def test_22_a_new_microcode_does_not_outweigh_an_old_bootloader():
    tcb = {"bootloader": 3, "tee": 0, "snp": 24, "microcode": 255}
    assert parts_below(tcb, MINIMUM) == ("bootloader",)


def test_22_every_part_counts():
    assert parts_below(MINIMUM, MINIMUM) == ()
    assert parts_below(dict.fromkeys(MINIMUM, 0), MINIMUM) == ("bootloader", "snp", "microcode")


@pytest.mark.parametrize("minimum", [{}, {"bootloader": 4}, {**MINIMUM, "fmc": 1}])
def test_22_a_minimum_that_does_not_name_each_part_is_a_mistake(minimum):
    with pytest.raises(MisuseError):
        parts_below(MINIMUM, minimum)


def test_the_same_bytes_are_other_parts_on_another_product():
    raw = bytes.fromhex("01020304000000db")
    assert read_tcb(Product.TURIN, raw, "here") == {"fmc": 1, "bootloader": 2, "tee": 3, "snp": 4, "microcode": 219}
