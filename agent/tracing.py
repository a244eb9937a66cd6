"""OpenTelemetry traces without anybody's data: routes by their template, the stages of a call by their name.

Off unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``…_TRACES_ENDPOINT``) is set; then spans go there by OTLP over HTTP. The
standard variables hold (``OTEL_SERVICE_NAME``, ``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_SDK_DISABLED``,
``OTEL_TRACES_SAMPLER``). Whatever a library writes into a span, only what :data:`ALLOWED` names leaves the process: an
address holds one-time links and searched words, an exception's text may hold what somebody said.

The provider is ours alone, never the process's: another library's spans do not go out by this door.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry import trace

from agent.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

Stage = Literal["hear", "understand", "follow", "gate", "speak", "archive"]
ALLOWED = frozenset(
    {
        "http.request.method", "http.route", "http.response.status_code", "url.scheme", "network.protocol.name",
        "network.protocol.version", "error.type", "callgate.lang", "callgate.script", "callgate.disposition",
        "callgate.decision", "callgate.carrier",
    }
)  # fmt: skip
"""The attributes that leave the process."""
_NAME = re.compile(r"(?:[A-Z]{2,10}|_OTHER)(?: /[\w./{}:-]*)?|callgate\.[a-z_]+", re.ASCII)
_WORD = re.compile(r"[\w./{}:<>-]{1,120}", re.ASCII)
_DIGITS = re.compile(r"\d{5}")
_SWITCHES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment asks for traces."""
    off = (
        environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none"
    )
    return not off and any(environment.get(name) for name in _SWITCHES)


@lru_cache(maxsize=1)
def provider() -> TracerProvider | None:
    """This process's provider; ``None`` where traces are off. Raises ``ConfigurationError`` without the extra ``otel``.

    Spans are sent from a thread of its own, in batches; a collector that is down costs a call nothing.
    """
    if not wanted():
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as e:
        raise ConfigurationError(f"{_SWITCHES[1]} is set, which needs: pip install 'callgate[otel]'") from e
    made = provider_for(())
    made.add_span_processor(BatchSpanProcessor(harmless(OTLPSpanExporter())))
    return made


def provider_for(exporters: Sequence[SpanExporter]) -> TracerProvider:
    """A provider that hands each span, cleaned, to ``exporters`` as soon as it ends."""
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME") or "callgate"
    made = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    for exporter in exporters:
        made.add_span_processor(SimpleSpanProcessor(harmless(exporter)))
    return made


def harmless(exporter: SpanExporter) -> SpanExporter:
    """``exporter``, which sees of every span its name, its times and the attributes of :data:`ALLOWED` alone."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Harmless(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return exporter.export([cleaned(span) for span in spans])

        def shutdown(self) -> None:
            exporter.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return exporter.force_flush(timeout_millis)

    return Harmless()


def cleaned(span: ReadableSpan) -> ReadableSpan:
    """A copy without events, links and status texts, whose attributes are allowed by name and harmless by value."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Status

    kept = {key: value for key, value in (span.attributes or {}).items() if key in ALLOWED and _harmless(value)}
    return ReadableSpan(
        name=span.name if _NAME.fullmatch(span.name) else "callgate.other", context=span.get_span_context(),
        parent=span.parent, resource=span.resource, attributes=kept, kind=span.kind,
        instrumentation_scope=span.instrumentation_scope, status=Status(span.status.status_code),
        start_time=span.start_time, end_time=span.end_time,
    )  # fmt: skip


def _harmless(value: Any) -> bool:
    if isinstance(value, bool | int | float):
        return True
    return isinstance(value, str) and bool(_WORD.fullmatch(value)) and not _DIGITS.search(value)


def telemetry(chosen: TracerProvider | None) -> dict[str, Any]:
    """The settings of a FastAPI application: spans by route to ``chosen`` alone, none where it is ``None``."""
    return {
        "tracing": chosen is not None, "tracer_provider": chosen, "logs": False, "operation_spans": False,
        "auto_configure": False,
    }  # fmt: skip


@contextmanager
def call(lang: str, script: str, *, through: TracerProvider | None = None) -> Iterator[trace.Span]:
    """A span over one call, current within: stages become its children, also in tasks that are begun within it.

    ``through`` defaults to :func:`provider`. Set ``callgate.disposition`` on the span when it is known.
    """
    with _span("callgate.call", {"callgate.lang": lang, "callgate.script": script}, through) as span:
        yield span


@contextmanager
def stage(name: Stage, *, through: TracerProvider | None = None, **attributes: str) -> Iterator[trace.Span]:
    """A span over one piece of work of a stage. ``attributes`` are of ``callgate.…``, such as ``decision="refuse"``."""
    with _span(f"callgate.{name}", {f"callgate.{key}": value for key, value in attributes.items()}, through) as span:
        yield span


@contextmanager
def _span(name: str, attributes: Mapping[str, str], through: TracerProvider | None) -> Iterator[trace.Span]:
    chosen = through if through is not None else provider()
    if chosen is None:
        yield trace.INVALID_SPAN
        return
    tracer = chosen.get_tracer("callgate")
    with tracer.start_as_current_span(
        name, attributes=dict(attributes), record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except Exception as e:
            span.set_attribute("error.type", type(e).__name__)
            span.set_status(trace.Status(trace.StatusCode.ERROR))
            raise
