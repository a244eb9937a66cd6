"""Quality: how far reviewers agree, calibration sessions, and what they corrected, as training data."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Form, HTTPException, Path, Request, Response
from fastapi.responses import RedirectResponse

from archive.models import Summary
from archive.repository import CallRepository
from archive.summaries import moment_of
from console.agreement import agreement, pairs_of
from console.calibration import MAX_TITLE, Calibrations
from console.guard import needs
from console.models import Correction, Scorecard
from console.page import context_of, person_of, render
from console.pages.call import known
from console.privacy import hide
from console.review import Reviews
from console.scorecard import load_card

CalibrationId = Annotated[int, Path(ge=1, le=2**31 - 1)]


def routes(router: APIRouter) -> None:
    router.get("/quality")(quality_page)
    router.post("/quality/calibrations")(open_calibration)
    router.get("/quality/calibrations/{calibration_id}")(calibration_page)
    router.post("/quality/calibrations/{calibration_id}/close")(close_calibration)


@needs("calls.read")
def quality_page(request: Request) -> Response:
    card = load_card()
    with context_of(request).database.read() as session:
        calibrations, reviews = Calibrations(session), Reviews(session)
        found = agreement(reviews.double_scored(), card)
        sessions = [
            (row, len(calibrations.calls(row.id)), len({c.reviewer for c in calibrations.cards(row.id)}))
            for row in calibrations.all()
        ]
        counted = sa.select(Correction.field, sa.func.count()).group_by(Correction.field).order_by(Correction.field)
        corrected = [(field, int(n)) for field, n in session.execute(counted)]
    return render(request, "quality.html", card=card, found=found, sessions=sessions, corrected=corrected)


@needs("review.write")
def open_calibration(
    request: Request,
    title: Annotated[str, Form(max_length=MAX_TITLE)],
    call: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """A session over the chosen calls, which everybody scores by themselves."""
    with context_of(request).database.write() as session:
        repository = CallRepository(session)
        calls = [known(repository, each).id for each in dict.fromkeys((call or [])[:200])]
        try:
            row = Calibrations(session).open(title, load_card().id, calls, by=person_of(request).name)
        except ValueError as e:
            raise HTTPException(422, str(e)) from e
        opened = row.id
    return RedirectResponse(f"/quality/calibrations/{opened}", 303)


@needs("calls.read")
def calibration_page(request: Request, calibration_id: CalibrationId) -> Response:
    """While it is open: what is left to score. Afterwards: everybody's answers side by side."""
    card, person = load_card(), person_of(request)
    with context_of(request).database.read() as session:
        calibrations = Calibrations(session)
        row = calibrations.find(calibration_id)
        if row is None:
            raise HTTPException(404, "there is no such session")
        calls, cards = calibrations.calls(row.id), list(calibrations.cards(row.id))
        docs = sa.select(Summary.call_id, Summary.doc, Summary.disposition).where(Summary.call_id.in_(calls))
        told = {call: (moment_of(doc), outcome) for call, doc, outcome in session.execute(docs)}
    values: dict[str, Any] = {
        "listed": [
            {
                "id": call, "at": told.get(call, (None, None))[0], "outcome": told.get(call, (None, None))[1] or "",
                "scored": any(c.call_id == call and c.reviewer == person.name for c in cards),
                "cards": sum(c.call_id == call for c in cards),
            }
            for call in calls
        ],
        "results": _results(cards, card, person.may("personal.read")) if row.closed_at is not None else [],
        "found": agreement(pairs_of(cards), card) if row.closed_at is not None else None,
    }  # fmt: skip
    return render(request, "calibration.html", row=row, card=card, **values)


def _results(cards: list[Scorecard], card: Any, clear: bool) -> list[dict[str, Any]]:
    """By call: who gave what to each question, the answers that stand alone marked."""
    found = []
    for call in dict.fromkeys(each.call_id for each in cards):
        own = [each for each in cards if each.call_id == call]
        rows = []
        for question in card.questions:
            given = [str(each.answers.get(question.id, "")) for each in own]
            usual = Counter(given).most_common(1)[0][0]
            text = question.kind == "text"
            rows.append(
                (question, [(a if clear or not text else hide(a), not text and a != usual) for a in given], not text)
            )
        found.append(
            {"id": call, "reviewers": [each.reviewer for each in own], "rows": rows, "scores": [c.score for c in own]}
        )
    return found


@needs("review.write")
def close_calibration(request: Request, calibration_id: CalibrationId) -> Response:
    """Show everybody's answers from now on."""
    with context_of(request).database.write() as session:
        try:
            Calibrations(session).close(calibration_id, by=person_of(request).name)
        except KeyError:
            raise HTTPException(404, "there is no such session") from None
    return RedirectResponse(f"/quality/calibrations/{calibration_id}", 303)
