"""A title from the first message, without asking a model. Pure functions."""

import re

from malmoi.core.hangul import nfc

_LENGTH = 40
_ENOUGH = 10
_FENCE = re.compile(r"```.*?(?:```|$)", re.DOTALL)
_MARKUP = re.compile(r"^\s*(?:#{1,6}\s+|[-*>]\s+|\d+[.)]\s+)|[`*_~]+")
# A sentence ends at a mark that is followed by a space; a point within 3.5 or v1.2 ends none.
_SENTENCE = re.compile(r".+?[.!?。！？…](?=\s|$)")


def make_title(message: str) -> str:
    """The first sentence of a message, in one line of about 40 characters; empty when it has no words."""
    text = nfc(message)
    lines = [" ".join(_MARKUP.sub("", line).split()) for line in _FENCE.sub("\n", text).splitlines()]
    line = next((line for line in lines if any(char.isalnum() for char in line)), "")
    if not line:  # nothing but code
        line = next((" ".join(line.split()) for line in text.splitlines() if line.strip(" `")), "")
        line = line.strip("` ")
    # A greeting alone says little: sentences are taken until there are a few words.
    sentence = _SENTENCE.match(line)
    while sentence and sentence.end() < _ENOUGH and (further := _SENTENCE.match(line, sentence.end())):
        sentence = further
    title = line[: sentence.end()] if sentence and sentence.end() >= _ENOUGH else line
    title = title.rstrip(".。… ") or title
    return _shorten(title)


def _shorten(title: str) -> str:
    if len(title) <= _LENGTH:
        return title
    cut = title[: _LENGTH - 1]
    space = cut.rfind(" ")
    # Cut between words, unless that would lose more than a third.
    return (cut[:space] if space >= _LENGTH * 2 // 3 else cut).rstrip(" ,.;:") + "…"
