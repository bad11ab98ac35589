"""What is searched for, and by which terms a text is found. Pure functions.

A text is found by the overlapping pairs of its Korean words and by its other words whole (`hangul.bigrams`),
and by its morphemes. A query goes the same way: each of its words must be found, as a phrase of neighbouring
pairs (so exactly, anywhere in a word), or as the phrase of its morphemes (so 결제를 finds 결제가). Terms hold
letters and digits only, so no text can become an operator of the query language.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from malmoi.core.hangul import bigrams, is_cjk, words

MAX_QUERY = 200
"""Most characters of a query; the rest is not looked at."""
PART_LENGTH = 8000
"""Characters of a piece of text in the index. PostgreSQL counts no more than 16,383 positions."""

_MAX_WORDS = 12
_MAX_TERM = 64
_PREFIX_LENGTH = 3  # other words of at least this length are found by their beginning


@dataclass(frozen=True, slots=True)
class Term:
    """One term; with `is_prefix`, any term that begins with it."""

    text: str
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class QueryWord:
    """One word of a query, between spaces.

    Attributes:
        phrases: all must be found; each is a run of neighbouring terms.
        morphemes: instead of `phrases`, these neighbouring morphemes may be found.
        literals: the folded strings to mark in a snippet.
    """

    phrases: tuple[tuple[Term, ...], ...]
    morphemes: tuple[str, ...]
    literals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartTerms:
    """The terms of one part of the index.

    Attributes:
        id: of the part.
        scope: whose it is, such as the account that may find it; several with spaces between them.
        terms: of its text.
        is_title: whether the text is a title.
        title: terms of the titles above the text.
    """

    id: int
    scope: str
    terms: Sequence[str]
    is_title: bool = False
    title: Sequence[str] = ()


def index_terms(text: str) -> list[str]:
    """The terms of a text, in order."""
    return [term[:_MAX_TERM] for term in bigrams(text, last=True)]


def query_parts(query: str) -> list[str]:
    """The words of a query; those without letters or digits are left out."""
    return [part for part in query[:MAX_QUERY].split() if words(part)][:_MAX_WORDS]


def parse_query(parts: Sequence[str], morphemes: Sequence[Sequence[str]]) -> list[QueryWord]:
    """The words of a query as terms.

    Args:
        parts: of `query_parts`.
        morphemes: of each part; may be empty.
    """
    return [_parse_word(part, tuple(found)) for part, found in zip(parts, morphemes, strict=True)]


def _parse_word(part: str, morphemes: tuple[str, ...]) -> QueryWord:
    literals = tuple(words(part))
    phrases = []
    for word in literals:
        if is_cjk(word):
            phrases.append(tuple(Term(pair, is_prefix=len(word) == 1) for pair in bigrams(word)))
        else:
            phrases.append((Term(word[:_MAX_TERM], is_prefix=len(word) >= _PREFIX_LENGTH),))
    return QueryWord(tuple(phrases), tuple(term[:_MAX_TERM] for term in morphemes), literals)


def split_text(text: str) -> list[tuple[int, int]]:
    """The pieces of a text as `(start, length)`, cut at white space where there is some."""
    pieces: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = min(start + PART_LENGTH, len(text))
        if end < len(text):
            space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
            end = space + 1 if space > start else end
        pieces.append((start, end - start))
        start = end
    return pieces
