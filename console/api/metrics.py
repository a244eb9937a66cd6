"""``/metrics`` for Prometheus: sums over calls, without anybody's data. Asked for with the key of an auditor or admin.

Counted from the archive at each scrape, so they are right after a restart and the same from every process; a purge
lowers them, hence gauges. Nothing is labelled by a campaign, a person or a call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeHistogramMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from archive.models import Call, Summary, SummaryReason, SummaryRule
from console.api.route import ApiRoute
from console.guard import needs
from console.page import context_of

GAP_BUCKETS_MS = (250, 500, 750, 1000, 1500, 2000, 3000, 5000)


def routes(router: APIRouter) -> None:
    router.add_api_route("/metrics", metrics, methods=["GET"], route_class_override=ApiRoute)


@needs("audit.read")
def metrics(request: Request) -> Response:
    """The text format; aggregates of the whole archive."""
    context = context_of(request)
    registry = CollectorRegistry(auto_describe=False)
    live = None if context.live is None else len(context.live.snapshot())
    with context.database.read() as session:
        registry.register(_Archive(session, live))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Archive(Collector):
    def __init__(self, session: Session, live: int | None) -> None:
        self._session, self._live = session, live

    def describe(self) -> list[Metric]:
        return []  # registering asks for names: counting twice would be for nothing

    def collect(self) -> Iterator[Metric]:
        yield self._grouped("callgate_calls", "Ended calls by outcome.", Summary.disposition, "disposition")
        yield self._grouped("callgate_calls_by_language", "Ended calls by language.", Summary.lang, "lang")
        yield self._grouped("callgate_reviews", "Ended calls by review state.", Summary.review, "state")
        yield self._grouped("callgate_flags", "Calls by flag.", SummaryReason.reason, "reason")
        refused = sa.func.coalesce(sa.func.sum(SummaryRule.times), 0)
        yield self._grouped(
            "callgate_refusals",
            "Rules that kept a sentence from being spoken.",
            SummaryRule.category,
            "category",
            refused,
        )
        status = sa.select(sa.func.count()).where(Call.status == "live")
        stored = self._session.scalar(status) or 0
        yield GaugeMetricFamily("callgate_calls_live", "Calls that the archive holds as live.", value=stored)
        if self._live is not None:
            yield GaugeMetricFamily("callgate_calls_live_here", "Live calls of this process.", value=self._live)
        yield self._gaps()

    def _grouped(
        self, name: str, text: str, column: Any, label: str, value: sa.ColumnElement[int] | None = None
    ) -> Metric:
        family = GaugeMetricFamily(name, text, labels=[label])
        counted = sa.select(column, sa.func.count() if value is None else value).group_by(column).order_by(column)
        for key, number in self._session.execute(counted):
            family.add_metric([key or "none"], float(number))
        return family

    def _gaps(self) -> Metric:
        """Calls by their 95th percentile of response gaps."""
        gap = Summary.gap_p95_ms
        below = [sa.func.coalesce(sa.func.sum(sa.case((gap <= edge, 1), else_=0)), 0) for edge in GAP_BUCKETS_MS]
        counted = sa.select(sa.func.count(gap), sa.func.coalesce(sa.func.sum(gap), 0.0), *below)
        n, total, *at_most = self._session.execute(counted).one()
        buckets = [(str(edge / 1000), float(number)) for edge, number in zip(GAP_BUCKETS_MS, at_most, strict=True)]
        family = GaugeHistogramMetricFamily(
            "callgate_call_response_gap_p95_seconds", "Calls by their 95th percentile response gap."
        )
        family.add_metric([], buckets=[*buckets, ("+Inf", float(n))], gsum_value=float(total) / 1000)
        return family
