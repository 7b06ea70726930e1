"""Where each value of a JSON text stands, so that one can be changed and every other byte left as it was."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["JsonSpan", "json_spans", "signed_body"]

_TOKEN = re.compile(rb'\s*("(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+)')


@dataclass(frozen=True, slots=True)
class JsonSpan:
    """A value, and the member or element that it belongs to."""

    path: str
    start: int
    end: int
    member_start: int
    """Where the member's name begins; of an element of a list, where the value does."""
    is_scalar: bool

    def of(self, text: bytes) -> bytes:
        """The value's bytes."""
        return text[self.start : self.end]


def json_spans(text: bytes, start: int = 0) -> Iterator[JsonSpan]:
    """Every value of the well-formed JSON value that begins at ``start``, outermost first."""
    yield from _value(text, start, "", start)[0]


def signed_body(text: bytes) -> JsonSpan:
    """The object that is signed: the value of the member that is not called ``signature``."""
    members = [span for span in json_spans(text) if span.path.count("/") == 1]
    return next(span for span in members if span.path != "/signature")


def _value(text: bytes, at: int, path: str, member: int) -> tuple[list[JsonSpan], int]:
    match = _token(text, at)
    token, start = match[1], match.start(1)
    member = start if member == at else member
    if token not in {b"{", b"["}:
        return [JsonSpan(path, start, match.end(1), member, True)], match.end(1)
    found: list[JsonSpan] = []
    at, number = match.end(1), 0
    while _token(text, at)[1] not in {b"}", b"]"}:
        match = _token(text, at)
        if match[1] == b",":
            at = match.end(1)
            continue
        name, begin = str(number), match.start(1)
        if token == b"{":
            name = match[1].strip(b'"').decode()
            at = _token(text, match.end(1)).end(1)  # the colon
        inner, end = _value(text, at if token == b"{" else begin, f"{path}/{name}", begin)
        found += inner
        at, number = end, number + 1
    end = _token(text, at).end(1)
    return [JsonSpan(path, start, end, member, False), *found], end


def _token(text: bytes, at: int) -> re.Match[bytes]:
    match = _TOKEN.match(text, at)
    if match is None:
        raise ValueError("the sample's JSON is not well formed")
    return match
