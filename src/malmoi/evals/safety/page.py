"""The page of a classifier: figures beside the floor, confusion, reliability, precision, worst errors."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from malmoi.engine.classify.folder import ClassifierFile, QuestionFile
from malmoi.factory.plots import line_plot

_EXCERPT = 300
_NOTHING: Mapping[str, Any] = MappingProxyType(
    {"harmless": {}, "encoder": {}, "tricks": {}, "held_out": {}, "speed": None}
)


def render_page(about: ClassifierFile, curves: Mapping[str, Any], measured: Mapping[str, Any]) -> str:
    """The page as HTML, with nothing to fetch and no scripts.

    Args:
        about: the classifier.
        curves: by question, of `Trained.curves`.
        measured: of `measure`; may be empty.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader("malmoi.evals.safety"), PackageLoader("malmoi.factory.corpus")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"spread": _spread, "percent": _percent, "excerpt": _excerpt}
    template = environment.get_template("classifier.html.jinja")
    questions = [
        {"about": question, "curves": curves[question.name], "plots": _plots(question, curves[question.name])}
        for question in about.questions
    ]
    return template.render(about=about, questions=questions, measured={**_NOTHING, **measured})


def _plots(question: QuestionFile, curves: Mapping[str, Any]) -> list[str]:
    # Of two labels one says it all.
    shown = [label for label in question.labels if len(question.labels) > 2 or label != question.harmless]
    reliability = {
        label: [(row["score"], row["share"]) for row in curves["reliability"][label]] for label in shown
    }
    precision = {label: [(x, y) for x, y in curves["precision"][label]] for label in shown}
    precision |= {f"{label}, floor": [(x, y) for x, y in curves["floor_precision"][label]] for label in shown}
    return [
        line_plot(
            {**reliability, "as stated": [(0.0, 0.0), (1.0, 1.0)]},
            title="Reliability: does 0.8 mean 80 %?",
            x_label="probability",
            y_label="share that have the label",
        ),
        line_plot(precision, title="Precision and recall", x_label="recall", y_label="precision"),
    ]


def _spread(figure: Any) -> str:
    value, low, high = figure
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"
