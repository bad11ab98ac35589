"""Cut a text where its topic changes.

Sentences are embedded; a gap between two of them is the better a border, the less the sentences before it
have to do with those behind it.

- Depth (TextTiling, Hearst 1997, Computational Linguistics 23(1)): the similarity of the two windows beside a
  gap, seen as a curve; a gap's depth is how far the curve climbs on both sides of it. Gaps deeper than
  `mean - alpha * deviation` are borders, so a larger alpha cuts more. Embeddings take the place of Hearst's
  word counts.
- A fixed number of segments: the borders that leave the least variance within segments, found exactly by
  dynamic programming (kernel change points: Harchaoui & Cappé 2007; Arlot, Celisse & Harchaoui 2019).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from malmoi.assist.retrieval.sentences import sentence_spans
from malmoi.core.errors import InvalidInput

Embed: TypeAlias = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]

AUTO = -100.0
_ALPHAS = (-1.5, 1.5)
_WINDOW = 5  # sentences on each side of a gap
_PRICE = 0.38  # of a border, as a share of the mean squared distance to the mean, times log N
_MOST_CANDIDATES = 1500  # borders that are tried exactly
_MOST_EXACT = 100  # segments; of more, the deepest gaps are taken
_LONGEST_SENTENCE = 1000  # characters; what is longer is a table or a list, and its head says enough


@dataclass(frozen=True, slots=True)
class Segments:
    """Sentences of a text, and which of them belong together.

    Attributes:
        sentences: `(start, end)` of each in the text, in order.
        topics: for each segment the numbers of its sentences, in order.
    """

    sentences: tuple[tuple[int, int], ...]
    topics: tuple[tuple[int, ...], ...]

    def spans(self) -> list[tuple[int, int]]:
        """`(start, end)` of each segment in the text."""
        return [(self.sentences[topic[0]][0], self.sentences[topic[-1]][1]) for topic in self.topics]


async def segment(
    text: str,
    embed: Embed,
    *,
    alpha: float = 0.0,
    count: int = -1,
    post_process: bool = False,
    most: int = 1000,
    least: int = 300,
) -> Segments:
    """Find the topics of a text.

    Args:
        text: any.
        embed: N texts to (N, D), as an engine's `embed`.
        alpha: -1.5 to 1.5, larger: more segments; -100: as many as the text itself suggests.
        count: of segments; -1: as `alpha` has it.
        post_process: afterwards join segments shorter than `least` and cut those longer than `most`.
        most: characters of a segment, with `post_process`.
        least: characters of a segment, with `post_process`.

    Returns:
        At least one segment, unless the text is empty; at most one a sentence.

    Raises:
        InvalidInput: a value is out of its range; `field` says which.
    """
    if alpha != AUTO and not _ALPHAS[0] <= alpha <= _ALPHAS[1]:
        raise InvalidInput(f"alpha must be -100 or from -1.5 to 1.5, not {alpha:g}.", field="alpha")
    if count != -1 and count < 1:
        raise InvalidInput(f"the number of segments must be -1 or at least 1, not {count}.", field="count")
    if post_process and not 0 < least <= most:
        raise InvalidInput(f"sizes must be 0 < least <= most, not {least} and {most}.", field="least")
    spans = sentence_spans(text)
    if len(spans) < 2:
        return Segments(tuple(spans), tuple((place,) for place in range(len(spans))))
    vectors = await embed([text[start:end][:_LONGEST_SENTENCE] for start, end in spans])
    vectors = _unit(np.asarray(vectors, dtype=np.float32))
    # Seconds for a long text with many segments: not in the event loop.
    cuts = await asyncio.to_thread(_cuts, vectors, alpha, count)
    if post_process:
        cuts = _resized(cuts, spans, depths(vectors), most, least)
    borders = [0, *cuts, len(spans)]
    return Segments(tuple(spans), tuple(tuple(range(a, b)) for a, b in pairwise(borders)))


def _cuts(vectors: NDArray[np.float32], alpha: float, count: int) -> list[int]:
    if count != -1:
        return best_cuts(vectors, min(count, len(vectors)))
    return own_cuts(vectors) if alpha == AUTO else deep_cuts(depths(vectors), alpha)


def depths(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """How deep each gap is, N - 1 of them (TextTiling with embeddings).

    Args:
        vectors: (N, D), of unit length, in the order of the sentences.
    """
    similar = _similarities(vectors)
    left, right = similar.copy(), similar.copy()
    # The nearest peaks, not the highest: climbing stops where the curve falls again.
    for place in range(1, len(similar)):
        if similar[place - 1] >= similar[place]:
            left[place] = left[place - 1]
    for place in range(len(similar) - 2, -1, -1):
        if similar[place + 1] >= similar[place]:
            right[place] = right[place + 1]
    found: NDArray[np.float64] = left + right - 2 * similar
    return found


def deep_cuts(deep: NDArray[np.float64], alpha: float) -> list[int]:
    """Numbers of the sentences that begin a segment.

    A border is the deepest gap of its valley, if it is deeper than `mean - alpha * deviation`.
    """
    threshold = max(float(deep.mean() - alpha * deep.std()), 0.0)
    edged = np.concatenate([[-np.inf], deep, [-np.inf]])
    is_bottom = (deep > edged[:-2]) & (deep >= edged[2:])
    return [int(place) + 1 for place in np.flatnonzero(is_bottom & (deep > threshold))]


def best_cuts(vectors: NDArray[np.float32], count: int) -> list[int]:
    """The `count - 1` borders that leave the least variance within segments."""
    places = _candidates(vectors)
    if count - 1 >= len(places) or count > _MOST_EXACT:
        deepest = np.argsort(-depths(vectors), kind="stable")[: count - 1]
        return sorted(int(place) + 1 for place in deepest)
    cost = _costs(vectors, places)
    size = len(cost)
    best = cost[0].copy()  # of one segment that ends at each place
    back = np.zeros((count, size), dtype=np.int64)
    for segments in range(1, count):
        total = best[:, None] + cost  # (last border, end)
        back[segments] = np.argmin(total, axis=0)
        best = np.take_along_axis(total, back[segments][None], axis=0)[0]
    cuts, end = [], size - 1
    for segments in range(count - 1, 0, -1):
        end = int(back[segments, end])
        cuts.append(end)
    return [places[cut - 1] for cut in reversed(cuts)]


def own_cuts(vectors: NDArray[np.float32]) -> list[int]:
    """As many borders as pay: each must lower the variance within segments by more than a fixed share."""
    places = _candidates(vectors)
    cost = _costs(vectors, places)
    size = len(cost)
    centered = vectors - vectors.mean(axis=0)
    price = _PRICE * float((centered**2).sum(axis=1).mean()) * np.log(max(len(vectors), 2))
    best = np.full(size, np.inf)
    best[0] = 0.0
    back = np.zeros(size, dtype=np.int64)
    for end in range(1, size):
        total = best[:end] + cost[:end, end] + price
        back[end] = int(np.argmin(total))
        best[end] = total[back[end]]
    cuts, end = [], size - 1
    while (end := int(back[end])) > 0:
        cuts.append(end)
    return [places[cut - 1] for cut in reversed(cuts)]


def _similarities(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine of the sums of the windows beside each gap."""
    total = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, axis=0, dtype=np.float64)])
    gaps = np.arange(1, len(vectors))
    before = total[gaps] - total[np.maximum(gaps - _WINDOW, 0)]
    behind = total[np.minimum(gaps + _WINDOW, len(vectors))] - total[gaps]
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(behind, axis=1)
    found: NDArray[np.float64] = (before * behind).sum(axis=1) / np.maximum(lengths, 1e-12)
    return found


