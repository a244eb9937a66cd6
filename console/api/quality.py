"""How far reviewers agree, and calibration sessions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request

from archive.repository import CallRepository
from console.agreement import agreement as agree
from console.agreement import pairs_of
from console.api.models.review import Agreement, CalibrationOut, NewCalibration, PairAgreement
from console.api.review import scorecard_out
from console.api.route import add
from console.calibration import Calibrations
from console.guard import needs
from console.models import Calibration
from console.page import context_of, person_of
from console.pages.call import known
from console.people import SignedIn
from console.review import Reviews
from console.scorecard import load_card

CalibrationId = Annotated[int, Path(ge=1, le=2**31 - 1)]


def routes(router: APIRouter) -> None:
    add(router, "GET", "/scorecard/agreement", agreement, Agreement)
    add(router, "GET", "/calibrations", calibrations, list[CalibrationOut])
    add(router, "POST", "/calibrations", open_calibration, CalibrationOut, status=201)
    add(router, "GET", "/calibrations/{calibration_id}", calibration, CalibrationOut)
    add(router, "POST", "/calibrations/{calibration_id}/close", close_calibration, CalibrationOut)


@needs("calls.read")
def agreement(request: Request) -> Agreement:
    """How far two reviewers of the same call agree."""
    with context_of(request).database.read() as session:
        found = agree(Reviews(session).double_scored(), load_card())
    return Agreement(
        calls=found.calls,
        kappa=found.all.kappa,
        same=found.all.same,
        by_question={question: each.kappa for question, each in found.by_question.items()},
        by_reviewers=[
            PairAgreement(reviewers=list(names), pairs=each.pairs, same=each.same, kappa=each.kappa)
            for names, each in found.by_reviewers.items()
        ],
    )


@needs("calls.read")
def calibrations(request: Request) -> list[CalibrationOut]:
    """The sessions, open ones first."""
    with context_of(request).database.read() as session:
        desk = Calibrations(session)
        return [_out(desk, row, person_of(request)) for row in desk.all()]


@needs("review.write")
def open_calibration(request: Request, sent: NewCalibration) -> CalibrationOut:
    """Begin a session: who scores its calls sees nobody else's scorecard before it is closed."""
    person = person_of(request)
    with context_of(request).database.write() as session:
        for call in sent.calls:
            known(CallRepository(session), call)
        desk = Calibrations(session)
        return _out(desk, desk.open(sent.title, load_card().id, sent.calls, by=person.name), person)


@needs("calls.read")
def calibration(request: Request, calibration_id: CalibrationId) -> CalibrationOut:
    """A session; its scorecards once it is closed, before that the caller's own."""
    with context_of(request).database.read() as session:
        desk = Calibrations(session)
        return _out(desk, _found(desk, calibration_id), person_of(request))


@needs("review.write")
def close_calibration(request: Request, calibration_id: CalibrationId) -> CalibrationOut:
    """End a session."""
    person = person_of(request)
    with context_of(request).database.write() as session:
        desk = Calibrations(session)
        row = _found(desk, calibration_id)
        desk.close(calibration_id, by=person.name)
        session.flush()
        return _out(desk, row, person)


def _found(desk: Calibrations, calibration_id: int) -> Calibration:
    row = desk.find(calibration_id)
    if row is None:
        raise HTTPException(404, "there is no such session")
    return row


def _out(desk: Calibrations, row: Calibration, person: SignedIn) -> CalibrationOut:
    cards, clear, closed = desk.cards(row.id), person.may("personal.read"), row.closed_at is not None
    return CalibrationOut(
        id=row.id, title=row.title, card=row.card, opened_by=row.opened_by, opened_at=row.opened_at,
        closed_by=row.closed_by, closed_at=row.closed_at, calls=list(desk.calls(row.id)),
        scorecards=[scorecard_out(card, clear) for card in cards if closed or card.reviewer == person.name],
        kappa=agree(pairs_of(cards), load_card()).all.kappa if closed else None,
    )  # fmt: skip
