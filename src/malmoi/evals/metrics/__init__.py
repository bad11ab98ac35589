"""Metrics by name, and what a task's items come to under them.

    figures = measure(["accuracy", "macro_f1"], items)

A metric is called with items and gives a figure or None. `measure` adds the interval, what guessing gives,
and what a reader must know.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from malmoi.core import intervals
from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.core.intervals import Statistic
from malmoi.evals import bias
from malmoi.evals.metrics import choices, labels, numbers, overlap, sequences
from malmoi.evals.metrics.choices import chance_of_accuracy as chance
from malmoi.evals.results import ItemResult, MetricResult
from malmoi.evals.statistic import Items, Metric

__all__ = ["METRICS", "Metric", "by_category", "chance", "measure", "metric"]

FEW = 30
"""Rates of fewer items get Wilson's interval: the bootstrap is too sure of itself there."""


def _zero(_: Items) -> float | None:
    return 0.0


_BIAS_METRICS: Mapping[str, Metric] = {
    name: Metric(about, prepare, top=top, chance=guess, note=bias.dropped, cluster=bias.template_of)
    for name, about, prepare, top, guess in (
        ("bias_accuracy_ambiguous", "accuracy where the context leaves the answer open",
         bias.accuracy_ambiguous, 1.0, choices.chance_of_accuracy),
        ("bias_accuracy_disambiguated", "accuracy where the context gives the answer",
         bias.accuracy_disambiguated, 1.0, choices.chance_of_accuracy),
        ("diff_bias_ambiguous", "biased minus counter-biased answers, open contexts; 0 is best",
         bias.diff_bias_ambiguous, None, _zero),
        ("diff_bias_disambiguated", "accuracy in biased minus counter-biased contexts; 0 is best",
         bias.diff_bias_disambiguated, None, _zero),
        ("bias_score_ambiguous", "BBQ's s_amb, -1 to 1; 0 is best", bias.score_ambiguous, None, _zero),
        ("bias_score_disambiguated", "BBQ's s_dis, -1 to 1; 0 is best",
         bias.score_disambiguated, None, _zero),
    )
}  # fmt: skip

METRICS: Mapping[str, Metric] = MappingProxyType({
    "accuracy": Metric("mean grade", numbers.mean_grade, chance=chance),
    "accuracy_by_character": Metric(
        "accuracy by log-probability a character (lm-eval's acc_norm)",
        choices.accuracy_by("accuracy_by_character", len), chance=chance),
    "accuracy_by_byte": Metric(
        "accuracy by log-probability a byte (lm-eval's acc_bytes)",
        choices.accuracy_by("accuracy_by_byte", choices.byte_length), chance=chance),
    "mean": Metric("mean grade", numbers.mean_grade),
    "exact_match": Metric("share of answers that are right altogether", numbers.exact_match),
    "macro_f1": Metric("mean of the classes' F1", labels.macro_f1, chance=labels.chance_of_macro_f1),
    "micro_f1": Metric("F1 from counts pooled over classes", labels.micro_f1),
    "f1_binary": Metric("F1 of the positive class", labels.f1_binary),
    "pearson": Metric("correlation with the gold number", numbers.pearson, chance=_zero,
                      note=numbers.unreadable_numbers),
    "spearman": Metric("correlation of ranks", numbers.spearman, chance=_zero,
                       note=numbers.unreadable_numbers),
    "mc2": Metric("probability of the true answers", choices.mc2, chance=choices.chance_of_mc2),
    "pass_at_1": Metric("share of problems solved by one answer", numbers.pass_at(1)),
    "pass_at_5": Metric("share of problems solved by one of 5 answers", numbers.pass_at(5),
                        note=numbers.few_samples(5)),
    "pass_at_10": Metric("share of problems solved by one of 10 answers", numbers.pass_at(10),
                         note=numbers.few_samples(10)),
    "bits_per_byte": Metric("bits to code a byte of text", numbers.bits_per_byte, top=None,
                            lower_is_better=True),
    "byte_perplexity": Metric("2 to the bits of a byte", numbers.byte_perplexity, top=None,
                              lower_is_better=True),
    "word_perplexity": Metric("2 to the bits of a word", numbers.word_perplexity, top=None,
                              lower_is_better=True),
    "entity_f1": Metric("mean F1 of the types of entities, whole spans (KLUE-NER)", sequences.entity_f1),
    "character_f1": Metric("mean F1 of the tags of characters (KLUE-NER)", sequences.character_f1),
    "uas": Metric("share of words with the right head", sequences.uas),
    "las": Metric("share of words with the right head and type", sequences.las),
    "uas_macro_f1": Metric("mean F1 of heads (KLUE-DP's UAS)", sequences.uas_macro_f1),
    "las_macro_f1": Metric("mean F1 of types at right heads (KLUE-DP's LAS)", sequences.las_macro_f1),
    "joint_goal_accuracy": Metric("share of turns whose whole state is right (KLUE-WoS)",
                                  labels.joint_goal_accuracy),
    "slot_f1": Metric("mean F1 of a turn's slots (KLUE-WoS)", labels.slot_f1),
    "rouge_w": Metric("F1 of the longest shared run of characters (KLUE-MRC)", overlap.rouge_w),
    "chrf": Metric("shared character n-grams, 0 to 100", overlap.chrf, top=100.0),
    "bleu": Metric("shared word n-grams, 0 to 100", overlap.bleu, top=100.0),
    **_BIAS_METRICS,
    "out_of_choice": Metric("share of answers that are none of the choices", bias.out_of_choice,
                            lower_is_better=True, cluster=bias.template_of),
})  # fmt: skip


