"""What reviewers do with calls: comments, corrections, scorecards, assignment, review state; training data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from archive.models import Call, Turn, VerdictRow
from archive.queries import CallQueries
from archive.repository import CallRepository
from console.api.models.base import Changed
from console.api.models.review import (
    Answers,
    CardOut,
    CommentOut,
    CorrectionList,
    CorrectionOut,
    NewAssignment,
    NewComment,
    NewCorrection,
    QuestionOut,
    ReviewState,
    ScorecardOut,
)
from console.api.route import add
from console.calibration import Calibrations
from console.guard import needs
from console.models import Comment, Correction, Scorecard
from console.names import names_in
from console.page import context_of, person_of
from console.pages.call import DECISIONS, known
from console.people import People
from console.permissions import allowed
from console.privacy import hide
from console.review import Reviews
from console.scorecard import load_card
from sentiment.labels import INTENTS, SHOWN_EMOTIONS

_LINES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/x-ndjson": {}}, "description": "One JSON object a line"}
}
_BATCH = 500
_ROW_ID = 2**31 - 1


def routes(router: APIRouter) -> None:
    add(router, "GET", "/calls/{call_id}/comments", comments, list[CommentOut])
    add(router, "POST", "/calls/{call_id}/comments", comment, CommentOut, status=201)
    add(router, "GET", "/calls/{call_id}/corrections", corrections, list[CorrectionOut])
    add(router, "POST", "/calls/{call_id}/corrections", correct, CorrectionOut, status=201)
    add(router, "GET", "/calls/{call_id}/scorecards", scorecards, list[ScorecardOut])
    add(router, "PUT", "/calls/{call_id}/scorecard", score, ScorecardOut)
    add(router, "PUT", "/calls/{call_id}/review", set_review, Changed)
    add(router, "PUT", "/calls/{call_id}/assignment", assign, Changed)
    add(router, "GET", "/corrections", all_corrections, CorrectionList)
    add(router, "GET", "/corrections/training.jsonl", training, more=_LINES)
    add(router, "GET", "/scorecard", card, CardOut)


@needs("calls.read")
def comments(request: Request, call_id: str) -> list[CommentOut]:
    context, clear = context_of(request), person_of(request).may("personal.read")
    with context.database.read() as session:
        repository = CallRepository(session)
        call = known(repository, call_id)
        rows: Sequence[Comment] = Reviews(session).comments(call_id)
        names = () if clear else names_in(repository.verdicts(call_id), call, context.scripts)
    found = [CommentOut.model_validate(row) for row in rows]
    return found if clear else [c.model_copy(update={"text": hide(c.text, names)}) for c in found]


@needs("review.write")
def comment(request: Request, call_id: str, sent: NewComment) -> CommentOut:
    with context_of(request).database.write() as session:
        known(CallRepository(session), call_id)
        return CommentOut.model_validate(
            Reviews(session).comment(call_id, sent.text, sent.at, by=person_of(request).name)
        )


@needs("calls.read")
def corrections(request: Request, call_id: str) -> list[CorrectionOut]:
    with context_of(request).database.read() as session:
        known(CallRepository(session), call_id)
        rows = Reviews(session).corrections(call_id)
    return [_correction(row, person_of(request).may("personal.read")) for row in rows]


def _correction(row: Correction, clear: bool) -> CorrectionOut:
    out = CorrectionOut.model_validate(row)
    if clear or row.field != "text":
        return out
    return out.model_copy(update={"before": "", "value": ""})  # what somebody said, in whole sentences


@needs("review.write")
def correct(request: Request, call_id: str, sent: NewCorrection) -> CorrectionOut:
    """This reviewer's word against a model's; a second one of the same field takes the first one's place."""
    choices = {"intent": set(INTENTS), "emotion": set(SHOWN_EMOTIONS), "verdict": set(DECISIONS)}
    if sent.field in choices and sent.value not in choices[sent.field]:
        raise HTTPException(422, f"value: not a label of {sent.field}")
    by = person_of(request).name
    with context_of(request).database.write() as session:
        repository, reviews = CallRepository(session), Reviews(session)
        known(repository, call_id)
        turn = next((t for t in repository.turns(call_id) if t.seq == sent.turn), None)
        if turn is None:
            raise HTTPException(404, "the call has no such turn")
        if sent.field == "verdict":
            verdict = next((v for v in repository.verdicts(call_id) if v.seq == turn.verdict_seq), None)
            before = verdict.decision if verdict is not None else ""
        else:
            before = str(getattr(turn, sent.field) or "")
        reviews.correct(call_id, sent.turn, sent.field, before, sent.value, by=by)
        session.flush()
        own = [
            c for c in reviews.corrections(call_id) if (c.turn_seq, c.field, c.author) == (sent.turn, sent.field, by)
        ]
        return CorrectionOut.model_validate(own[-1])


