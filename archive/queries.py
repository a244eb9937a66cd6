"""Finding calls: filters, full-text search, queues; a page at a time by key, so that page 1,000 costs what page 1 does.

Everything here reads :class:`~archive.models.Summary` and its side tables, which have one row a call once it is sealed.
Calls that are live are in :meth:`archive.repository.CallRepository.calls`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from archive.audit import AuditLog
from archive.errors import ArchiveError
from archive.models import Call, CallText, Review, Summary, SummaryReason, SummaryRule, Turn
from archive.promises import Outcome, condition, grace_days, today
from archive.summaries import doc_of, moment_of
from archive.tokens import fold, query_tokens

Order = Literal["newest", "severity"]
MAX_PAGE = 500
HOUR_US = 3_600_000_000
RARE = 2000
"""Calls that a word may fall in to be looked for by the word first."""


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls; ``None`` and ``()`` ask nothing. Moments are aware. ``reason`` is a flag's kind
    (:func:`archive.flagging.reason_kind`), ``rule`` the id of a rule that fired, ``text`` words that all must have
    fallen (``pay*``: a prefix), ``promise`` what became of it (:mod:`archive.promises`), ``hour`` the hour of day
    (0–23) at ``utc_offset_min`` minutes east of Greenwich, ``call_ids`` those and no others."""

    text: str | None = None
    reason: str | None = None
    rule: str | None = None
    min_severity: int = 0
    review: Review | None = None
    disposition: Sequence[str] = ()
    lang: str | None = None
    campaign: str | None = None
    script_id: str | None = None
    stage: str | None = None
    scenario: str | None = None
    case_id: str | None = None
    person_id: str | None = None
    emotion: str | None = None
    promise: Outcome | None = None
    complaint: bool | None = None
    opt_out: bool | None = None
    right_party: bool | None = None
    conversation: bool | None = None
    started_from: datetime | None = None
    started_before: datetime | None = None
    hour: int | None = None
    utc_offset_min: int = 0
    call_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A call in a list. ``reasons`` are its flags' kinds, worst first."""

    summary: Summary
    started_at: datetime
    reasons: tuple[str, ...]

    @property
    def call_id(self) -> str:
        return self.summary.call_id


@dataclass(frozen=True, slots=True)
class CallPage:
    """``next`` is the cursor of the page after this one, ``None`` on the last."""

    calls: Sequence[Listed]
    next: str | None


@dataclass(frozen=True, slots=True)
class Hit:
    """A turn in which a searched word falls. ``spans`` are offsets in ``text``, sorted, without overlaps."""

    call_id: str
    seq: int
    who: str
    start: float
    text: str
    spans: tuple[tuple[int, int], ...]


