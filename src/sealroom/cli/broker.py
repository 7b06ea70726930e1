"""``sealroom broker``: run it, see what it holds and what it did, change policies and floors."""

import json
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import typer

from sealroom.broker.admin_service import BrokerAdmin
from sealroom.broker.app import build_app
from sealroom.broker.service import Broker
from sealroom.broker.stores.audit import Entry
from sealroom.broker.stores.state_dir import State, open_state
from sealroom.broker.transport import listen, serve, url_of
from sealroom.cli.input_files import expand_home, read_policy_bytes
from sealroom.errors import MisuseError, RefusedError
from sealroom.kbs.messages import ResourceId
from sealroom.policy import load_policy
from sealroom.room.hardening import harden_process, take_variable

__all__ = ["register"]

_KEK_VARIABLE = "SEALROOM_BROKER_KEK"
_DEFAULT_PORT = 8080

_StateDir = Annotated[
    Path, typer.Option("--state", help="Directory of keys, policies and record; made on the first run, mode 0700.")
]
_Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]
_Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
_Listen = Annotated[str, typer.Option(help="IP address to listen on.")]
_Beyond = Annotated[
    bool,
    typer.Option(
        "--insecure-listen-beyond-loopback",
        help="Allow --listen for other machines, without TLS: cookies can be read.",
    ),
]
_With403 = Annotated[
    bool,
    typer.Option("--refuse-with-403", help="Answer 403 where a policy refuses: stock clients then do not retry."),
]
_HOME = Path("~/.local/share/sealroom/broker")

broker = typer.Typer(help="Run the key broker; see and change what it holds.", rich_markup_mode=None)
policies = typer.Typer(help="The policies by which keys are released.", no_args_is_help=True, rich_markup_mode=None)
broker.add_typer(policies, name="policy")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(broker, name="broker")


@broker.callback(invoke_without_command=True)
def bare(
    context: typer.Context,
    *,
    state: _StateDir = _HOME,
    port: _Port = _DEFAULT_PORT,
    listen_on: Annotated[str, typer.Option("--listen", help="IP address to listen on.")] = "127.0.0.1",
    insecure_listen_beyond_loopback: _Beyond = False,
    refuse_with_403: _With403 = False,
    as_json: _Json = False,
) -> None:
    """Run the key broker (the same as `broker run`), or see and change what it holds."""
    if context.invoked_subcommand is None:
        run(
            state=state, port=port, listen_on=listen_on, as_json=as_json,
            insecure_listen_beyond_loopback=insecure_listen_beyond_loopback, refuse_with_403=refuse_with_403,
        )  # fmt: skip
    elif any(_was_given(context, name) for name in context.params):
        # Taken here it would be lost, and the command would look at another directory than was meant.
        raise MisuseError("broker.option-order", "options go behind the command", got=context.invoked_subcommand,
                          hint=f"sealroom broker {context.invoked_subcommand} --state DIR")  # fmt: skip


@broker.command()
def run(
    *,
    state: _StateDir = _HOME,
    port: _Port = _DEFAULT_PORT,
    listen_on: Annotated[str, typer.Option("--listen", help="IP address to listen on.")] = "127.0.0.1",
    insecure_listen_beyond_loopback: _Beyond = False,
    refuse_with_403: _With403 = False,
    as_json: _Json = False,
) -> None:
    """Serve keys for evidence (KBS 0.4.0) until SIGTERM or Ctrl-C."""
    harden_process()
    listener = listen(listen_on, port, insecure_beyond_loopback=insecure_listen_beyond_loopback)
    opened = _open(state, create=True)
    for path in opened.made:
        _say(f"made {path}")
    url = url_of(listener)
    _say(f"admin token: {opened.admin_token_file}")

    def ready() -> None:
        _say(f"key broker on {url}   Ctrl-C ends it")
        if as_json:
            _print_json({"event": "ready", "url": url, "admin_token_file": str(opened.admin_token_file)})

    app = build_app(
        Broker(opened, clock=_now), BrokerAdmin(opened, clock=_now), on_ready=ready,
        policy_status=HTTPStatus.FORBIDDEN if refuse_with_403 else HTTPStatus.UNAUTHORIZED,
    )  # fmt: skip
    serve(app, listener, on_stop=opened.database.close)


