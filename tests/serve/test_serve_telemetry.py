"""Figures under their names, and logs without secrets."""

import io
import json
import logging
from pathlib import Path

import anyio
import pytest

pytest.importorskip("aiohttp", reason="the proxy is not installed: pip install 'prowess[serve]'")
pytest.importorskip("opentelemetry.exporter.prometheus", reason="not installed: pip install 'prowess[otel]'")

import aiohttp
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from proxy_parts import Provider, chat_events, proxied

from prowess.core.model import ToolCall
from prowess.core.trajectory import Step, Trajectory
from prowess.serve import logs, telemetry
from prowess.serve.proxy.app import Proxy, app
from prowess.serve.proxy.upstreams import Routes
from prowess.trajectories.skill_use import with_skills

SECRET = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"


def test_calls_become_spans_and_metrics_without_what_was_said(tmp_path: Path) -> None:
    figures = telemetry.set_up({})
    spans = InMemorySpanExporter()
    traces = TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(traces)

    async def main() -> None:
        async with Provider().running() as provider, proxied(provider, tmp_path) as running:
            usage = {"prompt_tokens": 12, "completion_tokens": 3}
            provider.script = lambda writer: writer.events(*chat_events(f"hi {SECRET}", usage=usage))
            body = {"model": "m-1", "stream": True, "messages": [{"role": "user", "content": "canary-of-the-user"}]}
            async with aiohttp.ClientSession() as client:
                for _ in range(2):
                    await (await client.post(f"{running.url}/chat/completions", json=body)).read()
                    provider.script = lambda writer: writer.whole(b"{}", "500 Broken")
                answer = await client.get(f"http://127.0.0.1:{running.port}/metrics")
                assert answer.status == 501, "this one was started without"
            await running.sessions()

    anyio.run(main)
    text = figures().decode()
    assert "gen_ai_client_operation_duration_seconds_count{" in text and 'gen_ai_request_model="m-1"' in text
    assert 'error_type="500"' in text and 'prowess_outcome="kept"' in text
    assert 'gen_ai_token_type="input"' in text and "gen_ai_server_time_to_first_token_seconds_bucket" in text
    found = spans.get_finished_spans()
    assert [(s.name, (s.attributes or {})["http.response.status_code"]) for s in found] == [
        ("chat m-1", 200),
        ("chat m-1", 500),
    ]
    assert found[1].status.status_code == trace.StatusCode.ERROR
    said = text + str([dict(s.attributes or {}) for s in found])
    assert "canary" not in said and SECRET not in said


def test_metrics_are_served_where_there_are_any() -> None:
    from starlette.testclient import TestClient

    with TestClient(app(Proxy(Routes(())), lambda: b"figures 1\n")) as client:
        assert client.get("/metrics").text == "figures 1\n"
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.post("/v1/chat/completions", json={"model": "m"}).status_code == 404
        assert client.get("/v1/models").status_code == 404 and client.get("/v1/chat/completions").status_code == 405


def test_a_line_of_the_log_is_json_without_secrets() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    log = logging.Logger("prowess.test")
    log.addHandler(handler)
    logs.event(log, f"key {SECRET}", {"session": SECRET, "inner": {"api_key": "Tr0ub4dor-9Kx2Lm"}, "n": 1})
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("broken\nin two lines")
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert first["n"] == 1 and first["level"] == "info" and "ValueError" in second["error"]
    assert SECRET not in stream.getvalue() and "Tr0ub4dor" not in stream.getvalue()


@pytest.mark.parametrize("tool", ["load_skill", "mcp__prowess__load_skill"])
def test_a_skill_that_was_loaded_over_mcp_counts_as_loaded(tool: str) -> None:
    call = ToolCall(id="1", name=tool, arguments={"name": "late-fees"})
    steps = (Step(source="agent", tool_calls=(call,)), Step(source="agent", message="by late-fees: ten euros"))
    found = with_skills(Trajectory(id="t", agent="a", model="m", steps=steps), ())
    assert (found.loaded, found.used) == (("late-fees",), ("late-fees",))
