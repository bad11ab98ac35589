"""The page of an evaluation: one HTML file with everything in it."""

from importlib.resources import files

from malmoi.factory.plots import Interval, interval_plot
from malmoi.users.report.figures import Figure, Results


def render_page(results: Results) -> str:
    """HTML; every text is escaped."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    groups = list(results.models[0].groups) if results.models else []
    plots = {
        # interval_plot builds its SVG from elements, so that its texts are escaped already
        group: Markup(  # noqa: S704
            interval_plot(
                {model.name: {"": _interval(model.groups[group].ndcg)} for model in results.models},
                title=f"NDCG@{results.k}, {group}",
                x_label="mean with its 95 % interval over users",
            )
        )
        for group in groups
    }
    return template.render(results=results, groups=groups, plots=plots)


def _interval(figure: Figure) -> Interval:
    return Interval(figure.value, figure.low, figure.high)
