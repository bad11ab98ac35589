"""The mail skill against small servers: what is read and sent, and what a hostile mail or host cannot do."""

from datetime import datetime
from email import message_from_bytes, policy
from zoneinfo import ZoneInfo

import pytest
from mail_servers import FakeServer, imap, silent, smtp

from malmoi.assist.skills.builtin.mail.messages import read_mail
from malmoi.assist.skills.builtin.mail.provider import MailProvider
from malmoi.assist.skills.operation import CallContext
from malmoi.core.errors import SkillUnavailable

NOW = datetime(2026, 11, 22, 12, tzinfo=ZoneInfo("Asia/Seoul"))


@pytest.fixture
def inbox():
    server = FakeServer(imap)
    yield server
    server.close()


@pytest.fixture
def outbox():
    server = FakeServer(smtp)
    yield server
    server.close()


def context(inbox=None, outbox=None, language="ko", **changed):
    credentials = {
        "address": "mina@example.com",
        "password": "secret",
        "imap_host": "127.0.0.1",
        "imap_port": str(inbox.port if inbox else 993),
        "smtp_host": "127.0.0.1",
        "smtp_port": str(outbox.port if outbox else 465),
        **changed,
    }
    return CallContext("mina", language, NOW, credentials)


def mail():
    return MailProvider(trusted_hosts=("127.0.0.1",), seconds=3)


async def test_lists_searches_and_reads(inbox):
    listed = await mail().call("list_mail", {"limit": 5}, context(inbox))
    assert [one["mail_id"] for one in listed.data["mails"]] == ["9", "7"]
    assert listed.data["mails"][1]["subject"] == "견적서"
    assert [card.title for card in listed.cards] == ["● hello", "견적서"]
    unread = await mail().call("list_mail", {"unread_only": True, "since": "2026-11-01"}, context(inbox))
    assert [one["mail_id"] for one in unread.data["mails"]] == ["9"]
    assert any("SINCE 1-Nov-2026" in line for line in inbox.lines)
    found = await mail().call("search_mail", {"query": "부탁", "from": "민수"}, context(inbox))
    assert [one["mail_id"] for one in found.data["mails"]] == ["7"]
    read = await mail().call("read_mail", {"mail_id": "7"}, context(inbox, language="en"))
    assert read.text == "The mail 견적서 from 김민수 <minsu@example.com>."
    assert read.data["body"] == "견적서를 보냅니다.\n확인 부탁드립니다.\n"
    assert read.cards[0].fields[0] == ("Date", "2026-11-20 09:30")


async def test_only_looks_and_never_marks(inbox):
    await mail().call("list_mail", {}, context(inbox))
    await mail().call("read_mail", {"mail_id": "7"}, context(inbox))
    commands = [line.split(" ", 1)[1] for line in inbox.lines if " " in line]
    assert any(line.startswith("EXAMINE") for line in commands)
    assert not any(line.startswith(("SELECT", "UID STORE")) for line in commands)
    assert all("BODY.PEEK" in line for line in commands if line.startswith("UID FETCH"))


async def test_gives_the_words_of_html_alone(inbox):
    read = await mail().call("read_mail", {"mail_id": "9"}, context(inbox))
    assert read.data["body"] == "Hi there"
    assert read.data["attachments"] == ["a.pdf"]
    assert read.data["date"] == ""


async def test_drafts_an_answer_and_sends_it_after_that(inbox, outbox):
    arguments = {"mail_id": "7", "body": "감사합니다.", "reply_all": True}
    draft = await mail().call("draft_reply", arguments, context(inbox, outbox))
    assert outbox.messages == []
    (card,) = draft.cards
    (button,) = card.actions
    assert button.operation == "send_mail"
    assert button.arguments["to"] == ["minsu@example.com"]
    assert button.arguments["cc"] == ["joon@example.com"]
    assert button.arguments["subject"] == "Re: 견적서"
    assert "> 견적서를 보냅니다." in button.arguments["body"]

    sent = await mail().call(button.operation, button.arguments, context(inbox, outbox))
    assert sent.text == "minsu@example.com, joon@example.com 앞으로 ‘Re: 견적서’ 메일을 보냈습니다."
    message = message_from_bytes(outbox.messages[0], policy=policy.default)
    assert message["From"] == "mina@example.com"
    assert message["In-Reply-To"] == "<a@example.com>"
    assert message["Subject"] == "Re: 견적서"
    assert "감사합니다." in message.get_content()
    effects = {one.name: one.effect for one in await mail().operations()}
    assert effects["send_mail"] == "write"
    assert effects["draft_reply"] == "read"


