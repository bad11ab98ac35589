"""What the figures say that a reader might overlook, as sentences."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from malmoi.evals.report.words import Phrase, phrase
from malmoi.evals.results import EvalResult, ItemResult, MetricResult, TaskResult

COLLAPSED = 0.9
"""Share of one answer from which on a model is said to give only that."""
SURPLUS = 0.2
"""How far that share must lie above the share among the right answers."""
CUT_OFF = 0.05
FOREIGN = 0.1
EMPTY = 0.05
FEW = 100
OUT_OF_CHOICE = 0.05


def remarks(result: EvalResult, items: Mapping[str, Sequence[ItemResult]]) -> list[Phrase]:
    """Sentences about a result; `items` by task."""
    found = [sentence for task in result.tasks for sentence in _about_task(task, items.get(task.name, ()))]
    if result.skipped:
        found.append(_say("skipped", count=len(result.skipped)))
    return found or [_say("nothing")]


def _say(name: str, **figures: object) -> Phrase:
    return phrase(name, "remarks", **figures)


def _about_task(task: TaskResult, items: Sequence[ItemResult]) -> Iterator[Phrase]:
    main = task.metrics[0] if task.metrics else None
    if task.split == "train":
        yield _say("on_train", task=task.name)
    if main is not None:
        yield from _about_main(task, main)
    for figure in task.metrics:
        if figure.value is None:
            yield _say("undefined", task=task.name, metric=figure.name, note=figure.note)
        elif figure.name == "out_of_choice" and figure.value > OUT_OF_CHOICE:
            yield _say("out_of_choice", task=task.name, share=percent(figure.value))
    yield from _one_sided(task, items)
    if task.truncated is not None and task.truncated >= CUT_OFF:
        yield _say("truncated", task=task.name, share=percent(task.truncated))
    if task.in_language is not None and task.in_language <= 1 - FOREIGN:
        yield _say("language", task=task.name, share=percent(1 - task.in_language))
    blank = sum(not item.answer.strip() for item in items) / len(items) if items else 0.0
    if blank >= EMPTY:
        yield _say("empty", task=task.name, share=percent(blank))


def _about_main(task: TaskResult, main: MetricResult) -> Iterator[Phrase]:
    if main.value is None or main.low is None or main.high is None:
        return
    shown = {"task": task.name, "metric": main.name, "value": figure_text(main.value)}
    bias = "bias" in main.name
    if main.chance is not None and not bias and main.low <= main.chance:
        chance = figure_text(main.chance)
        if main.high < main.chance:
            yield _say("below_chance", **shown, chance=chance)
        else:
            yield _say("letters_at_chance" if task.form == "letters" else "at_chance", **shown, chance=chance)
    if task.items < FEW:
        yield _say(
            "few", task=task.name, items=task.items, low=figure_text(main.low), high=figure_text(main.high)
        )


def _one_sided(task: TaskResult, items: Sequence[ItemResult]) -> Iterator[Phrase]:
    """Whether nearly all answers are one label, or one place among the choices."""
    asked = [item for item in items if item.choices]
    if len(asked) < 10:
        return
    if len({frozenset(item.choices) for item in asked}) == 1:
        label, count = Counter(item.answer for item in asked).most_common(1)[0]
        gold = sum(item.gold == label for item in asked) / len(asked)
        name = "one_class"
    else:
        places = Counter(item.choices.index(item.answer) + 1 for item in asked if item.answer in item.choices)
        if not places:
            return
        place, count = places.most_common(1)[0]
        gold = sum(item.choices[place - 1 : place] == (item.gold,) for item in asked) / len(asked)
        label, name = str(place), "one_place"
    share = count / len(asked)
    if share >= COLLAPSED and share - gold >= SURPLUS:
        yield _say(name, task=task.name, share=percent(share), label=label[:40], gold=percent(gold))


def percent(share: float) -> str:
    """A share for people."""
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.1f} %"


def figure_text(value: float | None) -> str:
    """A figure for people: four digits of a share, one place of a figure up to a hundred."""
    if value is None:
        return "–"
    if abs(value) <= 2:
        return f"{value:.4f}"
    return f"{value:.1f}" if abs(value) < 1000 else f"{value:,.0f}"
