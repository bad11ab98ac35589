"""Questions as queries: a follow-up made whole, and better queries when nothing answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from malmoi.assist.retrieval.matching import content_words, found_share, read_words, terms_of
from malmoi.assist.retrieval.wording import typed_words
from malmoi.core.hangul import words

if TYPE_CHECKING:
    from malmoi.assist.retrieval.relevance import Relevance
    from malmoi.assist.retrieval.support import Evidence

_CARRIED = 4  # words of the question before that a follow-up takes over
_TITLE = 60  # characters of a title or heading in a query
_LOOKED_AT = 6  # statements whose words are proposed
_NEAR = 0.2  # what of a question must stand in a statement whose words are proposed


def standalone(question: str, earlier: Sequence[str]) -> str:
    """A question that can be searched for by itself.

    A follow-up ("그럼 국회의원은?") gets the words of the questions before that it does not have itself; any
    other question stays as it is.

    Args:
        question: the last one.
        earlier: those before it, the oldest first.
    """
    if not earlier or not _leans(question):
        return question
    before = standalone(earlier[-1], earlier[:-1])
    own = terms_of(question)
    carried = [word.text for word in content_words(before) if found_share(word, own) < 1]
    new = [word for word in carried if word in _whole_words(before)] or carried
    return " ".join([*dict.fromkeys(new[:_CARRIED]), question]) if new else question


async def propose(question: str, evidence: Evidence, relevance: Relevance, *, most: int = 3) -> list[str]:
    """Queries that the collection can answer, close to a question that it does not answer.

    What of the question the collection knows is joined with headings and titles of what was found, and with
    weighty words of the statements nearest to it.

    Raises:
        MalmoiError: what the embedder raises.
    """
    places = sorted(range(len(evidence.spans)), key=lambda place: -relevance.scores[place])
    known = [
        word
        for word in typed_words(question)
        if not any(one.text in relevance.unknown for one in content_words(word))
    ]
    found: list[str] = []
    for place in places[:_LOOKED_AT]:
        source = evidence.spans[place].source
        if relevance.scores[place] - source.standing < _NEAR:
            continue
        above = [*reversed(source.headings), source.title]
        found += [heading.strip()[:_TITLE] for heading in above if content_words(heading)]
        said = terms_of(question)
        fresh = [
            word
            for word in typed_words(evidence.spans[place].text, counts=False)
            if len(word) > 1
            and all(one.weight == 1 and not found_share(one, said) for one in content_words(word))
        ]
        if known and fresh:
            near = (await evidence.likeness([question], fresh[:24]))[0]
            best = max(range(len(near)), key=lambda at: near[at])
            found.append(" ".join([*known[:3], fresh[best]]))
    asked = " ".join(words(question))
    distinct = {" ".join(words(query)): query for query in reversed(found)}
    queries = [query for key, query in reversed(distinct.items()) if key and key != asked]
    if len(queries) > most:
        near = (await evidence.likeness(queries, [question]))[:, 0]
        queries = [queries[at] for at in sorted(range(len(queries)), key=lambda at: -near[at])]
    return queries[:most]


def _leans(question: str) -> bool:
    """Whether a question leans on the one before."""
    rules = _followups()
    folded = question.strip().casefold()
    if folded.startswith(tuple(rules["begins"])) or re.search(rules["within"], folded):
        return True
    return len(content_words(question)) <= int(rules["short"])


def _whole_words(text: str) -> frozenset[str]:
    """The words of a text up to where their stems end: all that begin with them."""
    return frozenset(word[:size] for word in words(text) for size in range(1, len(word) + 1))


@lru_cache
def _followups() -> dict[str, Any]:
    import tomllib

    return tomllib.loads(read_words("followups.toml"))
