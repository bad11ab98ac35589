"""The documents that a file's conversations refer to: only what its reader has here is kept."""

from dataclasses import dataclass

from malmoi.apps.chat.transfer.document import FileConversation
from malmoi.apps.chat.types import CitationOut, DocumentChoice, Grounds


@dataclass(frozen=True, slots=True)
class Known:
    """The collections and documents of a file that are here, and that its reader may read."""

    collections: frozenset[str] = frozenset()
    documents: frozenset[str] = frozenset()

    def choice(self, wanted: DocumentChoice | None) -> DocumentChoice | None:
        """In which documents a conversation goes on to look; None where none of those it names is here."""
        if wanted is None or not (wanted.collections or wanted.documents):
            return wanted
        kept = DocumentChoice(
            collections=[one for one in wanted.collections if one in self.collections],
            documents=[one for one in wanted.documents if one in self.documents],
        )
        # A choice without names would mean all documents.
        return kept if kept.collections or kept.documents else None

    def grounds(self, told: Grounds | None, content: str) -> Grounds | None:
        """The sources and citations of a message whose documents are here; None where none of them is."""
        if told is None:
            return None
        sources = [one for one in told.sources if one.document_id in self.documents]
        if told.sources and not sources:
            return None
        units = len(content.encode("utf-16-le", "surrogatepass")) // 2

        def fits(one: CitationOut) -> bool:
            in_text = 0 <= one.answer_start < one.answer_end <= units
            return one.document_id in self.documents and in_text and 0 <= one.start <= one.end

        return Grounds(
            sources=sources,
            citations=[one for one in told.citations if fits(one)],
            unsupported=[span for span in told.unsupported if 0 <= span[0] <= span[1] <= units],
            suggestions=told.suggestions,
        )


def referred(conversation: FileConversation) -> tuple[set[str], set[str]]:
    """The collections and the documents that a conversation refers to."""
    choice = conversation.documents or DocumentChoice()
    documents = set(choice.documents)
    for message in conversation.messages:
        if message.grounds is not None:
            documents.update(one.document_id for one in message.grounds.sources)
            documents.update(one.document_id for one in message.grounds.citations)
    return set(choice.collections), documents
