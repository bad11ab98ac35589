"""A person's mailbox over IMAP, only ever read: nothing is marked, moved or removed."""

import imaplib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any

from malmoi.assist.egress.rules import EgressRules
from malmoi.assist.skills.builtin.mail.connections import MailServer, open_imap
from malmoi.assist.skills.builtin.mail.messages import Mail, read_mail
from malmoi.assist.skills.builtin.refusals import SkillRefused
from malmoi.core.errors import SkillUnavailable

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HEADERS = "BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE REPLY-TO MESSAGE-ID REFERENCES)]"
_MOST_BYTES = 2_000_000  # of one message
_UID = re.compile(rb"UID (\d+)")


class Mailbox:
    """One open folder.

    Args:
        connection: logged in.
    """

    def __init__(self, connection: imaplib.IMAP4) -> None:
        self._connection = connection

    def newest(
        self, *, limit: int, unread_only: bool = False, since: date | None = None, query: str = ""
    ) -> list[Mail]:
        """The newest messages, the newest first.

        Args:
            limit: how many.
            unread_only: those that nobody has read.
            since: of this day and later.
            query: words that stand anywhere in them.
        """
        criteria = ["UNSEEN" if unread_only else "ALL"]
        if since is not None:
            criteria += ["SINCE", f"{since.day}-{_MONTHS[since.month - 1]}-{since.year}"]
        if query:
            # As a literal, whatever stands in it is words to be found and never a command.
            self._connection.literal = query.encode()  # type: ignore[assignment]
            answer = self._told("SEARCH", "CHARSET", "UTF-8", *criteria, "TEXT")
        else:
            answer = self._told("SEARCH", *criteria)
        numbers = [number for line in answer if isinstance(line, bytes) for number in line.split()]
        wanted = sorted((int(number) for number in numbers if number.isdigit()), reverse=True)[:limit]
        return self._fetched(wanted, _HEADERS) if wanted else []

    def get(self, number: str) -> Mail:
        """One message with its text.

        Raises:
            SkillRefused: there is no message of this number.
        """
        if not number.isdigit() or len(number) > 10:
            raise SkillRefused("no_mail", id=number[:20])
        found = self._fetched([int(number)], f"BODY.PEEK[]<0.{_MOST_BYTES}>")
        if not found:
            raise SkillRefused("no_mail", id=number)
        return found[0]

    def _fetched(self, numbers: Sequence[int], what: str) -> list[Mail]:
        answer = self._told("FETCH", ",".join(map(str, numbers)), f"(UID FLAGS {what})")
        found: list[Mail] = []
        for place, part in enumerate(answer):
            if not isinstance(part, tuple):
                continue
            # A server may put the number and the flags before the text or behind it.
            after = answer[place + 1] if place + 1 < len(answer) else b""
            told = part[0] + (after if isinstance(after, bytes) else b"")
            uid = _UID.search(told)
            if uid is not None:
                found.append(read_mail(uid[1].decode(), part[1], unread=b"\\Seen" not in told))
        order = {str(number): place for place, number in enumerate(numbers)}
        return sorted((one for one in found if one.id in order), key=lambda one: order[one.id])

    def _told(self, command: str, *arguments: str) -> list[Any]:
        status, answer = self._connection.uid(command, *arguments)
        if status != "OK":
            raise SkillRefused("server_refused", host=self._connection.host, code=status)
        return answer


@contextmanager
def open_mailbox(server: MailServer, rules: EgressRules, folder: str) -> Iterator[Mailbox]:
    """A folder of a person, for reading.

    Raises:
        SkillRefused: the login is refused, or there is no such folder.
        SkillUnavailable: the server does not answer.
    """
    if not folder.isprintable() or not folder.isascii() or len(folder) > 100:
        raise SkillRefused("no_folder", name=folder[:40])
    connection = open_imap(server, rules)
    try:
        escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
        status, _ = connection.select(f'"{escaped}"', readonly=True)
        if status != "OK":
            raise SkillRefused("no_folder", name=folder)
        yield Mailbox(connection)
    except (OSError, imaplib.IMAP4.error) as error:
        raise SkillUnavailable(
            f"the mail server {server.host} broke off ({type(error).__name__}).", fix="Try again later."
        ) from error
    finally:
        with suppress(OSError, imaplib.IMAP4.error):
            connection.logout()
