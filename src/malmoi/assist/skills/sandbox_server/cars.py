"""Which cars there are, what they cost and which are free."""

import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

from malmoi.assist.skills.sandbox_server.places import City

CarKind: TypeAlias = Literal["compact", "small", "mid", "large", "suv", "van", "electric"]
MOST_DAYS = 30
FARTHEST = 365
_WEEKEND = 1.2  # Friday and Saturday nights cost more
_SUMMER = 1.35  # so do the holidays of July and August


@dataclass(frozen=True, slots=True)
class Car:
    """A model that a company rents out in a city.

    Attributes:
        id: such as "jeju-hallabong-ray".
        units: how many of them there are.
        price: of a day, in won; a sample.
    """

    id: str
    city: City
    company: dict[str, str]
    pickup: dict[str, str]
    model: str
    kind: CarKind
    seats: int
    fuel: str
    units: int
    price: int

    def total(self, start: date, end: date) -> int:
        """The price from a day to another, in won."""
        nights = rental_days(start, end)
        return sum(self._day_price(start + timedelta(days=number)) for number in range(nights))

    def _day_price(self, day: date) -> int:
        factor = (_WEEKEND if day.weekday() in (4, 5) else 1.0) * (_SUMMER if day.month in (7, 8) else 1.0)
        return round(self.price * factor / 100) * 100

    def told(self, language: str) -> dict[str, Any]:
        """Plain values, in a language."""
        return {
            "car_id": self.id,
            "model": self.model,
            "kind": self.kind,
            "company": self.company[language],
            "pickup": self.pickup[language],
            "city": self.city,
            "seats": self.seats,
            "fuel": self.fuel,
            "price_per_day": self.price,
        }


def rental_days(start: date, end: date) -> int:
    """How many days are paid: a car that is returned on the same day is rented for one."""
    return max(1, (end - start).days)


@lru_cache(maxsize=1)
def all_cars() -> tuple[Car, ...]:
    """Every car of `data/cars.toml`: each model of a company at each of its desks."""
    told = tomllib.loads(files(__package__).joinpath("data", "cars.toml").read_text(encoding="utf-8"))
    models = {model["id"]: model for model in told["models"]}
    return tuple(
        Car(
            id=f"{desk['city']}-{company['id']}-{name}",
            city=desk["city"],
            company=company["name"],
            pickup=desk["name"],
            model=models[name]["name"],
            kind=models[name]["kind"],
            seats=models[name]["seats"],
            fuel=models[name]["fuel"],
            units=company["units"],
            price=round(models[name]["price"] * company["factor"] / 100) * 100,
        )
        for company in told["companies"]
        for desk in company["desks"]
        for name in company["models"]
    )
