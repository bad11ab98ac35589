"""Joining symbols pair by pair, and which pieces that needs: the common core of BPE and of llama.cpp's SPM.

Both begin with single characters and always join the neighbouring pair of the best rank, the leftmost of
equal ones, until no pair has a rank (BPE: the place of the merge in the list; Sennrich et al. 2016,
arXiv 1508.07909; SPM: the negative score of the joined text).

Two facts make it possible to take tokens away without changing anything else:

1. No join reaches over the edge of a final token. So inside a text the joins that make a token are, in this
   order, those that make it when its own text stands alone: its *path*.
2. If every piece that a text's joins make is kept, the smaller vocabulary makes the same joins: the best pair
   at each step is still there, and none has become better.

Hence a set of tokens that holds the path of each member cuts every text whose tokens it holds as before.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import inf

Rank = Callable[[str, str], float]
"""The rank of joining two neighbours: the least is joined first; infinity: they are never joined."""


def join(symbols: Sequence[str], rank: Rank) -> tuple[list[str], list[str]]:
    """Join `symbols` as far as it goes.

    Returns:
        The pieces that are left, and every piece that was made on the way, in order.
    """
    parts = list(symbols)
    made: list[str] = []
    ranks = [rank(left, right) for left, right in pairwise(parts)]
    while ranks:
        best = min(ranks)
        if best == inf:
            break
        at = ranks.index(best)  # the leftmost of equal ranks
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        made.append(parts[at])
        del ranks[at]
        if at > 0:
            ranks[at - 1] = rank(parts[at - 1], parts[at])
        if at < len(ranks):
            ranks[at] = rank(parts[at], parts[at + 1])
    return parts, made