class CallQueries:
    """Lists of calls, inside the caller's unit of work."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def page(
        self, wanted: CallFilter, *, order: Order = "newest", cursor: str | None = None, limit: int = 50
    ) -> CallPage:
        """One page. ``order`` ``severity`` puts the worst first, the newest of them first.

        Raises ``ArchiveError`` for a cursor that is none of ours.
        """
        limit = max(1, min(limit, MAX_PAGE))
        severity, doc = (0, 0) if cursor is None else _cursor(cursor)
        if order == "newest" and self._by_words_alone(wanted):
            found: sa.Select[Any] | None = self._newest_matches(wanted, doc if cursor is not None else None, limit + 1)
        else:
            found = select(self._session, wanted, Summary, paged=True)
        if found is None:
            return CallPage((), None)
        if cursor is not None:
            if order == "severity":
                worse = sa.tuple_(Summary.severity, Summary.doc) < sa.tuple_(sa.literal(severity), sa.literal(doc))
                found = found.where(worse)
            else:
                found = found.where(Summary.doc < doc)
        by = (Summary.severity.desc(), Summary.doc.desc()) if order == "severity" else (Summary.doc.desc(),)
        rows = list(self._session.scalars(found.order_by(*by).limit(limit + 1)))
        more, rows = len(rows) > limit, rows[:limit]
        reasons = self._reasons([row.doc for row in rows])
        listed = [Listed(row, moment_of(row.doc), tuple(reasons.get(row.doc, ()))) for row in rows]
        return CallPage(listed, f"{rows[-1].severity}.{rows[-1].doc}" if more else None)

    def _by_words_alone(self, wanted: CallFilter) -> bool:
        """On SQLite, which knows nothing of how common a word is, and would sort all that match."""
        sqlite = self._session.get_bind().dialect.name == "sqlite"
        return sqlite and wanted.text is not None and replace(wanted, text=None) == CallFilter()

    def _newest_matches(self, wanted: CallFilter, before: int | None, limit: int) -> sa.Select[Any] | None:
        """FTS5 gives matches in the order of their rowid, which is the doc, and stops when the page is full."""
        words = query_tokens(wanted.text or "")
        if not words:
            return None
        docs = sa.select(_FTS.c.rowid).where(_fts_match(words)).order_by(_FTS.c.rowid.desc()).limit(limit)
        if before is not None:
            docs = docs.where(_FTS.c.rowid < before)
        return sa.select(Summary).where(Summary.doc.in_(docs))

    def count(self, wanted: CallFilter, *, at_most: int = 10_000) -> int:
        """How many there are, counted up to ``at_most``."""
        postgres = self._session.get_bind().dialect.name == "postgresql"
        if postgres and wanted.text is not None and replace(wanted, text=None) == CallFilter():
            words = query_tokens(wanted.text)
            if not words:
                return 0
            matching = sa.select(CallText.doc).where(_vector_match(words)).limit(at_most).subquery()
            with _by_index(self._session):
                return self._session.scalar(sa.select(sa.func.count()).select_from(matching)) or 0
        found = select(self._session, wanted, Summary.doc)
        if found is None:
            return 0
        return self._session.scalar(sa.select(sa.func.count()).select_from(found.limit(at_most).subquery())) or 0

    def get(self, call_id: str) -> Listed | None:
        row = self._session.scalar(sa.select(Summary).where(Summary.call_id == call_id))
        if row is None:
            return None
        return Listed(row, moment_of(row.doc), tuple(self._reasons([row.doc]).get(row.doc, ())))

    def hits(self, calls: Sequence[Listed], text: str, *, per_call: int = 2) -> dict[str, list[Hit]]:
        """By call id, the first turns in which words of ``text`` fall: those with most of them first."""
        words = [word for word, _ in query_tokens(text)]
        if not words or not calls:
            return {}
        columns = (Turn.call_id, Turn.seq, Turn.who, Turn.start, Turn.text, Turn.heard_text)
        pattern = re.compile("|".join(_pattern(word).pattern for word in words))
        ids = [listed.call_id for listed in calls]
        found: dict[str, list[tuple[int, Hit]]] = {}
        for row in self._session.execute(sa.select(*columns).where(Turn.call_id.in_(ids)).order_by(Turn.start)):
            told = row.text if row.heard_text is None else row.heard_text
            spans = _spans(told, words, pattern)
            if spans:
                hit = Hit(row.call_id, row.seq, row.who, row.start, told, spans)
                found.setdefault(row.call_id, []).append((-len({told[a:b] for a, b in spans}), hit))
        return {key: [h for _, h in sorted(hits, key=lambda each: each[0])[:per_call]] for key, hits in found.items()}

    def reasons(self, wanted: CallFilter) -> list[tuple[str, int, int]]:
        """``(kind, calls, worst severity)`` of the flags among these calls, most frequent first."""
        found = sa.select(SummaryReason.reason, sa.func.count(), sa.func.max(SummaryReason.severity))
        if wanted == CallFilter(review=wanted.review):  # the calls themselves need not be asked
            if wanted.review is not None:
                found = found.where(SummaryReason.review == wanted.review)
        else:
            docs = select(self._session, wanted, Summary.doc)
            if docs is None:
                return []
            found = found.where(SummaryReason.doc.in_(docs))
        found = found.group_by(SummaryReason.reason).order_by(sa.func.count().desc(), SummaryReason.reason)
        return [(reason, n, worst) for reason, n, worst in self._session.execute(found)]

    def values(self, column: Literal["campaign", "script_id", "stage", "scenario"]) -> list[str]:
        """What a filter can ask of ``column``, in order; the first 500."""
        name = getattr(Summary, column)
        # From each value to the next by the index: DISTINCT would read an entry for every call.
        seen = sa.select(sa.func.min(name).label("value"), sa.literal(1).label("nth")).cte("seen", recursive=True)
        after = sa.select(sa.func.min(name)).where(name > seen.c.value).scalar_subquery()
        more = sa.select(after, seen.c.nth + 1).where(seen.c.value.is_not(None), seen.c.nth < MAX_PAGE)
        found = seen.union_all(more)
        return list(self._session.scalars(sa.select(found.c.value).where(found.c.value.is_not(None))))

    def set_review(self, call_ids: Sequence[str], review: Review, *, actor: str) -> int:
        """Put calls into (``open``) or out of (``done``) the review queue; returns how many there were. Audited."""
        changed = 0
        for call_id in dict.fromkeys(call_ids):
            update = sa.update(Summary).where(Summary.call_id == call_id).values(review=review)
            doc = self._session.execute(update.returning(Summary.doc)).scalar()
            if doc is not None:
                changed += 1
                self._session.execute(sa.update(SummaryReason).where(SummaryReason.doc == doc).values(review=review))
                AuditLog(self._session).append("review.set", actor=actor, subject=call_id, review=review)
        return changed

    def _reasons(self, docs: Sequence[int]) -> dict[int, list[str]]:
        if not docs:
            return {}
        found = sa.select(SummaryReason.doc, SummaryReason.reason).where(SummaryReason.doc.in_(docs))
        reasons: dict[int, list[str]] = {}
        for doc, reason in self._session.execute(
            found.order_by(SummaryReason.doc, SummaryReason.severity.desc(), SummaryReason.reason)
        ):
            reasons.setdefault(doc, []).append(reason)
        return reasons


def select(session: Session, wanted: CallFilter, *columns: Any, paged: bool = False) -> sa.Select[Any] | None:
    """``columns`` of the summaries that are wanted; ``None`` where none can be (a search for no word at all).

    ``paged``: the caller reads the first few in the order of their ``doc``, not all.
    """
    found = sa.select(*columns).select_from(Summary)
    if wanted.text is not None:
        words = query_tokens(wanted.text)
        if not words:
            return None
        found = _matching(session, found, words, paged)
    if wanted.reason is not None:
        found = found.join(SummaryReason, SummaryReason.doc == Summary.doc).where(SummaryReason.reason == wanted.reason)
    if wanted.rule is not None:
        fired = sa.select(SummaryRule.doc).where(SummaryRule.rule == wanted.rule)
        found = found.where(Summary.doc.in_(fired))
    if wanted.case_id is not None or wanted.person_id is not None:
        found = found.join(Call, Call.id == Summary.call_id)
    return found.where(*_conditions(wanted))


def _conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for name in ("review", "lang", "campaign", "script_id", "stage", "scenario"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(getattr(Summary, name) == value)
    for name in ("complaint", "opt_out", "right_party"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(getattr(Summary, name).is_(value))
    if wanted.conversation is not None:
        conditions.append((Summary.borrower_turns > 0).is_(wanted.conversation))
    if wanted.case_id is not None:
        conditions.append(Call.case_id == wanted.case_id)
    if wanted.person_id is not None:
        conditions.append(Call.person_id == wanted.person_id)
    if wanted.min_severity > 0:
        conditions.append(Summary.severity >= wanted.min_severity)
    if wanted.disposition:
        conditions.append(Summary.disposition.in_(wanted.disposition))
    if wanted.emotion is not None:
        if wanted.emotion not in ("positive", "anxious", "sad", "frustrated", "angry"):
            raise ArchiveError(f"calls are not counted by the emotion {wanted.emotion!r}")
        conditions.append(getattr(Summary, wanted.emotion) > 0)
    if wanted.promise is not None:
        conditions.append(condition(wanted.promise, today(wanted.utc_offset_min), grace_days()))
    if wanted.started_from is not None:
        conditions.append(Summary.doc >= doc_of(wanted.started_from))
    if wanted.started_before is not None:
        conditions.append(Summary.doc < doc_of(wanted.started_before))
    if wanted.call_ids is not None:
        conditions.append(Summary.call_id.in_(wanted.call_ids))
    if wanted.hour is not None:
        conditions.append(hour_of_day(wanted.utc_offset_min) == wanted.hour)
    return conditions


def hour_of_day(utc_offset_min: int) -> ColumnElement[int]:
    return (Summary.doc + utc_offset_min * 60_000_000) // HOUR_US % 24


_FTS = sa.table("call_fts", sa.column("rowid", sa.BigInteger), sa.column("call_fts"))


def _fts_match(words: list[tuple[str, bool]]) -> ColumnElement[bool]:
    # Words hold letters and digits only, so quoting them needs no escape, here and below.
    return _FTS.c.call_fts.bool_op("MATCH")(" ".join(f'"{word}"' + "*" * prefix for word, prefix in words))


def _matching(session: Session, found: sa.Select[Any], words: list[tuple[str, bool]], paged: bool) -> sa.Select[Any]:
    if session.get_bind().dialect.name == "sqlite":
        matches = _fts_match(words)
        some = sa.select(_FTS.c.rowid).where(matches)
        counted = sa.select(sa.func.count()).select_from(some.limit(RARE + 1).subquery())
        if not paged or (session.scalar(counted) or 0) <= RARE:
            return found.where(Summary.doc.in_(some))
        # A common word: the other conditions first, and each call that meets them is looked up among the matches. The
        # `+` keeps SQLite, which takes every word for a rare one, from going the other way and sorting them all.
        return found.where(sa.literal_column("+summaries.doc", sa.BigInteger).in_(some))
    matches = _vector_match(words)
    few = _few(session, matches)
    if few is not None:
        return found.where(Summary.doc == sa.any_(sa.literal(few, postgresql.ARRAY(sa.BigInteger))))
    # A common word, of which PostgreSQL keeps statistics: it may walk the calls in order, or take the matches.
    return found.join(CallText, CallText.doc == Summary.doc).where(matches)


def _vector_match(words: list[tuple[str, bool]]) -> ColumnElement[bool]:
    vector: ColumnElement[Any] = sa.literal_column("call_text.vector")
    query = sa.cast(" & ".join(f"'{word}'" + ":*" * prefix for word, prefix in words), postgresql.TSQUERY)
    return vector.op("@@", return_type=sa.Boolean())(query)


def _few(session: Session, matches: ColumnElement[bool]) -> list[int] | None:
    """The calls in which the words fall, ``None`` where there are more than ``RARE``. PostgreSQL knows how common the
    commonest words are; of all others it thinks too much, and would look for them through all calls."""
    with _by_index(session):
        docs = session.scalars(sa.select(CallText.doc).where(matches).limit(RARE + 1)).all()
    return None if len(docs) > RARE else list(docs)


@contextmanager
def _by_index(session: Session) -> Iterator[None]:
    """Inside, PostgreSQL takes the index of the words, whatever it thinks of them."""
    session.execute(sa.text("SET LOCAL enable_seqscan = off"))
    yield
    session.execute(sa.text("SET LOCAL enable_seqscan = on"))


def _spans(text: str, words: Sequence[str], any_of: re.Pattern[str]) -> tuple[tuple[int, int], ...]:
    folded = _folded(text)
    if any_of.search(folded) is None:
        return ()
    if len(folded) != len(text):  # a compatibility form of another length: offsets would be wrong
        return ((0, 0),) if any(word in folded for word in words) else ()
    found = [match.span() for word in words for match in _pattern(word).finditer(folded)]
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


_folded = functools.lru_cache(maxsize=8192)(fold)
"""Scripted lines are the same in many calls."""


@functools.lru_cache(maxsize=256)
def _pattern(word: str) -> re.Pattern[str]:
    """``dont`` is found in "don't" too."""
    return re.compile("['’]?".join(map(re.escape, word)) if word.isascii() else re.escape(word))


def _cursor(text: str) -> tuple[int, int]:
    severity, _, doc = text.partition(".")
    if not (severity.isdecimal() and doc.isdecimal() and len(doc) < 19 and len(severity) < 3):
        raise ArchiveError("not a page's cursor")
    return int(severity), int(doc)
