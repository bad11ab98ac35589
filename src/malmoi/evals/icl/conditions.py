"""What is done to the labels of the demonstrations: some are kept, the others made wrong, or all are random.

After Yoo et al., "Ground-Truth Labels Matter: A Deeper Look into Input-Label Demonstrations" (EMNLP 2022,
arXiv 2205.12685), section 3: of k demonstrations, round(a k) keep their gold label and the others get one of
the wrong labels; in another series every label is drawn uniformly from the label space.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from malmoi.core.errors import InvalidInput
from malmoi.tasks.base import Example

_LOOKED_AT = 1024
"""Examples that are drawn before k of them are taken: the same ones for every k."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the labels of the demonstrations are.

    Attributes:
        kind: `correct`: a share of them is right, the others are wrong; `random`: all are drawn uniformly;
            `none`: there are no demonstrations.
        percent: of right labels, where the kind is `correct`.
    """

    kind: Literal["correct", "random", "none"]
    percent: int = 100


def gold_index(example: Example) -> int:
    """The place of the right answer among the choices."""
    return example.choices.index(example.answer)


@dataclass(frozen=True, slots=True)
class Demonstrations:
    """k solved examples of one seed, and the labels that each condition gives them.

    The wrong ones at 75 % are wrong at 50 % too, with the same wrong labels: conditions differ in nothing
    that they need not differ in.

    Attributes:
        examples: in the order of the prompt.
        order: places of the examples, those that lose their label first in front.
        wrong: a wrong label of each example.
        uniform: a label of each example that was drawn from all.
    """

    examples: tuple[Example, ...]
    order: tuple[int, ...]
    wrong: tuple[int, ...]
    uniform: tuple[int, ...]

    def labels(self, condition: Condition) -> tuple[int, ...]:
        """The label of each demonstration as a place among its choices."""
        if condition.kind == "none":
            return ()
        if condition.kind == "random":
            return self.uniform
        keep = kept(condition.percent, len(self.examples))
        lost = set(self.order[: len(self.examples) - keep])
        return tuple(
            self.wrong[place] if place in lost else gold_index(example)
            for place, example in enumerate(self.examples)
        )


def kept(percent: int, k: int) -> int:
    """Demonstrations that keep their gold label: round(a k), halves up."""
    return (2 * percent * k + 100) // 200


def draw_demonstrations(
    pool: Sequence[Example], k: int, *, seed: int, name: str, balanced: bool
) -> Demonstrations:
    """Draw k demonstrations; fewer of the same seed are the first ones of more.

    Args:
        pool: examples to draw from, none of which is scored.
        k: how many.
        seed: another one draws others.
        name: of the dataset, so that datasets draw apart.
        balanced: as many of each label as k allows.

    Raises:
        InvalidInput: the pool is too small.
    """
    if k > len(pool):
        raise InvalidInput(
            f"{name}: there are only {len(pool)} examples to show, not {k}.",
            field="shots",
            fix="Ask for fewer shots or a smaller limit.",
        )
    rng = random.Random(f"{seed}:{name}")  # noqa: S311
    shuffled = rng.sample(range(len(pool)), min(len(pool), max(k, _LOOKED_AT)))
    if balanced and k:
        shuffled = _in_turns(shuffled, pool)
    examples = tuple(pool[place] for place in shuffled[:k])
    rng = random.Random(f"{seed}:{name}:{k}")  # noqa: S311
    wrong, uniform = [], []
    for example in examples:
        gold = gold_index(example)
        others = [place for place in range(len(example.choices)) if place != gold]
        wrong.append(rng.choice(others))
        uniform.append(rng.randrange(len(example.choices)))
    return Demonstrations(examples, tuple(rng.sample(range(k), k)), tuple(wrong), tuple(uniform))


def _in_turns(places: Sequence[int], pool: Sequence[Example]) -> list[int]:
    """The places, one of each label after another as long as there are some."""
    by_label: dict[int, list[int]] = defaultdict(list)
    for place in places:
        by_label[gold_index(pool[place])].append(place)
    queues = list(by_label.values())
    longest = max(map(len, queues))
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
