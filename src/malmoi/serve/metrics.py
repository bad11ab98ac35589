"""What /metrics tells, in Prometheus' format, under the names of vLLM's metrics with `malmoi:` for `vllm:`.

A dashboard made for vLLM shows this server after one rename. Labels: `model_name`. No prompt, no account
and no key is ever a label. Each server has a registry of its own, so two servers in one process do not add
up.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from malmoi.engine.base import Usage
from malmoi.serve.admission import Admission

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FIRST_TOKEN = (
    0.001,
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.08,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10,
    20,
    40,
    80,
)
_PER_TOKEN = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
_WHOLE = (0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480)


class _Queues(Collector):
    """Reads the lanes when it is asked, so that no request has to keep a gauge up to date."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauges of now."""
        running = GaugeMetricFamily(
            "malmoi:num_requests_running", "Requests that hold a slot.", labels=["model_name"]
        )
        waiting = GaugeMetricFamily(
            "malmoi:num_requests_waiting", "Requests in the queue.", labels=["model_name"]
        )
        for lane in self._admission.lanes():
            running.add_metric([lane.model], lane.num_running)
            waiting.add_metric([lane.model], lane.num_waiting)
        return [running, waiting]


class Metrics:
    """Counters and histograms of one server."""

    def __init__(self, admission: Admission) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Queues(admission))
        label = ["model_name"]
        self._prompt = self._counter("malmoi:prompt_tokens", "Prompt tokens processed.", label)
        self._generated = self._counter("malmoi:generation_tokens", "Tokens generated.", label)
        self._cache_queries = self._counter("malmoi:prefix_cache_queries", "Prompt tokens looked up.", label)
        self._cache_hits = self._counter(
            "malmoi:prefix_cache_hits", "Prompt tokens found in the cache.", label
        )
        self._finished = self._counter(
            "malmoi:request_success", "Requests that ended, by reason.", [*label, "finished_reason"]
        )
        self._failed = self._counter(
            "malmoi:request_failure", "Requests that failed, by code.", [*label, "code"]
        )
        self._first_token = self._histogram(
            "malmoi:time_to_first_token_seconds", "From admission to the first token.", _FIRST_TOKEN
        )
        self._queue_time = self._histogram(
            "malmoi:request_queue_time_seconds", "Time in the queue.", _FIRST_TOKEN
        )
        self._per_token = self._histogram(
            "malmoi:inter_token_latency_seconds", "Mean time between tokens of a request.", _PER_TOKEN
        )
        self._whole = self._histogram(
            "malmoi:e2e_request_latency_seconds", "Time of a whole request.", _WHOLE
        )
        self._responses = self._counter("malmoi:http_responses", "Responses, by status.", ["status"])
        self._draining = Gauge("malmoi:draining", "1 while the server shuts down.", registry=self._registry)

    def queued(self, model: str, seconds: float) -> None:
        """A request left the queue."""
        self._queue_time.labels(model).observe(seconds)

    def ended(
        self, model: str, usage: Usage, reason: str, *, first_token: float | None, seconds: float
    ) -> None:
        """A request ended, for whatever reason; `first_token` and `seconds` count from its admission."""
        self._prompt.labels(model).inc(usage.prompt_tokens)
        self._generated.labels(model).inc(usage.completion_tokens)
        self._cache_queries.labels(model).inc(usage.prompt_tokens)
        self._cache_hits.labels(model).inc(min(usage.cached_tokens, usage.prompt_tokens))
        self._finished.labels(model, reason).inc()
        self._whole.labels(model).observe(seconds)
        if first_token is not None:
            self._first_token.labels(model).observe(first_token)
            if usage.completion_tokens > 1:
                self._per_token.labels(model).observe(
                    max(0.0, seconds - first_token) / (usage.completion_tokens - 1)
                )

    def failed(self, model: str, code: str) -> None:
        """A request failed with the error `code`."""
        self._failed.labels(model, code).inc()

    def responded(self, status: int) -> None:
        """A response began."""
        self._responses.labels(str(status)).inc()

    def draining(self) -> None:
        """The server shuts down."""
        self._draining.set(1)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, help_text: str, labels: list[str]) -> Counter:
        return Counter(name, help_text, labels, registry=self._registry)

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, help_text, ["model_name"], buckets=buckets, registry=self._registry)
