"""A span for each run, with the real SDK."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runguard import JobLockActive, run_scope, tracked_run
from runguard.integrations.opentelemetry import install, uninstall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    Sql = Callable[..., list[dict[str, Any]]]

pytestmark = pytest.mark.usefixtures("store_url")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
def installed(provider: TracerProvider) -> Iterator[TracerProvider]:
    install(tracer_provider=provider)
    yield provider
    uninstall()


def trace_id_of(span: ReadableSpan) -> str:
    return f"{span.get_span_context().trace_id:032x}"  # type: ignore[union-attr]


@pytest.mark.usefixtures("installed")
def test_a_run_is_a_span_and_knows_its_trace(exporter: InMemorySpanExporter, sql: Sql) -> None:
    with run_scope("sync", trigger_type="SCHEDULER") as run:
        assert trace.get_current_span().is_recording()

    assert not trace.get_current_span().is_recording()
    [span] = exporter.get_finished_spans()
    assert (span.name, span.kind, span.parent) == ("sync", trace.SpanKind.INTERNAL, None)
    assert span.status.is_unset
    assert span.attributes == {
        "runguard.job.name": "sync",
        "runguard.run.id": run.id,
        "runguard.run.key": str(run.key),
        "runguard.run.status": "SUCCESS",
        "runguard.trigger.type": "SCHEDULER",
    }
    assert sql("select trace_id from run_log") == [{"trace_id": trace_id_of(span)}]


def test_it_stands_under_the_current_span(
    installed: TracerProvider, exporter: InMemorySpanExporter, sql: Sql
) -> None:
    tracer = installed.get_tracer("the application")
    with (
        tracer.start_as_current_span("request"),
        run_scope("sync"),
        tracer.start_as_current_span("query"),
    ):
        pass

    query, run, request = exporter.get_finished_spans()
    assert query.parent == run.get_span_context()
    assert run.parent == request.get_span_context()
    assert sql("select trace_id from run_log") == [{"trace_id": trace_id_of(request)}]


@pytest.mark.usefixtures("installed")
def test_a_failure_is_an_error_with_its_type_and_status(exporter: InMemorySpanExporter) -> None:
    request = httpx.Request("GET", "https://app:hunter2@api.example.org/pages")
    answer = httpx.Response(503, request=request)
    with pytest.raises(httpx.HTTPStatusError), run_scope("sync"):
        raise httpx.HTTPStatusError("503: password=hunter2", request=request, response=answer)

    [span] = exporter.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description == "503: password=[redacted]"
    expected = {
        "error.type": "httpx.HTTPStatusError",
        "http.response.status_code": 503,
        "runguard.error.group": "HTTP_5XX",
        "runguard.upstream": "api.example.org:443",
        "runguard.run.status": "FAILED",
    }
    assert expected.items() <= dict(span.attributes or {}).items()
    assert "hunter2" not in span.to_json()


@pytest.mark.usefixtures("installed")
async def test_tasks_have_spans_of_their_own(exporter: InMemorySpanExporter) -> None:
    @tracked_run("task")
    async def task() -> str:
        return f"{trace.get_current_span().get_span_context().span_id:016x}"

    found = set(await asyncio.gather(task(), task()))
    spans = exporter.get_finished_spans()
    assert {f"{span.get_span_context().span_id:016x}" for span in spans} == found  # type: ignore[union-attr]
    assert len(found) == 2


@pytest.mark.usefixtures("installed")
def test_a_refused_run_ends_its_span(exporter: InMemorySpanExporter) -> None:
    with run_scope("sync", lock=True):
        with pytest.raises(JobLockActive), run_scope("sync", lock=True):
            pass
        [refused] = exporter.get_finished_spans()

    assert (refused.attributes or {})["runguard.error.group"] == "LOCK_CONFLICT"
    assert len(exporter.get_finished_spans()) == 2


def test_the_trace_of_the_current_span_is_kept_where_no_span_is_opened(
    provider: TracerProvider, sql: Sql
) -> None:
    with provider.get_tracer("the application").start_as_current_span("request") as span:
        with run_scope("sync"):
            pass
        with run_scope("another"):
            pass
    with run_scope("outside"):
        pass

    its = f"{span.get_span_context().trace_id:032x}"
    assert [row["trace_id"] for row in sql("select trace_id from run_log order by id")] == [
        its,
        its,
        None,
    ]


class _Broken(SpanProcessor):
    def on_start(self, span: object, parent_context: object = None) -> None:
        raise RuntimeError("of the application's")

    def on_end(self, span: object) -> None:
        raise RuntimeError("of the application's")


def test_a_broken_processor_never_hurts_the_run(sql: Sql) -> None:
    provider = TracerProvider()
    provider.add_span_processor(_Broken())
    install(tracer_provider=provider)
    try:
        with run_scope("sync") as run:
            run.total_records = 3
    finally:
        uninstall()

    assert sql("select status, total_records from run_log") == [
        {"status": "SUCCESS", "total_records": 3}
    ]


def test_nothing_is_flushed(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = TracerProvider()
    flushed = []
    monkeypatch.setattr(provider, "force_flush", lambda *_: flushed.append("provider"))
    monkeypatch.setattr(exporter, "force_flush", lambda *_: flushed.append("exporter"))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    install(tracer_provider=provider)
    try:
        with run_scope("sync"):
            pass
    finally:
        uninstall()

    assert flushed == []
    assert len(exporter.get_finished_spans()) == 1


def test_installed_twice_a_run_is_one_span(
    installed: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    install(tracer_provider=installed)
    with run_scope("sync"):
        pass
    assert len(exporter.get_finished_spans()) == 1

    uninstall()
    with run_scope("sync"):
        pass
    assert len(exporter.get_finished_spans()) == 1
