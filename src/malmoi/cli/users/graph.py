"""`malmoi users graph`: classify the nodes of a graph with several seeds, and study how deep to propagate."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from malmoi.cli.options import home_option

if TYPE_CHECKING:
    from malmoi.users.graphs.kinds import NodeSettings
    from malmoi.users.graphs.runs import SeedRuns


@click.command()
@click.argument("model", metavar="gsm|gesm|propagate")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="The graph: an .npz file, a folder of CSV files, or a Planetoid folder.",
)
@click.option("--seeds", default="10", show_default=True, help="How many, or a list such as 3,5,8.")
@click.option(
    "--hops", type=click.Choice(["fixed", "sampled"]), help="Draw the depth at each step of training?"
)
@click.option("--depth", type=click.IntRange(1, 1000), help="Steps of the walk, K.")
@click.option("--depths", metavar="2,8,32", help="Study: each depth with fixed and with sampled hops.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting of the model. Repeatable.",
)
@click.option("--name", help="Name of the artifact.  [default: the model's]")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def graph(
    model: str,
    data: Path,
    seeds: str,
    hops: str | None,
    depth: int | None,
    depths: str | None,
    overrides: Sequence[str],
    name: str | None,
    as_json: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Classify the nodes of a graph.

    gsm and gesm mix walks of many lengths, gesm with attention (arXiv 2005.08485); propagate spreads a
    linear network's scores K steps, as SGC does. Every finished seed is kept, so stop it whenever you like
    and run the same command again. Weights, predictions and figures go into the store.

    Example: malmoi users graph gesm --data cora.npz --seeds 10
    """
    from malmoi.cli.live import open_progress
    from malmoi.core.errors import InvalidInput
    from malmoi.core.store import Store
    from malmoi.users.graphs.files import read_graph
    from malmoi.users.graphs.hop_study import render_hops, run_hop_study
    from malmoi.users.graphs.runs import run_seeds, save_runs

    build = _builder(model, overrides)
    chosen = parse_seeds(seeds)
    if depths is not None and (hops is not None or depth is not None):
        raise InvalidInput("--depths tries all hops and depths itself.", fix="Leave --hops and --depth out.")
    found, store = read_graph(data), Store(home / "store")
    about = f"{len(found)} nodes, {found.edges.shape[1] // 2} edges, {found.num_classes} classes"
    with open_progress(quiet) as progress:
        progress.note(f"{data.name}: {about}; {len(found.train)} nodes to learn from.")
        if depths is not None:
            rows = run_hop_study(
                model, build, found, depths=_numbers(depths, "--depths"), seeds=chosen, store=store,
                progress=progress,
            )  # fmt: skip
            report: dict[str, Any] = {"model": model, "graph": data.name}
            report["study"] = [row.to_json() for row in rows]
            place = _save_report(store, name or f"{model}-hops", report)
            shown = render_hops(rows)
        else:
            changed = {key: value for key, value in (("hops", hops), ("depth", depth)) if value is not None}
            runs = run_seeds(model, build(changed), found, seeds=chosen, store=store, progress=progress)
            artifact = save_runs(store, runs, found, name=name or model, source=data.name)
            place, shown = artifact.path, render_seeds(runs)
            report = {"model": model, "graph": data.name, "artifact": artifact.id}
            report |= {"test_accuracy": runs.mean, "sd": runs.spread, "settings": runs.settings.model_dump()}
            report |= {"seeds": [outcome.model_dump() for outcome in runs.outcomes]}
    click.echo(json.dumps(report, ensure_ascii=False, indent=2) if as_json else f"{shown}\n\nkept: {place}")


def render_seeds(runs: "SeedRuns") -> str:
    """A table of the seeds, their mean and their spread."""
    lines = [
        f"{'seed':>6}  {'test %':>7}  {'validation %':>12}  {'best epoch':>10}  {'epochs':>6}  {'cpu s':>7}"
    ]
    lines.extend(
        f"{o.seed:>6}  {100 * o.test_accuracy:>7.1f}  {100 * o.validation_accuracy:>12.1f}  "
        f"{o.best_epoch:>10}  {o.epochs:>6}  {o.cpu_seconds:>7.1f}"
        for o in runs.outcomes
    )
    count = len(runs.outcomes)
    over = f"+- {runs.spread:.2f} % over {count} seeds" if count > 1 else "%, one seed"
    lines.append(f"{runs.kind}: test accuracy {runs.mean:.2f} {over}")
    return "\n".join(lines)


def parse_seeds(text: str) -> tuple[int, ...]:
    """`10` is the seeds 0 to 9, `3,5` are these two.

    Raises:
        InvalidInput: neither.
    """
    from malmoi.core.errors import InvalidInput

    found = _numbers(text, "--seeds")
    if "," in text:
        return found
    if not 1 <= found[0] <= 1000:
        raise InvalidInput(
            f"--seeds {text} is no number of seeds.", fix="Give 1 to 1000, or a list such as 3,5."
        )
    return tuple(range(found[0]))


def _numbers(text: str, option: str) -> tuple[int, ...]:
    from malmoi.core.errors import InvalidInput

    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and int(part) < 2**31 for part in parts):
        raise InvalidInput(f"{option} {text!r} is no list of whole numbers.", fix="Write it as 1,2,3.")
    return tuple(dict.fromkeys(int(part) for part in parts))


def _builder(model: str, overrides: Sequence[str]) -> "Callable[[Mapping[str, Any]], NodeSettings]":
    """Settings of the model with `--set`, and with further changes."""
    from malmoi.core.config import load_config
    from malmoi.users.graphs.kinds import build_node_models

    settings_type = build_node_models().get(model).settings_type
    base = load_config(settings_type, overrides=overrides)
    # Only what was said: a study asks which settings a person has left open.
    said = base.model_dump(exclude_unset=True)
    return lambda changed: settings_type.model_validate(said | dict(changed))


def _save_report(store: Any, name: str, report: Mapping[str, Any]) -> Path:
    from malmoi.core.files import write_json

    with store.new_artifact("report", name, metadata={"model": report["model"]}) as folder:
        write_json(folder / "hops.json", report)
    path: Path = store.artifacts("report")[-1].path
    return path
