"""Write the tables of docs/tasks.md: the keys of task files, and the tasks that come with Malmoi.

Both come from the code and the task files; `--check` only compares.
"""

import sys
from pathlib import Path

from malmoi.core.config import describe
from malmoi.tasks.settings import TableSettings, as_tuple
from malmoi.tasks.table import known_tasks, open_task

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tasks.md"


def cell(text: str) -> str:
    """Text within a cell."""
    return text.replace("|", "\\|").replace("\n", "⏎")


def keys() -> list[str]:
    """A row for each key."""
    rows = ["| key | default | what it says |", "|---|---|---|"]
    for path, default, text in describe(TableSettings):
        rows.append(f"| `{path}` | {f'`{cell(default)}`' if default else ''} | {cell(text)} |")
    return rows


def tasks() -> list[str]:
    """A row for each task."""
    rows = [
        "| task | what is asked | asked as | metrics | shots | licence | fetch it from, to (in the data) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in known_tasks():
        task = open_task(name, Path("data"))
        said, info = task.settings, task.info
        form = said.default_form if info.kind == "choice" else "written"
        places = ", ".join(f"`{cell(as_tuple(files)[0])}`" for files in said.files.values())
        metrics = ", ".join(info.metrics[:3]) + (", ..." if len(info.metrics) > 3 else "")
        rows.append(
            f"| `{name}` | {cell(info.title)} | {form} | {metrics} | {info.shots} | {cell(info.license)}"
            f" | {cell(info.source)}: {places} |"
        )
    return rows


def render(page: str) -> str:
    """The page with its tables made anew, each between its marks."""
    for name, rows in (("keys", keys()), ("tasks", tasks())):
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, _, rest = page.partition(start)
        _, _, after = rest.partition(end)
        page = f"{before}{start}\n\n" + "\n".join(rows) + f"\n\n{end}{after}"
    return page


def main() -> int:
    """Write the page, or compare."""
    written = PAGE.read_text(encoding="utf-8")
    rendered = render(written)
    if "--check" in sys.argv:
        if written != rendered:
            sys.stderr.write("docs/tasks.md is not what the task files say. Run: make docs\n")
            return 1
    else:
        PAGE.write_text(rendered, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
