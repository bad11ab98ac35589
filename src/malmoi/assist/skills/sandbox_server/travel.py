"""Places and trips over HTTP."""

from datetime import date
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import FastAPI, Query, Request

from malmoi.assist.skills.builtin.texts import Texts
from malmoi.assist.skills.sandbox_server.clock import MaybeDay, Today
from malmoi.assist.skills.sandbox_server.itinerary import Stop, plan_days
from malmoi.assist.skills.sandbox_server.places import (
    City,
    Kind,
    all_places,
    clock,
    distance_km,
    find_place,
    matches,
    minutes,
    travel_minutes,
)
from malmoi.assist.skills.sandbox_server.refusals import SandboxRefused, answer_refusals, language_of

AnyKind: TypeAlias = Literal[
    "any", "history", "museum", "nature", "beach", "park", "market", "street", "view", "activity"
]

_CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$|^$"


def travel_api(today: Today) -> FastAPI:
    """Search of places, and building blocks of a trip."""
    app = FastAPI(
        title="Sample travel", version="1", description="Public places of four cities; sample prices."
    )
    answer_refusals(app)
    texts = Texts(__package__)

    def note(request: Request) -> dict[str, Any]:
        return {"sample": True, "note": texts.say(language_of(request), "note_prices")}

    @app.get("/places", operation_id="search_places", summary="Find places to visit in a city")
    def search_places(
        request: Request,
        city: Annotated[City, Query(description="the city")],
        kind: Annotated[AnyKind, Query(description="what sort of place")] = "any",
        query: Annotated[str, Query(max_length=100, description="words in its name or description")] = "",
        near: Annotated[str, Query(max_length=100, description="name or id of a place to be near to")] = "",
        within_km: Annotated[float, Query(gt=0, le=200, description="how far from `near`")] = 10.0,
        open_on: Annotated[MaybeDay, Query(description="must be open on this day, YYYY-MM-DD")] = None,
        open_at: Annotated[str, Query(pattern=_CLOCK, description="must be open at this time, HH:MM")] = "",
        max_price: Annotated[int, Query(ge=0, description="highest price of an adult, in won")] = 1_000_000,
        limit: Annotated[int, Query(ge=1, le=20)] = 8,
    ) -> dict[str, Any]:
        language = language_of(request)
        middle = find_place(near) if near else None
        if near and middle is None:
            raise SandboxRefused(404, "no_place", name=near)
        day = open_on or today()
        minute = minutes(open_at) if open_at else None
        found = [
            place
            for place in all_places()
            if place.city == city
            and (kind == "any" or place.kind == kind)
            and (not query or matches(place, query))
            and ((open_on is None and minute is None) or place.is_open(day, minute))
            and place.price <= max_price
            and (middle is None or (place != middle and distance_km(middle, place) <= within_km))
        ]
        items = []
        for place in found:
            told = place.told(language)
            if middle is not None:
                told["distance_km"] = round(distance_km(middle, place), 1)
            items.append(told)
        if middle is not None:
            items.sort(key=lambda item: item["distance_km"])
        items = items[:limit]
        names = [item["name"] for item in items[:6]]
        summary = texts.say(language, "places" if items else "no_places", count=len(found), names=names)
        return {"summary": summary, "count": len(found), "items": items, **note(request)}

    @app.get("/places/{place_id}", operation_id="get_place", summary="All about one place")
    def get_place(request: Request, place_id: str) -> dict[str, Any]:
        place = find_place(place_id)
        if place is None:
            raise SandboxRefused(404, "no_place", name=place_id)
        told = place.told(language_of(request))
        return {**told, "open_today": place.is_open(today()), **note(request)}

    @app.get("/distance", operation_id="distance_between_places", summary="How far two places are apart")
    def distance_between_places(
        request: Request,
        start: Annotated[str, Query(min_length=1, max_length=100, description="name or id of a place")],
        goal: Annotated[str, Query(min_length=1, max_length=100, description="name or id of a place")],
    ) -> dict[str, Any]:
        places = []
        for name in (start, goal):
            place = find_place(name)
            if place is None:
                raise SandboxRefused(404, "no_place", name=name)
            places.append(place)
        language = language_of(request)
        took = travel_minutes(places[0], places[1])
        return {
            "start": places[0].name[language],
            "goal": places[1].name[language],
            "kilometres": round(distance_km(places[0], places[1]), 1),
            "car_minutes": took["car"],
            "walk_minutes": took["walk"],
            "sample": True,
        }

    @app.get("/itinerary", operation_id="plan_itinerary", summary="A day-by-day plan of places that are open")
    def plan_itinerary(
        request: Request,
        city: Annotated[City, Query(description="the city")],
        days: Annotated[int, Query(ge=1, le=4, description="how many days")] = 1,
        start_date: Annotated[MaybeDay, Query(description="first day, YYYY-MM-DD; default today")] = None,
        kind: Annotated[AnyKind, Query(description="mostly this sort of place")] = "any",
    ) -> dict[str, Any]:
        language = language_of(request)
        first = start_date or today()
        kinds: list[Kind] = [] if kind == "any" else [kind]
        places = [place for place in all_places() if place.city == city]
        planned = plan_days(places, first, days, kinds=kinds)
        told = [
            {"day": number, "date": _day(first, number), "stops": [_stop(stop, language) for stop in stops]}
            for number, stops in enumerate(planned, 1)
        ]
        names = [[stop.place.name[language] for stop in stops] for stops in planned]
        remark = note(request)
        summary = texts.say(language, "plan", days=names, note=remark["note"])
        return {"summary": summary, "city": city, "days": told, **remark}

    return app


def _day(first: date, number: int) -> str:
    return date.fromordinal(first.toordinal() + number - 1).isoformat()


def _stop(stop: Stop, language: str) -> dict[str, Any]:
    return {
        "time": f"{clock(stop.start)}-{clock(stop.end)}",
        "id": stop.place.id,
        "name": stop.place.name[language],
        "kind": stop.place.kind,
        "meal": stop.meal,
        "car_minutes_before": stop.way,
        "kilometres_before": stop.kilometres,
        "price": stop.place.price,
    }
