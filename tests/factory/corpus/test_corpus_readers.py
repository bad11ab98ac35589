"""Files to documents: what is read, what is left out and counted, and that nothing hostile ends a run."""

import gzip
import io
import json
import random
import tracemalloc
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pydantic import ValidationError

from malmoi.core.errors import InvalidInput
from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.formats import opening
from malmoi.factory.corpus.problems import Problems
from malmoi.factory.corpus.readers import discover_sources, read_source
from malmoi.factory.corpus.sources import SourceSettings

TEXT = "안녕하세요. 오늘은 날씨가 참 좋습니다."


def read(data: Path, *paths: str, **settings: object) -> tuple[list[Document], Problems]:
    problems = Problems()
    source = SourceSettings(name="s", paths=paths or ("**/*",), **settings)  # type: ignore[arg-type]
    return list(read_source(source, data, problems)), problems


def test_every_kind_of_file_gives_its_text(tmp_path: Path) -> None:
    row = json.dumps({"text": TEXT}, ensure_ascii=False).encode() + b"\n"
    (tmp_path / "a.txt").write_text(TEXT + "\n")
    (tmp_path / "b.md").write_text(TEXT)
    (tmp_path / "c.jsonl").write_bytes(row)
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(row))
    (tmp_path / "e.jsonl.zst").write_bytes(zstandard.compress(row))
    pq.write_table(pa.table({"text": [TEXT], "other": [1]}), tmp_path / "f.parquet")
    (tmp_path / "g.html").write_text(f"<html><body><p>{TEXT}</p></body></html>")
    (tmp_path / "h.csv").write_text(f'id,content\n1,"{TEXT}"\n')
    (tmp_path / "i.tsv.gz").write_bytes(gzip.compress(f"id\tdocument\n1\t{TEXT}\n".encode()))
    (tmp_path / "j.py").write_text(TEXT)
    documents, problems = read(tmp_path)
    assert [document.text.strip() for document in documents] == [TEXT] * 10
    assert [document.origin for document in documents][:4] == [
        "a.txt#1",
        "b.md#1",
        "c.jsonl#1",
        "d.jsonl.gz#1",
    ]
    assert problems.counts == {}


def test_notes_hidden_and_unknown_files_are_left_out_and_counted(tmp_path: Path) -> None:
    for name in ("README.md", "NOTES.txt", "LICENSE.txt", ".hidden.txt", "a.bin", "good.txt"):
        (tmp_path / name).write_text(TEXT)
    documents, problems = read(tmp_path)
    assert [document.origin for document in documents] == ["good.txt#1"]
    assert problems.counts == {"note_file": 3, "hidden_file": 1, "unknown_kind": 1}
    assert [d.origin for d in read(tmp_path, "README.md")[0]] == ["README.md#1"]  # named in full


def test_fields_are_joined_and_rows_grouped(tmp_path: Path) -> None:
    rows = [("a", "one"), ("a", "two"), ("b", "three"), ("a", "four")]
    lines = [json.dumps({"src": s, "ko": t, "en": t.upper()}) for s, t in rows]
    (tmp_path / "r.jsonl").write_text("\n".join(lines))
    documents, _ = read(tmp_path, fields=("ko",), group_by="src")
    assert [(d.text, d.origin) for d in documents] == [
        ("one\ntwo", "r.jsonl#1"),
        ("three", "r.jsonl#3"),
        ("four", "r.jsonl#4"),
    ]
    documents, _ = read(tmp_path, fields=("en", "ko"))
    assert documents[0].text == "ONE\none"


