"""A person's mail: read over IMAP, answered in drafts, and sent over SMTP only after a confirmation."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from malmoi.assist.egress.rules import EgressRules
from malmoi.assist.skills.builtin.described import Deed, DescribedProvider
from malmoi.assist.skills.builtin.mail.asked import read_query
from malmoi.assist.skills.builtin.mail.connections import MailServer, send
from malmoi.assist.skills.builtin.mail.mailbox import open_mailbox
from malmoi.assist.skills.builtin.mail.messages import Mail, addresses, quoted, reply_subject, write_mail
from malmoi.assist.skills.builtin.refusals import SkillRefused
from malmoi.assist.skills.operation import CallContext, Card, CardAction, Result

_SHOWN_BODY = 3000


class MailProvider(DescribedProvider):
    """The operations of `operations.toml`; every call opens and closes its own connection.

    Args:
        trusted_hosts: "host" or "host:port" of mail servers that are not on the public internet; only these
            may use other ports, and then without TLS. A text, such as "{trusted_hosts}" that no server has
            filled in, names none.
        seconds: one step with a server may take.
    """

    def __init__(self, trusted_hosts: Sequence[str] | str = (), seconds: float = 10.0) -> None:
        trusted = () if isinstance(trusted_hosts, str) else tuple(trusted_hosts)
        self._rules = EgressRules(trusted_hosts=trusted)
        self._seconds = seconds
        # imaplib and smtplib block; every step of theirs has an end of its own.
        deeds: dict[str, Deed] = {
            "list_mail": self._list,
            "search_mail": self._list,
            "read_mail": self._read,
            "draft_reply": self._draft,
            "send_mail": self._send,
        }
        super().__init__(__package__, deeds)

    def read_query(self, operation: str, query: str, now: datetime) -> Mapping[str, Any]:
        """The arguments that a sentence gives in so many words."""
        return read_query(operation, query, now)

    def _list(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        sender = arguments.get("from", "").strip().lower()
        limit = arguments.get("limit", 10)
        since = _date(arguments.get("since", ""))
        with open_mailbox(self._imap(context), self._rules, arguments.get("folder", "INBOX")) as mailbox:
            found = mailbox.newest(
                limit=100 if sender else limit,
                unread_only=arguments.get("unread_only", False),
                since=since,
                query=arguments.get("query", "").strip(),
            )
        found = [mail for mail in found if sender in mail.sender.lower()][:limit]
        language = context.language
        text = self._texts.say(language, "listed" if found else "nothing", count=len(found))
        cards = tuple(self._card(mail, context) for mail in found)
        return Result(data={"mails": [mail.told() for mail in found]}, text=text, cards=cards)

    def _read(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        mail = self._get(arguments, context)
        say = self._texts.say
        language = context.language
        fields = [*self._fields(mail, context), (say(language, "body"), mail.body[:_SHOWN_BODY])]
        if mail.attachments:
            fields.append((say(language, "attachments"), ", ".join(mail.attachments)))
        card = Card(
            kind="mail", title=self._subject(mail, language), subtitle=mail.sender, fields=tuple(fields)
        )
        text = say(language, "read", subject=self._subject(mail, language), sender=mail.sender)
        return Result(data=mail.told(whole=True), text=text, cards=(card,))

    def _draft(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        mail = self._get(arguments, context)
        own = self._own(context)
        to = addresses(mail.reply_to)
        if not to:
            raise SkillRefused("address", word=mail.reply_to)
        others = mail.recipients if arguments.get("reply_all", False) else ()
        cc = [one for one in others if one.lower() != own.lower() and one not in to]
        say = self._texts.say
        language = context.language
        when = mail.date.astimezone(context.now.tzinfo).strftime("%Y-%m-%d %H:%M") if mail.date else ""
        heading = say(language, "wrote", sender=mail.sender, when=when)
        body = f"{arguments['body'].strip()}\n\n{quoted(mail, heading)}\n"
        draft = {"to": to, "cc": cc, "subject": reply_subject(mail.subject), "body": body, "answers": mail.id}
        card = self._letter(draft, say(language, "draft"), context)
        action = CardAction(
            say(language, "send"), "send_mail", {key: value for key, value in draft.items() if value}
        )
        card = Card(
            kind="mail", title=card.title, subtitle=card.subtitle, fields=card.fields, actions=(action,)
        )
        text = say(language, "drafted", to=", ".join(to), subject=draft["subject"])
        return Result(data=draft, text=text, cards=(card,))

    def _send(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        own = self._own(context)
        answered = None
        if arguments.get("answers"):
            answered = self._get({"mail_id": arguments["answers"]}, context)
        cc = list(arguments.get("cc") or [])
        message = write_mail(
            sender=own,
            to=arguments["to"],
            cc=cc,
            subject=arguments["subject"],
            body=arguments["body"],
            now=context.now,
            answered=answered,
        )
        recipients = [one for text in (*arguments["to"], *cc) for one in addresses(text)]
        send(self._smtp(context), self._rules, message, own, recipients)
        say = self._texts.say
        told = {"to": arguments["to"], "cc": cc, "subject": arguments["subject"], "body": arguments["body"]}
        card = self._letter(told, say(context.language, "sent_mark"), context)
        text = say(context.language, "sent", to=", ".join(recipients), subject=str(message["Subject"]))
        return Result(data={"sent": True, "to": recipients}, text=text, cards=(card,))

    def _get(self, arguments: Mapping[str, Any], context: CallContext) -> Mail:
        with open_mailbox(self._imap(context), self._rules, arguments.get("folder", "INBOX")) as mailbox:
            return mailbox.get(str(arguments["mail_id"]).strip())

    def _letter(self, told: Mapping[str, Any], mark: str, context: CallContext) -> Card:
        say = self._texts.say
        language = context.language
        fields = [(say(language, "to"), ", ".join(told["to"]))]
        if told["cc"]:
            fields.append((say(language, "cc"), ", ".join(told["cc"])))
        fields.append((say(language, "body"), told["body"][:_SHOWN_BODY]))
        return Card(kind="mail", title=told["subject"], subtitle=mark, fields=tuple(fields))

    def _card(self, mail: Mail, context: CallContext) -> Card:
        say = self._texts.say
        language = context.language
        open_it = CardAction(say(language, "open"), "read_mail", {"mail_id": mail.id})
        title = self._subject(mail, language)
        if mail.unread:
            title = f"● {title}"
        fields = tuple(self._fields(mail, context))
        return Card(kind="mail", title=title, subtitle=mail.sender, fields=fields, actions=(open_it,))

    def _fields(self, mail: Mail, context: CallContext) -> list[tuple[str, str]]:
        if mail.date is None:
            return []
        when = mail.date if mail.date.tzinfo is None else mail.date.astimezone(context.now.tzinfo)
        return [(self._texts.say(context.language, "date"), when.strftime("%Y-%m-%d %H:%M"))]

    def _subject(self, mail: Mail, language: str) -> str:
        return mail.subject or self._texts.say(language, "no_subject")

    def _own(self, context: CallContext) -> str:
        return _given(context, "address")

    def _imap(self, context: CallContext) -> MailServer:
        return self._server(context, "imap", 993)

    def _smtp(self, context: CallContext) -> MailServer:
        return self._server(context, "smtp", 465)

    def _server(self, context: CallContext, kind: str, usual: int) -> MailServer:
        port = context.credentials.get(f"{kind}_port", "").strip() or str(usual)
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise SkillRefused("port", port=port[:20])
        return MailServer(
            host=_given(context, f"{kind}_host"),
            port=int(port),
            username=context.credentials.get("username", "").strip() or self._own(context),
            password=_given(context, "password"),
            seconds=self._seconds,
        )


def _given(context: CallContext, name: str) -> str:
    value = context.credentials.get(name, "")
    if not value.strip():
        raise SkillRefused("missing", name=name)
    return value.strip() if name != "password" else value


def _date(text: str) -> date | None:
    return date.fromisoformat(text) if text else None
