"""The whole sandbox: travel, cars and weather under one roof."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from malmoi.assist.skills.sandbox_server.clock import Today
from malmoi.assist.skills.sandbox_server.clock import today as today_in_korea
from malmoi.assist.skills.sandbox_server.rental import cars_api
from malmoi.assist.skills.sandbox_server.travel import travel_api
from malmoi.assist.skills.sandbox_server.weather import weather_api
from malmoi.assist.skills.sandbox_server.wording import with_wording


def sandbox_app(folder: Path, *, today: Today = today_in_korea) -> Starlette:
    """The sandbox as an ASGI app: `/travel`, `/cars` and `/weather`, each with its `openapi.json`.

    It trusts nobody and knows nobody: bookings belong to whoever has the token (see `tokens`).

    Args:
        folder: where the bookings are kept; it is made with the first of them.
        today: says which day it is.
    """
    apis = _apis(folder, today)

    async def contents(request: Request) -> Response:
        return JSONResponse({"sample": True, "apis": [f"/{name}/openapi.json" for name in apis]})

    mounts = [Mount(f"/{name}", app=api) for name, api in apis.items()]
    return Starlette(routes=[Route("/", contents), *mounts])


def openapi_documents() -> dict[str, dict[str, Any]]:
    """The OpenAPI document of each part, by its name, with what people call the arguments."""
    apis = _apis(Path(), today_in_korea)
    return {name: with_wording(api.openapi(), name) for name, api in apis.items()}


def _apis(folder: Path, today: Today) -> dict[str, FastAPI]:
    return {"travel": travel_api(today), "cars": cars_api(folder, today), "weather": weather_api(today)}
