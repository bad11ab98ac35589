"""Rows of the skill trainer remember what the run did before it was corrected."""

import sqlalchemy as sa
from alembic import op

revision = "serve_0005"
down_revision = "serve_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("skill_set_rows", sa.Column("original", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("skill_set_rows", "original")
