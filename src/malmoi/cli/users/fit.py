"""`malmoi users fit`: logs become a model."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from malmoi.cli.options import home_option
from malmoi.cli.users.splitting import split_options, split_table, split_words


@click.command()
@click.argument("kind")
@click.option("--logs", required=True, metavar="NAME", help="Logs to learn from: a name or an id.")
@click.option("--name", help="Of the model.  [default: LOGS-KIND]")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the kind, such as decay=0.9. Repeatable.",
)
@click.option(
    "--on",
    type=click.Choice(["train", "known", "all"]),
    default="train",
    show_default=True,
    help="What it learns: all but the held-out events; the validation too; or everything, to be served only.",
)
@split_options
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything random.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def fit(
    kind: str,
    logs: str,
    name: str | None,
    overrides: Sequence[str],
    on: str,
    split: str,
    share: float,
    split_seed: int,
    time: int | None,
    seed: int,
    as_json: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Fit a model of KIND to logs.

    \b
    malmoi users fit markov-knn --logs demo
    malmoi users fit ease --logs beauty --set l2=500 --set dtype=float32 --name ease-500
    malmoi users fit clue --logs demo --split users --seed 3

    Kinds: popularity, item-knn, markov, markov-knn, ease, mean-text, sasrec, clue, lmrec, lightgcn,
    multi-manifold. Stop it whenever you like: the same command goes on from there, to the same model.
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from malmoi.cli.users.artifacts import build_recipe, run_recipe, short_name
    from malmoi.core.store import Store
    from malmoi.users.base import build_user_models
    from malmoi.users.opening import find_logs

    kinds = build_user_models()
    if kind not in kinds:
        from malmoi.core.errors import UnknownName

        raise UnknownName("kind of user model", kind, kinds.names())
    found = find_logs(Store(home / "store"), logs)
    table = {
        "use": "users-fit",
        "kind": kind,
        "on": on,
        "split": split_table(split, share, split_seed, time),
        "inputs": {"logs": found.id},
    }
    changes = [("settings", override) for override in overrides]
    recipe = build_recipe(name or short_name(found), name or kind, table, seed=seed, overrides=changes)
    made = run_recipe(recipe, home, quiet=quiet)
    if as_json:
        shown = {"artifact": made.id, "name": made.manifest.name, **made.manifest.metadata}
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    click.echo(f"made {made.id}")
    if name is not None and made.manifest.name != name:
        click.echo(f"  The same model had been fitted before; it keeps the name {made.manifest.name}.")
    click.echo(f'  ask:  malmoi users recommend {made.manifest.name} --history "..."')
    if on != "all":
        words = split_words(split, share, split_seed, time)
        click.echo(f"  test: malmoi users eval {made.manifest.name} --logs {logs}{words}")
