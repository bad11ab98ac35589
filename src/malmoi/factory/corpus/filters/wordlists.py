"""Texts with many words of a list: advertising and hate.

A list never drops a text for one word: a *share* of the eojeols must be on it, and at least `min_matches`.
An eojeol is normalized (letters only, small letters, `ㅋㅋㅋㅋ` to `ㅋㅋ`) and is on the list if it begins
with an entry, since particles and endings follow the stem; one that ends in `$` must be the whole eojeol.
The lists are ours, short, and in `lists/`; `words` in the settings adds to them, `file` replaces them.
"""

import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from malmoi.core.errors import ConfigError
from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.rules import Filter, FilterSettings

_WORD = re.compile(r"\w+")
_LONG_RUN = re.compile(r"(.)\1{2,}")
_KEY = 2
"""Letters by which an eojeol is looked up before it is compared with whole entries."""


class WordListSettings(FilterSettings):
    """Which words, and how many of them are too many."""

    max_share: float = Field(0.1, ge=0, le=1)
    """Of the eojeols, those on the list."""
    min_matches: int = Field(2, ge=1)
    """Fewer of them never drop a text."""
    words: tuple[str, ...] = ()
    """More entries."""
    file: str | None = None
    """A UTF-8 file with one entry a line to read in the place of the list."""


class WordList:
    """Entries that eojeols are compared with."""

    def __init__(self, entries: list[str]) -> None:
        self._whole = {normalize_word(entry[:-1]) for entry in entries if entry.endswith("$")}
        stems = {normalize_word(entry) for entry in entries if not entry.endswith("$")} - {""}
        self._short = {stem for stem in stems if len(stem) < _KEY}
        if self._short:
            raise ValueError(f"{sorted(self._short)[0]!r}: an entry of one letter must end in '$'")
        self._by_key: dict[str, tuple[str, ...]] = {}
        for stem in sorted(stems):
            self._by_key[stem[:_KEY]] = (*self._by_key.get(stem[:_KEY], ()), stem)
        self._keys = set(self._by_key) | {word[:_KEY] for word in self._whole}

    def count(self, words: list[str], beginnings: frozenset[str]) -> int:
        """How many of these eojeols (small letters, no punctuation) are on the list.

        Args:
            words: the eojeols.
            beginnings: their first two letters, by which most texts are done at once.
        """
        keys = self._keys & beginnings
        found = 0
        if not keys:
            return 0
        for word in [word for word in words if word[:_KEY] in keys]:
            plain = normalize_word(word)
            found += plain in self._whole or plain.startswith(self._by_key.get(plain[:_KEY], ()))
        return found


def normalize_word(word: str) -> str:
    """Small letters, without what is no letter or digit, and no letter more than twice in a row."""
    return _LONG_RUN.sub(r"\1\1", "".join(_WORD.findall(word.lower())).replace("_", ""))


# The lists are looked at one after another with the same document.
@lru_cache(maxsize=2)
def split_words(text: str) -> tuple[list[str], frozenset[str]]:
    """The eojeols of a text in small letters, without punctuation, and how they begin."""
    words = _WORD.findall(text.lower())
    return words, frozenset([word[:_KEY] for word in words])


def read_list(name: str) -> list[str]:
    """The entries of one of our own lists."""
    return _entries(files("malmoi.factory.corpus.filters").joinpath(f"lists/{name}.txt").read_text("utf-8"))


def _entries(text: str) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


class WordListFilter(Filter[WordListSettings]):
    """A filter by one list; the subclass says which.

    Raises:
        ConfigError: the list's file cannot be read, or an entry is wrong.
    """

    Settings = WordListSettings
    list_name: ClassVar[str]
    reason: ClassVar[str]

    def __init__(self, settings: WordListSettings) -> None:
        super().__init__(settings)
        try:
            own = settings.file
            entries = read_list(self.list_name) if own is None else _entries(Path(own).read_text("utf-8"))
            self._list = WordList([*entries, *settings.words])
        except (OSError, ValueError) as error:
            where = settings.file or f"filters.{self.list_name}.words"
            raise ConfigError(f"{where}: {error}.", fix="Write one entry a line, in UTF-8.") from error

    def judge(self, document: Document) -> str | None:
        """The reason to drop `document`, or None."""
        words, beginnings = split_words(document.text)
        found = self._list.count(words, beginnings)
        enough = found >= self.settings.min_matches and found > self.settings.max_share * len(words)
        return self.reason if enough else None


class AdvertisingFilter(WordListFilter):
    """Reason: `advertising`."""

    list_name = "advertising"
    reason = "advertising"


class HateFilter(WordListFilter):
    """Reason: `hate`."""

    list_name = "hate"
    reason = "hate"
