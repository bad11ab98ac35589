"""The guard in the gateway: both APIs, streams, usage, several answers, structured answers, settings."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway import Gateway, events_of, running, script
from malmoi.apps.chat.generation import Generation
from malmoi.apps.chat.live import LiveReply
from malmoi.apps.chat.types import SamplingOptions
from malmoi.assist.guard import Report
from malmoi.core.errors import ConfigError
from malmoi.core.types import Chat, Message, Tool
from malmoi.engine.base import Chunk, Sampling
from malmoi.serve.app import create_app
from malmoi.serve.db import new_id
from malmoi.serve.guards import Guards
from malmoi.serve.identity import Principal, Role
from malmoi.serve.running import InferenceRequest
from malmoi.serve.settings import GuardSettings, HttpSettings, ServeSettings

ME = Principal("acc_1", "me", Role.OWNER, scopes=frozenset({"inference"}))
BLOCKING = """
[groups.curse]
lists = ["curse"]
output = "block"
"""
COVERING = """
[groups.curse]
lists = ["curse"]
output = "mask"
[pii]
input = "mask"
output = "mask"
restore = true
[fence]
enabled = true
"""
RULES = (
    {"contains": "욕해", "reply": "안녕하세요. 이 시발 것. 끝.", "chunk_tokens": 1},
    {"contains": "인사", "reply": "안녕하세요. 반갑습니다."},
    {"contains": "부탁", "tool_calls": [{"name": "call", "arguments": {"tel": "[전화번호_1]", "x": "시발"}}]},
    {"contains": "번호", "reply": "번호는 [전화번호_1]이고 담당은 010-9999-8888입니다."},
    {"contains": "json", "reply": '{"tel": "010-9999-8888"}'},
    {"contains": "생각", "reasoning": "이 시발 생각. 더 생각.", "reply": "네."},
    {"contains": "골라", "reply": ("시발.", "개새끼.", "병신.", "좋아요.")},
    {"contains": "오래", "reply": "가 " * 400 + "시발. 끝"},
)
V3 = "/v3/chat-completions/scripted"


@asynccontextmanager
async def guarded(home: Path, policy: str = "", **guard: Any) -> AsyncIterator[Gateway]:
    """A gateway with a policy of its own."""
    home.mkdir(parents=True, exist_ok=True)
    if policy:
        (home / "policy.toml").write_text(policy, encoding="utf-8")
        guard["policy"] = str(home / "policy.toml")

    def install(app: Any) -> None:
        app.state.services.inference._guards = Guards(GuardSettings(**guard), home)

    async with running(home, script(*RULES), change=install) as it:
        yield it


async def chunks_of(gateway: Gateway, text: str, **fields: Any) -> list[dict[str, Any]]:
    body = {"messages": [{"role": "user", "content": text}], "stream": True, **fields}
    async with gateway.client.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.status_code == 200
        return [json.loads(data) for _, data in await events_of(response) if data != "[DONE]"]


def text_of(chunks: Sequence[dict[str, Any]], field: str = "content") -> str:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get(field) or "" for delta in deltas)


async def test_somebody_in_need_gets_help_lines_from_every_api(home: Path) -> None:
    async with guarded(home) as gateway:
        whole = (await gateway.chat("너무 힘들어서 죽고 싶어요")).json()
        choice = whole["choices"][0]
        assert "- 109:" in choice["message"]["content"]
        assert (choice["finish_reason"], choice["message"]["refusal"]) == ("stop", None)
        assert whole["usage"]["total_tokens"] == 0
        assert "- 109:" in text_of(await chunks_of(gateway, "죽고 싶어요"))
        sent = {"messages": [{"role": "user", "content": "죽고 싶어요"}]}
        studio = (await gateway.post(V3, sent)).json()["result"]
        assert "- 109:" in studio["message"]["content"]
        assert studio["finishReason"] == "stop"
        completion = await gateway.post("/v1/completions", {"prompt": "죽고 싶어요", "max_tokens": 4})
        assert "- 109:" in completion.json()["choices"][0]["text"]
        assert gateway.engine.requests == []  # the model was never asked


async def test_an_answer_that_is_blocked_is_a_refusal(home: Path) -> None:
    async with guarded(home, BLOCKING) as gateway:
        choice = (await gateway.chat("욕해")).json()["choices"][0]
        assert choice["finish_reason"] == "content_filter"
        assert choice["message"]["content"] == "안녕하세요. "
        assert "답하기 어렵습니다" in choice["message"]["refusal"]
        chunks = await chunks_of(gateway, "욕해", stream_options={"include_usage": True})
        assert text_of(chunks) == "안녕하세요. "
        assert "답하기 어렵습니다" in text_of(chunks, "refusal")
        assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-1] == "content_filter"
        assert chunks[-1]["usage"]["prompt_tokens"] > 0
        assert chunks[-1]["usage"]["completion_tokens"] > 0


async def test_the_studio_api_says_the_refusal_as_text(home: Path) -> None:
    async with guarded(home, BLOCKING) as gateway:
        body = {"messages": [{"role": "user", "content": "욕해"}], "includeAiFilters": True}
        result = (await gateway.post(V3, body)).json()["result"]
        assert result["message"]["content"].startswith("안녕하세요. \n\n이 내용에는")
        assert result["finishReason"] == "stop"
        headers = {"accept": "text/event-stream"}
        async with gateway.client.stream("POST", V3, json=body, headers=headers) as response:
            events = [(name, json.loads(data)) for name, data in await events_of(response)]
        told = "".join(data["message"]["content"] for name, data in events if name == "token")
        assert told == dict(events)["result"]["message"]["content"] == result["message"]["content"]


async def test_the_studio_api_tells_its_filter(home: Path) -> None:
    async with guarded(home) as gateway:
        body = {"messages": [{"role": "user", "content": "욕해"}], "includeAiFilters": True}
        expected = [
            {"groupName": "curse", "name": "insult", "score": "0", "result": "OK"},
            {"groupName": "curse", "name": "discrimination", "score": "2", "result": "OK"},
            {"groupName": "unsafeContents", "name": "sexualHarassment", "score": "2", "result": "OK"},
        ]
        result = (await gateway.post(V3, body)).json()["result"]
        assert result["aiFilter"] == expected
        assert result["message"]["content"] == "안녕하세요. 이 시발 것. 끝."  # noted, not changed
        v1 = (await gateway.post("/v1/chat-completions/scripted", body)).json()["result"]
        assert v1["aiFilter"] == expected
        async with gateway.client.stream(
            "POST", V3, json=body, headers={"accept": "text/event-stream"}
        ) as response:
            events = [(name, json.loads(data)) for name, data in await events_of(response)]
        assert dict(events)["result"]["aiFilter"] == expected
        assert (
            "aiFilter" not in (await gateway.post(V3, {**body, "includeAiFilters": False})).json()["result"]
        )


async def test_a_filter_that_nothing_can_tell_is_an_error(home: Path) -> None:
    async with guarded(home, "[groups.hate]\nlabels = ['hate']\n") as gateway:
        body = {"messages": [{"role": "user", "content": "인사"}], "includeAiFilters": True}
        filters = (await gateway.post(V3, body)).json()["result"]["aiFilter"]
        assert {(one["score"], one["result"]) for one in filters} == {("-1", "ERROR")}


async def test_personal_data_is_covered_both_ways_and_given_back(home: Path) -> None:
    async with guarded(home, COVERING) as gateway:
        text = text_of(await chunks_of(gateway, "제 번호 010-1234-5678 기억해"))
        assert text == "번호는 010-1234-5678이고 담당은 [전화번호]입니다."
        seen = gateway.engine.requests[-1].prompt
        assert isinstance(seen, Chat)
        assert seen.messages[-1].content == "제 번호 [전화번호_1] 기억해"


async def test_structured_answers_stay_json(home: Path) -> None:
    tool = {"type": "function", "function": {"name": "call", "parameters": {"type": "object"}}}
    async with guarded(home, COVERING) as gateway:
        answer = await gateway.chat("json", response_format={"type": "json_object"})
        assert json.loads(answer.json()["choices"][0]["message"]["content"]) == {"tel": "[전화번호]"}
        asked = "010-1234-5678 부탁"
        for stream in (False, True):
            if stream:
                chunks = await chunks_of(gateway, asked, tools=[tool])
                calls = [c["choices"][0]["delta"].get("tool_calls") for c in chunks if c["choices"]]
                arguments = next(call for call in calls if call)[0]["function"]["arguments"]
            else:
                message = (await gateway.chat(asked, tools=[tool])).json()
                arguments = message["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
            assert json.loads(arguments) == {"tel": "010-1234-5678", "x": "○○"}


async def test_an_answer_that_no_longer_fits_its_schema_is_refused(home: Path) -> None:
    schema = {"type": "object", "properties": {"tel": {"type": "string", "pattern": r"^[\d-]+$"}}}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    async with guarded(home, COVERING) as gateway:
        choice = (await gateway.chat("json", response_format=form)).json()["choices"][0]
        assert choice["finish_reason"] == "content_filter"
        assert choice["message"]["content"] is None
        assert choice["message"]["refusal"]


@pytest.mark.parametrize(("policy", "tells"), [(COVERING, False), ("", True)], ids=["covering", "default"])
async def test_what_is_wrong_with_an_answer_is_not_told_in_its_own_words(
    home: Path, policy: str, tells: bool
) -> None:
    # What is wrong with it says "json" too, so that the repair gets the same answer.
    schema = {"type": "object", "properties": {"tel": {"enum": ["json"]}}}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    async with guarded(home, policy) as gateway:
        message = (await gateway.chat("json", response_format=form)).json()["error"]["message"]
    assert "does not fit" in message
    assert ("010-9999-8888" in message) is tells


async def test_calls_that_nobody_offered_do_not_leave(home: Path) -> None:
    async with guarded(home, COVERING) as gateway:
        choice = (await gateway.chat("부탁")).json()["choices"][0]
        assert "tool_calls" not in choice["message"]
        assert choice["finish_reason"] == "stop"
        assert not any("tool_calls" in json.dumps(chunk) for chunk in await chunks_of(gateway, "부탁"))


async def test_thoughts_are_guarded_too(home: Path) -> None:
    async with guarded(home, BLOCKING) as gateway:
        choice = (await gateway.chat("생각")).json()["choices"][0]
        assert choice["finish_reason"] == "content_filter"
        assert "시발" not in json.dumps(choice, ensure_ascii=False)
    async with guarded(home, COVERING) as gateway:
        message = (await gateway.chat("생각")).json()["choices"][0]["message"]
        assert (message["reasoning_content"], message["content"]) == ("이 ○○ 생각. 더 생각.", "네.")


async def test_several_answers_are_each_guarded(home: Path) -> None:
    async with guarded(home, BLOCKING) as gateway:
        choices = (await gateway.chat("욕해", n=3)).json()["choices"]
        assert [choice["finish_reason"] for choice in choices] == ["content_filter"] * 3
        assert [choice["message"]["content"] for choice in choices] == ["안녕하세요. "] * 3
        helped = (await gateway.chat("죽고 싶어요", n=2)).json()["choices"]
        assert len(helped) == 2
    async with guarded(home) as gateway:
        helped = (await gateway.chat("죽고 싶어요", n=2)).json()["choices"]
        assert all("109" in choice["message"]["content"] for choice in helped)


async def test_logprobs_of_what_was_covered_do_not_leave(home: Path) -> None:
    async with guarded(home, COVERING) as gateway:
        choice = (await gateway.chat("욕해", logprobs=True)).json()["choices"][0]
        assert choice["message"]["content"] == "안녕하세요. 이 ○○ 것. 끝."
        tokens = "".join(entry["token"] for entry in (choice["logprobs"] or {"content": []})["content"])
        assert tokens == "안녕하세요. "
        clean = (await gateway.chat("인사", logprobs=True)).json()["choices"][0]
        assert "".join(entry["token"] for entry in clean["logprobs"]["content"]) == "안녕하세요. 반갑습니다."


class Settled:
    """Metering that counts how often a request was settled."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.found: list[tuple[int, int, str]] = []

    async def open(self, *args: Any, **kwargs: Any) -> Any:
        return await self.inner.open(*args, **kwargs)

    async def settle(self, reservation: Any, usage: Any, *, finish_reason: str, seconds: float) -> None:
        self.found.append((usage.prompt_tokens, usage.completion_tokens, finish_reason))
        await self.inner.settle(reservation, usage, finish_reason=finish_reason, seconds=seconds)


