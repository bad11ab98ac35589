"""`malmoi chat`: a conversation in the terminal, with the engine in this process's care and no server."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import home_option
from malmoi.core.errors import ContextOverflow, MalmoiError

if TYPE_CHECKING:
    from malmoi.core.types import Chat, Message
    from malmoi.engine.base import Engine, Prompt, Sampling

COMMAND_HELP = """\
/help          this list
/undo          take back the last question and its answer
/retry         answer the last question again
/clear         begin anew
/system TEXT   set the instructions; without TEXT remove them
/save FILE     write the conversation as Markdown
/quit          leave (so does Ctrl+D)
Ctrl+C stops an answer. A line that ends with \\ goes on in the next line."""


@click.command()
@click.argument("prompt", required=False)
@click.option(
    "--model", default="standard", show_default=True, metavar="NAME", help="Model name or reference."
)
@click.option("--system", metavar="TEXT", default="", help="Instructions for the model.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="0 always takes the likeliest token.")
@click.option("--top-p", type=click.FloatRange(0, 1), help="Choose among the likeliest tokens of this total.")
@click.option("--max-tokens", type=click.IntRange(1), default=1024, show_default=True, help="Longest answer.")
@click.option("--seed", type=click.IntRange(0), help="Make the answer repeatable.")
@click.option("--think/--no-think", default=None, help="Ask a reasoning model to think first, or not to.")
@click.option("--stats/--no-stats", default=True, show_default=True, help="Show tokens per second.")
@click.option("--yes", is_flag=True, help="Download the model without asking if it is not here yet.")
@home_option
def chat(
    prompt: str | None,
    model: str,
    system: str,
    temperature: float | None,
    top_p: float | None,
    max_tokens: int,
    seed: int | None,
    think: bool | None,
    stats: bool,
    yes: bool,
    home: Path,
) -> None:
    """Talk to a model in the terminal.

    With PROMPT, or with text piped in, it answers once and ends; only the answer goes to standard output.

    \b
      malmoi chat
      malmoi chat "서울의 옛 이름은?"
      git diff | malmoi chat "Write a commit message for this change."
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from malmoi.engine.base import Sampling

    piped = "" if sys.stdin.isatty() else sys.stdin.read().strip()
    question = "\n\n".join(part for part in (prompt, piped) if part)
    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed)
    with asyncio.Runner() as runner:
        engine = runner.run(_open(model, home=home, yes=yes))
        try:
            talk = Conversation(engine, sampling, system=system, thinking=think, stats=stats)
            if question or not sys.stdin.isatty():
                talk.ask(runner, question)
            else:
                _repeat(runner, talk, model, home)
        finally:
            runner.run(engine.close())


async def _open(model: str, *, home: Path, yes: bool) -> "Engine":
    from malmoi.cli.progress import download_progress
    from malmoi.engine.catalog import Catalog
    from malmoi.engine.open import open_engine
    from malmoi.engine.options import EngineOptions

    catalog = Catalog(home)
    known = {card.name: card for card in catalog.entries()}
    if model in known and not catalog.installed(model):
        size = known[model].size_bytes / 1e6
        if not yes:
            click.confirm(
                f"{model} is not here yet. Download {size:.0f} MB?", default=True, abort=True, err=True
            )
        with download_progress(model) as report:
            await catalog.add(model, progress=report)
    click.echo(click.style(f"Opening {model} ...", dim=True), err=True)
    return await open_engine(model, home=home, options=EngineOptions(slots=1))


