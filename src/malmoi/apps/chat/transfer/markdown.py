"""A conversation as a Markdown document: the branch that is shown, in reading order."""

import re
from collections.abc import Sequence

from malmoi.apps.chat.tables import Conversation, Message
from malmoi.apps.chat.types import CitationOut, Grounds
from malmoi.core.hangul import is_hangul

_NAMES = {True: ("나", "답", "생각"), False: ("Me", "Answer", "Reasoning")}
_MARKS = re.compile(r"([\\`*_\[\]<>])")


def to_markdown(conversation: Conversation, branch: Sequence[Message]) -> str:
    """The document; its headings are Korean when the first message is. What answers cite is in footnotes."""
    korean = bool(branch) and any(is_hangul(char) for char in branch[0].content)
    me, answer, reasoning = _NAMES[korean]
    title = " ".join(conversation.title.split()) or answer
    lines = [f"# {title}", "", f"*{conversation.created_at:%Y-%m-%d}*", ""]
    notes = _Footnotes()
    for message in branch:
        who = me if message.role == "user" else answer
        model = f" ({message.model})" if message.role == "assistant" and message.model else ""
        lines += [f"## {who}{model}", ""]
        if message.reasoning:
            quoted = "\n".join(f"> {line}".rstrip() for line in message.reasoning.splitlines())
            lines += [f"> **{reasoning}**", ">", quoted, ""]
        text = notes.marked(message)
        # A heading of the text must not look like one of ours.
        lines += [re.sub(r"^(#{1,4})(?=\s)", r"##\1", text.rstrip(), flags=re.MULTILINE), ""]
    return "\n".join([*lines, *notes.lines])


class _Footnotes:
    """The cited words of a whole conversation, each once."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._numbers: dict[tuple[str, int, int], int] = {}

    def marked(self, message: Message) -> str:
        """The text of a message with a mark behind each sentence that cites something."""
        grounds = Grounds.model_validate(message.grounds or {})
        units = message.content.encode("utf-16-le")
        pieces: list[bytes] = []
        at = 0
        for citation in sorted(grounds.citations, key=lambda one: one.answer_end):
            end = 2 * citation.answer_end
            mark = f"[^source-{self._number(citation, grounds)}]".encode("utf-16-le")
            pieces += [units[at:end], mark]
            at = max(at, min(end, len(units)))
        return b"".join([*pieces, units[at:]]).decode("utf-16-le", "replace")

    def _number(self, citation: CitationOut, grounds: Grounds) -> int:
        key = (citation.document_id, citation.start, citation.end)
        if key not in self._numbers:
            number = self._numbers[key] = len(self._numbers) + 1
            source = next((one for one in grounds.sources if one.number == citation.number), None)
            where = () if source is None else (source.title, source.place)
            told = [*(_escaped(part) for part in where if part), f"“{_escaped(citation.quote)}”"]
            self.lines.append(f"[^source-{number}]: {', '.join(told)}")
        return self._numbers[key]


def _escaped(text: str) -> str:
    """Text of a document on one line, with no mark of Markdown in it."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
