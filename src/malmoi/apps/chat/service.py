"""The parts of the chat app, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from malmoi.apps.chat.conversations import Conversations
from malmoi.apps.chat.grounding import Library
from malmoi.apps.chat.personas import Personas, load_builtin_personas
from malmoi.apps.chat.replies import Replies
from malmoi.apps.chat.search import SearchIndex
from malmoi.apps.chat.skilled import SkilledReplies
from malmoi.apps.chat.templates import Templates
from malmoi.apps.chat.transfer import Transfer

if TYPE_CHECKING:
    from malmoi.apps.chat.tables import Message
    from malmoi.apps.chat.types import MessageOut
    from malmoi.core.morphemes import MorphemeAnalyzer
    from malmoi.serve.db import Database
    from malmoi.serve.documents import Documents
    from malmoi.serve.inference import Inference
    from malmoi.serve.skills import Skills


class Chat:
    """What the routes call. Made when the application is built, started when its database is open.

    Attributes:
        index: search.
        personas: who answers.
        templates: what a conversation can begin from.
        conversations: lists, changes, the trash, folders.
        library: the documents that replies are looked up in.
        replies: questions and their answers.
        transfer: export and import.
    """

    def __init__(
        self,
        db: Database,
        inference: Inference,
        *,
        analyzer: MorphemeAnalyzer,
        skills: Skills | None = None,
        documents: Documents | None = None,
    ) -> None:
        builtin = load_builtin_personas()
        self.index = SearchIndex(db, analyzer)
        self.personas = Personas(db, builtin)
        skilled = SkilledReplies(db, skills, inference, documents)
        self.templates = Templates(builtin, skilled.installed)
        self.conversations = Conversations(db, self.index, builtin)
        self.library = Library(documents)
        self.replies = Replies(db, inference, self.index, self.personas, self.library, skilled)
        self.transfer = Transfer(db, self.index, builtin, documents)

    async def start(self) -> None:
        """Mend what an earlier run has left, and begin the work in the background."""
        await self.conversations.purge_old()
        await self.replies.start()
        await self.index.start()

    async def stop(self) -> None:
        """Save what is unfinished, and end the work in the background."""
        await self.replies.stop()
        await self.index.stop()

    async def trash(self, account_id: str, conversation_id: str) -> None:
        """Put a conversation into the trash, and end its replies.

        Raises:
            NotFound: there is none.
        """
        await self.conversations.trash(account_id, conversation_id)
        await self.replies.stop_conversation(conversation_id)

    def shown(self, message: Message) -> MessageOut:
        """A message for its reader."""
        return self.replies.shown(message)
