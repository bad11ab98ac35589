"""Normal form and language of texts, scripts, provenance, evaluation texts."""

import gzip
import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malmoi.core.errors import InvalidInput
from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.evaluation_texts import read_evaluation_texts
from malmoi.factory.corpus.language import Identify, identify, looks_like_code
from malmoi.factory.corpus.normalize import Normalize, normalize
from malmoi.factory.corpus.provenance import OptOut, Provenance, ProvenanceSettings, origin_parts
from malmoi.factory.corpus.scripts import count_scripts

CODE = "import os\n\n\ndef main(path):\n    with open(path) as file:\n        print(file.read())\n"


def document(**values: str) -> Document:
    fields = {"id": "s:a.jsonl#1", "text": "글", "source": "s", "language": "ko", "license": "MIT"}
    return Document(**{"origin": "a.jsonl#1", **fields, **values})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (unicodedata.normalize("NFD", "한국어 café"), "한국어 café"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a\u200bb\ufeffc\u00add\x00e\x07f", "abcdef"),
        ("가\u00a0나\u3000다", "가 나 다"),
        ("\ue000가\uf8ff", "가"),
        ("half\ud800", "half"),
        ("말끝   \n다음\t\n", "말끝\n다음"),
        ("한글  사이,   띄어쓰기", "한글 사이, 띄어쓰기"),
        ("a\n\n\n\n\n\nb", "a\n\n\nb"),
        ("½ ㎏ ① ＡＢ ㅋㅋ ﬁ", "½ ㎏ ① ＡＢ ㅋㅋ ﬁ"),  # what NFKC would change
        ("if x:\n\treturn   1  # two\n    y = 2", "if x:\n\treturn   1  # two\n    y = 2"),
        ("👨\u200d👩\u200d👧 क\u094d\u200dष", "👨\u200d👩\u200d👧 क\u094d\u200dष"),
        ("", ""),
        ("\n\n  indented", "  indented"),
    ],
)
def test_normal_form(before: str, after: str) -> None:
    assert normalize(before)[0] == after


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(" \n\r\t\u200b\u200d\u1100\u1161가,"))))
def test_normalizing_twice_changes_nothing(text: str) -> None:
    once, _ = normalize(text)
    assert normalize(once) == (once, {})
    once.encode()


@pytest.mark.parametrize("piece", [" ", "\n", "\t ", " \n", "가  ", "\u200d", "\u1100", "a\u0301"])
def test_normalizing_takes_linear_time(piece: str) -> None:
    normalize(piece * 1_000_000 + "x")  # the time limit is the assertion


def test_normalizing_counts_what_it_did() -> None:
    changed, counts = Normalize().change(document(text="가\u200b나\r\n다"))
    assert (changed.text, counts) == ("가나\n다", {"line_ends": 1, "invisible": 1})
    same = document(text="가나다")
    assert Normalize().change(same)[0] is same


def test_scripts_are_counted() -> None:
    counts = count_scripts("한글ㅋ漢かアéz1 !★😀")
    assert counts[:11] == (2, 1, 1, 2, 2, 0, 0, 1, 1, 1, 2)
    assert (counts.letters, counts.total) == (8, 13)
    assert count_scripts("한글ㅋ漢かアéz1 !★😀" * 100) == tuple(100 * count for count in counts)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("오늘은 날씨가 좋다.", "ko"),
        ("`torch.nn.Linear` 모듈을 사용하여 입력 텐서를 변환합니다.", "ko"),
        ("ㅋㅋㅋㅋ", "ko"),
        ("The weather is fine today and we are going to the park with our friends.", "en"),
        ("OK thanks", "en"),
        ("これは日本語の文章です。", "ja"),
        ("这是一个中文句子，今天天气很好。", "zh"),
        ("Das ist ein deutscher Satz, und das Wetter ist heute sehr schön für uns.", "de"),
        ("Это русское предложение, сегодня очень хорошая погода.", "ru"),
        (CODE, "code"),
        ("#include <stdio.h>\n\nint main(void) {\n    return 0;\n}\n", "code"),
        ("const a = [1, 2];\nfunction f(x) {\n  return x + 1;\n}\nf(a[0]);\n", "code"),
        ("12345 67890 !!!", "und"),
        ("", "und"),
    ],
)
def test_languages(text: str, language: str) -> None:
    assert identify(text) == language


def test_the_file_s_name_says_code_unless_it_is_korean_prose() -> None:
    assert identify("Just a comment in English.", "a.py") == "code"
    assert identify("# 이 파일은 설명이 거의 전부인 튜토리얼입니다.\nx = 1", "tutorial.py") == "ko"
    assert identify(CODE + "# 출력", "main.py.gz") == "code"


def test_a_source_that_knows_its_language_is_believed() -> None:
    assert Identify().change(document(language="en"))[0].language == "en"
    changed, counts = Identify().change(document(language="auto", text="한국어 문장"))
    assert (changed.language, counts) == ("ko", {"ko": 1})
    named = document(language="auto", text="x", origin="src/a.rs#1")
    assert Identify().change(named)[0].language == "code"


