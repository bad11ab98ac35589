"""How large a simulated company is, and how its users behave."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

INTERESTS = 12
SERVICES = ("shop", "travel", "webtoon", "search")


class SimulationSettings(BaseModel):
    """Of `simulate`; shares and chances are from 0 to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    users: int = Field(default=2000, ge=1, le=10_000_000)
    """How many users."""
    items: int = Field(default=800, ge=48, le=1_000_000)
    """How many items, over all services and interests alike."""
    events: int = Field(default=20, ge=2, le=10_000)
    """Events of a user on average; each user has between a quarter and 1.75 times as many."""
    services: tuple[str, ...] = Field(default=SERVICES, min_length=1)
    """Which services there are: shop, travel, webtoon, search."""
    interests: int = Field(default=INTERESTS, ge=2, le=INTERESTS)
    """How many latent interests there are; each shows in every service."""
    types: int = Field(default=24, ge=1, le=200)
    """How many kinds of people there are; a kind is a mix of interests."""
    focus: float = Field(default=0.85, ge=0, le=1)
    """How much of a kind's mix its three main interests take; the rest is spread over all."""
    stay: float = Field(default=0.5, ge=0, le=1)
    """Chance that an event has the interest of the one before."""
    stay_service: float = Field(default=0.6, ge=0, le=1)
    """Chance that an event is at the service of the one before."""
    follow: float = Field(default=0.35, ge=0, le=1)
    """Where interest and service stay: chance that the event is one of the item's three successors."""
    change: float = Field(default=0.02, ge=0, le=1)
    """Chance before each event that the user becomes another kind of person."""
    skew: float = Field(default=0.8, ge=0, le=3)
    """How unequal items are: the n-th of its kind is drawn as n ** -skew."""
    cold: float = Field(default=0.1, ge=0, lt=1)
    """Share of items that are new: drawn a twentieth as often as they would be."""
    noise: float = Field(default=0.1, ge=0, le=1)
    """Chance that a trait of a user is drawn without regard to the interests."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Of everything."""

    @property
    def most_events(self) -> int:
        """Events of the most active user."""
        return self.events + self.events * 3 // 4

    @model_validator(mode="after")
    def _fits(self) -> Self:
        unknown = sorted(set(self.services) - set(SERVICES))
        if unknown or len(set(self.services)) != len(self.services):
            raise ValueError(f"services are {', '.join(SERVICES)}, each once; not {', '.join(self.services)}")
        if self.items < 2 * self.most_events:
            raise ValueError(
                f"nobody does the same twice: {self.events} events need {2 * self.most_events} items or more"
            )
        if self.items < len(self.services) * self.interests:
            raise ValueError("every interest needs an item at every service")
        return self
