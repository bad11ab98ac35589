"""What the pages say, in Korean and English."""

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from markupsafe import Markup, escape

Phrase: TypeAlias = dict[str, str]
"""Language -> text."""
LANGUAGES = ("ko", "en")


@lru_cache(maxsize=1)
def load_words() -> dict[str, dict[str, Phrase]]:
    """Group -> name -> phrase."""
    path = Path(__file__).with_name("words.toml")
    words: dict[str, dict[str, Phrase]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return words


def phrase(name: str, group: str = "labels", **figures: object) -> Phrase:
    """A phrase with its figures, as plain text."""
    return {language: text.format(**figures) for language, text in load_words()[group][name].items()}


def both(words: Phrase) -> Markup:
    """Both languages as HTML; the page shows one of them."""
    parts = [
        Markup('<span class="{0}" lang="{0}">{1}</span>').format(language, escape(words[language]))
        for language in LANGUAGES
    ]
    return Markup("").join(parts)
