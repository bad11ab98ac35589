"""The skill trainer: sets, rows, versions, what is applied, and measurements."""

import sqlalchemy as sa
from alembic import op

from malmoi.serve.db.base import UtcDateTime

revision = "serve_0004"
down_revision = "serve_0003"
branch_labels = None
depends_on = None

_ID = sa.String(40)


def _reference(column: str, target: str) -> sa.Column[str]:
    return sa.Column(column, _ID, sa.ForeignKey(target, ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "skill_sets",
        sa.Column("id", _ID, nullable=False),
        _reference("account_id", "accounts.id"),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("name_key", sa.String(128), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("tone", sa.String(500), nullable=False),
        sa.Column("format", sa.String(500), nullable=False),
        sa.Column("skills", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_skill_sets"),
        sa.UniqueConstraint("account_id", "name_key", name="uq_skill_sets_account_id_name_key"),
    )
    op.create_table(
        "skill_set_rows",
        sa.Column("id", _ID, nullable=False),
        _reference("set_id", "skill_sets.id"),
        sa.Column("run_id", _ID),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("turns", sa.JSON(), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("said_at", UtcDateTime(), nullable=False),
        sa.Column("part", sa.String(8), nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("stages", sa.JSON(), nullable=False),
        sa.Column("history", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_skill_set_rows"),
    )
    op.create_index("ix_skill_set_rows_set_id", "skill_set_rows", ["set_id"])
    op.create_table(
        "skill_set_versions",
        sa.Column("id", _ID, nullable=False),
        _reference("set_id", "skill_sets.id"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("train", sa.Integer(), nullable=False),
        sa.Column("test", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_skill_set_versions"),
        sa.UniqueConstraint("set_id", "number", name="uq_skill_set_versions_set_id_number"),
    )
    op.create_table(
        "skill_set_applied",
        _reference("account_id", "accounts.id"),
        _reference("set_id", "skill_sets.id"),
        sa.Column("number", sa.Integer()),
        sa.Column("applied_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_skill_set_applied"),
    )
    op.create_index("ix_skill_set_applied_set_id", "skill_set_applied", ["set_id"])
    op.create_table(
        "skill_set_measures",
        sa.Column("id", _ID, nullable=False),
        _reference("version_id", "skill_set_versions.id"),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("model", sa.String(255)),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_skill_set_measures"),
    )
    op.create_index("ix_skill_set_measures_version_id", "skill_set_measures", ["version_id"])


def downgrade() -> None:
    for table in (
        "skill_set_measures",
        "skill_set_applied",
        "skill_set_versions",
        "skill_set_rows",
        "skill_sets",
    ):
        op.drop_table(table)
