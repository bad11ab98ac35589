"""Pictures and pages that are pictures: with a recogniser that is scripted, with none, and with Tesseract."""

import base64
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from made_pdf import assembled

from malmoi.assist.retrieval.parsing import ParseLimits, child, parse_file, recognition
from malmoi.assist.retrieval.parsing import parse as parsing_parse
from malmoi.assist.retrieval.parsing.recognition import Picture, Recognised
from malmoi.core.errors import DocumentUnreadable
from malmoi.core.sandbox import Outcome

pytest.importorskip("PIL")
FONT = Path("/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc")


class Scripted:
    """Says the same of every picture, and remembers them."""

    def __init__(self, text: str, confidence: int = 90) -> None:
        self.answer = Recognised(text, confidence)
        self.seen: list[Picture] = []

    def read(self, picture: Picture) -> Recognised:
        assert len(picture.pixels) == picture.stride * picture.height
        assert picture.stride >= picture.width
        self.seen.append(picture)
        return self.answer


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 20), mode: str = "RGB") -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new(mode, size, 255 if mode == "L" else "white").save(out, kind)
    return out.getvalue()


def scan(pages: int) -> bytes:
    """A PDF each page of which is the same grey picture."""
    drawn = (
        b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray "
        b"/Length 1 >>\nstream\n\x80\nendstream"
    )
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 5 0 R "
        b"/Resources << /XObject << /I 4 0 R >> >> >>"
    )
    return assembled(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Count %d /Kids [%s] >>" % (pages, b"3 0 R " * pages),
            3: page,
            4: drawn,
            5: b"<< /Length 28 >>\nstream\nq 99 0 0 99 0 0 cm /I Do Q  \nendstream",
        }
    )


def install(monkeypatch: pytest.MonkeyPatch, found: Scripted | None) -> None:
    monkeypatch.setattr(recognition, "is_installed", lambda: found is not None)
    monkeypatch.setattr(recognition, "recogniser", lambda: found)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Run children in this process; what each was given."""
    seen: list[dict[str, Any]] = []

    async def run(function: str, arguments: dict[str, Any], *, limits: Any) -> Outcome:
        seen.append({"recognise": arguments.get("recognise"), "cpu_seconds": limits.cpu_seconds})
        return Outcome(child.read(**arguments), True)

    monkeypatch.setattr(parsing_parse.sandbox, "run_async", run)
    return seen


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
async def test_pictures_are_read_in_a_second_run(
    kind: str, monkeypatch: pytest.MonkeyPatch, runs: list[dict[str, Any]]
) -> None:
    reader = Scripted("첫 줄\n둘째 줄\n\n끝")
    install(monkeypatch, reader)
    document = await parse_file(picture(kind), name="a.png")
    assert (document.format, document.text) == ("image", "첫 줄\n둘째 줄\n\n끝")
    assert document.remarks == ("The text was recognised in a picture and may hold mistakes.",)
    assert runs == [{"recognise": None, "cpu_seconds": 30}, {"recognise": [1], "cpu_seconds": 50}]
    assert (reader.seen[0].width, reader.seen[0].height) == (80, 40)


async def test_pages_that_are_pictures_are_read_up_to_a_number(
    monkeypatch: pytest.MonkeyPatch, runs: list[dict[str, Any]]
) -> None:
    install(monkeypatch, Scripted("한글을\n읽었다\n\n끝", 20))
    document = await parse_file(scan(3), name="a.pdf", limits=ParseLimits(pictures=2))
    assert [(block.page, document.text[block.start : block.end]) for block in document.blocks] == [
        (1, "한글을 읽었다"),
        (1, "끝"),
        (2, "한글을 읽었다"),
        (2, "끝"),
    ]
    assert document.remarks == (
        "Pages 1-2: text recognised in a picture, which is doubtful.",
        "Page 3 of 3 without text: a picture that would need text recognition.",
    )
    assert [run["recognise"] for run in runs] == [None, [1, 2]]


async def test_without_tesseract_it_is_said(
    monkeypatch: pytest.MonkeyPatch, runs: list[dict[str, Any]]
) -> None:
    install(monkeypatch, None)
    with pytest.raises(DocumentUnreadable) as caught:
        await parse_file(picture(), name="a.png")
    assert (caught.value.reason, "tesseract-ocr-kor" in caught.value.fix) == ("unsupported", True)
    with pytest.raises(DocumentUnreadable, match="Pages 1-2 of 2 without text: a picture") as caught:
        await parse_file(scan(2), name="scan.pdf")
    assert caught.value.reason == "empty"
    assert len(runs) == 2


async def test_recognition_can_be_switched_off(
    monkeypatch: pytest.MonkeyPatch, runs: list[dict[str, Any]]
) -> None:
    install(monkeypatch, Scripted("글"))
    for content in (scan(2), picture()):
        with pytest.raises(DocumentUnreadable):
            await parse_file(content, name="a", limits=ParseLimits(pictures=0))
    assert len(runs) == 2


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says how large it is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


def test_damaged_and_huge_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Scripted("글"))
    whole = picture(size=(300, 200))
    cases: list[tuple[bytes, str]] = [
        (whole[: len(whole) // 2], "damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "damaged"),
        (picture(size=(10_000, 6_001), mode="L"), "too_large"),
        (claiming(100_000, 100_000), "too_large"),
    ]
    for content, reason in cases:
        with pytest.raises(DocumentUnreadable) as caught:
            child.read(base64.b64encode(content).decode(), "a.png", asdict(ParseLimits()))
        assert caught.value.reason == reason


@pytest.mark.skipif(not recognition.is_installed(), reason="needs Tesseract 5 with Korean")
@pytest.mark.skipif(not FONT.exists(), reason="needs the font Noto Serif CJK")
@pytest.mark.parametrize("kind", ["PNG", "PDF"])
async def test_tesseract_reads_korean_in_the_sandbox(kind: str) -> None:
    from PIL import Image, ImageDraw, ImageFont

    text = "말모이는 말을 모은다는 뜻의 우리말 사전이다."
    page = Image.new("L", (1400, 300), 255)
    font = ImageFont.truetype(str(FONT), 40, index=1)
    write: Callable[..., None] = ImageDraw.Draw(page).text
    write((60, 100), text, font=font, fill=0)
    out = io.BytesIO()
    page.save(out, kind, resolution=200)
    document = await parse_file(
        out.getvalue(), name=f"a.{kind.lower()}", limits=ParseLimits(must_confine=True)
    )
    assert document.text == text