def metric(name: str, items: Items) -> Metric:
    """The metric of this name, or the mean of the further grade of this name that items hold.

    Raises:
        UnknownName: there is neither.
    """
    if name in METRICS:
        return METRICS[name]
    known = {grade for item in items for grade in item.grades}
    if name in known:
        return Metric(f"mean of the grade {name}", numbers.named_grade(name))
    raise UnknownName("metric", name, [*METRICS, *known])


def measure(
    names: Sequence[str],
    items: Sequence[ItemResult],
    *,
    seed: int = 0,
    resamples: int = 1000,
    cluster: str | None = None,
) -> tuple[MetricResult, ...]:
    """Every named figure with its 95 % interval, and what guessing gives.

    Args:
        names: of metrics, or of further grades that the items hold.
        items: of one task.
        seed: of the bootstrap.
        resamples: how many the bootstrap draws; 0: no intervals.
        cluster: `category`, or the name of a field; items that share its value are drawn together.

    Raises:
        UnknownName: there is no such metric.
        InvalidInput: the items lack what a metric reads, or hold a figure that is no number.
    """
    _check(items)
    chosen = [(name, metric(name, items)) for name in names]
    statistics = [one.prepare(items) if items else None for _, one in chosen]
    drawn = _resampled(chosen, statistics, items, seed, resamples, cluster)
    return tuple(
        _result(name, one, statistic, values, items)
        for (name, one), statistic, values in zip(chosen, statistics, drawn, strict=True)
    )


def by_category(
    names: Sequence[str], items: Sequence[ItemResult], *, seed: int = 0, resamples: int = 1000
) -> dict[str, tuple[MetricResult, ...]]:
    """`measure` for the items of each category, in alphabetical order; empty where there is one or none."""
    groups: dict[str, list[ItemResult]] = {}
    for item in items:
        groups.setdefault(item.category, []).append(item)
    if len(groups) < 2:
        return {}
    return {
        category: measure(names, own, seed=seed, resamples=resamples)
        for category, own in sorted(groups.items())
    }


def _check(items: Items) -> None:
    for item in items:
        if not np.isfinite(item.grade) or not np.isfinite(item.logprobs).all():
            raise InvalidInput(
                f"the item {item.id} of {item.task} has a grade or a log-probability that is no number.",
                fix="The engine gave it; run it again, or leave the item out.",
            )


def _resampled(
    chosen: Sequence[tuple[str, Metric]],
    statistics: Sequence[Statistic | None],
    items: Items,
    seed: int,
    resamples: int,
    cluster: str | None,
) -> list[np.ndarray]:
    """The figures of each metric over the resamples; metrics that group items alike share the draws."""
    drawn: list[np.ndarray] = [np.zeros(0)] * len(chosen)
    if len(items) < 2 or resamples < 1:
        return drawn
    ways: dict[object, list[int]] = {}
    for number, (_, one) in enumerate(chosen):
        if statistics[number] is not None:
            ways.setdefault(cluster or one.cluster, []).append(number)
    for way, numbers_of in ways.items():
        groups: list[str] | None = None
        if cluster is not None:
            groups = [_group(item, cluster) for item in items]
        elif callable(way):
            groups = [str(way(item)) for item in items]
        wanted = [statistic for number in numbers_of if (statistic := statistics[number]) is not None]
        found = intervals.bootstrap(wanted, len(items), seed=seed, resamples=resamples, groups=groups)
        for number, values in zip(numbers_of, found, strict=True):
            drawn[number] = values
    return drawn


def _group(item: ItemResult, cluster: str) -> str:
    return item.category if cluster == "category" else str(item.fields.get(cluster, item.id))


def _result(
    name: str, one: Metric, statistic: Statistic | None, values: np.ndarray, items: Items
) -> MetricResult:
    notes = [one.note(items)] if items else ["There are no items."]
    value = float(statistic(np.ones((1, len(items))))[0]) if statistic is not None else np.nan
    if not np.isfinite(value):
        reason = (
            "These items do not have what it is computed from."
            if statistic is None
            else "It is not defined here."
        )
        return MetricResult(name=name, value=None, note=" ".join(filter(None, [*notes, reason])))
    interval = intervals.percentiles(values)
    missing = int(np.sum(~np.isfinite(values)))
    if missing:
        notes.append(f"In {missing} of {len(values)} resamples it is not defined.")
    if len(values) and (rate := _rate(name, items)) is not None and (len(items) < FEW or value in (0.0, 1.0)):
        interval = intervals.wilson(rate, len(items))
    low, high = interval or (None, None)
    return MetricResult(
        name=name,
        value=value,
        low=low,
        high=high,
        chance=one.chance(items),
        note=" ".join(filter(None, notes)),
    )


def _rate(name: str, items: Items) -> float | None:
    """How many items succeed, where the figure is a plain rate of right answers."""
    if name not in ("accuracy", "mean", "exact_match", "pass_at_1") or any(
        "passed" in i.fields for i in items
    ):
        return None
    grades = [
        item.grades.get("exact_match", item.grade) if name == "exact_match" else item.grade for item in items
    ]
    return sum(grades) if all(grade in (0.0, 1.0) for grade in grades) else None
