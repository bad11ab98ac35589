"""The evaluation of search: its index is made once, and its figures are those of what was found."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from documents_server import Stems

import malmoi.serve.documents.service as service
from malmoi.assist.retrieval.document import Passage
from malmoi.assist.retrieval.parsing import parse_file
from malmoi.core.errors import InvalidInput
from malmoi.engine.catalog import Catalog
from malmoi.serve.documents.evaluation.index import _parse, open_index
from malmoi.serve.documents.evaluation.judging import BEST, Graded, Span, fold_text, grade, ndcg
from malmoi.serve.documents.evaluation.judgments import Judgment, digest_of, grades_of, load_judgments
from malmoi.serve.documents.evaluation.questions import SETS, Question, load_questions
from malmoi.serve.documents.evaluation.run import Way, evaluate, known_of, locate
from malmoi.serve.documents.finding import Manner
from malmoi.serve.documents.types import Hit
from malmoi.serve.engines import EnginePool
from malmoi.serve.settings import ServeSettings
from malmoi.testing import ScriptedEngine

TEXTS = {
    "leave.txt": "휴가는 인사과에 신청한다.\n\n결혼하면 닷새를 쉰다.",
    "travel.md": "# 출장\n\n영수증을 모아 둔다.",
}


def question(number: int, document: str, answer: str) -> Question:
    return Question(
        id=f"q{number}", language="ko", split="dev", question=str(number), document=document, answer=answer
    )


def test_the_sets_of_the_package_hold_questions_of_both_halves() -> None:
    seen: set[str] = set()
    for name in SETS:
        found = load_questions(name)
        assert {one.split for one in found} == {"dev", "test"}
        assert not seen & {one.id for one in found}
        seen |= {one.id for one in found}


async def test_the_right_page_with_another_passage_counts_for_the_page_alone() -> None:
    asked = [question(1, "leave.txt", "닷새를 쉰다"), question(2, "travel.md", "영수증을 모아")]

    async def search(text: str, limit: int) -> Sequence[Hit]:
        span = Passage(0, 14) if text == "1" else Passage(2, 20)
        name = "leave.txt" if text == "1" else "travel.md"
        return [Hit("d", "c", name, span, "", 1.0, name=name)]

    passages = {"leave.txt": [(0, 14), (16, 28)], "travel.md": [(2, 20)]}
    [row, _] = await evaluate([Way("one", search, passages)], asked, locate(asked, TEXTS))
    assert (row.recall.mean, row.pages.mean, row.missed) == (0.5, 1.0, ("q1",))


def judgment(number: int, start: int, end: int, grade: int) -> Judgment:
    digest = digest_of(fold_text(TEXTS["leave.txt"])[start:end])
    return Judgment.model_validate(
        {"question": f"q{number}", "document": "leave.txt", "start": start, "end": end, "grade": grade}
        | {"digest": digest}
    )


async def test_a_passage_that_was_judged_to_answer_counts_by_judgments_alone() -> None:
    asked = [question(1, "leave.txt", "닷새를 쉰다"), question(2, "travel.md", "영수증을 모아")]

    async def search(text: str, limit: int) -> Sequence[Hit]:
        return [Hit("d", "c", "leave.txt", Passage(0, 14), "", 1.0, name="leave.txt")]

    way = Way("one", search, {"leave.txt": [(0, 14), (16, 28)], "travel.md": [(2, 20)]})
    for given, recall, gain in ((BEST, 0.5, BEST), (1, 0.0, 1)):
        graded = grades_of([judgment(1, 1, 11, given)], TEXTS)
        [row, _] = await evaluate([way], asked, locate(asked, TEXTS), graded)
        assert row.recall.mean == 0.0
        assert row.judged_recall is not None
        assert row.judged_ndcg is not None
        assert row.judged_recall.mean == recall
        # The first question has two passages, of which the quoted one is the best; the second one is missed.
        assert row.judged_ndcg.mean == pytest.approx(ndcg([gain], [BEST, gain]) / 2)
    [row, _] = await evaluate([way], asked, locate(asked, TEXTS))
    assert row.judged_recall is None


def test_a_passage_has_the_grade_of_what_it_holds_whole() -> None:
    graded = [Graded(Span("a", 10, 20), 1), Graded(Span("a", 14, 18), BEST)]
    places = [(10, 20), (14, 18), (9, 18), (15, 30), (10, 17)]
    assert [grade(Span("a", *place), [], graded) for place in places] == [BEST, BEST, BEST, 0, 0]
    assert grade(Span("b", 0, 30), [], graded) == 0
    assert grade(Span("b", 0, 30), [Span("b", 20, 40)], graded) == BEST


def test_gains_are_compared_with_the_best_order() -> None:
    assert ndcg([BEST, 1, 0], [0, 1, BEST]) == 1.0
    assert ndcg([1, BEST], [1, BEST]) == pytest.approx((1 + 2 / 1.584963) / (2 + 1 / 1.584963))
    assert ndcg([BEST], [1, 1]) == 1.0
    assert ndcg([0], []) == 0.0


def test_judgments_of_words_that_have_changed_are_noticed() -> None:
    own = judgment(1, 1, 11, 2)
    marked = grades_of([own], {"leave.txt": TEXTS["leave.txt"].replace(" 인사과에", "\n**인사과**에")})
    assert marked == {"q1": [Graded(Span("leave.txt", 1, 17), 2)]}
    with pytest.raises(InvalidInput, match="q1 "):
        grades_of([own], {"leave.txt": TEXTS["leave.txt"].replace("인사과", "총무과")})
    with pytest.raises(InvalidInput, match="q1 "):
        grades_of([own], {})


def test_the_judgments_of_the_package_are_of_its_questions() -> None:
    known = {one.id: one for name in SETS for one in load_questions(name)}
    found = load_judgments()
    assert {one.grade for one in found} == {1, 2}
    assert all(one.start < one.end and known[one.question].is_answerable for one in found)
    assert len({(one.question, one.document, one.start, one.end) for one in found}) == len(found)


async def test_an_index_that_is_kept_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stems = Stems()
    monkeypatch.setattr(service, "MorphemeAnalyzer", lambda: stems)
    settings = ServeSettings.model_validate({"home": tmp_path, "documents": {"embedder": "scripted"}})
    engines = EnginePool(
        home=tmp_path,
        settings=settings.models,
        catalog=Catalog(tmp_path),
        engines={"scripted": ScriptedEngine()},
    )
    corpus = [(name, text.encode()) for name, text in TEXTS.items()]
    done: list[int] = []
    for analysed in (2, 0):
        stems.asked.clear()
        async with open_index(tmp_path / "kept", settings, engines) as index:
            assert await index.fill(corpus, lambda: done.append(1)) == len(corpus)
            assert len(stems.asked) == analysed
            way = await index.way("all", Manner(merge=False))
            assert "결혼" in (await way.search("결혼하면 며칠을 쉬나", 5))[0].text
            asked = question(1, "leave.txt", "닷새를 쉰다").model_copy(update={"question": "결혼하면"})
            [row] = await known_of(way.search, [asked], locate([asked], TEXTS), 10)
            assert row["answers"] == [True, False]
            assert row["features"]["coverage"] == [1.0, 0.0]
    assert len(done) == 2 * len(corpus)
    await engines.close()


@pytest.mark.parametrize("name", sorted(TEXTS))
async def test_texts_are_read_here_as_the_server_reads_them(name: str) -> None:
    content = TEXTS[name].encode()
    assert await _parse(content, name=name) == await parse_file(content, name=name)
