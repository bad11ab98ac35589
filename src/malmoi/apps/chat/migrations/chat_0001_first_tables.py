"""Folders, personas, conversations, messages, and the search index."""

import sqlalchemy as sa
from alembic import op

from malmoi.serve.db import UtcDateTime

revision = "chat_0001"
down_revision = None
branch_labels = ("chat",)
depends_on = None

_ID = sa.String(40)


def _account() -> list[sa.Column[str]]:
    return [sa.Column("account_id", _ID, sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False)]


def upgrade() -> None:
    op.create_table(
        "chat_folders",
        sa.Column("id", _ID, nullable=False),
        *_account(),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_chat_folders"),
    )
    op.create_index("ix_chat_folders_account_id", "chat_folders", ["account_id"])
    op.create_table(
        "chat_personas",
        sa.Column("id", _ID, nullable=False),
        *_account(),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("system_prompt", sa.Text(), nullable=False),
        sa.Column("model", sa.String(255)),
        sa.Column("sampling", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_chat_personas"),
    )
    op.create_index("ix_chat_personas_account_id", "chat_personas", ["account_id"])
    op.create_table(
        "chat_conversations",
        sa.Column("id", _ID, nullable=False),
        *_account(),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("folder_id", _ID, sa.ForeignKey("chat_folders.id", ondelete="SET NULL")),
        sa.Column("model", sa.String(255)),
        sa.Column("persona_id", _ID),
        sa.Column("sampling", sa.JSON(), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("active_leaf_id", _ID),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("deleted_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_chat_conversations"),
    )
    op.create_index("ix_chat_conversations_folder_id", "chat_conversations", ["folder_id"])
    op.create_index(
        "ix_chat_conversations_account_id_deleted_at_pinned_updated_at",
        "chat_conversations",
        ["account_id", "deleted_at", "pinned", "updated_at"],
    )
    op.create_table(
        "chat_messages",
        sa.Column("id", _ID, nullable=False),
        *_account(),
        sa.Column(
            "conversation_id", _ID, sa.ForeignKey("chat_conversations.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("parent_id", _ID, sa.ForeignKey("chat_messages.id")),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("reasoning", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("finish_reason", sa.String(32)),
        sa.Column("error", sa.JSON()),
        sa.Column("model", sa.String(255)),
        sa.Column("usage", sa.JSON()),
        sa.Column("client_id", sa.String(64)),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("saved_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_chat_messages"),
        sa.UniqueConstraint(
            "conversation_id", "client_id", name="uq_chat_messages_conversation_id_client_id"
        ),
    )
    for column in ("account_id", "conversation_id", "parent_id"):
        op.create_index(f"ix_chat_messages_{column}", "chat_messages", [column])
    op.create_index("ix_chat_messages_status_saved_at", "chat_messages", ["status", "saved_at"])
    op.create_table(
        "chat_search_parts",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        *_account(),
        sa.Column(
            "conversation_id", _ID, sa.ForeignKey("chat_conversations.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("message_id", _ID, sa.ForeignKey("chat_messages.id", ondelete="CASCADE")),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("analysed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_chat_search_parts"),
    )
    for column in ("account_id", "conversation_id", "message_id", "analysed"):
        op.create_index(f"ix_chat_search_parts_{column}", "chat_search_parts", [column])
    if op.get_bind().dialect.name == "sqlite":
        # Terms come ready: the tokenizer has only to cut at spaces. Phrases need the positions (detail=full).
        op.execute(
            "CREATE VIRTUAL TABLE chat_search_terms USING fts5("
            'scope, title, morphemes, bigrams, tokenize = "unicode61 remove_diacritics 0")'
        )
        op.execute(
            "CREATE TRIGGER chat_search_parts_deleted AFTER DELETE ON chat_search_parts "
            "BEGIN DELETE FROM chat_search_terms WHERE rowid = old.id; END"
        )
    else:
        op.execute(
            "CREATE TABLE chat_search_terms ("
            "id bigint PRIMARY KEY REFERENCES chat_search_parts(id) ON DELETE CASCADE, "
            "terms tsvector NOT NULL)"
        )
        op.execute("CREATE INDEX ix_chat_search_terms_terms ON chat_search_terms USING gin (terms)")


def downgrade() -> None:
    for table in (
        "chat_search_terms",
        "chat_search_parts",
        "chat_messages",
        "chat_conversations",
        "chat_personas",
        "chat_folders",
    ):
        op.drop_table(table)
