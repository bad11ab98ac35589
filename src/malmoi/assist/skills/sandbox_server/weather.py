"""Weather that is made up: the same for the same city and day, and near what the season is like."""

import tomllib
from datetime import date, timedelta
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import FastAPI, Query, Request

from malmoi.assist.skills.builtin.texts import Texts
from malmoi.assist.skills.sandbox_server.clock import MaybeDay, Today
from malmoi.assist.skills.sandbox_server.refusals import language_of

WeatherCity: TypeAlias = Literal[
    "seoul", "incheon", "daejeon", "daegu", "gwangju", "busan", "ulsan", "jeju", "jeonju", "gangneung"
]


def weather_api(today: Today) -> FastAPI:
    """Sample weather of Korean cities."""
    app = FastAPI(title="Sample weather", version="1", description="Made-up weather for trying things out.")
    texts = Texts(__package__)

    def note(request: Request) -> dict[str, Any]:
        return {"sample": True, "note": texts.say(language_of(request), "note_weather")}

    @app.get("/current", operation_id="current_weather", summary="The weather in a city today")
    def current_weather(
        request: Request, city: Annotated[WeatherCity, Query(description="the city")]
    ) -> dict[str, Any]:
        return {**_weather(city, today(), language_of(request)), **note(request)}

    @app.get("/forecast", operation_id="weather_forecast", summary="The weather in a city on the coming days")
    def weather_forecast(
        request: Request,
        city: Annotated[WeatherCity, Query(description="the city")],
        start_date: Annotated[MaybeDay, Query(description="first day, YYYY-MM-DD; default today")] = None,
        days: Annotated[int, Query(ge=1, le=10)] = 3,
    ) -> dict[str, Any]:
        first = start_date or today()
        items = [_weather(city, first + timedelta(days=n), language_of(request)) for n in range(days)]
        remark = note(request)
        told = {"city": items[0]["city"], "items": items}
        summary = texts.say(language_of(request), "forecast", **told, note=remark["note"])
        return {"summary": summary, **told, **remark}

    return app


@lru_cache(maxsize=1)
def _seasons() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("data", "seasons.toml").read_text(encoding="utf-8"))


def _weather(city: str, day: date, language: str) -> dict[str, Any]:
    told = _seasons()
    season = told["cities"][city]
    chance = list(sha256(f"{city} {day.isoformat()}".encode()).digest())
    mean = season["mean"][day.month - 1] + (chance[0] / 255 - 0.5) * 6
    swing = 3.0 + chance[1] / 255 * 3
    rain = min(95, max(0, season["rain"][day.month - 1] + round((chance[2] / 255 - 0.5) * 60)))
    wet = chance[3] / 255 * 100 < rain
    sky = ("snow" if mean < 0 else "rain") if wet else ("clear" if chance[4] < 140 else "cloudy")
    return {
        "city": season["name"][language],
        "date": day.isoformat(),
        "sky": told["skies"][sky][language],
        "low": round(mean - swing),
        "high": round(mean + swing),
        "rain_percent": rain,
        "wind_ms": round(1 + chance[5] / 255 * 6, 1),
        "humidity_percent": min(95, 45 + chance[6] * 40 // 255 + (10 if wet else 0)),
    }
