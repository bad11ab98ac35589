"""What supports a sentence: words, numbers, names and denials, with vectors and without."""

import pytest

from malmoi.assist.retrieval.citations import Source
from malmoi.assist.retrieval.matching import content_words, is_negated, is_opposed, names, numbers
from malmoi.assist.retrieval.segments import Embed
from malmoi.assist.retrieval.support import Evidence
from vectors_of_pairs import embed_pairs

LAW = Source(
    1,
    "doc_law",
    "대한민국헌법",
    "",
    "제70조 대통령의 임기는 5년으로 하며, 중임할 수 없다.\n"
    "제42조 국회의원의 임기는 4년으로 한다.\n"
    "계엄을 선포한 때에는 대통령은 지체없이 국회에 통고하여야 한다.",
    start=500,
)
HEAP = Source(
    2,
    "doc_heap",
    "heapq",
    "",
    "힙의 흥미로운 특성은 가장 작은 요소가 항상 루트인 ``heap[0]``이라는 것입니다.\n"
    "힙이 비어 있으면, :exc:`IndexError`가 발생합니다.",
)
BOTH: list[Embed | None] = [None, embed_pairs]


@pytest.fixture(params=BOTH, ids=["words", "vectors"])
async def evidence(request: pytest.FixtureRequest) -> Evidence:
    return await Evidence.of([LAW, HEAP], request.param)


@pytest.mark.parametrize(
    ("sentence", "quote"),
    [
        ("대통령의 임기는 5년입니다.", "제70조 대통령의 임기는 5년으로 하며, 중임할 수 없다."),
        ("대통령은 중임할 수 없습니다.", "제70조 대통령의 임기는 5년으로 하며, 중임할 수 없다."),
        ("국회의원의 임기는 4년입니다.", "제42조 국회의원의 임기는 4년으로 한다."),
        ("힙이 비어 있으면 IndexError가 발생합니다.", "힙이 비어 있으면, :exc:`IndexError`가 발생합니다."),
    ],
    ids=["term", "denial", "member", "name"],
)
async def test_the_words_are_found(evidence: Evidence, sentence: str, quote: str) -> None:
    found = await evidence.support(sentence)
    assert found is not None
    assert found.is_enough
    assert found.span.text == quote
    citation = found.span.cited(0, len(sentence), found.score)
    at = citation.start - found.span.source.start
    assert found.span.source.text[at : at + len(quote)] == quote == citation.quote
    assert citation.document_id == found.span.source.document_id


@pytest.mark.parametrize(
    "sentence",
    [
        "대통령의 임기는 7년입니다.",
        "국회의원의 임기는 5년입니다.",
        "대통령은 중임할 수 있습니다.",
        "힙에서 가장 큰 요소는 항상 루트에 있습니다.",
        "힙이 비어 있으면 ValueError가 발생합니다.",
        "계엄은 국무총리가 선포합니다.",
        "김치찌개는 돼지고기로 끓입니다.",
    ],
    ids=["number", "other-number", "denied", "opposite", "name", "subject", "elsewhere"],
)
async def test_what_is_not_said_is_not_supported(evidence: Evidence, sentence: str) -> None:
    found = await evidence.support(sentence)
    assert found is None or not found.is_enough


async def test_a_sentence_that_says_much_more_than_the_words_is_not_supported() -> None:
    source = Source(1, "d", "정렬", "", "리스트에는 제자리에서 고치는 `list.sort` 메서드가 있습니다.")
    evidence = await Evidence.of([source], embed_pairs)
    kept = await evidence.support("리스트를 제자리에서 고치는 메서드는 `list.sort`입니다.")
    more = await evidence.support("이 메서드는 리스트를 제자리에서 정렬하고, 정렬된 결과를 반환합니다.")
    assert kept is not None
    assert kept.is_enough
    assert more is not None
    assert not more.is_enough


