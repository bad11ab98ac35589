"""`malmoi evals run`: judge a model on a suite."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.option(
    "--model",
    required=True,
    metavar="NAME",
    help="Model: an installed one, path:FILE, run:ID, http://HOST/v1#NAME.",
)
@click.option(
    "--suite", metavar="NAME", help="Suite of tasks, or a TOML file. `malmoi evals suites` lists them."
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="NAME",
    help="A task or pattern such as kobest/*; lm-eval:NAME is one of lm-eval's own. Repeatable.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the tasks' files.  [default: HOME/data]",
)
@click.option(
    "--protocol",
    type=click.Choice(["field", "report", "cloze"]),
    default="field",
    show_default=True,
    help="As the field asks, as the technical report does (letters), or by the texts of choices.",
)
@click.option(
    "--shots",
    type=click.IntRange(0, 100),
    help="Solved examples before each question, instead of each task's own.",
)
@click.option("--limit", type=click.IntRange(1), help="Only the first items of each task.")
@click.option("--split", metavar="NAME", help="Split to score, instead of each task's own.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of solved examples, orders and samples."
)
@click.option(
    "--chat", is_flag=True, help="Ask in a conversation, by the model's chat template; choices by letters."
)
@click.option("--judge", metavar="MODEL", help="Also judge conversations (MT-Bench) with this model.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "torch", "llamacpp"]),
    default="auto",
    show_default=True,
    help="auto: torch where texts are scored, llama.cpp where answers are written.",
)
@click.option("--threads", type=click.IntRange(1), help="Threads to compute with.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked and what is missing, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def run(
    model: str,
    suite: str | None,
    tasks: Sequence[str],
    data: Path | None,
    protocol: str,
    shots: int | None,
    limit: int | None,
    split: str | None,
    seed: int,
    chat: bool,
    judge: str | None,
    engine: str,
    threads: int | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Judge a model: benchmarks with intervals, every answer kept.

    \b
    malmoi evals run --model small --suite korean --data DATA --limit 100

    What is not on disk is listed with where to fetch it, and the rest goes on. Stop it whenever you like: the
    same command goes on from there, and nothing is asked twice.
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from malmoi.cli.evals.answers import print_plan, print_result
    from malmoi.cli.live import open_progress
    from malmoi.cli.run import checked_data
    from malmoi.engine.options import EngineOptions
    from malmoi.evals.harness.engines import SLOTS, ModelEngines
    from malmoi.evals.harness.identity import identify
    from malmoi.evals.harness.ledger import Ledger
    from malmoi.evals.harness.plan import Asked, make_plan
    from malmoi.evals.harness.run import ledger_path, run_plan, save_report

    asked = Asked(
        data=checked_data(data) or home / "data",
        suite=suite or "",
        tasks=tuple(tasks),
        protocol=protocol,  # type: ignore[arg-type]
        shots=shots,
        limit=limit,
        split=split,
        seed=seed,
        chat=chat,
        judge=judge,
    )
    plan = make_plan(asked)
    if dry_run:
        print_plan(plan)
        return
    for skipped in plan.skipped:
        click.echo(f"skipped {skipped.sentence()}", err=True)
    if not plan.tasks and not plan.stock and judge is None:
        click.echo("Nothing can be run: the files of these tasks are not on disk.", err=True)
        raise click.exceptions.Exit(1)
    identity = identify(model, home=home)
    ledger = Ledger(ledger_path(home, identity))
    with asyncio.Runner() as runner:
        options = EngineOptions(slots=SLOTS, threads=threads)
        engines = ModelEngines(model, home=home, runner=runner, backend=engine, options=options)  # type: ignore[arg-type]
        try:
            with open_progress(quiet=quiet) as progress:
                outcome = run_plan(
                    plan, asked, engines, identity, ledger=ledger, home=home, progress=progress
                )
        except (KeyboardInterrupt, asyncio.CancelledError):
            click.echo(
                f"Stopped. {ledger.added} answers of this run are kept; the same command goes on from here.",
                err=True,
            )
            raise click.exceptions.Exit(130) from None
        finally:
            engines.close()
    if not outcome.result.tasks:
        for skipped in outcome.result.skipped[len(plan.skipped) :]:
            click.echo(f"skipped {skipped.sentence()}", err=True)
        click.echo("Nothing could be run, so there is no report.", err=True)
        raise click.exceptions.Exit(1)
    report = save_report(outcome, home=home, model=identity)
    if as_json:
        shown = {"report": report.id, **json.loads(outcome.result.model_dump_json())}
        click.echo(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    print_result(outcome.result, plan)
    if ledger.found:
        click.echo(f"{ledger.found} answers were known from before, {ledger.added} are new.")
    click.echo(f"report {report.id}")
    click.echo(f"look: {report.path / 'about' / 'report.html'}")
