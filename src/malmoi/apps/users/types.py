"""What goes over the wire between the page of users and the server."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from malmoi.users.index.collection import MAX_KEY
from malmoi.users.service import MAX_EVENTS, MAX_TEXT

MAX_SEEDS = 10_000
MAX_SIZE = 100_000

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
Key: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_KEY)]
Event: TypeAlias = Annotated[str, Field(max_length=MAX_TEXT)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class RecommendIn(_Body):
    """`POST recommend`: what somebody did, as texts, oldest first."""

    model: Name | None = None
    history: list[Event] = Field(max_length=MAX_EVENTS)
    services: list[Name] | None = Field(default=None, max_length=100)
    """Only items of these."""
    top: int = Field(default=10, ge=1, le=100)


class AudienceIn(_Body):
    """`POST collections/{collection}/audience`: users like these."""

    users: list[Key] = Field(min_length=1, max_length=MAX_SEEDS)
    size: int = Field(default=100, ge=1, le=MAX_SIZE)
    campaign: Name | None = None
    """Also tell how likely each is to answer this campaign."""


class CollectionOut(BaseModel):
    """A collection; `model` is the version of the model that its vectors are of."""

    name: str
    count: int
    model: str
    size: int
    watermark: int | None
    campaigns: Sequence[str]


class Overview(BaseModel):
    """`GET overview`: what there is."""

    models: Sequence[str]
    collections: Sequence[CollectionOut]


class ModelOut(BaseModel):
    """A served model."""

    name: str
    kind: str
    version: str
    items: int
    services: Sequence[str]
    size: int | None


class PeopleOut(BaseModel):
    """Keys in their order; `more` tells whether there are others after the last one."""

    keys: Sequence[str]
    more: bool


class NeighbourOut(BaseModel):
    """A user who is alike: `score` is the cosine."""

    key: str
    score: float
    probability: float | None = None


class PersonOut(BaseModel):
    """A stored user: the newest events, oldest first, and the users most alike."""

    key: str
    events: int
    last: int | None
    history: Sequence[str]
    neighbours: Sequence[NeighbourOut]


class ReasonOut(BaseModel):
    """An event that speaks for an item."""

    event: int
    text: str
    drop: float


class ItemOut(BaseModel):
    """A recommended item."""

    item: str
    service: str
    text: str
    score: float
    why: Sequence[ReasonOut]


class RecommendOut(BaseModel):
    """Items, best first."""

    model: str
    items: Sequence[ItemOut]


class PointOut(BaseModel):
    """A user on the map."""

    key: str
    x: float
    y: float


class MapOut(BaseModel):
    """`explained`: which share of all differences the map shows, 0 to 1."""

    points: Sequence[PointOut]
    explained: float
    count: int


class AudienceOut(BaseModel):
    """Users, the most alike first."""

    users: Sequence[NeighbourOut]
    unknown: Sequence[str]
