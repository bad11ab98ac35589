from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from malmoi.core.errors import ConfigError
from malmoi.serve.db import Base, Database, tables
from malmoi.serve.db.migrate import alembic_config, current_revisions, differences
from malmoi.serve.documents.tables import StoredDocument
from malmoi.serve.skills.tables import SkillRunRow

APP_REVISION = '''
"""An app's first table, which refers to the server's."""
import sqlalchemy as sa
from alembic import op

revision = "notes_0001"
down_revision = None
branch_labels = ("notes",)
depends_on = None

def upgrade():
    op.create_table(
        "notes",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("account_id", sa.String(40), sa.ForeignKey("accounts.id", ondelete="CASCADE")),
    )

def downgrade():
    op.drop_table("notes")
'''

HEAD = ScriptDirectory.from_config(alembic_config()).get_heads()[0]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "100% notes"  # a per cent sign is special in Alembic's configuration
    folder.mkdir()
    (folder / "notes_0001_first.py").write_text(APP_REVISION)
    return folder


async def revisions(database: Database) -> set[str]:
    async with database.connect_for_schema() as connection:
        return set(await connection.run_sync(current_revisions))


def test_each_branch_has_one_head() -> None:
    script = ScriptDirectory.from_config(alembic_config())
    branches = [revision.partition("_")[0] for revision in script.get_heads()]
    assert branches == ["serve"]


async def test_the_tables_are_those_that_the_code_declares(database: Database) -> None:
    assert tables.Account.metadata is StoredDocument.metadata is SkillRunRow.metadata is Base.metadata
    own = {table.name for table in Base.metadata.sorted_tables if table.name in SERVER_TABLES}
    assert own == SERVER_TABLES

    def compare(connection: Connection) -> list[object]:
        return [
            found
            for found in differences(connection, ignored_tables=TERMS)
            if not _is_of_an_app(found)  # whose tables are declared but not migrated here
        ]

    async with database.connect_for_schema() as connection:
        assert await connection.run_sync(compare) == []


SERVER_TABLES = {
    "accounts",
    "browser_sessions",
    "login_attempts",
    "api_keys",
    "limit_states",
    "reserved_usage",
    "usage_events",
    "document_collections",
    "document_members",
    "documents",
    "document_passages",
    "routers",
    "router_versions",
    "skill_uploads",
    "skill_switches",
    "skill_credentials",
    "skill_runs",
    "skill_stages",
    "skill_files",
    "skill_approvals",
    "skill_audit",
    "skill_sets",
    "skill_set_rows",
    "skill_set_versions",
    "skill_set_applied",
    "skill_set_measures",
}
# Tables that no class declares: those behind the full-text index.
TERMS = {f"document_terms{end}" for end in ("", "_config", "_content", "_data", "_docsize", "_idx")}


def _is_of_an_app(found: object) -> bool:
    if not isinstance(found, tuple) or found[0] not in {"add_table", "add_index"}:
        return False
    table = found[1] if found[0] == "add_table" else found[1].table
    return table.name not in SERVER_TABLES


async def test_down_and_up_again(database_url: str) -> None:
    database = Database.open(database_url)
    await database.migrate()

    def downgrade(connection: Connection) -> list[str]:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        return inspect(connection).get_table_names()

    async with database.connect_for_schema() as connection:
        assert await connection.run_sync(downgrade) == ["alembic_version"]
    await database.migrate()
    assert await revisions(database) == {HEAD}
    await database.close()


async def test_migrating_twice_changes_nothing(database: Database, notes: Path) -> None:
    await database.migrate([notes])
    before = await revisions(database)
    await database.migrate([notes])
    assert await revisions(database) == before == {HEAD, "notes_0001"}


async def test_an_app_may_refer_to_the_servers_tables_at_once(database_url: str, notes: Path) -> None:
    database = Database.open(database_url)
    await database.migrate([notes])  # both branches in one go, the server's first
    async with database.session() as session:
        with pytest.raises(Exception, match=r"(?i)foreign key"):
            await session.execute(text("INSERT INTO notes (id, account_id) VALUES ('n', 'nobody')"))
        await session.rollback()
    await database.close()


async def test_an_app_that_is_not_there_does_no_harm(database: Database, notes: Path) -> None:
    await database.migrate([notes])
    await database.migrate()  # as `malmoi accounts` does, which knows no apps
    assert await revisions(database) == {HEAD, "notes_0001"}


async def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    async with database.session() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = 'serve_9999'"))
    with pytest.raises(ConfigError, match="serve_9999") as caught:
        await database.migrate()
    assert "newer version" in caught.value.message
    assert caught.value.fix
    assert await revisions(database) == {"serve_9999"}


async def test_a_failing_migration_leaves_everything_as_it_was(database: Database, notes: Path) -> None:
    (notes / "notes_0001_first.py").write_text(
        APP_REVISION.replace(
            "def downgrade", '    op.execute("SELECT no_such_column FROM notes")\n\ndef downgrade'
        )
    )
    with pytest.raises(Exception, match="no_such_column"):
        await database.migrate([notes])
    async with database.connect_for_schema() as connection:
        assert "notes" not in await connection.run_sync(lambda c: inspect(c).get_table_names())
    assert await revisions(database) == {HEAD}
