"""``sealroom simulate``: what firmware and host do before a room boots, on hardware that is simulated."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.input_files import naming, read_input
from sealroom.embedded.launch import launched_for
from sealroom.errors import MisuseError
from sealroom.evidence import Tee
from sealroom.kbs.init_data import parse_init_data
from sealroom.tees.snp.tcb import Product
from sealroom.testing.machines import DEFAULT_KIND, WAYS, kind_named, power_on
from sealroom.testing.snp_store import platform_at

__all__ = ["register", "simulate"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("simulate")(simulate)


def simulate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where machine and guest are kept.")],
    *,
    init_data: Annotated[Path, typer.Option(help="What the guest is launched for (TOML); bound by its evidence.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help=f"What machine: {WAYS}.")] = DEFAULT_KIND,
    product: Annotated[
        Product | None, typer.Option(help="What a new chip with SNP is; Genoa if not given. One that is there stays.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Launch a guest on SIMULATED hardware, which proves nothing.

    `sealroom serve --insecure-simulated DIR` runs on it. Stdout gets the part of a policy that accepts it: a policy
    with that part trusts whoever can read DIR. The measurement is that of this very installation of sealroom.
    """
    with naming(init_data):
        launched = launched_for(parse_init_data(read_input(init_data)).digest)
    tee = kind_named(kind).cpu.tee
    if product is not None:
        if tee is not Tee.SNP:
            raise MisuseError("cli.product", "only the kind snp has a product to choose", got=kind,
                              hint="leave --product out")  # fmt: skip
        platform_at(directory, product=product)
    machine = power_on(kind, directory)
    machine.launch(directory, launched)
    accepted = machine.accepted(launched)
    _say(f"launched a guest on SIMULATED {machine.words} in {directory}")
    if as_json:
        facts = {"directory": str(directory), "kind": kind, "tee": tee.value, **accepted.facts}
        print(json.dumps(facts))  # noqa: T201 - data
    else:
        print(accepted.sections(), end="")  # noqa: T201 - data


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command line's own voice
