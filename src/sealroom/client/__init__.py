"""USE: verify a room, then talk to it, and to nothing else.

    policy ──┐
    room ────┴─ session ── evidence, fresh nonce → verifier.attest_room → AttestedRoom (key, statement, appraisal)
                   │                                                          │
    request ── exchange: one chunked OHTTP exchange, sealed to that key ──────┘
                   │
        transport (httpx, sync and async)   service (asyncio, aiohttp) ── proxy_app (OpenAI endpoint on loopback)

`address`, `session`, `exchange`, `proxy_rules` and `sse` are pure: they take time and nonces and do no input or
output. No exchange begins without an `AttestedRoom`, and nothing but the verifier makes one: no key, no bytes.
"""
