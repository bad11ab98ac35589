"""What is looked up for a question: its words that say what it is about. Pure but for the lists of words.

A question is found by any of its words, for nobody's question has the words of the answer alone. Korean words
are looked up as morphemes; where there is no analyser, as overlapping pairs. Words of other scripts are
looked up whole, longer ones also by their beginning without an English ending (saving, saved: sav*). Words
of the field are also looked up by Korean words that mean the same (`words/synonyms.txt`), so that 문단 finds
단락, and an English question finds a Korean text.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from malmoi.assist.retrieval.ordering import Concept
from malmoi.core.hangul import bigrams, is_cjk, words
from malmoi.serve.search import Term

MAX_QUERY = 2000
"""Most characters of a question; the rest is not looked at."""
_MOST_TERMS = 40
_MAX_TERM = 64
_ENDINGS = ("ings", "ing", "ies", "ied", "ers", "er", "ed", "es", "ly", "s")
_LEAST_STEM = 4


def question_words(query: str) -> list[str]:
    """The words of a question, folded, each once, without English words that say nothing."""
    found = [word[:_MAX_TERM] for word in words(query[:MAX_QUERY])]
    told = [word for word in dict.fromkeys(found) if word not in _empty_words()]
    return (told or list(dict.fromkeys(found)))[:_MOST_TERMS]


def question_terms(query: str, morphemes: Sequence[str]) -> tuple[list[tuple[Term, ...]], list[str]]:
    """What is looked up in texts and titles, each a run of neighbouring terms, and what among the morphemes.

    Args:
        query: the question.
        morphemes: of the question; empty where there is no analyser.
    """
    exact: list[tuple[Term, ...]] = []
    known: list[str] = ["".join(run) for size in (3, 2, 1) for run in _runs(morphemes, size)]
    for word in question_words(query):
        if is_cjk(word):
            known.append(word)
            if not morphemes:
                exact.extend((Term(pair, is_prefix=len(pair) == 1),) for pair in bigrams(word))
            continue
        exact.append((Term(word),))
        known += [word, *_plain_forms(word)]
        stem = _stem(word)
        if stem != word:
            exact.append((Term(stem, is_prefix=True),))
    looked_up = [morpheme[:_MAX_TERM] for morpheme in dict.fromkeys(morphemes) if is_cjk(morpheme)]
    exact, looked_up = exact[:_MOST_TERMS], looked_up[:_MOST_TERMS]
    for word in related_words(known)[:_MOST_TERMS]:
        if len(word) == 1:
            looked_up.append(word)
        else:
            exact.append(tuple(Term(pair) for pair in bigrams(word)))
    return exact, looked_up


def question_concepts(query: str, morphemes: Sequence[str]) -> list[Concept]:
    """What a question asks for, each thing with all words that mean it.

    Args:
        query: the question.
        morphemes: of the question; empty where there is no analyser: then pairs of letters stand for them.
    """
    asked = question_words(query)
    other = [word for word in asked if not is_cjk(word)]
    pairs = [pair for word in asked if is_cjk(word) for pair in bigrams(word)]
    korean = [word[:_MAX_TERM] for word in (morphemes or pairs) if is_cjk(word)]
    return [
        *((word, *related_words([word])) for word in dict.fromkeys(korean[:_MOST_TERMS])),
        *((f" {_stem(word)}", *related_words([word, *_plain_forms(word)])) for word in other),
    ]


def related_words(known: Sequence[str]) -> list[str]:
    """Korean words that mean the same as words of a question, and are not among them.

    English words of a group lead to its Korean ones and not the other way round: Korean texts of the field
    have English words in every line of code.
    """
    groups = _synonyms()
    found: dict[str, None] = {}
    for word in dict.fromkeys(known):
        for group in groups.get(word, ()):
            found |= dict.fromkeys(other for other in group if is_cjk(other) and other not in known)
    return list(found)


def _runs(morphemes: Sequence[str], size: int) -> list[Sequence[str]]:
    return [morphemes[start : start + size] for start in range(len(morphemes) - size + 1)]


def _plain_forms(word: str) -> list[str]:
    """What an English word may be without its ending."""
    forms = [word.removesuffix(ending) for ending in _ENDINGS if word.endswith(ending)]
    return [*forms, *(form + "e" for form in forms)]


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM and word.isascii():
            return word.removesuffix(ending)
    return word


@cache
def _synonyms() -> dict[str, list[list[str]]]:
    groups: dict[str, list[list[str]]] = {}
    for line in _lines("synonyms.txt"):
        for word in line.split():
            groups.setdefault(word, []).append(line.split())
    return groups


def _lines(name: str) -> list[str]:
    text = (files("malmoi.serve.documents") / "words" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


@cache
def _empty_words() -> frozenset[str]:
    return frozenset(word for line in _lines("en.txt") for word in line.split())
