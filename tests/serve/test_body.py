"""What JSON bodies may be, and what looking at them may cost: it is done before anybody knows who calls."""

import time
import tracemalloc

import pytest

from malmoi.core.errors import InvalidInput
from malmoi.serve.body import MAX_DEPTH, MAX_VALUES, JsonGate, check_json

MANY = MAX_VALUES + 1


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join([b"[]"] * 1_000_000) + b"]",
        b"[" * 90 + b",".join([b"[]"] * 1_000_000) + b"]" * 90,
        b'["\\\\\\"",' + b",".join([b'""'] * 1_000_000) + b"]",
        b"[" + b"{}," * 1_000_000 + b"{}]",
    ],
    ids=["flat", "deep", "texts", "objects"],
)
def test_millions_of_values_are_refused_before_they_are_made(body: bytes) -> None:
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(InvalidInput, match="more than"):
            check_json(body)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(body)
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 8.0


@pytest.mark.parametrize(
    "body",
    [
        b'"' + b'\\"' * 1_000_000 + b"," * MANY,
        b'""' * 1_000_000 + b"," * (MAX_VALUES - 1),
        b'"' + b"\\," * MANY,
    ],
)
def test_texts_without_an_end_cost_no_more_than_others(body: bytes) -> None:
    began = time.process_time()
    with pytest.raises(InvalidInput):
        check_json(body)
    assert time.process_time() - began < 8.0


@pytest.mark.parametrize("text", [b"a,[{", b'\\",', b"\\\\,"])
def test_commas_inside_of_texts_are_no_values(text: bytes) -> None:
    assert isinstance(check_json(b'{"x":"' + text * MANY + b'","y":""}'), dict)


def test_depth_is_counted_exactly() -> None:
    check_json(b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH)
    with pytest.raises(InvalidInput, match="nested"):
        check_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"a":[1,{"b":"x\\u0000"}]}', "a.1.b"),
        (b'{"a":[[],{"c":1},1e999]}', "a.2"),
        (b'"\\u0000"', None),
        (b'{"a\\u0000":1}', None),
    ],
)
def test_a_value_that_cannot_be_held_is_named_by_its_place(body: bytes, field: str | None) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_json(body)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "types", [[], [b"application/json", b"text/plain"], [b"text/plain", b"application/json; charset=utf-8"]]
)
async def test_no_set_of_content_types_leads_around_the_gate(types: list[bytes]) -> None:
    """Frameworks take the first of several headers, dictionaries the last."""
    reached = False

    async def app(*_: object) -> None:
        nonlocal reached
        reached = True

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b'"\\u0000"', "more_body": False}

    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    headers = [(b"content-type", value) for value in types]
    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": headers}
    await JsonGate(app)(scope, receive, send)  # type: ignore[arg-type]
    assert not reached
    assert sent[0]["status"] == 400