async def test_usage_is_settled_once_and_the_engine_stops_early(home: Path) -> None:
    async with guarded(home, BLOCKING) as gateway:
        settled = Settled(gateway.services.metering)
        gateway.services.inference._metering = settled  # type: ignore[assignment]
        await gateway.chat("욕해")
        assert len(settled.found) == 1
        prompt, completion, reason = settled.found[0]
        assert reason == "content_filter"
        assert prompt > 0
        assert 0 < completion < len("안녕하세요. 이 시발 것. 끝.")
        settled.found.clear()
        await gateway.chat("이 시발 욕해", n=2)
        assert len(settled.found) == 1
        settled.found.clear()
        await gateway.chat("인사")
        assert [reason for _, _, reason in settled.found] == ["stop"]


async def test_a_request_that_is_cancelled_frees_its_slot(home: Path) -> None:
    async with guarded(home, COVERING) as gateway:
        inference = gateway.services.inference
        request = InferenceRequest(
            "scripted", Chat((Message("user", "오래"),)), Sampling(), "openai", new_id("test")
        )
        stream = inference.stream(ME, request)
        assert (await anext(stream)).text
        await stream.aclose()
        assert not inference._admission.lane("scripted")._running
        assert (await gateway.chat("인사")).status_code == 200


async def test_keys_and_models_may_have_policies_of_their_own(home: Path) -> None:
    guards = Guards(GuardSettings(models={"m": "strict"}, keys={"key_1": "off"}), home)
    key = Principal("acc_1", "me", Role.OWNER, key_id="key_1", scopes=frozenset())
    assert guards.of("other", ME).policy.title.startswith("People")
    assert guards.of("m", ME).policy.holds_output()
    assert not guards.of("m", key).policy.topics


