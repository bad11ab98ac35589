"""Routers: which domain a query is for, what is not answered, and what is not safe; by one's own examples."""

from malmoi.serve.routers.routes import routers_router
from malmoi.serve.routers.service import Routers

__all__ = ["Routers", "routers_router"]