async def test_a_name_of_the_question_may_stand_elsewhere_in_the_passage() -> None:
    text = "`get_module`은 형의 모듈을 돌려줍니다.\n모듈이 없으면 `TypeError`를 설정하고 `NULL`을 반환합니다."
    evidence = await Evidence.of([Source(1, "d", "형", "", text)], embed_pairs)
    sentence = "`get_module`은 모듈이 없으면 `TypeError`를 설정하고 `NULL`을 반환합니다."
    before = await evidence.support(sentence)
    evidence.asked = names("모듈이 없을 때 `get_module`을 부르면?")
    after = await evidence.support(sentence)
    assert before is not None
    assert after is not None
    assert after.is_enough
    assert after.score > before.score
    assert "TypeError" in after.span.text
    # A name that the question does not say must stand in the words themselves.
    other = await evidence.support("`get_module`은 `ValueError`를 설정하고 `NULL`을 반환합니다.")
    assert other is None or not other.is_enough


@pytest.mark.parametrize(
    ("sentence", "is_there"),
    [
        ("힙의 흥미로운 특성은 가장 작은 요소가 항상 루트인 heap[0]이라는 것입니다", True),
        ("가장 작은 요소가 항상 루트인 heap[0]이라는 것입니다.", True),
        ("작은 요소가 항상 루트인 heap[1]이라는 것입니다.", False),
    ],
    ids=["signs", "part", "number"],
)
async def test_what_stands_there_word_for_word_is_supported(sentence: str, *, is_there: bool) -> None:
    found = await (await Evidence.of([LAW, HEAP], None)).support(sentence)
    assert found is not None
    assert (found.score == 1.0) is is_there
    if is_there:
        assert found.span.text.startswith("힙의 흥미로운 특성은")


async def test_half_a_sentence_may_not_turn_it_round() -> None:
    source = Source(
        1,
        "d",
        "",
        "",
        "The server is not safe when you think the cache is safe for all threads, which it is not",
    )
    found = await (await Evidence.of([source], None)).support("The cache is safe for all threads")
    assert found is None or found.score < 1.0


async def test_a_mark_decides_between_equals_only() -> None:
    twice = [LAW, Source(3, "doc_copy", "사본", "", LAW.text)]
    evidence = await Evidence.of(twice, None)
    copied = await evidence.support("대통령의 임기는 5년입니다.", hints=[3])
    assert copied is not None
    assert copied.span.source.number == 3
    first = await evidence.support("대통령의 임기는 5년입니다.")
    assert first is not None
    assert first.span.source.number == 1
    wrong = await evidence.support("대통령의 임기는 7년입니다.", hints=[1])
    assert wrong is not None
    assert not wrong.is_enough


async def test_nothing_supports_without_sources() -> None:
    assert await (await Evidence.of([], embed_pairs)).support("대통령의 임기는 5년입니다.") is None


def test_words_are_taken_apart() -> None:
    assert [word.text for word in content_words("대통령의 임기는 몇 년인가요?")] == ["대통령", "임기", "년"]
    assert numbers("1. 제10조는 1,000원, 3.14") == {"10", "1000", "3.14"}
    assert names("파이썬의 `asyncio.run`은 GIL을") == {"asyncio.run", "gil"}
    assert names("The heap uses IndexError in Python.") == {"indexerror", "python"}


@pytest.mark.parametrize(
    ("text", "denies"),
    [
        ("중임할 수 없다.", True),
        ("사용해서는 안 됩니다.", True),
        ("특별한 규정이 없는 한 효력을 발생한다.", False),
        ("It is not allowed.", True),
        ("임기는 5년이다.", False),
    ],
    ids=["cannot", "must-not", "condition", "english", "plain"],
)
def test_denials_stand_at_the_end(text: str, denies: bool) -> None:
    assert is_negated(text) is denies


def test_opposites_are_known() -> None:
    assert is_opposed("가장 큰 요소", "가장 작은 요소")
    assert not is_opposed("가장 큰 요소", "가장 큰 요소와 작은 요소")
