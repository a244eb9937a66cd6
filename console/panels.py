"""The dashboard's panels: one table each, the chart that draws it, and for every number the address of its calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from archive.dashboards import Dashboards, Dimension, Numbers
from archive.queries import CallFilter
from compliance_checks.explain import category_name
from console.cells import Cell, Panel, Tile
from console.cube import Cube, calls_of_rules
from console.i18n import PageLang, translator
from sentiment.labels import SHOWN_EMOTIONS, UNKNOWN

SPLITS: tuple[Dimension, ...] = get_args(Dimension)
SERIES = 5
"""Lines in one chart: more cannot be told apart."""
ROWS = 60
RULES = 20
LONG_RANGE = timedelta(days=62)
_SEVERITY = ("", "low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class _Rate:
    title: str
    share: Callable[[Numbers], float | None]
    part: Callable[[Numbers], int]
    whole: Callable[[Numbers], int]
    narrow: dict[str, Any] | None
    """The filter for the calls that are ``part``; ``None`` where there is none."""


_RIGHT_PARTY = _Rate(
    "Right-party rate", lambda n: n.right_party_rate, lambda n: n.right_party, lambda n: n.conversations,
    {"right_party": True},
)  # fmt: skip
_KEPT = _Rate(
    "Promise-kept rate", lambda n: n.promise_kept_rate, lambda n: n.promises_kept,
    lambda n: n.promises_kept + n.promises_broken, {"promise": "kept"},
)  # fmt: skip
_RATES = (
    _Rate(
        "Contact rate", lambda n: n.contact_rate, lambda n: n.conversations, lambda n: n.calls, {"conversation": True}
    ),
    _RIGHT_PARTY,
    _Rate(
        "Promise rate", lambda n: n.promise_rate, lambda n: n.promises, lambda n: n.right_party,
        {"disposition": ("promise_to_pay",)},
    ),
    _KEPT,
    _Rate(
        "Complaint rate", lambda n: n.complaint_rate, lambda n: n.complaints, lambda n: n.conversations,
        {"complaint": True},
    ),
    _Rate(
        "Opt-out rate", lambda n: n.opt_out_rate, lambda n: n.opt_outs, lambda n: n.conversations, {"opt_out": True},
    ),
)  # fmt: skip


def address(wanted: CallFilter, zone: str, narrow: Mapping[str, Any] | None = None) -> str:
    """The queue's address for exactly the calls of ``wanted``, of which ``narrow`` asks more (fields of the filter);
    the inverse of ``console.pages.queue.read_filter``.

    Moments must be midnights of ``zone`` (give or take a change of the clocks).
    """
    more = narrow or {}

    def asked(name: str) -> Any:
        return more[name] if name in more else getattr(wanted, name)

    query: dict[str, str] = {"review": asked("review") or "all", "order": "newest"}
    for name in ("reason", "rule", "lang", "campaign", "script_id", "stage", "scenario", "emotion", "promise"):
        if (value := asked(name)) is not None:
            query[name] = value
    if wanted.text is not None:
        query["q"] = wanted.text
    if asked("disposition"):
        (query["disposition"],) = asked("disposition")
    if asked("min_severity"):
        query["severity"] = _SEVERITY[asked("min_severity")]
    if wanted.started_from is not None:
        query["from"] = _date(wanted.started_from, 12, zone)
    if wanted.started_before is not None:
        query["to"] = _date(wanted.started_before, -12, zone)
    if wanted.hour is not None:
        query["hour"] = str(wanted.hour)
    for name in ("complaint", "opt_out", "right_party", "conversation"):
        if (flag := asked(name)) is not None:
            query[name] = str(int(flag))
    return "/queue?" + "&".join(_pair(name, value) for name, value in query.items())


# A page has five hundred addresses, made of the same few parts.


@lru_cache(maxsize=4096)
def _pair(name: str, value: str) -> str:
    return urlencode({name: value})


@lru_cache(maxsize=4096)
def _date(moment: datetime, hours: int, zone: str) -> str:
    return (moment + timedelta(hours=hours)).astimezone(ZoneInfo(zone)).date().isoformat()


class Panels:
    """Builds panels for one selection, split by one dimension, for one reader. ``drill``: whether the reader may see
    calls."""

    def __init__(
        self, session: Session, wanted: CallFilter, by: Dimension, lang: PageLang, zone: str, *, drill: bool
    ) -> None:
        self._session, self._wanted, self._by = session, wanted, by
        self._lang, self._zone, self._drill = lang, zone, drill
        self._ = translator(lang)
        begin, end = wanted.started_from, wanted.started_before
        short = begin is not None and end is not None and end - begin <= LONG_RANGE
        self._step_name = "Day" if short else "Week from"
        self._cube = Cube(session, wanted, "day" if short else "week", by)

    # tiles -----------------------------------------------------------------------------------------------------

    def tiles(self) -> list[Tile]:
        total, wanted = self._cube.totals(), self._wanted
        tiles = [Tile(self._("Calls"), Cell(total.calls, href=self._to(wanted)))]
        for rate in _RATES:
            whole = self._to(wanted) if rate is _RATES[0] else self._to(wanted, _RATES[0])
            if rate.title == "Promise rate":
                whole = self._to(wanted, _RIGHT_PARTY)
            if rate is _KEPT:
                whole = None  # two lists: those that were kept and those that were broken
            href = self._to(wanted, rate)
            tiles.append(
                Tile(
                    self._(rate.title), Cell(rate.share(total), "rate", href),
                    Cell(rate.part(total), href=href), Cell(rate.whole(total), href=whole),
                )
            )  # fmt: skip
        tiles.append(Tile(self._("Flagged"), Cell(total.flagged, href=self._to(replace(wanted, min_severity=1)))))
        tiles.append(Tile(self._("Refusals of the gate"), Cell(total.refusals, href="#rules")))
        return tiles

    # panels ----------------------------------------------------------------------------------------------------

    def rates(self) -> Panel:
        """The rates over time."""
        buckets = self._cube.over_time()
        names = [self._(rate.title) for rate in _RATES]
        rows, lines = [], [_line(name) for name in names]
        for bucket in buckets:
            cells = [Cell(self._day(bucket.key), "text"), Cell(bucket.numbers.calls, href=self._to(bucket.calls))]
            for rate, line in zip(_RATES, lines, strict=True):
                cell = Cell(rate.share(bucket.numbers), "rate", self._to(bucket.calls, rate))
                cells.append(cell)
                _add(line, cell)
            rows.append(tuple(cells))
        chart = {"kind": "line", "format": "percent", "x": [self._day(b.key) for b in buckets], "series": lines}
        columns = (self._(self._step_name), self._("Calls"), *names)
        return Panel("rates", self._("Rates over time"), columns, tuple(rows), chart if rows else None)

    def sentiment(self) -> Panel:
        """How borrowers felt, over time: all calls, or the commonest values of the split apart."""
        title = self._("Sentiment over time")
        columns = [(self._("all"), self._cube.over_time())]
        felt_in = [b for b in self._cube.by() if b.calls is not None and b.numbers.borrower_turns]
        if self._by != "hour" and len(felt_in) > 1:
            columns = [(self._name(b.key), self._cube.over_time(b.key)) for b in felt_in[:SERIES]]
        days = sorted({bucket.key for _, buckets in columns for bucket in buckets})
        series, table = [_line(name) for name, _ in columns], []
        for day in days:
            cells = [Cell(self._day(day), "text")]
            for line, (_, buckets) in zip(series, columns, strict=True):
                found = next((b for b in buckets if b.key == day), None)
                valence = None if found is None else found.numbers.valence
                cell = Cell(_round(valence), "score", None if found is None else self._to(found.calls))
                cells.append(cell)
                _add(line, cell)
            table.append(tuple(cells))
        chart = {
            "kind": "line",
            "format": "score",
            "axis": self._("valence: from bad to good"),
            "x": [self._day(day) for day in days],
            "series": series,
        }
        felt = any(value is not None for line in series for value in line["data"])
        head = (self._(self._step_name), *(name for name, _ in columns))
        return Panel("sentiment", title, head, tuple(table), chart if felt else None)

    def groups(self) -> Panel:
        """The selection by the split: how many, how they felt, and the rates."""
        by, buckets = self._by, self._cube.by()[:ROWS]
        lines = [
            _line(self._("neutral or unknown") if name == "neutral" else SHOWN_EMOTIONS[name].name[self._lang])
            for name, _ in _NO_EMOTIONS
        ]
        rows = []
        for bucket in buckets:
            numbers = bucket.numbers
            cells = [
                Cell(self._name(bucket.key), "text", self._to(bucket.calls)),
                Cell(numbers.calls, href=self._to(bucket.calls)),
                Cell(_round(numbers.valence), "score", self._to(bucket.calls)),
                Cell(_round(numbers.arousal), "score", self._to(bucket.calls)),
                *(Cell(rate.share(numbers), "rate", self._to(bucket.calls, rate)) for rate in _RATES),
            ]
            rows.append(tuple(cells))
            for line, (name, times) in zip(lines, numbers.emotions, strict=True):
                share = times / numbers.borrower_turns if numbers.borrower_turns else None
                asks = bucket.calls
                if asks is not None and name != "neutral":
                    asks = replace(asks, emotion=name)
                _add(line, Cell(share, "rate", self._to(asks)))
        chart = {"kind": "stack", "format": "percent", "x": [self._name(b.key) for b in buckets], "series": lines}
        chart["colours"] = [name for name, _ in _NO_EMOTIONS]
        columns = (
            self._(f"by: {by}"), self._("Calls"), self._("valence"), self._("arousal"),
            *(self._(rate.title) for rate in _RATES),
        )  # fmt: skip
        title = self._("Emotion and rates by %(what)s", what=self._(f"by: {by}"))
        return Panel("groups", title, columns, tuple(rows), chart if rows else None)

    def rules(self) -> Panel:
        """What the gate refused, by rule."""
        found: dict[str, tuple[str, list[str], int, int]] = {}
        for rule, category, decision, times, calls in Dashboards(self._session).rules(self._wanted):
            _, decisions, before, among = found.get(rule, ("", [], 0, 0))
            found[rule] = (category, [*decisions, decision], before + times, among + calls)
        rows, bar = [], _line(self._("Times"))
        ordered = sorted(found.items(), key=lambda item: (-item[1][2], item[0]))[:RULES]
        # A call in which a rule led to two decisions is one call.
        several = calls_of_rules(self._session, self._wanted, [rule for rule, (_, each, _, _) in ordered if each[1:]])
        for rule, (category, decisions, times, calls) in ordered:
            asks = replace(self._wanted, rule=rule)
            calls = several.get(rule, calls)
            cell = Cell(times, href=self._to(asks))
            told = ", ".join(self._(f"decision: {decision}") for decision in decisions)
            words = (
                Cell(rule, "text"),
                Cell(category_name(category or "", self._lang), "text"),
                Cell(told, "text"),
            )
            rows.append((*words, cell, Cell(calls, href=cell.href)))
            _add(bar, cell)
        chart = {"kind": "bar", "format": "number", "x": [str(row[0].value) for row in rows], "series": [bar]}
        columns = tuple(self._(name) for name in ("Rule", "Category", "Decision", "Times", "Calls"))
        return Panel("rules", self._("Refusals by rule"), columns, tuple(rows), chart if rows else None)

    # helpers ---------------------------------------------------------------------------------------------------

    def _day(self, start: datetime) -> str:
        return _date(start, 12, self._zone)

    def _name(self, key: Any) -> str:
        if key is None:
            return self._("none given")
        if self._by == "hour":
            return f"{key:02d}:00"
        if self._by == "lang":
            return {"zh": "中文", "en": "English"}.get(str(key), str(key))
        return self._(key) if self._by == "disposition" else str(key)

    def _to(self, calls: CallFilter | None, rate: _Rate | None = None) -> str | None:
        if calls is None or not self._drill:
            return None
        if rate is None:
            return address(calls, self._zone)
        if rate.narrow is None:
            return None
        if any(getattr(calls, name) not in (None, (), value) for name, value in rate.narrow.items()):
            return None  # the selection asks for something else already: there is no such call
        return address(calls, self._zone, rate.narrow)


_NO_EMOTIONS = tuple((name, 0) for name in SHOWN_EMOTIONS if name != UNKNOWN.key)
"""Of unknown emotions no sums are kept: they are counted with the neutral ones."""


def _line(name: str) -> dict[str, Any]:
    return {"name": name, "data": [], "hrefs": []}


def _add(line: dict[str, Any], cell: Cell) -> None:
    line["data"].append(None if cell.value is None or isinstance(cell.value, str) else round(cell.value, 4))
    line["hrefs"].append(cell.href)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
