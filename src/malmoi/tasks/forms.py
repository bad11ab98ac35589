"""The two forms of a choice task: `cloze`, where texts are scored, and `letters`, where they are shown."""

import random
from collections.abc import Sequence
from dataclasses import replace

from malmoi.core.errors import InvalidInput
from malmoi.tasks.base import Example

_ANSWER_WORDS = {"ko": "정답:", "en": "Answer:"}


def answer_word(language: str) -> str:
    """What stands before the answer in letters form; English where no language is said."""
    return _ANSWER_WORDS.get(language, _ANSWER_WORDS["en"])


def letters_of(example: Example, letters: str) -> tuple[str, ...]:
    """The letters of an example's choices.

    Raises:
        InvalidInput: it has more choices than there are letters.
    """
    if len(example.choices) > len(letters):
        raise InvalidInput(
            f"the item {example.id} has {len(example.choices)} choices, for {len(letters)} letters.",
            fix="Ask it in cloze form.",
        )
    return tuple(letters[: len(example.choices)])


def render_options(choices: Sequence[str], letters: Sequence[str]) -> str:
    """A line `A. text` for each choice."""
    return "\n".join(f"{letter}. {choice}" for letter, choice in zip(letters, choices, strict=True))


def shuffle_choices(example: Example, seed: int) -> Example:
    """The example with its choices in another order, which depends on the seed and the id alone."""
    choices = list(example.choices)
    random.Random(f"{seed}:{example.id}").shuffle(choices)  # noqa: S311
    return replace(example, choices=tuple(choices))


def rotate_choices(example: Example) -> tuple[Example, ...]:
    """As many examples as there are choices, the rows of their circulant matrix; ids end with `-0`, `-1`, ...

    Every choice stands once at every place, so a liking for a place cancels out. The order is that of KoBBQ's
    own evaluation (Jin et al. 2024), which permutes its items this way.
    """
    size = len(example.choices)
    return tuple(
        replace(
            example,
            id=f"{example.id}-{turn}",
            choices=tuple(example.choices[(turn - place) % size] for place in range(size)),
        )
        for turn in range(size)
    )
