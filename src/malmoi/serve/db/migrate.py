"""Migrations: every room has a folder of Alembic revision files, its own branch; all go to their heads.

A room's revisions are named `<branch>_<number>` (`serve_0001`); the first one carries the branch label. The
server's branch goes first, so the revisions of apps may refer to its tables without saying so. There is no
alembic.ini.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from malmoi.core.errors import ConfigError
from malmoi.serve.db.base import Base

_HERE = Path(__file__).parent
_LOCK = 0x6D616C6D6F69  # "malmoi": PostgreSQL's advisory lock of those who migrate


def alembic_config(locations: Sequence[Path] = ()) -> Config:
    """Alembic's configuration for the server's own revisions and those at `locations`."""
    config = Config()
    folders = [_HERE / "migrations", *locations]
    options = {
        "script_location": str(_HERE / "alembic"),
        "path_separator": "os",
        "version_locations": os.pathsep.join(str(folder) for folder in folders),
    }
    for name, value in options.items():
        config.set_main_option(name, value.replace("%", "%%"))
    return config


def upgrade(connection: Connection, locations: Sequence[Path], shown_url: str) -> None:
    """Bring all branches to their heads, in the transaction of `connection`.

    Raises:
        ConfigError: the database holds a revision that no file here describes, so a newer version wrote it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = alembic_config(locations)
    script = ScriptDirectory.from_config(config)
    if _is_refused_or_done(script, current_revisions(connection), shown_url):
        return
    config.attributes["connection"] = connection
    command.upgrade(config, "serve@head")
    command.upgrade(config, "heads")
    if connection.dialect.name == "sqlite":
        _check_foreign_keys(connection)


def current_revisions(connection: Connection) -> tuple[str, ...]:
    """The revisions at which the database stands, one a branch; empty for a new one."""
    return MigrationContext.configure(connection).get_current_heads()


def differences(connection: Connection, *, ignored_tables: Iterable[str] = ()) -> list[Any]:
    """Where the tables of the database differ from those that the code declares; empty when they agree.

    Args:
        connection: to a migrated database.
        ignored_tables: tables that no model declares, such as those behind a full-text index.
    """
    ignored = set(ignored_tables)

    def include(_: object, name: str | None, kind: str, reflected: bool, against: object) -> bool:
        return not (kind == "table" and name in ignored)

    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True, "include_object": include}
    )
    return list(compare_metadata(context, Base.metadata))


def _is_refused_or_done(script: ScriptDirectory, current: Sequence[str], shown_url: str) -> bool:
    """Whether there is nothing to do; a revision of an app that is not installed does no harm by itself."""
    known = {revision.revision for revision in script.walk_revisions()}
    unknown = sorted(set(current) - known)
    if not unknown:
        return set(script.get_heads()) == set(current)
    ours = {revision.partition("_")[0] for revision in known}
    if all(revision.partition("_")[0] not in ours for revision in unknown) and set(script.get_heads()) <= set(
        current
    ):
        return True
    raise ConfigError(
        f"the database {shown_url} is at revision {', '.join(map(repr, unknown))}, which this version "
        "of Malmoi does not know: a newer version, or an app that is not installed here, has written it.",
        fix="Install that version or app, or restore the backup that was made before.",
    )


def _check_foreign_keys(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise RuntimeError(
            f"a migration left table {broken[0]!r} with a reference to a missing row of {broken[2]!r}"
        )
