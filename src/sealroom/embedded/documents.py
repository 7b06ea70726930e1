"""The documents of an embedded system, written as a person would write them, so that they can serve as examples.

Each function returns the text of one file. All values come from the caller; nothing is looked up here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from sealroom.engines.llama_cpp_parameters import config_digest
from sealroom.engines.llama_cpp_settings import LlamaCppSettings
from sealroom.kbs.init_data import MODEL_KEY, write_init_data
from sealroom.room.engine_choice import EngineChoice
from sealroom.testing.machine_policy import Machine

__all__ = ["EnginePins", "Machine", "init_data", "release_policy", "room_config", "room_policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePins:
    """What a caller's policy pins about the engine."""

    config_digest: bytes
    sandbox_layers: tuple[str, ...]
    insecure_layers: tuple[str, ...] = ()

    @classmethod
    def of(cls, engine: EngineChoice, *, model_name: str) -> Self:
        """Of the engine that a room runs whose configuration says ``engine``."""
        settings = LlamaCppSettings(model_name=model_name, **engine.settings)
        layers = tuple(sorted(layer.value for layer in settings.enforced_layers))
        return cls(config_digest=config_digest(settings), sandbox_layers=layers)

    def section(self) -> str:
        """``[engine]``."""
        lists = {"sandbox_layers": self.sandbox_layers, "insecure_layers": self.insecure_layers}
        named = "".join(f"{name} = {_texts(layers)}\n" for name, layers in lists.items() if layers)
        return f"""\
# How the engine runs, and what has to hold it in. The digest covers settings, system calls, readable paths and
# required layers. `sealroom policy engine ROOM.toml` computes both for a room's configuration, on an installation of
# the room's own version; `sealroom inspect` of a room's evidence shows what that room states.
[engine]
config_digest = ["sha256:{self.config_digest.hex()}"]
{named}"""


def init_data(model_name: str) -> str:
    """What the guest is launched for; its digest stands in its evidence."""
    return write_init_data({MODEL_KEY: model_name}).decode()


def release_policy(machine: Machine, *, model_name: str) -> str:
    """What the model owner demands before the key leaves the broker."""
    return f"""\
# What the owner of the model demands of a machine before the broker releases the key.
policy = 1
name = "release of {model_name}"

{machine.sections()}
# The guest was launched to serve this model and no other (bound by its evidence).
[init_data]
"{MODEL_KEY}" = {_text(model_name)}
"""


def room_policy(machine: Machine, *, model_name: str, model_digest: bytes, version: int, engine: EnginePins) -> str:
    """What a caller demands before a prompt leaves."""
    return f"""\
# What a caller demands of a room before a prompt is sent.
policy = 1
name = "rooms that serve {model_name}"

{machine.sections()}
[model]
name = {_text(model_name)}
digest = ["sha256:{model_digest.hex()}"]
minimum_version = {version}

{engine.section()}"""


def room_config(
    *,
    package: str,
    publisher: bytes,
    minimum_version: int,
    broker: str,
    resource: str,
    init_data_file: str,
    port: int = 0,
    engine: Mapping[str, object] | None = None,
) -> str:
    """The room's own configuration (`sealroom.room.config`)."""
    settings = "\n".join(f"{name} = {json.dumps(value)}" for name, value in (engine or {}).items())
    return f"""\
room = 1

[listen]
host = "127.0.0.1"
port = {port}

[model]
package = {_text(package)}
publisher = "sha256:{publisher.hex()}"
minimum_version = {minimum_version}

[release]
broker = {_text(broker)}
resource = {_text(resource)}
init_data = {_text(init_data_file)}

[engine]
name = "llama.cpp"
{settings}
"""


def _texts(values: Sequence[str]) -> str:
    return "[" + ", ".join(map(_text, values)) + "]"


def _text(value: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's."""
    return json.dumps(value, ensure_ascii=False)
