"""Attacks on one exchange: the man in the middle cuts an answer, or sends a request a second time."""

import json

import httpx

import sealroom
from sealroom.attacks.attack import Attack, Refusal, Target, refusal_of
from sealroom.attacks.man_in_the_middle import GATEWAY, Bytes, Meddling, Passed, man_in_the_middle
from sealroom.channel.varint import decode_varint
from sealroom.errors import SealroomError

__all__ = ["ATTACKS"]

_RESPONSE_NONCE = 32  # bytes before the first chunk: max(Nn, Nk) of AES-256-GCM, RFC 9458 section 4.4
_KEPT_CHUNKS = 3


def _question(target: Target, *, stream: bool) -> dict[str, object]:
    words = [{"role": "user", "content": "count to twenty"}]
    return {"model": target.model_name, "messages": words, "max_tokens": 24, "stream": stream}


async def _cut_at_border(target: Target) -> Refusal | None:
    meddling = Meddling(room=target.room_url, answer=_keep_whole_chunks)
    async with (
        man_in_the_middle(meddling) as deceived_url,
        sealroom.async_httpx_client(room=deceived_url, policy=target.policy_file) as caller,
    ):
        try:
            answer = await caller.post("/v1/chat/completions", json=_question(target, stream=True))
            await answer.aread()
        except (SealroomError, httpx.HTTPError) as error:
            return refusal_of(error)
    return None


async def _keep_whole_chunks(stream: Bytes) -> Bytes:
    """The first chunks, whole, and then the end of the connection: no bit is wrong, only the rest is missing."""
    buffer = b""
    async for piece in stream:
        buffer += piece
        if (end := _end_of_chunks(buffer, _KEPT_CHUNKS)) is not None:
            yield buffer[:end]
            return


def _end_of_chunks(data: bytes, count: int) -> int | None:
    """The offset behind the ``count``-th chunk, if ``data`` reaches that far."""
    at = _RESPONSE_NONCE
    for _ in range(count):
        found = decode_varint(data, at)
        if found is None:
            return None
        length, at = found
        at += length
        if at > len(data):
            return None
    return at


async def _replayed_request(target: Target) -> Refusal | None:
    meddling = Meddling(room=target.room_url)
    async with (
        man_in_the_middle(meddling) as deceived_url,
        sealroom.async_httpx_client(room=deceived_url, policy=target.policy_file) as caller,
        httpx.AsyncClient(trust_env=False) as again,
    ):
        answer = await caller.post("/v1/chat/completions", json=_question(target, stream=False))
        answer.raise_for_status()
        recorded = next(seen for seen in meddling.passed if _is_exchange(seen))
        headers = {"content-type": recorded.headers["Content-Type"]}
        second = await again.post(f"{target.room_url}{GATEWAY}", content=recorded.request, headers=headers)
    return _problem(second)


def _is_exchange(seen: Passed) -> bool:
    return seen.method == "POST" and seen.path_and_query == GATEWAY


def _problem(answer: httpx.Response) -> Refusal | None:
    """What the gateway said outside the encryption (problem+json), or None if it did the work again."""
    if answer.is_success:
        return None
    try:
        said = json.loads(answer.content)
    except ValueError:
        return Refusal(f"http.{answer.status_code}")
    return Refusal(said.get("code", said.get("type", "")), said.get("title", ""))


ATTACKS = (
    Attack(
        name="cut-stream",
        tried="a streamed answer cut at a chunk border",
        noticed_by="caller",
        codes=frozenset({"channel.truncated", "client.cut-answer"}),
        run=_cut_at_border,
    ),
    Attack(
        name="replayed-request",
        tried="a caller's sealed request sent a second time",
        noticed_by="gateway",
        codes=frozenset({"channel.replayed"}),
        run=_replayed_request,
    ),
)
