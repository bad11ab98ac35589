import math

import pytest

from malmoi.core.errors import ContextOverflow, EngineError, EngineUnavailable, InvalidInput
from malmoi.engine.base import TokenLogprob
from malmoi.engine.llamacpp import replies
from malmoi.engine.llamacpp.connection import ConnectionLost
from malmoi.engine.llamacpp.native_log import NativeLog

OVERFLOW = {"type": "exceed_context_size_error", "message": "too long", "n_prompt_tokens": 70, "n_ctx": 64}


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, OVERFLOW, ContextOverflow),
        (400, {"type": "invalid_request_error", "message": "failed to parse grammar"}, InvalidInput),
        (400, {"type": "invalid_request_error", "message": "Prompt contains invalid tokens"}, InvalidInput),
        (503, {"type": "unavailable_error", "message": "Loading model"}, EngineUnavailable),
        (500, {"type": "server_error", "message": "decode failed"}, EngineError),
        (502, "status 502", EngineError),
    ],
)
def test_refusals(status: int, error: object, kind: type[EngineError]) -> None:
    with pytest.raises(kind) as caught:
        replies.raise_refusal(status, error)
    assert type(caught.value) is kind


def test_an_overflow_has_both_counts() -> None:
    with pytest.raises(ContextOverflow) as caught:
        replies.raise_refusal(400, OVERFLOW)
    assert (caught.value.prompt_tokens, caught.value.context_length) == (70, 64)


def test_an_error_in_the_middle_of_a_stream() -> None:
    with pytest.raises(EngineError, match="decode failed"):
        replies.parse_event(b'{"error": {"code": 500, "message": "decode failed", "type": "server_error"}}')
    with pytest.raises(EngineError, match="decode failed"):
        replies.parse_event(b'{"code": 500, "message": "decode failed", "type": "server_error"}')


@pytest.mark.parametrize("payload", [b"{", b"[]", b"\xff"])
def test_an_event_that_is_none(payload: bytes) -> None:
    with pytest.raises(ConnectionLost):
        replies.parse_event(payload)


def test_logprobs_keep_bytes_that_are_no_text_yet() -> None:
    entry = {
        "id": 7,
        "token": "안",
        "bytes": list("안".encode()),
        "logprob": -0.5,
        "top_logprobs": [{"token": "x", "bytes": [0xEC], "logprob": -1.0}, {"token": "b", "logprob": -2.0}],
    }
    read = {"completion_probabilities": [entry]}
    assert replies.read_logprobs(read, None) == ()
    assert replies.read_logprobs(read, 0) == (TokenLogprob("안", -0.5, 7),)
    assert replies.read_logprobs(read, 2) == (TokenLogprob("안", -0.5, 7, (("\ufffd", -1.0), ("b", -2.0))),)


@pytest.mark.parametrize(
    ("stop_type", "called", "reason"),
    [("eos", False, "stop"), ("word", False, "stop"), ("limit", True, "length"), ("eos", True, "tool_calls")],
)
def test_finish_reasons(stop_type: str, called: bool, reason: str) -> None:
    assert replies.read_finish({"stop_type": stop_type}, called_tools=called) == reason


def test_usage() -> None:
    usage = replies.read_usage(
        {
            "tokens_evaluated": 7,
            "tokens_predicted": 2,
            "timings": {"cache_n": 3, "prompt_ms": 20.0, "predicted_ms": 50.0},
        },
        reasoning_tokens=1,
    )
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (7, 3, 2)
    assert usage.reasoning_tokens == 1
    assert math.isclose(usage.prompt_seconds, 0.02)
    assert math.isclose(usage.completion_seconds, 0.05)


def test_the_log_quotes_llama_and_never_people() -> None:
    log = NativeLog(num_lines=3)
    for line in (
        b"0.03.991.123 E srv    send_error: out of memory",
        b"0.03.991.123 I srv    loading",
        b"0.03.991.123 E failed to parse grammar: my secret",
        b"root ::= my secret",
        b"Tokens: my secret",
        b"/src/ggml.c:42: GGML_ASSERT(n > 0) failed \x1b[31m" + b"x" * 400,
    ):
        log.feed(line)
    assert "out of memory | /src/ggml.c:42: GGML_ASSERT" in log.tail()
    assert "secret" not in log.tail()
    assert "\x1b" not in log.tail()
    assert len(log.tail()) < 400
