"""The routes inside the encryption: an opened request becomes a question for the engine, or an answer of our own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sealroom.engines.base import EnginePath
from sealroom.gateway.chat_completions import chat_request
from sealroom.gateway.completions import completion_request
from sealroom.gateway.embeddings import embedding_request
from sealroom.gateway.errors import InvalidRequestError
from sealroom.gateway.fields import read_object
from sealroom.gateway.models import ServedModel

__all__ = ["OwnAnswer", "Question", "route"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A checked request for the engine. The body is content, so no repr shows it."""

    path: EnginePath
    body: Mapping[str, object] = field(repr=False)
    stream: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAnswer:
    """An answer that needs no engine."""

    body: bytes


_CHECKS: Mapping[EnginePath, Callable[[dict[str, object]], dict[str, object]]] = MappingProxyType(
    {
        "/v1/chat/completions": chat_request,
        "/v1/completions": completion_request,
        "/v1/embeddings": embedding_request,
    }
)
_MODELS = "/v1/models"


def route(method: str, path: str, body: bytes, model: ServedModel) -> Question | OwnAnswer:
    """What to do with an opened request whose end is authenticated.

    Raises:
        InvalidRequestError: no such route or model (404), another method (405), or a wrong field (400).
    """
    path = path.partition("?")[0]
    for engine_path, check in _CHECKS.items():
        if path == engine_path:
            _require_method(method, "POST")
            return _question(engine_path, check, body, model)
    if path == _MODELS:
        _require_method(method, "GET")
        return OwnAnswer(body=model.listing())
    if path.startswith(_MODELS + "/"):
        _require_method(method, "GET")
        model.require(path.removeprefix(_MODELS + "/"))
        return OwnAnswer(body=model.card())
    raise InvalidRequestError("unknown_url", "This room has no such address.", status=404)


def _question(
    path: EnginePath, check: Callable[[dict[str, object]], dict[str, object]], body: bytes, model: ServedModel
) -> Question:
    request = check(read_object(body))
    model.require(request["model"])
    return Question(path=path, body=request, stream=bool(request.pop("stream", False)))


def _require_method(method: str, wanted: str) -> None:
    if method != wanted:
        raise InvalidRequestError("method_not_allowed", f"This address takes {wanted} only.", status=405)
