"""Uploaded files are found: by words, by morphemes, by vectors, and only by those who may read them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from documents_server import Server, no_table

from malmoi.serve.documents import vector_table
from malmoi.serve.documents.finding import Manner
from malmoi.serve.documents.types import Hit

LEAVE = """# 휴가 규정

연차는 근무 기간에 따라 다르다. 첫 해에는 열한 일이다.

경조사가 있으면 휴가를 따로 신청한다. 신청은 인사과에서 받는다.

|구분|일수|
|결혼|5|
"""
TRAVEL = """# 출장 안내

출장비를 청구하려면 영수증을 모아 둔다.

The gateway saves expense reports as JSON files.
"""


@pytest.fixture
async def filled(server: Server) -> tuple[Server, str]:
    collection = await server.collection()
    await server.add(collection, "휴가.txt", LEAVE)
    await server.add(collection, "출장.txt", TRAVEL)
    return server, collection


async def test_a_question_finds_the_passage_that_has_some_of_its_words(filled: tuple[Server, str]) -> None:
    server, _ = filled
    best = (await server.find("결혼 말고 경조사가 생기면 어디에서 신청 받나요?"))[0]
    assert best["title"] == "휴가 규정"
    assert best["headings"] == ["휴가 규정"]
    assert best["place"] == "p. 1"
    assert "인사과" in best["text"]
    assert best["text"] == LEAVE[best["start"] : best["end"]]
    assert best["ranks"]["terms"] == 1


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("영수증은 왜 모으나", "영수증을 모아"),
        ("saving a report", "saves expense reports"),
        ("JSON", "as JSON files"),
        ("휴가 규정", "연차는"),
    ],
)
async def test_words_are_found_in_other_forms_and_in_titles(
    filled: tuple[Server, str], query: str, wanted: str
) -> None:
    server, _ = filled
    assert any(wanted in item["text"] for item in await server.find(query))


async def test_pairs_of_letters_answer_where_there_is_no_analyser(
    open_server: Callable[..., Awaitable[Server]],
) -> None:
    server = await open_server()
    server.stems.available = False
    collection = await server.collection()
    await server.add(collection, "출장.txt", TRAVEL)
    found = await server.documents.search(
        await server.owner(), "영수증 모으기", manner=Manner(orders=("terms",))
    )
    assert "영수증을" in found[0].text


async def test_vectors_alone_answer_too(filled: tuple[Server, str]) -> None:
    server, _ = filled
    found = await server.documents.search(
        await server.owner(), "첫 해에는 열한 일이다.", manner=Manner(orders=("vectors",), merge=False)
    )
    assert "첫 해에는" in found[0].text
    assert dict(found[0].ranks) == {"vectors": 1}


async def test_neighbours_become_one_hit_with_what_is_between(
    filled: tuple[Server, str],
) -> None:
    server, _ = filled
    items = await server.find("연차 기간 경조사 휴가 신청")
    together = next(item for item in items if "연차는" in item["text"])
    assert "인사과" in together["text"]
    assert together["text"] == LEAVE[together["start"] : together["end"]]
    assert len({(item["document_id"], item["start"]) for item in items}) == len(items)


async def test_what_was_searched_is_marked(filled: tuple[Server, str]) -> None:
    server, _ = filled
    for query in ("영수증", "영수증에는"):  # the second one without its ending
        item = next(item for item in await server.find(query) if "영수증" in item["text"])
        units = item["text"].encode("utf-16-le")
        assert [units[2 * a : 2 * b].decode("utf-16-le") for a, b in item["matches"]] == ["영수증"]


async def test_a_search_may_be_bound_to_collections_and_documents(filled: tuple[Server, str]) -> None:
    server, first = filled
    second = await server.collection("다른 자료")
    document = await server.add(second, "휴가 2.txt", LEAVE.replace("열한", "열두"))
    everywhere = await server.find("연차 첫 해", limit=20)
    assert {item["collection_id"] for item in everywhere} == {first, second}
    for fields in ({"collections": [second]}, {"documents": [document]}):
        items = await server.find("연차 첫 해", limit=20, **fields)
        assert {item["document_id"] for item in items} == {document}
    assert await server.find("연차 첫 해", collections=[first], documents=[document]) == []


async def test_a_reranker_has_the_last_word(filled: tuple[Server, str]) -> None:
    server, _ = filled
    seen: list[Sequence[Hit]] = []

    async def backwards(query: str, hits: Sequence[Hit]) -> Sequence[Hit]:
        seen.append(hits)
        return list(reversed(hits))

    owner = await server.owner()
    found = await server.documents.search(owner, "신청 영수증", limit=1, rerank=backwards)
    assert found == [seen[0][-1]]
    assert len(seen[0]) == 2  # more than were asked for


@pytest.mark.parametrize("query", ["*", '"', "scope : x", "' | '", "\\", "😀", "a" * 2000, "가" * 2000, "  "])
async def test_any_query_is_only_a_query(filled: tuple[Server, str], query: str) -> None:
    server, _ = filled
    await server.find(query)


async def test_an_engine_that_does_not_embed_leaves_the_words(
    open_server: Callable[..., Awaitable[Server]], caplog: pytest.LogCaptureFixture
) -> None:
    server = await open_server(embedder="nobody")
    collection = await server.collection()
    document = await server.add(collection, "출장.txt", TRAVEL)
    assert (await server.finished(document))["status"] == "ready"
    assert (await server.find("영수증"))[0]["ranks"] == {"terms": 1}
    assert "without vectors" in caplog.text


async def test_a_collection_larger_than_the_memory_for_vectors_is_searched_all_the_same(
    open_server: Callable[..., Awaitable[Server]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_table, "prepare", no_table)
    server = await open_server()
    collection = await server.collection()
    for number in range(6):
        await server.add(collection, f"{number}.txt", f"{number}번째 문서의 내용이다.\n\n덧붙인 말 {number}.")
    cache: Any = server.documents._vectors._matrices
    owner = await server.owner()
    manner = Manner(orders=("vectors",), merge=False)
    whole = await server.documents.search(owner, "3번째 문서의 내용이다.", manner=manner)
    assert cache.bytes_held > 0
    monkeypatch.setattr("malmoi.serve.documents.matrices._READ", 5)
    cache.drop()
    cache._most_bytes = 10
    pieces = await server.documents.search(owner, "3번째 문서의 내용이다.", manner=manner)
    assert cache.bytes_held == 0
    assert [hit.text for hit in pieces] == [hit.text for hit in whole]
    assert whole[0].text.startswith("3번째")
