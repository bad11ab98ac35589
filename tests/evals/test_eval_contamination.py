"""What a corpus has seen of tasks: whole items, parts of them, short ones, and the tasks' own wording."""

from eval_rows import choice_items, eval_result, task_result
from malmoi.evals.contamination import find_overlap, with_scores
from malmoi.factory.corpus.documents import Document
from malmoi.tasks.base import Example

PASSAGE = "훈민정음은 조선의 네 번째 임금 세종이 백성을 가르치려고 만든 글자이며 천사백사십육년에 반포되었다"
ENGLISH = (
    "the quick brown fox jumps over the lazy dog while seven wizards quietly brew a potion in the old mill"
)
TEMPLATE = "다음 글을 천천히 읽고 물음에 알맞은 답을 보기에서 하나만 고르시오 설명은 쓰지 마시오"
SHORT = "참으로 재미있고 아름다운 영화"


def document(text: str, number: int = 0) -> Document:
    return Document(f"d{number}", text, "web", "ko", "CC0-1.0", f"web.txt#{number}")


def example(number: int, question: str, **values: object) -> Example:
    return Example(id=str(number), question=question, **values)  # type: ignore[arg-type]


def test_copies_are_found_whatever_stands_around_them() -> None:
    tasks = {
        "a": [
            example(0, f"{PASSAGE} 질문: 누가 만들었나?"),
            example(1, "아무 데도 없는 아주 긴 질문이 여기에 있다고 하자 그렇다"),
        ],
        "b": [example(0, f"{ENGLISH}?")],
    }
    corpus = [document(f"머리말. {PASSAGE}. 맺음말."), document(f"It is said that {ENGLISH}.", 1)]
    korean, english = find_overlap(corpus, tasks)
    assert [item.id for item in korean.seen] == ["0"]
    assert korean.seen[0].document == "web.txt#0"
    assert 0.5 < korean.seen[0].coverage <= 1.0
    assert "훈민정음" in korean.seen[0].found
    assert korean.share == 0.5
    assert english.seen[0].coverage == 1.0


def test_spacing_does_not_hide_a_copy() -> None:
    (found,) = find_overlap([document(PASSAGE.replace(" ", ""))], {"a": [example(0, PASSAGE)]})
    assert len(found.seen) == 1


def test_every_item_that_shares_the_passage_is_seen() -> None:
    """The index of runs remembers one item a run; several questions about one passage must all be found."""
    other = "서로 다른 글 {0}번은 아무 곳에도 실리지 않았고 앞으로도 실리지 않을 것이다 {0}"
    asked = [f"{PASSAGE} 질문 {n}: 맞는가?" for n in range(4)] + [other.format(n) for n in range(40)]
    tasks = {"a": [example(n, question) for n, question in enumerate(asked)]}
    (found,) = find_overlap([document(PASSAGE)], tasks)
    assert [item.id for item in found.seen] == ["0", "1", "2", "3"]


def test_short_texts_count_only_whole() -> None:
    tasks = {"a": [example(0, SHORT), example(1, SHORT + "였다"), example(2, "짧은 글")]}
    (found,) = find_overlap([document(f"어제 본 것은 {SHORT}. 짧은 글")], tasks)
    assert [item.id for item in found.seen] == ["0"]


def test_choices_and_answers_count_too() -> None:
    tasks = {"a": [example(0, "고르시오", choices=(PASSAGE, "다른 것"), answer=PASSAGE)]}
    (found,) = find_overlap([document(PASSAGE)], tasks)
    assert len(found.seen) == 1


def test_the_wording_of_a_task_does_not_count() -> None:
    tasks = {
        "a": [
            example(n, f"{TEMPLATE}\n글: {'가나다라마바사아자차'[n % 10] * 3}{n} 무엇인가") for n in range(50)
        ]
    }
    (found,) = find_overlap([document(TEMPLATE)], tasks)
    assert found.seen == ()


def test_a_clean_corpus_has_seen_nothing() -> None:
    (found,) = find_overlap(
        [document("전혀 다른 이야기가 길게 이어지는 글이다. " * 5)], {"a": [example(0, PASSAGE)]}
    )
    assert found.seen == ()
    assert found.share == 0.0
    assert find_overlap([], {"a": []})[0].share == 0.0


def test_scores_with_and_without_seen_items() -> None:
    items = choice_items(100, right=0.5)
    seen = {item.id for item in items[:20]}
    items = [
        item.model_copy(update={"grade": 1.0, "answer": item.gold}) if item.id in seen else item
        for item in items
    ]
    result = eval_result([task_result(items, ("accuracy",))])
    story = "{0}번째로 실린 이야기는 강가에서 {0}명이 {0}시에 만난 것으로 시작하는 {0}쪽짜리 글"
    examples = [
        Example(id=i.id, question=story.format(i.id) if i.id in seen else f"새 글 {i.id}") for i in items
    ]
    corpus = [document(e.question, n) for n, e in enumerate(examples) if e.id in seen]
    (overlap,) = with_scores(find_overlap(corpus, {"kobest/boolq": examples}), result, items, resamples=100)
    assert {item.id for item in overlap.seen} == seen
    assert overlap.all is not None
    assert overlap.clean is not None
    assert overlap.seen_items is not None
    assert overlap.seen_items.value == 1.0
    assert overlap.clean.value is not None
    assert overlap.all.value is not None
    assert overlap.clean.value < overlap.all.value
    assert overlap.as_json()["clean"]["value"] == overlap.clean.value
