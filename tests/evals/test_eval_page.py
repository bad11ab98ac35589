"""The page without a browser: nothing of the data is markup, the remarks fit the figures."""

import base64
import gzip
import json
import re
from pathlib import Path

import pytest

from eval_rows import HOSTILE, choice_items, eval_result, task_result, write_report, written_items
from malmoi.core.errors import NotFound
from malmoi.evals.report import write_page
from malmoi.evals.report.page import render_result, script_json
from malmoi.evals.report.remarks import remarks
from malmoi.evals.report.words import load_words
from malmoi.evals.results import ItemResult


def said(items: list[ItemResult], metrics: tuple[str, ...] = ("accuracy",), **values: object) -> str:
    task = task_result(items, metrics).model_copy(update=values)
    return " ".join(remark["en"] for remark in remarks(eval_result([task]), {task.name: items}))


def test_no_text_of_the_data_is_markup(tmp_path: Path) -> None:
    page = write_page(write_report(tmp_path)).read_text(encoding="utf-8")
    assert "<img" not in page
    assert "<script>document" not in page
    assert page.count("<script") == page.count("</script>")
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_every_item_is_in_the_page_whole() -> None:
    items = [*choice_items(300), *written_items(40)]
    tasks = [task_result(items[:300], ("accuracy",)), task_result(items[300:], ("exact_match",))]
    page = render_result(eval_result(tasks), items)
    packed = re.findall(r'class="chunk">([^<]*)<', page)
    read = [row for one in packed for row in json.loads(gzip.decompress(base64.b64decode(one)))]
    assert [row["prompt"] for row in read] == [item.prompt for item in items]
    assert [row["answer"] for row in read] == [item.answer for item in items]
    assert read[0]["more"]["fields"] == {"note": HOSTILE}
    assert render_result(eval_result(tasks), items) == page


def test_half_a_character_does_not_stop_the_page() -> None:
    items = choice_items(20)
    items[3] = items[3].model_copy(update={"prompt": "깨진 글자 \ud83d"})
    assert "chunk" in render_result(eval_result([task_result(items, ("accuracy",))]), items)


def test_words_are_there_in_both_languages() -> None:
    for group in load_words().values():
        for name, phrase in group.items():
            assert set(phrase) == {"ko", "en"}, name
            figures = [sorted(re.findall(r"{(\w+)}", text)) for text in phrase.values()]
            assert figures[0] == figures[1], name


def test_json_in_a_script_cannot_end_it() -> None:
    made = script_json({"a": "</script><!-- & \u2028"})
    assert not set("<>&\u2028") & set(made)
    assert json.loads(made) == {"a": "</script><!-- & \u2028"}


def test_remarks_follow_from_the_figures() -> None:
    assert "cannot be told from guessing" in said(choice_items(200, right=0.5))
    assert "surely below guessing" in said(choice_items(400, right=0.2))
    assert "--protocol cloze" in said(choice_items(200, right=0.5), form="letters")
    assert said(choice_items(400, right=0.9)) == "Nothing stands out."
    one_sided = [item.model_copy(update={"answer": "예"}) for item in choice_items(100)]
    assert "100 % of the answers are “예”" in said(one_sided)
    first = [
        item.model_copy(
            update={"choices": (f"가{n}", f"나{n}"), "answer": f"가{n}", "gold": f"{'가나'[n % 2]}{n}"}
        )
        for n, item in enumerate(choice_items(100))
    ]
    assert "choice number 1" in said(first)
    written = said(written_items(200), ("exact_match",))
    assert "20 % of the answers were cut off" in written
    assert "are not in the language" in written
    assert "with 20 items only" in said(choice_items(20, right=0.9))
    assert "scored on the training split" in said(choice_items(400, right=0.9), split="train")


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"results\.json"):
        write_page(tmp_path)
