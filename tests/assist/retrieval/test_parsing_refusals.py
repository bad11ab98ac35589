"""What is refused, and how it is said; files that ask for too much; what a taken-over parser could answer."""

import base64
import contextlib
import io
import json
import struct
import zipfile
from dataclasses import asdict
from typing import Any

import made_files
import pytest
from made_files import CONTENT_TYPES, raw_docx, zipped
from made_pdf import Line, assembled, pdf

from malmoi.assist.retrieval.document import Document
from malmoi.assist.retrieval.parsing import ParseLimits, child, parse_file
from malmoi.assist.retrieval.parsing import parse as parsing_parse
from malmoi.core.errors import DocumentUnreadable, Unsupported
from malmoi.core.sandbox import Outcome, SandboxFailed


async def refused(content: bytes, name: str, limits: ParseLimits | None = None) -> DocumentUnreadable:
    """The refusal of a file, in this process: a child for each would take most of the time of these tests."""
    with pytest.raises(DocumentUnreadable) as caught:
        read(content, name, limits)
    assert name in caught.value.message
    return caught.value


def read(content: bytes, name: str, limits: ParseLimits | None = None) -> Document:
    told = child.read(base64.b64encode(content).decode(), name, asdict(limits or ParseLimits()))
    return parsing_parse.checked(json.loads(json.dumps(told)), name, limits or ParseLimits())


def compound(streams: dict[str, bytes]) -> bytes:
    """A compound file (OLE) by another library's writer."""
    cfb = pytest.importorskip("hwpx.hwp5.cfb")
    return bytes(cfb.build_compound_file(list(streams.items())))


def hwp_header(flags: int, version: int = 0x05010000) -> bytes:
    return b"HWP Document File".ljust(32, b"\0") + struct.pack("<II", version, flags) + bytes(216)


@pytest.mark.parametrize(
    ("content", "name", "what"),
    [
        (zipped({"a.txt": "x"}), "a.docx", "a zip archive"),
        (b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00" + bytes(200), "a.docx", "a Windows program"),
        (b"\x7fELF\x02\x01\x01" + bytes(100), "a.pdf", "a program"),
        (b"{\\rtf1 hello}", "a.rtf", "an RTF document"),
        (b"HWP Document File V3.00 \x1a\x01\x02\x03\x04\x05", "a.hwp", "an HWP 3 document"),
        (bytes(range(256)) * 40, "a.txt", "binary data"),
        (zipped({"mimetype": "application/vnd.oasis.opendocument.text"}), "a.odt", "opendocument.text"),
        (zipped({"[Content_Types].xml": "<x/>", "xl/workbook.bin": "x"}), "a.xlsb", "binary Excel"),
    ],
    ids=["zip", "exe", "elf", "rtf", "hwp3", "bytes", "odt", "xlsb"],
)
async def test_what_is_no_document_is_named(content: bytes, name: str, what: str) -> None:
    error = await refused(content, name)
    assert error.reason == "unsupported"
    assert what in error.message
    assert error.fix


@pytest.mark.parametrize("flags", [1 << 1, 1 << 8], ids=["password", "certificate"])
async def test_encrypted_hwp(flags: int) -> None:
    error = await refused(compound({"FileHeader": hwp_header(flags | 1), "DocInfo": b"x"}), "a.hwp")
    assert error.reason == "encrypted"


async def test_locked_hwp() -> None:
    error = await refused(compound({"FileHeader": hwp_header(1 << 2), "ViewText/Section0": b"x"}), "a.hwp")
    assert error.reason == "locked"
    assert "배포용 문서" in error.message


async def test_other_compound_files() -> None:
    error = await refused(compound({"EncryptedPackage": b"x" * 600, "EncryptionInfo": b"y"}), "a.docx")
    assert error.reason == "encrypted"
    error = await refused(compound({"WordDocument": b"x" * 600}), "a.doc")
    assert (error.reason, "docx" in error.fix) == ("unsupported", True)


async def test_encrypted_hwpx() -> None:
    manifest = (
        '<odf:manifest xmlns:odf="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><odf:file-entry '
        'odf:full-path="Contents/section0.xml"><odf:encryption-data/></odf:file-entry></odf:manifest>'
    )
    parts = {
        "mimetype": "application/hwp+zip",
        "META-INF/manifest.xml": manifest,
        "Contents/content.hpf": "?",
    }
    assert (await refused(zipped(parts), "a.hwpx")).reason == "encrypted"


async def test_zip_entries_marked_as_encrypted() -> None:
    content = bytearray(zipped({"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": "x" * 99}))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := content.find(magic, at + 1)) >= 0:
            content[at + offset] |= 1
    assert (await refused(bytes(content), "a.docx")).reason == "encrypted"


