"""What comes of it: exports with provenance, success rates, agreement."""

import json
from typing import Any

import pytest
from redteam_server import Person, Server

from malmoi.apps.redteam.findings import FoundSession, FoundTurn, ScoredReply
from malmoi.apps.redteam.statistics import build_statistics


async def lines(person: Person, name: str) -> list[Any]:
    answer = await person.call("GET", f"export/{name}")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}.jsonl"'
    return [json.loads(line) for line in answer.text.splitlines()]


def by_label(session: Any, turn: int, label: str) -> Any:
    return next(reply for reply in session["turns"][turn]["replies"] if reply["label"] == label)


async def test_pairs_follow_overall_scores(server: Server) -> None:
    session = await server.attack(scores=((1, 6), (7, 2)))
    [row] = await lines(server.owner, "pairs")
    better, worse = by_label(session, 0, "A"), by_label(session, 0, "B")
    assert row["prompt"] == [{"role": "user", "content": "질문 0"}]
    assert row["chosen"] == [{"role": "assistant", "content": better["content"]}]
    assert row["rejected"] == [{"role": "assistant", "content": worse["content"]}]
    provenance = row["provenance"]
    assert (provenance["topic"], provenance["strategy"], provenance["turn"]) == ("bias", "role_play", 1)
    assert provenance["chosen"]["model"] == better["model"]
    assert provenance["margin"] == 4
    assert provenance["chosen"]["overall"] == [6]
    assert provenance["annotators"] == [(await server.owner.json("GET", "me"))["id"]]


async def test_a_tie_makes_no_pair(server: Server) -> None:
    await server.attack(scores=((1, 4), (7, 4)))
    assert await lines(server.owner, "pairs") == []


async def test_the_prompt_of_a_later_pair_is_the_dialogue(server: Server) -> None:
    session = await server.attack(turns=2)
    rows = await lines(server.owner, "pairs")
    assert [row["provenance"]["turn"] for row in rows] == [1, 2]
    worst = by_label(session, 0, "B")  # harmlessness 1
    assert [message["content"] for message in rows[1]["prompt"]] == ["질문 0", worst["content"], "질문 1"]
    assert [message["role"] for message in rows[1]["prompt"]] == ["user", "assistant", "user"]


async def test_scores_of_several_annotators_are_taken_together(server: Server) -> None:
    session = await server.attack(scores=((6, 5), (1, 4)))
    kim = await server.person("kim")
    turn = (await kim.json("GET", f"sessions/{session['session']['id']}"))["turns"][0]
    await kim.score(turn, (6, 2), (1, 6))
    [row] = await lines(server.owner, "pairs")
    assert row["chosen"][0]["content"] == by_label(session, 0, "B")["content"]
    assert row["provenance"]["margin"] == 1.5  # (4 + 6 - 5 - 2) / 2
    assert len(row["provenance"]["annotators"]) == 2


async def test_rewritten_answers_become_sft_rows(server: Server) -> None:
    session = await server.attack(turns=2)
    first, second = (turn["id"] for turn in session["turns"])
    await server.owner.json("PUT", f"turns/{first}/rewrite", {"content": "아직 쓰는 중"})
    done = {"content": "안전하고 도움이 되는 답", "is_done": True}
    await server.owner.json("PUT", f"turns/{second}/rewrite", done)
    [row] = await lines(server.owner, "sft")
    assert [message["role"] for message in row["messages"]] == ["user", "assistant", "user", "assistant"]
    assert row["messages"][-1]["content"] == "안전하고 도움이 되는 답"
    assert row["provenance"]["kind"] == "rewrite"


async def test_what_is_not_finished_is_not_exported(server: Server) -> None:
    session_id = (await server.begin())["session"]["id"]
    turn = (await server.send(session_id, "질문"))["turns"][0]
    await server.owner.score(turn, (6, 5), (1, 2))
    await server.owner.json("PUT", f"turns/{turn['id']}/rewrite", {"content": "답", "is_done": True})
    assert await lines(server.owner, "pairs") == await lines(server.owner, "sft") == []


async def test_success_rates(server: Server) -> None:
    await server.attack(scores=((6, 5), (1, 2)))
    await server.attack(scores=((7, 7), (7, 7)), topic="hate", strategy="general")
    found = await server.owner.json("GET", "statistics")
    assert (found["attempts"]["count"], found["attempts"]["total"]) == (1, 4)
    assert (found["broken_sessions"]["count"], found["broken_sessions"]["total"]) == (1, 2)
    assert {rate["name"]: rate["value"] for rate in found["by_topic"]} == {"bias": 0.5, "hate": 0.0}
    assert {rate["name"] for rate in found["by_model"]} == {"polite", "rude"}
    assert all(0 <= rate["low"] <= rate["value"] <= rate["high"] <= 1 for rate in found["by_topic"])
    strict = await server.owner.json("GET", "statistics?threshold=6")
    assert strict["attempts"]["count"] == 2
    await server.owner.json("GET", "statistics?threshold=7", status=400)


def dialogue(name: str, *turns: dict[str, tuple[int, ...]]) -> FoundSession:
    """A session whose replies have harmlessness scores by annotators a, b, ...; None: not scored."""
    found = []
    for number, replies in enumerate(turns, start=1):
        rows = tuple(
            ScoredReply(
                f"{name}{number}{model}",
                model,
                model,
                {chr(97 + place): (points, points) for place, points in enumerate(scores)},
            )
            for model, scores in replies.items()
        )
        found.append(FoundTurn(number, (("user", "?"),), rows, {}))
    return FoundSession(name, "bias", "", "general", "ko", "", tuple(found))


def test_the_mean_of_annotators_decides() -> None:
    sessions = [dialogue("s", {"x": (3, 4), "y": (3, 3)})]
    found = build_statistics(sessions, me="a", threshold=3)
    assert {rate.name: rate.count for rate in found.by_model} == {"x": 0, "y": 1}


def test_agreement_of_those_who_agree() -> None:
    sessions = [dialogue(str(points), {"x": (points, points)}) for points in range(8)]
    [harmlessness, overall] = build_statistics(sessions, me="b").agreement
    assert harmlessness.alpha.value == pytest.approx(1)
    assert harmlessness.kappas[0].value == pytest.approx(1)
    assert [person.bias for person in harmlessness.annotators] == [0, 0]
    assert [person.is_me for person in harmlessness.annotators] == [False, True]
    assert overall.alpha.units == 8


def test_one_annotator_alone_agrees_with_nobody() -> None:
    found = build_statistics([dialogue("s", {"x": (3,)})], me="a")
    assert found.agreement[0].alpha.value is None
    assert found.agreement[0].annotators[0].bias is None


def test_statistics_of_nothing() -> None:
    found = build_statistics([], me="a")
    assert found.attempts.value is None
    assert found.by_topic == []


def test_turns_of_one_session_are_no_independent_attempts() -> None:
    clustered = [
        dialogue(str(n), *({"x": (0,)} if n < 3 else {"x": (7,)} for _ in range(7))) for n in range(6)
    ]
    loose = [dialogue(str(n), {"x": (0,) if n < 21 else (7,)}) for n in range(42)]
    wide, narrow = (build_statistics(sessions, me="a").attempts for sessions in (clustered, loose))
    assert (wide.count, wide.total) == (narrow.count, narrow.total) == (21, 42)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
