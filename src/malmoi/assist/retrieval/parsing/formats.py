"""The formats that can be read, and what people call them. Pictures need Tesseract on the machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_PREFIX = "application/vnd.openxmlformats-officedocument."


@dataclass(frozen=True, slots=True)
class FormatInfo:
    """A format.

    Attributes:
        name: as in `Document.format`.
        title: for people.
        extensions: of file names, with the dot; the first is the usual one.
        media_types: as browsers and mail programs say them; the first is the usual one.
        has_pages: whether blocks have a page, slide or sheet number.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    media_types: tuple[str, ...]
    has_pages: bool = False


_FORMATS = (
    FormatInfo("txt", "plain text", (".txt", ".text", ".log"), ("text/plain",)),
    FormatInfo("md", "Markdown", (".md", ".markdown", ".mdx"), ("text/markdown",)),
    FormatInfo("html", "web page", (".html", ".htm", ".xhtml"), ("text/html", "application/xhtml+xml")),
    FormatInfo("csv", "table as text", (".csv", ".tsv", ".tab"), ("text/csv", "text/tab-separated-values")),
    FormatInfo("pdf", "PDF", (".pdf",), ("application/pdf",), has_pages=True),
    FormatInfo("docx", "Word", (".docx", ".docm"), (_PREFIX + "wordprocessingml.document",)),
    FormatInfo("xlsx", "Excel", (".xlsx", ".xlsm"), (_PREFIX + "spreadsheetml.sheet",), has_pages=True),
    FormatInfo(
        "pptx", "PowerPoint", (".pptx", ".pptm"), (_PREFIX + "presentationml.presentation",), has_pages=True
    ),
    FormatInfo("hwpx", "HWPX", (".hwpx",), ("application/hwp+zip", "application/vnd.hancom.hwpx")),
    FormatInfo("hwp", "HWP 5", (".hwp",), ("application/x-hwp", "application/vnd.hancom.hwp")),
    FormatInfo("eml", "e-mail", (".eml",), ("message/rfc822",)),
    FormatInfo(
        "image",
        "picture",
        (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
        ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff"),
    ),
    FormatInfo("ipynb", "Jupyter notebook", (".ipynb",), ("application/x-ipynb+json",)),
)


def known_formats() -> Mapping[str, FormatInfo]:
    """Every format that can be read, by its name."""
    return MappingProxyType({info.name: info for info in _FORMATS})


def by_extension(name: str) -> FormatInfo | None:
    """The format that a file's name promises; None: it promises none of ours."""
    lower = name.lower()
    return next((info for info in _FORMATS if lower.endswith(info.extensions)), None)
