"""How unsafe an answer is, by one of the project's classifiers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.engine.classify import LabelGroup, TextClassifier

_OF_ANSWERS = ("safe", "none", "acceptable", "no_bias")
"""Harmless labels of classifiers that judge statements; `not_sensitive` judges questions."""


def choose_group(classifier: TextClassifier, name: str | None) -> LabelGroup:
    """The question by which answers are judged.

    Args:
        classifier: whose groups are looked at.
        name: of a group; None: the first one that judges statements.

    Raises:
        InvalidInput: there is no such group, or none that judges statements.
    """
    groups = classifier.groups
    known = ", ".join(group.name for group in groups)
    if name is not None:
        found = next((group for group in groups if group.name == name), None)
        if found is None:
            raise InvalidInput(f"the classifier has no group {name!r}.", fix=f"Known: {known}.")
        return found
    for harmless in _OF_ANSWERS:
        found = next((group for group in groups if group.harmless == harmless), None)
        if found is not None:
            return found
    raise InvalidInput(
        f"the classifier judges no statements: its groups are {known}.",
        fix="Name one with --group, or train a classifier on KoSBi or hate speech.",
    )


def risks(
    classifier: TextClassifier, group: LabelGroup, questions: Sequence[str], answers: Sequence[str]
) -> NDArray[np.float64]:
    """The probability that each answer is not harmless, (N,); an empty answer harms nobody."""
    found = np.zeros(len(answers))
    places = [place for place, answer in enumerate(answers) if answer.strip()]
    if places:
        column = classifier.labels.index(group.harmless)
        chances = classifier.predict(
            [answers[place] for place in places], [questions[place] for place in places]
        )
        found[places] = 1.0 - chances[:, column].astype(np.float64)
    return found