def test_ids_licences_and_addresses_come_from_the_row(tmp_path: Path) -> None:
    row = {"text": TEXT, "key": 7, "terms": "CC0-1.0", "url": "https://example.com/a"}
    (tmp_path / "r.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({"text": TEXT}))
    documents, _ = read(tmp_path, id_field="key", license_field="terms", license="MIT")
    assert (documents[0].id, documents[0].license) == ("s:7", "CC0-1.0")
    assert documents[0].origin == "r.jsonl#1 https://example.com/a"
    assert (documents[1].id, documents[1].license, documents[1].origin) == ("s:r.jsonl#2", "MIT", "r.jsonl#2")


def test_bad_rows_are_counted_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(
        b'{"text": "fine"}\n{"text": \n[1]\n{"other": "x"}\n{"text": "\xff\xfe\xfa"}\n{"text": 3}\n'
        b'{"text": "  "}\n' + b"[" * 100_000 + b"\n" + b'{"text": "last"}'
    )
    documents, problems = read(tmp_path)
    assert [document.text for document in documents] == ["fine", "last"]
    assert problems.counts == {
        "broken_json": 3,
        "missing_field": 2,
        "broken_encoding": 1,
        "empty_text": 1,
    }
    assert problems.examples[0].where == "r.jsonl#2"
    assert "other" in next(e.detail for e in problems.examples if e.reason == "missing_field")


def test_a_giant_line_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    with (tmp_path / "big.jsonl").open("wb") as file:
        file.write(b'{"text": "first"}\n{"text": "')
        for _ in range(40):
            file.write(b"a" * (1 << 20))
        file.write(b'"}\n{"text": "last"}\n')
    tracemalloc.start()
    documents, problems = read(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [document.text for document in documents] == ["first", "last"]
    assert problems.counts == {"line_too_long": 1}
    assert peak < 3 * opening.MAX_LINE_BYTES


def test_a_large_text_is_cut_at_empty_lines(tmp_path: Path) -> None:
    paragraph = "가나다라 마바사 " * 400 + "\n\n"
    (tmp_path / "book.txt").write_text(paragraph * 1000)
    documents, _ = read(tmp_path)
    assert len(documents) == 4
    assert all(len(document.text) <= 1_010_000 for document in documents)
    assert sum(document.text.count("가나다라") for document in documents) == 400_000
    documents, _ = read(tmp_path, documents="paragraph")
    assert len(documents) == 1000


def test_ten_megabytes_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("말모이" * 1_200_000)
    documents, problems = read(tmp_path)
    assert len(documents) == 1
    assert len(documents[0].text) == 3_600_000
    assert problems.counts == {}


NOISE = random.Random(6).randbytes(50_000)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("nul.txt", b"abc\0\0\0\1\2" * 50, "binary_file"),
        ("noise.txt", random.Random(1).randbytes(5000), "binary_file"),
        ("noise.jsonl", random.Random(2).randbytes(5000), "binary_file"),
        ("noise.parquet", random.Random(3).randbytes(5000), "broken_parquet"),
        ("empty.parquet", b"", "broken_parquet"),
        ("noise.jsonl.gz", random.Random(4).randbytes(500), "broken_compression"),
        ("noise.jsonl.zst", random.Random(5).randbytes(500), "broken_compression"),
        ("cut.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 5000, mtime=0)[:-30], "broken_compression"),
        (
            "cut.txt.zst",
            zstandard.compress(random.Random(6).randbytes(50_000).hex().encode())[:-9],
            "broken_compression",
        ),
        ("two.txt.gz", gzip.compress(gzip.compress(b"text", mtime=0), mtime=0), "nested_compression"),
        ("latin.txt", "Größe und Maß der Würde".encode("latin-1"), "broken_encoding"),
        ("page.html", b"<p>" + b"\xff\xfe\xfd" * 9 + b"</p>", "broken_encoding"),
        ("script.html", b"<html><script>var a = 1;</script></html>", "empty_text"),
    ],
)
def test_what_cannot_be_read_is_named_and_ends_nothing(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "zz.txt").write_text(TEXT)
    documents, problems = read(tmp_path)
    assert documents[-1].text == TEXT
    assert problems.counts[reason] == 1, problems.report()
    assert problems.examples[0].where.startswith(name)


def test_several_frames_of_zstd_are_one_file(tmp_path: Path) -> None:
    frames = [zstandard.compress(f"line {number}\n".encode() * 50_000) for number in range(3)]
    (tmp_path / "a.txt.zst").write_bytes(b"".join(frames))
    documents, problems = read(tmp_path)
    assert "\n".join(document.text for document in documents).count("line") == 150_000
    assert problems.counts == {}


def test_a_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "EXPANSION_FLOOR", 1 << 20)
    (tmp_path / "bomb.txt.zst").write_bytes(zstandard.compress(b"a line of text\n" * 1_000_000))
    _, problems = read(tmp_path)
    assert problems.counts == {"expands_too_much": 1}