class Conversation:
    """The turns so far, and how to ask for the next one."""

    def __init__(
        self, engine: "Engine", sampling: "Sampling", *, system: str, thinking: bool | None, stats: bool
    ) -> None:
        self.engine = engine
        self.sampling = sampling
        self.system = system
        self.thinking = thinking
        self.stats = stats
        self.turns: list[Message] = []

    def ask(self, runner: asyncio.Runner, question: str) -> None:
        """Print the answer as it comes; Ctrl+C ends it, and what has come so far stays."""
        from malmoi.core.types import Message

        self.turns.append(Message("user", question))
        pieces: list[str] = []
        try:
            runner.run(self._answer(pieces))
        except KeyboardInterrupt:
            click.echo(click.style(" [stopped]", dim=True), err=True)
        except MalmoiError:
            self.turns.pop()
            raise
        self.turns.append(Message("assistant", "".join(pieces)))

    async def _answer(self, pieces: list[str]) -> None:
        start, first = perf_counter(), None
        thinking = False
        async for chunk in self.engine.stream(self._prompt(), self.sampling):
            if first is None and (chunk.text or chunk.reasoning):
                first = perf_counter() - start
            if chunk.reasoning:
                thinking = True
                click.echo(click.style(chunk.reasoning, dim=True), nl=False, err=True)
            if chunk.text:
                if thinking:
                    click.echo(err=True)
                    thinking = False
                pieces.append(chunk.text)
                click.echo(chunk.text, nl=False)
            if chunk.usage is not None:
                click.echo()
                seconds = perf_counter() - start - (first or 0.0)
                rate = chunk.usage.completion_tokens / seconds if seconds else 0.0
                note = (
                    f"{chunk.usage.completion_tokens} tokens, {rate:.1f}/s, first after {first or 0.0:.1f} s"
                )
                if chunk.finish_reason == "length":
                    note += ", cut off at --max-tokens"
                if self.stats and sys.stderr.isatty():
                    click.echo(click.style(note, dim=True), err=True)

    def _prompt(self) -> "Prompt":
        if "chat" not in self.engine.info.capabilities:
            return self.turns[-1].content  # a base model continues text; it knows no turns
        return self._chat()

    def _chat(self) -> "Chat":
        from malmoi.core.types import Chat, Message

        head = (Message("system", self.system),) if self.system else ()
        return Chat((*head, *self.turns), thinking=self.thinking)

    def undo(self) -> str | None:
        """Take the last question and its answer back; the question, if there was one."""
        del self.turns[-1:]
        return self.turns.pop().content if self.turns else None

    def markdown(self) -> str:
        """The conversation as a document."""
        names = {"user": "You", "assistant": self.engine.info.name}
        return (
            "\n\n".join(f"## {names.get(turn.role, turn.role)}\n\n{turn.content}" for turn in self.turns)
            + "\n"
        )


def _repeat(runner: asyncio.Runner, talk: Conversation, model: str, home: Path) -> None:
    _history(home / "chat_history")
    kind = "" if "chat" in talk.engine.info.capabilities else " It is a base model: it continues your text."
    click.echo(f"{model} is ready.{kind} /help lists what else you can do.", err=True)
    while True:
        try:
            line = _read_turn()
        except EOFError:
            click.echo(err=True)
            return
        except KeyboardInterrupt:
            click.echo(err=True)
            continue
        if line == "/quit":
            return
        try:
            _turn(runner, talk, line)
        except ContextOverflow as error:
            click.echo(f"{error.message} /undo or /clear makes room.", err=True)
        except MalmoiError as error:
            click.echo(str(error), err=True)


def _turn(runner: asyncio.Runner, talk: Conversation, line: str) -> None:
    word, _, rest = line.partition(" ")
    if not line.startswith("/"):
        if line.strip():
            talk.ask(runner, line)
        return
    actions: dict[str, Callable[[], None]] = {
        "/help": lambda: click.echo(COMMAND_HELP, err=True),
        "/undo": lambda: click.echo("Taken back." if talk.undo() else "Nothing to take back.", err=True),
        "/retry": lambda: _retry(runner, talk),
        "/clear": talk.turns.clear,
        "/system": lambda: setattr(talk, "system", rest.strip()),
        "/save": lambda: _save(talk, rest.strip()),
    }
    if word in actions:
        actions[word]()
    else:
        click.echo(f"There is no {word}; /help lists the commands.", err=True)


def _retry(runner: asyncio.Runner, talk: Conversation) -> None:
    question = talk.undo()
    if question is None:
        click.echo("There is no question to answer again.", err=True)
    else:
        talk.ask(runner, question)


def _save(talk: Conversation, name: str) -> None:
    from malmoi.core.files import write_text

    if not name:
        click.echo("Write /save FILE.", err=True)
        return
    path = Path(name).expanduser()
    if path.exists() and not click.confirm(f"{path} is there already. Replace it?", err=True):
        return
    write_text(path, talk.markdown())
    click.echo(f"Written to {path}.", err=True)


def _read_turn() -> str:
    lines = [input("> ")]
    while lines[-1].endswith("\\"):
        lines[-1] = lines[-1].removesuffix("\\")
        lines.append(input(". "))
    return "\n".join(lines)


def _history(path: Path) -> None:
    """Arrow keys and a history over sessions, where the terminal has them."""
    with suppress(ImportError):
        import atexit
        import readline

        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.read_history_file(path)
        readline.set_history_length(1000)

        def keep() -> None:
            with suppress(OSError):
                readline.write_history_file(path)
                path.chmod(0o600)

        atexit.register(keep)
