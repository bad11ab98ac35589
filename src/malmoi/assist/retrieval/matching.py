"""How much of what one text says stands in another one, by its words and by its facts.

Korean words are compared by pairs of syllables, so that 보장한다 and 보장하여야 agree where their root does;
pairs that stand in texts of any kind (하는, 으로) count little (`words/common.tsv`). No morphemes are needed.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from malmoi.core.hangul import bigrams, fold, is_cjk, words

_RARE, _COMMON = 0.5, 0.05  # weights of pairs that stand in 0.3 % and in 2.4 % of sentences, or more
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)*|\d+")
_NAME = re.compile(r"[A-Za-z_][\w.]*\w|[A-Za-z]", re.ASCII)
_CODE = re.compile(r"`([^`\n]+)`")
_ITEM = re.compile(r"\A\s*(?:[-*•]\s+|\(?\d{1,2}[.)]\s+|#+\s+)+")
_TOPIC = re.compile(r"[가-힣A-Za-z0-9)`\]](?:은|는|이|가|에는|에서는|께서|께서는)(?=\s)")
_SUBJECT = re.compile(r"([가-힣]{2,})(?:은|는|이|가)(?=\s)")
_NOT = re.compile(
    # In Korean at the end alone: what stands before (없는 한, 없이) is a condition.
    r"(?:않|아니|없|못하|못한|못할|못합|안 되|안 된|안 됩|안 돼|불가능|금지)[가-힣]{0,5}[\s.,;:!)]*\Z"
    r"|\b(?:not|no|never|without|cannot|nor)\b|n't\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word that says something.

    Attributes:
        text: folded, without particles and endings.
        parts: what it is found by, and what each counts.
        weight: what the word counts.
    """

    text: str
    parts: tuple[tuple[str, float], ...]
    weight: float


def content_words(text: str) -> list[Word]:
    """The words of a text, in order; words that only ask are left out."""
    asking = _asking()
    found: list[Word] = []
    for word in words(text):
        if word in asking:
            continue
        stem = _stem(word) if is_cjk(word) else word
        if stem in asking:
            continue
        parts = tuple((pair, _weight(pair)) for pair in _parts(stem))
        if parts:
            found.append(Word(stem, parts, max(weight for _, weight in parts)))
    return found


def terms_of(text: str) -> frozenset[str]:
    """What a text can be matched by: pairs of syllables, and words."""
    found = set(bigrams(text, last=True))
    found.update(_singular(word) for word in words(text) if not is_cjk(word))
    return frozenset(found)


def found_share(word: Word, terms: frozenset[str]) -> float:
    """How much of a word stands in a text, in [0, 1]."""
    whole = sum(weight for _, weight in word.parts)
    return sum(weight for part, weight in word.parts if part in terms) / whole


def coverage(said: Sequence[Word], terms: frozenset[str]) -> float:
    """How much of what is said stands in a text, in [0, 1]; 0 when nothing is said."""
    whole = sum(word.weight for word in said)
    if not whole:
        return 0.0
    return sum(word.weight * found_share(word, terms) for word in said) / whole


def numbers(text: str) -> frozenset[str]:
    """The numbers of a text in digits; what only counts items at its beginning is none."""
    bare = _ITEM.sub("", fold(text))
    return frozenset(match.group().replace(",", "").rstrip(".") for match in _NUMBER.finditer(bare))


def names(text: str) -> frozenset[str]:
    """Names that a translation would keep: code, and Latin words that are no plain English ones.

    In Korean text every Latin word is a name; in English text those with a capital within or behind the
    first word, a digit, a dot or an underscore.
    """
    in_code = {fold(match.group(1)) for match in _CODE.finditer(text)}
    bare = _ITEM.sub("", _CODE.sub(" ", text))
    korean = is_korean(bare)
    found: set[str] = set()
    for match in _NAME.finditer(bare):
        name = match.group()
        is_first = not bare[: match.start()].strip()
        has_signs = any(char in "._0123456789" for char in name) or any(map(str.isupper, name[1:]))
        if korean or has_signs or (name[0].isupper() and len(name) > 1 and not is_first):
            found.add(fold(name))
    return frozenset(found | in_code)


def is_negated(text: str) -> bool:
    """Whether a text says that something is not."""
    return _NOT.search(text) is not None


def is_opposed(one: str, other: str) -> bool:
    """Whether one text has a word, and the other one its opposite (`words/opposites.txt`)."""
    one, other = fold(one), fold(other)
    return any(
        (a in one and b in other and b not in one and a not in other)
        or (b in one and a in other and a not in one and b not in other)
        for a, b in _opposites()
    )


def is_korean(text: str) -> bool:
    """Whether there is a Korean syllable in it."""
    return any("가" <= char <= "힣" for char in text)


def topic_length(sentence: str) -> int:
    """How many of the first content words say what a sentence is about: up to a topic or subject particle."""
    mark = _TOPIC.search(sentence)
    return len(content_words(sentence[: mark.end()])) if mark else 1


def subjects(sentence: str) -> frozenset[str]:
    """The content words of a Korean sentence that carry a topic or subject particle."""
    found = (content_words(match.group(1)) for match in _SUBJECT.finditer(sentence))
    return frozenset(words[-1].text for words in found if words)


@lru_cache(maxsize=8192)
def _stem(word: str) -> str:
    for size in range(min(5, len(word) - 1), 0, -1):
        # One syllable is left before a long ending only (년인가요): 회의, 나이 are words.
        if word[-size:] in _endings() and (len(word) - size > 1 or size > 1):
            return word[:-size]
    return word


def _parts(stem: str) -> Iterable[str]:
    if not is_cjk(stem):
        return (_singular(stem),)
    return (stem,) if len(stem) == 1 else [stem[i : i + 2] for i in range(len(stem) - 1)]


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _weight(part: str) -> float:
    share = _common().get(part)
    if share is None:
        return 1.0 if len(part) > 1 or part.isdigit() else _RARE
    return min(_RARE, max(_COMMON, 0.5 * math.log10(0.03 / share)))


def read_words(name: str) -> str:
    """A file of `words/`."""
    return files("malmoi.assist.retrieval").joinpath("words", name).read_text(encoding="utf-8")


def _read(name: str) -> list[str]:
    return [line for line in read_words(name).splitlines() if line and not line.startswith("#")]


@lru_cache
def _common() -> dict[str, float]:
    rows = (line.split("\t") for line in _read("common.tsv"))
    return {pair: float(share) for pair, share in rows}


@lru_cache
def _opposites() -> tuple[tuple[str, str], ...]:
    pairs = (line.replace("_", " ").split("\t") for line in _read("opposites.txt"))
    return tuple((one, other) for one, other in pairs)


@lru_cache
def _endings() -> frozenset[str]:
    return frozenset(word for line in _read("endings.txt") for word in line.split())


@lru_cache
def _asking() -> frozenset[str]:
    return frozenset(word for line in _read("asking.txt") for word in line.split())