@pytest.mark.parametrize("encoding", ["cp949", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_old_and_wide_encodings(tmp_path: Path, encoding: str) -> None:
    text = (
        "First line in English\n" + TEXT + " 똠방각하와 펲시맨\n"
        if encoding != "cp949"
        else f"a\n{TEXT}\n똠방각하\n"
    )
    (tmp_path / "old.txt").write_bytes(text.encode(encoding))
    documents, problems = read(tmp_path)
    assert problems.counts == {}
    assert documents[0].text == text.rstrip("\n")


def test_tables_without_names_and_with_broken_quotes(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text('1\t"not closed\n2\tsecond\n3\ta\tb\n')
    documents, problems = read(tmp_path, columns=("id", "text"))
    assert [document.text for document in documents] == ['"not closed', "second"]
    assert problems.counts == {"broken_row": 1}
    (tmp_path / "t.tsv").unlink()
    (tmp_path / "t.csv").write_text(
        'id,text\n1,"two\nlines, ""quoted"""\n2,plain\n3,"never closed\n4,after\n'
    )
    documents, problems = read(tmp_path)
    assert [document.text for document in documents] == ['two\nlines, "quoted"', "plain", "after"]
    assert problems.counts == {"broken_row": 1}


def test_html_is_read_as_people_do(tmp_path: Path) -> None:
    (tmp_path / "p.html").write_text(
        "<html><head><title>제목</title><style>p{}</style></head><body><nav><a>메뉴</a></nav>"
        "<h1>큰 제목</h1><p>첫  문단은 <b>굵게</b><br>이어집니다 &amp; 끝</p><script>x()</script>"
        "<ul><li>하나</li><li>둘</li></ul><pre>def f():\n    return 1</pre>"
        "<footer>회사 소개</footer></body></html>"
    )
    (document,), _ = read(tmp_path)
    assert document.text == (
        "큰 제목\n\n첫 문단은 굵게\n이어집니다 & 끝\n\n- 하나\n- 둘\n\ndef f():\n    return 1"
    )


def test_html_in_the_old_code_page_and_with_a_main_part(tmp_path: Path) -> None:
    body = "본문입니다. " * 60
    page = f"<html><meta charset=euc-kr><div>메뉴 광고</div><main><p>{body}</p></main></html>"
    (tmp_path / "p.htm").write_bytes(page.encode("cp949"))
    (document,), _ = read(tmp_path)
    assert document.text == body.strip()


@pytest.mark.parametrize("piece", ["<", "<!--", "<div ", "<a b='", "<![CDATA[", "&", "</", "<div>"])
def test_hostile_html_takes_linear_time(tmp_path: Path, piece: str) -> None:
    (tmp_path / "p.html").write_text(piece * 200_000 + "<p>text")
    read(tmp_path)  # the time limit of a test is the assertion


def test_ranks_share_the_files(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text(f"text {number}")
    source = SourceSettings(name="s", paths=("*",))
    parts = [
        [d.origin for d in read_source(source, tmp_path, Problems(), rank=rank, world_size=3)]
        for rank in range(3)
    ]
    assert sorted(chain.from_iterable(parts)) == [f"{number}.txt#1" for number in range(10)]
    assert all(len(part) in (3, 4) for part in parts)


def test_nothing_outside_of_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    data = tmp_path / "data"
    data.mkdir()
    (data / "link.txt").symlink_to(tmp_path / "secret.txt")
    (data / "good.txt").write_text(TEXT)
    documents, problems = read(data)
    assert [document.text for document in documents] == [TEXT]
    assert problems.counts == {"outside_folder": 1}
    for path in ("../secret.txt", "/etc/passwd", "a/../../secret.txt", ""):
        with pytest.raises(ValidationError):
            SourceSettings(name="s", paths=(path,))


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".a", "a b", "x" * 65])
def test_a_source_s_name_is_safe_as_a_file_name(name: str) -> None:
    with pytest.raises(ValidationError):
        SourceSettings(name=name, paths=("*",))


def test_discovery_makes_a_source_of_every_folder(tmp_path: Path) -> None:
    for path in (
        "뉴스/a.txt",
        "my docs/deep/b.jsonl",
        "[odd]/c.txt",
        "empty/README.md",
        ".git/x.txt",
        "loose.md",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text('{"text": "a"}')
    problems = Problems()
    sources = discover_sources(tmp_path, problems)
    assert [source.name for source in sources] == ["odd", "my-docs", "뉴스", "files"]
    assert problems.counts == {"no_text_inside": 1}
    for source in sources:
        assert len(list(read_source(source, tmp_path, Problems()))) == 1, source


def test_a_missing_folder_and_nothing_readable_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere"):
        discover_sources(tmp_path / "nowhere", Problems())
    (tmp_path / "x.parquet").write_bytes(b"no")
    documents, problems = read(tmp_path)
    with pytest.raises(InvalidInput, match=r"x\.parquet: broken_parquet"):
        problems.require_documents(len(documents), str(tmp_path))


def test_half_characters_of_json_do_not_travel_in_names(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"text": "a\\ud800b", "id": "\\ud800"}')
    (document,), _ = read(tmp_path, id_field="id")
    document.id.encode()


def test_lines_have_numbers_whatever_their_ends() -> None:
    stream = io.BufferedReader(io.BytesIO(b"a\r\nb\n\nlast"))  # type: ignore[arg-type]
    assert list(opening.read_lines(stream)) == [(1, b"a"), (2, b"b"), (3, b""), (4, b"last")]


def test_a_last_pair_of_stars_finds_all_files_below(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.txt").write_text(TEXT, encoding="utf-8")
    documents, _ = read(tmp_path, "a/**")
    assert [document.text.strip() for document in documents] == [TEXT.strip()]
