"""`malmoi documents evaluate`."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import config_options, home_option, read_settings

if TYPE_CHECKING:
    from malmoi.core.stage import Progress
    from malmoi.serve.documents.evaluation.questions import Question
    from malmoi.serve.documents.evaluation.run import Row
    from malmoi.serve.settings import ServeSettings


@click.command()
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the documents: files, or folders with docs_ko.jsonl.gz or pairs.jsonl.gz.",
)
@click.option(
    "--questions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of questions, a JSON object a line.  [default: those of the package]",
)
@click.option(
    "--split",
    type=click.Choice(["dev", "test", "all"]),
    default="dev",
    show_default=True,
    help="Which questions: ways are chosen on dev, and reported on test.",
)
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to keep the indexes in, for the next time.  [default: a temporary one]",
)
@click.option("--plain/--no-plain", default=True, help="Whether the plain way is compared as well.")
@click.option("--json", "as_json", is_flag=True, help="Print figures as JSON lines.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
@config_options
def evaluate(
    data: Path,
    questions: Path | None,
    split: str,
    work: Path | None,
    plain: bool,
    as_json: bool,
    quiet: bool,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Measure how well questions find their answers.

    Terms alone, vectors alone, both, and the plain way (pieces of 1,000 characters, vectors alone) are
    compared by recall@5 and nDCG@10, with 95 % intervals.
    """
    from malmoi.cli.live import open_progress
    from malmoi.serve.documents.evaluation.questions import load_questions

    settings = read_settings(home, config_file, overrides)
    chosen = [one for one in load_questions(questions) if split in ("all", one.split)]
    with ExitStack() as stack:
        folder = work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        progress = stack.enter_context(open_progress(quiet))
        rows = asyncio.run(_evaluate(settings, data, chosen, folder, plain, progress))
    for row in rows:
        if as_json:
            click.echo(json.dumps(asdict(row), ensure_ascii=False))
    if not as_json:
        click.echo(f"{'':<16}{'questions':<14}{'recall@5':<24}nDCG@10")
        for row in rows:
            count = f"{row.questions} {row.language}"
            click.echo(f"{row.way:<16}{count:<14}{row.recall!s:<24}{row.ndcg}")


async def _evaluate(
    settings: "ServeSettings",
    data: Path,
    questions: "Sequence[Question]",
    folder: Path,
    plain: bool,
    progress: "Progress",
) -> "list[Row]":
    from malmoi.engine.catalog import Catalog
    from malmoi.serve.documents.evaluation.corpus import read_corpus
    from malmoi.serve.documents.evaluation.index import open_index
    from malmoi.serve.documents.evaluation.run import evaluate as judge
    from malmoi.serve.documents.evaluation.run import locate
    from malmoi.serve.documents.finding import Manner
    from malmoi.serve.engines import EnginePool

    corpus = list(read_corpus(data))
    pool = EnginePool(home=settings.home, settings=settings.models, catalog=Catalog(settings.home))
    try:
        async with open_index(folder / "ours", settings, pool) as ours:
            with progress.task("Index", total=len(corpus), unit="documents") as task:
                await ours.fill(corpus, task.advance)
            ways = [
                await ours.way("terms", Manner(orders=("terms",), merge=False)),
                await ours.way("vectors", Manner(orders=("vectors",), merge=False)),
                await ours.way("both", Manner(merge=False)),
            ]
            spans = locate(questions, await ours.texts())
            asked = sum(one.is_answerable for one in questions)
            if not plain:
                with progress.task("Ask", total=len(ways) * asked, unit="questions") as task:
                    return await judge(ways, questions, spans, on_done=task.advance)
            async with open_index(folder / "plain", settings, pool, plain_of=ours) as other:
                with progress.task("Index the plain way", total=len(corpus), unit="documents") as task:
                    await other.fill(corpus, task.advance)
                ways.append(await other.way("plain", Manner(orders=("vectors",), merge=False)))
                with progress.task("Ask", total=len(ways) * asked, unit="questions") as task:
                    return await judge(ways, questions, spans, on_done=task.advance)
    finally:
        await pool.close()
