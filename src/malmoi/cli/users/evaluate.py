"""`malmoi users eval`: how good models are, side by side, on events that they have not seen."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from malmoi.cli.options import home_option
from malmoi.cli.users.splitting import split_options, split_table


def counted(cases: int) -> str:
    """1 case, 1,200 cases."""
    return f"{cases:,} case{'' if cases == 1 else 's'}"


@click.command("eval")
@click.argument("models", nargs=-1)
@click.option("--logs", required=True, metavar="NAME", help="Logs to ask about: a name or an id.")
@split_options
@click.option(
    "--on",
    type=click.Choice(["train", "known"]),
    default="train",
    show_default=True,
    help="What the baselines learn; as in `malmoi users fit`.",
)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="KIND",
    help="Kinds to fit and report beside the models. Repeatable.  "
    "[default: popularity, item-knn, markov-knn]",
)
@click.option("--k", type=click.IntRange(1), default=10, show_default=True, help="Of HR@k and NDCG@k.")
@click.option(
    "--few",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Histories of at most so many events are also reported apart.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the intervals.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def evaluate(
    models: Sequence[str],
    logs: str,
    split: str,
    share: float,
    split_seed: int,
    time: int | None,
    on: str,
    baselines: Sequence[str],
    k: int,
    few: int,
    seed: int,
    as_json: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Rank all items for held-out events by MODELS and by baselines; intervals by bootstrap over users.

    \b
    malmoi users eval demo-sasrec demo-ease --logs demo
    malmoi users eval --logs beauty --on known --baseline markov-knn

    The ranking is full: against every item but those of the history, ties in the middle.
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from malmoi.cli.evals.tables import table
    from malmoi.cli.users.artifacts import build_recipe, run_recipe, short_name
    from malmoi.core.errors import InvalidInput, UnknownName
    from malmoi.core.store import Store
    from malmoi.users.base import build_user_models
    from malmoi.users.opening import find_logs, find_model
    from malmoi.users.report.figures import Results
    from malmoi.users.report.stage import MOST_MODELS, RANKING

    if len(models) > MOST_MODELS:
        raise InvalidInput(f"{len(models)} models are given.", fix=f"Compare up to {MOST_MODELS} at once.")
    kinds = build_user_models()
    for kind in baselines:
        if kind not in kinds:
            raise UnknownName("kind of user model", kind, kinds.names())
    found = find_logs(Store(home / "store"), logs)
    inputs = {"logs": found.id}
    for number, name in enumerate(models, 1):
        inputs["model" if number == 1 else f"model-{number}"] = find_model(home, name).id
    stage = {
        "use": "users-eval",
        "split": split_table(split, share, split_seed, time),
        "on": on,
        "k": k,
        "few": few,
        "inputs": inputs,
        **({"baselines": list(baselines)} if baselines else {}),
    }
    made = run_recipe(build_recipe(short_name(found), "eval", stage, seed=seed), home, quiet=quiet)
    text = (made.path / RANKING).read_text(encoding="utf-8")
    if as_json:
        click.echo(json.dumps({"artifact": made.id, **json.loads(text)}, ensure_ascii=False))
        return
    results = Results.model_validate_json(text)
    for note in results.notes:
        click.echo(f"note: {note}")
    for group in results.models[0].groups if results.models else ():
        click.echo(f"{group}: {counted(results.models[0].groups[group].cases)}")
        rows = [("model", f"HR@{k}", f"NDCG@{k}", "95 % interval", "MRR")]
        for model in results.models:
            one = model.groups[group]
            rows.append(
                (
                    model.name,
                    f"{one.hit_rate.value:.4f}",
                    f"{one.ndcg.value:.4f}",
                    f"{one.ndcg.low:.4f} to {one.ndcg.high:.4f}",
                    f"{one.mrr.value:.4f}",
                )
            )
        for line in table(rows, right={1, 2, 4}):
            click.echo("  " + line)
    own = {model.name for model in results.models if model.artifact is not None}
    for pair in results.comparisons:
        if own & {pair.a, pair.b}:
            click.echo(
                f"{pair.a} - {pair.b}: NDCG@{k} {pair.difference:+.4f} "
                f"({pair.low:+.4f} to {pair.high:+.4f}): {pair.verdict}"
            )
    click.echo(f"look: {made.path / 'about' / 'report.html'}")
