"""Which solved examples an item gets: the same for every model and run, and never the item itself."""

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from malmoi.tasks.base import Example, Task

ShotRows: TypeAlias = Literal["first", "random"]

_DRAWN_PER_SHOT = 64


def choose_shots(
    task: Task,
    example: Example,
    count: int,
    seed: int = 0,
    *,
    rows: ShotRows | None = None,
    stratified: bool = False,
    pool: Sequence[Example] | None = None,
) -> tuple[Example, ...]:
    """Solved examples for an item.

    They depend on the task, the item, the count and the seed, on nothing else. An example that asks the same
    is never chosen, whatever its id, so no answer leaks from a pool that holds the item or a copy of it.

    Args:
        task: gives the pool, the examples of `info.shot_split`.
        example: the item that will be asked.
        count: how many; fewer where the pool has no more.
        seed: another seed, other examples.
        rows: `first` rows of the pool, or `random` ones; None: as the task says.
        stratified: whether each label comes equally often, as far as the rows looked at have it; the label is
            the answer's text, or its place where every item has choices of its own.
        pool: examples to choose from instead.

    Raises:
        NotFound: the task's shots are not there.
        InvalidInput: a row of them is not as it should be.
    """
    if count <= 0:
        return ()
    if pool is None:
        pool = task.examples(task.info.shot_split)
    order: ShotRows = rows if rows is not None else getattr(task, "shot_rows", "random")
    if getattr(task, "shots_of_category", False):
        own = [shot for shot in pool if shot.category == example.category]
        pool = own or pool
    draw = random.Random(f"{seed}:{task.name}:{example.id}")  # noqa: S311
    candidates = (shot for shot in _in_turn(pool, order, draw) if not _asks_the_same(shot, example))
    if not stratified:
        return tuple(shot for shot, _ in zip(candidates, range(count), strict=False))
    looked_at = [shot for shot, _ in zip(candidates, range(count * _DRAWN_PER_SHOT), strict=False)]
    return tuple(_balanced(looked_at, count, draw))


def _in_turn(pool: Sequence[Example], rows: ShotRows, draw: random.Random) -> Iterator[Example]:
    """The pool in order, or shuffled; a shuffle goes only as far as it is read."""
    if rows == "first":
        yield from pool
        return
    moved: dict[int, int] = {}  # Fisher-Yates over an index that is never written out
    for place in range(len(pool)):
        other = draw.randrange(place, len(pool))
        chosen = moved.get(other, other)
        moved[other] = moved.pop(place, place)
        yield pool[chosen]


def _asks_the_same(shot: Example, example: Example) -> bool:
    return shot.question == example.question and sorted(shot.choices) == sorted(example.choices)


def _balanced(candidates: Sequence[Example], count: int, draw: random.Random) -> list[Example]:
    """As many of each label as fit into `count`, in the order of the candidates."""
    texts = {shot.answer for shot in candidates}
    by_place = len(texts) > max(2, len(candidates) // 2)
    labels = [_place(shot) if by_place else shot.answer for shot in candidates]
    most = math.ceil(count / max(1, len(set(labels))))
    taken: Counter[str] = Counter()
    chosen: list[int] = []
    for number, label in enumerate(labels):
        if len(chosen) < count and taken[label] < most:
            taken[label] += 1
            chosen.append(number)
    # Labels that ran out leave room for others.
    left = (number for number in range(len(candidates)) if number not in chosen)
    chosen.extend(number for number, _ in zip(left, range(count - len(chosen)), strict=False))
    shots = [candidates[number] for number in sorted(chosen)]
    draw.shuffle(shots)  # else labels would come in turn, which is a pattern to be copied
    return shots


def _place(shot: Example) -> str:
    return str(shot.choices.index(shot.answer)) if shot.answer in shot.choices else ""
