"""Which engine a room runs and how, as far as its configuration may say. The rest is the engine's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sealroom.engines.base import Engine
from sealroom.engines.llama_cpp_settings import LlamaCppSettings
from sealroom.engines.prepared_child import PreparedChild
from sealroom.engines.registry import ENGINES, make_engine, prepare_engine
from sealroom.errors import MalformedError

__all__ = ["ENGINE_SETTINGS", "EngineChoice"]

ENGINE_SETTINGS: Mapping[str, type] = MappingProxyType(
    {
        "slots": int,
        "context_tokens": int,
        "threads": int,
        "embeddings": bool,
        "user": int,
        "start_timeout": float,
        "silence_timeout": float,
        "insecure_allow_missing_layers": bool,
    }
)
"""The fields of `LlamaCppSettings` that ``[engine]`` may set."""

_DEFAULT = "llama.cpp"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """An engine's name, and the settings that differ from its defaults."""

    name: str = _DEFAULT
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, section: Mapping[str, object], *, source: str) -> "EngineChoice":
        """Read ``[engine]``.

        Raises:
            MalformedError: ``room.config``.
            MisuseError: a value that the engine can not take.
        """
        name = section.get("name", _DEFAULT)
        if not isinstance(name, str) or name not in ENGINES:
            raise _wrong(source, "name", name, " or ".join(ENGINES))
        settings = {key: value for key, value in section.items() if key != "name"}
        for key, value in settings.items():
            _check(key, value, source)
        LlamaCppSettings(model_name="-", **settings)  # type: ignore[arg-type]  # the types are checked above
        return cls(name=name, settings=MappingProxyType(settings))

    @property
    def slots(self) -> int:
        """Requests that the engine works on at once."""
        return LlamaCppSettings(model_name="-", **self.settings).slots

    def prepare(self) -> PreparedChild:
        """Start what can be started before anything is known of the model. To be closed, or given to `make`."""
        return prepare_engine(self.name)

    def make(self, model_name: str, prepared: PreparedChild | None = None) -> Engine:
        """The engine, not started."""
        return make_engine(self.name, LlamaCppSettings(model_name=model_name, **self.settings), prepared)


def _check(key: str, value: object, source: str) -> None:
    wanted = ENGINE_SETTINGS.get(key)
    if wanted is None:
        raise _wrong(source, key, "an unknown key", f"one of name, {', '.join(ENGINE_SETTINGS)}")
    fits = isinstance(value, int | float if wanted is float else wanted)
    if not fits or (isinstance(value, bool) and wanted is not bool):
        raise _wrong(source, key, value, wanted.__name__)


def _wrong(source: str, key: str, got: object, expected: str) -> MalformedError:
    return MalformedError(
        "room.config",
        "the room's configuration can not be used",
        where=f"{source}: [engine] {key}",
        got=str(got)[:100],
        expected=expected,
    )
