"""What clients of the user models send."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from malmoi.users.index.collection import MAX_KEY
from malmoi.users.service import MAX_AUDIENCE, MAX_EVENTS, MAX_HISTORIES, MAX_TEXT, MAX_TOP

Event = Annotated[str, Field(max_length=MAX_TEXT)]
History = Annotated[list[Event], Field(max_length=MAX_EVENTS)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
UserId = Annotated[str, Field(min_length=1, max_length=MAX_KEY)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, use_attribute_docstrings=True)


class Encode(_Body):
    """`POST /v1/users/encode`."""

    model: Name | None = None
    """A served user model; none: the first one."""
    histories: list[History] = Field(min_length=1, max_length=MAX_HISTORIES)
    """What each user did, as texts, oldest first."""


class Recommend(_Body):
    """`POST /v1/users/recommend`."""

    model: Name | None = None
    """A served user model; none: the first one."""
    history: History
    """What the user did, as texts, oldest first; may be empty."""
    topN: int = Field(10, ge=1, le=MAX_TOP)  # noqa: N815
    """How many items."""
    services: list[Name] | None = Field(None, max_length=100)
    """Only items of these services."""
    excludeSeen: bool = True  # noqa: N815
    """Leave out what is in the history."""
    includeReasons: bool = False  # noqa: N815
    """Tell which events speak for each item: how far its score falls without each."""


class LookAlike(_Body):
    """`POST /v1/users/look-alike`."""

    collection: Name
    """Vectors of users, made by `malmoi users index`."""
    userIds: list[UserId] = Field(min_length=1, max_length=MAX_AUDIENCE)  # noqa: N815
    """The users whose like is wanted."""
    size: int = Field(100, ge=1, le=MAX_AUDIENCE)
    """Most users of the audience."""


class Propensity(_Body):
    """`POST /v1/users/propensity`."""

    collection: Name
    """Vectors of users."""
    campaign: Name
    """What was learned by `malmoi users campaign`."""
    userIds: list[UserId] = Field(min_length=1, max_length=MAX_AUDIENCE)  # noqa: N815
    """Whose chance of an answer is wanted."""
