"""Routers at work: what a query is for, by what a router has learned, metered like any other request."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from malmoi.assist.routers import Classifier, Found, Topic, build_classifier
from malmoi.assist.skills.routing.index import none_queries
from malmoi.core.errors import InvalidInput
from malmoi.core.types import Chat, Message
from malmoi.engine.base import Usage
from malmoi.serve.db import new_id
from malmoi.serve.routers.store import RouterStore
from malmoi.serve.routers.types import (
    Content,
    Figures,
    MissedText,
    PartFigures,
    RouteTrace,
    SharePart,
    TopicBody,
    TopicScore,
    VersionItem,
)
from malmoi.serve.running import estimate_tokens

if TYPE_CHECKING:
    from malmoi.assist.skills.routing.index import Embed
    from malmoi.serve.db import Database
    from malmoi.serve.guards import Guards
    from malmoi.serve.identity import Principal
    from malmoi.serve.metering import Metering

_KEPT = 16  # routers that are kept in memory; one of 600 examples takes about 20 MB
_SCORES = 6  # topics in a trace
_MODEL = "router"  # in rows of usage


@dataclass(frozen=True, slots=True)
class _Learned:
    """What a content becomes; None: it has no such part."""

    domains: Classifier | None
    blocked: Classifier | None

    @property
    def figures(self) -> Figures:
        return Figures(
            domains=_figures(self.domains) if self.domains is not None else None,
            blocked=_figures(self.blocked) if self.blocked is not None else None,
        )


class Routers:
    """The routers of one server.

    Args:
        db: the database.
        embed: unit-length vectors of texts.
        guards: that look at queries, whether or not a model is installed.
        metering: limits and usage.

    Attributes:
        store: routers and versions.
    """

    def __init__(self, db: Database, embed: Embed, guards: Guards, metering: Metering) -> None:
        self.store = RouterStore(db)
        self._embed = embed
        self._guards = guards
        self._metering = metering
        self._learned: OrderedDict[str, _Learned] = OrderedDict()
        self._learning = asyncio.Lock()

    async def freeze(self, account_id: str, router_id: str) -> VersionItem:
        """Make a version of a router as it is now, and measure it.

        Raises:
            NotFound: the account has none of this id.
            InvalidInput: there is nothing to route by, or no text is about none of the topics.
            Conflict: it has too many versions.
        """
        content = (await self.store.get(account_id, router_id)).content
        if not (content.domains or content.blocked or content.safety):
            raise InvalidInput("the router has no domain, no filter and no safety.", field="content")
        learned = await self._learn(content)
        return await self.store.freeze(account_id, router_id, content, learned.figures)

    async def route(
        self, principal: Principal, content: Content, query: str, history: Sequence[str] = ()
    ) -> RouteTrace:
        """What a query is for.

        Args:
            principal: who asks, and pays.
            content: of the router.
            query: what the person says.
            history: what the person said before, oldest first.

        Raises:
            LimitExceeded: a limit of the key or account is used up.
            InvalidInput: no text is about none of the topics.
        """
        before = history[-1] if history else ""
        tokens = estimate_tokens(query) + (estimate_tokens(before) if before else 0)
        reservation = await self._metering.open(
            principal,
            request_id=new_id("route"),
            model=_MODEL,
            source="studio",
            prompt_tokens=tokens,
            max_tokens=0,
        )
        started, reason = time.perf_counter(), "error"
        try:
            learned = await self._learn(content)
            trace = await self._trace(principal, content, learned, query, before)
            reason = "stop"
        except asyncio.CancelledError:
            reason = "abort"
            raise
        finally:
            used = Usage(prompt_tokens=tokens if reason == "stop" else 0)
            seconds = time.perf_counter() - started
            await self._metering.settle(reservation, used, finish_reason=reason, seconds=seconds)
        return trace.model_copy(update={"tokens": tokens})

    async def _trace(
        self, principal: Principal, content: Content, learned: _Learned, query: str, before: str
    ) -> RouteTrace:
        domains = await learned.domains.find(query, before) if learned.domains is not None else []
        blocked = await learned.blocked.find(query, before) if learned.blocked is not None else []
        return RouteTrace(
            domain=domains[0].name if domains and domains[0].is_found else "",
            blocked=[one.name for one in blocked if one.is_found],
            safety=await self._unsafe(principal, query) if content.safety else [],
            safety_checked=content.safety,
            domains=_scores(domains),
            filters=_scores(blocked),
            figures=learned.figures,
            tokens=0,
        )

    async def _unsafe(self, principal: Principal, query: str) -> list[str]:
        """Groups of the guard's policy that a query belongs to, and needs of people."""
        checked = await self._guards.of("", principal).check(Chat(messages=(Message("user", query),)))
        reasons = checked.report.reasons.get("input", [])
        return sorted({reason.group for reason in reasons if reason.action != "pass"})

    async def _learn(self, content: Content) -> _Learned:
        """The classifiers of a content; kept, and made by one request alone."""
        key = content.model_dump_json()
        if (known := self._learned.get(key)) is not None:  # nobody waits for what others let be learned
            self._learned.move_to_end(key)
            return known
        async with self._learning:
            learned = self._learned.get(key)
            if learned is None:
                others = [*content.others, *(none_queries() if content.usual_others else ())]
                domains = await self._classifier(content.domains, others, is_one=True)
                fine = [text for topic in content.domains for text in topic.examples]
                blocked = await self._classifier(content.blocked, [*fine, *others], is_one=False)
                learned = self._learned[key] = _Learned(domains, blocked)
                while len(self._learned) > _KEPT:
                    self._learned.popitem(last=False)
            self._learned.move_to_end(key)
            return learned

    async def _classifier(
        self, topics: Sequence[TopicBody], others: Sequence[str], *, is_one: bool
    ) -> Classifier | None:
        if not topics:
            return None
        own = {text.casefold() for topic in topics for text in topic.examples}
        left = [text for text in dict.fromkeys(others) if text.casefold() not in own]
        if not left:
            raise InvalidInput(
                "all others are examples as well.",
                field="content.others",
                fix="Add queries that are about none of the topics.",
            )
        return await build_classifier(
            [Topic(one.name, tuple(one.examples), one.description) for one in topics],
            left,
            self._embed,
            is_one=is_one,
        )


def _scores(found: Sequence[Found]) -> list[TopicScore]:
    return [
        TopicScore(name=one.name, margin=round(one.margin, 4), found=one.is_found, nearest=one.nearest)
        for one in found[:_SCORES]
    ]


def _figures(classifier: Classifier) -> PartFigures:
    shown = classifier.shown
    return PartFigures(
        threshold=classifier.threshold,
        found=SharePart(**asdict(shown.found)),
        left_alone=SharePart(**asdict(shown.left_alone)),
        topics={name: SharePart(**asdict(share)) for name, share in shown.topics.items()},
        misses=[MissedText(**asdict(one)) for one in shown.misses],
    )
