"""HTTP for collateral: bounded in size and time, no redirects, patient with a service that asks for patience."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from sealroom.errors import UnavailableError

__all__ = ["Answer", "OneRound", "Transport"]

MAX_BODY = 4 * 1024 * 1024
_TRY_AGAIN = frozenset({429, 502, 503, 504})
_LONGEST_PAUSE = 30.0
_LONGEST_ANSWER = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a service sent; untrusted."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    """Names in lower case."""


class Transport:
    """Asks services.

    Args:
        timeout: seconds for each step of a request.
        attempts: how often to ask a service that is busy.
        pause: waits, seconds.
        longest: seconds for a whole answer, however steadily it trickles.
    """

    def __init__(
        self, *, timeout: float = 20.0, attempts: int = 4, pause: Callable[[float], None] = time.sleep,
        longest: float = _LONGEST_ANSWER,
    ) -> None:  # fmt: skip
        self._client = httpx.Client(timeout=timeout, follow_redirects=False)
        self._attempts = attempts
        self._pause = pause
        self._longest = longest

    def get(self, url: str) -> Answer:
        """The answer to one request.

        Raises:
            UnavailableError: ``collateral.service``: no answer, or not one that can be used.
        """
        return self._asked("GET", url)

    def post(self, url: str, body: bytes, *, content_type: str) -> Answer:
        """The answer to a request with a body. Raises as `get`."""
        return self._asked("POST", url, content=body, headers={"Content-Type": content_type})

    def _asked(self, method: str, url: str, **request: Any) -> Answer:
        for attempt in range(1, self._attempts + 1):
            try:
                status, answer = self._ask(method, url, **request)
            except (httpx.HTTPError, httpx.InvalidURL) as reason:
                raise _unusable(url, f"{type(reason).__name__}: {reason}"[:200]) from None
            if status == httpx.codes.OK:
                return answer
            if status not in _TRY_AGAIN or attempt == self._attempts:
                raise _unusable(url, f"status {status}")
            self._pause(_wait(answer.headers.get("retry-after"), attempt))
        raise _unusable(url, "no attempt was allowed")

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _ask(self, method: str, url: str, **request: Any) -> tuple[int, Answer]:
        with self._client.stream(method, url, **request) as response:
            parts, size, started = [], 0, time.monotonic()
            for part in response.iter_bytes():
                size += len(part)
                if time.monotonic() - started > self._longest:
                    raise _unusable(url, f"an answer that is not whole after {self._longest:g} s")
                if size > MAX_BODY:
                    raise _unusable(url, f"more than {MAX_BODY} bytes")
                parts.append(part)
            return response.status_code, Answer(body=b"".join(parts), headers=dict(response.headers.items()))


class OneRound(Transport):
    """Asks each question once, and answers it to whoever asks again: devices of one machine need the same things.

    Failures too: a service that did not answer for one device is not asked again for the next.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._told: dict[tuple[str, str, bytes], Answer | UnavailableError] = {}

    def _asked(self, method: str, url: str, **request: Any) -> Answer:
        question = (method, url, request.get("content", b""))
        if question not in self._told:
            try:
                self._told[question] = super()._asked(method, url, **request)
            except UnavailableError as error:
                self._told[question] = error
        told = self._told[question]
        if isinstance(told, UnavailableError):
            raise told
        return told


def _wait(asked: str | None, attempt: int) -> float:
    """What the service asks for, in seconds; a date, or nothing, is answered by a pause of our own."""
    seconds = float(asked) if asked is not None and asked.isdigit() else 0.5 * 2**attempt
    return min(seconds, _LONGEST_PAUSE)


def _unusable(url: str, got: str) -> UnavailableError:
    return UnavailableError("collateral.service", "the vendor's service gave nothing that can be used", where=url,
                            got=got, hint="ask again later, name another service with --service, or carry a "
                            "collateral bundle in from a place that has one")  # fmt: skip
