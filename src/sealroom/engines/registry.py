"""Engines by name: one line for each that a room can run.

An engine's code is imported when it is made: a room reads its configuration, and starts the child, long before.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sealroom.engines.base import Engine
from sealroom.engines.llama_cpp_settings import LlamaCppSettings
from sealroom.engines.prepared_child import PreparedChild
from sealroom.errors import MisuseError

__all__ = ["ENGINES", "make_engine", "prepare_engine"]


def _llama_cpp(settings: LlamaCppSettings, prepared: PreparedChild | None) -> Engine:
    from sealroom.engines.llama_cpp import LlamaCppEngine  # noqa: PLC0415 - the point of this function

    return LlamaCppEngine(settings, prepared)


ENGINES: Mapping[str, Callable[[LlamaCppSettings, PreparedChild | None], Engine]] = MappingProxyType(
    {"llama.cpp": _llama_cpp}
)


def prepare_engine(name: str) -> PreparedChild:
    """A child for the engine called ``name``, which loads its code from now on."""
    _require_known(name)
    return PreparedChild()


def make_engine(name: str, settings: LlamaCppSettings, prepared: PreparedChild | None = None) -> Engine:
    """The engine called ``name``, not started; ``prepared`` becomes its first child if it is given one."""
    _require_known(name)
    return ENGINES[name](settings, prepared)


def _require_known(name: str) -> None:
    if name not in ENGINES:
        raise MisuseError("engine.unknown", "no such engine", got=name, expected=" or ".join(ENGINES))
