"""The root of the command line: finds the verb, runs it, and turns what it raises into words and an exit status."""

import contextlib
import gc
import importlib
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Annotated

from sealroom.errors import EXIT_BUG, MisuseError, SealroomError, UnavailableError

if TYPE_CHECKING:
    import typer

__all__ = ["VERBS", "build", "configure_logging", "main"]

VERBS = {
    "up": "sealroom.cli.up",
    "attack": "sealroom.cli.attack",
    "chat": "sealroom.cli.chat",
    "proxy": "sealroom.cli.proxy",
    "verify": "sealroom.cli.verify",
    "result": "sealroom.cli.result",
    "doctor": "sealroom.cli.doctor",
    "collect": "sealroom.cli.collect",
    "collateral": "sealroom.cli.collateral",
    "measure": "sealroom.cli.measure",
    "inspect": "sealroom.cli.inspect",
    "policy": "sealroom.cli.policy",
    "seal": "sealroom.cli.seal",
    "unseal": "sealroom.cli.seal",
    "broker": "sealroom.cli.broker",
    "serve": "sealroom.cli.serve",
    "simulate": "sealroom.cli.simulate",
    "conformance": "sealroom.cli.conformance",
    "gym": "sealroom.cli.gym",
}
"""Every verb and the module whose ``register(app)`` adds it. The one list to extend."""

_SERVICES = frozenset({"broker", "serve"})
_INTERRUPTED, _TERMINATED, _READER_GONE = 130, 143, 141
"""128 and the number of the signal, as shells count."""
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def main() -> None:
    """Run the command line of this process and exit."""
    try:
        _have_standard_streams()
        signal.signal(signal.SIGTERM, _terminate)
        status = _run(sys.argv[1:])
        status = _flushed(status)
    except KeyboardInterrupt:
        status = _INTERRUPTED
    sys.exit(status)


def build(arguments: Sequence[str]) -> "typer.Typer":
    """The application with the verb that ``arguments`` name, or with all of them where they name none.

    One verb's imports are all that one verb pays for.
    """
    gc.disable()  # code that is read makes no garbage, and looking for it is a tenth of the reading
    import typer  # noqa: PLC0415 - Ctrl-C from the first moment on is answered by `main`

    def root(
        *,
        version: Annotated[
            bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
        ] = False,
    ) -> None:
        """LLM inference that nobody but the two ends can read, with the proof in the caller's hand."""

    app = typer.Typer(
        name="sealroom",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(root)
    named = [VERBS[word] for word in arguments[:1] if word in VERBS]
    for module in dict.fromkeys(named or VERBS.values()):
        importlib.import_module(module).register(app)
    gc.enable()
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - half as much to import as all the rest of this file

        print(version("sealroom"))  # noqa: T201 - data
        raise SystemExit(0)


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
        return _status_of(exit_)
    except SealroomError as error:
        return _tell(error, as_json="--json" in arguments)
    except BrokenPipeError:
        return _READER_GONE
    except OSError as error:
        return _tell(_refused_by_machine(error), as_json="--json" in arguments)
    except Exception as error:  # noqa: BLE001 - the outermost fence: whatever comes here is our bug
        return _confess(error)
    return 0


def _status_of(exit_: SystemExit) -> int:
    if isinstance(exit_.__context__, BrokenPipeError):
        return _READER_GONE  # typer would say 1, which is a verdict here
    return exit_.code if isinstance(exit_.code, int) else 0 if exit_.code is None else 1


def _refused_by_machine(error: OSError) -> SealroomError:
    """What no part foresaw at this place: a full or read-only disk, a folder without permission."""
    return UnavailableError(
        "machine.refused",
        "this machine refused something that the command needs",
        where=None if error.filename is None else str(error.filename),
        got=error.strerror or type(error).__name__,
    )


def _have_standard_streams() -> None:
    """Fill closed standard streams: else the next file opened is number 1, and whatever is printed goes into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM to a verb that has no ear of its own: leave as on Ctrl-C, so that what was begun is cleaned up."""
    raise SystemExit(_TERMINATED)


def _flushed(status: int) -> int:
    """Have everything written, so that the interpreter's own last flush finds nothing to complain about."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            return status or _tell(_refused_by_machine(error), as_json=False)
        return status or _READER_GONE
    return status


def _tell(error: SealroomError, *, as_json: bool) -> int:
    with contextlib.suppress(OSError):  # the status says it too, where nothing can be written
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
    with contextlib.suppress(OSError):
        print("\n".join(lines), file=sys.stderr)  # noqa: T201
    return EXIT_BUG
