"""User models behind HTTP: vectors, recommendation, audiences and campaigns."""

from malmoi.serve.users.routes import users_router
from malmoi.serve.users.work import Users

__all__ = ["Users", "users_router"]
