"""The best items for one history, and which of its events put them there.

L events, M items, D numbers a vector, K items asked about.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import UnknownName
from malmoi.users.logs import UNKNOWN, History, Items
from malmoi.users.opening import OpenModel

WHY_EVENTS = 64
"""Newest events that are left out one at a time to explain a recommendation."""
_REASONS = 3
_SCORED_AT_ONCE = 16  # histories, where a model gives whole rows of scores

Encode = Callable[[Sequence[History]], NDArray[np.float32]]


@dataclass(frozen=True)
class Reason:
    """An event that speaks for an item: `drop` is what the item's score loses without it."""

    event: int
    text: str
    drop: float


@dataclass(frozen=True)
class Recommended:
    """One item, and why."""

    item: str
    service: str
    text: str
    score: float
    why: tuple[Reason, ...]


def rank(
    opened: OpenModel,
    history: History,
    *,
    top: int,
    services: Sequence[str] | None,
    exclude_seen: bool,
    why: bool,
    encode: Encode,
) -> list[Recommended]:
    """The `top` items for a history, best first; equal ones in the order of the model.

    Args:
        opened: the model.
        history: what somebody did.
        top: how many.
        services: only items of these; None: of all.
        exclude_seen: leave out items that are in the history, by number or by text.
        why: tell which events speak for each.
        encode: the model's, or one that remembers.

    Raises:
        UnknownName: the model knows no such service.
    """
    items = opened.model.items
    # A copy: a model may give away an array of its own.
    scores = np.array(_scores(opened, [history], encode)[0], dtype=np.float32)
    if services is not None:
        scores[~_of_services(items, services)] = -np.inf
    if exclude_seen:
        scores[history.items[history.items != UNKNOWN]] = -np.inf
        for text in dict.fromkeys(history.texts):
            scores[opened.numbers_of_text.get(text, [])] = -np.inf
    best = _best(scores, top)
    reasons: list[tuple[Reason, ...]] = [()] * len(best)
    if why and len(best):
        reasons = _reasons(opened, history, best, encode)
    return [
        Recommended(
            items.ids[number],
            items.services[items.service[number]],
            items.texts[number],
            float(scores[number]),
            reason,
        )
        for number, reason in zip(best.tolist(), reasons, strict=True)
    ]


def _scores(opened: OpenModel, histories: Sequence[History], encode: Encode) -> NDArray[np.float32]:
    """Of all items, (B, M)."""
    if opened.item_vectors is None:
        return opened.model.score(histories)
    return encode(histories) @ opened.item_vectors.T


def _of_services(items: Items, services: Sequence[str]) -> NDArray[np.bool_]:
    wanted = np.zeros(len(items.services), dtype=np.bool_)
    for service in services:
        if service not in items.services:
            raise UnknownName("service", service, items.services)
        wanted[items.services.index(service)] = True
    return wanted[items.service]


def _best(scores: NDArray[np.float32], top: int) -> NDArray[np.int64]:
    top = min(top, int(np.isfinite(scores).sum()))
    if top < 1:
        return np.zeros(0, dtype=np.int64)
    # All that tie with the last one, so that the order among equals is that of the model.
    least = -np.partition(-scores, top - 1)[top - 1]
    best = np.flatnonzero(scores >= least)
    return np.asarray(best[np.lexsort((best, -scores[best]))][:top])


def _reasons(
    opened: OpenModel, history: History, best: NDArray[np.int64], encode: Encode
) -> list[tuple[Reason, ...]]:
    """For each of K items the events without which its score falls most."""
    places = list(range(max(0, len(history) - WHY_EVENTS), len(history)))
    without = [_without(history, place) for place in places]
    scores = _scores_of(opened, [history, *without], best, encode)  # (L + 1, K)
    drops = scores[:1] - scores[1:]
    reasons = []
    for column in drops.T:
        order = np.lexsort((np.arange(len(column)), -column))[:_REASONS]
        reasons.append(
            tuple(
                Reason(places[n], history.texts[places[n]], float(column[n]))
                for n in order.tolist()
                if column[n] > 0
            )
        )
    return reasons


def _scores_of(
    opened: OpenModel, histories: Sequence[History], best: NDArray[np.int64], encode: Encode
) -> NDArray[np.float32]:
    if opened.item_vectors is not None:
        return encode(histories) @ opened.item_vectors[best].T
    parts = [
        opened.model.score(histories[start : start + _SCORED_AT_ONCE])[:, best]
        for start in range(0, len(histories), _SCORED_AT_ONCE)
    ]
    return np.concatenate(parts)


def _without(history: History, place: int) -> History:
    texts = history.texts[:place] + history.texts[place + 1 :]
    times = None if history.times is None else np.delete(history.times, place)
    return History(texts, np.delete(history.items, place), times)