async def test_encrypted_pdf() -> None:
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Count 0 /Kids [] >>",
        3: b"<< /Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O <"
        + b"41" * 32
        + b"> /U <"
        + b"42" * 32
        + b"> >>",
    }
    content = assembled(objects, "/Encrypt 3 0 R /ID [<00112233445566778899aabbccddeeff> <00>]")
    assert (await refused(content, "a.pdf")).reason == "encrypted"


async def test_empty_files() -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        await parse_file(b"", name="a.txt")
    assert caught.value.reason == "empty"
    assert (await refused(b" \n\n ", "a.txt")).reason == "empty"
    assert (await refused(pdf([[]]), "a.pdf")).reason == "empty"


async def test_another_name_is_remarked() -> None:
    document = read(pdf([[Line("글이 있다.")]]), "a.docx")
    assert document.format == "pdf"
    assert document.remarks == ("The name promises Word; the content is pdf.",)


# ---- too much


def bomb(size: int) -> bytes:
    """A docx whose body unpacks to `size` bytes of spaces."""
    body = b'<w:document xmlns:w="x">' + b" " * size
    return zipped({"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": body})


async def test_zip_bombs_by_ratio_by_size_and_by_entries() -> None:
    assert "100 times" in (await refused(bomb(4 << 20), "a.docx")).message
    many = zipped({f"{n}": "" for n in range(10_001)})
    assert "10,001 entries" in (await refused(many, "a.docx")).message
    large = zipped({"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": bytes(5000)})
    limits = ParseLimits(unpacked_bytes=2000)
    assert (await refused(large, "a.docx", limits)).reason == "too_large"


async def test_a_lie_about_the_size_is_found_while_reading() -> None:
    content = bytearray(bomb(4 << 20))
    real = struct.pack("<I", (4 << 20) + 24)
    assert content.count(real) == 2  # in the local and in the central header
    told = bytes(content).replace(real, struct.pack("<I", 1000))
    assert (await refused(told, "a.docx")).reason in ("too_large", "damaged")


async def test_names_that_point_out_of_an_archive() -> None:
    for name in ("../evil", "/etc/passwd", "a/../../b", "C:\\x", "a\\..\\..\\b"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("[Content_Types].xml", CONTENT_TYPES)
            archive.writestr("word/document.xml", "<x/>")
            archive.writestr(zipfile.ZipInfo(name), "x")
        assert "points out of it" in (await refused(out.getvalue(), "a.docx")).message


@pytest.mark.parametrize("entity", ["laughs", "file"], ids=["laughs", "file"])
async def test_xml_with_entities_is_refused(entity: str) -> None:
    if entity == "laughs":
        lines = ['<!ENTITY a0 "ha">'] + [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)]
        use = "&a11;"
    else:
        lines, use = ['<!ENTITY a SYSTEM "file:///etc/passwd">'], "&a;"
    document = (
        f"<!DOCTYPE x [{''.join(lines)}]>"
        f'<w:document xmlns:w="{made_files.WORD}"><w:body><w:p><w:r><w:t>{use}</w:t></w:r></w:p>'
        "</w:body></w:document>"
    )
    error = await refused(
        zipped({"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": document}), "a.docx"
    )
    assert error.reason == "damaged"


async def test_a_pdf_that_declares_a_million_pages() -> None:
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Count 1000000 /Kids [3 0 R] >>",
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
    }
    assert "1,000,000 pages" in (await refused(assembled(objects), "a.pdf")).message


