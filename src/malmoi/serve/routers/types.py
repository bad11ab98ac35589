"""Routers over the wire, and the values that their parts share."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from malmoi.core.hangul import nfc

MAX_TEXTS = 600
"""Examples and other texts of one router: learning from them solves a system of their size."""

_ENDS = re.compile(r"\s*[\r\n]\s*")


def _plain(text: str) -> str:
    if "\x00" in text:  # a file may have one that the body of its request has not
        raise ValueError("a text must not hold the character U+0000")
    return text


def _text(text: str) -> str:
    text = _ENDS.sub(" ", nfc(_plain(text))).strip()  # the page shows one text a line
    if not text:
        raise ValueError("a text has at least one character that can be seen")
    return text


Text = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_text)]
TopicName = Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_text)]
RouterName = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_text)]
About = Annotated[str, AfterValidator(_plain)]
Query = Annotated[str, Field(min_length=1, max_length=4000, pattern=r"\S")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class TopicBody(_Body):
    """A domain, or a subject that is not answered."""

    name: TopicName
    description: About = Field("", max_length=500)
    """What it is about; it counts as one more example."""
    examples: list[Text] = Field(min_length=2, max_length=200)
    """Queries of people that belong to it; from about ten on the figures begin to mean something."""


class Content(_Body):
    """What a router learns from."""

    domains: list[TopicBody] = Field(default_factory=list, max_length=30)
    """A query is for one of them, or for none."""
    blocked: list[TopicBody] = Field(default_factory=list, max_length=30)
    """Subjects that are not answered; a query may be about several."""
    others: list[Text] = Field(default_factory=list, max_length=300)
    """Queries that are for no domain and about nothing blocked: near misses help most."""
    usual_others: bool = True
    """Whether queries of conversation and general knowledge count as for no domain as well."""
    safety: bool = True
    """Whether the server's guard looks at queries."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for kind, topics in (("domains", self.domains), ("blocked", self.blocked)):
            names = [topic.name.casefold() for topic in topics]
            if len(set(names)) < len(names):
                raise ValueError(f"two of {kind} have the same name")
        seen: dict[str, str] = {}
        for topic in self.domains:
            for text in topic.examples:
                other = seen.setdefault(text.casefold(), topic.name)
                if other != topic.name:
                    raise ValueError(f"{text!r} is an example of {other!r} and of {topic.name!r}")
        count = len(self.others) + sum(len(one.examples) for one in (*self.domains, *self.blocked))
        if count > MAX_TEXTS:
            raise ValueError(f"there are {count} examples; {MAX_TEXTS} are possible")
        if self.domains and not (self.others or self.usual_others):
            raise ValueError("without the usual others, others are needed: queries for none of the domains")
        if self.blocked and not (self.others or self.usual_others or self.domains):
            raise ValueError("without the usual others, others are needed: queries that are not blocked")
        return self


class NewRouter(_Body):
    """A new router."""

    name: RouterName
    description: About = Field("", max_length=2000)
    content: Content = Field(default_factory=Content)


class RouterPatch(_Body):
    """What is changed of a router; the content is changed as a whole."""

    name: RouterName | None = None
    description: Annotated[str, Field(max_length=2000), AfterValidator(_plain)] | None = None
    content: Content | None = None


class SharePart(BaseModel):
    """A share with its 95 % interval."""

    count: int
    total: int
    low: float
    high: float


class MissedText(BaseModel):
    """A text that is not told for what it is, when it is left out."""

    text: str
    topic: str
    """Its own; empty: it is about none."""
    taken_for: str
    """The likeliest topic that is found for it; empty: none is."""


class PartFigures(BaseModel):
    """How well the examples are told apart, each left out in its turn."""

    threshold: float
    found: SharePart
    """Examples that are found for what they are."""
    left_alone: SharePart
    """Other texts for which nothing is found."""
    topics: dict[str, SharePart]
    misses: list[MissedText] = Field(default_factory=list)
    """At most 100; older versions have none."""


class Figures(BaseModel):
    """What was measured of a version on its own examples; null: it has no such part."""

    domains: PartFigures | None = None
    blocked: PartFigures | None = None


class RouterItem(BaseModel):
    """A router in a list."""

    id: str
    name: str
    description: str
    versions: int
    created_at: datetime
    updated_at: datetime


class RouterDetail(RouterItem):
    """A router with its content, as it is edited."""

    content: Content


class RouterList(BaseModel):
    """Routers of the caller, by name."""

    routers: list[RouterItem]


class VersionItem(BaseModel):
    """A frozen version."""

    number: int
    content_hash: str
    figures: Figures
    created_at: datetime


class VersionDetail(VersionItem):
    """A version with its content."""

    content: Content


class VersionItems(BaseModel):
    """Versions, the newest first."""

    versions: list[VersionItem]


class TestBody(_Body):
    """A query to be tried."""

    __test__ = False

    query: Query
    history: list[Annotated[str, Field(max_length=4000)]] = Field(default_factory=list, max_length=20)
    """What the person said before, oldest first."""
    version: int | None = Field(None, ge=1, le=1_000_000)
    """None: the router as it is now."""


class TopicScore(BaseModel):
    """How near a query is to a topic."""

    name: str
    margin: float
    found: bool
    nearest: str
    """The example that is nearest."""


class RouteTrace(BaseModel):
    """What a router says of a query, and why."""

    domain: str
    """Empty: none."""
    blocked: list[str]
    safety: list[str]
    safety_checked: bool
    """Whether the guard has looked at the query."""
    domains: list[TopicScore]
    """The likeliest first."""
    filters: list[TopicScore]
    figures: Figures
    """Of the content that was asked."""
    tokens: int


class ImportBody(_Body):
    """A router as the export writes it."""

    text: str = Field(min_length=1, max_length=4 * 1024 * 1024)
    """JSON, or JSON lines."""
    name: RouterName | None = None
    """None: the name that the file says."""
