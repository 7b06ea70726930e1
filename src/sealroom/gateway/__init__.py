"""What the world talks to: opens sealed requests, asks the engine, seals the answers.

    app              the four addresses outside the encryption; anything else is a constant 404
    exchange_service one sealed exchange: receive, check, queue, ask, seal, stream
    routes           the addresses inside the encryption
    chat_completions, completions, embeddings, models    one file an endpoint: what a request may hold
    sampling, fields the words in which the endpoints say so
    queue_service    so many at work, so many waiting
    errors, problems every refusal: inside in OpenAI's shape, outside constant
    transport        the HTTP server under it: header bounds and timers, no log of any request

A request flows app → exchange_service → `channel.ServerExchange` → routes → queue → `engines.Engine.open`, and the
answer back through the sealer, chunk by chunk. The engine sees nothing of a request before its authenticated end, and
nothing in it that an allow-list did not name.
"""
