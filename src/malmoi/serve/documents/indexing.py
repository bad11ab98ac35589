"""The work in the background: uploaded files become passages, terms and vectors, one document at a time.

Every step is saved, so whatever ends the server in the middle (kill -9 too), the next start goes on there. A
document is found by its words as soon as its terms are in, by Korean ones when their morphemes are; vectors
follow. One process of a home indexes; others wait for its lock.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import and_, delete, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import undefer

from malmoi.core.errors import Conflict, DiskFull, EngineError, MalmoiError
from malmoi.core.locks import locked
from malmoi.serve.db import utc_now
from malmoi.serve.documents.library import FINISHED, UNFINISHED, mark_changed, remove_documents
from malmoi.serve.documents.steps import Gone, Steps, Tools, check_there, lacks_vectors
from malmoi.serve.documents.tables import StoredDocument, StoredPassage

_LOG = logging.getLogger("malmoi.serve")
_MOST_ATTEMPTS = 3
_POLL = 2.0  # seconds between two looks for what other processes have uploaded
_TIDY_EVERY = 600.0  # seconds between two looks for files that belong to nobody
_RETRY = 30.0  # seconds after which a document is tried again whose embedder was not there


class Indexer:
    """Takes waiting documents, one at a time.

    Args:
        tools: what it works with.
        lock: the file that the process holds which indexes.
        forget: called with the digests of files whose documents are gone.
        tidy: called now and then when nothing waits; True: something was deleted.
    """

    def __init__(
        self,
        tools: Tools,
        lock: Path,
        *,
        forget: Callable[[Iterable[str]], Awaitable[None]],
        tidy: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._tools = tools
        self._steps = Steps(tools)
        self._lock = lock
        self._forget = forget
        self._tidy = tidy
        self._wake = asyncio.Event()
        self._untidy = False
        self._tidied = -math.inf
        self._task: asyncio.Task[None] | None = None
        self._later: dict[str, float] = {}

    async def start(self) -> None:
        """Begin; what an earlier run has left is finished first."""
        self._task = asyncio.create_task(self._work(), name="documents")

    async def stop(self) -> None:
        """End; the next start goes on where this one was."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def wake(self, *, deleted: bool = False) -> None:
        """There is something to do; or something was deleted, after which there is something to clean up."""
        self._untidy = self._untidy or deleted
        self._wake.set()

    async def finish(self) -> None:
        """Index everything that waits, here and now (for commands, tests and measurements).

        Raises:
            Conflict: another process indexes.
        """
        with locked(self._lock, busy="another process indexes the documents.", fix="Wait for it."):
            await self._tools.vectors.prepare(self._tools.db)
            await self._renew()
            while await self._next():
                pass
            await self._clean()

    async def _work(self) -> None:
        while True:
            try:
                with locked(self._lock, busy="busy"):
                    await self._work_alone()
            except Conflict:
                await asyncio.sleep(_POLL)
            except (DiskFull, DBAPIError, OSError) as error:
                # A full disk, or a database that restarts: what is half done is tried again.
                _LOG.warning("documents could not be indexed: %s", error)
                await asyncio.sleep(_POLL)

    async def _work_alone(self) -> None:
        await self._tools.vectors.prepare(self._tools.db)
        await self._renew()
        while True:
            self._wake.clear()
            while await self._next():
                pass
            if self._untidy or asyncio.get_running_loop().time() > self._tidied + _TIDY_EVERY:
                await self._clean()
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL):
                    await self._wake.wait()

    async def _clean(self) -> None:
        deleted, self._untidy = self._untidy, False
        self._tidied = asyncio.get_running_loop().time()
        try:
            await self._tidy(deleted)
        except BaseException:
            self._untidy = self._untidy or deleted
            raise

    async def _renew(self) -> None:
        """Take up documents with vectors of another model than the one of now, which never finds them.

        They stay as they are until each of their passages has its new vectors: found by words, and not by
        vectors that mean nothing to this model.
        """
        other = and_(StoredPassage.embedder.is_not(None), lacks_vectors(self._tools.embed))
        # Nearly always there are none: an index tells that without reading passages, and nobody waits for it.
        async with self._tools.db.reading() as session:
            found = await session.scalars(select(StoredPassage.collection_id).where(other).distinct())
            collections = found.all()
        if not collections:
            return
        async with self._tools.db.session() as session:
            await session.execute(
                update(StoredDocument)
                .where(
                    StoredDocument.status == "ready",
                    StoredDocument.collection_id.in_(collections),
                    StoredDocument.id.in_(select(StoredPassage.document_id).where(other)),
                )
                .values(status="indexing", attempts=0)
            )

    async def _next(self) -> bool:
        """Take one document; False when none waits."""
        now = asyncio.get_running_loop().time()
        self._later = {one: when for one, when in self._later.items() if when > now}
        async with self._tools.db.reading() as session:
            waiting = (
                await session.scalars(
                    select(StoredDocument.id)
                    .where(StoredDocument.status.in_(UNFINISHED), StoredDocument.id.not_in(self._later))
                    .order_by(StoredDocument.id)
                    .limit(1)
                )
            ).one_or_none()
        if waiting is None:
            return False
        try:
            await self._index(waiting)
        except (DiskFull, DBAPIError, OSError):
            raise
        except EngineError as error:
            _LOG.warning("the document %s waits for its vectors: %s", waiting, error)
            self._later[waiting] = now + _RETRY
            await self._steps.set(waiting, attempts=0)  # the document is not to blame
        except MalmoiError as error:
            await self._fail(waiting, error)
        except Exception as error:  # one document must not keep all others from being indexed
            _LOG.error("the document %s could not be indexed", waiting, exc_info=error)
            await self._fail(
                waiting, MalmoiError("something went wrong in the server.", fix="Look at the server's log.")
            )
        return True

    async def _index(self, document_id: str) -> None:
        row = await self._begin(document_id)
        if row is None:
            return
        try:
            document = await self._steps.parse(row)
            await self._steps.put_passages(row, document)
            await self._steps.add_morphemes(row, document)
            await self._steps.add_vectors(row, document)
            await self._done(row)
        except asyncio.CancelledError:
            # An orderly stop is no attempt that failed.
            await asyncio.shield(self._steps.set(row.id, attempts=row.attempts - 1))
            raise
        except Gone:
            self.wake(deleted=True)

    async def _begin(self, document_id: str) -> StoredDocument | None:
        async with self._tools.db.session() as session:
            row = await session.get(
                StoredDocument,
                document_id,
                options=[undefer(StoredDocument.text), undefer(StoredDocument.parsed)],
            )
            if row is None or row.status in FINISHED:
                return None
            row.attempts += 1
            attempts = row.attempts
            if row.parsed is None:
                row.status, row.progress = "parsing", 0.02
        if attempts > _MOST_ATTEMPTS:
            raise MalmoiError(
                "the server has stopped several times while it indexed this document.",
                fix="Look at the server's log, and at the file.",
            )
        return row

    async def _done(self, row: StoredDocument) -> None:
        """The index is ready: older versions of the same name go."""
        async with self._tools.db.session() as session:
            await check_there(session, row.id)
            await session.execute(
                update(StoredDocument)
                .where(StoredDocument.id == row.id)
                .values(
                    status="ready", progress=1.0, pending=False, attempts=0, error=None, updated_at=utc_now()
                )
            )
            older = (
                await session.scalars(
                    select(StoredDocument).where(
                        StoredDocument.collection_id == row.collection_id,
                        StoredDocument.name == row.name,
                        StoredDocument.version < row.version,
                    )
                )
            ).all()
            if older:
                await remove_documents(session, older)
            await mark_changed(session, [row.collection_id])
        if older:
            await self._forget([one.sha256 for one in older])

    async def _fail(self, document_id: str, error: MalmoiError) -> None:
        told = {"code": error.code, "message": error.message, "fix": error.fix}
        reason = getattr(error, "reason", None)
        async with self._tools.db.session() as session:
            await session.execute(
                update(StoredDocument)
                .where(StoredDocument.id == document_id)
                .values(
                    status="failed",
                    progress=0.0,
                    error={**told, "reason": reason} if isinstance(reason, str) else told,
                    updated_at=utc_now(),
                )
            )
            await session.execute(delete(StoredPassage).where(StoredPassage.document_id == document_id))
            row = await session.get(StoredDocument, document_id)
            if row is not None:
                await mark_changed(session, [row.collection_id])
