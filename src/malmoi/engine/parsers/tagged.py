"""Parse the turns of models that mark thoughts and calls with tags, or write calls as bare JSON.

    <think>thought</think> answer <tool_call>{"name": ..., "arguments": ...}</tool_call>

A thought is only looked for where the turn begins, since later `<think>` is most likely what the answer is
about. Calls are only looked for when tools were offered. Small models forget the tags and write the JSON in a
code fence, inside `<tools>`, or bare at the start of a line; that counts as a call if it names one of the
tools and has arguments, and stays text otherwise. Other code fences are left alone.

Everything is a pure function of a frozen `Turn`; its time is linear in the text, however that is cut into
pieces.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal

from malmoi.core.types import Tool
from malmoi.engine.parsers.base import NewId, ParsedDelta, Pieces, random_id
from malmoi.engine.parsers.calljson import CallJson
from malmoi.engine.parsers.callpairs import CallPairs
from malmoi.engine.parsers.calls import Call, Outcome, new_call, read_call
from malmoi.engine.parsers.marks import begun_at_end

THINK, END_THINK = "<think>", "</think>"
TAGS = {"<tool_call>": "</tool_call>", "<tools>": "</tools>"}
CALL_LANGUAGES = frozenset({"", "json", "jsonc", "xml", "text", "plaintext", "tool_call", "tools"})
MAX_BLANK = 256  # blanks held back in case a call follows
MAX_TICKS = 8

_TRIGGER = re.compile(r"[<`{\[]")
_FENCE = re.compile(r"(`{3,8})([A-Za-z_+-]{0,20})[ \t]{0,20}\s{0,64}")


class Mode(Enum):
    """What is being read."""

    START = "the beginning of the turn"
    THOUGHT = "a thought"
    TEXT = "visible text"
    CODE = "a code block that holds no call"
    CALL = "a call"
    AFTER = "what follows a call"
    OVER = "nothing; the turn is over"


@dataclass(frozen=True, slots=True)
class Rules:
    """What to look for. No tools: no calls. `body` is how a call is written inside `<tool_call>`."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    body: Literal["json", "pairs"] = "json"
    new_id: NewId = random_id


@dataclass(frozen=True, slots=True)
class Turn:
    """How far the turn is read.

    Attributes:
        held: the beginning of a marker, at the end of the text so far.
        blank: blanks that wait for what follows them: before a call they are dropped.
        line_start: nothing but blanks stands before this place in its line.
        said: there has been visible text.
        index: calls so far.
        call: the call being read, in mode CALL.
        tag: the closing tag that is due; empty: none.
        fence: the ticks of the code fence around the call or code; empty: none.
        loose: the call stands in a list or in doubled braces, whose ends are to be dropped.
    """

    mode: Mode = Mode.START
    held: str = ""
    blank: str = ""
    line_start: bool = True
    said: bool = False
    index: int = 0
    call: Call | None = None
    tag: str = ""
    fence: str = ""
    loose: bool = False


def read_tagged(rules: Rules, turn: Turn, text: str) -> tuple[Turn, tuple[ParsedDelta, ...]]:
    """Read more of a turn: the new state, and what is certain now."""
    reader = _Reader(rules, turn, turn.held + text)
    reader.read()
    return reader.turn, reader.pieces.deltas()


def finish_tagged(rules: Rules, turn: Turn) -> tuple[Turn, tuple[ParsedDelta, ...]]:
    """No more text comes: give out what was held back."""
    reader = _Reader(rules, replace(turn, held=""), "")
    match turn.mode:
        case Mode.THOUGHT:
            reader.pieces.reasoning(turn.blank + turn.held if turn.held else "")
        case Mode.CALL:
            if turn.call is not None and not turn.call.certain:
                reader.put(turn.call.raw)
                reader.pieces.text(reader.turn.blank)
        case Mode.AFTER:
            if turn.held:
                reader.to_text()
                reader.put(turn.held)
        case Mode.START | Mode.TEXT | Mode.CODE:
            reader.put(turn.held)
            reader.pieces.text(reader.turn.blank)
        case Mode.OVER:
            pass
    return Turn(mode=Mode.OVER, index=turn.index), reader.pieces.deltas()


