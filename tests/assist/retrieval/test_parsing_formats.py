"""What each format becomes: files made by other libraries, read in the real sandbox."""

import base64
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict

import made_files
import pytest
from made_files import WORD, raw_docx
from made_pdf import Line, pdf

from malmoi.assist.retrieval.document import Document
from malmoi.assist.retrieval.parsing import ParseLimits, child, known_formats, parse, parse_file
from malmoi.assist.retrieval.parsing.markdown import inline
from malmoi.core import sandbox
from malmoi.core.errors import Unsupported
from malmoi.core.sandbox import Limits


@pytest.fixture(scope="module")
def documents() -> Mapping[str, Document]:
    """Each format, read without the help of a name where that is possible."""
    pytest.importorskip("docx")
    pytest.importorskip("hwpx")
    pytest.importorskip("pypdfium2")

    files = {
        kind: [name if kind in ("txt", "md", "csv") else "무명", base64.b64encode(content).decode()]
        for kind, (name, content) in made_files.every_format().items()
    }
    # One child for all, shut in as `parse_file` would do it; starting one for each takes long.
    try:
        told = sandbox.run("parsing_in_child:read_all", {"files": files}, limits=Limits(confined=True)).value
    except Unsupported:
        told = sandbox.run("parsing_in_child:read_all", {"files": files}).value
    return {kind: parse.checked(answer, kind, ParseLimits()) for kind, answer in told.items()}


async def read_blocks(content: bytes, name: str) -> list[tuple[str, str]]:
    document = await parse_file(content, name=name)
    check(document)
    return blocks(document)


def blocks(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def check(document: Document) -> None:
    """What every document promises."""
    behind = 0
    for block in document.blocks:
        text = document.text[block.start : block.end]
        assert behind <= block.start < block.end
        assert text
        assert document.text[behind : block.start] == ("\n\n" if behind else "")
        if block.kind == "table":
            assert "\n".join("\t".join(row) for row in block.rows) == text
        else:
            assert text == text.strip("\n")
            assert block.rows == ()
        assert (block.level > 0) == (block.kind == "heading")
        behind = block.end
    assert behind == len(document.text)
    assert unicodedata.is_normalized("NFC", document.text)
    assert "\x00" not in document.text
    document.text.encode()
    assert Document.from_json(document.to_json()) == document


@pytest.mark.parametrize("kind", sorted(set(known_formats()) - {"image"}))
def test_every_format_is_found_by_its_content(kind: str, documents: Mapping[str, Document]) -> None:
    document = documents[kind]
    check(document)
    assert document.format == kind
    assert document.remarks == () or kind == "eml"
    assert (document.pages is not None) == known_formats()[kind].has_pages


async def test_word_has_headings_lists_and_tables_in_place(documents: Mapping[str, Document]) -> None:
    document = documents["docx"]
    assert document.title == "연간 보고서"
    assert document.properties["author"] == "김말이"
    assert blocks(documents["docx"]) == [
        ("heading", "1장 서론"),
        ("paragraph", "본문입니다. 둘째 문장."),
        ("heading", "1.1 배경"),
        ("list_item", "점"),
        ("list_item", "1. 첫째"),
        ("list_item", "2. 둘째"),
        ("table", "이름\t나이와 사는 곳\t\n박\t\t서울 종로"),
        ("paragraph", "끝말"),
    ]
    assert [block.level for block in document.blocks[:3]] == [1, 0, 2]
    assert document.blocks[6].place == "table 1"


async def test_word_leaves_out_what_is_not_shown() -> None:
    body = (
        "<w:p><w:r><w:t>남은 </w:t></w:r><w:del><w:r><w:delText>지운</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>넣은</w:t></w:r></w:ins><w:r><w:rPr><w:vanish/></w:rPr><w:t>숨은</w:t></w:r>"
        "<w:r><w:instrText>HYPERLINK</w:instrText></w:r></w:p>"
        "<w:p><w:r><w:txbxContent><w:p><w:r><w:t>상자 글</w:t></w:r></w:p></w:txbxContent></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>틀 안</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
    )
    found = await read_blocks(raw_docx(body), "a.docx")
    assert found == [("paragraph", "남은 넣은"), ("paragraph", "상자 글"), ("paragraph", "틀 안")]


async def test_word_notes_stand_behind_their_paragraph() -> None:
    parts = made_files.unzipped(
        raw_docx('<w:p><w:r><w:t>글</w:t><w:footnoteReference w:id="2"/></w:r></w:p>')
    )
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    parts["word/_rels/document.xml.rels"] = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{kind}/footnotes" Target="footnotes.xml"/>'
        f'<Relationship Id="r2" Type="{kind}/image" Target="http://example.com/x.png" TargetMode="External"/>'
        "</Relationships>"
    ).encode()
    parts["word/footnotes.xml"] = (
        f'<w:footnotes xmlns:w="{WORD}"><w:footnote w:type="separator" w:id="0"><w:p/></w:footnote>'
        '<w:footnote w:id="2"><w:p><w:r><w:t>각주</w:t></w:r></w:p></w:footnote></w:footnotes>'
    ).encode()
    assert await read_blocks(made_files.zipped(parts), "a.docx") == [("paragraph", "글"), ("note", "각주")]


