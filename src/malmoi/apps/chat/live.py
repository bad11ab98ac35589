"""A reply while it is being written: its text so far, and everybody who reads along.

Readers keep a place in the text instead of a queue: one that is slow gets more at a time, and none of them
costs memory or holds up the others.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from malmoi.apps.chat.types import CitationOut, Grounds, StageOut

EventName: TypeAlias = Literal["snapshot", "token", "title", "sources", "citation", "stage", "done"]


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """What a reader is told: text, or (`done`) that the reply is saved and can be read.

    `data` is what was found (`sources`), one citation, one stage of a run of skills, or (`snapshot`) all
    stages so far, as JSON.
    """

    name: EventName
    content: str = ""
    reasoning: str = ""
    data: Any = None


class LiveReply:
    """The growing text of one reply.

    Attributes:
        text: what has been written.
        thought: the reasoning that has been written.
        grounds: what it rests on; None: it is not from documents, or nothing was found yet.
        stages: of its run of skills, as they are kept.
        run_id: of that run; None: there is none.
    """

    def __init__(
        self, message_id: str, account_id: str, conversation_id: str, title: str | None = None
    ) -> None:
        self.message_id = message_id
        self.account_id = account_id
        self.conversation_id = conversation_id
        self.title = title
        self.text = ""
        self.thought = ""
        self.grounds: Grounds | None = None
        self.stages: list[StageOut] = []
        self.run_id: str | None = None
        self._places: list[int] = []  # characters that were written before each stage
        self.saved_size = 0
        self._ended = False
        self._changed = asyncio.Event()

    @property
    def size(self) -> int:
        """Characters written so far."""
        return len(self.text) + len(self.thought)

    def add(self, text: str, thought: str) -> None:
        """Write on."""
        self.text += _plain(text)
        self.thought += _plain(thought)
        self._notify()

    def ground(self, grounds: Grounds) -> None:
        """Tell what was found for it."""
        self.grounds = grounds
        self._notify()

    def cite(self, citation: CitationOut) -> None:
        """A sentence that was written is supported by these words."""
        if self.grounds is not None:
            self.grounds.citations.append(citation)
            self._notify()

    def doubt(self, start: int, end: int) -> None:
        """No source supports what was written from `start` to `end`."""
        if self.grounds is not None:
            self.grounds.unsupported.append((start, end))

    def stage(self, stage: StageOut) -> None:
        """Something happened in its run of skills, after what was written so far."""
        self.stages.append(stage)
        self._places.append(len(self.text))
        self.run_id = stage.run_id or self.run_id
        self._notify()

    def go_on(self, text: str, thought: str, stages: Sequence[StageOut]) -> None:
        """Begin with what was written, and what happened, before the reply waited."""
        self.text, self.thought, self.saved_size = text, thought, len(text) + len(thought)
        for stage in stages:
            self.stage(stage)

    def end(self) -> None:
        """The reply is complete and saved: readers get what is left, then `done`."""
        self._ended = True
        self._notify()

    async def ended(self) -> None:
        """Wait until it is saved."""
        while not self._ended:
            await self._changed.wait()

    async def events(self, *, snapshot: bool) -> AsyncGenerator[LiveEvent, None]:
        """Read along to the end.

        Args:
            snapshot: begin with what is there now; without it all text comes as `token`.
        """
        text = thought = told = 0
        if snapshot:
            text, thought, told = len(self.text), len(self.thought), len(self.stages)
            stages = [stage.model_dump() for stage in self.stages]
            yield LiveEvent("snapshot", self.text, self.thought, stages or None)
        if self.title is not None:
            yield LiveEvent("title", self.title)
        cited = -1  # the sources come before the first citation
        while True:
            changed, ended = self._changed, self._ended
            if self.grounds is not None and cited < 0:
                cited = 0
                yield LiveEvent("sources", data=self.grounds.model_dump(exclude={"citations", "unsupported"}))
                continue
            # Words and stages come in the order in which they came about.
            if told < len(self.stages) and self._places[told] <= text:
                told += 1
                yield LiveEvent("stage", data=self.stages[told - 1].model_dump())
                continue
            end = self._places[told] if told < len(self.stages) else len(self.text)
            if end > text or len(self.thought) > thought:
                event = LiveEvent("token", self.text[text:end], self.thought[thought:])
                text, thought = end, len(self.thought)
                yield event
                continue
            if self.grounds is not None and len(self.grounds.citations) > cited:
                cited += 1
                yield LiveEvent("citation", data=self.grounds.citations[cited - 1].model_dump())
                continue
            if ended:
                yield LiveEvent("done")
                return
            await changed.wait()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _plain(text: str) -> str:
    """Text that any database and any client takes: no NUL, no half of a surrogate pair."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
