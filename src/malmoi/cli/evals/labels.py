"""`malmoi evals labels`: do the labels of the demonstrations in a prompt matter to a model?"""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from malmoi.cli.options import home_option
from malmoi.core.errors import InvalidInput

if TYPE_CHECKING:
    from malmoi.core.stage import Progress
    from malmoi.evals.icl.datasets import LabelSet
    from malmoi.evals.icl.study import Choices, LabelStudy
    from malmoi.evals.icl.summary import LabelReport

_EVERYTHING = 0


@click.command()
@click.option(
    "--model", required=True, metavar="NAME", help="A model of `malmoi models`, or path:FILE, run:ID."
)
@click.option(
    "--data",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with the files of the datasets.",
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="NAME",
    help="Dataset, or FAMILY/TASK of any choice task. Repeatable.  [default: nsmc, sentineg, klue-nli, copa]",
)
@click.option("--shots", default="4,8,16", show_default=True, metavar="4,8,16", help="Demonstrations.")
@click.option(
    "--correct", default="0,25,50,75,100", show_default=True, metavar="0,...", help="Percent of right labels."
)
@click.option(
    "--seeds", default=5, show_default=True, type=click.IntRange(1), help="Draws of demonstrations."
)
@click.option(
    "--method",
    "methods",
    default="direct,channel",
    show_default=True,
    metavar="direct,channel",
    help="P(label | text) or P(text | label).",
)
@click.option(
    "--calibrate/--no-calibrate",
    default=True,
    help="Measure with contextual calibration too.  [default: yes]",
)
@click.option("--balanced", is_flag=True, help="As many demonstrations of each label as the number allows.")
@click.option(
    "--template", type=click.Choice(["verbose", "minimal"]), default="verbose", show_default=True,
    help="Templates with or without words around text and label.",
)  # fmt: skip
@click.option(
    "--labels", type=click.Choice(["words", "letters"]), default="words", show_default=True,
    help="Name labels by words or by A, B, C, which mean nothing of their own.",
)  # fmt: skip
@click.option(
    "--limit", default=200, show_default=True, type=click.IntRange(0), help="Items of each dataset; 0: all."
)
@click.option("--threads", type=click.IntRange(1), help="Threads to compute with.  [default: all cores]")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--list", "list_sets", is_flag=True, is_eager=True, expose_value=False,
              callback=lambda context, _option, value: _list_sets(context) if value else None,
              help="List the datasets, and end.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def labels(
    model: str,
    data: Path,
    tasks: Sequence[str],
    shots: str,
    correct: str,
    seeds: int,
    methods: str,
    calibrate: bool,
    balanced: bool,
    template: Literal["verbose", "minimal"],
    labels: Literal["words", "letters"],
    limit: int,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Find out whether a model reads the labels of its demonstrations ("Ground-Truth Labels Matter").

    Of the demonstrations in the prompt some keep their right label, the others get a wrong one; the slope of
    the score over their share is the sensitivity. GLER compares right, random and no demonstrations.
    Stop it whenever you like: what was answered is not asked again.

    Example: malmoi evals labels --model small --data data --task nsmc --shots 8 --seeds 3 --limit 50
    """
    from malmoi.cli.live import open_progress
    from malmoi.cli.run import checked_data
    from malmoi.core.store import Store
    from malmoi.evals.icl.datasets import USUAL
    from malmoi.evals.icl.page import render_table, save_labels
    from malmoi.evals.icl.study import LabelStudy

    folder = checked_data(data)
    assert folder is not None, "the option is required"
    chosen = _words(methods)
    for method in chosen:
        if method not in ("direct", "channel"):
            raise InvalidInput(
                f"--method: there is no method {method!r}.", field="method", fix="Methods: direct, channel."
            )
    study = LabelStudy(
        datasets=tuple(dict.fromkeys(tasks or USUAL)),
        shots=_numbers("shots", shots, 1, 256),
        correct=_numbers("correct", correct, 0, 100),
        seeds=tuple(range(1, seeds + 1)),
        methods=chosen,
        calibrate=calibrate,
        balanced=balanced,
        wording=template,
        labels=labels,
        limit=limit if limit != _EVERYTHING else None,
    )
    with open_progress(quiet=quiet) as progress:
        sets = _open_sets(study, folder, progress)
        report, choices = asyncio.run(_run(study, sets, model, home, threads, progress))
    slug = re.sub(r"[^a-z0-9.]+", "-", model.lower()).strip("-.") or "model"
    saved = save_labels(Store(home / "store"), f"labels-{slug}"[-80:].lstrip("-."), report, sets, choices)
    if as_json:
        click.echo(report.model_dump_json(indent=1))
        return
    click.echo(render_table(report))
    for reason in report.skipped:
        click.echo(f"left out: {reason}")
    click.echo(f"look: {saved.path / 'about' / 'labels.html'}")


async def _run(
    study: "LabelStudy",
    sets: "Sequence[LabelSet]",
    model: str,
    home: Path,
    threads: int | None,
    progress: "Progress",
) -> "tuple[LabelReport, list[Choices]]":
    import platform
    import time
    from datetime import UTC, datetime

    from malmoi import __version__
    from malmoi.engine.open import open_engine
    from malmoi.engine.options import EngineOptions
    from malmoi.evals.harness.identity import identify
    from malmoi.evals.harness.ledger import Ledger
    from malmoi.evals.icl.ledger import ScoreLedger
    from malmoi.evals.icl.study import run_labels
    from malmoi.evals.icl.summary import LabelReport, build_rows, describe

    identity = identify(model, home=home)
    file = home / "evals" / "labels" / f"{identity.key[:16]}.jsonl"
    ledger = ScoreLedger(Ledger(file), model=identity.key)
    started, began = datetime.now(UTC), time.monotonic()
    # Scores must be exact, which those of a server for chat are not.
    engine = await open_engine(model, home=home, options=EngineOptions(torch=True, threads=threads))
    try:
        choices, skipped = await run_labels(study, sets, engine, ledger, progress)
    finally:
        await engine.close()
    with progress.task("Resample", unit="rows"):
        rows = build_rows(study, sets, choices)
    report = LabelReport(
        model=model,
        model_sha256=identity.sha256,
        study=study,
        started_at=started.isoformat(timespec="seconds"),
        seconds=time.monotonic() - began,
        requests=ledger.asked,
        resamples=1000,
        versions={"malmoi": __version__, "python": platform.python_version()},
        sets=tuple(describe(label_set) for label_set in sets),
        rows=tuple(rows),
        skipped=tuple(f"{lost.dataset}, {lost.shots} demonstrations: {lost.reason}" for lost in skipped),
    )
    return report, choices


def _open_sets(study: "LabelStudy", data: Path, progress: "Progress") -> "list[LabelSet]":
    """The datasets whose files are there; the others are named.

    Raises:
        NotFound: none is there.
    """
    from malmoi.core.errors import NotFound
    from malmoi.evals.icl.datasets import open_set

    sets, missing = [], None
    with progress.task("Read the datasets", total=len(study.datasets), unit="datasets") as bar:
        for name in study.datasets:
            try:
                sets.append(
                    open_set(name, data, wording=study.wording, labels=study.labels, limit=study.limit)
                )
            except NotFound as error:
                missing = missing or error
                progress.note(f"{name} is left out: {error}")
            bar.advance()
    if not sets and missing is not None:
        raise missing
    return sets


def _list_sets(context: click.Context) -> None:
    from malmoi.core.config import read_toml
    from malmoi.evals.icl.datasets import known_sets

    for name, path in known_sets().items():
        click.echo(f"{name:<12} {read_toml(path)['table']['title']}")
    context.exit()


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _numbers(option: str, text: str, low: int, high: int) -> tuple[int, ...]:
    parts = _words(text)
    if not parts or not all(part.isdecimal() and low <= int(part) <= high for part in parts):
        raise InvalidInput(
            f"--{option} {text!r} is not a list of whole numbers from {low} to {high}.",
            field=option,
            fix="Write it as 4,8,16.",
        )
    return tuple(sorted({int(part) for part in parts}))
