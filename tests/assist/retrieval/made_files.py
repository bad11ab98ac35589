"""Office files, made by the libraries that people make them with."""

import io
import zipfile
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from made_pdf import Line, pdf

CONTENT_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'wordprocessingml.document.main+xml"/></Types>'
)
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def zipped(files: Mapping[str, str | bytes], *, packed: bool = True) -> bytes:
    """An archive."""
    out = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def unzipped(content: bytes) -> dict[str, bytes]:
    """The files of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def raw_docx(body: str) -> bytes:
    """A Word file with this XML in its body."""
    document = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    return zipped({"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": document})


def docx() -> bytes:
    """A Word file: headings, lists, a table with a merged cell."""
    import docx as library

    made = library.Document()
    made.core_properties.title = "연간 보고서"
    made.core_properties.author = "김말이"
    made.add_heading("1장 서론", 1)
    made.add_paragraph("본문입니다. 둘째 문장.")
    made.add_heading("1.1 배경", 2)
    made.add_paragraph("점", style="List Bullet")
    made.add_paragraph("첫째", style="List Number")
    made.add_paragraph("둘째", style="List Number")
    table = made.add_table(2, 3)
    table.cell(0, 0).text = "이름"
    table.cell(0, 1).merge(table.cell(0, 2)).text = "나이와 사는 곳"
    table.cell(1, 0).text = "박"
    table.cell(1, 2).text = "서울\n종로"
    made.add_paragraph("끝말")
    return _saved(made)


def xlsx() -> bytes:
    """An Excel file: two sheets, two regions, formats, a date."""
    import datetime

    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "판매 표"
    sheet.append(["과일", "수량", "값", "날짜", "비율"])
    sheet.append(["사과", 3, 12345.5, datetime.date(2024, 5, 3), 0.125])
    sheet.append(["배", -2, 0.30000000000000004, datetime.datetime(2024, 5, 3, 14, 5), 1])
    sheet["C2"].number_format = "#,##0.00"
    sheet["E2"].number_format = "0.0%"
    sheet["C3"].number_format = '"₩"#,##0'
    sheet["A8"] = "메모"
    book.create_sheet("둘").append(["참", True])
    return _saved(book)


def pptx() -> bytes:
    """A PowerPoint file: a title with points and notes, a table."""
    import pptx as library
    from pptx.util import Inches

    made = library.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = "첫 장"
    slide.placeholders[1].text = "하나\n둘"
    slide.notes_slide.notes_text_frame.text = "천천히 말한다."
    slide = made.slides.add_slide(made.slide_layouts[5])
    slide.shapes.title.text = "표"
    table = slide.shapes.add_table(2, 2, 0, 0, Inches(3), Inches(1)).table
    table.cell(0, 0).text, table.cell(1, 1).text = "가", "나"
    return _saved(made)


def hwpx() -> bytes:
    """An HWPX file: outline headings, a note, a table, an equation."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from hwpx.document import HwpxDocument

        made = HwpxDocument.new()
        made.add_heading("서론", level=1)
        paragraph = made.add_paragraph("본문 문단입니다.", inherit_style=False)
        made.add_footnote("각주의 말", paragraph=paragraph)
        made.add_heading("배경", level=2)
        table = made.add_table(2, 2)
        table.set_cell_text(0, 0, "이름")
        table.set_cell_text(0, 1, "나이")
        table.set_cell_text(1, 1, "서른")
        made.add_equation("a over b")
        made.add_paragraph("마지막 문단.", inherit_style=False)
        return bytes(made.to_bytes())


def hwp() -> bytes:
    """The same as an HWP 5 file, written by another program's writer."""
    from hwpx.hwp5.writer import write_hwp5

    return bytes(write_hwp5(unzipped(hwpx())))


def pdf_file() -> bytes:
    """Two pages of PDF: a heading, a paragraph over three lines, a number at the foot."""
    page = [
        Line("연구 보고서", y=740, size=20),
        Line("이것은 첫째 줄이고 다음 줄로 이어지는 ", y=700),
        Line("문장입니다. 영어 word hyphen-", y=684),
        Line("ation 끝.", y=668),
    ]
    second = [Line("둘째 쪽의 글.", y=700)]
    return pdf([page, second], info="/Title (Report) /CreationDate (D:20240503101500)")


def eml() -> bytes:
    """A message with a text, the same as HTML, and an attachment."""
    message = EmailMessage()
    message["From"] = "김말이 <kim@example.com>"
    message["To"] = "lee@example.com"
    message["Subject"] = "회의 안내"
    message["Date"] = "Fri, 03 May 2024 10:00:00 +0900"
    message.set_content("내일 회의가 있습니다.\n\n참석해 주세요.\n")
    message.add_alternative("<p>다른 글</p>", subtype="html")
    message.add_attachment(b"PK\x03\x04", maintype="application", subtype="zip", filename="자료.zip")
    return message.as_bytes()


HTML = """<!doctype html><html><head><title>쪽</title><script>steal()</script></head><body>
<nav>메뉴</nav><main><h1>제목</h1><p>본문 <b>굵게</b><br>둘째 줄</p>
<p style="display:none">숨은 글</p><ul><li>하나<li>둘</ul>
<table><tr><th>가<th>나<tr><td>1<td>2</table><pre>x  = 1
y = 2</pre><p>끝 글</p></main></body></html>"""

MARKDOWN = """---
title: "안내서"
author: 이
---
# 시작 {#start}

첫 **문단**은 [링크](https://example.com/a_(b))와 `코드`다.
이어진다.

- 점
1. 첫째
   이어진 말

| 가 | 나 |
|----|:--:|
| 1  | 2 \\| 3 |

```python
# 제목이 아니다
x = 1
```

<!-- 숨은 글 -->
둘째 제목
---------
> 인용
"""

NOTEBOOK = """{"nbformat": 4, "cells": [
 {"cell_type": "markdown", "source": ["# 공책\\n", "글"]},
 {"cell_type": "code", "source": "print(1)", "outputs": [{"output_type": "stream", "text": ["1\\n"]}]}]}"""

CSV = '이름,나이,말\n"김, 말이",30,"두\n줄"\n박,,\n'


def every_format() -> dict[str, tuple[str, bytes]]:
    """A file of each format: its name and its bytes."""
    return {
        "txt": ("a.txt", "첫 문단이다.\n\n둘째 문단이다.\n".encode()),
        "md": ("a.md", MARKDOWN.encode()),
        "html": ("a.html", HTML.encode()),
        "csv": ("a.csv", CSV.encode()),
        "ipynb": ("a.ipynb", NOTEBOOK.encode()),
        "eml": ("a.eml", eml()),
        "pdf": ("a.pdf", pdf_file()),
        "docx": ("a.docx", docx()),
        "xlsx": ("a.xlsx", xlsx()),
        "pptx": ("a.pptx", pptx()),
        "hwpx": ("a.hwpx", hwpx()),
        "hwp": ("a.hwp", hwp()),
    }


def _saved(made: Any) -> bytes:
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()
