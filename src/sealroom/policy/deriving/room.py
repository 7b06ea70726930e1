"""``[model]`` and ``[engine]`` of a derived policy, from the statement that a room's evidence binds."""

from collections.abc import Iterator

from sealroom.policy.deriving.entry import Entry, decide, heading, pin, quoted, texts
from sealroom.policy.model import INSECURE_LAYER
from sealroom.statement import RoomStatement

__all__ = ["room_entries"]


def room_entries(statement: RoomStatement) -> Iterator[Entry]:
    """Both tables."""
    yield heading("model", "Which model a room must serve.")
    yield pin("name", quoted(statement.model_name), "Pins the model's name. Changes with: another model.")
    yield pin("digest", _digest(statement.model_digest), "Pins the weights, before they are sealed. Changes with: "
              "the next release of the model.")  # fmt: skip
    yield pin("package_digest", _digest(statement.package_digest), "Pins the sealed package. Changes with: each "
              "sealing; the weights stay pinned by digest if you take this line out.")  # fmt: skip
    yield pin("minimum_version", str(statement.model_version), "Pins the oldest version; newer ones pass. Changes "
              "with: nothing; raise it with a release.")  # fmt: skip
    yield heading("engine", "What must run the model, and in which sandbox.")
    yield pin("name", texts([statement.engine_name]), "Pins the kind of engine. Changes with: another engine.")
    yield pin("config_digest", _digest(statement.engine_config_digest), "Pins settings, system calls and readable "
              "paths of the engine. Changes with: its configuration, and the release of sealroom and of the engine.",
              )  # fmt: skip
    yield from _layers(statement)


def _layers(statement: RoomStatement) -> Iterator[Entry]:
    insecure = [layer for layer in statement.sandbox_layers if layer.startswith(INSECURE_LAYER)]
    holding = [layer for layer in statement.sandbox_layers if layer not in insecure]
    if holding:
        yield pin("sandbox_layers", texts(holding), "Pins what holds the engine in: all of these. Changes with: the "
                  "room's kernel.")  # fmt: skip
    if insecure:
        yield decide("insecure_layers", texts(insecure), "the room says that protection is taken away. Refused, "
                     "unless this line counts.", f"the room runs with {', '.join(insecure)}")  # fmt: skip


def _digest(value: bytes) -> str:
    return texts([f"sha256:{value.hex()}"])
