"""`malmoi users study`: put one question to several fits under one budget."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.argument("study", type=click.Choice(["lmrec"]))
@click.option("--logs", required=True, metavar="NAME", help="Logs in the store: a name or an id.")
@click.option("--target", metavar="SERVICE", help="Recommend one service; the others become agnostic text.")
@click.option(
    "--split",
    type=click.Choice(["cold-users", "leave-one-out"]),
    default="cold-users",
    show_default=True,
    help="Whom to ask: users that no fit has seen, or everybody for the last event.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 0.4, min_open=True),
    default=0.2,
    show_default=True,
    help="Of the users, for the test with cold-users; as many validate.",
)
@click.option("--ratios", default="0,0.3,0.5,0.7", show_default=True, help="Shares of the task's own text.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of split and first fit.")
@click.option(
    "--fits",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Of every LMRec, each with the next seed.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting of every LMRec, such as num_steps=500, or of one row, such as "
    "lmrec-lm.learning_rate=0.002. Repeatable.",
)
@click.option("--name", default="lmrec-study", show_default=True, help="Name of the report.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def study(
    study: str,
    logs: str,
    target: str | None,
    split: str,
    share: float,
    ratios: str,
    seed: int,
    fits: int,
    overrides: Sequence[str],
    name: str,
    as_json: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Compare variants of a method under one budget.

    lmrec: recommendation with and without language modelling, jointly or one after the other, and with other
    services' text mixed in (arXiv 2212.03760). Finished fits are kept, so stop it whenever you like and run
    the same command again.

    Example: malmoi users study lmrec --logs demo --set size=1.7M --set num_steps=500
    """
    from malmoi.cli.live import open_progress
    from malmoi.core.store import Store
    from malmoi.users.opening import find_logs
    from malmoi.users.studies.keeping import keep_study
    from malmoi.users.studies.page import render_table

    store = Store(home / "store")
    found = find_logs(store, logs)
    with open_progress(quiet) as progress:
        path, report = keep_study(
            {"split": split, "share": share, "target": target, "seed": seed, "fits": fits},
            found, store=store, ratios=ratios, overrides=overrides, name=name, home=home, progress=progress,
        )  # fmt: skip
    shown = json.dumps(report, ensure_ascii=False, indent=2) if as_json else render_table(report)
    click.echo(shown if as_json else f"{shown}\n\nkept: {path}")
