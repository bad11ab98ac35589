"""The text of an answer while it grows: from token ids to characters that may be shown.

A token may end inside of a character, and a stop string may be spread over several tokens; both are held back
until it is clear what they are.
"""

from collections.abc import Callable, Sequence

_BROKEN = "\N{REPLACEMENT CHARACTER}"


class Detokenizer:
    """Token ids in, the text that each adds out.

    Args:
        decode: the tokenizer's own; the text of several ids together.
        before: the last ids of the prompt: some tokenizers drop the space of a text's first token.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], before: Sequence[int] = ()) -> None:
        self._decode = decode
        self._window = list(before)
        self._fresh: list[int] = []
        self._shown = decode(self._window) if before else ""

    def push(self, token_id: int) -> str:
        """The text that is complete with this token; may be empty."""
        self._fresh.append(token_id)
        text = self._decode([*self._window, *self._fresh])
        if text.endswith(_BROKEN):
            return ""  # the rest of the character comes with the next token
        new = text[len(self._shown) :]
        # The window begins where a character begins, and holds what the next token's spaces depend on.
        self._window, self._fresh = self._fresh, []
        self._shown = self._decode(self._window)
        return new

    def finish(self) -> str:
        """What is left, with broken characters as they are."""
        return self._decode([*self._window, *self._fresh])[len(self._shown) :]


class StopBuffer:
    """Text in, text out, up to the first stop string; what could be the beginning of one is held back."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """The text that may be shown now. After a stop string: nothing any more, and `stopped` is True."""
        if self.stopped:
            return ""
        self._held += text
        found = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            shown, self._held = self._held[: min(found)], ""
            return shown
        keep = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        cut = len(self._held) - keep
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def finish(self) -> str:
        """What was held back and turned out to be ordinary text."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` that begins `stop` without being all of it."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
