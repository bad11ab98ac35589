"""Metrics against figures worked out by hand, and against the libraries that the field uses."""

import math
import time
from typing import Any

import numpy as np
import pytest

from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.evals.metrics import METRICS, by_category, chance, measure
from malmoi.evals.results import ItemResult


def item(number: int = 0, **values: Any) -> ItemResult:
    usual: dict[str, Any] = {"task": "t", "id": str(number), "prompt": "질문", "answer": "", "grade": 0.0}
    return ItemResult(**(usual | values))


def labelled(pairs: list[tuple[str, str]], choices: tuple[str, ...] = ()) -> list[ItemResult]:
    return [
        item(n, gold=gold, answer=answer, grade=float(gold == answer), choices=choices)
        for n, (gold, answer) in enumerate(pairs)
    ]


def value(name: str, items: list[ItemResult]) -> float:
    found = METRICS[name](items)
    assert found is not None
    return found


PAIRS = [
    ("함의", "함의"),
    ("함의", "모순"),
    ("모순", "모순"),
    ("중립", "모순"),
    ("중립", "중립"),
    ("중립", "함의"),
]


def test_accuracy_is_the_mean_grade() -> None:
    assert value("accuracy", labelled(PAIRS)) == 0.5
    assert value("accuracy", [item(grade=0.25), item(1, grade=0.5)]) == 0.375


def test_f1_by_hand() -> None:
    # 함의: 1 of 2 given, 1 of 2 gold: 1/2. 모순: 1 of 3 given, 1 of 1: 1/2. 중립: 1 of 1, 1 of 3: 1/2.
    assert value("macro_f1", labelled(PAIRS)) == pytest.approx(0.5)
    assert value("micro_f1", labelled(PAIRS)) == pytest.approx(0.5)
    collapsed = labelled([("예", "예"), ("아니오", "예"), ("아니오", "예"), ("예", "예")], ("아니오", "예"))
    assert value("macro_f1", collapsed) == pytest.approx(1 / 3)


def test_f1_equals_that_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(3)
    gold, answers = random.integers(0, 4, 300), random.integers(0, 5, 300)
    items = labelled([(str(g), str(a)) for g, a in zip(gold, answers, strict=True)], tuple("01234"))
    assert value("macro_f1", items) == pytest.approx(sklearn.f1_score(gold, answers, average="macro"))
    assert value("micro_f1", items) == pytest.approx(sklearn.f1_score(gold, answers, average="micro"))


def test_classes_are_places_where_choices_differ() -> None:
    rows = [("가", "나", "가"), ("다", "라", "라"), ("마", "바", "마"), ("사", "아", "사")]
    items = [
        item(n, choices=(a, b), gold=(a, b)[n % 2], answer=answer, grade=0)
        for n, (a, b, answer) in enumerate(rows)
    ]
    # gold places 0 1 0 1, given 0 1 0 0: F1 of 0 is 4/5, of 1 is 2/3.
    assert value("macro_f1", items) == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_an_answer_that_is_no_class_is_wrong_but_no_class() -> None:
    items = labelled([("예", "예"), ("아니오", "모르겠다")], ("아니오", "예"))
    assert value("macro_f1", items) == pytest.approx(0.5)


def test_micro_f1_leaves_out_the_named_class() -> None:
    pairs = [("no_relation", "no_relation"), ("org:founded", "org:founded"), ("org:founded", "no_relation")]
    items = [one.model_copy(update={"fields": {"ignored_label": "no_relation"}}) for one in labelled(pairs)]
    assert value("micro_f1", items) == pytest.approx(2 / 3)


def test_binary_f1() -> None:
    numbers = [("4.2", "3.0"), ("3.0", "2.9"), ("1.0", "약 4점"), ("0.0", "0.5")]
    assert value("f1_binary", labelled(numbers)) == pytest.approx(0.5)
    assert value("f1_binary", labelled([("1", "1"), ("0", "1"), ("1", "1")])) == pytest.approx(4 / 5)
    choices = labelled([("예", "예"), ("예", "아니오"), ("아니오", "아니오")], ("아니오", "예"))
    assert value("f1_binary", choices) == pytest.approx(2 / 3)


