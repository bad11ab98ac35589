"""An order by a language model: hits whose passages make the question likely come first.

It only helps: where the model is missing, cannot tell probabilities, fails, or is late, the hits stay in the
order in which they were found, and say so by having no rank of its name.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from malmoi.assist.retrieval.likelihood import Reading, likelihoods
from malmoi.core.errors import MalmoiError
from malmoi.serve.documents.about import plain_name

if TYPE_CHECKING:
    from malmoi.serve.documents.types import Hit
    from malmoi.serve.engines import EnginePool

READ = 20
"""Hits that are read; those behind them stay behind them."""
RANK = "model"
"""The name of its rank."""
# What a nat of likelihood counts beside the score of the order, fitted on dev (docs/documents.md).
_WEIGHT = 0.25

_LOG = logging.getLogger("malmoi.serve")


class Reranker:
    """Puts the hits of a question into a better order.

    Args:
        engines: the models of the server.
        name: of the model that reads.
        seconds: a search waits for it.
    """

    def __init__(self, engines: EnginePool, name: str, seconds: float) -> None:
        self._engines = engines
        self._name = name
        self._seconds = seconds
        # One question at a time: two would both be late. Who waits for the other's end waits no longer than
        # for an answer.
        self._turn = asyncio.Lock()

    async def __call__(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """The hits, in a better order if the model told one in time."""
        read = list(hits[:READ])
        readings = [Reading(hit.text, _above(hit)) for hit in read]
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._turn,
                self._engines.lease(self._engines.resolve(self._name)) as engine,
            ):
                told = await likelihoods(engine, query, readings)
        except TimeoutError:
            self._tell(f"it was not ready within {self._seconds:g} s")
            return list(hits)
        except MalmoiError as error:
            self._tell(str(error))
            return list(hits)
        except Exception as error:
            # What a model's library raises (no memory, a kernel that is missing) must not end a search, which
            # has found its passages already.
            self._tell(f"{type(error).__name__}: {error}")
            return list(hits)
        first = reordered(read, told)
        # Scores of one search stay in its order.
        rest = [replace(hit, score=min(hit.score, first[-1].score)) for hit in hits[READ:]]
        return [*first, *rest]

    def _tell(self, reason: str) -> None:
        _LOG.warning("a search keeps its order without the model %r: %s", self._name, reason)


def reordered(hits: Sequence[Hit], likelihoods: Sequence[float]) -> list[Hit]:
    """Hits by their score and the likelihood of the question together, with the model's own rank.

    Args:
        hits: with the scores of the order.
        likelihoods: natural logs, one a hit.
    """
    best = sorted(range(len(hits)), key=lambda place: -likelihoods[place])
    ranks = {place: rank for rank, place in enumerate(best, start=1)}
    most = max(likelihoods, default=0.0)
    scored = [
        replace(
            hit,
            score=hit.score + _WEIGHT * (likelihood - most),
            ranks={**hit.ranks, RANK: ranks[place]},
        )
        for place, (hit, likelihood) in enumerate(zip(hits, likelihoods, strict=True))
    ]
    return sorted(scored, key=lambda hit: -hit.score)


def _above(hit: Hit) -> str:
    parts = [hit.title or plain_name(hit.name), *hit.passage.headings]
    return " > ".join(part for part in dict.fromkeys(parts) if part)