async def test_excel_shows_values_as_people_see_them(documents: Mapping[str, Document]) -> None:
    document = documents["xlsx"]
    assert [(block.page, block.place) for block in document.blocks] == [
        (1, "'판매 표'!A1:E3"),
        (1, "'판매 표'!A8"),
        (2, "둘!A1:B1"),
    ]
    assert document.blocks[0].rows == (
        ("과일", "수량", "값", "날짜", "비율"),
        ("사과", "3", "12,345.50", "2024-05-03", "12.5%"),
        ("배", "-2", "₩0", "2024-05-03 14:05:00", "1"),
    )


async def test_slides_have_titles_points_tables_and_notes(documents: Mapping[str, Document]) -> None:
    document = documents["pptx"]
    told = [(b.kind, b.page, b.place, document.text[b.start : b.end]) for b in document.blocks]
    assert told == [
        ("heading", 1, "slide 1", "첫 장"),
        ("list_item", 1, "slide 1", "하나"),
        ("list_item", 1, "slide 1", "둘"),
        ("note", 1, "slide 1, notes", "천천히 말한다."),
        ("heading", 2, "slide 2", "표"),
        ("table", 2, "slide 2", "가\t\n\t나"),
    ]


async def test_hwp_and_hwpx_say_the_same(documents: Mapping[str, Document]) -> None:
    told = [
        ("heading", "1. 서론"),
        ("paragraph", "본문 문단입니다."),
        ("note", "각주의 말"),
        ("heading", "가. 배경"),
        ("table", "이름\t나이\n\t서른"),
        ("paragraph", "a over b"),
        ("paragraph", "마지막 문단."),
    ]
    assert blocks(documents["hwpx"]) == told
    assert blocks(documents["hwp"]) == told


async def test_pdf_lines_become_paragraphs(documents: Mapping[str, Document]) -> None:
    document = documents["pdf"]
    assert (document.title, document.properties["created"], document.pages) == ("Report", "2024-05-03", 2)
    told = [(b.kind, b.page, b.place, document.text[b.start : b.end]) for b in document.blocks]
    assert told == [
        ("heading", 1, "p. 1", "연구 보고서"),
        (
            "paragraph",
            1,
            "p. 1",
            "이것은 첫째 줄이고 다음 줄로 이어지는 문장입니다. 영어 word hyphenation 끝.",
        ),
        ("paragraph", 2, "p. 2", "둘째 쪽의 글."),
    ]


async def test_pdf_furniture_is_left_out_and_told() -> None:
    pages = [
        [
            Line("말모이 설명서", y=810),
            Line(f"- {n} -", x=280, y=30),
            Line(f"{'가나다라마'[n]} 쪽의 글이다.", y=600),
        ]
        for n in range(5)
    ]
    document = await parse_file(pdf(pages), name="a.pdf")
    assert document.text.split("\n\n") == [f"{letter} 쪽의 글이다." for letter in "가나다라마"]
    assert document.remarks == ("Left out, since it stands on most pages: '말모이 설명서'.",)