@needs("calls.read")
def scorecards(request: Request, call_id: str) -> list[ScorecardOut]:
    """Those that the caller may see: a second opinion does not know the first."""
    clear = person_of(request).may("personal.read")
    with context_of(request).database.read() as session:
        known(CallRepository(session), call_id)
        cards = Calibrations(session).visible(call_id, Reviews(session).scorecards(call_id), person_of(request).name)
        return [scorecard_out(row, clear) for row in cards]


def scorecard_out(row: Scorecard, clear: bool) -> ScorecardOut:
    out = ScorecardOut.model_validate(row)
    return out if clear else out.model_copy(update={"answers": {k: hide(str(v)) for k, v in out.answers.items()}})


@needs("review.write")
def score(request: Request, call_id: str, sent: Answers) -> ScorecardOut:
    """This reviewer's scorecard of the call, instead of an earlier one."""
    current = load_card()
    try:
        answers = current.check(sent.answers)
    except ValueError as e:
        raise HTTPException(422, str(e)) from e
    by = person_of(request).name
    with context_of(request).database.write() as session:
        known(CallRepository(session), call_id)
        reviews = Reviews(session)
        reviews.score(call_id, current.id, answers, current.score(answers), by=by)
        session.flush()
        return ScorecardOut.model_validate(next(s for s in reviews.scorecards(call_id) if s.reviewer == by))


@needs("review.write")
def set_review(request: Request, call_id: str, sent: ReviewState) -> Changed:
    with context_of(request).database.write() as session:
        known(CallRepository(session), call_id)
        changed = CallQueries(session).set_review([call_id], sent.state, actor=person_of(request).name)
    return Changed(changed=changed > 0)


@needs("review.write")
def assign(request: Request, call_id: str, sent: NewAssignment) -> Changed:
    with context_of(request).database.write() as session:
        known(CallRepository(session), call_id)
        person = People(session).find(sent.reviewer)
        if person is None or person.disabled_at is not None or not allowed(person.role, "review.write"):
            raise HTTPException(422, "reviewer: nobody of that name reviews calls")
        Reviews(session).assign([call_id], sent.reviewer, by=person_of(request).name, second=sent.second)
    return Changed()


@needs("calls.read")
def all_corrections(
    request: Request,
    after: Annotated[int, Query(ge=0, le=_ROW_ID)] = 0,
    limit: Annotated[int, Query(ge=1, le=_BATCH)] = 100,
) -> CorrectionList:
    """Corrections of all calls, oldest first."""
    clear = person_of(request).may("personal.read")
    with context_of(request).database.read() as session:
        found = sa.select(Correction).where(Correction.id > after).order_by(Correction.id).limit(limit + 1)
        rows = session.scalars(found).all()
    shown = rows[:limit]
    return CorrectionList(
        corrections=[_correction(row, clear) for row in shown], next=shown[-1].id if len(rows) > limit else None
    )


@needs("personal.read")
def training(request: Request) -> Response:
    """Corrections as training data, one JSON object a line.

    ``text``, ``lang``, ``task`` (``intent``, ``emotion``, ``verdict``, ``text``), ``label``, what the model ``said``,
    and ``expects``: the agent's line before it. Texts are in the clear; a turn that was erased is left out.
    """
    database = context_of(request).database

    def lines() -> Iterator[str]:
        last = 0
        while True:
            with database.read() as session:
                rows = _examples(session, last)
            for correction, turn, lang, proposed in rows:
                yield json.dumps(_example(correction, turn, lang, proposed), ensure_ascii=False) + "\n"
            if len(rows) < _BATCH:
                return
            last = rows[-1][0].id

    return StreamingResponse(lines(), media_type="application/x-ndjson")


def _examples(session: Session, last: int) -> Sequence[tuple[Correction, Turn, str, str | None]]:
    found = (
        sa.select(Correction, Turn, Call.lang, VerdictRow.proposed)
        .join(Turn, (Turn.call_id == Correction.call_id) & (Turn.seq == Correction.turn_seq))
        .join(Call, Call.id == Correction.call_id)
        .outerjoin(VerdictRow, (VerdictRow.call_id == Turn.call_id) & (VerdictRow.seq == Turn.verdict_seq))
        .where(Correction.id > last)
        .order_by(Correction.id)
        .limit(_BATCH)
    )
    return [(c, t, lang, proposed) for c, t, lang, proposed in session.execute(found)]


def _example(correction: Correction, turn: Turn, lang: str, proposed: str | None) -> dict[str, Any]:
    return {
        "text": proposed if correction.field == "verdict" and proposed is not None else turn.text,
        "lang": lang,
        "task": correction.field,
        "label": correction.value,
        "said": correction.before,
        "who": turn.who,
        "line": turn.line_id,
        "confidence": turn.confidence,
        "call_id": correction.call_id,
        "turn": correction.turn_seq,
        "author": correction.author,
        "at": correction.created_at.isoformat(),
    }


@needs("calls.read")
def card(request: Request) -> CardOut:
    """The scorecard in use."""
    current = load_card()
    questions = [QuestionOut(id=q.id, kind=q.kind, weight=q.weight, text=dict(q.text)) for q in current.questions]
    return CardOut(id=current.id, title=dict(current.title), questions=questions)
