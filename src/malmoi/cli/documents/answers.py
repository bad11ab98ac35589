"""`malmoi documents answers`."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.documents.evaluating import indexed
from malmoi.cli.options import config_options, home_option, read_settings

if TYPE_CHECKING:
    from malmoi.core.stage import Progress
    from malmoi.serve.documents.evaluation.answering import Citations, JudgedAnswer, Refusals
    from malmoi.serve.documents.evaluation.questions import Question
    from malmoi.serve.settings import ServeSettings


@click.command()
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Documents, as for `malmoi documents evaluate`; may be given several times.",
)
@click.option(
    "--split",
    type=click.Choice(["dev", "test", "all"]),
    default="dev",
    show_default=True,
    help="Which questions: thresholds are chosen on dev, and reported on test.",
)
@click.option(
    "--judged",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Answers that somebody has read, a JSON object a line.  [default: those of the package]",
)
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that the index is kept in.  [default: evaluation in the home]",
)
@click.option("--json", "as_json", is_flag=True, help="Print figures as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
@config_options
def answers(
    data: Sequence[Path],
    split: str,
    judged: Path | None,
    work: Path | None,
    as_json: bool,
    quiet: bool,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Measure refusals and citations, without a model.

    Told are the questions that are refused before any model is asked, of those that the documents answer and
    of those that they do not; and, for answers of a model that were read by a person, how many of the
    citations that the code gives today were found to hold what they stand for.
    """
    from malmoi.cli.live import open_progress
    from malmoi.serve.documents.evaluation.answering import load_judged
    from malmoi.serve.documents.evaluation.questions import SETS, UNANSWERABLE, load_questions

    settings = read_settings(home, config_file, overrides)
    questions = [
        one for name in (*SETS, UNANSWERABLE) for one in load_questions(name) if split in ("all", one.split)
    ]
    asked = {one.id for one in questions}
    read = [one for one in load_judged(judged) if one.id in asked]
    with open_progress(quiet) as progress:
        refused, cited = asyncio.run(
            _measure(settings, data, questions, read, work or home / "evaluation", progress)
        )
    if as_json:
        click.echo(json.dumps({"refusals": asdict(refused), "citations": asdict(cited)}))
        return
    click.echo(f"no answer in the documents, refused before a model: {refused.refused}")
    click.echo(f"  the same where their sentences would be the answer: {refused.unsure}")
    click.echo(f"with an answer, refused before a model: {refused.lost}")
    click.echo(f"  the same where their sentences would be the answer: {refused.lost_unsure}")
    click.echo(f"citations that hold what they stand for: {cited.good}; not read: {cited.unread}")
    click.echo(f"sentences with a citation: {cited.supported}")


async def _measure(
    settings: "ServeSettings",
    data: Sequence[Path],
    questions: "Sequence[Question]",
    read: "Sequence[JudgedAnswer]",
    folder: Path,
    progress: "Progress",
) -> "tuple[Refusals, Citations]":
    from malmoi.assist.retrieval.answer import Grounding
    from malmoi.serve.documents.answering import ground_question
    from malmoi.serve.documents.evaluation.answering import citations, refusals

    async with indexed(settings, data, folder, progress) as (ours, *_):

        async def ground(question: str) -> Grounding:
            return await ground_question(ours.documents, ours.principal, question)

        with progress.task("Ask", total=len(questions) + len(read), unit="questions") as task:
            refused = await refusals(questions, ground, on_done=task.advance)
            return refused, await citations(read, ground, on_done=task.advance)
