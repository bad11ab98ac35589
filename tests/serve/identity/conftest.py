"""An application with the routes of identity and usage, behind the same layers as the real one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from identity_client import Client

from malmoi.serve.db import Database
from malmoi.serve.errors import install_error_handlers
from malmoi.serve.identity import Identity, Principal, authorize, require
from malmoi.serve.identity.routes import identity_router
from malmoi.serve.security import Security
from malmoi.serve.settings import HttpSettings, IdentitySettings, ServeSettings
from malmoi.serve.usage import usage_router


@pytest.fixture
def settings() -> ServeSettings:
    return ServeSettings(http=HttpSettings(), identity=IdentitySettings(max_failures=3))


@pytest.fixture
async def identity(database: Database, settings: ServeSettings) -> AsyncIterator[Identity]:
    identity = Identity(database, settings)
    await identity.start()
    yield identity
    await identity.stop()


@pytest.fixture
def app(identity: Identity, database: Database, settings: ServeSettings) -> FastAPI:
    app = FastAPI(dependencies=[Depends(authorize)], openapi_url=None, docs_url=None, redoc_url=None)
    app.state.services = SimpleNamespace(identity=identity)
    app.include_router(identity_router(identity))
    app.include_router(usage_router(database))

    @app.post("/v1/echo")
    async def run(principal: Annotated[Principal, Depends(require("inference"))]) -> dict[str, Any]:
        return {"name": principal.name, "key": principal.key_id}

    @app.post("/v1/models")
    async def download(principal: Annotated[Principal, Depends(require("models"))]) -> dict[str, Any]:
        return {"name": principal.name}

    @app.get("/healthz")
    async def health() -> dict[str, Any]:
        return {}

    install_error_handlers(app)
    app.add_middleware(Security, http=settings.http, csrf=identity.csrf)
    return app


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[Callable[[], Awaitable[Client]]]:
    async with AsyncExitStack() as stack:

        async def open_one(**options: Any) -> Client:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("127.0.0.9", 1))
            client = Client(transport=transport, base_url="http://127.0.0.1:8080", **options)
            await stack.enter_async_context(client)
            await client.refresh()
            return client

        yield open_one
