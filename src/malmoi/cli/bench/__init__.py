"""`malmoi bench`: measure this installation. One JSON line a measure goes to standard output."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import click

from malmoi.cli.options import home_option
from malmoi.core.errors import UnknownName

# name -> (module with `measure(options)`, what it measures)
BENCHES = {
    "gateway": (
        "malmoi.cli.bench.gateway",
        "the gateway against its engine called directly, memory, start, page weight",
    ),
    "factory": (
        "malmoi.cli.bench.factory",
        "training speed and bits per byte against the usual tools, corpus, tokenizer",
    ),
    "evals": ("malmoi.cli.bench.evals", "scoring against lm-eval's own Hugging Face backend"),
    "guard": ("malmoi.cli.bench.guard", "what the guard costs, and how it finds personal data"),
    "assist": (
        "malmoi.cli.bench.assist",
        "search in documents, how fast they are indexed, how soon a skill answers",
    ),
    "users": (
        "malmoi.cli.bench.users",
        "recommenders against rectools, speed of vectors and recommendations",
    ),
}


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--model", default="standard", show_default=True, metavar="NAME", help="Model to measure with.")
@click.option(
    "--repeats", type=click.IntRange(1, 50), default=5, show_default=True, help="Pairs of runs a figure."
)
@click.option(
    "--tokens", type=click.IntRange(8), default=64, show_default=True, help="Tokens of each answer."
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="factory, evals, users: folder of your texts, tasks or logs.  [default: generated ones]",
)
@click.option(
    "--recipe", default="tiny-ko", show_default=True, metavar="NAME", help="factory: recipe to measure."
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=4.0,
    show_default=True,
    help="factory: training time of each side where bits per byte are compared.",
)
@click.option("--list", "list_names", is_flag=True, help="List what can be measured.")
@home_option
def bench(
    names: tuple[str, ...],
    model: str,
    repeats: int,
    tokens: int,
    data: Path | None,
    recipe: str,
    minutes: float,
    list_names: bool,
    home: Path,
) -> None:
    """Measure this installation.

    Without NAME, everything; `factory.speed` is one part of `factory` (--list shows them). A comparison runs
    both sides in turn and reports the ratio, its spread over the repeats, and both versions; close other
    programs first. Progress goes to standard error.
    """
    from malmoi.cli.bench.measure import BenchOptions

    if list_names:
        for name, (_, text) in BENCHES.items():
            click.echo(f"{name:<12}{text}")
            for part in _parts(name):
                click.echo(f"  {name}.{part}")
        return
    chosen = _chosen(names or tuple(BENCHES))
    options = BenchOptions(
        home=home,
        model=model,
        repeats=repeats,
        tokens=tokens,
        data=data,
        recipe=recipe,
        minutes=minutes,
    )
    for name, parts in chosen.items():
        module = import_module(BENCHES[name][0])
        for measure in module.measure(replace(options, parts=parts)):
            click.echo(measure.line())


def _parts(name: str) -> tuple[str, ...]:
    return getattr(import_module(BENCHES[name][0]), "PARTS", ())


def _chosen(names: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """Each bench with the parts that were asked for; none: all of them.

    Raises:
        UnknownName: there is no such bench, or it has no such part.
    """
    chosen: dict[str, frozenset[str]] = {}
    for full_name in names:
        name, _, part = full_name.partition(".")
        if name not in BENCHES:
            raise UnknownName("bench", name, BENCHES)
        if part and part not in _parts(name):
            raise UnknownName(f"part of the bench {name}", part, _parts(name))
        chosen[name] = frozenset() if not part or name in names else chosen.get(name, frozenset()) | {part}
    return chosen
