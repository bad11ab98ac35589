"""Which language a document is in: by its scripts first, by its words where several languages share a script.

Hangul, kana, Han alone and a few others decide by themselves. Latin and Cyrillic text is given to py3langid
(naive Bayes on byte n-grams; its model is inside its wheel), on samples from three places of the text. A text
that is code is "code", whatever language its comments are in, unless most of it is Korean prose.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.formats.kinds import CODE_SUFFIXES
from malmoi.factory.corpus.formats.opening import inner_suffix
from malmoi.factory.corpus.scripts import Scripts, count_scripts

UNKNOWN = "und"
"""No letters to go by, or a script that tells nothing (ISO 639-2 "undetermined")."""
KOREAN_SHARE = 0.15
"""Share of Hangul among the letters above which prose is Korean: one syllable says what three letters say."""
KOREAN_SHARE_IN_CODE = 0.25
"""The same for a file that is named as code: its comments may be Korean, it is code still."""
SAMPLE = 600
"""Characters taken from the beginning, middle and end for py3langid."""
SHORTEST_LATIN = 40
"""Latin letters below which a text is taken for English: too little to tell languages apart."""

_ENGLISH = re.compile(r"\b(?:the|of|and|to|is|in|that|for|with|this|are|you|it)\b", re.IGNORECASE)
_WORDS = re.compile(r"[A-Za-z']+")
ENGLISH_SHARE = 0.18
"""Share of these words above which a text is English without asking further; other languages stay below."""

# A line of code, by how it ends or begins. Each alternative looks at one end of the line only.
_CODE_LINE = re.compile(
    r"^\s*(?:def |class |import |from \S+ import|return\b|if .*:\s*$|if ?\(|for ?\(|while ?\(|for \w+ in "
    r"|elif |else:|else ?\{|try[:{ ]|except\b|catch ?\(|#include\b|#define\b|using namespace|package \w"
    r"|public |private |protected |static |const |let |var |function\b|func |fn |export |@\w+|\$ |>>> |//"
    r"|/\*|\*/|\}|\{|<\/?\w+[^>]*>|\w+\s*=\s*\S|\w[\w.]*\([^)]*\)\s*;?\s*$|self\.|print\("
    r"|SELECT |INSERT |CREATE )"
    r"|[;{}]\s*$|\)\s*:\s*$|=>\s*\S*$",
)
CODE_LINES = 0.5
"""Share of the lines that look like code above which a text is code."""
INDENTED_CODE_LINES = 0.15
"""The same where most other lines are indented: docstrings and comments inside code."""


def identify(text: str, name: str = "") -> str:
    """The language of a text.

    Args:
        text: the document.
        name: its file's name, for the suffix; may be empty.

    Returns:
        An ISO 639-1 code such as "ko", or "code", or "und".
    """
    scripts = count_scripts(text)
    letters = scripts.letters
    if letters == 0:
        return UNKNOWN
    hangul = (scripts.hangul + scripts.jamo) / letters
    if name and _is_code_name(name):
        return "ko" if hangul >= KOREAN_SHARE_IN_CODE else "code"
    if hangul >= KOREAN_SHARE:
        return "ko"
    by_script = _by_script(scripts)
    if by_script is not None:
        return by_script
    if looks_like_code(text):
        return "code"
    if hangul >= KOREAN_SHARE / 3 and scripts.hangul >= 100:
        return "ko"  # a page of names, links and numbers with Korean around them
    if scripts.latin == letters and letters < SHORTEST_LATIN:
        return "en"
    code = _by_words(text)
    if code == "ko" and hangul < KOREAN_SHARE / 5:
        return UNKNOWN
    return code


# A file's name comes with each of its rows.
@lru_cache(maxsize=16)
def _is_code_name(name: str) -> bool:
    return inner_suffix(name) in CODE_SUFFIXES


def _by_script(scripts: Scripts) -> str | None:
    """The language where the script alone says it."""
    east = scripts.kana + scripts.han
    if east >= 0.3 * scripts.letters:
        return "ja" if scripts.kana >= 0.05 * east else "zh"
    return None


def _by_words(text: str) -> str:
    sample = _sample(text)
    words = len(_WORDS.findall(sample))
    if words >= 20 and len(_ENGLISH.findall(sample)) >= ENGLISH_SHARE * words:
        return "en"
    return str(_identifier().classify(sample)[0])


def _sample(text: str) -> str:
    if len(text) <= 3 * SAMPLE:
        return text
    middle = len(text) // 2
    return "\n".join((text[:SAMPLE], text[middle : middle + SAMPLE], text[-SAMPLE:]))


@cache
def _identifier() -> Any:
    from py3langid.langid import LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file("data/model.npz.xz")
    # Languages without a code of two letters have small corpora: mostly they are wrong guesses. So is Latin,
    # which technical English is taken for.
    identifier.set_languages([code for code in identifier.nb_classes if len(code) == 2 and code != "la"])
    return identifier


def looks_like_code(text: str) -> bool:
    """Whether most lines of the text, from its beginning and its middle, look like program code."""
    if not any(mark in text for mark in "(){};=<"):
        return False
    middle = max(0, len(text) // 2 - 2000)
    sample = text if len(text) <= 8000 else text[:4000] + "\n" + text[middle : middle + 4000]
    lines = [line[:300] for line in sample.split("\n") if line.strip()]
    if not lines:
        return False
    code = sum(_CODE_LINE.search(line) is not None for line in lines)
    if len(lines) < 3:  # one line may be a sentence that ends in a brace
        return code == len(lines) and sample.count("=") + sample.count(";") + sample.count("(") >= 2
    if code >= CODE_LINES * len(lines):
        return True
    indented = sum(line[0] in " \t" and _CODE_LINE.search(line) is None for line in lines)
    return code >= INDENTED_CODE_LINES * len(lines) and code + indented >= 0.6 * len(lines)


class Identify:
    """The change that identifies the language of each document whose source does not say it.

    A source's `language` of "auto" asks for it. The file's name counts only where a file is one document.
    """

    name = "language"

    def change(self, document: Document) -> tuple[Document, Mapping[str, int]]:
        """The document with its language, and a count by language."""
        if document.language != "auto":
            return document, {document.language: 1}
        language = identify(document.text, document.origin.partition("#")[0])
        return replace(document, language=language), {language: 1}
