"""The places of the sandbox: read from `data/places-<city>.csv`, found by what people ask for."""

import csv
from dataclasses import dataclass
from datetime import date, time
from functools import lru_cache
from importlib.resources import files
from math import asin, cos, radians, sin, sqrt
from typing import Any, Literal, TypeAlias, get_args

City: TypeAlias = Literal["jeju", "jeonju", "busan", "seoul"]
Kind: TypeAlias = Literal[
    "history", "museum", "nature", "beach", "park", "market", "street", "view", "activity"
]

_EARTH_KM = 6371.0088
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# Roads are longer than straight lines; rough factors and speeds for a plan, not for a clock.
_DETOUR, _CAR_KMH, _FOOT_KMH = 1.3, {"jeju": 40.0, "jeonju": 25.0, "busan": 25.0, "seoul": 20.0}, 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A public place.

    Attributes:
        id: such as "seoul-gyeongbokgung".
        opens: the hour it opens, as minutes of the day.
        closes: as minutes of the day; 1440 is midnight.
        closed: weekdays on which it is closed, "mon" to "sun".
        price: of an adult, in won; a sample.
        stay: how many minutes people spend there.
    """

    id: str
    city: City
    kind: Kind
    name: dict[str, str]
    district: dict[str, str]
    latitude: float
    longitude: float
    opens: int
    closes: int
    closed: tuple[str, ...]
    price: int
    stay: int
    about: dict[str, str]

    def is_open(self, day: date, minute: int | None = None) -> bool:
        """Whether it is open on a day, and at a minute of that day."""
        if _WEEKDAYS[day.weekday()] in self.closed:
            return False
        return minute is None or self.opens <= minute < self.closes

    def told(self, language: str) -> dict[str, Any]:
        """Plain values, in a language."""
        return {
            "id": self.id,
            "name": self.name[language],
            "kind": self.kind,
            "city": self.city,
            "district": self.district[language],
            "latitude": self.latitude,
            "longitude": self.longitude,
            "hours": f"{clock(self.opens)}-{clock(self.closes)}",
            "closed": list(self.closed),
            "price": self.price,
            "stay_minutes": self.stay,
            "about": self.about[language],
        }


@lru_cache(maxsize=1)
def all_places() -> tuple[Place, ...]:
    """Every place, city by city."""
    return tuple(place for city in get_args(City) for place in _read(city))


def _read(city: City) -> list[Place]:
    text = files(__package__).joinpath("data", f"places-{city}.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [_place(city, row) for row in rows]


def _place(city: City, row: dict[str, Any]) -> Place:
    opens, _, closes = row["hours"].partition("-")
    return Place(
        id=f"{city}-{row['id']}",
        city=city,
        kind=row["kind"],
        name={"ko": row["ko"], "en": row["en"]},
        district={"ko": row["area_ko"], "en": row["area_en"]},
        latitude=float(row["lat"]),
        longitude=float(row["lon"]),
        opens=minutes(opens),
        closes=minutes(closes),
        closed=tuple(row["closed"].split()),
        price=int(row["price"]),
        stay=int(row["stay"]),
        about={"ko": row["about_ko"], "en": row["about_en"]},
    )


def find_place(name: str) -> Place | None:
    """The place with this id or name; else the first whose name holds it."""
    asked = _folded(name)
    for place in all_places():
        if asked in (place.id, _folded(place.name["ko"]), _folded(place.name["en"])):
            return place
    if not asked:
        return None
    return next((p for p in all_places() if any(asked in _folded(text) for text in p.name.values())), None)


def matches(place: Place, query: str) -> bool:
    """Whether every word of a query stands in the place's name, district or description."""
    text = _folded(" ".join((*place.name.values(), *place.district.values(), *place.about.values())))
    return all(_folded(word) in text for word in query.split())


def distance_km(one: Place, other: Place) -> float:
    """The distance on the ball of the earth (haversine)."""
    first, second = radians(one.latitude), radians(other.latitude)
    across = radians(other.longitude - one.longitude)
    half = sin((second - first) / 2) ** 2 + cos(first) * cos(second) * sin(across / 2) ** 2
    return 2 * _EARTH_KM * asin(sqrt(half))


def travel_minutes(one: Place, other: Place) -> dict[str, int]:
    """About how long it takes by car and on foot."""
    road = distance_km(one, other) * _DETOUR
    return {
        "car": max(3, round(road / _CAR_KMH[one.city] * 60)),
        "walk": max(1, round(road / _FOOT_KMH * 60)),
    }


def minutes(clock: str) -> int:
    """A time such as "09:30" as minutes of the day; "24:00" is 1440.

    Raises:
        ValueError: it is no time of day.
    """
    hour, _, minute = clock.strip().partition(":")
    if hour == "24" and minute == "00":
        return 1440
    told = time(int(hour), int(minute or 0))
    return told.hour * 60 + told.minute


def clock(minute: int) -> str:
    """Minutes of the day as "09:30"."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _folded(text: str) -> str:
    return "".join(text.lower().split())
