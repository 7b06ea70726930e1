"""Engines by name: one line for each that a room can run."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sealroom.engines.base import Engine
from sealroom.engines.llama_cpp import LlamaCppEngine
from sealroom.engines.llama_cpp_settings import LlamaCppSettings
from sealroom.errors import MisuseError

__all__ = ["ENGINES", "make_engine"]

ENGINES: Mapping[str, Callable[[LlamaCppSettings], Engine]] = MappingProxyType({"llama.cpp": LlamaCppEngine})


def make_engine(name: str, settings: LlamaCppSettings) -> Engine:
    """The engine called ``name``, not started."""
    if name not in ENGINES:
        raise MisuseError("engine.unknown", "no such engine", got=name, expected=" or ".join(ENGINES))
    return ENGINES[name](settings)