def test_correlations_equal_those_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(1)
    x = np.round(random.uniform(0, 5, 200), 1)
    y = np.round(x + random.normal(0, 1.5, 200), 0)
    items = labelled([(str(a), str(b)) for a, b in zip(x, y, strict=True)])
    assert value("pearson", items) == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-12)
    assert value("spearman", items) == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-12)


def test_spearman_shares_ranks_among_ties() -> None:
    items = labelled([("1", "1"), ("2", "2"), ("2", "3"), ("4", "3")])
    # ranks 1 2.5 2.5 4 and 1 2 3.5 3.5
    x, y = np.array([1, 2.5, 2.5, 4]), np.array([1, 2, 3.5, 3.5])
    assert value("spearman", items) == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_a_correlation_that_is_not_defined_is_none_with_a_reason() -> None:
    (found,) = measure(["pearson"], labelled([("1", "3"), ("2", "3"), ("3", "3")]))
    assert found.value is None
    assert found.low is None
    assert found.note
    assert "NaN" not in found.model_dump_json()


def test_the_exact_score_is_taken_where_an_item_has_it() -> None:
    items = [
        item(n, gold=str(round(x)), answer=str(2 * x), fields={"score": x})
        for n, x in enumerate((0.4, 1.2, 3.9))
    ]
    assert value("pearson", items) == pytest.approx(1.0)


def test_answers_without_a_number_are_counted_and_said() -> None:
    (found,) = measure(["pearson"], labelled([("1", "1"), ("2", "잘 모르겠다"), ("3", "3")]))
    assert found.value == pytest.approx(1.0)
    assert "1 of 3 answers" in found.note


def test_normalised_accuracy_from_logprobs() -> None:
    choices = ("가나다라", "abc")
    one = item(choices=choices, gold=choices[0], answer=choices[1], logprobs=(-4.0, -3.5))
    # by character -1.0 and -1.17; by byte -0.33 and -1.17
    assert value("accuracy_by_character", [one]) == 1.0
    assert value("accuracy_by_byte", [one]) == 1.0
    other = item(choices=("ab", "가"), gold="ab", answer="가", logprobs=(-4.0, -3.0))
    assert value("accuracy_by_character", [other]) == 1.0  # -2 against -3
    assert value("accuracy_by_byte", [other]) == 0.0  # -2 against -1
    said = one.model_copy(update={"grades": {"accuracy_by_character": 0.0}})
    assert value("accuracy_by_character", [said]) == 0.0


def test_mc2_is_the_share_of_the_true_answers() -> None:
    logprobs = tuple(math.log(p) for p in (0.1, 0.3, 0.1))
    one = item(choices=("a", "b", "c"), logprobs=logprobs, fields={"labels": [1, 0, 1]})
    assert value("mc2", [one]) == pytest.approx(0.4)
    (found,) = measure(["mc2"], [one, one.model_copy(update={"id": "2"})])
    assert found.chance == pytest.approx(2 / 3)
    assert METRICS["mc2"]([item(choices=("a",), logprobs=(-1.0,))]) is None


def test_pass_at_k_without_bias() -> None:
    rows = [item(n, grade=c / 5, fields={"samples": 5, "passed": c}) for n, c in enumerate((0, 2, 5))]
    assert value("pass_at_1", rows) == pytest.approx((0 + 2 / 5 + 1) / 3)
    assert value("pass_at_5", rows) == pytest.approx(2 / 3)
    (found,) = measure(["pass_at_10"], rows)
    assert found.value is None
    assert "10 answers" in found.note


def test_bits_per_byte() -> None:
    text = item(prompt="", answer="가나", logprobs=(-3 * math.log(2), -9 * math.log(2)))
    assert value("bits_per_byte", [text]) == pytest.approx(12 / 6)
    assert value("byte_perplexity", [text]) == pytest.approx(4.0)
    choice = item(choices=("가", "ab"), gold="가", answer="ab", logprobs=(-6 * math.log(2), -1.0))
    assert value("bits_per_byte", [choice]) == pytest.approx(2.0)


