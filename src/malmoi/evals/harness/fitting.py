"""Prompts that do not fit the model's context: what to leave out, which is always told."""

import re
from collections.abc import Sequence

from malmoi.core.errors import ContextOverflow
from malmoi.engine.base import Engine

_WORD = re.compile(r"\s*\S+|\s+$")


async def fit_context(engine: Engine, context: str, *, after: str = "", room: int = 1) -> tuple[str, bool]:
    """A context without what of its beginning does not fit, as lm-eval does, and whether it was cut.

    Args:
        engine: counts tokens.
        context: what may be cut.
        after: what follows and must stay.
        room: tokens to leave free after both.

    Raises:
        ContextOverflow: what must stay does not fit by itself.
    """
    limit = engine.info.context_length - room
    length = len(await engine.tokenize(context + after))
    if length <= limit:
        return context, False
    kept = context
    while length > limit:
        if not kept:
            raise ContextOverflow(length + room, engine.info.context_length)
        # A little more than the share that is too much, since tokens are not all of one length.
        drop = max(1, int(len(kept) * (length - limit) / length * 1.02))
        kept = kept[drop:]
        length = len(await engine.tokenize(kept + after))
    return kept, True


async def rolling_pairs(engine: Engine, text: str) -> Sequence[tuple[str, str]]:
    """A text as (context, continuation) pairs that together score all of it once.

    A text that fits is one pair without context. Of a longer one each part, cut between words, follows as
    much of what comes before it as fits: half a context at least.
    """
    limit = engine.info.context_length - 2
    if len(await engine.tokenize(text)) <= limit:
        return [("", text)]
    pairs = []
    start = 0
    while start < len(text):
        end = await _end_of_part(engine, text, start, limit // 2 if start else limit)
        before, _ = await fit_context(engine, text[:start], after=text[start:end], room=2)
        pairs.append((before, text[start:end]))
        start = end
    return pairs


async def _end_of_part(engine: Engine, text: str, start: int, limit: int) -> int:
    """The end of a part from `start` with at most `limit` tokens, after a whole word where it can be."""
    end = len(text)
    # No token is known to be longer than 32 characters; this bounds what is counted.
    end = min(end, start + 32 * limit)
    length = len(await engine.tokenize(text[start:end]))
    while length > limit:
        end = start + max(1, int((end - start) * limit / length * 0.98))
        length = len(await engine.tokenize(text[start:end]))
        if end == start + 1:
            break
    if end < len(text):
        words = [match.end() for match in _WORD.finditer(text, start, end)]
        if len(words) > 1:
            end = words[-2]  # the last one may be cut
    return end
