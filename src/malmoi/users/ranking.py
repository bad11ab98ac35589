"""How high a model ranks what came next, among all items: HR@k, NDCG@k, MRR, and what the figures are worth.

The ranking is full: against every item, not against a sample (sampled metrics flatter, and order models
wrongly: Krichene & Rendle 2020). Items of the history are taken out, but never the truth. Where scores are
equal the truth stands in the middle of its equals (mid-rank), so that a model which scores all items alike
gains nothing by it.

C cases, B a batch of them, M items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.core.intervals import bootstrap, mean_of, percentiles
from malmoi.core.stage import Progress, SilentProgress
from malmoi.users.cases import Cases
from malmoi.users.logs import UNKNOWN, History, Items

Ranks = NDArray[np.float64]
TOP = 10


class Ranker(Protocol):
    """As much of a `Recommender` as ranking needs."""

    @property
    def items(self) -> Items:
        """What it ranks."""
        ...

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """(B, M): higher is better."""
        ...


def rank_cases(
    model: Ranker, cases: Cases, *, batch: int = 256, progress: Progress | None = None
) -> NDArray[np.float64]:
    """Positions of the truths from 1 on, (C,); infinite where the model does not know the item.

    A model that was fitted on other logs ranks its own items; histories and truths are matched by service and
    id.

    Args:
        model: what ranks.
        cases: what it is asked.
        batch: cases at a time; B x M scores are held.
        progress: where it tells how far it is.

    Raises:
        InvalidInput: the model gives scores of a wrong shape, or NaN.
    """
    places = match_items(cases.logs.items, model.items)
    truth = cases.truth if places is None else places[cases.truth]
    ranks = np.full(len(cases), np.inf)
    with (progress or SilentProgress()).task("ranking", total=len(cases), unit="cases") as task:
        for place, histories in cases.batches(batch):
            if places is not None:
                histories = [renumbered(history, places) for history in histories]
            ranks[place] = _rank(model, histories, truth[place])
            task.advance(len(histories))
    return ranks


def match_items(items: Items, others: Items) -> NDArray[np.int32] | None:
    """Of each of `items` its number among `others`, `UNKNOWN` where it is not there; None: they are alike."""
    if items is others or (
        items.ids == others.ids
        and items.services == others.services
        and np.array_equal(items.service, others.service)
    ):
        return None
    known = others.by_id
    return np.array([known.get(key, UNKNOWN) for key in items.by_id], dtype=np.int32)


def renumbered(history: History, places: NDArray[np.int32]) -> History:
    """The same history with the numbers of other items; see `match_items`."""
    numbers = np.where(history.items == UNKNOWN, UNKNOWN, places[history.items]).astype(np.int32)
    return History(history.texts, numbers, history.times)


def _rank(model: Ranker, histories: Sequence[History], truth: NDArray[np.int32]) -> NDArray[np.float64]:
    scores = np.asarray(model.score(histories))
    if scores.shape != (len(histories), len(model.items)):
        raise InvalidInput(f"the model gives scores {scores.shape} for {len(histories)} histories.")
    if np.isnan(scores).any():
        raise InvalidInput("the model gives NaN as a score.", fix="Its training failed; fit it again.")
    asked = truth != UNKNOWN
    own = scores[np.arange(len(truth)), truth][:, None]
    above = np.count_nonzero(scores > own, axis=1)
    equal = np.count_nonzero(scores == own, axis=1) - 1
    for row, history in enumerate(histories):
        if not asked[row]:
            continue
        seen = np.unique(history.items)
        seen = seen[(seen != UNKNOWN) & (seen != truth[row])]
        above[row] -= np.count_nonzero(scores[row, seen] > own[row])
        equal[row] -= np.count_nonzero(scores[row, seen] == own[row])
    return np.where(asked, 1 + above + equal / 2, np.inf)


def hits(ranks: Ranks, k: int = TOP) -> NDArray[np.float64]:
    """Of each case 1 where the truth is among the first `k`, (C,)."""
    return (ranks <= k).astype(np.float64)


def gains(ranks: Ranks, k: int = TOP) -> NDArray[np.float64]:
    """Of each case 1 / log2(rank + 1) where the truth is among the first `k`, else 0, (C,)."""
    return np.where(ranks <= k, 1 / np.log2(np.where(ranks <= k, ranks, 1) + 1), 0.0)


def hit_rate(ranks: Ranks, k: int = TOP) -> float:
    """HR@k, the share of cases whose truth is among the first `k`; with one truth it is Recall@k too."""
    return float(hits(ranks, k).mean())


def ndcg(ranks: Ranks, k: int = TOP) -> float:
    """NDCG@k (Jarvelin & Kekalainen 2002) with one truth, whose ideal gain is 1."""
    return float(gains(ranks, k).mean())


def mrr(ranks: Ranks) -> float:
    """The mean of 1 / rank."""
    return float((1 / ranks).mean())


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much better a is than b in NDCG@k, with the bootstrap's 95 % interval over users.

    Attributes:
        difference: mean of a's gains minus b's.
        low: lower end of the interval.
        high: upper end.
        cases: how many both were asked.
        users: how many people were drawn from.
    """

    difference: float
    low: float
    high: float
    cases: int
    users: int

    @property
    def verdict(self) -> str:
        """Better, worse, or no difference that this many users show."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no difference that this many users show"


def compare(
    a_ranks: Ranks,
    b_ranks: Ranks,
    *,
    users: NDArray[np.int64] | None = None,
    k: int = TOP,
    seed: int = 0,
    resamples: int = 1000,
) -> Comparison:
    """Compare two models that were asked the same, user by user.

    Args:
        a_ranks: of one model, (C,).
        b_ranks: of the other on the same cases, (C,).
        users: whose case each is, drawn together; None: each case is another user.
        k: of NDCG@k.
        seed: of the draws.
        resamples: how many are drawn.

    Raises:
        InvalidInput: they were not asked the same number of cases, or none.
    """
    if a_ranks.shape != b_ranks.shape or not len(a_ranks):
        raise InvalidInput(f"{len(a_ranks)} and {len(b_ranks)} ranks cannot be compared case by case.")
    better = gains(a_ranks, k) - gains(b_ranks, k)
    low, high = interval(better, users=users, seed=seed, resamples=resamples)
    people = len(better) if users is None else len(np.unique(users))
    return Comparison(float(better.mean()), low, high, len(better), people)


def interval(
    values: NDArray[np.float64],
    *,
    users: NDArray[np.int64] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[float, float]:
    """The bootstrap's 95 % interval over users of the mean of one value a case; all there is for one case."""
    drawn = bootstrap([mean_of(values)], len(values), seed=seed, resamples=resamples, groups=users)[0]
    return percentiles(drawn) or (float(values.min()), float(values.max()))
