"""What reviewers do with calls."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from console.api.models.base import Given, Seconds, Sent
from console.review import MAX_COMMENT


class NewComment(Sent):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_COMMENT)]
    at: Seconds | None = None


class CommentOut(Given):
    id: int
    at: float | None
    author: str
    text: str
    created_at: datetime


class NewCorrection(Sent):
    turn: Annotated[int, Field(ge=0, le=100_000)]
    field: Literal["intent", "emotion", "verdict", "text"]
    value: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]


class CorrectionOut(Given):
    id: int
    call_id: str
    turn_seq: int
    field: str
    before: str
    value: str
    author: str
    created_at: datetime


class CorrectionList(Given):
    """``next`` is the ``after`` of the page after this one."""

    corrections: list[CorrectionOut]
    next: int | None


class Answers(Sent):
    answers: Annotated[
        dict[
            Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=400)]
        ],
        Field(max_length=100),
    ]  # fmt: skip


class ScorecardOut(Given):
    id: int
    call_id: str
    reviewer: str
    card: str
    answers: dict[str, Any]
    score: float
    saved_at: datetime


class QuestionOut(Given):
    id: str
    kind: str
    weight: float
    text: dict[str, str]


class CardOut(Given):
    id: str
    title: dict[str, str]
    questions: list[QuestionOut]


class ReviewState(Sent):
    state: Literal["open", "done"]


class NewAssignment(Sent):
    reviewer: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    second: bool = False


class PairAgreement(Given):
    """Two reviewers: how many answers were compared, the share that are the same, Cohen's kappa."""

    reviewers: list[str]
    pairs: int
    same: float | None
    kappa: float | None


class Agreement(Given):
    """Cohen's kappa over the questions that two reviewers answered for the same calls; ``same`` is the share of equal
    answers."""

    calls: int
    kappa: float | None
    same: float | None
    by_question: dict[str, float | None]
    by_reviewers: list[PairAgreement]


class NewCalibration(Sent):
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
    calls: Annotated[list[Annotated[str, StringConstraints(max_length=36)]], Field(min_length=1, max_length=50)]


class CalibrationOut(Given):
    """A session. ``scorecards`` and ``kappa`` of all once it is closed; before that the caller's own cards alone."""

    id: int
    title: str
    card: str
    opened_by: str
    opened_at: datetime
    closed_by: str | None
    closed_at: datetime | None
    calls: list[str]
    scorecards: list[ScorecardOut]
    kappa: float | None
