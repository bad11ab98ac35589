"""Write docs/reference.md (every command, option and setting) and docs/stages.md (every stage of recipes).

Both come from the code; `--check` only compares.
"""

import sys
from pathlib import Path

import click

from malmoi.cli import COMMANDS, cli
from malmoi.core.config import describe
from malmoi.serve.settings import ServeSettings

DOCS = Path(__file__).resolve().parent.parent / "docs"


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


def render_stages() -> str:
    """What each stage takes, makes, and can be told."""
    from malmoi.factory.stages import build_stages

    lines = [
        "# Stages of recipes",
        "",
        "Written by `make docs` from the code; do not edit. A recipe gives a stage its settings in a table",
        '`[stages.NAME]` (`use = "STAGE"` where the name is another), or by `--set NAME.SETTING=VALUE`.',
        "[From a folder of text to a chat](factory.md) shows them at work.",
        "",
    ]
    stages = build_stages()
    for name in stages:
        stage = stages.get(name)
        takes = ", ".join(
            f"{role} ({' or '.join(wanted.kinds)}{', optional' if wanted.optional else ''})"
            for role, wanted in stage.inputs.items()
        )
        summary = (stage.__doc__ or "").strip().partition("\n")[0]
        lines += [f"## {name}", "", summary, "", f"Takes: {takes or 'nothing'}. Makes: {stage.kind}.", ""]
        lines += ["| setting | default | what it does |", "|---|---|---|"]
        for path, default, text in describe(stage.config):
            shown = f"`{default}`" if default and len(default) < 60 else ""
            lines.append(
                f"| `{path}` | {shown.replace('|', chr(92) + '|')} | {text.replace('|', chr(92) + '|')} |"
            )
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Write the pages, or compare them."""
    pages = {DOCS / "reference.md": render(), DOCS / "stages.md": render_stages()}
    if "--check" in sys.argv[1:]:
        stale = [
            path.name
            for path, page in pages.items()
            if not path.exists() or path.read_text(encoding="utf-8") != page
        ]
        if stale:
            sys.stderr.write(f"not what the code says: {', '.join(stale)}. Run: make docs\n")
        return 1 if stale else 0
    for path, page in pages.items():
        path.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
