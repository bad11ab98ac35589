"""Which words of the sources support a sentence: found by our own matching, whatever a model claims.

The words of the sentence must stand in the span (`matching.coverage`), or its meaning be near (vectors, also
across languages); its numbers and names must stand there in any case, and it must not deny what the span
says. What a model marked decides only between spans that support a sentence about equally.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from malmoi.assist.retrieval.citations import Citation, Source
from malmoi.assist.retrieval.matching import (
    Word,
    content_words,
    found_share,
    is_korean,
    is_negated,
    is_opposed,
    names,
    numbers,
    read_words,
    subjects,
    terms_of,
    topic_length,
)
from malmoi.assist.retrieval.statements import statements
from malmoi.core.hangul import fold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from malmoi.assist.retrieval.segments import Embed

MOST_STATEMENTS = 256
"""Statements of all sources that are compared with a text."""

_CANDIDATES = 8  # statements that are looked at closely
_LEAST, _WHOLE = 0.4, 0.85  # coverage of a statement between which a neighbour may help it
_WIDE = 0.95  # what is left of the coverage by two statements
_WIDER = 0.15  # what the neighbour must add
_TOPIC = 2.0  # what words count that say what a sentence is about
_DENIED = 0.5  # what is left of the score of a sentence that denies what the span says
_LACKING = 0.3  # share of the words that say something which may be missing in the span
_SURE = 0.75  # score from which on more may be missing
_OTHER_SUBJECT = 0.85  # what is left when who or what does it does not stand in the span
_MISSED = 0.4  # share of a word below which it does not stand in a span
_FOUND = 0.6  # share of a word from which on it stands in a span
_WORDS = 120  # words of a span that others are compared with
_TRANSLATED, _SYNONYM = (0.6, 0.85), (0.7, 0.9)  # cosines of words: from where on they count, and fully
_NOUN_END = re.compile(r"[가-힣](?:을|를|은|는|이|가|와|과|의),\s*\Z")
_CLAUSE = re.compile(r"(?<=[,;:.])\s+|(?<=[가-힣])(?=\s(?:다만|그러나))")
_QUOTED = 3  # words that a sentence must have to be found word for word; fewer stand in texts of any kind
_HINT = 0.06  # what a model's mark adds when spans are compared
_TEXT = 400  # characters that an embedder is given of one statement


@dataclass(frozen=True, slots=True)
class Span:
    """A statement of a source.

    Attributes:
        source: it stands there.
        start: where it begins in the source's text.
        end: behind it.
    """

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        """Its words."""
        return self.source.text[self.start : self.end]

    def cited(self, answer_start: int, answer_end: int, score: float) -> Citation:
        """A citation of these words by a sentence of an answer."""
        source = self.source
        return Citation(
            number=source.number,
            document_id=source.document_id,
            start=source.start + self.start,
            end=source.start + self.end,
            quote=self.text,
            answer_start=answer_start,
            answer_end=answer_end,
            score=score,
        )


@dataclass(frozen=True, slots=True)
class Support:
    """The span that supports a sentence.

    Attributes:
        span: the words.
        score: how well, in [0, 1].
        is_enough: whether the sentence may be said to stand there.
    """

    span: Span
    score: float
    is_enough: bool


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on scores mean yes; `words/calibration.toml` has them, chosen on sentences for that.

    Attributes:
        near: cosine of two texts that say the same.
        far: cosine of two texts that have nothing to do with each other.
        support: score from which on a sentence is supported.
        support_words_only: the same where there are no vectors.
        support_translated: the same where the span is in another language.
    """

    near: float
    far: float
    support: float
    support_words_only: float
    support_translated: float


