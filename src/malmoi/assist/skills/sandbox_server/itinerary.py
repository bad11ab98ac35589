"""Building blocks of a trip: which places, in which order, so that each is open and the way is short."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from malmoi.assist.skills.sandbox_server.places import Kind, Place, distance_km, travel_minutes

_LUNCH, _DINNER = 12 * 60, 18 * 60
_MEAL_KINDS = ("market", "street")
_MEAL_MINUTES = 70
_MOST_STOPS = 7
_LONGEST_STAY = 200  # a mountain takes the whole day: people plan it by itself


@dataclass(frozen=True, slots=True)
class Stop:
    """A place at a time.

    Attributes:
        start: minutes of the day.
        end: minutes of the day.
        way: minutes by car from the stop before; 0 for the first.
        kilometres: from the stop before.
        meal: "lunch", "dinner" or empty.
    """

    place: Place
    start: int
    end: int
    way: int
    kilometres: float
    meal: str = ""


def plan_days(
    places: Sequence[Place],
    first_day: date,
    days: int,
    *,
    kinds: Sequence[Kind] = (),
    begin: int = 9 * 60 + 30,
    finish: int = 20 * 60,
) -> list[list[Stop]]:
    """A plan of several days; no place comes twice, and none that takes most of a day.

    Each day begins at a place in a part of the city that the days before have left alone, and goes on to the
    nearest one that is open when one gets there; lunch and dinner are at a market or a street of food.

    Args:
        places: of one city.
        first_day: opening days are looked up from here.
        days: how many.
        kinds: what is wanted; empty: all.
        begin: when a day begins, as minutes of the day.
        finish: when it ends.
    """
    left = [
        place
        for place in places
        if place.stay <= _LONGEST_STAY and (not kinds or place.kind in kinds or place.kind in _MEAL_KINDS)
    ]
    planned: list[list[Stop]] = []
    starts: list[Place] = []
    for number in range(days):
        day = first_day + timedelta(days=number)
        sights = [p for p in left if _is_sight(p, kinds) and p.is_open(day, begin)]
        if not sights:
            planned.append([])
            continue
        opening = max(sights, key=lambda p: min((distance_km(p, s) for s in starts), default=0.0))
        starts.append(opening)
        stops = _day(opening, left, day, kinds, begin, finish)
        planned.append(stops)
        left = [place for place in left if place not in {stop.place for stop in stops}]
    return planned


def _is_sight(place: Place, kinds: Sequence[Kind]) -> bool:
    return place.kind in kinds if kinds else place.kind not in _MEAL_KINDS


def _day(
    opening: Place, places: Sequence[Place], day: date, kinds: Sequence[Kind], begin: int, finish: int
) -> list[Stop]:
    stops = [Stop(opening, begin, begin + min(opening.stay, 150), 0, 0.0)]
    meals = {"lunch": _LUNCH, "dinner": _DINNER}
    while len(stops) < _MOST_STOPS:
        here, now = stops[-1].place, stops[-1].end
        meal = next((name for name, hour in meals.items() if now >= hour - 45), "")
        candidates = [
            place
            for place in places
            if place not in {stop.place for stop in stops}
            and (place.kind in _MEAL_KINDS if meal else _is_sight(place, kinds))
        ]
        chosen = _nearest_open(here, candidates, day, now, finish)
        if meal:
            meals.pop(meal)
        if chosen is None:
            if meal:
                continue
            return stops
        way = travel_minutes(here, chosen)["car"]
        start = now + way
        stay = _MEAL_MINUTES if meal else min(chosen.stay, 150)
        end = min(start + stay, chosen.closes)
        if end > finish:
            return stops
        stops.append(Stop(chosen, start, end, way, round(distance_km(here, chosen), 1), meal))
    return stops


def _nearest_open(here: Place, places: Sequence[Place], day: date, now: int, finish: int) -> Place | None:
    open_then = []
    for place in places:
        arrival = now + travel_minutes(here, place)["car"]
        if place.is_open(day, arrival) and place.closes - arrival >= 30 and arrival < finish - 30:
            open_then.append(place)
    return min(open_then, key=lambda place: distance_km(here, place), default=None)
