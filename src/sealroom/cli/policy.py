"""``sealroom policy``: check, explain and derive policies, the part about the engine, and reference files."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sealroom.cli import references
from sealroom.cli.deriving import derive
from sealroom.cli.input_files import read_input, read_policy_bytes
from sealroom.client.policy_store import with_files_beside
from sealroom.embedded.documents import EnginePins
from sealroom.errors import MalformedError
from sealroom.policy import Policy, explain, load_policy
from sealroom.room.config import RoomConfig, parse_room_config
from sealroom.sealed.stores import open_package

__all__ = ["check_policy", "engine_section", "explain_policy", "register"]

_File = Annotated[Path, typer.Argument(metavar="FILE", help="The policy document; - reads stdin.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    group = typer.Typer(
        help="Check, explain and derive policies; pin engines; sign files.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("check")(check_policy)
    group.command("explain")(explain_policy)
    group.command("engine")(engine_section)
    group.command("derive")(derive)
    references.register(group)
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
    """Say in words what FILE accepts.

    Also what pins what, what is not checked, and what the reference files beside it add and why.
    """
    policy = _load(file)
    text = explain(policy, at=datetime.now(UTC))
    typer.echo(json.dumps({**_facts(policy), "explanation": text.splitlines()}) if as_json else text, nl=as_json)


def engine_section(
    config: Annotated[Path, typer.Argument(metavar="ROOM.TOML", help="The configuration of the room.")],
    *,
    model_name: Annotated[
        str | None, typer.Option("--model", help="The model's name; else the one in the configured package.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Print the part [engine] of a policy for a room.

    It accepts rooms with this configuration.

    The digest holds for rooms of the same release of sealroom and of the engine as this installation.
    """
    room = _room_config(config)
    pins = EnginePins.of(room.engine, model_name=model_name or _packaged_name(room))
    if as_json:
        digest = f"sha256:{pins.config_digest.hex()}"
        typer.echo(json.dumps({"config_digest": digest, "sandbox_layers": list(pins.sandbox_layers)}))
    else:
        typer.echo(pins.section(), nl=False)


def _room_config(path: Path) -> RoomConfig:
    try:
        text = read_input(path).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedError("room.config", "the configuration is not UTF-8", where=str(path)) from None
    return parse_room_config(text, source=str(path), folder=path.parent)


def _packaged_name(room: RoomConfig) -> str:
    package = open_package(room.package, publisher=room.publisher, minimum_version=room.minimum_version)
    return package.manifest.name


def _load(file: Path) -> Policy:
    policy = load_policy(read_policy_bytes(file), source=str(file))
    return with_files_beside(policy, file)


def _facts(policy: Policy) -> dict[str, object]:
    return {
        "name": policy.name,
        "digest": f"sha256:{policy.digest.hex()}",
        "tees": [tee.value for tee in policy.trust.tees],
        "insecure_simulated": [f"sha256:{root.hex()}" for root in sorted(policy.trust.insecure_simulated)],
        "unchecked": dict(policy.unchecked),
    }
