"""The confidential machine's boot: keys born inside, evidence, weights by a key that evidence earned, engine.

    config           what the operator decides, read from one TOML file
    engine_choice    which engine, with which settings
    limits           every bound on callers
    boot             the named states, in order, and the events that tell of them
    service          the boot itself, and the running room: fresh evidence for every nonce, keys in rotation
    key_generations  the channel's keys: the current ones, and for a while the ones before
    collateral_*     what goes along with evidence: fetched ahead of time, tried, kept, renewed, stapled
    key_client       the room's half of key release
    hardening        the room process: no core dumps, no debugger, no tracebacks with content

    born → keys → evidence → verification → key-release → weights → engine → serving   (→ failed, from any of them)

The operator is not trusted by callers: whatever the configuration decides shows in the statement, which the evidence
binds. The model's key comes only after the broker accepted evidence, and is dropped as soon as the weights are open.
"""