async def test_lets_no_header_or_command_in(inbox, outbox):
    arguments = {"to": ["a@example.com"], "subject": "x\r\nBcc: spy@example.com", "body": "y\r\n.\r\nQUIT"}
    await mail().call("send_mail", arguments, context(inbox, outbox))
    message = message_from_bytes(outbox.messages[0], policy=policy.default)
    assert message["Bcc"] is None
    assert message["Subject"] == "x Bcc: spy@example.com"
    assert sum(line.upper().startswith("RCPT") for line in outbox.lines) == 1
    await mail().call("search_mail", {"query": 'x"\r\na1 LOGOUT'}, context(inbox))
    assert 'literal:x"\r\na1 LOGOUT' in inbox.lines
    for folder in ('INBOX"\r\nA LOGOUT', "받은편지함", "a" * 200):
        assert (await mail().call("list_mail", {"folder": folder}, context(inbox))).is_error


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"to": ["nobody@example.com"]}, "서버가 받는 사람을 거절했습니다: nobody@example.com"),
        ({"to": ["no address"]}, "‘no address’는 메일 주소가 아닙니다."),
        ({"to": ["a@example.com, b@example.com"]}, "‘a@example.com, b@example.com’은 메일 주소가 아닙니다."),
        ({"to": ["a@example.com"], "answers": "4"}, "4번 메일이 없습니다. 먼저 메일을 찾아 주세요."),
    ],
)
async def test_says_who_cannot_be_written_to(inbox, outbox, arguments, text):
    result = await mail().call(
        "send_mail", {"subject": "x", "body": "y", **arguments}, context(inbox, outbox)
    )
    assert result.is_error
    assert result.text == text
    assert outbox.messages == []


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"password": "wrong"}, "The mail server did not accept the login."),
        ({"imap_host": ""}, "The settings of mail lack imap_host."),
        ({"imap_port": "none"}, "Port none cannot be used"),
    ],
)
async def test_says_what_is_wrong_with_the_settings(inbox, changed, text):
    result = await mail().call("list_mail", {}, context(inbox, language="en", **changed))
    assert result.is_error
    assert result.text.startswith(text)
    assert "secret" not in str(result)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "169.254.169.254", "[::1]", "10.0.0.1", "0.0.0.0"]
)
@pytest.mark.parametrize("port", ["993", "143"])
async def test_reaches_no_server_of_the_house(host, port):
    told = context(imap_host=host, imap_port=port, language="en")
    try:
        result = await MailProvider().call("list_mail", {}, told)
    except SkillUnavailable as error:
        assert "is not known" in str(error)  # noqa: PT017 - a name with brackets is none
    else:
        assert result.is_error
        assert "no mail server on the public internet" in result.text


async def test_takes_other_ports_of_trusted_hosts_alone(inbox):
    result = await MailProvider().call("list_mail", {}, context(inbox, language="en"))
    assert result.text.startswith(f"Port {inbox.port} cannot be used")


async def test_does_not_wait_for_ever():
    server = FakeServer(silent)
    try:
        with pytest.raises(SkillUnavailable):
            await MailProvider(trusted_hosts=("127.0.0.1",), seconds=0.3).call(
                "list_mail", {}, context(server)
            )
    finally:
        server.close()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: =?utf-8?b?////?=\r\nContent-Type: text/plain; charset=no-such\r\n\r\n\xffabc",
        b"Content-Type: multipart/mixed\r\n\r\n--\r\n",
        b"From: a\r\n b\r\nTo: @\r\n\r\nx",
    ],
)
def test_reads_broken_mails_without_a_fault(content):
    assert read_mail("1", content).id == "1"
