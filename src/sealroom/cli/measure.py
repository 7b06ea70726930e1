"""``sealroom measure``: which measurement is the right one."""

import typer

from sealroom.cli.measuring.log import measure_log
from sealroom.cli.measuring.nitro import measure_nitro_image
from sealroom.cli.measuring.sgx import measure_enclave
from sealroom.cli.measuring.snp import measure_snp_guest
from sealroom.cli.measuring.tdx import measure_td

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    group = typer.Typer(help="Compute what evidence will measure.", no_args_is_help=True, rich_markup_mode=None)
    group.command("snp")(measure_snp_guest)
    group.command("tdx")(measure_td)
    group.command("sgx")(measure_enclave)
    group.command("nitro")(measure_nitro_image)
    group.command("log")(measure_log)
    app.add_typer(group, name="measure")
