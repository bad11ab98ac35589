"""The search index: what is written to it when, and how it is asked.

Bigrams are written in the transaction of the message itself, so what is saved can be found at once. Morphemes
come a little later, several texts at a time, from a process that may take seconds to start; a text whose
morphemes are missing (or a server without Kiwi) is still found by its bigrams.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.apps.chat.tables import Conversation, Message, SearchPart
from malmoi.apps.chat.types import SearchItem
from malmoi.core.errors import MalmoiError
from malmoi.core.morphemes import MorphemeAnalyzer
from malmoi.serve.db import Database
from malmoi.serve.search import (
    PartTerms,
    QueryWord,
    index_terms,
    make_snippet,
    open_terms,
    parse_query,
    query_parts,
    split_text,
)

_logger = logging.getLogger(__name__)

_BATCH = 64  # texts whose morphemes are found at a time
_QUERY_WAIT = 3.0  # seconds a search waits for the morphemes of its query, in case the analyser must start


@dataclass(frozen=True, slots=True)
class _Text:
    part_id: int
    text: str


class SearchIndex:
    """Finds messages and titles of one account.

    Args:
        db: the database.
        analyzer: for morphemes; whoever gives it closes it.
        delay: seconds to wait for further texts before morphemes are looked for.
    """

    def __init__(self, db: Database, analyzer: MorphemeAnalyzer, *, delay: float = 5.0) -> None:
        self._db = db
        self._analyzer = analyzer
        self._delay = delay
        self._terms = open_terms(db.dialect, "chat_search_terms")
        self._new = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to add morphemes in the background."""
        self._new.set()  # texts that an earlier run has left
        self._task = asyncio.create_task(self._work(), name="chat search index")

    async def stop(self) -> None:
        """Stop adding; what is missing is added by the next run."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def put_message(self, session: AsyncSession, message: Message) -> None:
        """Index a message that is complete, in the transaction that saves it; an older text of it goes."""
        await session.execute(delete(SearchPart).where(SearchPart.message_id == message.id))
        await self.put_new_messages(session, [message])

    async def put_new_messages(self, session: AsyncSession, messages: Sequence[Message]) -> None:
        """Index messages that were not in the index, in the transaction that saves them."""
        parts = []
        for message in messages:
            for start, length in split_text(message.content):
                part = SearchPart(
                    account_id=message.account_id,
                    conversation_id=message.conversation_id,
                    message_id=message.id,
                    start=start,
                    length=length,
                    analysed=False,
                )
                parts.append((part, message.content[start : start + length]))
        await self._put(session, parts)

    async def put_title(self, session: AsyncSession, conversation: Conversation) -> None:
        """Index a conversation's title, in the transaction that changes it."""
        await session.execute(
            delete(SearchPart).where(
                SearchPart.conversation_id == conversation.id, SearchPart.message_id.is_(None)
            )
        )
        if conversation.title:
            part = SearchPart(
                account_id=conversation.account_id,
                conversation_id=conversation.id,
                message_id=None,
                start=0,
                length=len(conversation.title),
                analysed=False,
            )
            await self._put(session, [(part, conversation.title)])

    async def search(self, account_id: str, query: str, *, limit: int) -> list[SearchItem]:
        """Where all words of `query` stand, best first; conversations in the trash are left out."""
        parts = query_parts(query)
        if not parts:
            return []
        words = parse_query(parts, await self._query_morphemes(parts))
        async with self._db.reading() as session:
            # A message may have several parts, and some hits may be in the trash.
            found = await self._terms.find(session, account_id, words, limit * 4)
            rows = await session.execute(
                select(SearchPart, Conversation, Message)
                .join(Conversation, Conversation.id == SearchPart.conversation_id)
                .outerjoin(Message, Message.id == SearchPart.message_id)
                .where(
                    SearchPart.id.in_([part_id for part_id, _ in found]),
                    SearchPart.account_id == account_id,
                    Conversation.account_id == account_id,
                    Conversation.deleted_at.is_(None),
                )
            )
            by_id = {part.id: (part, conversation, message) for part, conversation, message in rows}
        items: dict[tuple[str, str | None], SearchItem] = {}
        for part_id, _ in found:
            if part_id in by_id and len(items) < limit:
                part, conversation, message = by_id[part_id]
                key = (conversation.id, part.message_id)
                items.setdefault(key, _item(part, conversation, message, words))
        return list(items.values())

    async def finish(self) -> None:
        """Wait until every text has its morphemes (for tests and measurements)."""
        while await self._analyse_batch():
            pass

    async def _put(self, session: AsyncSession, parts: Sequence[tuple[SearchPart, str]]) -> None:
        if not parts:
            return
        session.add_all(part for part, _ in parts)
        await session.flush()
        terms = [
            PartTerms(part.id, part.account_id, index_terms(text), is_title=part.message_id is None)
            for part, text in parts
        ]
        await self._terms.put(session, terms)
        self._new.set()

    async def _query_morphemes(self, parts: Sequence[str]) -> Sequence[Sequence[str]]:
        try:
            return await asyncio.wait_for(asyncio.shield(self._start_analysis(parts)), _QUERY_WAIT)
        except TimeoutError:
            return [()] * len(parts)  # bigrams answer meanwhile; the next search finds it running

    def _start_analysis(self, parts: Sequence[str]) -> asyncio.Task[list[list[str]]]:
        return asyncio.create_task(self._analyzer.analyze(parts))

    async def _work(self) -> None:
        while True:
            await self._new.wait()
            await asyncio.sleep(self._delay)
            self._new.clear()
            try:
                while await self._analyse_batch():
                    pass
            except (MalmoiError, DBAPIError) as error:
                # A full disk, or a database that restarts: try again with the next text.
                _logger.warning("search terms could not be written: %s", error)

    def _can_analyse(self) -> bool:
        return self._analyzer.is_available

    async def _analyse_batch(self) -> bool:
        """Add the morphemes of some texts; False when there is nothing (more) to do now."""
        if not self._can_analyse():
            return False
        async with self._db.reading() as session:
            rows = await session.execute(
                select(SearchPart, Conversation.title, Message.content)
                .join(Conversation, Conversation.id == SearchPart.conversation_id)
                .outerjoin(Message, Message.id == SearchPart.message_id)
                .where(SearchPart.analysed.is_(False))
                .order_by(SearchPart.id.desc())
                .limit(_BATCH)
            )
            texts = [
                _Text(part.id, _part_text(part, title if part.message_id is None else content))
                for part, title, content in rows
            ]
        if not texts:
            return False
        morphemes = await self._analyzer.analyze([text.text for text in texts])
        if not self._can_analyse():
            return False
        async with self._db.session() as session:
            for text, terms in zip(texts, morphemes, strict=True):
                # A part that was replaced meanwhile has another id.
                done = await session.execute(
                    update(SearchPart)
                    .where(SearchPart.id == text.part_id, SearchPart.analysed.is_(False))
                    .values(analysed=True)
                    .returning(SearchPart.id)
                )
                if done.scalar() is not None and terms:
                    await self._terms.add_morphemes(session, text.part_id, terms)
        return True


def _part_text(part: SearchPart, whole: str | None) -> str:
    return (whole or "")[part.start : part.start + part.length]


def _item(
    part: SearchPart, conversation: Conversation, message: Message | None, words: Sequence[QueryWord]
) -> SearchItem:
    snippet = make_snippet(
        conversation.title if message is None else _part_text(part, message.content), words
    )
    return SearchItem.model_validate(
        {
            "conversation_id": conversation.id,
            "title": conversation.title,
            "message_id": None if message is None else message.id,
            "role": None if message is None else message.role,
            "snippet": snippet.text,
            "ranges": snippet.ranges,
            "created_at": conversation.created_at if message is None else message.created_at,
        }
    )
