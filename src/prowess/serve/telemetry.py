"""Traces and metrics of all that is served, under the GenAI names of OpenTelemetry; nothing where it is not installed.

The names are still being worked on (open-telemetry/semantic-conventions-genai, those of skills in #498 to #501), so
they stand here and nowhere else. No content of any message becomes an attribute.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

try:
    from opentelemetry import metrics, trace
except ImportError:  # pragma: no cover
    metrics = trace = None

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
CONVERSATION: Final = "gen_ai.conversation.id"
TOOL: Final = "gen_ai.tool.name"
TOKEN_TYPE: Final = "gen_ai.token.type"
SKILL: Final = "gen_ai.skill.name"
ERROR: Final = "error.type"
STATUS: Final = "http.response.status_code"
OUTCOME: Final = "prowess.outcome"

Value = str | int | float | bool
_SCOPE: Final = "prowess"
_BUCKETS: Final = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0]


class Meter:
    """The instruments, made once for a process. Each method does nothing without OpenTelemetry."""

    def __init__(self) -> None:
        self._on: Any = None
        if metrics is None:
            return
        made = metrics.get_meter(_SCOPE)
        self._on = made
        self._duration = made.create_histogram(
            "gen_ai.client.operation.duration", "s", "Time of a model call, to the end of its stream",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )  # fmt: skip
        self._first = made.create_histogram(
            "gen_ai.server.time_to_first_token", "s", "Time until the first bytes of a reply",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )  # fmt: skip
        self._tokens = made.create_counter("gen_ai.client.token.usage", "{token}", "Tokens that upstreams counted")
        self._active = made.create_up_down_counter("prowess.active", "{request}", "Requests that are being answered")
        self._recorded = made.create_counter("prowess.recorded", "{exchange}", "Exchanges, by what became of them")

    def called(self, seconds: float, first: float | None, about: Mapping[str, Value]) -> None:
        """A model call has ended. `first` is when its reply began, in seconds from its start."""
        if self._on is not None:
            self._duration.record(seconds, dict(about))
            if first is not None:
                self._first.record(first, dict(about))

    def active(self, change: int) -> None:
        if self._on is not None:
            self._active.add(change)

    def recorded(self, outcome: str, provider: str, model: str, prompt: int, completion: int) -> None:
        """An exchange was kept, or why it was not; with the tokens that the upstream counted."""
        if self._on is not None:
            self._recorded.add(1, {OUTCOME: outcome})
            about = {OPERATION: "chat", PROVIDER: provider, RESPONSE_MODEL: model}
            for kind, n in (("input", prompt), ("output", completion)):
                if n:
                    self._tokens.add(n, {**about, TOKEN_TYPE: kind})


@contextmanager
def span(name: str, about: Mapping[str, Value]) -> Generator[dict[str, Value]]:
    """A span around a piece of work. What the caller puts into the mapping that it gets becomes attributes at the end;
    `error.type` among them marks the span as failed."""
    found: dict[str, Value] = {}
    if trace is None:
        yield found
        return
    with trace.get_tracer(_SCOPE).start_as_current_span(name, attributes=dict(about)) as current:
        try:
            yield found
        finally:
            current.set_attributes(found)
            if ERROR in found:
                current.set_status(trace.StatusCode.ERROR)


def set_up(environment: Mapping[str, str]) -> Any:
    """Starts what the packages and the standard `OTEL_*` variables allow, once for a process.

    Metrics are always kept for `/metrics`; they and traces also go to a collector where `OTEL_EXPORTER_OTLP_ENDPOINT`
    names one. A program that set OpenTelemetry up itself keeps its own.

    Returns:
        What `/metrics` answers with, a function without arguments that gives text; None without the packages.
    """
    try:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from prometheus_client import CollectorRegistry, generate_latest
    except ImportError:
        return None
    if metrics is None or trace is None:
        return None
    resource = Resource.create({"service.name": environment.get("OTEL_SERVICE_NAME", "prowess")})
    registry = CollectorRegistry()
    readers: list[Any] = [PrometheusMetricReader(registry=registry)]
    if "OTEL_EXPORTER_OTLP_ENDPOINT" in environment:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
        traces = TracerProvider(resource=resource)
        traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(traces)
    metrics.set_meter_provider(MeterProvider(metric_readers=readers, resource=resource))
    return lambda: generate_latest(registry)
