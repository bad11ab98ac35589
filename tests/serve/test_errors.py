import inspect

import pytest
from starlette.requests import Request

from malmoi.core import errors as core
from malmoi.serve.errors import (
    _KINDS,
    RequestRefused,
    api_of,
    envelope,
    error_response,
    headers_of,
    status_of,
    validation_error,
)
from malmoi.serve.limits import Budget, LimitExceeded, LimitStatus


@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/v1/chat/completions", "openai"),
        ("/v1/models", "openai"),
        ("/v1/openai/chat/completions", "studio-openai"),
        ("/v1/chat-completions/x", "studio"),
        ("/v3/chat-completions/x", "studio"),
        ("/v1/api-tools/embedding/v2", "studio"),
        ("/testapp/v1/chat-completions/x", "studio"),
        ("/api/models", "own"),
        ("/healthz", "own"),
        ("/", "own"),
    ],
)
def test_the_path_decides_the_shape(path: str, api: str) -> None:
    assert api_of(path) == api


def test_every_error_class_of_the_house_has_a_status() -> None:
    classes = [
        cls for _, cls in inspect.getmembers(core, inspect.isclass) if issubclass(cls, core.MalmoiError)
    ]
    assert len(classes) > 15
    for cls in classes:
        assert any(
            ancestor in _KINDS for ancestor in cls.__mro__ if ancestor is not core.MalmoiError
        ) or cls in (
            core.MalmoiError,
            core.ConfigError,
        ), cls


@pytest.mark.parametrize(
    ("error", "openai", "code", "studio"),
    [
        (core.InvalidInput("x", field="n"), 400, "invalid_value", "40001"),
        (core.ContextOverflow(5, 3), 400, "context_length_exceeded", "40003"),
        (core.Unsupported("x"), 400, "unsupported_value", "40009"),
        (core.Unauthenticated("x"), 401, "invalid_api_key", "40100"),
        (core.Forbidden("x"), 403, "permission_denied", "40300"),
        (core.UnknownName("model", "x", []), 404, "model_not_found", "40080"),
        (core.StructuredOutputInvalid("x"), 422, "structured_output_invalid", "42400"),
        (core.RateLimited("x", retry_after=3), 429, "rate_limit_exceeded", "42901"),
        (core.Overloaded("x", retry_after=3), 429, "overloaded", "42902"),
        (core.EngineError("x"), 502, "engine_error", "50000"),
        (core.EngineUnavailable("x"), 503, "engine_unavailable", "50300"),
        (core.DiskFull("x"), 507, "disk_full", "50000"),
        (RuntimeError("secret"), 500, "internal_error", "50000"),
    ],
)
def test_statuses_and_codes(error: Exception, openai: int, code: str, studio: str) -> None:
    assert status_of(error, "openai") == openai
    assert envelope(error, "openai")["error"]["code"] == code
    assert envelope(error, "studio")["status"]["code"] == studio
    assert status_of(error, "studio") == int(studio[:3])
    assert envelope(error, "studio-openai")["error"]["code"] == studio
    assert "secret" not in str([envelope(error, api) for api in ("openai", "studio", "own")])


def test_overload_is_told_as_its_own_type_with_whole_seconds() -> None:
    error = core.Overloaded("busy", retry_after=7)
    assert envelope(error, "openai")["error"]["type"] == "overloaded"
    assert headers_of(error) == {"Retry-After": "7"}


def test_a_used_up_limit_tells_what_is_left() -> None:
    status = LimitStatus(requests=Budget(10, 0, 33))
    error = LimitExceeded("used up.", retry_after=33, status=status)
    assert headers_of(error)["x-ratelimit-remaining-requests"] == "0"
    assert headers_of(error)["Retry-After"] == "33"


def test_the_fix_is_part_of_the_message_where_there_is_no_field_for_it() -> None:
    error = core.InvalidInput("wrong.", field="a.b", fix="Mend it.")
    assert envelope(error, "openai")["error"]["message"] == "wrong. Mend it."
    assert envelope(error, "own")["error"] == {
        "code": "invalid_input",
        "message": "wrong.",
        "fix": "Mend it.",
        "field": "a.b",
    }


def test_half_a_character_in_a_message_breaks_nothing() -> None:
    scope = {"type": "http", "path": "/v1/x", "method": "POST", "headers": []}
    response = error_response(core.InvalidInput("no \ud800 here"), scope)
    assert Request(scope).method == "POST"
    assert b"no ? here" in response.body


def test_validation_errors_name_the_field_as_the_client_wrote_it() -> None:
    complaint = {
        "loc": ("body", "messages", 0, "content", "list[ContentPart]", 1, "type"),
        "msg": "Field required",
    }
    error = validation_error([complaint])
    assert error.field == "messages.0.content.1.type"
    assert error.message == "messages.0.content.1.type: Field required."
    bad_query = validation_error([{"loc": ("query", "days"), "msg": "too large"}])
    assert bad_query.field == "days"


def test_refusals_of_http_itself_keep_their_status() -> None:
    error = RequestRefused(413, "body_too_large", "large.", headers={"Connection": "close"})
    assert (status_of(error, "openai"), status_of(error, "studio")) == (413, 413)
    assert envelope(error, "studio")["status"]["code"] == "41300"
    assert headers_of(error) == {"Connection": "close"}