async def test_pdf_heads_of_chapters_and_lone_numbers_are_left_out() -> None:
    pages = [
        [Line(f"제{1 + n // 3}장 {n + 11}", y=800), Line(f"{'가나다라마바사'[n]} 쪽의 글이다.", y=600)]
        for n in range(7)
    ]
    pages[6] = [Line("xvii", y=800), Line("목차 . . . . . . . . . . 7", y=600)]
    document = await parse_file(pdf(pages), name="a.pdf")
    assert document.text.split("\n\n") == [
        *(f"{letter} 쪽의 글이다." for letter in "가나다라마바"),
        "목차 … 7",
    ]


async def test_pdf_headings_come_from_the_outline() -> None:
    page = [Line("1. 서론", y=700), Line("서론의 글이다. 이어지는 글이다.", y=670), Line("1.1 배경", y=640)]
    outline = {
        100: b"<< /Type /Outlines /First 101 0 R /Last 101 0 R /Count 1 >>",
        101: b"<< /Title <FEFFC11CB860> /Parent 100 0 R /Dest [7 0 R /Fit] /First 102 0 R /Last 102 0 R "
        b"/Count 1 >>",
        102: b"<< /Title <FEFFBC30ACBD> /Parent 101 0 R /Dest [7 0 R /Fit] >>",
    }
    document = await parse_file(pdf([page], extra="/Outlines 100 0 R", more=outline), name="a.pdf")
    told = [(block.kind, block.level, document.text[block.start : block.end]) for block in document.blocks]
    assert told == [
        ("heading", 1, "1. 서론"),
        ("paragraph", 0, "서론의 글이다. 이어지는 글이다."),
        ("heading", 2, "1.1 배경"),
    ]


async def test_pdf_columns_that_were_written_in_disorder_are_sorted() -> None:
    left = [Line(f"왼쪽 {n} 글이 이어지고", x=60, y=700 - 16 * n) for n in range(6)]
    right = [Line(f"오른쪽 {n} 글이 이어지고", x=330, y=692 - 16 * n) for n in range(6)]
    mixed = [side[n] for side in (right, left) for n in (3, 0, 5, 2, 4, 1)]
    text = (await parse_file(pdf([mixed]), name="a.pdf")).text
    places = [text.index(f"{side} {n}") for side in ("왼쪽", "오른쪽") for n in range(6)]
    assert places == sorted(places)


async def test_korean_words_cut_at_a_line_end_are_joined() -> None:
    # The program leaves a space at a line's end, so a line without one was cut within a word.
    lines = [
        "우리는 말과 글을 모으고 그것을 널리 ",
        "알리기 위하여 사전을 만들",
        "기로 하였으며 많은 이가 함께 ",
        "하였다.",
    ]
    page = [Line(text, y=700 - 16 * n) for n, text in enumerate(lines)]
    text = (await parse_file(pdf([page]), name="a.pdf")).text
    assert (
        text
        == "우리는 말과 글을 모으고 그것을 널리 알리기 위하여 사전을 만들기로 하였으며 많은 이가 함께 하였다."
    )


async def test_markdown(documents: Mapping[str, Document]) -> None:
    document = documents["md"]
    assert (document.title, document.properties["author"]) == ("안내서", "이")
    assert blocks(documents["md"]) == [
        ("heading", "시작"),
        ("paragraph", "첫 문단은 링크와 코드다.\n이어진다."),
        ("list_item", "점"),
        ("list_item", "1. 첫째\n이어진 말"),
        ("table", "가\t나\n1\t2 | 3"),
        ("code", "# 제목이 아니다\nx = 1"),
        ("heading", "둘째 제목"),
        ("paragraph", "인용"),
    ]