def test_a_wrong_policy_stops_the_start(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    file = home / "bad.toml"
    file.write_text("[grops]\n", encoding="utf-8")
    settings = ServeSettings(home=home, http=HttpSettings(port=0), guard=GuardSettings(policy=str(file)))
    with pytest.raises(ConfigError, match="grops"):
        create_app(settings, engines={"scripted": script()})


async def test_the_safest_of_several_answers_is_given(home: Path) -> None:
    policy = "best_of = 4\n[groups.curse]\nlists = ['curse']\n"
    async with guarded(home, policy) as gateway:
        answer = (await gateway.chat("골라", temperature=1, seed=1)).json()
        assert answer["choices"][0]["message"]["content"] == "좋아요."
        assert len(gateway.engine.requests) == 4
        assert answer["usage"]["completion_tokens"] > 8


async def test_reports_reach_whoever_asks(home: Path) -> None:
    found: list[tuple[int, Report]] = []
    async with guarded(home, BLOCKING) as gateway:
        request = InferenceRequest(
            "scripted",
            Chat((Message("user", "욕해"),), tools=(Tool("f"),)),
            Sampling(),
            "chat",
            new_id("test"),
            on_guard=lambda number, report: found.append((number, report)),
        )
        last: Chunk | None = None
        async for chunk in gateway.services.inference.stream(ME, request):
            last = chunk
    assert last is not None
    assert last.finish_reason == "content_filter"
    assert [(number, report.action) for number, report in found] == [(0, "block")]
    assert found[0][1].reasons["output"][0].source == "list:curse"


@dataclass(frozen=True)
class Turn:
    """One message of a conversation."""

    role: str
    content: str


@pytest.mark.parametrize(
    ("asked", "said", "reason"),
    [("죽고 싶어요", "- 109:", "stop"), ("욕해", "안녕하세요. \n\n이 내용에는 답하기", "content_filter")],
    ids=["need", "blocked"],
)
async def test_the_chat_shows_what_the_guard_says(home: Path, asked: str, said: str, reason: str) -> None:
    policy = BLOCKING + "[topics.self_harm]\n"
    async with guarded(home, policy) as gateway:
        live = LiveReply("msg_1", "acc_1", "con_1")
        outcome = await Generation(gateway.services.inference, live).run(
            ME, [Turn("user", asked)], model="scripted", system="", sampling=SamplingOptions()
        )
    assert (outcome.status, outcome.finish_reason) == ("complete", reason)
    assert said in live.text


def install_policy(home: Path, policy: str, seen: list[str]) -> Any:
    """Put a guard of this policy into an application, and note what it is asked about."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "policy.toml").write_text(policy, encoding="utf-8")

    def install(app: Any) -> None:
        guards = Guards(GuardSettings(policy=str(home / "policy.toml")), home)
        app.state.services.inference._guards = guards
        for guard in guards._guards.values():
            check = guard.check

            async def noted(prompt: Any, check: Any = check) -> Any:
                seen.append(prompt.messages[-1].content)
                return await check(prompt)

            guard.check = noted  # type: ignore[method-assign]

    return install


async def test_who_is_over_a_limit_costs_the_guard_nothing(tmp_path: Path) -> None:
    seen: list[str] = []
    change = install_policy(tmp_path, COVERING, seen)
    async with running(tmp_path, script(*RULES), change=change, limits={"requests_per_minute": 1}) as it:
        assert (await it.chat("첫째")).status_code == 200
        assert (await it.chat("둘째")).status_code == 429
    assert seen == ["첫째"]


async def test_limits_count_every_answer_that_is_written_for_one(tmp_path: Path) -> None:
    change = install_policy(tmp_path, "best_of = 4\n[groups.curse]\nlists = ['curse']\n", [])
    limits = {"tokens_per_minute": 300}
    async with running(tmp_path, script(*RULES), change=change, limits=limits) as it:
        refused = await it.chat("골라", max_tokens=100)
        assert refused.status_code == 400  # four times a hundred are more than any minute has
        assert (await it.chat("골라", max_tokens=50)).status_code == 200
        greedy = await it.chat("골라", max_tokens=100, temperature=0)
        assert greedy.status_code == 200  # written once


async def test_a_policy_for_a_model_that_is_not_there_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guard = GuardSettings(models={"scriptd": "default"})
    settings = ServeSettings(home=tmp_path, http=HttpSettings(port=0), guard=guard)
    app = create_app(settings, engines={"scripted": script()})
    async with app.router.lifespan_context(app):
        pass
    assert "guard.models" in caplog.text
    assert "'scripted'" in caplog.text
