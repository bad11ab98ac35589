"""The pages of a comparison and of a leaderboard."""

from collections.abc import Sequence

from malmoi.evals.compare import Comparison, Difference
from malmoi.evals.leaderboard import Board
from malmoi.evals.report.page import render_page
from malmoi.evals.report.plots import interval_of, plot_differences, plot_models
from malmoi.evals.report.words import Phrase, phrase
from malmoi.factory.plots import Interval

MOST_DRAWN = 8
"""Models in the plot of a leaderboard; the table has all."""


def render_comparison(comparison: Comparison) -> str:
    """A comparison as HTML."""
    rows = {
        f"{one.task} {one.metric}": Interval(one.difference, one.low, one.high, 0.0)
        for one in comparison.main()
        if one.difference is not None
    }
    first, second = comparison.names

    def verdict(row: Difference) -> Phrase:
        better = ((row.difference or 0.0) > 0) != row.lower_is_better
        return phrase("better_is", model=second if better else first)

    return render_page(
        "compare.html.jinja",
        scripts=("language.js",),
        title=f"{first} · {second}",
        comparison=comparison,
        plot=plot_differences(rows),
        verdict=verdict,
    )


def render_leaderboard(boards: Sequence[Board]) -> str:
    """Boards as HTML."""
    return render_page(
        "leaderboard.html.jinja",
        scripts=("language.js",),
        title="Leaderboard",
        boards=[(board, _plot(board)) for board in boards],
    )


def _plot(board: Board) -> Phrase | None:
    """The shared columns whose figures are shares, of the first models."""
    columns = [c for c in board.shared if all(_is_share(row.figures[c].value) for row in board.rows)]
    rows: dict[str, dict[str, Interval]] = {}
    for column in columns:
        drawn = [(row.model, interval_of(row.figures[column])) for row in board.rows[:MOST_DRAWN]]
        rows[column.title] = {model: one for model, one in drawn if one is not None}
    return plot_models(rows, f"{board.suite} · {board.protocol}") if rows else None


def _is_share(value: float | None) -> bool:
    return value is not None and 0 <= value <= 1
