"""The supervisor's dashboard: rates, sentiment and refusals over many calls; every number leads to its calls."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request, Response
from sqlalchemy.orm import Session

from archive.dashboards import Dimension
from archive.models import Summary, SummaryStale
from archive.queries import CallFilter, CallQueries
from console.cells import csv_of
from console.guard import needs
from console.page import context_of, lang_of, person_of, render
from console.pages.queue import read_filter
from console.panels import SPLITS, Panels
from console.payments import catch_up

DEFAULT_DAYS = 30
KEPT_S, KEPT = 30.0, 32
"""How long, in seconds, and how many selections are kept."""
MAX_DAYS = 3700


def routes(router: APIRouter) -> None:
    router.get("/dashboard")(dashboard)
    router.get("/dashboard/{panel}.csv")(export)


@needs("dashboard.read")
def dashboard(request: Request) -> Response:
    """The query string is the selection, so that every view has an address."""
    wanted, by = _selection(request)
    context = context_of(request)
    query = defaultdict(str, request.query_params)
    _caught_up(request, wanted)
    with context.database.read() as session:
        values = _built(request, session, wanted, by)
    first, last = _days(wanted, context.zone)
    kept = [(name, query[name]) for name in ("script_id", "stage", "scenario") if query[name]]
    return render(
        request, "dashboard.html", **values, by=by, splits=SPLITS, query=query, first=first, last=last, kept=kept
    )


@needs("dashboard.read")
def export(request: Request, panel: str) -> Response:
    """One panel's numbers as CSV."""
    wanted, by = _selection(request)
    _caught_up(request, wanted)
    with context_of(request).database.read() as session:
        panels = {each.id: each for each in _built(request, session, wanted, by)["panels"]}
    if panel not in panels:
        raise HTTPException(404, "there is no such panel")
    body = csv_of(panels[panel])
    headers = {"Content-Disposition": f'attachment; filename="callgate-{panel}.csv"'}
    return Response(body, headers=headers, media_type="text/csv; charset=utf-8")


def _caught_up(request: Request, wanted: CallFilter) -> None:
    if catch_up(context_of(request).database, wanted.utc_offset_min) and hasattr(request.app.state, "dashboards"):
        request.app.state.dashboards.clear()


def _built(request: Request, session: Session, wanted: CallFilter, by: Dimension) -> dict[str, Any]:
    """The tiles, the panels, what the filters offer. Kept for a moment, and only while no call has come or gone: a
    dashboard on a wall, a CSV of what is on it, and a colleague's look at the same days need not read it all again."""
    state = request.app.state
    if not hasattr(state, "dashboards"):
        state.dashboards = OrderedDict()
    kept: OrderedDict[Any, tuple[float, dict[str, Any]]] = state.dashboards
    lang, drill = lang_of(request), person_of(request).may("calls.read")
    # A note is made of every summary that is written, changed or deleted, until the sums know of it.
    noted = session.scalar(sa.select(sa.func.max(SummaryStale.id)))
    key = (wanted, by, lang, drill, noted, session.scalar(sa.select(sa.func.max(Summary.doc))))
    found = kept.get(key)
    if found is not None and monotonic() - found[0] < KEPT_S:
        return found[1]
    queries = CallQueries(session)
    panels = Panels(session, wanted, by, lang, context_of(request).zone, drill=drill)
    built: dict[str, Any] = {
        "tiles": panels.tiles(),
        "panels": [panels.rates(), panels.sentiment(), panels.groups(), panels.rules()],
        "choices": {name: queries.values(name) for name in ("campaign", "script_id", "stage")},
    }
    kept[key] = (monotonic(), built)
    while len(kept) > KEPT:
        kept.popitem(last=False)
    return built


def _selection(request: Request) -> tuple[CallFilter, Dimension]:
    """What the query string selects; the last 30 days unless it says otherwise. Raises ``HTTPException`` 422."""
    zone = context_of(request).zone
    query = dict(request.query_params) | {"review": "all"}
    by = query.get("by") or "campaign"
    if by not in SPLITS:
        raise HTTPException(422, f"by: one of {', '.join(SPLITS)}")
    for name in ("from", "to"):
        if not query.get(name, "").strip():
            query.pop(name, None)
    wanted = read_filter(query, zone)
    here = datetime.now(ZoneInfo(zone))
    try:
        if wanted.started_before is None:
            wanted = replace(wanted, started_before=_midnight(here + timedelta(days=1)))
        assert wanted.started_before is not None
        if wanted.started_from is None:
            after = wanted.started_before.astimezone(ZoneInfo(zone))
            wanted = replace(wanted, started_from=_midnight(after - timedelta(days=DEFAULT_DAYS)))
    except OverflowError:
        raise HTTPException(422, "to: a date such as 2026-11-22") from None
    begin, end = wanted.started_from, wanted.started_before
    if begin is None or end is None or not timedelta() < end - begin <= timedelta(days=MAX_DAYS):
        raise HTTPException(422, "from: a day before the last one, by ten years at most")
    offset = here.utcoffset() or timedelta()
    return replace(wanted, utc_offset_min=int(offset.total_seconds() // 60)), by


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), time(), moment.tzinfo).astimezone(UTC)


def _days(wanted: CallFilter, zone: str) -> tuple[str, str]:
    """The first and the last day of the selection."""
    assert wanted.started_from is not None and wanted.started_before is not None
    here, half = ZoneInfo(zone), timedelta(hours=12)
    first, last = (wanted.started_from + half).astimezone(here), (wanted.started_before - half).astimezone(here)
    return first.date().isoformat(), last.date().isoformat()
