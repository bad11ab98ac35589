"""A PDF of many Korean pages, written byte by byte: what an office prints, without a font inside.

Every UTF-16 unit is a glyph of its own, and a ToUnicode map says what it means, as programs write Korean
(ISO 32000-1, 9.10.3).
"""

import zlib
from collections.abc import Iterator

from malmoi.serve.documents.bench.generated import Author

_LINE = 38  # letters
_LINES = 42
_FIRST = 7  # number of the first page's object
_TO_UNICODE = b"".join(
    (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n",
        b"/CMapName /Pages def /CMapType 2 def\n",
        b"1 begincodespacerange <0000> <FFFF> endcodespacerange\n",
        *(
            b"64 beginbfrange\n"
            + b"".join(b"<%02X00> <%02XFF> <%02X00>\n" % (one, one, one) for one in range(block, block + 64))
            + b"endbfrange\n"
            for block in range(0, 256, 64)
        ),
        b"endcmap CMapName currentdict /CMap defineresource pop end end",
    )
)


def generated_pdf(pages: int, *, seed: int = 2) -> tuple[bytes, str]:
    """A PDF file, and a sentence that stands on its last page alone.

    Args:
        pages: how many; each has about 1,500 letters.
        seed: of the words.
    """
    author = Author(seed)
    last = "마지막쪽표시 문장은 여기에만 적는다."
    texts = [list(_lines(author)) for _ in range(pages)]
    texts[-1][-1] = last
    return _file(texts), last


def _lines(author: Author) -> Iterator[str]:
    text = ""
    for _ in range(_LINES):
        while len(text) < _LINE:
            text = f"{text} {author.sentence()}".strip()
        cut = text.rfind(" ", 0, _LINE + 1)
        yield text[:cut]
        text = text[cut + 1 :]


def _file(pages: list[list[str]]) -> bytes:
    kids = b" ".join(b"%d 0 R" % (_FIRST + 2 * number) for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(pages), kids),
        b"<< /Type /Font /Subtype /Type0 /BaseFont /Batang /Encoding /Identity-H "
        b"/DescendantFonts [4 0 R] /ToUnicode 6 0 R >>",
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Batang /DW 1000 /W [32 [300] 33 126 550] "
        b"/FontDescriptor 5 0 R /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
        b"<< /Type /FontDescriptor /FontName /Batang /Flags 4 /FontBBox [0 -200 1000 900] /ItalicAngle 0 "
        b"/Ascent 880 /Descent -120 /CapHeight 700 /StemV 80 >>",
        _stream(_TO_UNICODE),
    ]
    for number, lines in enumerate(pages):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (_FIRST + 2 * number + 1)
        )
        objects.append(_stream(b"\n".join(_shown(line, at) for at, line in enumerate(lines))))
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def _shown(line: str, at: int) -> bytes:
    words = line.encode("utf-16-be").hex().encode()
    return b"BT /F1 11 Tf 1 0 0 1 72 %d Tm <%s> Tj ET" % (780 - 17 * at, words)


def _stream(data: bytes) -> bytes:
    packed = zlib.compress(data)
    return b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed)
