"""Replies from documents: what was found for a question, and what of it each sentence of the reply cites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from malmoi.apps.chat.prompts import Turn, merge_turns
from malmoi.apps.chat.types import CitationOut, ExtractOut, Grounds, SourceOut
from malmoi.assist.retrieval.reply import Cited, Text, Unsupported
from malmoi.core.errors import Unsupported as NotPossible
from malmoi.serve.documents.answering import ground_question

if TYPE_CHECKING:
    from malmoi.apps.chat.live import LiveReply
    from malmoi.apps.chat.types import DocumentChoice
    from malmoi.assist.retrieval.answer import Grounding
    from malmoi.assist.retrieval.citations import Citation
    from malmoi.core.types import Chat
    from malmoi.serve.documents import Documents
    from malmoi.serve.identity import Principal


class Library:
    """The documents that conversations may ask.

    Args:
        documents: those of the server; None: there are none here.
    """

    def __init__(self, documents: Documents | None) -> None:
        self._documents = documents

    async def check(self, principal: Principal, choice: DocumentChoice | None) -> None:
        """Refuse what the principal may not read.

        Raises:
            NotFound: a collection or document is not there, or not for this principal.
            Unsupported: there are no documents on this server.
        """
        if choice is None:
            return
        documents = self._open()
        for collection_id in choice.collections:
            await documents.collections.get(principal, collection_id)
        for document_id in choice.documents:
            await documents.library.get(principal, document_id)

    async def ground(
        self, principal: Principal, branch: Sequence[Turn], choice: DocumentChoice, live: LiveReply
    ) -> GroundedReply:
        """What the documents say to the last question of a branch; readers are told of it at once.

        Raises:
            NotFound: a collection or document is not there any more, or not for this principal.
        """
        questions = [turn.content for turn in branch if turn.role == "user" and turn.content]
        grounding = await ground_question(
            self._open(),
            principal,
            questions[-1],
            earlier=questions[:-1],
            collections=choice.collections,
            chosen=choice.documents,
        )
        return GroundedReply(grounding, branch, live)

    def _open(self) -> Documents:
        if self._documents is None:
            raise NotPossible("there are no documents on this server.")
        return self._documents


class GroundedReply:
    """A reply from sources, as it is written into a `LiveReply`.

    Attributes:
        grounding: the question and its sources.
    """

    def __init__(self, grounding: Grounding, branch: Sequence[Turn], live: LiveReply) -> None:
        self.grounding = grounding
        self._turns = merge_turns(branch)[:-1]
        self._live = live
        self._reply = grounding.reply()
        live.ground(
            Grounds(
                sources=[
                    SourceOut(
                        number=source.number,
                        document_id=source.document_id,
                        title=source.title,
                        place=source.place,
                        headings=list(source.headings),
                        start=source.start,
                        end=source.start + len(source.text),
                    )
                    for source in grounding.sources
                ],
                extract=self._extract(),
                suggestions=list(grounding.suggestions),
            )
        )

    def chat(self, system: str) -> Chat:
        """What the model is asked."""
        return self.grounding.chat(self._turns, persona=system)

    def refuse(self) -> None:
        """Write that the documents do not answer."""
        self._live.add(self.grounding.refusal(), "")

    def quote(self) -> None:
        """Write the best sentences of the documents: there is no model that chats."""
        if not self.grounding.is_certain:
            self.refuse()
            return
        extract = self.grounding.extract()
        self._live.add(extract.text, "")
        for citation in extract.citations:
            self._live.cite(_shown(citation, extract.text))

    async def take(self, piece: str) -> None:
        """Write a piece of the model's text on."""
        self._tell(await self._reply.feed(piece))

    async def finish(self, *, is_ours: bool) -> None:
        """The model's text is complete.

        Args:
            is_ours: whether the guard said something in its place, which needs no sources.
        """
        self._tell(await self._reply.finish())
        if is_ours:
            return
        closing = self.grounding.closing(self._reply)
        if closing.text:
            self._live.add(closing.text, "")
        for citation in closing.citations:
            self._live.cite(_shown(citation, self._reply.text + closing.text))

    def _tell(self, events: Sequence[Any]) -> None:
        for event in events:
            match event:
                case Text(text):
                    self._live.add(text, "")
                case Cited(citation):
                    self._live.cite(_shown(citation, self._reply.text))
                case Unsupported(start, end):
                    text = self._reply.text
                    self._live.doubt(_units(text[:start]), _units(text[:end]))

    def _extract(self) -> ExtractOut | None:
        if not self.grounding.is_certain:
            return None
        extract = self.grounding.extract()
        return ExtractOut(
            text=extract.text, citations=[_shown(citation, extract.text) for citation in extract.citations]
        )


def _shown(citation: Citation, text: str) -> CitationOut:
    return CitationOut(
        number=citation.number,
        document_id=citation.document_id,
        start=citation.start,
        end=citation.end,
        quote=citation.quote,
        answer_start=_units(text[: citation.answer_start]),
        answer_end=_units(text[: citation.answer_end]),
        score=round(citation.score, 3),
    )


def _units(text: str) -> int:
    """The length as browsers count it, in UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