def _candidates(vectors: NDArray[np.float32]) -> list[int]:
    """Sentences that may begin a segment: all of them, or in a very long text those behind deep gaps."""
    if len(vectors) <= _MOST_CANDIDATES:
        return list(range(1, len(vectors)))
    deepest = np.argsort(-depths(vectors), kind="stable")[:_MOST_CANDIDATES]
    return sorted(int(place) + 1 for place in deepest)


def _costs(vectors: NDArray[np.float32], places: Sequence[int]) -> NDArray[np.float64]:
    """Squared distances to the mean of each possible segment, (borders, borders); infinite where empty."""
    borders = np.asarray([0, *places, len(vectors)])
    total = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, axis=0, dtype=np.float64)])
    sums = total[borders]
    squares = (sums**2).sum(axis=1)
    between = squares[:, None] + squares[None, :] - 2 * sums @ sums.T
    lengths = borders[None, :] - borders[:, None]
    cost = np.where(lengths > 0, lengths - between / np.maximum(lengths, 1), np.inf)
    found: NDArray[np.float64] = cost
    return found


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return found


def _resized(
    cuts: Sequence[int], spans: Sequence[tuple[int, int]], deep: NDArray[np.float64], most: int, least: int
) -> list[int]:
    """Cut what is longer than `most` at its deepest gap; join what is shorter than `least` to a neighbour."""

    def length(start: int, end: int) -> int:
        return spans[end - 1][1] - spans[start][0]

    whole: list[tuple[int, int]] = []
    waiting = list(reversed(list(zip([0, *cuts], [*cuts, len(spans)], strict=True))))
    while waiting:
        start, end = waiting.pop()
        if length(start, end) <= most or end - start < 2:
            whole.append((start, end))
            continue
        # Pieces of a fair size first, so that not every piece has to be joined again.
        fair = [c for c in range(start + 1, end) if min(length(start, c), length(c, end)) >= least]
        cut = max(fair or range(start + 1, end), key=lambda place: deep[place - 1])
        waiting += [(cut, end), (start, cut)]
    place = 0
    while place < len(whole):
        start, end = whole[place]
        near = [other for other in (place - 1, place + 1) if 0 <= other < len(whole)]
        fits = [o for o in near if length(min(start, whole[o][0]), max(end, whole[o][1])) <= most]
        if length(start, end) >= least or not fits:
            place += 1
            continue
        # The shallower of the two gaps beside it goes.
        other = min(fits, key=lambda o: deep[max(start, whole[o][0]) - 1])
        first = min(place, other)
        whole[first : first + 2] = [(whole[first][0], whole[first + 1][1])]
        place = max(first - 1, 0)
    return [start for start, _ in whole[1:]]
