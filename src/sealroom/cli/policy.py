"""``sealroom policy``: check a policy document, and say in words what it accepts."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli.input_files import read_policy_bytes
from sealroom.policy import Policy, explain, load_policy

__all__ = ["check_policy", "explain_policy", "register"]

_File = Annotated[Path, typer.Argument(metavar="FILE", help="The policy document; - reads stdin.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    group = typer.Typer(help="Check and explain policies.", no_args_is_help=True, rich_markup_mode=None)
    group.command("check")(check_policy)
    group.command("explain")(explain_policy)
    app.add_typer(group, name="policy")


def check_policy(file: _File, *, as_json: _Json = False) -> None:
    """Load FILE and say whether it is a policy. Exit status 0 only if it is."""
    policy = _load(file)
    if as_json:
        typer.echo(json.dumps(_facts(policy)))
        return
    typer.echo(f'ok: policy "{policy.name}", sha256:{policy.digest.hex()}')
    for root in sorted(policy.trust.insecure_simulated):
        typer.echo(f"SIMULATED root accepted: sha256:{root.hex()}")
    for key, reason in policy.unchecked.items():
        typer.echo(f"not checked, by the policy's own word: {key} ({reason})")


def explain_policy(file: _File, *, as_json: _Json = False) -> None:
    """Say in words what FILE accepts, what pins what, and what is not checked."""
    policy = _load(file)
    text = explain(policy)
    typer.echo(json.dumps({**_facts(policy), "explanation": text.splitlines()}) if as_json else text, nl=as_json)


def _load(file: Path) -> Policy:
    return load_policy(read_policy_bytes(file), source=str(file))


def _facts(policy: Policy) -> dict[str, object]:
    return {
        "name": policy.name,
        "digest": f"sha256:{policy.digest.hex()}",
        "tees": [tee.value for tee in policy.trust.tees],
        "insecure_simulated": [f"sha256:{root.hex()}" for root in sorted(policy.trust.insecure_simulated)],
        "unchecked": dict(policy.unchecked),
    }
