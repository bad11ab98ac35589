"""Uses of rankings: webtoons for people known from elsewhere, and the products of a shop nobody knows yet."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from malmoi.users.base import Recommender, TextRecommender
from malmoi.users.cases import Cases
from malmoi.users.logs import UNKNOWN, History, Items, Logs
from malmoi.users.ranking import Ranks, compare, gains, interval, ndcg, rank_cases
from malmoi.users.uses.company import halves, last_at, of_services
from malmoi.users.uses.setting import Row, Setting, UseResult, described, ordered

_NEW = 0.3
_SENTENCES = {"sketch_of": "sentences"}
"""Of the head of CLUE in the new shop."""


class OnItems:
    """A model of texts that ranks other items than those it was fitted to."""

    def __init__(self, model: TextRecommender, items: Items) -> None:
        self._model = model
        self.items = items
        self._vectors = model.encode_items(items.texts)

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """Inner products of users and items, (B, M)."""
        return self._model.encode(histories) @ self._vectors.T


@runtime_checkable
class Contrasted(Protocol):
    """A model whose vectors were contrasted before anything was learned for ranking."""

    def contrast(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """One vector a user, (B, D)."""
        ...


class WithoutHead:
    """A contrasted model as it was before its head: an item is a user who did nothing else."""

    size = 0

    def __init__(self, model: Contrasted) -> None:
        self._model = model

    def encode(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """(B, D)."""
        return self._model.contrast(histories)

    def encode_items(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(len(texts), D)."""
        unknown = np.array([UNKNOWN], dtype=np.int32)
        return self._model.contrast([History((text,), unknown) for text in texts])


class AtService:
    """A model that ranks one service's items alone: the others come last."""

    def __init__(self, model: Recommender, service: str) -> None:
        self._model = model
        self.items = model.items
        self._others = model.items.service != model.items.services.index(service)

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """(B, M)."""
        scores = np.array(self._model.score(histories), dtype=np.float32)
        scores[:, self._others] = -np.inf
        return scores


def webtoons(setting: Setting) -> UseResult:
    """Show webtoons to people whom the models have never seen, by all that they did before."""
    company = setting.company()
    known, new = halves(len(company.logs), _NEW, setting.seed)
    logs, people = company.logs.of_users(known), company.logs.of_users(new)
    cases = last_at(people, "webtoon")
    kinds = ("clue", "mean-text", "markov-knn", "item-knn", "popularity")
    ranks = {kind: rank_cases(AtService(setting.fit(kind, logs), "webtoon"), cases) for kind in kinds}
    ranks["best possible"] = rank_cases(AtService(company.best, "webtoon"), cases)  # type: ignore[arg-type]
    return UseResult(
        "webtoons",
        f"{len(known):,} known users; which of {_count(logs, 'webtoon')} webtoons comes next for "
        f"{len(cases):,} new ones?",
        "NDCG@10",
        _rows(ranks),
        _against(ranks, "clue", ("mean-text", "item-knn", "markov-knn")),
    )


def new_shop(setting: Setting) -> UseResult:
    """Rank the products of a shop that opens today, by their texts and what people did elsewhere.

    Most words of its products are in no text that was learned from. So the head of CLUE reads sentence
    vectors, which know from elsewhere what words mean; tokens that were never learned from say nothing.
    """
    company = setting.company()
    everything = company.logs
    elsewhere = of_services(everything, ("search", "travel", "webtoon"))
    asked = last_at(everything, "shop")
    shop = of_services(everything, ("shop",)).items
    cases = _first_visits(everything, elsewhere, asked, shop)
    ranks: dict[str, Ranks] = {}
    for kind in ("clue", "mean-text"):
        model = setting.fit(kind, elsewhere, settings=_SENTENCES if kind == "clue" else None)
        assert isinstance(model, TextRecommender)
        ranks[kind] = rank_cases(OnItems(model, shop), cases)
        if isinstance(model, Contrasted):
            ranks["clue without its head"] = rank_cases(OnItems(WithoutHead(model), shop), cases)
    random = np.random.default_rng(setting.seed)
    ranks["any order"] = random.integers(1, len(shop) + 1, len(cases)).astype(np.float64)
    ranks["rules known"] = rank_cases(AtService(company.best, "shop"), cases)  # type: ignore[arg-type]
    return UseResult(
        "new-shop",
        f"{len(elsewhere):,} users known from search, travel and webtoons; which of a new shop's "
        f"{len(shop)} products do {len(cases):,} of them buy?",
        "NDCG@10",
        _rows(ranks),
        _against(ranks, "clue", ("mean-text", "clue without its head", "any order")),
    )


def _first_visits(logs: Logs, elsewhere: Logs, asked: Cases, shop: Items) -> Cases:
    """Cases without the shop's past: what was done elsewhere, then the product that was bought."""
    # The shop's items stand behind those of the other services, so that one table holds both.
    items = Items(
        ids=elsewhere.items.ids + shop.ids,
        texts=elsewhere.items.texts + shop.texts,
        services=logs.items.services,
        service=np.concatenate([elsewhere.items.service, shop.service]),
    )
    bought = items.by_id
    parts: list[NDArray[np.int32]] = []
    lengths: list[int] = []
    users: list[int] = []
    for user, truth in zip(asked.user.tolist(), asked.truth.tolist(), strict=True):
        history = elsewhere.sequence(user)
        if not len(history):
            continue
        number = bought["shop", logs.items.ids[truth]]
        assert number != UNKNOWN
        parts.append(np.append(history, np.int32(number)).astype(np.int32))
        lengths.append(len(history) + 1)
        users.append(user)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    names = tuple(logs.users[user] for user in users)
    whole = Logs(users=names, items=items, offsets=offsets, events=np.concatenate(parts))
    return Cases(whole, np.arange(len(users), dtype=np.int64), offsets[1:] - 1)


def _count(logs: Logs, service: str) -> int:
    return int((logs.items.service == logs.items.services.index(service)).sum())


def _rows(ranks: Mapping[str, Ranks]) -> tuple[Row, ...]:
    return ordered([Row(name, ndcg(own), *interval(gains(own))) for name, own in ranks.items()])


def _against(ranks: Mapping[str, Ranks], name: str, others: Sequence[str]) -> tuple[str, ...]:
    told = []
    for other in others:
        found = compare(ranks[name], ranks[other])
        told.append(described(name, other, found.difference, found.low, found.high))
    return tuple(told)
