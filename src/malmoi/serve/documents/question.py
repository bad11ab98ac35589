"""What is looked up for a question: its words that say what it is about. Pure but for the list of words.

A question is found by any of its words, for nobody's question has the words of the answer alone. Korean words
are looked up as morphemes; where there is no analyser, as overlapping pairs. Words of other scripts are
looked up whole, longer ones also by their beginning without an English ending (saving, saved: sav*).
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

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


def question_terms(query: str, morphemes: Sequence[str]) -> tuple[list[Term], list[str]]:
    """What is looked up in texts and titles, and what among the morphemes.

    Args:
        query: the question.
        morphemes: of the question; empty where there is no analyser.
    """
    exact: list[Term] = []
    for word in question_words(query):
        if not is_cjk(word):
            exact.append(Term(word))
            stem = _stem(word)
            if stem != word:
                exact.append(Term(stem, is_prefix=True))
        elif not morphemes:
            exact.extend(Term(pair, is_prefix=len(pair) == 1) for pair in bigrams(word))
    korean = [morpheme[:_MAX_TERM] for morpheme in dict.fromkeys(morphemes) if is_cjk(morpheme)]
    return exact[:_MOST_TERMS], korean[:_MOST_TERMS]


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM and word.isascii():
            return word.removesuffix(ending)
    return word


@cache
def _empty_words() -> frozenset[str]:
    text = (files("malmoi.serve.documents") / "words" / "en.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())
