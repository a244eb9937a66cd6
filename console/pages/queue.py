"""The review queue: flagged calls, worst first; filters, search, assignment, bulk actions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from archive.queries import CallFilter, CallPage, CallQueries, Order
from archive.repository import CallRepository
from console.calibration import MAX_TITLE
from console.guard import needs
from console.page import context_of, person_of, render
from console.pages.call import known
from console.people import People
from console.permissions import allowed
from console.redaction import found_in_the_open
from console.review import Reviews

PAGE = 50
MAX_BULK = 200
MOST, MOST_FOUND = 10_000, 500
"""How far calls are counted, and calls in which words were looked for."""
FURTHER = (
    "disposition", "rule", "emotion", "promise", "script_id", "stage", "scenario", "hour", "complaint", "opt_out",
    "right_party", "conversation",
)  # fmt: skip
"""What a dashboard's number asks for and the form has no field for: shown, kept, and taken back one by one."""
SEVERITY = {"low": 1, "medium": 2, "high": 3, "critical": 4}


def routes(router: APIRouter) -> None:
    router.get("/queue")(queue)
    router.post("/queue/bulk")(bulk)


@needs("calls.read")
def queue(request: Request) -> Response:
    """A page of calls; the query string is the filter, so that every view has an address."""
    context = context_of(request)
    query = defaultdict(str, request.query_params)
    wanted = read_filter(query, context.zone)
    clear = person_of(request).may("personal.read")
    whose = query["reviewer"][:64]
    order: Order = "newest" if query.get("order") == "newest" else "severity"
    with context.database.read() as session:
        calls = CallQueries(session)
        if whose:
            wanted = replace(wanted, call_ids=Reviews(session).calls_of(whose))
        page = calls.page(wanted, order=order, cursor=query.get("cursor") or None, limit=PAGE)
        hits = calls.hits(page.calls, wanted.text) if wanted.text and clear else {}
        if wanted.text and not clear:
            kept, hits = found_in_the_open(session, page.calls, wanted.text, context.scripts)
            page = CallPage(kept, page.next)
        reasons = calls.reasons(CallFilter(review="open"))
        choices = {name: calls.values(name) for name in ("campaign", "script_id", "scenario")}
        assigned = Reviews(session).assigned([c.call_id for c in page.calls])
        reviewers = [p.name for p in People(session).all() if allowed(p.role, "review.write") and p.disabled_at is None]
        most = MOST if wanted.text is None else MOST_FOUND
        # How many calls hold a word would tell who searches for a name that it fell.
        total = calls.count(wanted, at_most=most) if clear or not wanted.text else len(page.calls)
    template = "queue_rows.html" if request.headers.get("hx-request") and query.get("cursor") else "queue.html"
    return render(
        request, template, page=page, hits=hits, reasons=reasons, choices=choices, assigned=assigned,
        reviewers=reviewers, query=query, total=total, most=most, wanted=wanted, order=order, most_title=MAX_TITLE,
        further=[(name, query[name]) for name in FURTHER if query.get(name)],
    )  # fmt: skip


@needs("review.write")
def bulk(
    request: Request,
    action: Annotated[str, Form()],
    call: Annotated[list[str] | None, Form()] = None,
    reviewer: Annotated[str, Form(max_length=64)] = "",
    back: Annotated[str, Form(max_length=2000)] = "/queue",
) -> Response:
    """Assign, close or reopen the chosen calls."""
    chosen = list(dict.fromkeys(call or []))
    if not chosen or len(chosen) > MAX_BULK:
        raise HTTPException(422, f"choose 1 to {MAX_BULK} calls")
    by = person_of(request).name
    with context_of(request).database.write() as session:
        repository = CallRepository(session)
        for each in chosen:
            known(repository, each)
        if action == "assign":
            _may_review(session, reviewer)
            Reviews(session).assign(chosen, reviewer, by=by)
        elif action == "second":
            _may_review(session, reviewer)
            Reviews(session).assign(chosen, reviewer, by=by, second=True)
        elif action in ("done", "open"):
            CallQueries(session).set_review(chosen, "done" if action == "done" else "open", actor=by)
        else:
            raise HTTPException(422, "there is no such action")
    return RedirectResponse(back if back.startswith("/queue") else "/queue", 303)


def _may_review(session: Session, name: str) -> None:
    person = People(session).find(name)
    if person is None or person.disabled_at is not None or not allowed(person.role, "review.write"):
        raise HTTPException(422, "nobody of that name reviews calls")


def read_filter(query: Mapping[str, str], zone: str) -> CallFilter:
    """The filter that a query string asks for. Raises ``HTTPException`` 422 naming what cannot be used."""
    values: dict[str, Any] = {}
    for name in ("reason", "rule", "lang", "campaign", "script_id", "stage", "scenario", "emotion"):
        if query.get(name):
            values[name] = query[name][:128]
    if query.get("q", "").strip():
        values["text"] = query["q"].strip()[:200]
    if query.get("disposition"):
        values["disposition"] = (query["disposition"][:32],)
    if query.get("severity"):
        if query["severity"] not in SEVERITY:
            raise HTTPException(422, "severity: low, medium, high or critical")
        values["min_severity"] = SEVERITY[query["severity"]]
    review = query.get("review", "open")
    if review not in ("open", "done", "none", "all"):
        raise HTTPException(422, "review: open, done, none or all")
    if review != "all":
        values["review"] = review
    for name, key, days in (("from", "started_from", 0), ("to", "started_before", 1)):
        if query.get(name):
            try:
                day = date.fromisoformat(query[name]) + timedelta(days=days)
                values[key] = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
            except (ValueError, OverflowError):
                raise HTTPException(422, f"{name}: a date such as 2026-11-22") from None
    if query.get("promise"):
        if query["promise"] not in ("kept", "broken", "open"):
            raise HTTPException(422, "promise: kept, broken or open")
        offset = datetime.now(ZoneInfo(zone)).utcoffset() or timedelta()
        values |= {"promise": query["promise"], "utc_offset_min": int(offset.total_seconds() // 60)}
    if query.get("hour"):
        if not re.fullmatch(r"[0-9]{1,2}", query["hour"]) or int(query["hour"]) > 23:
            raise HTTPException(422, "hour: 0 to 23")
        offset = datetime.now(ZoneInfo(zone)).utcoffset() or timedelta()
        values |= {"hour": int(query["hour"]), "utc_offset_min": int(offset.total_seconds() // 60)}
    for name in ("complaint", "opt_out", "right_party", "conversation"):
        if query.get(name) in ("1", "0"):
            values[name] = query[name] == "1"
    return CallFilter(**values)
