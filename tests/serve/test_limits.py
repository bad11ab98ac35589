import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malmoi.core.errors import InvalidInput
from malmoi.serve.limits import LimitExceeded, Limits, LimitStatus, Used, admit, settle, status_of, tightest

NOTHING = Used.from_json({})
NOON = 1_767_225_600.0 + 12 * 3600  # 2026-01-01T12:00:00Z


def test_requests_up_to_the_limit_and_no_more() -> None:
    used, limits = NOTHING, Limits(requests_per_minute=3)
    for left in (2, 1, 0):
        used, status = admit(used, limits, tokens=0, now=NOON)
        assert status.requests is not None
        assert status.requests.remaining == left
    with pytest.raises(LimitExceeded, match="3 requests per minute") as caught:
        admit(used, limits, tokens=0, now=NOON)
    assert caught.value.retry_after == 61
    assert caught.value.status.headers() == {
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "61s",
    }


def test_waiting_as_long_as_told_is_enough() -> None:
    limits = Limits(requests_per_minute=2)
    used, _ = admit(NOTHING, limits, tokens=0, now=NOON + 0.9)
    used, _ = admit(used, limits, tokens=0, now=NOON + 20.5)
    with pytest.raises(LimitExceeded) as caught:
        admit(used, limits, tokens=0, now=NOON + 30.2)
    admit(used, limits, tokens=0, now=NOON + 30.2 + caught.value.retry_after)


def test_what_was_not_used_is_given_back() -> None:
    limits = Limits(tokens_per_minute=100)
    used, _ = admit(NOTHING, limits, tokens=90, now=NOON)
    with pytest.raises(LimitExceeded, match="do not leave 20"):
        admit(used, limits, tokens=20, now=NOON + 1)
    used = settle(used, change=10 - 90, at=NOON, now=NOON + 2)
    _, status = admit(used, limits, tokens=90, now=NOON + 3)
    assert status.tokens is not None
    assert status.tokens.remaining == 0


def test_more_than_was_reserved_is_charged_too() -> None:
    limits = Limits(tokens_per_minute=100)
    used, _ = admit(NOTHING, limits, tokens=50, now=NOON)
    used = settle(used, change=80 - 50, at=NOON, now=NOON + 1)
    with pytest.raises(LimitExceeded):
        admit(used, limits, tokens=21, now=NOON + 2)


def test_a_day_ends_at_midnight_utc() -> None:
    limits = Limits(tokens_per_day=100)
    used, _ = admit(NOTHING, limits, tokens=100, now=NOON)
    with pytest.raises(LimitExceeded, match="today") as caught:
        admit(used, limits, tokens=1, now=NOON + 3600)
    assert caught.value.retry_after == 11 * 3600
    used, _ = admit(used, limits, tokens=1, now=NOON + 12 * 3600)
    settled = settle(used, change=-100, at=NOON, now=NOON + 12 * 3600)
    assert settled.day_tokens == 1  # yesterday's refund is not today's credit


def test_a_request_that_never_fits_is_an_error_of_the_request() -> None:
    with pytest.raises(InvalidInput, match="501 tokens, more than the 500") as caught:
        admit(NOTHING, Limits(tokens_per_minute=500), tokens=501, now=NOON)
    assert caught.value.field == "max_tokens"


def test_a_refused_request_takes_nothing() -> None:
    limits = Limits(requests_per_minute=10, tokens_per_minute=10)
    used, _ = admit(NOTHING, limits, tokens=10, now=NOON)
    with pytest.raises(LimitExceeded):
        admit(used, limits, tokens=1, now=NOON)
    assert status_of(used, limits, now=NOON).requests is not None
    assert sum(used.requests.values()) == 1


def test_of_two_limits_the_tighter_is_shown() -> None:
    _, wide = admit(NOTHING, Limits(requests_per_minute=100, tokens_per_day=50), tokens=1, now=NOON)
    _, narrow = admit(NOTHING, Limits(requests_per_minute=5), tokens=1, now=NOON)
    shown = tightest([wide, narrow]).headers()
    assert shown["x-ratelimit-limit-requests"] == "5"
    assert shown["x-ratelimit-limit-tokens"] == "50"
    assert LimitStatus().headers() == {}


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[float, int, int]]:
    """(seconds since the last request, tokens reserved, tokens used)."""
    reserved = st.integers(0, 40)
    return [
        (draw(st.floats(0, 25)), most, draw(st.integers(0, most)))
        for most in draw(st.lists(reserved, min_size=1, max_size=60))
    ]


@given(histories(), st.integers(1, 6), st.integers(40, 90))
@settings(max_examples=150, deadline=None)
def test_no_minute_ever_holds_more_than_the_limit(
    history: list[tuple[float, int, int]], requests: int, tokens: int
) -> None:
    limits = Limits(requests_per_minute=requests, tokens_per_minute=tokens)
    used, now = NOTHING, NOON
    admitted: list[tuple[float, int]] = []
    for pause, reserved, actual in history:
        now += pause
        wait = 0
        try:
            used, _ = admit(used, limits, tokens=reserved, now=now)
        except LimitExceeded as refused:
            wait = refused.retry_after
        if wait:  # and waiting as long as told is enough
            admit(used, limits, tokens=reserved, now=now + wait)
            continue
        used = settle(used, change=actual - reserved, at=now, now=now)
        used = Used.from_json(used.to_json())
        admitted.append((now, actual))
    for start, _ in admitted:
        inside = [count for at, count in admitted if start <= at < start + 60]
        assert len(inside) <= requests
        assert sum(inside) <= tokens


@given(st.lists(st.tuples(st.floats(0, 200), st.integers(0, 5)), max_size=30))
@settings(max_examples=50, deadline=None)
def test_the_state_stays_small(steps: list[tuple[float, int]]) -> None:
    used, now = NOTHING, NOON
    for pause, tokens in steps:
        now += pause
        used, _ = admit(used, Limits(requests_per_minute=10**6), tokens=tokens, now=now)
        assert len(used.requests) <= 61
        assert len(used.tokens) <= 61
        assert all(math.isfinite(n) and n > 0 for n in used.requests.values())
