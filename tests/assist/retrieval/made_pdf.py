"""PDF files by bytes: pages of lines at given places, in a font that is named and not embedded."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """Words at a place in points, from the lower left corner."""

    text: str
    x: float = 72.0
    y: float = 700.0
    size: float = 11.0


def pdf(
    pages: Sequence[Sequence[Line]],
    *,
    info: str = "",
    extra: str = "",
    more: Mapping[int, bytes] | None = None,
) -> bytes:
    """A PDF 1.7 file. Each UTF-16 unit is a glyph of its own; ToUnicode says what it means."""
    objects: dict[int, bytes] = dict(more or {})
    first = 7
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(pages)))
    objects[1] = f"<< /Type /Catalog /Pages 2 0 R {extra} >>".encode()
    objects[2] = f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode()
    objects[3] = (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /Batang /Encoding /Identity-H "
        b"/DescendantFonts [4 0 R] /ToUnicode 6 0 R >>"
    )
    widths = "/W [32 [300] 33 126 550]"
    objects[4] = (
        "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Batang /DW 1000 "
        + widths
        + " /FontDescriptor 5 0 R "
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>"
    ).encode()
    objects[5] = (
        b"<< /Type /FontDescriptor /FontName /Batang /Flags 4 "
        b"/FontBBox [0 -200 1000 900] /ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 700 /StemV 80 >>"
    )
    objects[6] = _stream(_TO_UNICODE)
    for number, lines in enumerate(pages):
        at = first + 2 * number
        objects[at] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {at + 1} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        ).encode()
        objects[at + 1] = _stream("\n".join(map(_shown, lines)).encode())
    trailer = ""
    if info:
        objects[max(objects) + 1] = f"<< {info} >>".encode()
        trailer = f"/Info {max(objects)} 0 R"
    return assembled(objects, trailer)


def assembled(objects: dict[int, bytes], trailer: str = "") -> bytes:
    """Objects with a table of where they are."""
    out = bytearray(b"%PDF-1.7\n")
    places = {}
    for number, body in sorted(objects.items()):
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    size = max(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        out += b"%010d 00000 n \n" % places.get(number, 0)
    out += f"trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def _shown(line: Line) -> str:
    return f"BT /F1 {line.size} Tf 1 0 0 1 {line.x} {line.y} Tm <{line.text.encode('utf-16-be').hex()}> Tj ET"


def _stream(data: bytes) -> bytes:
    packed = zlib.compress(data)
    return b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed)


_TO_UNICODE = (
    b"""/CIDInit /ProcSet findresource begin 12 dict begin begincmap
/CMapName /Any def /CMapType 2 def
1 begincodespacerange <0000> <FFFF> endcodespacerange
"""
    + b"".join(
        b"64 beginbfrange\n"
        + b"".join(b"<%02X00> <%02XFF> <%02X00>\n" % (high, high, high) for high in range(block, block + 64))
        + b"endbfrange\n"
        for block in range(0, 256, 64)
    )
    + b"endcmap CMapName currentdict /CMap defineresource pop end end"
)
