"""Search over a small corpus: every word is found where it stands, and nowhere else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import NoMorphemes
from sqlalchemy import update

from gateway import running
from malmoi.apps.chat.app import ChatApp
from malmoi.apps.chat.conversations import Conversations
from malmoi.apps.chat.search import SearchIndex
from malmoi.apps.chat.tables import Conversation, Message
from malmoi.apps.chat.types import ConversationPatch, NewConversation
from malmoi.core.morphemes import MorphemeAnalyzer
from malmoi.serve.db import Database, new_id, utc_now
from malmoi.serve.db.tables import Account
from malmoi.serve.search.terms import PART_LENGTH

CORPUS = {
    "pay": "카드결제가 두 번 되었어요. 환불해 주세요.",
    "time": "결제시간이 초과되었습니다.",
    "report": "내일까지 분기보고서를 제출해야 합니다.",
    "brief": "회의 결과를 보고했습니다.",
    "see": "영화를 보고, 밥을 먹었다.",
    "cat": "전보 고양이 사진",
    "safety": "재난안전 문자를 보냈습니다.",
    "spaced": "재난 시 안전 수칙을 지킵시다.",
    "english": "The API Gateway returns a JSON response to https://example.kr/v2.",
    "deploy": "We are deploying the café's website on Friday.",
    "emoji": "🎉🎉 축하합니다! 합격을 축하해요 🎉",
    "syntax": 'He said "AND" OR NOT near(x) * ^ - : {title}',
    "one": "새집 앞 꽃밭",
    "han": "東京大学에서 만나요",
    "nfd": "카페에서 커피를 마셨다",
}

QUERIES = [
    ("결제", {"pay", "time"}),
    ("보고", {"report", "brief", "see"}),
    ("보고서", {"report"}),
    ("분기보고", {"report"}),
    ("제시", {"time"}),
    ("카드 환불", {"pay"}),
    ("카드 보고", set()),
    ("재난안전", {"safety"}),
    ("재난 안전", {"safety", "spaced"}),
    ("전보고양이", set()),
    ("보고양", set()),
    ("api", {"english"}),
    ("API gateway", {"english"}),
    ("gate", {"english"}),
    ("way", set()),
    ("v2", {"english"}),
    ("CAFE", {"deploy"}),
    ("deploy", {"deploy"}),
    ("축하", {"emoji"}),
    ("🎉", set()),
    ("집", {"one"}),
    ("꽃", {"one"}),
    ("밭", {"one"}),
    ("東京", {"han"}),
    ("만나", {"han"}),
    ("커피", {"nfd"}),
    ("없는말", set()),
    ('"AND" OR', {"syntax"}),
    ("near(x)", {"syntax"}),
    ('결제" OR "보고', set()),
    ("결제*", {"pay", "time"}),
    ("scope:결제", set()),
    ("{title}", {"syntax"}),
    ("' | '결제", {"pay", "time"}),
    ("\\", set()),
    ("", set()),
    ("* ^ -", set()),
]

MORPHEMES = [
    ("결제를", {"pay", "time"}),
    ("보고서가", {"report"}),
    ("환불은", {"pay"}),
    ("문자는", {"safety"}),
    ("결제를 환불이", {"pay"}),
    ("보고", {"report", "brief", "see"}),
]


class Corpus:
    def __init__(self, db: Database, index: SearchIndex) -> None:
        self.db, self.index = db, index
        self.conversations = Conversations(db, index, frozenset())
        self.names: dict[str, str] = {}

    async def add(
        self, name: str, text: str, account_id: str = "acc_me", conversation_id: str = ""
    ) -> Message:
        conversation = None
        if not conversation_id:
            conversation = await self.conversations.create(account_id, NewConversation())
            conversation_id = conversation.id
        message = Message(
            id=new_id("msg"),
            account_id=account_id,
            conversation_id=conversation_id,
            parent_id=None,
            role="user",
            content=text,
            reasoning="",
            status="complete",
            created_at=utc_now(),
            saved_at=utc_now(),
        )
        async with self.db.session() as session:
            session.add(message)
            await session.flush()
            await self.index.put_message(session, message)
        self.names[message.id] = name
        return message

    async def find(self, query: str, account_id: str = "acc_me") -> set[str]:
        items = await self.index.search(account_id, query, limit=50)
        return {self.names[item.message_id] if item.message_id else f"title:{item.title}" for item in items}


async def open_corpus(url: str, analyzer: MorphemeAnalyzer) -> AsyncIterator[Corpus]:
    database = Database.open(url)
    await database.migrate([ChatApp().migrations])
    async with database.session() as session:
        for name in ("acc_me", "acc_other"):
            session.add(Account(id=name, name=name, name_key=name, role="member", created_at=utc_now()))
    corpus = Corpus(database, SearchIndex(database, analyzer, delay=0))
    for name, text in CORPUS.items():
        await corpus.add(name, text)
    yield corpus
    await corpus.index.stop()
    await analyzer.close()
    await database.close()


@pytest.fixture
async def corpus(database_url: str) -> AsyncIterator[Corpus]:
    async for opened in open_corpus(database_url, NoMorphemes()):
        yield opened


async def test_words_are_found_where_they_stand_and_nowhere_else(corpus: Corpus) -> None:
    found = {query: await corpus.find(query) for query, _ in QUERIES}
    assert found == dict(QUERIES)


async def test_inflected_words_are_found_by_their_morphemes(database_url: str) -> None:
    pytest.importorskip("kiwipiepy")
    async for corpus in open_corpus(database_url, MorphemeAnalyzer()):
        await corpus.index.start()
        await corpus.index.finish()
        found = {query: await corpus.find(query) for query, _ in MORPHEMES}
        assert found == dict(MORPHEMES)
        found = {query: await corpus.find(query) for query, _ in QUERIES}
        # Two nouns that are written together are also found apart; nothing else changes.
        assert found == dict(QUERIES) | {"전보고양이": {"cat"}}


async def test_documents_and_the_chat_share_one_analyser(tmp_path: Path) -> None:
    pytest.importorskip("kiwipiepy")
    async with running(tmp_path, apps=[ChatApp()]) as gateway:
        assert gateway.services.documents.analyzer.pid is None
        await gateway.client.get("/api/chat/search", params={"q": "결제"})
        assert gateway.services.documents.analyzer.pid is not None


async def test_titles_are_found_first_and_follow_renaming(corpus: Corpus) -> None:
    conversation = await corpus.conversations.create("acc_me", NewConversation(title="결제 오류 정리"))
    items = await corpus.index.search("acc_me", "결제", limit=10)
    assert (items[0].conversation_id, items[0].message_id) == (conversation.id, None)
    assert items[0].snippet == "결제 오류 정리"
    assert items[0].ranges == [(0, 2)]
    patch = ConversationPatch(title="환불 정리")
    await corpus.conversations.change("acc_me", conversation.id, patch)
    assert "title:환불 정리" in await corpus.find("환불")
    assert await corpus.find("오류") == set()


async def test_changed_text_is_indexed_again(corpus: Corpus) -> None:
    message = await corpus.add("draft", "초안입니다")
    assert await corpus.find("초안") == {"draft"}
    async with corpus.db.session() as session:
        message.content = "완성본입니다"
        await session.execute(update(Message).where(Message.id == message.id).values(content=message.content))
        await corpus.index.put_message(session, message)
    assert await corpus.find("초안") == set()
    assert await corpus.find("완성") == {"draft"}


async def test_deleted_conversations_are_not_found(corpus: Corpus) -> None:
    message = await corpus.add("gone", "은하수를 여행하는 사람")
    await corpus.conversations.trash("acc_me", message.conversation_id)
    assert await corpus.find("은하수") == set()
    await corpus.conversations.restore("acc_me", message.conversation_id)
    assert await corpus.find("은하수") == {"gone"}
    await corpus.conversations.trash("acc_me", message.conversation_id)
    await corpus.conversations.empty_trash("acc_me")
    assert await corpus.find("은하수") == set()


async def test_accounts_do_not_find_each_others_words(corpus: Corpus) -> None:
    await corpus.add("theirs", "결제 비밀번호", account_id="acc_other")
    assert await corpus.find("결제") == {"pay", "time"}
    assert await corpus.find("결제", "acc_other") == {"theirs"}


async def test_a_long_text_is_found_at_both_ends_once(corpus: Corpus) -> None:
    text = "시작말 " + "가나다라 " * (PART_LENGTH // 2) + "맺음말"
    await corpus.add("long", text)
    assert await corpus.find("시작말") == {"long"}
    assert await corpus.find("맺음말") == {"long"}
    items = await corpus.index.search("acc_me", "나다", limit=10)
    assert [corpus.names[item.message_id or ""] for item in items] == ["long"]


async def test_odd_texts_do_not_break_the_index(corpus: Corpus) -> None:
    for number, text in enumerate(
        ("a" * 100_000, "가" * 30_000, "'\\\"" * 500, "\u200d\u0301\ufeff", "👨‍👩‍👧‍👦" * 50)
    ):
        await corpus.add(f"odd{number}", text)
    assert "odd1" in await corpus.find("가가가")
    assert "odd0" in await corpus.find("a" * 90)


async def test_the_tables_are_those_that_the_code_declares(database_url: str) -> None:
    from sqlalchemy import Connection

    from malmoi.serve.db import Base
    from malmoi.serve.db.migrate import differences

    ignored = {"chat_search_terms"} | {
        f"chat_search_terms_{part}" for part in ["data", "idx", "content", "docsize", "config"]
    }
    database = Database.open(database_url)
    await database.migrate([ChatApp().migrations])

    def compare(connection: Connection) -> list[Any]:
        found = differences(connection, ignored_tables=ignored)
        return [one for one in found if "chat_" in str(one)]  # other rooms have tests of their own

    async with database.connect_for_schema() as connection:
        assert await connection.run_sync(compare) == []
    await database.close()
    assert Conversation.metadata is Base.metadata


async def test_down_and_up_again(database_url: str) -> None:
    from alembic import command
    from sqlalchemy import Connection, inspect

    from malmoi.serve.db.migrate import alembic_config

    database = Database.open(database_url)
    await database.migrate([ChatApp().migrations])

    def downgrade(connection: Connection) -> list[str]:
        config = alembic_config([ChatApp().migrations])
        config.attributes["connection"] = connection
        command.downgrade(config, "chat@base")
        return inspect(connection).get_table_names()

    async with database.connect_for_schema() as connection:
        left = await connection.run_sync(downgrade)
    assert [name for name in left if name.startswith("chat_")] == []
    await database.migrate([ChatApp().migrations])
    await database.close()
