"""``GET /v1/models`` and ``/v1/models/{id}``: the room's one model, told without the engine."""

import json
from dataclasses import dataclass

from sealroom.gateway.errors import InvalidRequestError

__all__ = ["ServedModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """The model under the name that the room statement binds. ``created`` is Unix seconds."""

    name: str
    created: int

    def require(self, name: object) -> None:
        """Raise unless ``name`` is this model's: an answer by another model than was asked for is a lie."""
        if name != self.name:
            raise InvalidRequestError(
                "model_not_found",
                f"This room serves the model '{self.name}' and no other.",
                param="model",
                status=404,
            )

    def listing(self) -> bytes:
        """The body of ``GET /v1/models``."""
        return _compact({"object": "list", "data": [self._card()]})

    def card(self) -> bytes:
        """The body of ``GET /v1/models/{id}``."""
        return _compact(self._card())

    def _card(self) -> dict[str, object]:
        return {"id": self.name, "object": "model", "created": self.created, "owned_by": "sealroom"}


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
