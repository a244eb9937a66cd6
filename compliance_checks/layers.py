"""Layers of packs: which value is stricter, which one looser than what it stands on, what cannot be kept together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from compliance_checks.contact.schema import Limit, Pause
from compliance_checks.pack import Pack, Record

FLOOR = "callgate-floor"
_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Conflict:
    """Packs that differ about ``key``: each one's value, and the pack whose value holds (``""``: nobody's can)."""

    key: str
    values: tuple[tuple[str, str], ...]
    holds: str

    def __str__(self) -> str:
        said = "; ".join(f"{pack} says {value}" for pack, value in self.values)
        return f"{self.key}: {said}: " + (f"{self.holds} holds" if self.holds else "they cannot be kept together")


def looser(pack: Pack, above: Iterable[Pack]) -> Iterator[tuple[str, str]]:
    """Places in ``pack`` whose value is looser than that of the packs it stands on: ``(key, what is wrong)``."""
    parents = tuple(above)
    bound = tuple(p for p in parents if p.contact.hours is not None and p.id != FLOOR) or parents
    own = pack.contact.hours
    for parent in bound:
        hours = parent.contact.hours
        if own is not None and hours is not None:
            minute = next((m for m in range(_DAY) if own.holds(m) and not hours.holds(m)), None)
            if minute is not None:
                at = f"{minute // 60:02}:{minute % 60:02}"
                yield "contact.hours", f"{at} is looser than {parent.id} ({hours})"
    for parent in parents:
        for number, limit in enumerate(pack.contact.limits):
            for theirs in parent.contact.limits:
                if _looser_limit(limit, theirs):
                    said = f"{limit.max} {limit.period} is looser than {parent.id} ({theirs.max} {theirs.period})"
                    yield f"contact.limits.{number}.max", said
        for number, pause in enumerate(pack.contact.pauses):
            for other in parent.contact.pauses:
                if pause.key == other.key and pause.span < other.span:
                    yield f"contact.pauses.{number}", f"{pause.span} is looser than {parent.id} ({other.span})"
        mine, third = pack.contact.third_parties, parent.contact.third_parties
        if mine and third:
            if _above(mine.max, third.max):
                yield "contact.third_parties.max", f"{mine.max} is looser than {parent.id} ({third.max})"
            for key in ("only_if_unreachable", "refusal_ends"):
                if getattr(third, key) and not getattr(mine, key) and key in mine.model_fields_set:
                    yield f"contact.third_parties.{key}", f"false is looser than {parent.id} (true)"
        yield from _looser_records(pack, parent)


def _looser_records(pack: Pack, parent: Pack) -> Iterator[tuple[str, str]]:
    for name, record in pack.records.items():
        theirs = parent.records.get(name)
        if theirs is None:
            continue
        if theirs.required and record.required is False:
            yield f"records.{name}.required", f"false is looser than {parent.id} (true)"
        if _above(theirs.keep_days_min, record.keep_days_min):
            said = f"{record.keep_days_min} is looser than {parent.id} ({theirs.keep_days_min})"
            yield f"records.{name}.keep_days_min", said
        if _above(record.keep_days_max, theirs.keep_days_max):
            said = f"{record.keep_days_max} is looser than {parent.id} ({theirs.keep_days_max})"
            yield f"records.{name}.keep_days_max", said


def _looser_limit(limit: Limit, parent: Limit) -> bool:
    """True if ``limit`` lets through, in no longer a time, more of what ``parent`` counts."""
    same = limit.count == parent.count and parent.per in (limit.per, "person") and parent.risk in (limit.risk, None)
    return same and limit.length <= parent.length and limit.max > parent.max


def _above(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and one > other


def conflicts(packs: Iterable[Pack]) -> Iterator[Conflict]:
    """Where packs of one policy differ about one thing, and whose value holds."""
    packs = tuple(packs)
    named = [(p, p.contact.hours) for p in packs if p.contact.hours is not None and p.id != FLOOR]
    if len({tuple(map(hours.holds, range(_DAY))) for _, hours in named}) > 1:
        together = [all(hours.holds(minute) for _, hours in named) for minute in range(_DAY)]
        narrow = [p.id for p, hours in named if [hours.holds(m) for m in range(_DAY)] == together]
        holds = narrow[0] if narrow else " and ".join(p.id for p, _ in named) if any(together) else ""
        yield Conflict("contact.hours", tuple((p.id, str(hours)) for p, hours in named), holds)
    limits: defaultdict[str, list[tuple[Pack, Limit]]] = defaultdict(list)
    pauses: defaultdict[str, list[tuple[Pack, Pause]]] = defaultdict(list)
    for pack in packs:
        for limit in pack.contact.limits:
            limits[limit.key].append((pack, limit))
        for pause in pack.contact.pauses:
            pauses[pause.key].append((pack, pause))
    for key, rows in limits.items():
        if len({limit.max for _, limit in rows}) > 1:
            holds = min(rows, key=lambda row: row[1].max)[0].id
            yield Conflict(f"contact.limits: {key}", tuple((p.id, f"at most {x.max}") for p, x in rows), holds)
    for key, found in pauses.items():
        if len({pause.span for _, pause in found}) > 1:
            holds = max(found, key=lambda row: row[1].span)[0].id
            yield Conflict(f"contact.pauses: {key}", tuple((p.id, str(x.span)) for p, x in found), holds)
    yield from _record_conflicts(packs)


def _record_conflicts(packs: tuple[Pack, ...]) -> Iterator[Conflict]:
    """Floors of different height: the higher holds. A floor above somebody's ceiling: a person must decide."""
    rows: defaultdict[str, dict[str, Record]] = defaultdict(dict)
    for pack in packs:
        for kind, record in pack.records.items():
            rows[kind][pack.id] = record
    for name, records in rows.items():
        floors = {p: r.keep_days_min for p, r in records.items() if r.keep_days_min is not None}
        ceilings = {p: r.keep_days_max for p, r in records.items() if r.keep_days_max is not None}
        if floors and ceilings and max(floors.values()) > min(ceilings.values()):
            values = [(p, f"at least {n} days") for p, n in floors.items()]
            values += [(p, f"at most {n} days") for p, n in ceilings.items()]
            yield Conflict(f"records.{name}", tuple(values), "")
            continue
        for key, kept, strictest in (("keep_days_min", floors, max), ("keep_days_max", ceilings, min)):
            if len(set(kept.values())) > 1:
                holds = strictest(kept, key=kept.__getitem__)
                yield Conflict(f"records.{name}.{key}", tuple((p, f"{n} days") for p, n in kept.items()), holds)
