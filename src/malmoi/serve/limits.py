"""Limits of requests and tokens, as arithmetic on plain data: no clock, no database, state in and state out.

A window is a map from seconds to counts. What happened in second s counts until second s + 61 begins, so no
60 seconds ever hold more than the limit. A request first takes the most it may use (prompt and longest
answer); when it is over, what it did not use is given back to the second from which it was taken. Tokens of a
day are those of the UTC date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from malmoi.core.errors import InvalidInput, RateLimited

_KEPT_SECONDS = 61  # the running second is not over yet, so 60 whole ones and it
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Limits:
    """Most requests and tokens of one key or account; 0: no limit."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    tokens_per_day: int = 0

    def __bool__(self) -> bool:
        return bool(self.requests_per_minute or self.tokens_per_minute or self.tokens_per_day)


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of one limit; `reset` in seconds until all of it is there again."""

    limit: int
    remaining: int
    reset: int


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """What is left after a request was admitted; None where there is no limit."""

    requests: Budget | None = None
    tokens: Budget | None = None

    def headers(self) -> dict[str, str]:
        """The `x-ratelimit-*` headers, named as OpenAI names them."""
        found = {"requests": self.requests, "tokens": self.tokens}
        return {
            f"x-ratelimit-{part}-{kind}": text
            for kind, budget in found.items()
            if budget is not None
            for part, text in (
                ("limit", str(budget.limit)),
                ("remaining", str(budget.remaining)),
                ("reset", f"{budget.reset}s"),
            )
        }


NO_LIMIT_STATUS = LimitStatus()


class LimitExceeded(RateLimited):
    """A limit is used up; `status` holds what is left of each."""

    def __init__(self, message: str, *, retry_after: int, status: LimitStatus) -> None:
        super().__init__(message, retry_after=retry_after)
        self.status = status


@dataclass(frozen=True, slots=True)
class Used:
    """What a key or account has used lately: counts by second, and the tokens of one day."""

    requests: Mapping[int, int]
    tokens: Mapping[int, int]
    day: int = 0
    day_tokens: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Used:
        """As `to_json` wrote it; an empty object is nothing used."""
        requests, tokens = (
            {int(s): int(n) for s, n in data.get(name, {}).items()} for name in ("requests", "tokens")
        )
        return cls(requests, tokens, day=int(data.get("day", 0)), day_tokens=int(data.get("day_tokens", 0)))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "requests": {str(s): n for s, n in self.requests.items()},
            "tokens": {str(s): n for s, n in self.tokens.items()},
            "day": self.day,
            "day_tokens": self.day_tokens,
        }


def admit(used: Used, limits: Limits, *, tokens: int, now: float) -> tuple[Used, LimitStatus]:
    """Take one request and `tokens` tokens.

    Args:
        used: what was used until now.
        limits: what may be used.
        tokens: the most that this request may use.
        now: seconds since 1970.

    Returns:
        What is used now, and what is left.

    Raises:
        LimitExceeded: a limit does not allow it now.
        InvalidInput: a limit never allows so many tokens at once.
    """
    used = _forget_old(used, now)
    second = int(now)
    for name, limit in (("minute", limits.tokens_per_minute), ("day", limits.tokens_per_day)):
        if limit and tokens > limit:
            raise InvalidInput(
                f"this request may use {tokens} tokens, more than the {limit} tokens per {name} "
                "that are allowed in all.",
                field="max_tokens",
                fix="Lower max_tokens, or shorten the prompt.",
            )
    waits: list[tuple[int, str]] = []
    if limits.requests_per_minute:
        wait = _wait(used.requests, limits.requests_per_minute, 1, now)
        waits.append((wait, f"{limits.requests_per_minute} requests per minute are used up."))
    if limits.tokens_per_minute:
        wait = _wait(used.tokens, limits.tokens_per_minute, tokens, now)
        waits.append((wait, f"{limits.tokens_per_minute} tokens per minute do not leave {tokens} now."))
    if limits.tokens_per_day and used.day_tokens + tokens > limits.tokens_per_day:
        wait = _DAY - second % _DAY
        waits.append((wait, f"{limits.tokens_per_day} tokens per day do not leave {tokens} today."))
    longest, message = max(waits, default=(0, ""))
    if longest:
        raise LimitExceeded(message, retry_after=longest, status=status_of(used, limits, now=now))
    taken = Used(
        requests=_add(used.requests, second, 1),
        tokens=_add(used.tokens, second, tokens),
        day=used.day,
        day_tokens=used.day_tokens + tokens,
    )
    return taken, status_of(taken, limits, now=now)


def settle(used: Used, *, change: int, at: float, now: float) -> Used:
    """Give back what a request took at `at` and did not use (`change` < 0), or take what it used beyond."""
    used = _forget_old(used, now)
    settled = replace(used, tokens=_add(used.tokens, int(at), change))
    if int(at) // _DAY != used.day:
        return settled
    return replace(settled, day_tokens=max(0, used.day_tokens + change))


def status_of(used: Used, limits: Limits, *, now: float) -> LimitStatus:
    """What is left of each limit; of the two for tokens, the one with less."""
    used = _forget_old(used, now)
    budgets = [
        _budget(used.tokens, limits.tokens_per_minute, now),
        Budget(
            limits.tokens_per_day,
            max(0, limits.tokens_per_day - used.day_tokens),
            _DAY - int(now) % _DAY,
        )
        if limits.tokens_per_day
        else None,
    ]
    return LimitStatus(_budget(used.requests, limits.requests_per_minute, now), _least(budgets))


def tightest(statuses: Iterable[LimitStatus]) -> LimitStatus:
    """Of several limits that hold at once, what is really left."""
    known = list(statuses)
    return LimitStatus(_least(s.requests for s in known), _least(s.tokens for s in known))


def _least(budgets: Iterable[Budget | None]) -> Budget | None:
    return min((b for b in budgets if b is not None), key=lambda b: b.remaining, default=None)


def _budget(window: Mapping[int, int], limit: int, now: float) -> Budget | None:
    if not limit:
        return None
    reset = max((s + _KEPT_SECONDS - int(now) for s, n in window.items() if n > 0), default=0)
    return Budget(limit, max(0, limit - sum(window.values())), reset)


def _wait(window: Mapping[int, int], limit: int, cost: int, now: float) -> int:
    """Whole seconds until `cost` fits; 0: it fits now."""
    total = sum(window.values())
    if total + cost <= limit:
        return 0
    for second in sorted(window):
        total -= window[second]
        if total + cost <= limit:
            return max(1, second + _KEPT_SECONDS - int(now))
    return _KEPT_SECONDS


def _forget_old(used: Used, now: float) -> Used:
    oldest = int(now) - _KEPT_SECONDS + 1
    day = int(now) // _DAY
    return Used(
        requests={s: n for s, n in used.requests.items() if s >= oldest},
        tokens={s: n for s, n in used.tokens.items() if s >= oldest},
        day=day,
        day_tokens=used.day_tokens if used.day == day else 0,
    )


def _add(window: Mapping[int, int], second: int, count: int) -> dict[int, int]:
    total = window.get(second, 0) + count
    # A second whose tokens were all given back, or that has left the window meanwhile, is not kept.
    return {**{s: n for s, n in window.items() if s != second}, **({second: total} if total > 0 else {})}
