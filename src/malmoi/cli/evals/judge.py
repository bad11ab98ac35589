"""`malmoi evals judge`: let a model judge conversations, one model's or two models' against each other."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.argument("questions", type=click.Path(exists=True, path_type=Path))
@click.option("--model", required=True, metavar="NAME", help="Model that answers.")
@click.option("--judge", "judge_name", required=True, metavar="NAME", help="Model that judges.")
@click.option("--against", metavar="NAME", help="Compare with this model's answers, in both orders.")
@click.option(
    "--language",
    type=click.Choice(["ko", "en"]),
    help="Of the judge's prompts.  [default: that of most questions]",
)
@click.option("--limit", type=click.IntRange(1), help="Only the first questions.")
@click.option(
    "--max-tokens",
    type=click.IntRange(16),
    default=1024,
    show_default=True,
    help="Of an answer, a judgement.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of sampled answers.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def judge(
    questions: Path,
    model: str,
    judge_name: str,
    against: str | None,
    language: str | None,
    limit: int | None,
    max_tokens: int,
    seed: int,
    as_json: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Let a model judge conversations about QUESTIONS.

    \b
    malmoi evals judge mt_bench/question.jsonl --model small --judge standard
    malmoi evals judge questions.jsonl --model small --against standard --judge http://host/v1#big

    QUESTIONS is a file in MT-Bench's layout (a line: question_id, category, turns), or a folder with
    question.jsonl. Without --against every answer is scored from 1 to 10. Stop it whenever you like: the same
    command goes on from there.
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from collections import Counter
    from datetime import UTC, datetime

    from malmoi.cli.live import open_progress
    from malmoi.engine.options import EngineOptions
    from malmoi.evals.harness.engines import SLOTS, ModelEngines
    from malmoi.evals.harness.identity import identify
    from malmoi.evals.harness.judged import judge_questions
    from malmoi.evals.harness.ledger import Ledger
    from malmoi.evals.harness.quiet import versions
    from malmoi.evals.harness.run import Outcome, ledger_path, save_report
    from malmoi.evals.judge import read_questions, summarise_pairs, summarise_scores
    from malmoi.evals.results import EvalResult

    asked = read_questions(questions)[:limit]
    if language is None:
        told = Counter(question.language for question in asked)
        language = "en" if told["en"] > told["ko"] else "ko"
    path = questions.resolve()  # so that a question.jsonl in the present folder has a folder's name
    name = path.parent.name if path.name == "question.jsonl" else path.stem
    identity = identify(model, home=home)
    ledger = Ledger(ledger_path(home, identity))
    started = datetime.now(UTC)
    with asyncio.Runner() as runner:
        engines = ModelEngines(model, home=home, runner=runner, options=EngineOptions(slots=SLOTS))
        try:
            with open_progress(quiet=quiet) as progress:
                result, items = judge_questions(
                    asked,
                    name=name,
                    language=language,  # type: ignore[arg-type]  # click checks the choice
                    judge=judge_name,
                    engines=engines,
                    model=identity,
                    ledger=ledger,
                    home=home,
                    progress=progress,
                    against=against,
                    seed=seed,
                    max_tokens=max_tokens,
                )
        except (KeyboardInterrupt, asyncio.CancelledError):
            click.echo(f"Stopped. {ledger.added} answers are kept; the same command goes on.", err=True)
            raise click.exceptions.Exit(130) from None
        finally:
            engines.close()
    outcome = Outcome(
        EvalResult(
            model=model,
            model_sha256=identity.sha256,
            suite=f"judged-{name}",
            protocol=f"against {against}" if against else "scores",
            seed=seed,
            started_at=started.isoformat(timespec="seconds"),
            seconds=round((datetime.now(UTC) - started).total_seconds(), 3),
            versions=versions(),
            tasks=(result,),
        ),
        items,
    )
    report = save_report(outcome, home=home, model=identity)
    figures = asdict(summarise_pairs(items) if against else summarise_scores(items))
    if as_json:
        click.echo(json.dumps({"report": report.id, **figures}, ensure_ascii=False, indent=2))
        return
    (mean,) = result.metrics
    for key, value in figures.items():
        click.echo(f"{key.replace('_', ' '):<18} {_shown(value)}")
    if mean.low is not None and mean.high is not None:
        what = "share of the first model" if against else "score / 10"
        click.echo(
            f"{what}: {mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f}), unreadable counted as lost"
        )
    click.echo(f"report {report.id}")
    click.echo(f"look: {report.path / 'about' / 'report.html'}")


def _shown(value: object) -> str:
    """A figure, or several with the turn or category that each is of."""
    if isinstance(value, dict):
        return ", ".join(f"{key or 'none'}: {_shown(one)}" for key, one in value.items()) or "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return "-" if value is None else str(value)
