from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from gateway import running, script
from malmoi.engine.base import Usage
from malmoi.serve.admission import Admission
from malmoi.serve.metrics import Metrics


def values(text: str) -> dict[str, float]:
    families = text_string_to_metric_families(text)
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in families
        for sample in family.samples
    }


def test_counts_under_the_names_of_vllm() -> None:
    admission = Admission(slots=1, max_queued=1, max_wait=1.0)
    metrics = Metrics(admission)
    assert admission.lane("m").try_acquire("a")
    usage = Usage(prompt_tokens=5, completion_tokens=3, cached_tokens=2)
    metrics.queued("m", 0.1)
    metrics.ended("m", usage, "stop", first_token=0.2, seconds=0.6)
    metrics.failed("m", "engine_error")
    found = values(metrics.render().decode())
    assert found["malmoi:num_requests_running['m']"] == 1
    assert found["malmoi:num_requests_waiting['m']"] == 0
    assert found["malmoi:prompt_tokens_total['m']"] == 5
    assert found["malmoi:generation_tokens_total['m']"] == 3
    assert found["malmoi:prefix_cache_hits_total['m']"] == 2
    assert found["malmoi:request_success_total['m', 'stop']"] == 1
    assert found["malmoi:request_failure_total['engine_error', 'm']"] == 1
    assert found["malmoi:time_to_first_token_seconds_count['m']"] == 1
    assert abs(found["malmoi:inter_token_latency_seconds_sum['m']"] - 0.2) < 1e-9


def test_two_servers_do_not_add_up() -> None:
    admission = Admission(slots=1, max_queued=1, max_wait=1.0)
    one, two = Metrics(admission), Metrics(admission)
    one.responded(200)
    assert "malmoi:http_responses_total['200']" in values(one.render().decode())
    assert "malmoi:http_responses_total['200']" not in values(two.render().decode())


async def test_the_tokens_of_all_requests_add_up(home: Path) -> None:
    engine = script({"reply": "one two three"})
    async with running(home, engine) as gateway:
        for _ in range(3):
            await gateway.chat()
        response = await gateway.client.get("/metrics")
        assert response.headers["content-type"].startswith("text/plain")
        found = values(response.text)
        assert found["malmoi:generation_tokens_total['scripted']"] == engine.generated_tokens
        assert found["malmoi:request_success_total['scripted', 'stop']"] == 3
        assert found["malmoi:http_responses_total['200']"] >= 3