@dataclass(frozen=True, slots=True)
class _Said:
    """A sentence, taken apart."""

    text: str
    words: tuple[Word, ...]
    weights: tuple[float, ...]
    numbers: frozenset[str]
    names: frozenset[str]
    is_negated: bool
    subjects: frozenset[str]

    @classmethod
    def of(cls, sentence: str) -> _Said:
        words = content_words(sentence)
        topic = topic_length(sentence)
        weights = [word.weight * (_TOPIC if place < topic else 1.0) for place, word in enumerate(words)]
        return cls(
            sentence,
            tuple(words),
            tuple(weights),
            numbers(sentence),
            names(sentence),
            is_negated(sentence),
            subjects(sentence),
        )


@dataclass(slots=True)
class Evidence:
    """The statements of some sources, ready to be compared with.

    Attributes:
        sources: by their numbers.
        spans: their statements, in order.
        terms: of each.
        vectors: of each, where there is an embedder: (N, D).
        embed: the embedder; None: words alone decide.
    """

    sources: dict[int, Source]
    spans: list[Span]
    terms: list[frozenset[str]]
    vectors: NDArray[np.float32] | None
    embed: Embed | None
    asked: frozenset[str] = frozenset()
    """Names of code that the question says: sentences repeat them, whatever statement they rest on."""
    _words: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @classmethod
    async def of(
        cls, sources: Sequence[Source], embed: Embed | None, *, spans: Sequence[Span] | None = None
    ) -> Evidence:
        """Cut the sources into statements and embed those.

        Args:
            sources: with different numbers.
            embed: the embedder, or None.
            spans: the statements, if they are known already.

        Raises:
            MalmoiError: what the embedder raises.
        """
        found = list(spans_of(sources) if spans is None else spans)[:MOST_STATEMENTS]
        vectors = None
        if embed is not None and found:
            vectors = await embed([span.text[:_TEXT] for span in found])
        else:
            embed = None
        terms = [terms_of(span.text) for span in found]
        return cls({source.number: source for source in sources}, found, terms, vectors, embed)

    async def near(self, texts: Sequence[str]) -> list[NDArray[np.float32] | None]:
        """For each text the cosine to each statement: (N,); None where there are no vectors."""
        if self.vectors is None or self.embed is None or not texts:
            return [None] * len(texts)
        vectors = await self.embed([text[:_TEXT] for text in texts])
        return list(vectors @ self.vectors.T)

    async def likeness(self, these: Sequence[str], those: Sequence[str]) -> NDArray[np.float32]:
        """The cosine of each word to each: (these, those); 0 where there are no vectors."""
        import numpy as np

        if self.embed is None or not these or not those:
            return np.zeros((len(these), len(those)), dtype=np.float32)
        new = [word for word in dict.fromkeys((*these, *those)) if word not in self._words]
        if new:
            self._words.update(zip(new, await self.embed(new), strict=True))
        one = np.stack([self._words[word] for word in these])
        other = np.stack([self._words[word] for word in those])
        cosines: NDArray[np.float32] = one @ other.T
        return cosines

    async def support(self, sentence: str, hints: Iterable[int] = ()) -> Support | None:
        """The span that supports a sentence best; None: there is nothing to compare.

        Args:
            sentence: of an answer, without marks.
            hints: numbers of sources that a model marked.

        Raises:
            MalmoiError: what the embedder raises.
        """
        return (await self.supports([(sentence, tuple(hints))]))[0]

    async def supports(self, sentences: Sequence[tuple[str, tuple[int, ...]]]) -> list[Support | None]:
        """`support` for several sentences with their hints; they are embedded together."""
        nears = await self.near([sentence for sentence, _ in sentences])
        return [
            await self._best(_Said.of(sentence), hints, near)
            for (sentence, hints), near in zip(sentences, nears, strict=True)
        ]

    async def _best(
        self, said: _Said, hints: tuple[int, ...], near: NDArray[np.float32] | None
    ) -> Support | None:
        quoted = self._quoted(said, hints)
        if quoted is not None:
            return Support(quoted, 1.0, is_enough=True)
        limits = thresholds()
        first: list[tuple[float, int]] = []
        for place, terms in enumerate(self.terms):
            alike = 0.0 if near is None else float(near[place])
            hint = _HINT if self.spans[place].source.number in hints else 0.0
            first.append(
                (_share(said, [found_share(word, terms) for word in said.words]) + alike + hint, place)
            )
        best, best_rank = None, -1.0
        for _, place in sorted(first, key=lambda one: (-one[0], one[1]))[:_CANDIDATES]:
            alike = 0.0 if near is None else float(near[place])
            score, begin, end, lacks = await self._score(said, place, alike)
            hint = _HINT if self.spans[place].source.number in hints else 0.0
            if score + hint > best_rank:
                source = self.spans[place].source
                span = Span(source, self.spans[begin].start, self.spans[end].end)
                enough = limits.support if near is not None else limits.support_words_only
                if near is not None and is_korean(span.text) != is_korean(said.text):
                    enough = limits.support_translated
                is_enough = score >= enough and (lacks <= _LACKING or score >= _SURE)
                best, best_rank = Support(span, round(score, 4), is_enough), score + hint
        return best

    def _quoted(self, said: _Said, hints: tuple[int, ...]) -> Span | None:
        """The statement that has a sentence word for word; of several, one of a source that was marked."""
        letters = "".join(char for char in fold(said.text) if char.isalnum())
        if len(said.words) < _QUOTED:
            return None
        found = [
            span
            for span in self.spans
            if _has_letters(span.text, letters)
            and said.numbers <= numbers(span.text)
            and is_negated(span.text) == said.is_negated
        ]
        return min(found, key=lambda span: span.source.number not in hints, default=None)

    async def _score(self, said: _Said, place: int, cosine: float) -> tuple[float, int, int, float]:
        """How well a statement, or it and a neighbour, supports a sentence: score, first, last.

        The last value is the share of its words that stand in neither, of the words that say something; 0
        where the span is in another language.
        """
        span = self.spans[place]
        above = " ".join((span.source.title, span.source.place, *span.source.headings))
        if self.asked:
            # What the passage is about by name need not be named again in each of its statements.
            around = fold(span.source.text)
            above = " ".join((above, *(name for name in sorted(said.names & self.asked) if name in around)))
        if not _has_facts(said, f"{span.text} {above}"):
            return 0.0, place, place, 1.0
        headings = terms_of(above)
        shares = await self._shares(said, [place], headings)
        covered, begin, end = _share(said, shares), place, place
        # What a sentence is about must stand in the statement itself, not beside it.
        is_about = all(
            share >= _MISSED
            for word, weight, share in zip(said.words, said.weights, shares, strict=True)
            if weight > word.weight or word.text in said.subjects
        )
        if is_about and _LEAST <= covered < _WHOLE:
            for other in (place - 1, place + 1):
                if 0 <= other < len(self.spans) and self.spans[other].source is span.source:
                    wider = await self._shares(said, [place, other], headings)
                    more = _share(said, wider) * _WIDE
                    if more - covered >= _WIDER:
                        covered, begin, end, shares = more, min(place, other), max(place, other), wider
        score = covered
        if self.embed is not None:
            limits = thresholds()
            alike = min(1.0, max(0.0, (cosine - limits.far) / (limits.near - limits.far)))
            score = 0.75 * covered + 0.25 * alike
        if not is_about:
            score *= _OTHER_SUBJECT
        lacks = _lacking(said, shares) if is_korean(span.text) == is_korean(said.text) else 0.0
        return score * _agreement(said, span.text), begin, end, lacks

    async def _shares(self, said: _Said, places: Sequence[int], headings: frozenset[str]) -> list[float]:
        """How much of each word stands in some statements, or is said there in other words."""
        terms = headings.union(*(self.terms[place] for place in places))
        shares = [found_share(word, terms) for word in said.words]
        lost = [
            place for place, word in enumerate(said.words) if shares[place] < _FOUND and len(word.text) > 1
        ]
        if not lost or self.embed is None:
            return shares
        texts = [self.spans[place].text for place in places]
        candidates = list(
            dict.fromkeys(w.text for text in texts for w in content_words(text) if len(w.text) > 1)
        )
        cosines = await self.likeness([said.words[place].text for place in lost], candidates[:_WORDS])
        korean = is_korean(said.text)
        for row, place in enumerate(lost):
            for column, candidate in enumerate(candidates[:_WORDS]):
                low, high = _SYNONYM if is_korean(candidate) == korean else _TRANSLATED
                credit = min(1.0, max(0.0, (float(cosines[row, column]) - low) / (high - low)))
                shares[place] = max(shares[place], credit)
        return shares


