"""Numbers over many calls, as the dashboard draws them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request

from archive.dashboards import Bucket, Dashboards, Dimension, Numbers, Step
from console.api.calls import filter_of
from console.api.models.calls import CallsAsked
from console.api.models.dashboards import BucketOut, NumbersOut, RuleCount
from console.api.route import add
from console.guard import needs
from console.page import context_of

Asked = Annotated[CallsAsked, Query()]


def routes(router: APIRouter) -> None:
    add(router, "GET", "/dashboard/totals", totals, NumbersOut)
    add(router, "GET", "/dashboard/by/{dimension}", by, list[BucketOut])
    add(router, "GET", "/dashboard/over-time/{step}", over_time, list[BucketOut])
    add(router, "GET", "/dashboard/rules", rules, list[RuleCount])


@needs("dashboard.read")
def totals(request: Request, asked: Asked) -> NumbersOut:
    """Sums and rates over the calls that are asked for."""
    context = context_of(request)
    with context.database.read() as session:
        return numbers_out(Dashboards(session).totals(filter_of(asked, context.zone)))


@needs("dashboard.read")
def by(request: Request, dimension: Dimension, asked: Asked) -> list[BucketOut]:
    """The same by campaign, script, stage, scenario, language, outcome or hour of the day."""
    context = context_of(request)
    with context.database.read() as session:
        return _out(Dashboards(session).by(dimension, filter_of(asked, context.zone)))


@needs("dashboard.read")
def over_time(request: Request, step: Step, asked: Asked) -> list[BucketOut]:
    """The same by hour, day or week; steps without calls are left out."""
    context = context_of(request)
    with context.database.read() as session:
        return _out(Dashboards(session).over_time(step, filter_of(asked, context.zone)))


@needs("dashboard.read")
def rules(request: Request, asked: Asked) -> list[RuleCount]:
    """The rules that fired, most often first."""
    context = context_of(request)
    with context.database.read() as session:
        found = Dashboards(session).rules(filter_of(asked, context.zone))
    names = ("rule", "category", "decision", "times", "calls")
    return [RuleCount(**dict(zip(names, row, strict=True))) for row in found]  # type: ignore[arg-type]


def _out(buckets: Sequence[Bucket]) -> list[BucketOut]:
    return [BucketOut(key=_key(bucket.key), numbers=numbers_out(bucket.numbers)) for bucket in buckets]


def _key(key: object) -> str | int | None:
    if key is None or isinstance(key, int):
        return key
    return key.isoformat() if isinstance(key, datetime) else str(key)


def numbers_out(numbers: Numbers) -> NumbersOut:
    values = {name: getattr(numbers, name) for name in NumbersOut.model_fields if name != "emotions"}
    return NumbersOut(**values, emotions=dict(numbers.emotions))
