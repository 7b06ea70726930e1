"""``POST /v1/embeddings``: what a request may hold, and what the engine is given of it."""

from collections.abc import Mapping

from sealroom.gateway.fields import Rule, dropped, either, list_of, one_of, record, refused, text

__all__ = ["EMBEDDING_FIELDS", "embedding_request"]

_INPUT = text(1_000_000, shortest=1)

EMBEDDING_FIELDS: Mapping[str, Rule] = {
    "model": text(256, shortest=1),
    "input": either("text, or a list of 1 to 256 texts", as_text=_INPUT, as_list=list_of(_INPUT, 256, shortest=1)),
    "encoding_format": one_of("float", "base64"),
    "dimensions": refused("vectors have the model's own length"),
    "user": dropped(text(512)),
}

_EMBEDDING = record(EMBEDDING_FIELDS, required=("model", "input"))


def embedding_request(body: dict[str, object]) -> dict[str, object]:
    """The request as the engine may have it.

    Raises:
        InvalidRequestError: with the field that is unknown, missing, wrong or not offered.
    """
    return _EMBEDDING(body, "")
