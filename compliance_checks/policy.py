"""Policy packs: who forbids what, where it is written, and when a person may be called.

A pack is one YAML file in ``packs/``. A policy is a stack of packs: a jurisdiction (``cn``, ``us``, ``uk``, ``in``,
``eu``) stands for all its packs that are not opt-in, a pack's id for that pack alone; the product's own floor is
always beneath, so no policy is empty. Where packs give different values the stricter one holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any, Literal

import yaml

from agent.events import Lang

Review = Literal["confirmed", "needs_review"]
PACKS = Path(__file__).parent / "packs"
FLOOR = "callgate-floor"
DEFAULT_POLICY: Mapping[str, str] = {"zh": "cn", "en": "us"}


class PolicyError(ValueError):
    """A pack cannot be read, or a policy is not known."""


@dataclass(frozen=True, slots=True)
class Clause:
    """Where a category of violation is forbidden."""

    cite: str
    review: Review


@dataclass(frozen=True, slots=True)
class Hours:
    """Calls may start at ``start`` and must not start at ``end`` or later, in the borrower's local time."""

    start: time
    end: time
    workdays_only: bool
    review: Review


@dataclass(frozen=True, slots=True)
class Pack:
    id: str
    jurisdiction: str
    title: Mapping[str, str]
    source: str
    source_kind: str
    review: Review
    opt_in: bool
    hours: Hours | None
    limits: Mapping[str, Any]
    records: Mapping[str, Any]
    disclosures: tuple[str, ...]
    clauses: Mapping[str, Clause]


@dataclass(frozen=True, slots=True)
class Policy:
    """The packs that hold for one call, floor first, and the hash of all they say."""

    name: str
    packs: tuple[Pack, ...]
    hash: str

    def clause(self, category: str) -> Clause:
        """The citation for ``category``: the packs' own where one has it, else the floor's."""
        found = [(p, p.clauses[category]) for p in self.packs if category in p.clauses]
        own = [clause for pack, clause in found if pack.id != FLOOR]
        chosen = own or [clause for _, clause in found]
        if not chosen:
            return Clause("Callgate: what the gate cannot judge, it refuses", "confirmed")
        confirmed = all(clause.review == "confirmed" for clause in chosen)
        return Clause("; ".join(clause.cite for clause in chosen), "confirmed" if confirmed else "needs_review")

    @property
    def disclosures(self) -> tuple[str, ...]:
        """Purposes that must have been spoken before the call's business, in order, without repeats."""
        return tuple(dict.fromkeys(purpose for pack in self.packs for purpose in pack.disclosures))


def _review(value: object, where: str) -> Review:
    if value == "confirmed":
        return "confirmed"
    if value in (None, "needs_review"):
        return "needs_review"
    raise PolicyError(f"{where}: review must be confirmed or needs_review, not {value!r}")


def _hours(raw: Any, where: str, review: Review) -> Hours | None:
    if raw is None:
        return None
    try:
        start, end = time.fromisoformat(raw["start"]), time.fromisoformat(raw["end"])
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyError(f'{where}: hours need start and end as "HH:MM"') from error
    if start >= end:
        raise PolicyError(f"{where}: hours start {start} is not before their end {end}")
    return Hours(start, end, bool(raw.get("workdays_only", False)), _review(raw.get("review", review), where))


def read_pack(path: Path) -> Pack:
    """One pack from its file. Raises :class:`PolicyError` naming the file and what is wrong."""
    where = path.name
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise PolicyError(f"{where}: cannot be read: {error}") from error
    if not isinstance(raw, dict):
        raise PolicyError(f"{where}: is not a mapping")
    missing = {"id", "jurisdiction", "title", "source", "source_kind", "review", "clauses"} - raw.keys()
    if missing:
        raise PolicyError(f"{where}: lacks {', '.join(sorted(missing))}")
    review = _review(raw["review"], where)
    clauses = {
        str(category): Clause(str(entry["cite"]), _review(entry.get("review", review), where))
        for category, entry in (raw["clauses"] or {}).items()
    }
    return Pack(
        id=str(raw["id"]),
        jurisdiction=str(raw["jurisdiction"]),
        title=raw["title"],
        source=str(raw["source"]),
        source_kind=str(raw["source_kind"]),
        review=review,
        opt_in=bool(raw.get("opt_in", False)),
        hours=_hours(raw.get("hours"), where, review),
        limits=raw.get("limits") or {},
        records=raw.get("records") or {},
        disclosures=tuple(raw.get("disclosures") or ()),
        clauses=clauses,
    )


def content_hash(paths: Iterable[Path]) -> str:
    """SHA-256 over the parsed content of YAML files in a canonical form: comments and layout do not count."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda p: p.name):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str, separators=(",", ":"))
        digest.update(path.name.encode() + b"\0" + canonical.encode() + b"\0")
    return digest.hexdigest()


class Policies:
    """All packs of a folder."""

    def __init__(self, packs_dir: Path | None = None, rules_hash: str = "") -> None:
        folder = packs_dir or PACKS
        self._files: dict[str, Path] = {}
        self.packs: dict[str, Pack] = {}
        for path in sorted(folder.glob("*.yaml")):
            pack = read_pack(path)
            if pack.id in self.packs:
                raise PolicyError(f"{path.name}: the id {pack.id} is taken")
            self.packs[pack.id] = pack
            self._files[pack.id] = path
        if FLOOR not in self.packs:
            raise PolicyError(f"{folder}: the pack {FLOOR} is missing")
        self._rules_hash = rules_hash
        self._resolved: dict[str, Policy] = {}

    def resolve(self, name: str | None, lang: Lang) -> Policy:
        """The policy called ``name`` (a jurisdiction, a pack's id, or several joined by ``+``).

        ``None`` means the language's default. Raises :class:`PolicyError` if any part is unknown.
        """
        wanted = name if name is not None else DEFAULT_POLICY[lang]
        if wanted not in self._resolved:
            self._resolved[wanted] = self._build(wanted)
        return self._resolved[wanted]

    def _build(self, wanted: str) -> Policy:
        chosen = {FLOOR: self.packs[FLOOR]}
        for part in wanted.split("+"):
            if part in self.packs:
                chosen[part] = self.packs[part]
                continue
            members = [p for p in self.packs.values() if p.jurisdiction == part and not p.opt_in]
            if not members or part == self.packs[FLOOR].jurisdiction:
                raise PolicyError(f"unknown policy {part!r}")
            chosen.update((pack.id, pack) for pack in members)
        packs = content_hash(self._files[pack_id] for pack_id in chosen)
        digest = hashlib.sha256(f"{packs}:{self._rules_hash}".encode()).hexdigest()
        return Policy(wanted, tuple(chosen.values()), digest)