async def test_more_pages_or_text_than_allowed() -> None:
    limits = ParseLimits(pages=2, characters=100)
    assert "3 pages" in (await refused(pdf([[Line("글")]] * 3), "a.pdf", limits)).message
    assert "100 characters" in (await refused(("가" * 101).encode(), "a.txt", limits)).message
    assert (await refused(("가,나\n" * 40).encode(), "a.csv", limits)).reason == "too_large"
    assert read(("가" * 100).encode(), "a.txt", limits).text == "가" * 100
    with pytest.raises(DocumentUnreadable) as caught:
        await parse_file(b"x" * 50, name="a.txt", limits=ParseLimits(file_bytes=49))
    assert caught.value.reason == "too_large"


async def test_a_sheet_that_claims_to_be_huge_costs_only_its_cells() -> None:
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        '<dimension ref="A1:XFD1048576"/><sheetData>'
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="2"><c r="XFD2"><v>2</v></c></row>'
        '<row r="1048576"><c r="XFD1048576"><v>3</v></c><c r="ZZZ9999999"><v>4</v></c></row>'
        "</sheetData></worksheet>"
    )
    parts = made_files.unzipped(made_files.xlsx())
    parts["xl/worksheets/sheet1.xml"] = sheet.encode()
    document = read(zipped(parts), "a.xlsx")
    assert document.text.split("\n\n")[:3] == ["1", "2", "3"]


async def test_depth_width_and_length() -> None:
    deep = "<w:tbl><w:tr><w:tc>" * 5000 + "</w:tc></w:tr></w:tbl>" * 5000
    assert (await refused(raw_docx(deep), "a.docx")).reason == "damaged"
    shallow = (
        "<w:tbl><w:tr><w:tc>" * 60 + "<w:p><w:r><w:t>속</w:t></w:r></w:p>" + "</w:tc></w:tr></w:tbl>" * 60
    )
    assert read(raw_docx(shallow), "a.docx").text == "속"
    for page in (
        "<html><body>" + "<div>" * 100_000 + "글",
        "<html><table>" * 30_000,
        "<html>" + "<b" * 300_000,
    ):
        await either(f"<html><body>{page}".encode(), "a.html")
    cell = "가" * 1_000_000
    assert len((await parse_file(f"a,{cell}\nb,c\n".encode(), name="a.csv")).text) == 1_000_000 + 6
    await either(b'a,"' + b"x" * 5_100_000, "a.csv")


@pytest.mark.parametrize(
    "bait",
    ["[" * 200_000, "![](" * 60_000, "**" * 100_000, "`" * 200_001, "<a " * 80_000, "|-" * 100_000,
     "- " * 100_000, "\n".join(["|a|", "|-|"] * 8_000), " " * 300_000 + "x", "#" * 200_000, "<!--" * 60_000,
     "1. " * 40_000, "\\" * 200_000, "a: " * 90_000, "> " * 100_000],
    ids=["brackets", "images", "stars", "ticks", "tags", "rules", "dashes", "tables", "spaces", "hashes",
         "comments", "numbers", "slashes", "headers", "quotes"],
)  # fmt: skip
def test_no_pattern_takes_long(bait: str) -> None:
    import time

    from malmoi.assist.retrieval.parsing import delimited, markdown, plain
    from malmoi.assist.retrieval.parsing.detect import detect
    from malmoi.assist.retrieval.parsing.writer import Writer
    from malmoi.assist.retrieval.sentences import sentence_spans

    started = time.process_time()
    for reader in (markdown.read, plain.read, delimited.read):
        reader(bait, Writer("md", name="a", characters=5_000_000))
    detect(bait.encode(), "a.md", ParseLimits())
    sentence_spans(bait)
    assert time.process_time() - started < 4


async def either(content: bytes, name: str) -> None:
    """A document or an error of ours, out of a child that neither crashed nor ran into a limit."""
    with contextlib.suppress(DocumentUnreadable):
        await parse_file(content, name=name)