@broker.command()
def log(*, state: _StateDir = _HOME, as_json: _Json = False) -> None:
    """Read the record of grants and refusals, and check it."""
    opened = _open(state)
    for entry in opened.audit.read():
        if as_json:
            _print_json({**entry.body, "digest": entry.digest.hex()})
        else:
            _print(_line(entry))
    head = opened.audit.head()
    _say(f"the record is whole: {head.seq} entries, head {head.digest.hex()}")


@broker.command()
def keys(*, state: _StateDir = _HOME, as_json: _Json = False) -> None:
    """List what is registered; never a key."""
    opened = _open(state)
    for resource in opened.resources.all():
        floor = None if resource.model is None else opened.resources.floor(resource.model)
        digest = resource.policy_digest
        row = {
            "resource": resource.id,
            "model": resource.model,
            "version": resource.version,
            "minimum_version": floor,
            "policy": None if digest is None else f"sha256:{digest.hex()}",
        }
        if as_json:
            _print_json(row)
        else:
            model = "no model" if resource.model is None else f"{resource.model} version {resource.version}"
            retired = ", RETIRED" if floor is not None and (resource.version or 0) < floor else ""
            _print(f"{resource.id}   {model}{retired}   {row['policy'] or 'NO POLICY: released to nobody'}")


@broker.command()
def floor(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")],
    version: Annotated[int, typer.Argument(metavar="VERSION", help="The lowest version that is still released.")],
    *,
    state: _StateDir = _HOME,
) -> None:
    """Retire every version of a model below VERSION, for ever."""
    BrokerAdmin(_open(state), clock=_now).raise_floor(model, version)


@broker.command()
def delete(
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help="<repository>/<type>/<tag>")],
    *,
    state: _StateDir = _HOME,
) -> None:
    """Delete a key."""
    BrokerAdmin(_open(state), clock=_now).delete(ResourceId.parse(resource))


@policies.command("show")
def show_policy(
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help="<repository>/<type>/<tag>")],
    *,
    state: _StateDir = _HOME,
) -> None:
    """Print the policy by which RESOURCE is released."""
    found = _open(state).resources.find(str(ResourceId.parse(resource)))
    if found is None:
        raise RefusedError("broker.resource-missing", "there is no such resource", where=resource)
    if found.policy is None:
        raise RefusedError("broker.no-policy", "this resource has no policy, so it is released to nobody")
    typer.echo(found.policy, nl=False)


@policies.command("set")
def set_policy(
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help="<repository>/<type>/<tag>")],
    policy: Annotated[Path, typer.Argument(metavar="FILE", help="A policy, TOML.")],
    *,
    state: _StateDir = _HOME,
) -> None:
    """Release RESOURCE by POLICY from now on."""
    raw = read_policy_bytes(policy)
    load_policy(raw, source=str(policy))  # so that its errors name the file
    BrokerAdmin(_open(state), clock=_now).set_policy(ResourceId.parse(resource), raw.decode())


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _open(state: Path, *, create: bool = False) -> State:
    return open_state(expand_home(state, option="--state"), kek_hex=take_variable(_KEK_VARIABLE), create=create)


def _now() -> datetime:
    return datetime.now(UTC)


def _line(entry: Entry) -> str:
    body = entry.body
    words = [f"{body.get('at')}", f"{body.get('event'):<20}", f"{body.get('resource', body.get('session', ''))}"]
    if body.get("simulated") is True:
        words.append("SIMULATED")
    if isinstance(codes := body.get("codes"), list):
        words.append(" ".join(str(code) for code in codes))
    return f"{entry.seq:>6}  " + "  ".join(words)


def _print_json(value: object) -> None:
    _print(json.dumps(value, ensure_ascii=False))


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - data


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - talk
