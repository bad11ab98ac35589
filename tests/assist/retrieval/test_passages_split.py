"""Documents cut into passages."""

import random
import time
from typing import Any

import pytest

from malmoi.assist.retrieval.document import Block, Document, Passage
from malmoi.assist.retrieval.parsing.writer import Writer
from malmoi.assist.retrieval.passages import split_passages
from malmoi.core.errors import InvalidInput

SENTENCE = "말과 글을 모아서 널리 알리는 일을 하였다."


def document(*parts: tuple[str, Any]) -> Document:
    """Blocks of `(kind, text or rows)`; "heading2" is one of the second level."""
    writer = Writer("txt", name="a", characters=10**7)
    for number, (kind, content) in enumerate(parts):
        if kind == "table":
            writer.table(content, page=number + 1, place=f"p. {number + 1}")
        else:
            level = int(kind[7:] or 1) if kind.startswith("heading") else 0
            name: Any = "heading" if level else kind
            writer.add(name, str(content), level=level, page=number + 1, place=f"p. {number + 1}")
    told = writer.finish()
    blocks = tuple(Block(*block) for block in told["blocks"])
    return Document("txt", "", told["text"], blocks)


def texts(made: Document, passages: list[Passage]) -> list[str]:
    return [made.text[passage.start : passage.end] for passage in passages]


def check(made: Document, passages: list[Passage], most: int) -> None:
    behind = 0
    for passage in passages:
        assert not made.text[behind : passage.start].strip()
        assert 0 < passage.end - passage.start <= most
        words = made.text[passage.start : passage.end]
        assert words == words.strip("\n")
        behind = passage.end
    assert not made.text[behind:].strip()


def test_sections_begin_passages_and_headings_are_remembered() -> None:
    long = " ".join([SENTENCE] * 8)
    made = document(
        ("heading", "첫 장"), ("paragraph", long), ("heading2", "첫 절"), ("paragraph", long),
        ("heading", "둘째 장"), ("paragraph", long),
    )  # fmt: skip
    passages = split_passages(made)
    assert [text.split("\n")[0] for text in texts(made, passages)] == ["첫 장", "첫 절", "둘째 장"]
    assert [passage.headings for passage in passages] == [(), ("첫 장",), ()]
    assert [(passage.page, passage.place) for passage in passages] == [(1, "p. 1"), (3, "p. 3"), (5, "p. 5")]


def test_short_sections_stay_together() -> None:
    made = document(*[("heading2", "절"), ("paragraph", SENTENCE)] * 3)
    assert len(split_passages(made)) == 1


def test_long_paragraphs_are_cut_between_sentences() -> None:
    made = document(("heading", "장"), ("paragraph", " ".join([SENTENCE] * 100)))
    passages = split_passages(made)
    check(made, passages, 900)
    assert all(text.endswith("하였다.") for text in texts(made, passages))
    assert {passage.headings for passage in passages[1:]} == {("장",)}
    assert all(300 <= len(text) <= 600 for text in texts(made, passages)[:-1])


def test_tables_are_cut_between_rows_and_carry_their_first_row() -> None:
    rows = [("이름", "사는 곳", "")] + [(f"사람 {n}", f"서울 종로구 {n}길 {n}", "") for n in range(200)]
    made = document(("heading", "명단"), ("table", rows))
    passages = split_passages(made)
    check(made, passages, 900)
    lines = [line for text in texts(made, passages) for line in text.split("\n")]
    assert lines[2:] == ["\t".join(row).rstrip("\n") for row in rows]
    assert passages[0].headings == ()
    assert {passage.headings for passage in passages[1:]} == {("명단", "이름 | 사는 곳")}


def test_code_is_kept_whole_where_it_fits() -> None:
    code = "\n\n".join(f"def f{n}():\n    return {n}" for n in range(20))
    made = document(("paragraph", SENTENCE * 18), ("code", code), ("paragraph", SENTENCE))
    assert any(code in text for text in texts(made, split_passages(made)))
    made = document(("code", "\n".join([code] * 10)))
    check(made, split_passages(made), 900)


def test_text_outside_of_blocks_is_not_lost() -> None:
    made = Document("txt", "", "앞\n\n가운데 뒤  ", (Block("paragraph", 3, 6),))
    assert texts(made, split_passages(made)) == ["앞\n\n가운데 뒤"]
    assert split_passages(Document("txt", "", "  \n", ())) == []


def test_words_without_any_gap_are_cut_all_the_same() -> None:
    made = document(("paragraph", "가" * 5000))
    check(made, split_passages(made), 900)


@pytest.mark.parametrize("seed", range(8))
def test_every_word_lies_in_exactly_one_passage(seed: int) -> None:
    chance = random.Random(seed)
    parts: list[tuple[str, Any]] = []
    for _ in range(60):
        kind = chance.choice(
            ["heading", "heading2", "heading3", "paragraph", "list_item", "code", "note", "table"]
        )
        if kind == "table":
            width = chance.randint(1, 5)
            parts.append(
                (kind, [["가나" * chance.randint(0, 30)] * width for _ in range(chance.randint(1, 40))])
            )
        else:
            words = "".join(
                chance.choice(["말", "글이다. ", "x", " ", "\n", "일을 했다.", "긴말" * 40])
                for _ in range(chance.randint(1, 200))
            )
            parts.append((kind, words))
    made = document(*parts, ("paragraph", "끝"))
    target = chance.choice([100, 500])
    check(made, split_passages(made, target=target, most=2 * target, least=target // 4), 2 * target)


def test_a_long_document_is_quick() -> None:
    page = [("heading2", "절"), *[("paragraph", " ".join([SENTENCE] * 20))] * 4]
    made = document(*page * 200)
    assert len(made.text) > 350_000
    started = time.process_time()
    passages = split_passages(made)
    assert time.process_time() - started < 0.5
    assert len(passages) >= 400


@pytest.mark.parametrize("sizes", [(0, 1, 2), (5, 4, 9), (1, 9, 8)], ids=str)
def test_sizes_are_checked(sizes: tuple[int, int, int]) -> None:
    least, target, most = sizes
    with pytest.raises(InvalidInput) as caught:
        split_passages(document(("paragraph", "글")), target=target, most=most, least=least)
    assert caught.value.field == "least"
