"""`malmoi documents evaluate`."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from malmoi.cli.options import config_options, home_option, read_settings
from malmoi.core.files import write_text

if TYPE_CHECKING:
    from malmoi.core.stage import Progress
    from malmoi.serve.documents.evaluation.index import Index
    from malmoi.serve.documents.evaluation.questions import Question
    from malmoi.serve.documents.evaluation.run import Row
    from malmoi.serve.engines import EnginePool
    from malmoi.serve.settings import ServeSettings

_MOST_KNOWN = 400  # hits of a question: all that are put into order


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
@click.option(
    "--features",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file, a JSON object a line, what the order is made of, to fit its weights.",
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
    features: Path | None,
    as_json: bool,
    quiet: bool,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Measure how well questions find their answers.

    Terms alone, vectors alone, both fused, both put into order, the same with neighbours joined (as searches
    do), and the plain way (pieces of 1,000 characters, vectors alone) are compared by recall@5 and nDCG@10 of
    passages and by recall@5 of documents, with 95 % intervals; the questions of the package also with the
    passages that were judged to answer them.
    """
    from malmoi.cli.live import open_progress
    from malmoi.serve.documents.evaluation.questions import SETS, load_questions

    settings = read_settings(home, config_file, overrides)
    sets = {
        str(name): [one for one in load_questions(name) if split in ("all", one.split)]
        for name in ([questions] if questions else SETS)
    }
    with open_progress(quiet) as progress:
        found, known = asyncio.run(
            _evaluate(
                settings,
                data,
                sets,
                work or home / "evaluation",
                plain,
                features is not None,
                questions is None,
                progress,
            )
        )
    if features is not None:
        write_text(features, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in known))
    for name, rows in found.items():
        if as_json:
            for row in rows:
                click.echo(json.dumps({"questions": name, **asdict(row)}, ensure_ascii=False))
            continue
        click.echo(f"{name}\n{'':<16}{'questions':<12}{'recall@5':<24}{'nDCG@10':<24}recall@5 of documents")
        for row in rows:
            click.echo(f"{_asked(row)}{row.recall!s:<24}{row.ndcg!s:<24}{row.pages}")
        if any(row.judged_recall for row in rows):
            click.echo(f"{'by judgments':<28}{'recall@5':<24}nDCG@10")
        for row in rows:
            if row.judged_recall:
                click.echo(f"{_asked(row)}{row.judged_recall!s:<24}{row.judged_ndcg}")


def _asked(row: "Row") -> str:
    """How a line of a table begins."""
    count = f"{row.questions} {row.language}"
    return f"{row.way:<16}{count:<12}"


async def _evaluate(
    settings: "ServeSettings",
    data: Sequence[Path],
    sets: "Mapping[str, Sequence[Question]]",
    folder: Path,
    plain: bool,
    with_features: bool,
    with_judgments: bool,
    progress: "Progress",
) -> "tuple[dict[str, list[Row]], list[dict[str, Any]]]":
    from malmoi.serve.documents.evaluation.index import open_index
    from malmoi.serve.documents.evaluation.judgments import grades_of, load_judgments
    from malmoi.serve.documents.evaluation.run import evaluate as judge
    from malmoi.serve.documents.evaluation.run import known_of, locate
    from malmoi.serve.documents.finding import Manner

    async with AsyncExitStack() as stack:
        ours, pool, corpus = await stack.enter_async_context(indexed(settings, data, folder, progress))
        in_order = await ours.way("in order", Manner(merge=False, rerank=False))
        ways = [
            await ours.way("terms", Manner(orders=("terms",), merge=False, reorder=False, rerank=False)),
            await ours.way("vectors", Manner(orders=("vectors",), merge=False, reorder=False, rerank=False)),
            await ours.way("fused", Manner(merge=False, reorder=False, rerank=False)),
            in_order,
            await ours.way("joined", Manner(rerank=False)),
        ]
        if settings.documents.reranker:
            ways.append(await ours.way("read by a model", Manner()))
        if plain:
            other = await stack.enter_async_context(
                open_index(folder / "plain", settings, pool, plain_of=ours)
            )
            with progress.task("Index the plain way", total=len(corpus), unit="documents") as task:
                await other.fill(corpus, task.advance)
            ways.append(
                await other.way(
                    "plain", Manner(orders=("vectors",), merge=False, reorder=False, rerank=False)
                )
            )
        texts = await ours.texts()
        graded = grades_of(load_judgments(), texts) if with_judgments else None
        asked = sum(one.is_answerable for questions in sets.values() for one in questions)
        with progress.task("Ask", total=len(ways) * asked, unit="questions") as task:
            rows = {
                name: await judge(ways, questions, locate(questions, texts), graded, on_done=task.advance)
                for name, questions in sets.items()
            }
        known: list[dict[str, Any]] = []
        for questions in sets.values() if with_features else ():
            known += await known_of(in_order.search, questions, locate(questions, texts), _MOST_KNOWN)
        return rows, known


@asynccontextmanager
async def indexed(
    settings: "ServeSettings", data: Sequence[Path], folder: Path, progress: "Progress"
) -> "AsyncIterator[tuple[Index, EnginePool, Sequence[tuple[str, bytes]]]]":
    """The documents under some paths in an index of their own, kept in a folder for the next time.

    Yields:
        The index, the engines that it was made with, and the documents.

    Raises:
        InvalidInput: a path holds no documents.
    """
    from malmoi.engine.catalog import Catalog
    from malmoi.serve.documents.evaluation.corpus import read_corpus
    from malmoi.serve.documents.evaluation.index import open_index
    from malmoi.serve.engines import EnginePool

    corpus = [one for path in data for one in read_corpus(path)]
    pool = EnginePool(home=settings.home, settings=settings.models, catalog=Catalog(settings.home))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(pool.close)
        ours = await stack.enter_async_context(open_index(folder / "ours", settings, pool))
        with progress.task("Index", total=len(corpus), unit="documents") as task:
            await ours.fill(corpus, task.advance)
        yield ours, pool, corpus
