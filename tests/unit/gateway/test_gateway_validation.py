"""Nothing reaches the engine that is not on an allow-list, and a caller is told which field was wrong."""

import json

import pytest

from sealroom.gateway.errors import InvalidRequestError, api_error
from sealroom.gateway.models import ServedModel
from sealroom.gateway.routes import OwnAnswer, Question, route

MODEL = ServedModel(name="org/small", created=7)
CHAT = "/v1/chat/completions"


def chat(**fields: object) -> dict[str, object]:
    return {"model": "org/small", "messages": [{"role": "user", "content": "hello"}], **fields}


def ask(body: object, path: str = CHAT, method: str = "POST") -> Question:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    question = route(method, path, raw, MODEL)
    assert isinstance(question, Question)
    return question


def refusal(body: object, path: str = CHAT, method: str = "POST") -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        ask(body, path, method)
    return caught.value


def test_an_ordinary_chat_request_is_passed_on_with_what_it_said() -> None:
    question = ask(chat(temperature=0.5, max_tokens=9, stop=["a"], seed=3))
    assert question.path == CHAT
    assert not question.stream
    assert question.body == {
        "model": "org/small",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0.5,
        "max_tokens": 9,
        "stop": ["a"],
        "seed": 3,
    }


@pytest.mark.parametrize(
    "field",
    ["id_slot", "cache_prompt", "n_predict", "grammar", "chat_template", "chat_template_kwargs", "samplers",
     "timings_per_token", "return_tokens", "n_probs", "lora", "kv_transfer_params", "cache_salt", "__verbose"],
)  # fmt: skip
def test_an_engines_own_switch_is_refused_by_name(field: str) -> None:
    error = refusal(chat(**{field: 1}))
    assert (error.param, error.code, error.status) == (field, "unknown_parameter", 400)


def test_an_unknown_field_of_a_message_is_refused_with_its_path() -> None:
    body = chat()
    body["messages"] = [{"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}}]
    assert refusal(body).param == "messages[0].cache_control"


def test_null_means_absent_and_reaches_nobody() -> None:
    assert ask(chat(temperature=None, tools=None, whatever=None)).body == ask(chat()).body


def test_fields_of_openais_own_accounting_are_dropped() -> None:
    fields = {"user": "u-1", "metadata": {"a": "b"}, "service_tier": "auto", "store": False, "safety_identifier": "s",
              "prompt_cache_key": "k", "n": 1}  # fmt: skip
    assert ask(chat(**fields)).body == ask(chat()).body


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"n": True}, "n"),
        ({"store": True}, "store"),
        ({"store": 0}, "store"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": [""]}, "stop[0]"),
        ({"stop": 4}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"other": 1}}, "stream_options.other"),
        ({"logit_bias": {"5": 200}}, "logit_bias.5"),
        ({"logprobs": 3}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"seed": 1 << 63}, "seed"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"functions": []}, "functions"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"messages": []}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "root", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": "hello"}, "messages"),
        ({"model": 7}, "model"),
        ({"model": ""}, "model"),
    ],
)
def test_a_wrong_value_is_refused_with_the_field_named(fields: dict[str, object], param: str) -> None:
    error = refusal(chat(**fields))
    assert (error.param, error.status) == (param, 400)
    assert json.loads(api_error(error).body())["error"]["param"] == param


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "data:image/png;base64,AA"]
)
def test_a_picture_is_refused_so_that_no_engine_ever_fetches_an_address(url: str) -> None:
    body = chat()
    body["messages"] = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]
    error = refusal(body)
    assert error.code == "unsupported_value"
    assert "text only" in error.message
    assert url not in error.message


def test_text_parts_are_passed_on() -> None:
    body = chat()
    body["messages"] = [{"role": "user", "content": [{"type": "text", "text": "a"}]}]
    assert ask(body).body["messages"] == body["messages"]


def test_a_schema_that_would_cost_too_much_to_compile_is_refused() -> None:
    wide = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(4000)}}
    deep: dict[str, object] = {}
    for _ in range(40):
        deep = {"items": deep}
    for schema in (wide, deep):
        form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
        assert refusal(chat(response_format=form)).param == "response_format.json_schema.schema"
    small = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True}}
    assert ask(chat(response_format=small)).body["response_format"] == small


def test_tools_and_an_answer_sent_back_whole_are_taken() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "audio": None,
              "annotations": [], "function_call": None}  # fmt: skip
    body = chat(tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
                tool_choice="auto", parallel_tool_calls=False)  # fmt: skip
    body["messages"] = [answer, {"role": "tool", "tool_call_id": "c1", "content": "1"}]
    assert ask(body).body["messages"] == [{"role": "assistant", "tool_calls": [call]}, body["messages"][1]]


