"""Word lists: what is found, also with signs or digits between its letters ("시1발"), but no harmless word.

A list has a word a line; one that begins with `!` is an exception: where it is found, nothing is. Latin words
are found as whole words, Korean ones anywhere, since particles and endings stick to them. Letters of the old
kind (NFD), full-width letters and invisible characters are folded first; places are those of the given text.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from malmoi.core.pii.signs import INVISIBLE

_BETWEEN = r"[0-9.,·~!@#$%^&*_\-]{0,2}"
_MOST_MARKS = 8  # on one letter; composing takes quadratic time in them


class WordList:
    """Words to be found in texts.

    Args:
        entries: words, and exceptions that begin with `!`.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        words, exceptions = set[str](), set[str]()
        for entry in entries:
            folded = fold(entry)[0].strip()
            (exceptions if folded.startswith("!") else words).add(folded.removeprefix("!").strip())
        self._words = _any_of(words, loose=True)
        self._exceptions = _any_of(exceptions, loose=False)

    def find(self, text: str) -> list[tuple[int, int]]:
        """`(start, end)` of each word in `text`, from left to right."""
        if self._words is None:
            return []
        folded, places = fold(text)
        found = [match.span() for match in self._words.finditer(folded)]
        if found and self._exceptions is not None:
            spared = [match.span() for match in self._exceptions.finditer(folded)]
            found = [span for span in found if not any(a < span[1] and span[0] < b for a, b in spared)]
        return [(places[start], max(places[end], places[end - 1] + 1)) for start, end in found]


def fold(text: str) -> tuple[str, Sequence[int]]:
    """Lower case, composed, without what is invisible; and the place of each character in `text`.

    Marks over and under letters that are no part of a composed letter are left out ("s̶h̶i̶t̶").
    """
    if text.isascii():
        return text.lower(), range(len(text) + 1)
    is_plain = not any(map(unicodedata.combining, text)) and INVISIBLE.search(text) is None
    if is_plain and unicodedata.is_normalized("NFKC", text):
        lowered = text.lower()
        if len(lowered) == len(text):
            return lowered, range(len(text) + 1)
    chars: list[str] = []
    places: list[int] = []
    at = 0
    while at < len(text):
        end = at + 1
        # A letter and what is put on it belong together: they become one character, or none.
        while end < len(text) and _joins(text[end]):
            end += 1
        letter = INVISIBLE.sub("", text[at:end])[:_MOST_MARKS]
        composed = unicodedata.normalize("NFKC", letter).lower()
        folded = "".join(char for char in composed if not unicodedata.combining(char))
        chars.append(folded)
        places += [at] * len(folded)
        at = end
    return "".join(chars), [*places, len(text)]


def _joins(char: str) -> bool:
    """Whether it belongs to the letter before it: a mark, an old vowel or tail, or nothing visible."""
    return bool(unicodedata.combining(char) or "\u1160" <= char <= "\u11ff" or INVISIBLE.match(char))


def _any_of(words: set[str], *, loose: bool) -> re.Pattern[str] | None:
    """A pattern of all words; the class of their first letters in front makes the search fast."""
    parts: list[str] = []
    for word in sorted(words, key=lambda word: (-len(word), word)):
        if word.isascii():
            parts.append(rf"\b{re.escape(word)}\b" if loose else re.escape(word))
        elif loose and len(word) > 1:
            parts.append(_BETWEEN.join(re.escape(char) for char in word))
        else:
            parts.append(re.escape(word))
    if not parts:
        return None
    firsts = "".join(sorted({re.escape(word[0]) for word in words}))
    return re.compile(rf"(?=[{firsts}])(?:{'|'.join(parts)})")
