"""`malmoi documents ask`."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.documents.opening import account_option, open_documents
from malmoi.cli.options import config_options, home_option, read_settings

if TYPE_CHECKING:
    from malmoi.assist.retrieval.answer import Grounding
    from malmoi.assist.retrieval.citations import Citation
    from malmoi.engine.base import Engine
    from malmoi.serve.settings import ServeSettings

_ANSWER_TOKENS = 300
_QUOTED = 160  # characters of a quotation


@click.command()
@click.argument("question")
@click.option(
    "--collection", "names", multiple=True, metavar="NAME", help="Only in these. Repeatable.  [default: all]"
)
@click.option("--limit", type=click.IntRange(1, 20), default=8, show_default=True, help="Most passages.")
@click.option("--model", metavar="NAME", help="Who answers.  [default: models.default]")
@click.option("--no-model", is_flag=True, help="Answer with sentences of the documents.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer and its citations as JSON.")
@account_option
@home_option
@config_options
def ask(
    question: str,
    names: tuple[str, ...],
    limit: int,
    model: str | None,
    no_model: bool,
    as_json: bool,
    account: str | None,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Answer a question from documents, and cite the words that the answer rests on.

    What the documents do not answer is said to be so. Without a model that chats, the best sentences of the
    documents are the answer.
    """
    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        from malmoi.serve.documents.answering import ground_question

        async with open_documents(settings, account) as opened:
            chosen = [(await opened.collection(name)).id for name in names]
            grounding = await ground_question(
                opened.documents, opened.principal, question, collections=chosen, limit=limit
            )
            engine = None if no_model or not grounding.is_answerable else await _open(settings, model)
            try:
                text, citations = await _answer(grounding, engine, shows=not as_json)
            finally:
                if engine is not None:
                    await engine.close()
        if as_json:
            _print_json(grounding, text, citations)
        else:
            _print_citations(grounding, citations)

    asyncio.run(run())


async def _open(settings: "ServeSettings", model: str | None) -> "Engine | None":
    """The model that answers, if it is here and can chat; one that was named must be."""
    from malmoi.core.errors import MissingExtra, NotFound, UnknownName
    from malmoi.engine.open import open_engine

    try:
        engine = await open_engine(
            model or settings.models.default, home=settings.home, options=settings.models.engine
        )
    except (MissingExtra, NotFound, UnknownName):
        if model is not None:
            raise
        return None
    if "chat" in engine.info.capabilities:
        return engine
    await engine.close()
    return None


async def _answer(
    grounding: "Grounding", engine: "Engine | None", *, shows: bool
) -> tuple[str, Sequence["Citation"]]:
    """The answer and its citations; it is shown, and a model's text while it comes."""
    from malmoi.assist.retrieval.reply import Text
    from malmoi.engine.base import Sampling
    from malmoi.serve.running import as_generator

    def show(text: str, *, is_end: bool = True) -> None:
        if shows:
            click.echo(text, nl=is_end)

    if engine is None:
        extract = grounding.extract()
        found = (extract.text, extract.citations) if grounding.is_certain else (grounding.refusal(), ())
        show(found[0])
        return found
    reply = grounding.reply()
    sampling = Sampling(max_tokens=_ANSWER_TOKENS, temperature=0.2)
    async with aclosing(as_generator(engine.stream(grounding.chat(), sampling))) as chunks:
        async for chunk in chunks:
            for event in await reply.feed(chunk.text) if chunk.text else ():
                if isinstance(event, Text):
                    show(event.text, is_end=False)
    for event in await reply.finish():
        if isinstance(event, Text):
            show(event.text, is_end=False)
    closing = grounding.closing(reply)
    show(closing.text)
    return reply.text + closing.text, (*reply.citations, *closing.citations)


def _print_citations(grounding: "Grounding", citations: Sequence["Citation"]) -> None:
    sources = {source.number: source for source in grounding.sources}
    for citation in citations:
        source = sources[citation.number]
        where = " > ".join(part for part in (source.title, *source.headings, source.place) if part)
        quote = " ".join(citation.quote.split())
        shown = f"{quote[:_QUOTED]}{'…' if len(quote) > _QUOTED else ''}"
        place = f"{where} ({citation.start}-{citation.end})"
        click.echo(f"{click.style(f'[{citation.number}]', bold=True)} {place}\n    {shown}")


def _print_json(grounding: "Grounding", text: str, citations: Sequence["Citation"]) -> None:
    row = {
        "answer": text,
        "likelihood": grounding.relevance.likelihood,
        "citations": [asdict(citation) for citation in citations],
        "suggestions": list(grounding.suggestions),
    }
    click.echo(json.dumps(row, ensure_ascii=False))
