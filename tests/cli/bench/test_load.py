import httpx
import pytest

from malmoi.cli.bench.load import Side, Timing
from malmoi.core.errors import EngineError
from malmoi.testing import FakeUpstream, Fault, Rule, ScriptedEngine

PROMPT = {"messages": [{"role": "user", "content": "count"}]}
FIELDS = {"stream": True, "stream_options": {"include_usage": True}}


async def test_a_stream_is_timed_and_counted() -> None:
    rule = Rule(reply="one two three four", first_token_delay=0.05, tokens_per_second=50)
    engine = ScriptedEngine([rule])
    async with FakeUpstream(engine) as upstream, httpx.AsyncClient() as client:
        side = Side(client, f"{upstream.url}/chat/completions", FIELDS)
        timing = await side.ask(PROMPT, tokens=16)
    assert timing.num_tokens == engine.generated_tokens > 3
    assert 0.05 <= timing.first < timing.last
    assert 10 < timing.decode_rate < 60
    assert upstream.generations[0].body["max_tokens"] == 16


async def test_requests_together_run_side_by_side() -> None:
    rule = Rule(reply="one two three four", first_token_delay=0.2)
    engine = ScriptedEngine([rule], num_slots=2)
    async with FakeUpstream(engine) as upstream, httpx.AsyncClient() as client:
        side = Side(client, f"{upstream.url}/chat/completions", FIELDS)
        rate = await side.ask_together([PROMPT, PROMPT], tokens=16)
    assert engine.max_active == 2
    assert 0 < rate < engine.generated_tokens / 0.2


@pytest.mark.parametrize("fault", [Fault("status", status=503), Fault("error_event")])
async def test_a_failure_is_not_a_figure(fault: Fault) -> None:
    async with FakeUpstream(ScriptedEngine([Rule(reply="one")])) as upstream, httpx.AsyncClient() as client:
        upstream.fail(fault)
        with pytest.raises(EngineError):
            await Side(client, f"{upstream.url}/chat/completions", FIELDS).ask(PROMPT, tokens=16)


def test_the_decode_rate_counts_the_tokens_after_the_first() -> None:
    assert Timing(first=1.0, last=3.0, num_tokens=5).decode_rate == 2.0
