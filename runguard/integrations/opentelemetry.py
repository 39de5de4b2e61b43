"""OpenTelemetry: a span for each run, under the span that is current where it begins.

One line, after the application has set up its tracer provider:

    runguard.integrations.opentelemetry.install()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

try:
    from opentelemetry import context, trace
except ImportError as missing:
    raise ImportError(
        "runguard.integrations.opentelemetry needs OpenTelemetry's API: pip install"
        " 'runguard-runlog[otel]'"
    ) from missing

from .._run.capture import Capture
from .._version import __version__

if TYPE_CHECKING:
    from contextvars import Token

    from .._models import RunEnding
    from .._run.handle import Run

_LONGEST_TEXT: Final = 1024

_installed: list[Any] = []


def install(*, tracer_provider: trace.TracerProvider | None = None) -> None:
    """Open a span for each run from now on. A further call replaces the one before.

    The span is of kind INTERNAL, named as the job, and current inside the run. It ends when the
    run is written. Nothing is flushed: that is the application's to do at its end.

    Args:
        tracer_provider: Where the spans go. None: the global one, as of the first run.

    Added in 0.2.
    """
    uninstall()

    def observe(run: Run) -> _RunSpan:
        tracer = trace.get_tracer("runguard", __version__, tracer_provider)
        return _RunSpan(tracer, run)

    _installed.append(observe)
    Capture.observers.append(observe)


def uninstall() -> None:
    """Open no span any more. Added in 0.2."""
    while _installed:
        Capture.observers.remove(_installed.pop())


class _RunSpan:
    """The span of one run."""

    def __init__(self, tracer: trace.Tracer, run: Run) -> None:
        self._span = tracer.start_span(
            run.job_name,
            kind=trace.SpanKind.INTERNAL,
            attributes={
                "runguard.job.name": run.job_name,
                "runguard.run.key": str(run.key),
                "runguard.trigger.type": run.trigger_type.value,
            },
        )
        number = self._span.get_span_context().trace_id
        self.trace_id = f"{number:032x}" if number else None
        self._token: Token[Any] | None = None

    def enter(self) -> None:
        """Make the span the current one."""
        self._token = context.attach(trace.set_span_in_context(self._span))

    def leave(self) -> None:
        """Give the caller back the span that was current before."""
        if self._token is not None:
            context.detach(self._token)
            self._token = None

    def end(self, run: Run, ending: RunEnding) -> None:
        """End the span as the run has ended."""
        span = self._span
        if run.id is not None:
            span.set_attribute("runguard.run.id", run.id)
        span.set_attribute("runguard.run.status", ending.status.value)
        failure = ending.failure
        if failure is not None:
            span.set_attributes(
                {
                    name: value
                    for name, value in (
                        ("error.type", failure.error_type),
                        ("http.response.status_code", failure.http_status_code),
                        ("runguard.error.group", failure.error_group.value),
                        ("runguard.error.reason", failure.error_reason),
                        ("runguard.upstream", failure.upstream),
                    )
                    if value is not None
                }
            )
            message = failure.error_message[:_LONGEST_TEXT]
            span.set_status(trace.Status(trace.StatusCode.ERROR, message))
        span.end()