NER = "<경찰:OG>은 <박:PS>씨와 <16명:QT>을 입건했다."


def test_entities_by_hand() -> None:
    items = [
        item(gold=NER, answer="<경찰:OG>은 <박씨:PS>와 <16명:QT>을 입건했다."),
        item(1, gold="<김:PS>은 갔다.", answer="<김:PS>은 갔다."),
    ]
    # OG 1, QT 1; PS: 1 right of 2 gold and 2 given: 1/2.
    assert value("entity_f1", items) == pytest.approx((1 + 1 + 0.5) / 3)


def test_entities_of_a_rewritten_sentence_are_found_at_their_places() -> None:
    assert value("entity_f1", [item(gold=NER, answer="<경찰:OG>이 <박:PS>씨, <16명:QT>을!")]) == 1.0
    assert value(
        "entity_f1", [item(gold=NER, answer="<검찰:OG>이 <박:PS>씨, <16명:QT>을!")]
    ) == pytest.approx(2 / 3)


def test_tags_of_characters_by_hand() -> None:
    one = item(gold="B-PS I-PS O O", answer="B-PS O O O")
    # B-PS 1; I-PS 0; O: 2 right of 2 gold and 3 given: 4/5.
    assert value("character_f1", [one]) == pytest.approx((1 + 0 + 0.8) / 3)
    assert value("entity_f1", [one]) == 0.0
    assert value("entity_f1", [item(gold="B-PS I-PS O", answer="O I-PS O")]) == 0.0  # an I begins nothing


def test_trees_by_hand() -> None:
    gold = "2:NP_SBJ 3:NP_OBJ 0:VP"
    one = item(gold=gold, answer="2:NP_SBJ 3:NP_SBJ 2:VP")
    assert value("uas", [one]) == pytest.approx(2 / 3)
    assert value("las", [one]) == pytest.approx(1 / 3)
    # heads: gold 2 3 0, given 2 3 2: F1 of 2 is 2/3, of 3 is 1, of 0 is 0.
    assert value("uas_macro_f1", [one]) == pytest.approx((2 / 3 + 1 + 0) / 3)
    # types: SBJ 2/3, OBJ 0, VP 0, and the wrong head as a class of its own.
    assert value("las_macro_f1", [one]) == pytest.approx((2 / 3) / 4)
    assert value("uas", [item(gold=gold, answer="2:NP_SBJ")]) == pytest.approx(1 / 3)
    assert value("las", [item(gold=gold, answer=gold)]) == 1.0


def test_rouge_w_is_the_longest_shared_run() -> None:
    one = item(gold="실리콘유", answer="실리콘", fields={"answers": ["규소 기름"]})
    assert value("rouge_w", [one]) == pytest.approx(6 / 7)
    assert value("rouge_w", [item(gold="서울", answer="'서울'.")]) == 1.0
    assert value("rouge_w", [item(gold="서울", answer="")]) == 0.0


TEXTS = [
    ("고양이가 매트 위에 앉았다.", "고양이가 매트 위에 앉아 있다."),
    ("The cat sat on the mat today.", "A cat sat on the mat."),
    ("비", "눈"),
    ("", "빈 답"),
]


def test_chrf_and_bleu_equal_those_of_sacrebleu() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    items = [item(n, answer=answer, gold=gold) for n, (answer, gold) in enumerate(TEXTS)]
    answers, golds = [one.answer for one in items], [[one.gold for one in items]]
    assert value("chrf", items) == pytest.approx(sacrebleu.corpus_chrf(answers, golds).score)
    assert value("bleu", items) == pytest.approx(sacrebleu.corpus_bleu(answers, golds).score)


def test_dialogue_states() -> None:
    rows = [("숙소-지역-서울, 숙소-인원-2", "숙소-인원-2\n숙소-지역-서울"), ("a-b-c, a-b-d", "a-b-c")]
    items = [item(n, gold=gold, answer=answer) for n, (gold, answer) in enumerate(rows)]
    assert value("joint_goal_accuracy", items) == 0.5
    assert value("slot_f1", items) == pytest.approx((1 + 2 / 3) / 2)


