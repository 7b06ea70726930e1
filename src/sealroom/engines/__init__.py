"""SERVE: what runs the model, as a child in a sandbox.

    base          the words: Engine, EngineRequest, EngineResponse, EngineState
    registry      engines by name
    gguf          the model file's header, read in Python before any C++ sees it
    llama_cpp     the adapter: one sandboxed child per task, requests in, answers out
    …_child       the program that the child runs: sandbox first, then the model
    supervision   a child's life: start, proof of its layers, back-off, end
    slots         who may use which part of the engine's memory, and when it is wiped
    requests      what llama.cpp may be sent
    answers       what it may say
    wire          HTTP/1.1 over the child's Unix socket
    sandbox/      Landlock, seccomp, process hygiene, and the probes that try to get out

A request flows gateway → `llama_cpp.open` → `requests` → `slots` → `wire` → child, and the answer flows back through
`answers`. Nothing here knows of evidence or encryption.
"""
