"""Sealroom: LLM inference that nobody but the two ends can read, with the proof in the caller's hand.

caller ── sealed to a verified key ──▶ room (a confidential machine) ──▶ engine
   │                                     ▲
   └─ policy ─▶ verifier ◀─ evidence ────┤ key of the weights, released for evidence
                                      broker ◀── model owner

PROVE    tees        evidence of the silicon: parse, verify, claims
JUDGE    policy      what is acceptable, to whom, and why not; `verifier` joins the two
SPEAK    channel     one exchange, end to end
SEAL     sealed      model weights at rest
RELEASE  broker      keys for evidence
SERVE    room, engines, gateway
USE      client      verify, then talk; what this package hands out:

client = openai.OpenAI(http_client=sealroom.httpx_client(room=URL, policy="policy.toml"), base_url=f"{URL}/v1", …)
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealroom.client.clients import async_httpx_client, httpx_client, reason

__all__ = ["async_httpx_client", "httpx_client", "reason"]


def __getattr__(name: str) -> object:
    """Import the client on first use: ``import sealroom`` alone costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sealroom.client import clients  # noqa: PLC0415 - the point of this function

    return getattr(clients, name)
