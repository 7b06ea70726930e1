"""The root of the command line: finds the verb, runs it, and turns what it raises into words and an exit status."""

import importlib
import json
import logging
import os
import sys
from collections.abc import Sequence

import typer

from sealroom.errors import EXIT_BUG, MisuseError, SealroomError

__all__ = ["VERBS", "build", "configure_logging", "main"]

VERBS = {
    "up": "sealroom.cli.up",
    "attack": "sealroom.cli.attack",
    "chat": "sealroom.cli.chat",
    "proxy": "sealroom.cli.proxy",
    "verify": "sealroom.cli.verify",
    "inspect": "sealroom.cli.inspect",
    "policy": "sealroom.cli.policy",
    "seal": "sealroom.cli.seal",
    "unseal": "sealroom.cli.seal",
    "broker": "sealroom.cli.broker",
    "serve": "sealroom.cli.serve",
    "conformance": "sealroom.cli.conformance",
}
"""Every verb and the module whose ``register(app)`` adds it. The one list to extend."""

_SERVICES = frozenset({"broker", "serve"})
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def main() -> None:
    """Run the command line of this process and exit."""
    sys.exit(_run(sys.argv[1:]))


def build(arguments: Sequence[str]) -> typer.Typer:
    """The application with the verb that ``arguments`` name, or with all of them where they name none.

    One verb's imports are all that one verb pays for.
    """
    app = typer.Typer(
        name="sealroom",
        help="LLM inference that nobody but the two ends can read, with the proof in the caller's hand.",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    named = [VERBS[word] for word in arguments[:1] if word in VERBS]
    for module in dict.fromkeys(named or VERBS.values()):
        importlib.import_module(module).register(app)
    return app


def _root() -> None:
    """LLM inference that nobody but the two ends can read, with the proof in the caller's hand."""


def configure_logging(verb: str) -> None:
    """Log to stderr: services tell what they do, other verbs warn only. ``SEALROOM_LOG_LEVEL`` sets every logger.

    No level shows content: a test runs the whole system at ``DEBUG`` with a marked prompt and looks for it.
    """
    wanted = os.environ.get("SEALROOM_LOG_LEVEL", "").upper()
    known = logging.getLevelNamesMapping()
    if wanted and wanted not in known:
        raise MisuseError("cli.log-level", "there is no such log level", where="SEALROOM_LOG_LEVEL", got=wanted,
                          expected=", ".join(sorted(known)))  # fmt: skip
    logging.basicConfig(stream=sys.stderr, format=_LOG_FORMAT, level=known.get(wanted, logging.WARNING))
    if not wanted:
        logging.getLogger("sealroom").setLevel(logging.INFO if verb in _SERVICES else logging.WARNING)


def _run(arguments: Sequence[str]) -> int:
    try:
        configure_logging(arguments[0] if arguments else "")
        build(arguments)(args=list(arguments), prog_name="sealroom")
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 0 if exit_.code is None else 1
    except SealroomError as error:
        return _tell(error, as_json="--json" in arguments)
    except Exception as error:  # noqa: BLE001 - the outermost fence: whatever comes here is our bug
        return _confess(error)
    return 0


def _tell(error: SealroomError, *, as_json: bool) -> int:
    print(error.diagnostics(), file=sys.stderr)  # noqa: T201 - the command line's own voice
    if as_json:
        print(json.dumps({"error": error.as_dict()}))  # noqa: T201
    return error.exit_status


def _confess(error: Exception) -> int:
    """Name the place of a bug. The exception's text may hold content, so it is shown only on request."""
    if os.environ.get("SEALROOM_TRACEBACK") == "1":
        raise error
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "an unknown place"
    lines = (
        f"error: {type(error).__name__} at {where}: this is a bug of Sealroom (internal.unexpected)",
        "hint: SEALROOM_TRACEBACK=1 shows the whole trace, which may hold content; mind where you send it",
    )
    print("\n".join(lines), file=sys.stderr)  # noqa: T201
    return EXIT_BUG
