from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from malmoi.tasks.base import Example, Form, Task, TaskInfo
from malmoi.tasks.shots import choose_shots
from malmoi.tasks.table import open_task

LABELS = ("부정", "긍정")
POOL = tuple(Example(str(n), f"문장 {n}", LABELS, LABELS[int(n % 5 == 0)]) for n in range(400))


class PoolTask:
    """A task of examples made here."""

    name = "family/pool"
    info = TaskInfo("t", "l", "s", "choice", ("accuracy",))

    def __init__(self, pool: Sequence[Example] = POOL) -> None:
        self.pool = pool

    def examples(self, split: str) -> Sequence[Example]:
        return self.pool

    def prompt(self, example: Example, shots: Sequence[Example] = (), *, form: Form = "default") -> str:
        return example.question

    def continuations(self, example: Example, *, form: Form = "default") -> Sequence[str]:
        return example.choices

    def grade(self, example: Example, answer: str) -> float:
        return float(answer == example.answer)


def test_shots_depend_on_task_item_count_and_seed_alone() -> None:
    task = PoolTask()
    assert isinstance(task, Task)
    item = POOL[7]
    chosen = choose_shots(task, item, 5, 3)
    assert chosen == choose_shots(PoolTask(), item, 5, 3)
    assert [shot.id for shot in chosen] == ["31", "338", "188", "361", "182"]  # on any machine
    assert chosen != choose_shots(task, item, 5, 4)
    assert chosen != choose_shots(task, POOL[8], 5, 3)
    assert choose_shots(task, item, 3, 3) == chosen[:3]
    assert choose_shots(task, item, 0) == ()


@pytest.mark.parametrize("rows", ["first", "random"])
@pytest.mark.parametrize("stratified", [False, True], ids=("plain", "stratified"))
def test_an_item_is_never_its_own_shot(rows: str, stratified: bool) -> None:
    copies = (*POOL[:6], Example("copy", POOL[2].question, LABELS[::-1], POOL[2].answer))
    task = PoolTask(copies)
    for seed in range(20):
        shots = choose_shots(task, copies[2], 7, seed, rows=rows, stratified=stratified)  # type: ignore[arg-type]
        assert sorted(shot.id for shot in shots) == ["0", "1", "3", "4", "5"]


def test_first_rows_are_the_same_for_every_item() -> None:
    task = PoolTask()
    assert choose_shots(task, POOL[100], 3, 1, rows="first") == POOL[:3]
    assert choose_shots(task, POOL[1], 3, 1, rows="first") == (POOL[0], POOL[2], POOL[3])


def test_stratified_shots_have_each_label_equally_often() -> None:
    for item in POOL[:20]:
        shots = choose_shots(PoolTask(), item, 8, stratified=True)
        assert Counter(shot.answer for shot in shots) == {"부정": 4, "긍정": 4}
    orders = {
        tuple(s.answer for s in choose_shots(PoolTask(), item, 4, stratified=True)) for item in POOL[:30]
    }
    assert len(orders) == 6  # no order of labels to be copied


def test_where_items_have_choices_of_their_own_the_place_is_the_label() -> None:
    pool = [Example(str(n), f"q{n}", (f"a{n}", f"b{n}"), f"{'ab'[n % 10 == 0]}{n}") for n in range(200)]
    shots = choose_shots(PoolTask(pool), pool[0], 6, stratified=True)
    assert Counter(shot.answer[0] for shot in shots) == {"a": 3, "b": 3}


def test_random_shots_are_spread_evenly() -> None:
    pool = POOL[:20]
    counts = Counter(
        shot.id for seed in range(600) for shot in choose_shots(PoolTask(pool), pool[0], 2, seed)
    )
    assert len(counts) == 19
    assert min(counts.values()) > 30  # 63 on average
    assert max(counts.values()) < 100


def test_a_task_says_which_rows_its_shots_are(tmp_path: Path) -> None:
    for name, language in (("flores/ko_en", "kor_Hang"), ("flores/ko_en", "eng_Latn")):
        assert name
        for split in ("dev", "devtest"):
            file = tmp_path / "flores" / split / f"{language}.{split}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"{language} {split} {n}\n" for n in range(9)), encoding="utf-8")
    task = open_task("flores/ko_en", tmp_path)
    item = task.examples("devtest")[4]
    assert (item.question, item.answer) == ("한국어: kor_Hang devtest 4\n영어:", "eng_Latn devtest 4")
    assert [shot.answer for shot in choose_shots(task, item, 2)] == ["eng_Latn dev 0", "eng_Latn dev 1"]
    back = open_task("flores/en_ko", tmp_path).examples("devtest")[4]
    assert (back.question, back.answer) == ("영어: eng_Latn devtest 4\n한국어:", "kor_Hang devtest 4")
