"""SERVE: what runs the model, as a child in a sandbox.

    base                  the words: Engine, EngineRequest, EngineResponse, EngineState
    registry              engines by name
    gguf                  the model file's header, read in Python before any C++ sees it
    llama_cpp             the adapter: one service for answers, one for embeddings
    llama_cpp_settings    what an operator may choose
    llama_cpp_parameters  every setting of the engine that follows, and the digest over them
    llama_cpp_service     one supervised process and the requests that go to it
    slots                 who may use which part of the engine's memory, and when it is wiped
    requests, answers     what llama.cpp may be sent, and what it may say
    wire                  HTTP/1.1 over the process's Unix socket
    supervision           restarts with growing pauses
    prepared_child        the process before it knows anything: loads while the room boots
    child_process         one life of the process: plan and model, look from outside, consent, end
    child_plan            what supervisor and child tell each other
    llama_cpp_child       the program that the child runs: sandbox first, then the model
    sandbox/              Landlock, seccomp, process hygiene, and the probes that try to get out

A request flows gateway → `llama_cpp.open` → `requests` → `slots` → `wire` → child, and the answer flows back
through `answers`. Nothing here knows of evidence or encryption.
"""