@pytest.mark.parametrize(
    ("marked", "words"),
    [
        ("*컴포넌트*는 **아주** _좋은_ 것이다", "컴포넌트는 아주 좋은 것이다"),
        ("HTML의 `<article>`과 <b>굵은</b> `a*b*c`", "HTML의 <article>과 굵은 a*b*c"),
        ("2*3*4와 snake_case_name, __init__", "2*3*4와 snake_case_name, init"),
        ("**[`링크`](x)와 *강조*다.**", "링크와 강조다."),
        (r"\*별\* 그대로", "*별* 그대로"),
        ("![그림](a.png) [글][1]", "그림 [글][1]"),
    ],
    ids=["emphasis", "code", "words", "nested", "escape", "image"],
)
def test_markdown_within_a_line(marked: str, words: str) -> None:
    assert inline(marked) == words


async def test_web_pages_leave_out_scripts_menus_and_hidden_text(
    documents: Mapping[str, Document],
) -> None:
    assert blocks(documents["html"]) == [
        ("heading", "제목"),
        ("paragraph", "본문 굵게\n둘째 줄"),
        ("list_item", "하나"),
        ("list_item", "둘"),
        ("table", "가\t나\n1\t2"),
        ("code", "x  = 1\ny = 2"),
        ("paragraph", "끝 글"),
    ]


async def test_mail_prefers_its_text_and_lists_what_is_attached(
    documents: Mapping[str, Document],
) -> None:
    document = documents["eml"]
    assert blocks(documents["eml"]) == [
        ("heading", "회의 안내"),
        (
            "note",
            "From: 김말이 <kim@example.com>\nTo: lee@example.com\nDate: Fri, 03 May 2024 10:00:00 +0900",
        ),
        ("paragraph", "내일 회의가 있습니다."),
        ("paragraph", "참석해 주세요."),
        ("note", "Attachments: 자료.zip"),
    ]
    assert document.remarks == ("1 attached files were not opened.",)


async def test_tables_as_text(documents: Mapping[str, Document]) -> None:
    assert blocks(documents["csv"]) == [
        ("table", "이름\t나이\t말\n김, 말이\t30\t두 줄\n박\t\t"),
    ]
    assert await read_blocks(b"a;b\n1,5;2\n", "b.csv") == [("table", "a\tb\n1,5\t2")]


async def test_underlined_lines_of_plain_text_are_headings() -> None:
    text = (
        "====\n책\n====\n\n첫 장\n-----\n글이다.\n\n첫 절\n~~~~~\n\n글\n\n"
        "둘째 장\n-----\n\n-----\n\n끝 글이다. 길다.\n---\n"
    )
    document = await parse_file(text.encode(), name="a.rst")
    told = [(block.kind, block.level, document.text[block.start : block.end]) for block in document.blocks]
    assert told == [
        ("heading", 1, "책"),
        ("heading", 2, "첫 장"),
        ("paragraph", 0, "글이다."),
        ("heading", 3, "첫 절"),
        ("paragraph", 0, "글"),
        ("heading", 2, "둘째 장"),
        ("paragraph", 0, "-----"),
        ("paragraph", 0, "끝 글이다. 길다.\n---"),
    ]


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "cp949", "utf-16", "utf-16-be", "utf-32"])
def test_text_in_any_charset(charset: str) -> None:
    text = "가나다라 마바사 아자차. Plain words too.\n\n둘째 문단이다. 뷁 똠방각하.\n"
    told = child.read(base64.b64encode(text.encode(charset)).decode(), "a.txt", asdict(ParseLimits()))
    assert told["text"] == text.strip()


async def test_text_is_cleaned_but_keeps_its_words() -> None:
    decomposed = unicodedata.normalize("NFD", "각하")
    raw = f"{decomposed}\x00 a\u200bb\ufeff\r\nc\u00add\u2028e \U000e0041숨김".encode()
    document = await parse_file(raw + "\n\n\n\n\n끝".encode(), name="a.txt")
    check(document)
    assert document.text == "각하 ab\ncd\ne 숨김\n\n끝"