def _has_letters(text: str, letters: str) -> bool:
    """Whether whole words of a text, one behind another, have just these letters; signs do not count."""
    text = fold(text)
    places = [at for at, char in enumerate(text) if char.isalnum()]
    inside = "".join(text[at] for at in places)
    at = inside.find(letters)
    while at >= 0:
        first, last = places[at], places[at + len(letters) - 1]
        if not text[first - 1 : first].isalnum() and not text[last + 1 : last + 2].isalnum():
            return True
        at = inside.find(letters, at + 1)
    return False


def _share(said: _Said, shares: Sequence[float]) -> float:
    whole = sum(said.weights)
    if not whole:
        return 0.0
    return sum(weight * share for weight, share in zip(said.weights, shares, strict=True)) / whole


def _lacking(said: _Said, shares: Sequence[float]) -> float:
    """How much of what a sentence says is missing, of its words that stand in few texts only."""
    weights = [word.weight for word in said.words]
    whole = sum(weights)
    if not whole:
        return 0.0
    missing = (weight for weight, share in zip(weights, shares, strict=True) if share < _MISSED)
    return sum(weight for weight in missing if weight >= 1) / whole


def _has_facts(said: _Said, there: str) -> bool:
    """Whether the numbers and names of a sentence stand there."""
    if said.numbers - numbers(there):
        return False
    wanted = said.names
    if not is_korean(said.text) and is_korean(there):
        # An English sentence about a Korean text: only what no translation changes must stand there.
        wanted = frozenset(name for name in wanted if any(char in "._0123456789" for char in name))
    folded = fold(there)
    return all(name in folded for name in wanted)


