"""The next answer of a conversation: help lines first where somebody is in need, then the flow."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from malmoi.assist.guard.data import known_topics, message, read_table
from malmoi.assist.guard.topics import find_needs
from malmoi.assist.templates.flows import flows
from malmoi.assist.templates.flows.flow import Occasion, Piece, Writer, plain_opening, recent, request
from malmoi.assist.templates.form import Form
from malmoi.assist.templates.template import Language, Template

_REACH = 2000  # characters at the end of a message that are looked at for needs
_CONTEXT = 12_000  # characters of a conversation without a flow


def opening(template: Template, form: Form) -> str:
    """What the assistant says first; empty when it waits for the person. No model is asked."""
    if template.flow is None:
        return plain_opening(template, form)
    return flows().get(template.flow.name).opening(template, form)


async def answer(occasion: Occasion, writer: Writer) -> AsyncGenerator[Piece, None]:
    """The next answer, piece by piece.

    Flows say much without a model, so the guard of models does not see all that people tell them: needs are
    looked for here, and whoever is in need gets help lines whatever the flow is.

    Raises:
        MalmoiError: the model fails.
    """
    found = needs(occasion.question)
    if found:
        yield Piece(help_text(found, occasion.language))
        return
    if occasion.template.flow is None:
        prompt = request(occasion.system, *recent(occasion.branch, characters=_CONTEXT))
        async for text in writer.write(prompt, occasion.sampling):
            yield Piece(text)
        return
    pieces = flows().get(occasion.template.flow.name).answer(occasion, writer)
    async with aclosing(cast("AsyncGenerator[Piece, None]", pieces)) as stream:
        async for piece in stream:
            yield piece


def needs(text: str) -> list[str]:
    """The topics of the needs that are told at the end of a text, each once."""
    return list(dict.fromkeys(need.topic for need in find_needs(text[-_REACH:], known_topics())))


def help_text(topics: list[str], language: Language) -> str:
    """The guard's message about the first need, with the help lines of all of them."""
    table = read_table("rules", "topics.toml")["topics"]
    lines = dict.fromkeys(line for topic in topics for line in table[topic]["lines"])
    return message(topics[0], language, tuple(lines))
