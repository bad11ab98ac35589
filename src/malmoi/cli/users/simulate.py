"""`malmoi users simulate`: logs of a company that does not exist, with a known best ranking."""

from collections.abc import Sequence
from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.option("--name", default="demo", show_default=True, help="Of the logs: NAME-logs.")
@click.option("--users", type=click.IntRange(1), default=2000, show_default=True, help="How many users.")
@click.option("--items", type=click.IntRange(48), default=800, show_default=True, help="How many items.")
@click.option("--events", type=click.IntRange(2), default=20, show_default=True, help="Of a user on average.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything.")
@click.option(
    "--texts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Texts of items instead of made-up ones: JSONL of interest, text and, if you like, service.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another setting, such as stay=0.7 or services=['shop','search']. Repeatable.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the logs here as files, with their schema, and make no artifact.",
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["csv", "jsonl"]),
    default="csv",
    show_default=True,
    help="Of the files under --out.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def simulate(
    name: str,
    users: int,
    items: int,
    events: int,
    seed: int,
    texts: Path | None,
    overrides: Sequence[str],
    out: Path | None,
    layout: str,
    quiet: bool,
    home: Path,
) -> None:
    """Simulate a company: a shop, a travel agency, webtoons and a search, in Korean.

    \b
    malmoi users simulate --name demo --users 2000 --seed 1
    malmoi users simulate --out logs --format jsonl
    malmoi users simulate --texts reviews.jsonl --set services=['shop']

    The best ranking that there can be is known for these logs, and `malmoi users eval` reports it beside the
    models.
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from malmoi.core.config import ConfigTree, parse_override
    from malmoi.users.simulate import SimulationSettings

    values = {"users": users, "items": items, "events": events, "seed": seed}
    tree = ConfigTree()
    tree.merge(values, origin="the command")
    for override in overrides:
        path, text = parse_override(override)
        tree.put(path, text, None, origin=f"--set {override}")
    settings = tree.validate(SimulationSettings)
    if out is not None:
        from malmoi.users.simulate import simulate as draw
        from malmoi.users.simulate.files import write_simulation
        from malmoi.users.simulate.texts import read_texts

        rows = None if texts is None else read_texts(texts)
        made = draw(settings, rows)
        for file in write_simulation(made, out, layout):  # type: ignore[arg-type]
            click.echo(str(file))
        return
    from malmoi.cli.users.artifacts import build_recipe, kept_name, run_recipe

    table: dict[str, object] = {"use": "users-logs", "simulate": values}
    if texts is not None:
        table["texts"] = str(texts.resolve())
    recipe = build_recipe(
        name,
        "logs",
        table,
        seed=0,
        overrides=[("simulate", override) for override in overrides],
    )
    artifact = run_recipe(recipe, home, quiet=quiet)
    counts = artifact.manifest.metadata
    click.echo(f"made {artifact.id}")
    if note := kept_name(artifact, name):
        click.echo(note)
    click.echo(f"{counts['users']:,} users, {counts['items']:,} items, {counts['events']:,} events")
