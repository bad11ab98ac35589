"""What the routes of the server and of the apps work with, in one object.

The objects are made when the application is built, so that routers can hold them; the database, the engines
and the downloads are open from the application's start to its stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from malmoi.engine.catalog import Catalog
    from malmoi.serve.db import Database
    from malmoi.serve.documents import Documents
    from malmoi.serve.engines import EnginePool
    from malmoi.serve.health import Health
    from malmoi.serve.identity import Identity
    from malmoi.serve.inference import Inference
    from malmoi.serve.metering import Metering
    from malmoi.serve.metrics import Metrics
    from malmoi.serve.models import Downloads
    from malmoi.serve.routers import Routers
    from malmoi.serve.settings import ServeSettings
    from malmoi.serve.skills import Skills
    from malmoi.serve.users.work import Users


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one running server.

    Attributes:
        settings: the server's settings, as they were at the start.
        db: sessions of the database.
        catalog: the models that can be installed, and those that are.
        engines: the models that run now.
        inference: the one way to run a model (admission, limits, usage, metrics).
        identity: accounts, sessions and keys.
        metering: limits and usage rows; `inference` already uses it.
        metrics: counters and histograms of /metrics.
        downloads: model downloads under way.
        users: the models and vectors of users.
        documents: collections of documents, and the search in them.
        skills: what a model can have done for a person, and the runs of it.
        routers: which domain a query is for, by people's own examples.
        health: whether the server is ready, or is draining.
    """

    settings: ServeSettings
    db: Database
    catalog: Catalog
    engines: EnginePool
    inference: Inference
    identity: Identity
    metering: Metering
    metrics: Metrics
    downloads: Downloads
    users: Users
    documents: Documents
    skills: Skills
    routers: Routers
    health: Health
