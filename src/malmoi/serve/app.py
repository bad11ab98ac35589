"""The web application: one FastAPI app made of the gateway's APIs and of the apps that are given to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from fastapi import Depends, FastAPI

import malmoi
from malmoi.core.errors import UnknownName
from malmoi.serve.admission import Admission
from malmoi.serve.body import JsonGate
from malmoi.serve.documents import Documents, documents_router, is_upload
from malmoi.serve.documents.embedding import alike_embedder
from malmoi.serve.engines import EnginePool
from malmoi.serve.errors import error_response, install_error_handlers
from malmoi.serve.guards import Guards
from malmoi.serve.health import DrainGate, Health, draining_error, health_router
from malmoi.serve.identity import Identity, authorize, check_may_listen, route_policies
from malmoi.serve.identity.routes import identity_router
from malmoi.serve.inference import Inference
from malmoi.serve.mcp.endpoint import McpEndpoint
from malmoi.serve.mcp.routes import mcp_router
from malmoi.serve.metering import Metering
from malmoi.serve.metrics import Metrics
from malmoi.serve.models import Downloads, models_router
from malmoi.serve.openai import openai_router
from malmoi.serve.pages import mount_pages
from malmoi.serve.reference import describe, reference_router
from malmoi.serve.routers import Routers, routers_router
from malmoi.serve.security import Security
from malmoi.serve.services import Services
from malmoi.serve.skills import RoutingVectors, Skills, skills_router
from malmoi.serve.studio import OlderPrefixes, studio_router
from malmoi.serve.usage import usage_router
from malmoi.serve.users import Users, users_router

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.types import Receive, Scope, Send

    from malmoi.engine.base import Engine
    from malmoi.engine.catalog import Catalog
    from malmoi.serve.db import Database
    from malmoi.serve.settings import ServeSettings

_logger = logging.getLogger(__name__)

_DRAIN_BODY_SECONDS = 1.0  # for the body of a request that is refused anyway
_DESCRIPTION = """Models of your own behind APIs that existing clients speak: OpenAI's under `/v1`, the Studio
API under `/v1/chat-completions`, `/v3` and `/v1/api-tools`, models of users in its manners under `/v1/users`,
and the API of the browser pages under `/api`."""


@runtime_checkable
class App(Protocol):
    """What people open in the browser: its routes, its tables, and what it runs in the background.

    `router` is called once, while the application is built, before anything is open; `start` is called when
    the database is open and migrated, and `stop` before it closes, while the engines still run. The router
    carries its own prefix (`/api/chat`). Every route needs a signed-in principal, as all routes of the server
    do.
    """

    @property
    def name(self) -> str:
        """Short name: letters, digits and dashes."""
        ...

    @property
    def migrations(self) -> Path | None:
        """Directory of Alembic migrations, or None when the app has no tables."""
        ...

    def router(self, services: Services) -> APIRouter:
        """The app's routes."""
        ...

    async def start(self, services: Services) -> None:
        """Begin background work; the database is open and migrated."""
        ...

    async def stop(self) -> None:
        """End background work; save what is unfinished."""
        ...