def test_intervals_hold_the_figure_and_narrow_with_more_items() -> None:
    random = np.random.default_rng(0)
    grades = (random.random(2000) < 0.6).astype(float)
    widths = []
    for size in (100, 2000):
        (found,) = measure(["accuracy"], [item(n, grade=g) for n, g in enumerate(grades[:size])])
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)
        expected = 2 * 1.96 * math.sqrt(found.value * (1 - found.value) / size)
        assert widths[-1] == pytest.approx(expected, rel=0.12)
    assert widths[1] < widths[0] / 3


def test_figures_are_the_same_every_time_and_for_every_company() -> None:
    items = labelled(PAIRS * 8)
    first = measure(["accuracy", "macro_f1"], items, seed=4)
    assert measure(["macro_f1", "accuracy"], items, seed=4) == (first[1], first[0])
    assert measure(["accuracy", "macro_f1"], items, seed=5) != first


def test_items_of_a_group_are_drawn_together() -> None:
    items = [item(n, grade=float(n // 50 % 2), fields={"passage": n // 50}) for n in range(400)]
    (alone,) = measure(["accuracy"], items)
    (grouped,) = measure(["accuracy"], items, cluster="passage")
    assert alone.low is not None
    assert grouped.low is not None
    assert grouped.value == alone.value
    assert grouped.low < alone.low - 0.1


def test_few_items_get_wilsons_interval() -> None:
    (found,) = measure(["accuracy"], [item(n, grade=1.0) for n in range(5)])
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.5655, abs=1e-4)


def test_chance() -> None:
    four = item(choices=tuple("abcd"))
    two = item(choices=tuple("ab"))
    assert chance([four, two]) == pytest.approx(0.375)
    assert chance([four, item()]) is None
    assert chance([]) is None


def test_a_guessing_model_is_at_chance() -> None:
    random = np.random.default_rng(8)
    choices = ("아니오", "예")
    gold, answers = random.integers(0, 2, (2, 4000))
    pairs = [(choices[g], choices[a]) for g, a in zip(gold, answers, strict=True)]
    for found in measure(["accuracy", "macro_f1"], labelled(pairs, choices)):
        assert found.chance is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.chance < found.high


def test_further_grades_are_metrics_too() -> None:
    items = [item(0, grades={"strict": 1.0}), item(1, grades={"strict": 0.0}), item(2)]
    (found,) = measure(["strict"], items)
    assert found.value == 0.5
    with pytest.raises(UnknownName, match="accuracy"):
        measure(["acuracy"], items)


def test_no_items_and_broken_items() -> None:
    (found,) = measure(["accuracy"], [])
    assert found.value is None
    with pytest.raises(InvalidInput, match="no number"):
        measure(["accuracy"], [item(grade=math.nan)])


def test_by_category() -> None:
    items = [item(n, category="ab"[n % 2], grade=float(n % 2)) for n in range(40)]
    found = by_category(["accuracy"], items)
    assert [figures[0].value for figures in found.values()] == [0.0, 1.0]
    assert by_category(["accuracy"], [item(), item(1)]) == {}


def test_every_metric_gives_a_figure_or_a_reason_for_any_item() -> None:
    odd = [item(), item(1, choices=("a", "b"), gold="a", answer="없음", logprobs=(-1.0, -2.0))]
    for name in METRICS:
        if "bias" in name:
            with pytest.raises(InvalidInput, match="is no bias item"):
                measure([name], odd)
            continue
        for rows in (odd, odd[:1], odd[1:]):
            (found,) = measure([name], rows, resamples=20)
            assert (found.value is None) == (not math.isfinite(found.value or math.nan)) or found.value == 0
            assert found.value is not None or found.note


def test_ten_thousand_items_are_measured_in_a_moment() -> None:
    random = np.random.default_rng(0)
    labels = ("함의", "중립", "모순")
    gold, answers = random.integers(0, 3, (2, 10_000))
    items = labelled([(labels[g], labels[a]) for g, a in zip(gold, answers, strict=True)], labels)
    start = time.process_time()
    measure(["accuracy", "macro_f1"], items)
    assert time.process_time() - start < 6  # 0.5 s on an idle machine
