"""F1 over classes: of labels, of the positive class, and of sets of labels.

A class is a label where all items offer the same choices, and the place of a choice where they do not
(COPA, HellaSwag), as lm-evaluation-harness has it. An answer that is no class is wrong but no class of its
own. A class counts where it is in the gold labels or in the answers, as in scikit-learn's `f1_score`.
"""

import re

import numpy as np

from malmoi.core.intervals import Array, Statistic, additive, mean_of, ratio
from malmoi.evals.results import ItemResult
from malmoi.evals.statistic import Items

KLUE_SIMILAR = 3.0
"""KLUE-STS: a pair of at least so much similarity is a paraphrase (Park et al. 2021, section 4.2)."""


def label_pairs(items: Items) -> list[tuple[str, str]]:
    """(gold, answer) of each item as classes."""
    offered = {frozenset(item.choices) for item in items if item.choices}
    if len(offered) <= 1:
        return [(item.gold.strip(), item.answer.strip()) for item in items]
    return [(_place(item, item.gold), _place(item, item.answer)) for item in items]


def _place(item: ItemResult, text: str) -> str:
    return str(item.choices.index(text)) if text in item.choices else text


def class_names(items: Items) -> list[str]:
    """The classes of these items, sorted: gold labels, choices, and where there are no choices, answers."""
    pairs = label_pairs(items)
    names = {gold for gold, _ in pairs if gold}
    offered = {frozenset(item.choices) for item in items if item.choices}
    if len(offered) == 1:
        names |= {choice.strip() for choice in next(iter(offered))}
    elif offered:
        names |= {str(place) for place in range(max(len(item.choices) for item in items))}
    return sorted(names)


def counts_by_class(items: Items, names: list[str]) -> Array:
    """(N, 3L): right answers, gold labels and answers of each of L classes."""
    at = {name: number for number, name in enumerate(names)}
    columns = np.zeros((len(items), 3, len(names)))
    for row, (gold, answer) in enumerate(label_pairs(items)):
        if gold in at:
            columns[row, 1, at[gold]] = 1
        if answer in at:
            columns[row, 2, at[answer]] = 1
            columns[row, 0, at[answer]] = gold == answer
    return columns.reshape(len(items), 3 * len(names))


def macro(sums: Array) -> Array:
    """Mean F1 over the classes that occur; sums (R, 3L)."""
    right, gold, given = np.split(sums, 3, axis=1)
    f1 = ratio(2 * right, gold + given)
    seen = gold + given > 0
    return ratio(np.where(seen, f1, 0.0).sum(axis=1), seen.sum(axis=1).astype(np.float64))


def micro(sums: Array) -> Array:
    """F1 from counts pooled over classes; sums (R, 3L)."""
    right, gold, given = np.split(sums, 3, axis=1)
    return ratio(2 * right.sum(axis=1), gold.sum(axis=1) + given.sum(axis=1))


def macro_f1(items: Items) -> Statistic:
    """F1 of each class, then their mean."""
    return additive(counts_by_class(items, class_names(items)), macro)


def micro_f1(items: Items) -> Statistic:
    """F1 from pooled counts, without the class that a field `ignored_label` names (KLUE-RE: no_relation)."""
    ignored = {str(item.fields["ignored_label"]) for item in items if "ignored_label" in item.fields}
    names = [name for name in class_names(items) if name not in ignored]
    return additive(counts_by_class(items, names), micro)


def f1_binary(items: Items) -> Statistic | None:
    """F1 of the positive class.

    Positive is what the field `positive` names; else the last choice; else, of numbers, what reaches the
    field `threshold` (3 unless given, as in KLUE-STS; 0.5 where all gold labels are 0 or 1).
    """
    pairs = [_positive(item, items) for item in items]
    if any(gold is None for gold, _ in pairs):
        return None
    columns = np.array([[bool(g and a), bool(g), bool(a)] for g, a in pairs], dtype=np.float64)
    return additive(columns, lambda s: ratio(2 * s[:, 0], s[:, 1] + s[:, 2]))


def _positive(item: ItemResult, items: Items) -> tuple[bool | None, bool | None]:
    if "positive" in item.fields:
        name = str(item.fields["positive"])
        return item.gold.strip() == name, item.answer.strip() == name
    if item.choices:
        return item.gold == item.choices[-1], item.answer == item.choices[-1]
    usual = 0.5 if all(other.gold.strip() in ("0", "1") for other in items[:1000]) else KLUE_SIMILAR
    least = float(item.fields.get("threshold", usual))
    gold, answer = first_number(item.gold), first_number(item.answer)
    return (None if gold is None else gold >= least), (None if answer is None else answer >= least)


def first_number(text: str) -> float | None:
    """The first number in a text."""
    found = re.search(r"[-+]?\d+(?:[.,]\d+)?", text)
    return float(found[0].replace(",", ".")) if found else None


def chance_of_macro_f1(items: Items) -> float | None:
    """What uniform guessing tends to: mean over classes of 2p(1/L) / (p + 1/L), p the class's share."""
    if not items or not all(item.choices for item in items):
        return None
    names = class_names(items)
    gold = [pair[0] for pair in label_pairs(items)]
    shares = np.array([gold.count(name) for name in names]) / len(items)
    return float(np.mean(2 * shares / len(names) / (shares + 1 / len(names))))


def _slots(text: str) -> frozenset[str]:
    """A dialogue state as it is written: one `domain-slot-value` a line, or parted by commas."""
    parts = text.replace("\n", ",").split(",")
    return frozenset(part.strip() for part in parts if part.strip())


def joint_goal_accuracy(items: Items) -> Statistic:
    """KLUE-WoS: share of turns whose whole state is right."""
    return mean_of([float(_slots(item.gold) == _slots(item.answer)) for item in items])


def slot_f1(items: Items) -> Statistic:
    """KLUE-WoS: F1 of a turn's slots, and its mean over turns, as the benchmark's own code has it."""
    values = []
    for item in items:
        gold, given = _slots(item.gold), _slots(item.answer)
        shared = len(gold & given)
        values.append(2 * shared / (len(gold) + len(given)) if gold or given else 1.0)
    return mean_of(values)