def test_the_newer_name_of_the_token_limit_is_the_one_that_counts() -> None:
    assert ask(chat(max_tokens=5, max_completion_tokens=6)).body["max_tokens"] == 6


def test_a_seed_never_becomes_the_number_that_engines_read_as_random() -> None:
    for seed in (-1, 0xFFFFFFFF, -(1 << 63), (1 << 63) - 1):
        given = ask(chat(seed=seed)).body["seed"]
        assert isinstance(given, int)
        assert 0 <= given < 0xFFFFFFFF


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"7", b"{", b'{"model": NaN}', b"\xff\xfe", b'{"a":1,"a":2}', b"[" * 100_000, b'{"a":' * 100_000,
     b'{"seed": ' + b"9" * 5000 + b"}"],
    ids=["empty", "list", "number", "cut", "nan", "not-utf8", "twice", "deep-list", "deep-object", "huge-number"],
)  # fmt: skip
def test_a_body_that_is_no_plain_json_object_is_refused(raw: bytes) -> None:
    assert refusal(raw).code == "invalid_json"


def test_text_that_no_utf8_can_carry_is_refused() -> None:
    raw = b'{"model":"org/small","messages":[{"role":"user","content":"\\ud800"}]}'
    assert refusal(raw).param == "messages[0].content"


def test_the_value_that_was_wrong_is_never_repeated_to_anybody() -> None:
    error = refusal(chat(temperature="MARKER"))
    assert "MARKER" not in str(error)
    assert "MARKER" not in repr(ask(chat(user="MARKER")))


def test_another_model_than_the_rooms_is_not_found() -> None:
    error = refusal(chat() | {"model": "gpt-4o"})
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")


def test_the_model_is_required() -> None:
    body = chat()
    del body["model"]
    assert (refusal(body).param, refusal(body).code) == ("model", "missing_required_parameter")


def test_a_completion_has_one_prompt_of_text() -> None:
    ask_completion = {"model": "org/small", "prompt": ["once"], "echo": False, "best_of": 1, "logprobs": 2}
    question = ask(ask_completion, "/v1/completions")
    assert question.body == {"model": "org/small", "prompt": "once", "logprobs": 2}
    for prompt in (["a", "b"], [1, 2], [], 5, {"a": 1}):
        assert (refusal(ask_completion | {"prompt": prompt}, "/v1/completions").param or "").startswith("prompt")
    for field, value in (("suffix", "x"), ("echo", True), ("best_of", 3)):
        assert refusal(ask_completion | {field: value}, "/v1/completions").param == field


def test_embeddings_take_texts() -> None:
    body = {"model": "org/small", "input": ["a", "b"], "encoding_format": "base64", "user": "u"}
    assert ask(body, "/v1/embeddings").body == {
        "model": "org/small",
        "input": ["a", "b"],
        "encoding_format": "base64",
    }
    for field, value in (("input", [1, 2]), ("input", ""), ("input", ["a"] * 257), ("dimensions", 3)):
        assert (refusal(body | {field: value}, "/v1/embeddings").param or "").startswith(field)


def test_the_model_list_is_answered_without_the_engine() -> None:
    listing = route("GET", "/v1/models", b"", MODEL)
    card = route("GET", "/v1/models/org/small", b"", MODEL)
    assert isinstance(listing, OwnAnswer)
    assert isinstance(card, OwnAnswer)
    assert json.loads(listing.body)["data"] == [json.loads(card.body)]
    assert json.loads(card.body) == {"id": "org/small", "object": "model", "created": 7, "owned_by": "sealroom"}
    assert refusal(b"", "/v1/models/other", "GET").status == 404


@pytest.mark.parametrize(
    "path",
    ["/", "/slots", "/props", "/v1/stream", "/v1/streams/lookup", "/v1/chat/completions/control",
     "/v1/chat/completions/", "/v1//chat/completions", "/tokenize", "/lora-adapters", "/metrics", "/v1/models%2f"],
)  # fmt: skip
def test_no_other_address_of_the_engine_can_be_reached(path: str) -> None:
    assert refusal(chat(), path).status == 404


def test_a_wrong_method_is_refused() -> None:
    assert refusal(chat(), CHAT, "GET").status == 405
    assert refusal(b"", "/v1/models", "POST").status == 405
