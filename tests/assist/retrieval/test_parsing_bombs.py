"""Files that are small and ask for very much: archives in archives, a million objects, fonts without end."""

import struct
import zlib

import pytest
from made_files import raw_docx, unzipped, zipped
from made_pdf import assembled

from malmoi.assist.retrieval.document import Document
from malmoi.assist.retrieval.parsing import ParseLimits, parse_file
from malmoi.core.errors import DocumentUnreadable
from malmoi.core.sandbox import SandboxFailed

PAGES = b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>"
CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"


def stream(data: bytes, more: bytes = b"") -> bytes:
    packed = zlib.compress(data)
    return b"<< /Length %d /Filter /FlateDecode %s >>\nstream\n%s\nendstream" % (len(packed), more, packed)


async def read_or_refused(content: bytes, name: str) -> Document | None:
    """A document, or a refusal that names the file: never a crash, and nothing else."""
    limits = ParseLimits(seconds=2.0, seconds_per_megabyte=0.2)
    try:
        return await parse_file(content, name=name, limits=limits)
    except (DocumentUnreadable, SandboxFailed) as error:
        told = error.message
    assert name in told
    return None


async def test_archives_in_archives_are_never_opened() -> None:
    inner = zipped({"zeros": bytes(8 << 20)})
    for _ in range(5):
        inner = zipped({f"{number}.zip": inner for number in range(16)})  # 8 TB, if it were opened
    assert len(inner) < 1 << 20
    with pytest.raises(DocumentUnreadable) as caught:
        await parse_file(inner, name="a.zip")
    assert caught.value.reason == "unsupported"
    parts = unzipped(raw_docx("<w:p><w:r><w:t>글</w:t></w:r></w:p>"))
    parts["word/embeddings/inner.docx"] = inner
    parts["word/media/inner.zip"] = inner
    document = await parse_file(zipped(parts), name="a.docx")
    assert document.text == "글"


async def test_a_pdf_with_a_million_objects() -> None:
    bodies = [CATALOG, PAGES, b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 999999 0 R >>"]
    content, places = b"%PDF-1.7\n", []
    for number, body in enumerate(bodies, start=1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(content)
    # Each of the rest claims to be where the page is; packed, the table of all takes a few kilobytes.
    rows = [struct.pack(">BIH", 0, 0, 65535), *(struct.pack(">BIH", 1, place, 0) for place in places)]
    rows += [struct.pack(">BIH", 1, start, 0), *[struct.pack(">BIH", 1, places[2], 0)] * 999_996]
    table = stream(b"".join(rows), b"/Type /XRef /Size 1000001 /W [1 4 2] /Root 1 0 R")
    content += b"4 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n" % (table, start)
    assert len(content) < 100_000
    await read_or_refused(content, "million.pdf")


@pytest.mark.parametrize("kind", ["fonts", "font", "form", "arrays", "tree", "pages"])
async def test_a_pdf_without_an_end(kind: str) -> None:
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R /Resources << %s >> >>"
    objects = {1: CATALOG, 2: PAGES, 3: page % b"", 4: stream(b"")}
    if kind == "fonts":  # each page of text in another font, all with a table of 65,536 letters
        names = b" ".join(b"/F%d %d 0 R" % (number, 10 + number) for number in range(5000))
        shown = b"\n".join(b"BT /F%d 9 Tf <0041> Tj ET" % number for number in range(5000))
        table = b"\n".join(b"<%04X> <%04X> <%04X>" % (one, one, one) for one in range(1 << 16))
        objects |= {
            3: page % (b"/Font << %s >>" % names),
            4: stream(shown),
            5: stream(b"begincmap 65536 beginbfrange\n%s\nendbfrange endcmap" % table),
        }
        font = b"<< /Type /Font /Subtype /Type0 /BaseFont /B%d /Encoding /Identity-H /ToUnicode 5 0 R >>"
        objects |= {10 + number: font % number for number in range(5000)}
    elif kind == "font":  # a font that is its own descendant
        objects |= {
            3: page % b"/Font << /F 5 0 R >>",
            4: stream(b"BT /F 9 Tf <0041> Tj ET"),
            5: b"<< /Type /Font /Subtype /Type0 /BaseFont /B /Encoding 5 0 R /DescendantFonts [5 0 R] "
            b"/ToUnicode 5 0 R >>",
        }
    elif kind == "form":  # a drawing that draws itself twice
        objects |= {
            3: page % b"/XObject << /X 5 0 R >>",
            4: stream(b"/X Do /X Do"),
            5: stream(
                b"/X Do /X Do",
                b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >>",
            ),
        }
    elif kind == "arrays":
        objects |= {5: b"[" * 500_000 + b"]" * 500_000, 3: page % b"/Font 5 0 R"}
    elif kind == "tree":  # pages beneath pages
        depth = 20_000
        above = b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>"
        objects |= {5 + number: above % (6 + number) for number in range(depth)}
        objects |= {2: above % 5, 5 + depth: page % b""}
    else:  # pages that are their own children
        objects |= {2: b"<< /Type /Pages /Count 2 /Kids [2 0 R 2 0 R] >>"}
    await read_or_refused(assembled(objects), f"{kind}.pdf")
