"""Sources and citations: what an answer may lean on, and which words of it each sentence leans on.

A model is asked to write `[1]` behind what it takes from source 1. The marks are hints for us and noise for
people: `MarkCutter` takes them out of the text while it streams, and tells where they stood.
"""

import re
from dataclasses import dataclass

_MARK = re.compile(r"[ \t]?\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")
# The beginning of what may become a mark when more text comes.
_OPEN = re.compile(r"[ \t]?(?:\[[\d\s,]{0,24})?\Z")
_CODE = re.compile(r"`+")


@dataclass(frozen=True, slots=True)
class Source:
    """A passage of a document that an answer may lean on.

    Attributes:
        number: from 1; the model names it so.
        document_id: the document.
        title: of the document, for people and for the model.
        place: where the passage begins, for people ("p. 3"); may be empty.
        text: the words of the document from `start` on, unchanged.
        start: where the passage begins in the document's text.
        headings: above it, from the outermost; no part of the text.
        standing: how good the search found it beside the best one, in [0, 1]; 0 where nobody knows.
    """

    number: int
    document_id: str
    title: str
    place: str
    text: str
    start: int = 0
    headings: tuple[str, ...] = ()
    standing: float = 0.0


@dataclass(frozen=True, slots=True)
class Citation:
    """The words of a document that support a sentence of an answer.

    Attributes:
        number: of the source.
        document_id: its document.
        start: where the words begin in the document's text.
        end: behind them.
        quote: the words.
        answer_start: where the sentence begins in the answer, as people see it.
        answer_end: behind the sentence.
        score: how well they support it, in [0, 1].
    """

    number: int
    document_id: str
    start: int
    end: int
    quote: str
    answer_start: int
    answer_end: int
    score: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of the model: the source it names, and where it stood in the text without marks."""

    number: int
    at: int


class MarkCutter:
    """Takes the marks out of a text that comes in pieces.

    What stands in code (between backticks) is left alone: `items[1]` is no mark.

    Attributes:
        text: what has come, without marks.
        marks: the marks, in order; also of sources that do not exist.
    """

    def __init__(self) -> None:
        self.text = ""
        self.marks: list[Mark] = []
        self._held = ""
        self._fence = ""  # the backticks that opened the code we are in

    def feed(self, piece: str) -> str:
        """Take a piece; what of it (and of what was held back) is certainly text."""
        whole = self._held + piece
        held = _held_from(whole)
        self._held = whole[held:]
        return self._cut(whole[:held])

    def finish(self) -> str:
        """The text is complete: what was held back."""
        rest, self._held = self._held, ""
        return self._cut(rest)

    def _cut(self, piece: str) -> str:
        written = len(self.text)
        at = 0
        while at < len(piece):
            tick = _CODE.search(piece, at)
            end = tick.start() if tick else len(piece)
            if self._fence:
                self.text += piece[at:end]
            else:
                self._cut_prose(piece[at:end])
            if tick is None:
                break
            if not self._fence:
                self._fence = tick.group()
            elif tick.group() == self._fence:
                self._fence = ""
            self.text += tick.group()
            at = tick.end()
        return self.text[written:]

    def _cut_prose(self, prose: str) -> None:
        last = 0
        for match in _MARK.finditer(prose):
            self.text += prose[last : match.start()]
            self.marks += [Mark(int(number), len(self.text)) for number in match.group(1).split(",")]
            last = match.end()
        self.text += prose[last:]


def _held_from(text: str) -> int:
    """Where the end of `text` begins that must wait: a mark, or a run of backticks, may be under way."""
    if text.endswith("`"):
        return len(text.rstrip("`"))
    match = _OPEN.search(text)
    return match.start() if match else len(text)
