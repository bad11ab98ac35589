"""The server's database: tables of every room, migrations, sessions."""

from malmoi.serve.db.base import Base, UtcDateTime, utc_now
from malmoi.serve.db.database import Database
from malmoi.serve.db.ids import new_id

__all__ = ["Base", "Database", "UtcDateTime", "new_id", "utc_now"]
