"""The page of one result: figures, plots, what to know, and every item.

    report artifact
    ├── results.json, items.jsonl
    └── about/report.html      one file that needs nothing else, and opens from disk

The items are in the page as compressed chunks: a page of 20,000 items opens at once, and a chunk is unpacked
when one of its items is looked at or searched. All of them reach the page as text, never as markup.
"""

import base64
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from malmoi.core.files import write_text
from malmoi.evals.report.plots import plot_categories, plot_tasks
from malmoi.evals.report.remarks import figure_text, percent, remarks
from malmoi.evals.report.words import both, load_words
from malmoi.evals.results import EvalResult, ItemResult, TaskResult, read_items, read_result

if TYPE_CHECKING:
    from jinja2 import Environment

PAGE = "about/report.html"
CHUNK = 256
"""Items that are packed together."""
SHORT = 120
"""Characters of an answer in the list."""
CUT, FOREIGN = 1, 2


def write_page(folder: Path) -> Path:
    """Write about/report.html of a folder that holds results.json and items.jsonl.

    Returns:
        Where the page is.

    Raises:
        NotFound: one of the files is missing.
        InvalidInput: one of them is broken; the message has the line.
        DiskFull: no room for the page.
    """
    result = read_result(folder)
    path = folder / PAGE
    write_text(path, render_result(result, list(read_items(folder))))
    return path


def render_result(result: EvalResult, items: Sequence[ItemResult]) -> str:
    """The page as HTML."""
    by_task: dict[str, list[ItemResult]] = {}
    for item in items:
        by_task.setdefault(item.task, []).append(item)
    chunks = [
        _pack([_whole(item) for item in items[start : start + CHUNK]])
        for start in range(0, len(items), CHUNK)
    ]
    return render_page(
        "report.html.jinja",
        scripts=("language.js", "browser.js"),
        title=f"{result.model_name} · {result.suite}".rstrip(" ·"),
        result=result,
        count=len(items),
        remarks=remarks(result, by_task),
        plots=plot_tasks(result.tasks),
        categories=[_categories(task) for task in result.tasks if task.by_category],
        index=_pack(_index(result, items, by_task)),
        chunks=chunks,
    )


def render_page(template: str, *, scripts: Sequence[str], title: str, **values: Any) -> str:
    """A page from its template, with a policy that lets no script run but its own."""
    from markupsafe import Markup

    folder = Path(__file__).parent / "templates"
    texts = [(folder / name).read_text(encoding="utf-8") for name in scripts]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    labels = load_words()["labels"]
    page: str = (
        _environment()
        .get_template(template)
        .render(
            title=title,
            scripts=[Markup(text) for text in texts],  # noqa: S704 - files of this package
            hashes=Markup(" ".join(f"'sha256-{digest}'" for digest in hashes)),  # noqa: S704 - base64
            words=labels,
            page_words=Markup(script_json(labels)),  # noqa: S704 - escaped there
            **values,
        )
    )
    return page


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("malmoi.evals.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": figure_text, "percent": percent}
    environment.globals |= {"both": both}
    return environment


def script_json(value: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can end the element or begin markup."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for sign in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _pack(value: Any) -> str:
    """JSON as gzip as base64, which holds no sign of markup."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    packed = gzip.compress(text.encode("utf-8", "replace"), compresslevel=6, mtime=0)
    return base64.b64encode(packed).decode("ascii")


def _index(
    result: EvalResult, items: Sequence[ItemResult], by_task: Mapping[str, Sequence[ItemResult]]
) -> dict[str, Any]:
    """What the list needs of each item: task, id, category, grade, flags, a short answer."""
    tasks = list(dict.fromkeys([*(task.name for task in result.tasks), *by_task]))
    categories = list(dict.fromkeys(item.category for item in items))
    task_at = {name: place for place, name in enumerate(tasks)}
    category_at = {name: place for place, name in enumerate(categories)}
    asked = {task.name: _asked_language(task, by_task.get(task.name, ())) for task in result.tasks}
    rows = [
        [
            task_at[item.task],
            item.id,
            category_at[item.category],
            round(item.grade, 4),
            _flags(item, asked.get(item.task)),
            _short(item),
        ]
        for item in items
    ]
    return {"size": CHUNK, "tasks": tasks, "categories": categories, "rows": rows}


def _asked_language(task: TaskResult, items: Iterable[ItemResult]) -> str | None:
    """The language that answers should have had: the one whose share is the task's."""
    if task.in_language is None:
        return None
    counts = Counter(item.language for item in items if item.language is not None)
    total = sum(counts.values())
    return min(counts, key=lambda name: abs(counts[name] / total - (task.in_language or 0.0)), default=None)


def _flags(item: ItemResult, asked: str | None) -> int:
    foreign = asked is not None and item.language is not None and item.language != asked
    return CUT * (item.finish_reason == "length" and not item.logprobs) + FOREIGN * foreign


def _short(item: ItemResult) -> str:
    """One line for the list: the answer, and the right one where it is another."""
    answer, gold = (" ".join(text.split())[:SHORT] for text in (item.answer, item.gold))
    return answer if answer == gold or not gold else f"{answer or '–'} ← {gold}"


def _whole(item: ItemResult) -> dict[str, Any]:
    """Everything of an item that people look at."""
    more: dict[str, Any] = {}
    if item.grades:
        more["grades"] = item.grades
    if item.finish_reason:
        more["finish_reason"] = item.finish_reason
    if item.language:
        more["language"] = item.language
    if item.prompt_tokens or item.completion_tokens:
        more["tokens"] = [item.prompt_tokens, item.completion_tokens]
    if item.fields:
        more["fields"] = item.fields
    return {
        "prompt": item.prompt,
        "choices": item.choices,
        "gold": item.gold,
        "answer": item.answer,
        "logprobs": item.logprobs,
        "more": more,
    }


def _categories(task: TaskResult) -> tuple[TaskResult, list[tuple[str, Any]], str]:
    rows = [(name, figures) for name, figures in task.by_category.items() if figures]
    return task, rows, plot_categories(task)
