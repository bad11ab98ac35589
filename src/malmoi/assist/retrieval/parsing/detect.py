"""What a file is, by what is in it. Its name decides only between kinds of text."""

import re
from typing import NoReturn

from malmoi.assist.retrieval.parsing.archive import Archive
from malmoi.assist.retrieval.parsing.charset import Decoded, decode
from malmoi.assist.retrieval.parsing.formats import by_extension, known_formats
from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.core.errors import DocumentUnreadable

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PDF_WITHIN = 1024  # bytes before "%PDF-"; readers allow as many

# Magic numbers of what is never text: (offset, bytes, what it is).
_OTHERS = (
    (0, b"MZ", "a Windows program"),
    (0, b"\x7fELF", "a program"),
    (0, b"\xcf\xfa\xed\xfe", "a program"),
    (0, b"\xca\xfe\xba\xbe", "a program"),
    (0, b"HWP Document File V", "an HWP 3 document"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ", "an xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"{\\rtf", "an RTF document"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"SQLite format 3", "a database"),
    (0, b"OggS", "a recording"),
    (0, b"ID3", "a recording"),
    (0, b"fLaC", "a recording"),
    (4, b"ftyp", "a film or picture"),
    (0, b"\x1a\x45\xdf\xa3", "a film"),
)
_IMAGES = (
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"\xff\xd8\xff"),
    (0, b"GIF8"),
    (8, b"WEBP"),
    (0, b"BM"),
    (0, b"II*\x00"),
    (0, b"MM\x00*"),
)
_HTML = re.compile(
    r"\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_TAG = re.compile(r"</(?:p|div|body|html|table|ul|h[1-6])\s*>", re.I)
_HEADER = re.compile(r"[!-9;-~]{1,60}:[ \t]?[^\n]{0,990}(?:\n[ \t][^\n]{0,990})*\n")
_MAIL_FIELDS = frozenset(
    {"from", "to", "date", "subject", "received", "message-id", "mime-version", "return-path"}
)
_TEXT_FORMATS = frozenset({"txt", "md", "csv"})


def detect(content: bytes, name: str, limits: ParseLimits) -> tuple[str, Decoded | None]:
    """The format's name, and the decoded text where it is one of text.

    Raises:
        DocumentUnreadable: it is nothing that we read; the message says what it is.
    """
    if b"%PDF-" in content[:_PDF_WITHIN]:
        return "pdf", None
    if content.startswith(ZIP_MAGIC):
        return _detect_zip(Archive(content, name=name, limits=limits), name), None
    if content.startswith(OLE_MAGIC):
        return "hwp", None  # its reader tells the other kinds of compound files apart
    for offset, magic, what in _OTHERS:
        if content.startswith(magic, offset) and (len(magic) > 2 or _is_binary(content)):
            _refuse(name, what)
    if any(content.startswith(magic, at) for at, magic in _IMAGES) and _is_binary(content):
        return "image", None
    if _is_binary(content) and not content.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        decoded = decode(content)
        if not decoded.charset.startswith("utf-16"):
            _refuse(name, "binary data")
    else:
        decoded = decode(content)
    if decoded.lost > 0.05 * len(decoded.text):
        _refuse(name, "binary data")
    return _detect_text(decoded.text, name), decoded


def _detect_zip(archive: Archive, name: str) -> str:
    names = set(archive.names)
    kind = archive.read("mimetype")[:200].decode("latin-1").strip() if "mimetype" in names else ""
    if kind in known_formats()["hwpx"].media_types or "Contents/content.hpf" in names:
        return "hwpx"
    if kind:
        _refuse(name, f"a document of the type {kind[:80]!r}")
    if "[Content_Types].xml" in names:
        types = archive.read("[Content_Types].xml")
        for format_name, sign, part in (
            ("docx", b"wordprocessingml", "word/document.xml"),
            ("xlsx", b"spreadsheetml", "xl/workbook.xml"),
            ("pptx", b"presentationml", "ppt/presentation.xml"),
        ):
            if part in names or sign + b".document.main" in types or sign + b".sheet.main" in types:
                return format_name
        if "xl/workbook.bin" in names:
            _refuse(name, "a binary Excel workbook (xlsb)", fix="Save it as xlsx.")
        _refuse(name, "an office package of another kind")
    if archive.is_encrypted:
        raise DocumentUnreadable(
            f"{name!r} is an encrypted zip archive.",
            reason="encrypted",
            fix="Unpack it and upload its files.",
        )
    _refuse(name, "a zip archive", fix="Unpack it and upload its files one by one.")


def _detect_text(text: str, name: str) -> str:
    head = text[:8192].lstrip("\ufeff")
    promised = by_extension(name)
    if _HTML.match(head) or (promised is not None and promised.name == "html" and _TAG.search(text)):
        return "html"
    if head.lstrip().startswith("{") and '"cells"' in text and '"nbformat"' in text:
        return "ipynb"
    if _is_mail(head):
        return "eml"
    return promised.name if promised is not None and promised.name in _TEXT_FORMATS else "txt"


def _is_mail(head: str) -> bool:
    head, fields, at = head.replace("\r\n", "\n"), set(), 0
    while (line := _HEADER.match(head, at)) is not None:
        fields.add(line[0].partition(":")[0].strip().lower())
        at = line.end()
    return len(fields & _MAIL_FIELDS) >= 2 and (at >= len(head) or head.startswith("\n", at) or at > 4000)


def _is_binary(content: bytes) -> bool:
    sample = content[:8192]
    controls = sum(sample.count(byte) for byte in (*range(9), *range(14, 27), *range(28, 32)))
    return controls > 2 + 0.01 * len(sample)


def _refuse(name: str, what: str, *, fix: str = "") -> NoReturn:
    known = ", ".join(known_formats())
    raise DocumentUnreadable(
        f"{name!r} is {what}, not a document that can be read.",
        reason="unsupported",
        fix=fix or f"Save it in one of these formats: {known}.",
    )
