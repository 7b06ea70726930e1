"""``sealroom measure nitro``: the PCRs of an enclave image."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.measuring.measured import Measured, read_source, sources, tell
from sealroom.measure.eif import MAX_IMAGE, measure_eif
from sealroom.measure.uefi_variable import readable

__all__ = ["measure_nitro_image"]


def measure_nitro_image(
    image: Annotated[Path, typer.Argument(metavar="EIF", help="The enclave image.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """PCR0, PCR1, PCR2 and PCR8 of an AWS Nitro enclave image."""
    source = read_source(image, limit=MAX_IMAGE)
    measured = measure_eif(source.content)
    values = {"pcr0": measured.pcr0.hex(), "pcr1": measured.pcr1.hex(), "pcr2": measured.pcr2.hex()}
    if measured.pcr8 is not None:
        values["pcr8"] = measured.pcr8.hex()
    tell(
        Measured(
            values=values,
            inputs=sources(image=source) | {"architecture": measured.arch,
                    "name": readable((measured.image_name or "none").encode()),
                    "command line": readable(measured.cmdline)},
            not_covered=["metadata, build time, default memory and processors", "PCR3 and PCR4: role and instance"],
            changes_with=["pcr0: kernel, command line and all ramdisks", "pcr1: kernel, command line, first ramdisk",
                          "pcr2: the other ramdisks", "pcr8: the certificate that signed the image"],
            policy=_policy(values),
        ),
        as_json=as_json,
    )  # fmt: skip


def _policy(values: Mapping[str, str]) -> str:
    signer = f'\n# or, for every image of this signer:\n# pcr8 = ["{values["pcr8"]}"]' if "pcr8" in values else ""
    return f'[nitro]\npcr0 = ["{values["pcr0"]}"]{signer}'
