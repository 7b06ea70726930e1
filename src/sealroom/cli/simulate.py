"""``sealroom simulate``: what firmware and host do before a room boots, on hardware that is simulated."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.input_files import read_input
from sealroom.embedded.launch import Guest
from sealroom.embedded.measurement import measure_package
from sealroom.kbs.init_data import parse_init_data
from sealroom.tees.snp.tcb import Product
from sealroom.testing.snp_guest import Launch
from sealroom.testing.snp_store import platform_at

__all__ = ["register", "simulate"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("simulate")(simulate)


def simulate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where chip and guest are kept; made if missing.")],
    *,
    init_data: Annotated[Path, typer.Option(help="What the guest is launched for (TOML); bound by HOST_DATA.")],
    product: Annotated[Product, typer.Option(help="What a new chip is. One that is there stays.")] = Product.GENOA,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Launch a guest on SIMULATED hardware, which proves nothing.

    `sealroom serve --insecure-simulated DIR` runs on it. Stdout gets the part of a policy that accepts it: a policy
    with that part trusts whoever can read DIR. The measurement is that of this very installation of sealroom.
    """
    host_data = parse_init_data(read_input(init_data)).fitted()
    launch = Launch(measurement=measure_package(), host_data=host_data)
    guest = Guest(platform=platform_at(directory, product=product), launch=launch)
    guest.save(directory)
    machine = guest.machine()
    _say(f"launched a guest on SIMULATED {machine.product} in {directory}")
    if as_json:
        facts = {"directory": str(directory), "product": machine.product, "root": f"sha256:{machine.root.hex()}",
                 "measurement": machine.measurement.hex(), "host_data": host_data.hex(),
                 "minimum_tcb": dict(machine.minimum_tcb)}  # fmt: skip
        print(json.dumps(facts))  # noqa: T201 - data
    else:
        print(machine.sections(), end="")  # noqa: T201 - data


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command line's own voice
