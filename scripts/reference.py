"""Write docs/reference.md (every command, option and setting) from the code; `--check` only compares."""

import sys
from pathlib import Path

import click

from malmoi.cli import COMMANDS, cli
from malmoi.core.config import describe
from malmoi.serve.settings import ServeSettings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"


def commands() -> list[str]:
    """One section a command, with its help as the terminal shows it."""
    lines = ["## Commands", ""]
    root = click.Context(cli, info_name="malmoi", max_content_width=100, terminal_width=100)
    for name in COMMANDS:
        lines += _command(cli.get_command(root, name), root, name)
    return lines


def _command(command: click.Command | None, parent: click.Context, name: str) -> list[str]:
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
    lines = [f"### {context.command_path}", "", "```text", command.get_help(context), "```", ""]
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            lines += _command(command.get_command(context, inner), context, inner)
    return lines


def settings() -> list[str]:
    """A table of every setting."""
    lines = [
        "## Settings",
        "",
        "In `HOME/malmoi.toml` (or the file of `--config`), by variable, or by `--set`; the later one wins:",
        "",
        "```sh",
        "malmoi serve --set http.port=9000",
        "MALMOI_HTTP__PORT=9000 malmoi serve",
        "```",
        "",
        "| setting | default | variable | what it does |",
        "|---|---|---|---|",
    ]
    for path, default, text in describe(ServeSettings):
        variable = "MALMOI_" + path.upper().replace(".", "__")
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{path}` | {shown} | `{variable}` | {text} |")
    return lines


def render() -> str:
    """The whole page."""
    head = ["# Reference", "", "Written by `make docs` from the code; do not edit.", ""]
    return "\n".join([*head, *commands(), *settings()]) + "\n"


def main() -> int:
    """Write the page, or compare it."""
    page = render()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
            sys.stderr.write("docs/reference.md is not what the code says. Run: make docs\n")
            return 1
        return 0
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