class _Reader:
    """One step over one buffer. `place` is where the unread text begins."""

    def __init__(self, rules: Rules, turn: Turn, buffer: str) -> None:
        self.rules = rules
        self.turn = replace(turn, held="")
        self.buffer = buffer
        self.place = 0
        self.pieces = Pieces()

    def read(self) -> None:
        """Read the buffer to its end, or to the marker that begins there."""
        while self.place < len(self.buffer):
            match self.turn.mode:
                case Mode.START:
                    going = self._start()
                case Mode.THOUGHT:
                    going = self._thought()
                case Mode.TEXT:
                    going = self._text()
                case Mode.CODE:
                    going = self._code()
                case Mode.CALL:
                    going = self._call()
                case Mode.AFTER:
                    going = self._after()
                case Mode.OVER:
                    return
            if not going:
                self._set(held=self.buffer[self.place :])
                return

    def put(self, text: str) -> None:
        """Visible text; blanks at its end wait."""
        if not text:
            return
        solid = text.rstrip()
        turn = self.turn
        if solid:
            self.pieces.text(turn.blank + solid)
            blank, line_start = text[len(solid) :], False
        else:
            blank, line_start = turn.blank + text, turn.line_start
        line_start = line_start or "\n" in blank
        if len(blank) > MAX_BLANK:
            self.pieces.text(blank)
            blank = ""
        self._set(blank=blank, line_start=line_start, said=turn.said or bool(solid))

    def to_text(self) -> None:
        """Go on with visible text after a call: blanks between two texts stay, others go."""
        turn = self.turn
        self._set(mode=Mode.TEXT, line_start=True, blank=turn.blank if turn.said else "", tag="", loose=False)
        self._set(fence="")

    # The modes. Each returns False when it needs more text to decide.

    def _start(self) -> bool:
        rest = self.buffer[self.place :]
        stripped = rest.lstrip()
        if THINK.startswith(stripped) and stripped != THINK:
            self.put(rest[: len(rest) - len(stripped)])
            self.place = len(self.buffer) - len(stripped)
            return False
        if not stripped.startswith(THINK):
            self._set(mode=Mode.TEXT)
            return True
        self.place = len(self.buffer) - len(stripped) + len(THINK)
        self._set(mode=Mode.THOUGHT, blank="", said=False)
        return True

    def _thought(self) -> bool:
        rest = self.buffer[self.place :]
        end = rest.find(END_THINK)
        size = 0 if end >= 0 else begun_at_end(rest, (END_THINK,))
        part = rest[:end] if end >= 0 else rest[: len(rest) - size]
        if not self.turn.said:  # blanks before the thought; `said` counts for it until it ends
            part = part.lstrip()
        solid = part.rstrip()
        if solid:
            self.pieces.reasoning(self.turn.blank + solid)
            self._set(blank=part[len(solid) :], said=True)
        elif part:
            self._set(blank=self.turn.blank + part)
        if len(self.turn.blank) > MAX_BLANK:
            self.pieces.reasoning(self.turn.blank)
            self._set(blank="")
        if end < 0:
            self.place = len(self.buffer) - size
            return False
        self.place += end + len(END_THINK)
        self._set(mode=Mode.AFTER, blank="", said=False)
        return True

    def _text(self) -> bool:
        buffer = self.buffer
        if not self.rules.tools:
            self.put(buffer[self.place :])
            self.place = len(buffer)
            return True
        search = self.place
        while found := _TRIGGER.search(buffer, search):
            at = found.start()
            if buffer[at] == "<":
                moved = self._tag_at(at)
            elif not self._line_starts(at):
                search = at + 1
                continue
            elif buffer[at] == "`":
                moved = self._fence_at(at)
            else:
                self._put_until(at)
                self._open_guess("")
                return True
            if moved is not None:
                return moved
            search = max(at + 1, self.place)
        self._put_until(len(buffer))
        return True

    def _tag_at(self, at: int) -> bool | None:
        """A tag at `at`: True if one was read, False if it may be one, None if it is none."""
        rest = self.buffer[at : at + 16]
        for opening in TAGS:
            if rest.startswith(opening):
                self._put_until(at)
                self._open_tag(opening, "")
                return True
        if self.turn.index:  # a tag that closes nothing, after a call that was broken off
            for closing in TAGS.values():
                if rest.startswith(closing):
                    self._put_until(at)
                    self.place = at + len(closing)
                    return True
        known = (*TAGS, *(TAGS.values() if self.turn.index else ()))
        if at + len(rest) == len(self.buffer) and any(tag.startswith(rest) for tag in known):
            self._put_until(at)
            return False
        return None

    def _fence_at(self, at: int) -> bool | None:
        """A code fence at `at`, with the same answers as `_tag_at`."""
        buffer = self.buffer
        ticks = len(buffer[at : at + MAX_TICKS + 1]) - len(buffer[at : at + MAX_TICKS + 1].lstrip("`"))
        if ticks < 3:
            if at + ticks < len(buffer):
                return None
            self._put_until(at)
            return False
        if ticks > MAX_TICKS:  # a ruler, not a fence
            self._put_until(at + ticks)
            return None
        head = _FENCE.match(buffer, at)
        assert head is not None
        rest = buffer[head.end() : head.end() + 16]
        if not rest and len(head[0]) < 100:
            self._put_until(at)
            return False
        if head[2].lower() in CALL_LANGUAGES:
            tag = next((opening for opening in TAGS if rest.startswith(opening)), "")
            if rest[:1] in ("{", "[") or tag:
                self._put_until(at)
                self.place = head.end()
                self._set(fence=head[1])
                if tag:
                    self._open_tag(tag, head[0])
                else:
                    self._open_guess(head[0])
                return True
            begun = any(opening.startswith(rest) for opening in TAGS)
            if begun and head.end() + len(rest) == len(buffer):
                self._put_until(at)
                return False
        self._put_until(at + ticks)
        self._set(mode=Mode.CODE, fence=head[1])
        return True

    def _code(self) -> bool:
        buffer, fence = self.buffer, self.turn.fence
        search = self.place
        while (at := buffer.find("`", search)) >= 0:
            if not self._line_starts(at):
                search = at + 1
            elif buffer.startswith(fence, at):
                self._put_until(at + len(fence))
                self._set(mode=Mode.TEXT, fence="")
                return True
            elif fence.startswith(buffer[at : at + len(fence)]) and at + len(fence) > len(buffer):
                self._put_until(at)
                return False
            else:
                search = at + 1
        self._put_until(len(buffer))
        return True

    def _call(self) -> bool:
        call = self.turn.call
        assert call is not None
        call, self.place, outcome = read_call(
            call,
            self.buffer,
            self.place,
            index=self.turn.index,
            tools=self.rules.tools,
            new_id=self.rules.new_id,
            pieces=self.pieces,
        )
        match outcome:
            case Outcome.MORE:
                blank = "" if call.certain else self.turn.blank
                self._set(call=call, blank=blank)
            case Outcome.DONE:
                doubled = isinstance(call.body, CallJson) and call.body.doubled
                if isinstance(call.body, CallPairs) and call.body.held:
                    self.buffer, self.place = call.body.held + self.buffer[self.place :], 0
                # Written in pairs, a call has read its closing tag itself.
                closed = isinstance(call.body, CallPairs)
                self._set(
                    mode=Mode.AFTER,
                    call=None,
                    blank="",
                    index=self.turn.index + 1,
                    loose=self.turn.loose or doubled,
                    tag="" if closed else self.turn.tag,
                )
            case Outcome.REFUSED:
                fence = self.turn.fence
                self._set(call=None, tag="", loose=False)
                self.put(call.raw)
                self._set(mode=Mode.CODE if fence else Mode.TEXT)
        return True

    def _after(self) -> bool:
        """Between calls and the text that may follow: closing tags, fences, commas, another call."""
        buffer, turn = self.buffer, self.turn
        rest = buffer[self.place : self.place + 16]
        first = rest[0]
        cut = self.place + len(rest) == len(buffer)
        if first.isspace():
            self._set(blank=(turn.blank + first)[-MAX_BLANK:])
            self.place += 1
            return True
        due = tuple(mark for mark in (turn.tag, turn.fence) if mark)
        for mark in due:
            if rest.startswith(mark):
                self.place += len(mark)
                self._set(tag="" if mark == turn.tag else turn.tag, loose=False)
                if mark == turn.fence:
                    self._set(fence="", tag="")
                return True
        opening = next((tag for tag in TAGS if rest.startswith(tag)), "") if self.rules.tools else ""
        if opening:
            self._open_tag(opening, "", at=self.place)
            return True
        expected = (*due, *(TAGS if self.rules.tools else ()))
        if cut and any(mark.startswith(rest) for mark in expected):
            return False
        inside = bool(turn.tag or turn.fence or turn.loose)
        if first in ",]}" and inside:
            self.place += 1
            return True
        if first == "{" and turn.index and self.rules.body == "json":
            self._set(mode=Mode.CALL, call=new_call("json", guess=not turn.tag))
            return True
        self.to_text()
        return True

    # Small moves

    def _open_tag(self, opening: str, before: str, at: int | None = None) -> None:
        self.place = (self.place if at is None else at) + len(opening)
        body = self.rules.body if opening == "<tool_call>" else "json"
        raw = before + opening
        guess = opening != "<tool_call>"
        self._set(mode=Mode.CALL, tag=TAGS[opening], call=new_call(body, guess=guess, raw=raw))

    def _open_guess(self, before: str) -> None:
        """A brace or bracket that may begin a call."""
        listed = self.buffer[self.place] == "["
        raw = before
        if listed:
            raw += "["
            self.place += 1
        self._set(mode=Mode.CALL, loose=listed, call=new_call("json", guess=True, raw=raw))

    def _put_until(self, end: int) -> None:
        self.put(self.buffer[self.place : end])
        self.place = end

    def _line_starts(self, at: int) -> bool:
        before = at - 1
        while before >= self.place and self.buffer[before] in " \t":
            before -= 1
        return self.buffer[before] == "\n" if before >= self.place else self.turn.line_start

    def _set(self, **changes: object) -> None:
        self.turn = replace(self.turn, **changes)  # type: ignore[arg-type]
