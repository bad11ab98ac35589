"""E-mail: who, to whom, when, about what; the text; the names of what is attached (which is not opened)."""

from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header
from email.message import Message

from malmoi.assist.retrieval.parsing import plain, web
from malmoi.assist.retrieval.parsing.charset import decode
from malmoi.assist.retrieval.parsing.writer import Writer
from malmoi.core.errors import DocumentUnreadable

_FIELDS = ("From", "To", "Cc", "Date")
_LONGEST_FIELD = 2000
_MOST_PARTS = 1000
_DEEPEST = 20


def read(content: bytes, writer: Writer) -> None:
    """Write a message."""
    try:
        message = message_from_bytes(content)
    except (MessageError, ValueError, LookupError) as error:
        raise DocumentUnreadable(
            f"{writer.name!r} is a damaged e-mail: {error}.", reason="damaged"
        ) from error
    writer.add("heading", _field(message, "Subject"), level=1)
    heads = [(field, _field(message, field)) for field in _FIELDS]
    writer.add("note", "\n".join(f"{field}: {value}" for field, value in heads if value))
    for field, value in heads:
        writer.property(field.lower(), value)
    texts, pages, attached = _parts(message, writer)
    if texts:
        for text in texts:
            plain.read(text, writer)
    else:
        for page in pages:
            web.read(page, writer)
    if attached:
        writer.add("note", "Attachments: " + ", ".join(attached))
        writer.remark(f"{len(attached)} attached files were not opened.")


def _parts(message: Message, writer: Writer) -> tuple[list[str], list[str], list[str]]:
    """The plain texts, the web pages and the names of attachments."""
    texts: list[str] = []
    pages: list[str] = []
    attached: list[str] = []
    waiting, seen = [(message, 0)], 0
    while waiting:
        part, depth = waiting.pop(0)
        seen += 1
        if seen > _MOST_PARTS or depth > _DEEPEST:
            writer.remark("The message has more parts than are read.")
            break
        kind = part.get_content_type()
        name = _filename(part)
        if name or part.get_content_disposition() == "attachment" or kind == "message/rfc822":
            attached.append(name or kind)
        elif part.is_multipart():
            payload = part.get_payload()
            waiting += [(below, depth + 1) for below in payload if isinstance(below, Message)]
        elif kind in ("text/plain", "text/html"):
            text = _text(part)
            if text.strip():
                (texts if kind == "text/plain" else pages).append(text)
        elif seen > 1:
            attached.append(kind)
    return texts, pages, attached


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    return decode(payload, declared=part.get_content_charset()).text


def _filename(part: Message) -> str:
    try:
        return _decoded(part.get_filename() or "")
    except (ValueError, TypeError, LookupError):  # a name in an encoding that the library stumbles over
        return "?"


def _field(message: Message, name: str) -> str:
    return _decoded(str(message.get(name, ""))[:_LONGEST_FIELD])


def _decoded(value: str) -> str:
    """A header as people read it (RFC 2047)."""
    if "=?" not in value:
        # Raw bytes of a header come as halves of surrogate pairs.
        raw = value.encode("utf-8", "surrogateescape")
        return " ".join(decode(raw).text.split())
    try:
        parts = decode_header(value)
    except (MessageError, ValueError, LookupError):
        return value
    words = (
        text if isinstance(text, str) else decode(text, declared=charset).text for text, charset in parts
    )
    return " ".join("".join(words).split())