def _agreement(said: _Said, span: str) -> float:
    """What is left of the score when the sentence denies what the clause nearest to it says."""
    topic = sum(weight != word.weight for weight, word in zip(said.weights, said.words, strict=True))
    words = said.words[topic:] or said.words

    def nearness(clause: str) -> tuple[bool, float]:
        # The last word of a sentence is what it says; the clause that has it is the one to compare with.
        terms = terms_of(clause)
        shares = [found_share(word, terms) for word in words]
        return bool(shares) and shares[-1] > _FOUND, sum(
            word.weight * share for word, share in zip(words, shares, strict=True)
        )

    nearest = max(_clauses(span), key=nearness)
    if is_negated(nearest) != said.is_negated or is_opposed(said.text, nearest):
        return _DENIED
    return 1.0


def _clauses(span: str) -> list[str]:
    """The clauses of a span; one that ends in a noun belongs to the next, which has the verb of both."""
    clauses: list[str] = []
    waits = ""
    for clause in _CLAUSE.split(span):
        waits += clause
        if not _NOUN_END.search(clause):
            clauses.append(waits)
            waits = ""
        else:
            waits += " "
    return [*clauses, waits] if waits.strip() or not clauses else clauses


def spans_of(sources: Iterable[Source]) -> list[Span]:
    """The statements of some sources, in their order."""
    return [Span(source, start, end) for source in sources for start, end in statements(source.text)]


@lru_cache
def thresholds() -> Thresholds:
    """What was chosen on the questions for that."""
    return Thresholds(**calibration()["support"])


@lru_cache
def calibration() -> dict[str, Any]:
    """`words/calibration.toml`."""
    import tomllib

    return tomllib.loads(read_words("calibration.toml"))
