"""Collections of documents, their passages and terms."""

import sqlalchemy as sa
from alembic import op

from malmoi.serve.db.base import UtcDateTime

revision = "serve_0002"
down_revision = "serve_0001"
branch_labels = None
depends_on = None

_ID = sa.String(40)


def _reference(column: str, target: str, ondelete: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(column, _ID, sa.ForeignKey(target, ondelete=ondelete), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "document_collections",
        sa.Column("id", _ID, nullable=False),
        _reference("account_id", "accounts.id", "CASCADE"),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("everybody", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_document_collections"),
        sa.UniqueConstraint("account_id", "name", name="uq_document_collections_account_id_name"),
    )
    op.create_table(
        "document_members",
        _reference("collection_id", "document_collections.id", "CASCADE"),
        _reference("account_id", "accounts.id", "CASCADE"),
        sa.Column("role", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("collection_id", "account_id", name="pk_document_members"),
    )
    op.create_index("ix_document_members_account_id", "document_members", ["account_id"])
    op.create_table(
        "documents",
        sa.Column("id", _ID, nullable=False),
        _reference("collection_id", "document_collections.id", "CASCADE"),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.JSON()),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("pages", sa.Integer()),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("remarks", sa.JSON(), nullable=False),
        sa.Column("text", sa.LargeBinary()),
        sa.Column("parsed", sa.LargeBinary()),
        _reference("account_id", "accounts.id", "SET NULL", nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        sa.UniqueConstraint("collection_id", "sha256", name="uq_documents_collection_id_sha256"),
    )
    op.create_index("ix_documents_collection_id_name", "documents", ["collection_id", "name"])
    for column in ("account_id", "sha256", "status"):
        op.create_index(f"ix_documents_{column}", "documents", [column])
    op.create_table(
        "document_passages",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        _reference("document_id", "documents.id", "CASCADE"),
        _reference("collection_id", "document_collections.id", "CASCADE"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("headings", sa.JSON(), nullable=False),
        sa.Column("page", sa.Integer()),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("analysed", sa.Boolean(), nullable=False),
        sa.Column("embedder", sa.String(255)),
        sa.Column("vector_count", sa.Integer(), nullable=False),
        sa.Column("vectors", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name="pk_document_passages"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_document_passages_document_id_number", "document_passages", ["document_id", "number"])
    op.create_index(
        "ix_document_passages_collection_id_embedder", "document_passages", ["collection_id", "embedder"]
    )
    if op.get_bind().dialect.name == "sqlite":
        # Terms come ready: the tokenizer has only to cut at spaces.
        op.execute(
            "CREATE VIRTUAL TABLE document_terms USING fts5("
            'scope, title, morphemes, bigrams, tokenize = "unicode61 remove_diacritics 0")'
        )
        op.execute(
            "CREATE TRIGGER document_passages_deleted AFTER DELETE ON document_passages "
            "BEGIN DELETE FROM document_terms WHERE rowid = old.id; END"
        )
    else:
        op.execute(
            "CREATE TABLE document_terms ("
            "id bigint PRIMARY KEY REFERENCES document_passages(id) ON DELETE CASCADE, "
            "terms tsvector NOT NULL)"
        )
        op.execute("CREATE INDEX ix_document_terms_terms ON document_terms USING gin (terms)")


def downgrade() -> None:
    for table in (
        "document_terms",
        "document_passages",
        "documents",
        "document_members",
        "document_collections",
    ):
        op.drop_table(table)
