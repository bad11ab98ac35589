"""What a run of tasks says in a terminal: its plan, and its figures."""

from typing import TYPE_CHECKING

import click

from malmoi.cli.evals.tables import table
from malmoi.cli.live import duration, number

if TYPE_CHECKING:
    from malmoi.evals.harness.plan import Plan
    from malmoi.evals.results import EvalResult, MetricResult


def print_plan(plan: "Plan") -> None:
    """What would be asked, and what is missing."""
    rows = [("task", "split", "items", "shots", "form", "metrics")]
    for task in plan.tasks:
        items = len(task.task.examples(task.split)[: task.limit])
        metrics = ", ".join(task.metrics)
        rows.append((task.name, task.split, f"{items:,}", str(task.shots), task.form, metrics))
    rows += [(f"lm-eval:{name}", "", "", "", "", "lm-eval's own") for name in plan.stock]
    if len(rows) > 1:
        for line in table(rows, right={2, 3}):
            click.echo(line)
    for skipped in plan.skipped:
        click.echo(f"missing: {skipped.sentence()}")


def print_result(result: "EvalResult", plan: "Plan") -> None:
    """A line each metric, a mean each group, and what was skipped."""
    rows = [("task", "metric", "value", "95 % interval", "chance", "items", "remarks")]
    for task in result.tasks:
        for place, metric in enumerate(task.metrics):
            remarks = []
            if place == 0 and task.truncated is not None:
                remarks.append(f"cut off {100 * task.truncated:.0f} %")
            if place == 0 and task.in_language is not None:
                remarks.append(f"right language {100 * task.in_language:.0f} %")
            if metric.note:
                remarks.append(metric.note)
            rows.append(
                (
                    task.name if place == 0 else "",
                    metric.name,
                    _figure(metric.value),
                    _interval(metric),
                    _figure(metric.chance),
                    f"{task.items:,}" if place == 0 else "",
                    "; ".join(remarks),
                )
            )
    for line in table(rows, right={2, 4, 5}):
        click.echo(line)
    for line in _groups(result, plan):
        click.echo(line)
    known = {skipped.name for skipped in plan.skipped}
    for skipped in result.skipped:
        if skipped.name not in known:  # those were said at the beginning
            click.echo(f"skipped {skipped.sentence()}")
    tokens = f"{number(result.prompt_tokens)} prompt tokens, {number(result.completion_tokens)} answer tokens"
    click.echo(f"{result.model}, {duration(result.seconds)}, {tokens}")


def _groups(result: "EvalResult", plan: "Plan") -> list[str]:
    """The plain mean of the main metrics of each group of the suite, and of the groups."""
    values: dict[str, list[float]] = {}
    group_of = {task.name: task.group for task in plan.tasks}
    for task in result.tasks:
        group = group_of.get(task.name)
        if group and task.metrics and task.metrics[0].value is not None:
            values.setdefault(group, []).append(task.metrics[0].value)
    means = {group: sum(found) / len(found) for group, found in values.items()}
    lines = [f"mean of {group}: {mean:.4f} ({len(values[group])} tasks)" for group, mean in means.items()]
    if len(means) > 1:
        lines.append(f"mean of these means: {sum(means.values()) / len(means):.4f}")
    return lines


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _interval(metric: "MetricResult") -> str:
    if metric.low is None or metric.high is None:
        return ""
    return f"{metric.low:.4f} to {metric.high:.4f}"
