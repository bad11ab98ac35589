"""The router: the right skill, the right operation, or none; corrections count at once."""

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from skill_world import embed, operation, skill

from malmoi.assist.skills.routing import Before, Demonstration, Router, index
from malmoi.assist.skills.routing.fitting import fit_router
from malmoi.assist.skills.routing.index import _regular
from malmoi.assist.skills.routing.weighing import load_weights

FOOD = {
    "전주 비빔밥집 찾아줘": "find",
    "근처 국밥집 어디 있어": "find",
    "맛있는 냉면집 찾아줘": "find",
    "저녁 7시에 두 명 자리 예약해줘": "book",
    "냉면집 예약해줘": "book",
}
BUS = {
    "서울역 가는 버스 언제 와": "times",
    "전주 가는 버스 시간표 보여줘": "times",
    "버스표 취소해줘": "cancel",
    "예매한 버스표 환불해줘": "cancel",
}


def both() -> list[Any]:
    food, _ = skill("food", [operation("find"), operation("book", "write")], FOOD)
    bus, _ = skill("bus", [operation("times"), operation("cancel", "write")], BUS)
    return [food, bus]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("광주 국밥집 찾아줘", "food.find"),
        ("부산 가는 버스 언제 와?", "bus.times"),
        ("버스표 환불해줘", "bus.cancel"),
        ("저녁 8시에 네 명 자리 예약해줘", "food.book"),
        ("광합성이 뭐야", None),
        ("write a short poem about the moon", None),
        ("", None),
    ],
)
async def test_queries_find_their_operation(query: str, wanted: str | None) -> None:
    routing = await Router(embed).route(query, both())
    found = f"{routing.choice.skill}.{routing.choice.operation}" if routing.choice else None
    assert found == wanted, routing.to_json()


async def test_the_trace_says_why() -> None:
    routing = await Router(embed).route("광주 국밥집 찾아줘", both())
    told = routing.to_json()
    assert told["choices"][0]["nearest"] in FOOD
    assert 0 < told["choices"][0]["score"] <= 1
    assert told["threshold"] == load_weights().threshold


async def test_a_correction_counts_at_once() -> None:
    router, query = Router(embed), "오늘따라 배가 너무 고프다"
    assert (await router.route(query, both())).choice is None
    shown = Demonstration(query, "food", "find", {"what": "밥"})
    routing = await router.route(query, both(), demonstrations=[shown])
    assert routing.choice is not None
    assert (routing.choice.operation, shown in routing.demonstrations) == ("find", True)
    # In the words of an example of the skill's own as well: what a person shows later counts.
    own, corrected = (
        Demonstration("전주 국밥집", "food", "find", {"what": what}) for what in ("국밥", "전주 국밥")
    )
    routing = await router.route("전주 국밥집", both(), demonstrations=[own, corrected])
    assert routing.demonstrations[0] == corrected
    none = Demonstration("냉면집 예약해줘")
    assert (await router.route("냉면집 예약해줘!", both(), demonstrations=[none])).choice is None


async def test_what_points_back_is_understood_from_before() -> None:
    router = Router(embed)
    before = [Before("서울역 가는 버스 언제 와", "bus", "times")]
    assert (await router.route("전주는?", both())).choice is None
    routing = await router.route("전주는?", both(), before=before)
    assert routing.choice is not None
    assert routing.choice.skill == "bus"
    # A skill that is off by now is not brought back by what was said before.
    assert (await router.route("전주는?", both()[:1], before=before)).choice is None


async def test_the_same_question_gets_the_same_answer() -> None:
    first = await Router(embed).route("광주 국밥집 찾아줘", both())
    assert first.to_json() == (await Router(embed).route("광주 국밥집 찾아줘", both())).to_json()


async def test_fitting_tells_what_it_reached() -> None:
    fitted = await fit_router(both(), embed, pairs=1)
    assert fitted.slope > 0
    assert fitted.told["right_skill"] > 0.8
    assert fitted.told["called_for_none"] < 0.1


async def test_what_follows_has_the_operation_that_it_asks_for_itself() -> None:
    before = [Before("전주 가는 버스 시간표 보여줘", "bus", "times")]
    routing = await Router(embed).route("그거 취소해줘", both(), before=before)
    assert routing.choice is not None
    assert (routing.choice.skill, routing.choice.operation) == ("bus", "cancel")


def test_a_kernel_that_is_not_positive_is_made_so() -> None:
    kernel = np.array(
        [[1.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 1.0]]
    )  # the least eigenvalue is below -0.2
    assert np.linalg.eigvalsh(_regular(kernel, 0.1))[0] == pytest.approx(0.1)
    assert (_regular(np.eye(3), 0.1) == 1.1 * np.eye(3)).all()


async def test_learning_leaves_the_loop_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    learned = index._learned

    def noted(*given: Any) -> Any:
        threads.append(threading.current_thread())
        return learned(*given)

    monkeypatch.setattr(index, "_learned", noted)
    made = await index.build_index(both(), embed)
    assert made.names == ["food", "bus"]
    assert threads
    assert threading.main_thread() not in threads


async def test_a_skill_that_is_loaded_anew_is_learned_anew() -> None:
    router, made = Router(embed), []
    for _ in range(4):
        skills = both()
        made.append(await router.index(skills, []))
        assert await router.index(skills, []) is made[-1]
        del skills  # what is loaded next may get its place in memory
    assert len({id(one) for one in made}) == 4
