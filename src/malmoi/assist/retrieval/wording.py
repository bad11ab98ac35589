"""The words of a text as a person would type them into a search: names of things, without their endings."""

import re
from functools import lru_cache

from malmoi.assist.retrieval.matching import content_words, read_words

_RUN = re.compile(
    r"몇\s*[가-힣]+|(?P<count>\d+(?:[.,]\d+)*)(?P<unit>[가-힣]*)|(?P<korean>[가-힣]+)"
    r"|(?P<other>[^\W\d_가-힣](?:[^\W가-힣]|[.+#-](?=[^\W가-힣]))*)"
)
_PARTICLE = re.compile(r"(?<=.)(?:까지|부터|마다|에서|으로|[은는이가을를에의도로과와])$")
# A word of one syllable; with other particles it may be one of two (마을).
_SINGLE = re.compile(r"^.[는를에]$")
# What a verb stands before that ends in ㄹ (지날 때, 받을 수).
_WHAT_MAY_BE = re.compile(r"\s+(?:때|수|것|뿐|만큼|경우)")
_FINAL_SS, _FINAL_L = 20, 8  # the last sounds of a syllable: ㅆ tells of the past (잃어버렸)
_LEAST = 0.5  # weight of a word that says something


def typed_words(text: str, *, counts: bool = True) -> list[str]:
    """The words of a text that name something, in its order, spelled as there.

    Without morphemes not every form of a verb is known: some may stay.

    Args:
        text: a question or a statement.
        counts: whether numbers are among them, with what they count ("1년").
    """
    found: list[str] = []
    for run in _RUN.finditer(text):
        if run["count"]:
            found += [run["count"] + _PARTICLE.sub("", run["unit"])] if counts else []
        elif run["korean"]:
            may_be = _final(run[0]) == _FINAL_L and _WHAT_MAY_BE.match(text, run.end())
            found += [] if may_be else _noun(run[0])
        elif run[0][0].isalpha() and run["other"] and content_words(run[0]):
            found.append(run[0])
    return list(dict.fromkeys(found))


def _noun(run: str) -> list[str]:
    cut, uncut, short = _verbal()
    for word in content_words(run):
        ending = run[len(word.text) :]
        is_verb = (
            ending in cut or run.endswith(short) or (not ending and len(run) > 2 and run.endswith(uncut))
        )
        has_past = _final(word.text) == _FINAL_SS
        if len(word.text) > 1 and word.weight >= _LEAST and not (is_verb or has_past or _SINGLE.match(run)):
            return [word.text]
    return []


def _final(word: str) -> int:
    """Which sound the last syllable ends with; 0: it ends with its vowel."""
    return (ord(word[-1]) - ord("가")) % 28


@lru_cache
def _verbal() -> tuple[tuple[str, ...], ...]:
    lines = read_words("verbal.txt").splitlines()
    return tuple(tuple(line.split()) for line in lines if not line.startswith("#"))
