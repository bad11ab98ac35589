"""`malmoi documents evaluate`."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
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
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A document, or a folder of files or of folders with docs_ko.jsonl.gz or pairs.jsonl.gz; "
    "may be given several times.",
)
@click.option(
    "--questions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of questions, a JSON object a line.  [default: the two sets of the package]",
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
    help="Folder that the indexes are kept in, for the next time.  [default: evaluation in the home]",
)
@click.option(
    "--plain/--no-plain",
    default=False,
    help="Compare the plain way as well; its own index takes as long as the first.  [default: no]",
)
@click.option("--json", "as_json", is_flag=True, help="Print figures as JSON lines.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
@config_options
def evaluate(
    data: Sequence[Path],
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

    Terms alone, vectors alone, both fused, both put into order (as searches do), and the plain way (pieces
    of 1,000 characters, vectors alone) are compared by recall@5 and nDCG@10 of passages and by recall@5 of
    documents, with 95 % intervals.
    """
    from malmoi.cli.live import open_progress
    from malmoi.serve.documents.evaluation.questions import SETS, load_questions

    settings = read_settings(home, config_file, overrides)
    sets = {
        str(name): [one for one in load_questions(name) if split in ("all", one.split)]
        for name in ([questions] if questions else SETS)
    }
    with open_progress(quiet) as progress:
        found = asyncio.run(_evaluate(settings, data, sets, work or home / "evaluation", plain, progress))
    for name, rows in found.items():
        if as_json:
            for row in rows:
                click.echo(json.dumps({"questions": name, **asdict(row)}, ensure_ascii=False))
            continue
        click.echo(f"{name}\n{'':<16}{'questions':<12}{'recall@5':<24}{'nDCG@10':<24}recall@5 of documents")
        for row in rows:
            count = f"{row.questions} {row.language}"
            click.echo(f"{row.way:<16}{count:<12}{row.recall!s:<24}{row.ndcg!s:<24}{row.pages}")


async def _evaluate(
    settings: "ServeSettings",
    data: Sequence[Path],
    sets: "Mapping[str, Sequence[Question]]",
    folder: Path,
    plain: bool,
    progress: "Progress",
) -> "dict[str, list[Row]]":
    from malmoi.engine.catalog import Catalog
    from malmoi.serve.documents.evaluation.corpus import read_corpus
    from malmoi.serve.documents.evaluation.index import open_index
    from malmoi.serve.documents.evaluation.run import evaluate as judge
    from malmoi.serve.documents.evaluation.run import locate
    from malmoi.serve.documents.finding import Manner
    from malmoi.serve.engines import EnginePool

    corpus = [one for path in data for one in read_corpus(path)]
    pool = EnginePool(home=settings.home, settings=settings.models, catalog=Catalog(settings.home))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(pool.close)
        ours = await stack.enter_async_context(open_index(folder / "ours", settings, pool))
        with progress.task("Index", total=len(corpus), unit="documents") as task:
            await ours.fill(corpus, task.advance)
        ways = [
            await ours.way("terms", Manner(orders=("terms",), merge=False, reorder=False)),
            await ours.way("vectors", Manner(orders=("vectors",), merge=False, reorder=False)),
            await ours.way("fused", Manner(merge=False, reorder=False)),
            await ours.way("in order", Manner(merge=False)),
        ]
        if plain:
            other = await stack.enter_async_context(
                open_index(folder / "plain", settings, pool, plain_of=ours)
            )
            with progress.task("Index the plain way", total=len(corpus), unit="documents") as task:
                await other.fill(corpus, task.advance)
            ways.append(await other.way("plain", Manner(orders=("vectors",), merge=False, reorder=False)))
        texts = await ours.texts()
        asked = sum(one.is_answerable for questions in sets.values() for one in questions)
        with progress.task("Ask", total=len(ways) * asked, unit="questions") as task:
            return {
                name: await judge(ways, questions, locate(questions, texts), on_done=task.advance)
                for name, questions in sets.items()
            }
