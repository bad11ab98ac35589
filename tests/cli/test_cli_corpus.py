import json

import pytest
from click.testing import CliRunner

from malmoi.cli.corpus import corpus
from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.core.files import write_json
from malmoi.core.store import Store
from malmoi.factory.corpus.documents import Document, Reject, write_documents, write_rejects
from malmoi.factory.corpus.tally import Tally


def document(number, text, source="글"):
    return Document(f"d{number}", text, source, "ko", "CC0-1.0", f"a.jsonl#{number}", 0.5)


@pytest.fixture
def home(tmp_path):
    tally = Tally()
    read = tally.of("read", "글")
    read.seen = read.kept = 3
    length = tally.of("length", "글")
    length.seen, length.kept, length.bytes_kept = 3, 2, 40
    length.dropped["too_short"] = 1
    total = {
        "languages": {"ko": 40},
        "licenses": {"CC0-1.0": 2},
        "lengths": {"16": 2},
        "quality": {"20": 2},
        "train": {"documents": 2, "bytes": 40},
        "validation": {"documents": 0, "bytes": 0},
    }
    source = {"name": "글", "group": "korean", "license": "CC0-1.0", "weight": 1.0, "epochs": 1.0}
    with Store(tmp_path / "store").new_artifact("corpus", "corpus") as out:
        texts = ["바다가 보이는 마을", "산에 오르며\x1b[31m 전화는 010-1234-5678"]
        write_documents(out / "train" / "a.parquet", [document(n, text) for n, text in enumerate(texts)])
        write_documents(out / "validation" / "a.parquet", [])
        write_rejects(out / "rejects" / "a.parquet", [Reject(document(9, "<b>짧다"), "length", "too_short")])
        write_json(out / "mixture.json", {"sources": [{**source, "documents": 2, "bytes": 40}]})
        counts = {
            "steps": tally.to_json(),
            "problems": {"counts": {"broken_json": 2}, "examples": []},
            "notes": ["no code documents: their share goes to the others"],
            "sources": {"글": total},
        }
        write_json(out / "counts.json", counts)
    return tmp_path


def look(home, *arguments, command="look"):
    result = CliRunner().invoke(corpus, [command, *arguments, "--home", str(home)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_a_look_shows_counts_mixture_samples_and_rejects(home):
    shown = look(home)
    for words in (
        "2 of 3 documents kept",
        "too_short 1",
        "100.0%",
        "바다가 보이는",
        "<b>짧다",
        "broken_json 2",
    ):
        assert words in shown
    assert "no code documents" in shown


def test_texts_neither_steer_the_terminal_nor_show_numbers(home):
    shown = look(home)
    assert "\x1b[31m" not in shown
    assert "010-1234" not in shown


def test_samples_are_chosen(home):
    assert "짧다" not in look(home, "--grep", "바다")
    assert "바다" not in look(home, "--reason", "too_short")
    assert "짧다" in look(home, "--reason", "length")
    assert "바다" not in look(home, "--samples", "0")
    with pytest.raises(InvalidInput, match="no source '없음'"):
        look(home, "--source", "없음")


def test_a_page_is_written_with_everything_escaped(home, tmp_path):
    shown = look(home, "--html", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert "&lt;b&gt;짧다" in page
    assert "<b>짧다" not in page
    assert "010-1234" not in page
    assert str(tmp_path / "page.html") in shown


def test_what_is_no_corpus_is_said(home, tmp_path):
    with pytest.raises(UnknownName):
        look(home, "corpus-none-12345678")
    with pytest.raises(InvalidInput, match="there is no corpus"):
        look(tmp_path / "other")
    with Store(home / "store").new_artifact("report", "other") as out:
        (out / "x").write_text("x")
    other = Store(home / "store").artifacts("report")[0]
    with pytest.raises(InvalidInput, match="is a report, not a corpus"):
        look(home, other.id)


def test_a_file_is_tried(tmp_path):
    rows = [
        {
            "text": "어제 시장에 가서 사과와 배를 샀습니다. 집에 와서 동생과 나누어 먹으니 참 맛있었습니다. "
            * 2
        },
        {"text": "짧다"},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows) + "{broken\n")
    result = CliRunner().invoke(corpus, ["try", str(path)])
    assert result.exit_code == 0, result.output
    assert "kept 1" in result.output
    assert "length: too_short 1" in result.output
    assert "broken_json 1" in result.output
    result = CliRunner().invoke(corpus, ["try", str(tmp_path / "none.txt")])
    assert isinstance(result.exception, InvalidInput)
