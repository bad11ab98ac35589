"""Messages of mail: what they say in plain text, and how an answer is written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses, make_msgid, parsedate_to_datetime
from html.parser import HTMLParser
from typing import Any

from malmoi.assist.skills.builtin.refusals import SkillRefused

_LONGEST_BODY = 20_000
_ADDRESS = re.compile(r"[^\s@<>\"(),;:\\\[\]]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_BLOCKS = frozenset(("p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "table", "blockquote"))
_UNSEEN = frozenset(("script", "style", "head", "title"))


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as people read it.

    Attributes:
        id: its number in the folder.
        sender: name and address.
        recipients: of To and Cc.
        date: with its zone; None: it says none that can be read.
        body: plain text.
        attachments: names of files.
        message_id: of its header, for answers.
        references: of its header.
    """

    id: str
    subject: str
    sender: str
    reply_to: str
    recipients: tuple[str, ...]
    date: datetime | None
    body: str
    attachments: tuple[str, ...]
    message_id: str
    references: str
    unread: bool = False

    def told(self, *, whole: bool = False) -> dict[str, Any]:
        """Plain values, with the body where it is wanted."""
        told: dict[str, Any] = {
            "mail_id": self.id,
            "from": self.sender,
            "subject": self.subject,
            "date": self.date.isoformat(timespec="minutes") if self.date else "",
            "unread": self.unread,
        }
        if whole:
            told |= {"to": list(self.recipients), "body": self.body, "attachments": list(self.attachments)}
        return told


def read_mail(number: str, content: bytes, *, unread: bool = False) -> Mail:
    """A message of any kind; what cannot be decoded is left out."""
    message = message_from_bytes(content, policy=policy.default)
    return Mail(
        id=number,
        subject=_line(message.get("subject", "")),
        sender=_line(message.get("from", "")),
        reply_to=_line(message.get("reply-to", "") or message.get("from", "")),
        recipients=tuple(
            address
            for _, address in getaddresses([_line(message.get(name, "")) for name in ("to", "cc")])
            if address
        ),
        date=_date(_line(message.get("date", ""))),
        body=_body(message)[:_LONGEST_BODY],
        attachments=tuple(_line(part.get_filename() or "?") for part in _attachments(message)),
        message_id=_line(message.get("message-id", "")),
        references=_line(message.get("references", "")),
        unread=unread,
    )


def write_mail(
    *,
    sender: str,
    to: Sequence[str],
    cc: Sequence[str],
    subject: str,
    body: str,
    now: datetime,
    answered: Mail | None = None,
) -> EmailMessage:
    """A new message. Nothing that it is made of can add a header.

    Raises:
        SkillRefused: an address is none.
    """
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = _address(sender)
    message["To"] = [_address(one) for one in to]
    if cc:
        message["Cc"] = [_address(one) for one in cc]
    message["Subject"] = _line(subject)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    if answered is not None and answered.message_id:
        message["In-Reply-To"] = answered.message_id
        message["References"] = f"{answered.references} {answered.message_id}".strip()
    message.set_content(body)
    return message


def reply_subject(subject: str) -> str:
    """The subject of an answer."""
    return subject if re.match(r"(?i)re\s*:", subject) else f"Re: {subject}"


def quoted(mail: Mail, heading: str) -> str:
    """The text of a message as an answer quotes it."""
    lines = mail.body.strip().splitlines()[:60]
    return "\n".join([heading, *(f"> {line}" for line in lines)])


def addresses(text: str) -> list[str]:
    """The addresses in a header."""
    return [address for _, address in getaddresses([text]) if _ADDRESS.fullmatch(address)]


def _address(text: str) -> Address:
    found = [(name, address) for name, address in getaddresses([_line(text)]) if _ADDRESS.fullmatch(address)]
    if len(found) != 1:
        raise SkillRefused("address", word=_line(text)[:80])
    name, address = found[0]
    user, _, domain = address.rpartition("@")
    return Address(display_name=name, username=user, domain=domain)


def _line(value: object) -> str:
    """A header in one line, without control characters."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in str(value)).split())[:1000]


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None


def _attachments(message: Any) -> list[Any]:
    return [part for part in message.walk() if part.get_content_disposition() == "attachment"]


def _body(message: Any) -> str:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    try:
        text = str(part.get_content())
    except (LookupError, ValueError, KeyError):
        payload = part.get_payload(decode=True) or b""
        text = payload.decode("utf-8", "replace")
    return _plain(text) if part.get_content_type() == "text/html" else text.replace("\r\n", "\n")


class _Words(HTMLParser):
    """The words of HTML; nothing in it is loaded or run."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag in _UNSEEN:
            self._hidden += 1
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def _plain(html: str) -> str:
    words = _Words()
    words.feed(html[:500_000])
    lines = (" ".join(line.split()) for line in "".join(words.parts).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