@pytest.mark.parametrize(
    "text", ["=" * 100_000, "a = " * 100_000, "f(" * 100_000, "x\n" * 100_000, "<" * 100_000]
)
def test_looking_for_code_takes_linear_time(text: str) -> None:
    looks_like_code(text)


def test_on_real_pairs_nearly_all_languages_are_right() -> None:
    data = Path(os.environ.get("MALMOI_TEST_DATA", "")) / "python_docs_ko" / "pairs.jsonl.gz"
    if not os.environ.get("MALMOI_TEST_DATA") or not data.exists():
        pytest.skip("MALMOI_TEST_DATA names no folder with python_docs_ko")
    with gzip.open(data, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][::10]
    for language in ("ko", "en"):
        right = sum(identify(row[language]) == language for row in rows)
        assert right >= 0.985 * len(rows)


def test_licences_are_allowed_and_refused(tmp_path: Path) -> None:
    rule = Provenance(ProvenanceSettings(licenses=("MIT", "CC-BY-*"), refused_licenses=("*-NC-*",)), tmp_path)
    assert rule.judge(document(license="mit")) is None
    assert rule.judge(document(license="CC-BY-SA-4.0")) is None
    assert rule.judge(document(license="CC-BY-NC-4.0")) == "license_refused"
    assert rule.judge(document(license="unknown")) == "license_not_allowed"
    assert Provenance(ProvenanceSettings(), tmp_path).judge(document(license="unknown")) is None


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("id:s:a.jsonl#7", "opted_out_id"),
        ("id:a.jsonl#7", "opted_out_id"),
        ("origin:news/*.jsonl", "opted_out_origin"),
        ("domain:example.org", "opted_out_domain"),
        ("domain:.Example.org", "opted_out_domain"),
        ("url:http://www.example.org/private/", "opted_out_url"),
        ("domain:ample.org", None),
        ("domain:org.kr", None),
        ("url:https://example.org/other", None),
        ("id:b", None),
        ("origin:*.txt", None),
    ],
)
def test_opting_out(tmp_path: Path, entry: str, reason: str | None) -> None:
    (tmp_path / "out.txt").write_text(f"# people who asked\n\n{entry}  # in May\n")
    rule = Provenance(ProvenanceSettings(opt_out=("out.txt",)), tmp_path)
    origin = "news/a.jsonl#7 https://sub.example.org/private/page"
    if entry.startswith("url"):
        origin = origin.replace("sub.", "")
    assert rule.judge(document(id="s:a.jsonl#7", origin=origin)) == reason


def test_a_list_that_cannot_be_read_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"gone\.txt"):
        Provenance(ProvenanceSettings(opt_out=("gone.txt",)), tmp_path)
    (tmp_path / "bad.txt").write_text("id:a\nexample.org\n")
    with pytest.raises(InvalidInput, match=r"bad\.txt:2"):
        OptOut.load([tmp_path / "bad.txt"])


def test_origins_have_a_path_and_perhaps_an_address() -> None:
    assert origin_parts("a b#c/d.txt#3") == ("a b#c/d.txt", "")
    assert origin_parts("a.jsonl#3 https://x.kr/?a#b") == ("a.jsonl", "https://x.kr/?a#b")
    assert origin_parts("synthetic") == ("synthetic", "")


def test_evaluation_texts_come_from_anywhere_in_a_file(tmp_path: Path) -> None:
    question = "다음 문장의 뜻으로 알맞은 것은?"
    (tmp_path / "a.tsv").write_text(f'Text\tLabel\n{question} "하나\tTrue\n')
    (tmp_path / "b.csv").write_text(f'q,a\n"{question}\n둘",1\n')
    (tmp_path / "c.json").write_text(json.dumps([{"deep": {"list": [f"{question} 셋", 3, None]}}]))
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(json.dumps({"x": f"{question} 넷"}).encode()))
    (tmp_path / "e.txt").write_text(f"{question} 다섯\n\nshort\n")
    (tmp_path / "README.md").write_text("not a text of the set at all")
    (tmp_path / "LICENSE.txt").write_text("not a text of the set at all")
    texts = [one.text for one in read_evaluation_texts([tmp_path])]
    assert [text.removeprefix(question).strip(' "\n') for text in texts] == ["하나", "둘", "셋", "넷", "다섯"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b'{"a": 1}\n{broken\n'),
        ("a.json", b"[1,"),
        ("a.txt", b"fine\n\xff\xfe\xfd\n"),
        ("a.xlsx", b""),
    ],
)
def test_an_evaluation_file_that_cannot_be_read_is_an_error(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=name.replace(".", r"\.")):
        list(read_evaluation_texts([tmp_path / name]))
    with pytest.raises(InvalidInput, match="gone"):
        list(read_evaluation_texts([tmp_path / "gone"]))