@pytest.mark.parametrize("kind", ["parts", "forwards", "cells", "headers"])
async def test_what_is_nested_or_repeated_without_end(kind: str) -> None:
    head = b"From: a\nSubject: b\nMIME-Version: 1.0\n"
    part = b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n"
    content = {
        "parts": head + b"".join(part % (n, n) for n in range(1500)),
        "forwards": head + b"Content-Type: message/rfc822\n\n" * 3000,
        "cells": b'{"nbformat":4,"cells":' + b"[" * 100_000,
        "headers": head + b"".join(b"X%d: y\n" % n for n in range(50_000)) + b"\ntext",
    }[kind]
    if kind == "headers":
        assert read(content, "a.eml").text.endswith("text")
    else:
        assert (await refused(content, "a.eml")).reason == "damaged"


def test_bytes_that_are_no_letters_are_told() -> None:
    text = "가나다라 마바사 아자차카 타파하. " * 30
    document = read(text.encode() + b"\xff\xfe " + text.encode(), "a.txt")
    assert document.text.count("가나다라") == 60
    assert document.remarks == ("2 characters could not be read as utf-8.",)


def test_more_paragraphs_than_allowed() -> None:
    with pytest.raises(DocumentUnreadable, match="more than 10 paragraphs"):
        read(b"a\n\n" * 11, "a.txt", ParseLimits(blocks=10))


async def test_memory_and_time_are_limited() -> None:
    table = ("가,나,다\n" * 200_000).encode()
    with pytest.raises(SandboxFailed) as caught:
        await parse_file(table, name="큰 표.csv", limits=ParseLimits(memory_bytes=120 << 20))
    assert caught.value.reason == "memory"
    assert "큰 표.csv" in caught.value.message
    words = ("<html><body>" + "<p>가</p>" * 1_000_000).encode()
    limits = ParseLimits(seconds=1.0, seconds_per_megabyte=0.0)
    with pytest.raises(SandboxFailed) as caught:
        await parse_file(words, name="a.html", limits=limits)
    assert caught.value.reason == "timeout"


# ---- confinement, and answers that are not believed


async def test_the_child_is_shut_in_where_the_kernel_can(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    async def run(function: str, arguments: Any, *, limits: Any) -> Outcome:
        seen.append(limits.confined)
        if limits.confined:
            raise Unsupported("no Landlock")
        return Outcome(
            {"format": "txt", "title": "", "text": "글", "blocks": [["paragraph", 0, 1, 0, None, ""]],
             "pages": None, "properties": {}, "remarks": []},
            True,
        )  # fmt: skip

    monkeypatch.setattr(parsing_parse.sandbox, "run_async", run)
    assert (await parse_file(b"x", name="a.txt")).text == "글"
    assert seen == [True, False]
    with pytest.raises(Unsupported):
        await parse_file(b"x", name="a.txt", limits=ParseLimits(must_confine=True))


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "가\x00"},
        {"text": "\ud800"},
        {"text": "\u1100\u1161"},
        {"text": 3},
        {"format": "exe"},
        {"blocks": [["paragraph", 0, 3, 0, None, ""]]},
        {"blocks": [["paragraph", 1, 2, 0, None, ""]]},
        {"blocks": [["paragraph", 0, 1, 0, None, ""], ["paragraph", 0, 2, 0, None, ""]]},
        {"blocks": [["evil", 0, 2, 0, None, ""]]},
        {"blocks": [["paragraph", 0, 2, 0, -1, ""]]},
        {"blocks": [["paragraph", 0, 2, 0, None, 7]]},
        {"blocks": []},
        {"blocks": None},
        {"properties": {"a": 1}},
        {"title": "x" * 5000},
        {"pages": True},
    ],
    ids=lambda wrong: repr(wrong)[:40].encode("ascii", "replace").decode(),
)
async def test_a_wrong_answer_is_refused(wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    right = {"format": "txt", "title": "", "text": "글말", "pages": None, "properties": {}, "remarks": [],
             "blocks": [["paragraph", 0, 2, 0, None, ""]]}  # fmt: skip

    async def run(function: str, arguments: Any, *, limits: Any) -> Outcome:
        return Outcome({**right, **wrong}, True)

    monkeypatch.setattr(parsing_parse.sandbox, "run_async", run)
    with pytest.raises(SandboxFailed) as caught:
        await parse_file(b"x", name="a.txt")
    assert caught.value.reason == "output"
