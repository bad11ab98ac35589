"""Routers and their versions."""

import sqlalchemy as sa
from alembic import op

from malmoi.serve.db.base import UtcDateTime

revision = "serve_0006"
down_revision = "serve_0005"
branch_labels = None
depends_on = None

_ID = sa.String(40)


def upgrade() -> None:
    op.create_table(
        "routers",
        sa.Column("id", _ID, nullable=False),
        sa.Column("account_id", _ID, sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("name_key", sa.String(128), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_routers"),
        sa.UniqueConstraint("account_id", "name_key", name="uq_routers_account_id_name_key"),
    )
    op.create_table(
        "router_versions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("router_id", _ID, sa.ForeignKey("routers.id", ondelete="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_router_versions"),
        sa.UniqueConstraint("router_id", "number", name="uq_router_versions_router_id_number"),
    )


def downgrade() -> None:
    op.drop_table("router_versions")
    op.drop_table("routers")
