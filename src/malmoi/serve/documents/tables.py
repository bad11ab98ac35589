"""The tables of documents. The files themselves lie under the home, by their SHA-256 (see `files.py`)."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, deferred, mapped_column

from malmoi.serve.db.base import Base

_ID = String(40)
_COUNTER = BigInteger().with_variant(Integer(), "sqlite")
_ACCOUNTS = "accounts.id"


class Collection(Base):
    """Documents that are searched and shared as one."""

    __tablename__ = "document_collections"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(_ID, ForeignKey(_ACCOUNTS, ondelete="CASCADE"))
    """The owner."""
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text)
    everybody: Mapped[bool]
    """Whether every account of the server may read it; only admins say so."""
    revision: Mapped[int]
    """Counted up with every change of its vectors, so that matrices in memory know when they are old."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("account_id", "name"),)


class CollectionMember(Base):
    """Somebody besides the owner who may read a collection, or also change its documents."""

    __tablename__ = "document_members"

    collection_id: Mapped[str] = mapped_column(
        _ID, ForeignKey(Collection.id, ondelete="CASCADE"), primary_key=True
    )
    account_id: Mapped[str] = mapped_column(
        _ID, ForeignKey(_ACCOUNTS, ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str] = mapped_column(String(16))
    """`reader` or `writer`."""


class StoredDocument(Base):
    """One uploaded file, and what became of it."""

    __tablename__ = "documents"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    collection_id: Mapped[str] = mapped_column(_ID, ForeignKey(Collection.id, ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    """As its owner calls it; never a path on this machine."""
    version: Mapped[int]
    pending: Mapped[bool]
    """Whether an older version of this name still answers, until this one's index is ready."""
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(16), index=True)
    """waiting, parsing, indexing, ready or failed."""
    progress: Mapped[float] = mapped_column(Double)
    """From 0 to 1."""
    attempts: Mapped[int]
    """How often the work was begun; a file that stops the server again and again is given up."""
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """code, message, fix and reason."""
    format: Mapped[str] = mapped_column(String(16))
    title: Mapped[str] = mapped_column(Text)
    pages: Mapped[int | None]
    length: Mapped[int]
    """Characters of the text."""
    remarks: Mapped[list[str]] = mapped_column(JSON)
    text: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    """The text, compressed."""
    parsed: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    """Everything else of the parsed document as JSON, compressed."""
    account_id: Mapped[str | None] = mapped_column(
        _ID, ForeignKey(_ACCOUNTS, ondelete="SET NULL"), index=True
    )
    """Who has uploaded it."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("collection_id", "sha256"),
        Index(None, "collection_id", "name"),
    )


class StoredPassage(Base):
    """A span of a document that is found as one.

    Its terms lie in `document_terms`: an FTS5 table whose rowid is `id` on SQLite, a table with a `tsvector`
    on PostgreSQL.
    """

    __tablename__ = "document_passages"

    id: Mapped[int] = mapped_column(_COUNTER, primary_key=True, autoincrement=True)
    document_id: Mapped[str] = mapped_column(_ID, ForeignKey(StoredDocument.id, ondelete="CASCADE"))
    collection_id: Mapped[str] = mapped_column(_ID, ForeignKey(Collection.id, ondelete="CASCADE"))
    number: Mapped[int]
    """Its place among the document's passages, from 0."""
    start: Mapped[int]
    end: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    headings: Mapped[list[str]] = mapped_column(JSON)
    page: Mapped[int | None]
    place: Mapped[str] = mapped_column(Text)
    analysed: Mapped[bool]
    """Whether its morphemes are in the index; its bigrams always are."""
    embedder: Mapped[str | None] = mapped_column(String(255))
    """The model that made the vectors; None: there are none yet."""
    vector_count: Mapped[int]
    vectors: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    """`vector_count` unit vectors, one behind another, as float16, little-endian."""

    __table_args__ = (
        Index(None, "document_id", "number"),
        Index(None, "collection_id", "embedder"),
        # No id is ever used twice: matrices in memory know passages by their ids.
        {"sqlite_autoincrement": True},
    )