def create_app(
    settings: ServeSettings,
    *,
    apps: Sequence[App] = (),
    engines: Mapping[str, Engine] | None = None,
    catalog: Catalog | None = None,
    database: Database | None = None,
) -> FastAPI:
    """Build the application; its lifespan opens the database and the engines, and closes them.

    Args:
        settings: the server's settings.
        apps: the apps to serve; an app's tables are migrated before it starts.
        engines: engines to use as they are, by model name; whoever gives them closes them.
        catalog: the model catalog; none: the one under `settings.home`.
        database: a database to use; it is migrated but not closed; none: the one of the settings.

    Raises:
        ConfigError: settings contradict each other, or the database URL is wrong.
    """
    services = _build_services(settings, engines, catalog, database)
    mcp = McpEndpoint(services)
    app = FastAPI(
        title="Malmoi",
        version=malmoi.__version__,
        description=_DESCRIPTION,
        dependencies=[Depends(authorize)],
        lifespan=_lifespan(services, apps, mcp, owns_database=database is None),
        # FastAPI's own pages would be outside of `authorize`, and load scripts from other servers.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    install_error_handlers(app)
    app.include_router(health_router(services))
    app.include_router(openai_router(services))
    app.include_router(openai_router(services, prefix="/v1/openai", source="studio"))
    app.include_router(studio_router(services))
    app.include_router(users_router(services))
    app.include_router(models_router(services))
    app.include_router(identity_router(services.identity))
    app.include_router(usage_router(services.db))
    app.include_router(documents_router(services.documents))
    app.include_router(skills_router(services.skills, settings.http))
    app.include_router(routers_router(services.routers))
    app.include_router(mcp_router(mcp))
    for each in apps:
        app.include_router(each.router(services))
    if settings.http.docs:
        app.include_router(reference_router(app))
    mount_pages(app, services)
    # Added last, runs first.
    app.add_middleware(JsonGate)
    app.add_middleware(
        Security, http=settings.http, csrf=services.identity.csrf, most_bytes=_body_limit(settings)
    )
    # It counts what `Security` answers, so it is outside of it; its own answers pass a second one.
    app.add_middleware(
        DrainGate,
        health=services.health,
        on_status=services.metrics.responded,
        refuse=Security(_refuse_while_draining, http=settings.http, csrf=services.identity.csrf),
    )
    app.add_middleware(OlderPrefixes)
    return app


def _build_services(
    settings: ServeSettings,
    engines: Mapping[str, Engine] | None,
    catalog: Catalog | None,
    database: Database | None,
) -> Services:
    from malmoi.engine.catalog import Catalog
    from malmoi.serve.db import Database

    home = settings.home.expanduser()
    db = database if database is not None else Database.of(settings)
    catalog = catalog if catalog is not None else Catalog(home)
    admission = Admission(
        slots=settings.models.engine.slots,
        max_queued=settings.admission.max_queued,
        max_wait=settings.admission.max_wait,
    )
    pool = EnginePool(
        home=home,
        settings=settings.models,
        catalog=catalog,
        engines=engines,
        patience=settings.admission.max_wait,
    )
    metering = Metering(db, settings)
    metrics = Metrics(admission)
    guards = Guards(settings.guard, home)
    inference = Inference(pool, admission, metering, metrics, guards)
    documents = Documents(db, pool, settings.documents, home)
    routing = RoutingVectors(pool, alike_embedder(settings.documents.embedder))
    return Services(
        settings=settings,
        db=db,
        catalog=catalog,
        engines=pool,
        inference=inference,
        identity=Identity(db, settings),
        metering=metering,
        metrics=metrics,
        downloads=Downloads(catalog, on_done=pool.installed),
        users=Users(home, settings.users, metering),
        documents=documents,
        skills=Skills(db, home, settings.skills, inference, documents, routing),
        routers=Routers(db, routing, guards, metering),
        health=Health(),
    )


def _body_limit(settings: ServeSettings) -> Callable[[Scope], int]:
    """The largest body of a request: a file may be larger than all else."""

    def limit(scope: Scope) -> int:
        most = settings.http.max_body_bytes
        return max(most, settings.documents.max_file_bytes) if is_upload(scope) else most

    return limit


def _lifespan(
    services: Services, apps: Sequence[App], mcp: McpEndpoint, *, owns_database: bool
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if owns_database:
                services.settings.home.expanduser().mkdir(parents=True, exist_ok=True, mode=0o700)
                stack.push_async_callback(services.db.close)
            await services.db.migrate([each.migrations for each in apps if each.migrations is not None])
            await check_may_listen(services.settings, services.db)
            await services.identity.start()
            stack.push_async_callback(services.identity.stop)
            await services.metering.start()
            stack.push_async_callback(services.metering.stop)
            stack.push_async_callback(services.engines.close)
            stack.push_async_callback(services.inference.close)
            stack.push_async_callback(services.downloads.close)
            stack.push_async_callback(services.users.close)
            await services.documents.start()
            stack.push_async_callback(services.documents.close)
            await services.skills.start()
            stack.push_async_callback(services.skills.close)
            stack.push_async_callback(mcp.close)
            for each in apps:
                await each.start(services)
                stack.push_async_callback(each.stop)
            route_policies(app)  # builds all routes now rather than at the first request
            await services.engines.start()
            # A name that nothing has stops the start here.
            default = services.engines.state(services.engines.default)
            _warn_of_strangers(services)
            if default.state == "available" and services.settings.models.download:
                services.downloads.start(default.name)
            services.health.started = True
            yield

    return lifespan


def _warn_of_strangers(services: Services) -> None:
    """Say which policies are for models that nothing here has; one may be installed later."""
    for name in services.settings.guard.models:
        try:
            services.engines.state(name)
        except UnknownName as error:
            _logger.warning("guard.models has a policy that holds for nothing: %s", error.message)


async def _refuse_while_draining(scope: Scope, receive: Receive, send: Send) -> None:
    # A body that is on its way is taken first: else the connection is reset before the answer is read.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_BODY_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    response = error_response(draining_error(), scope)
    response.headers["Connection"] = "close"
    await response(scope, receive, send)
