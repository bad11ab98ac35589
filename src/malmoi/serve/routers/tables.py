"""The tables of routers: what they learn from now, and frozen versions of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, deferred, mapped_column

from malmoi.serve.db.base import Base

_ID = String(40)


class StoredRouter(Base):
    """A router of an account, as it is edited."""

    __tablename__ = "routers"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(_ID, ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(60))
    name_key: Mapped[str] = mapped_column(String(128))
    """The form in which names are compared."""
    description: Mapped[str] = mapped_column(Text)
    content: Mapped[dict[str, Any]] = deferred(mapped_column(JSON, nullable=False))
    """`Content` of types.py."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("account_id", "name_key"),)


class RouterVersion(Base):
    """A frozen copy of a router's content, and what was measured of it."""

    __tablename__ = "router_versions"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    router_id: Mapped[str] = mapped_column(_ID, ForeignKey(StoredRouter.id, ondelete="CASCADE"))
    number: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(64))
    content: Mapped[dict[str, Any]] = deferred(mapped_column(JSON, nullable=False))
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`Figures` of types.py."""
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("router_id", "number"),)
