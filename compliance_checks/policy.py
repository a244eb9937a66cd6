"""Policies: packs stacked from what binds everybody to what binds one lender, the stricter value always holding.

A policy's name is a jurisdiction (``cn``, ``us``, ``uk``, ``in``: all its packs that are not opt-in), a pack's id, or
several of these joined by ``+``. A lender's pack brings along the policy it extends. The product's own floor is always
beneath, so no policy is empty. Every rule of every pack is judged, so the stricter one holds by itself; where packs
differ about one thing, or cannot be kept together, the policy says so in ``conflicts``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from agent.events import Lang
from compliance_checks.contact.schema import Hours
from compliance_checks.fields import Review
from compliance_checks.layers import FLOOR, Conflict, conflicts, looser
from compliance_checks.pack import LEVELS, Clause, Pack, PolicyError, SafeLoader, read_pack

PACKS = Path(__file__).parent / "packs"
DEFAULT_POLICY: Mapping[str, str] = {"zh": "cn", "en": "us"}


@dataclass(frozen=True, slots=True)
class Citation:
    """Where something is forbidden: the citations of all packs that forbid it."""

    cite: str
    review: Review


@dataclass(frozen=True, slots=True)
class Policy:
    """The packs that hold for one call, floor first, and the hash of all they say."""

    name: str
    packs: tuple[Pack, ...]
    hash: str
    conflicts: tuple[Conflict, ...] = ()

    def clause(self, category: str) -> Citation:
        """The citation for ``category``: the packs' own where one has it, else the floor's."""
        found = [(p, p.clauses[category]) for p in self.packs if category in p.clauses]
        own = [clause for pack, clause in found if pack.id != FLOOR]
        return cited(own or [clause for _, clause in found])

    @property
    def disclosures(self) -> tuple[str, ...]:
        """Purposes that must have been spoken before the call's business, in order, without repeats."""
        return tuple(dict.fromkeys(purpose for pack in self.packs for purpose in pack.disclosures))

    @property
    def borrower_disclosures(self) -> tuple[str, ...]:
        """Purposes that must have been spoken, beside those, before business with the verified borrower."""
        return tuple(dict.fromkeys(purpose for pack in self.packs for purpose in pack.borrower_disclosures))

    @property
    def approved_lines_only(self) -> bool:
        """True if a pack lets nothing be spoken but lines of an approved script."""
        return any(pack.approved_lines_only for pack in self.packs)

    @property
    def script_language_only(self) -> bool:
        """True if a pack lets nothing be spoken in a language that the call's script does not have."""
        return any(pack.script_language_only for pack in self.packs)

    @property
    def hours(self) -> tuple[tuple[Pack, Hours], ...]:
        """The windows that must all allow a call; the floor's among them where a jurisdiction names none."""
        windows = tuple((pack, pack.contact.hours) for pack in self.packs if pack.contact.hours is not None)
        named = tuple((pack, hours) for pack, hours in windows if pack.id != FLOOR)
        return named if named and not self.silent(pack for pack, _ in named) else windows

    def silent(self, saying: Iterable[Pack]) -> frozenset[str]:
        """The jurisdictions of this policy of which no pack is among ``saying``. A lender or an overlay is none."""
        own = frozenset(p.jurisdiction for p in self.packs if p.level not in ("floor", "overlay", "lender"))
        return own - {pack.jurisdiction for pack in saying}


def cited(clauses: Iterable[Clause | Citation]) -> Citation:
    """Several citations as one, ``needs_review`` if any is."""
    chosen = list(clauses)
    if not chosen:
        return Citation("Callgate floor: what the gate cannot judge, it refuses", "confirmed")
    confirmed = all(clause.review == "confirmed" for clause in chosen)
    return Citation("; ".join(clause.cite for clause in chosen), "confirmed" if confirmed else "needs_review")


def content_hash(paths: Iterable[Path]) -> str:
    """SHA-256 over the parsed content of YAML files in a canonical form: comments and layout do not count."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda p: p.name):
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=SafeLoader)  # noqa: S506 - a safe loader
        canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str, separators=(",", ":"))
        digest.update(path.name.encode() + b"\0" + canonical.encode() + b"\0")
    return digest.hexdigest()


class Policies:
    """The packs that ship and those of the operator's folder.

    ``packs_dir`` replaces the packs that ship, ``overlays_dir`` adds to them. Raises :class:`PolicyError`: one line
    that names the file and the key.
    """

    def __init__(
        self, packs_dir: Path | None = None, rules_hash: str = "", *, overlays_dir: Path | None = None
    ) -> None:
        self.packs: dict[str, Pack] = {}
        self.files: dict[str, Path] = {}
        self._rules_hash = rules_hash
        self._resolved: dict[str, Policy] = {}
        shipped = packs_dir or PACKS
        for path in sorted(shipped.glob("*.yaml")):
            self._add(path)
        if FLOOR not in self.packs:
            raise PolicyError(f"{shipped}: the pack {FLOOR} is missing")
        if overlays_dir is not None:
            if not overlays_dir.is_dir():
                raise PolicyError(f"{overlays_dir}: is no folder of packs")
            self._add_all(sorted([*overlays_dir.glob("*.yaml"), *overlays_dir.glob("*.yml")]))

    def add(self, path: Path) -> Pack:
        """One more pack of the operator's, checked against the policy it extends."""
        return self._add_all([path])[0]

    def _add_all(self, paths: Iterable[Path]) -> list[Pack]:
        added = [self._add(path) for path in paths]
        for pack in added:
            if pack.level == "floor":
                raise PolicyError(f"{self.files[pack.id].name}: level: the floor is Callgate's own")
            if pack.extends is not None:
                self._check_layer(pack, pack.extends)
        self._resolved.clear()
        return added

    def _add(self, path: Path) -> Pack:
        pack = read_pack(path)
        if pack.id in self.packs:
            raise PolicyError(f"{path.name}: id: {pack.id!r} is taken by {self.files[pack.id].name}")
        if any(pack.id == other.jurisdiction for other in self.packs.values()):
            raise PolicyError(f"{path.name}: id: {pack.id!r} is the name of a jurisdiction")
        self.packs[pack.id] = pack
        self.files[pack.id] = path
        return pack

    def _check_layer(self, pack: Pack, parent: str) -> None:
        where = self.files[pack.id].name
        try:
            above = tuple(p for p in self._members(parent, (pack.id,)).values() if p.id != pack.id)
        except PolicyError as error:
            raise PolicyError(f"{where}: extends: {error}") from error
        for key, problem in looser(pack, above):
            raise PolicyError(f"{where}: {key}: {problem}")

    def resolve(self, name: str | None, lang: Lang) -> Policy:
        """The policy called ``name``. ``None`` means the language's default.

        Raises :class:`PolicyError` if any part is unknown.
        """
        wanted = name if name is not None else DEFAULT_POLICY[lang]
        if wanted not in self._resolved:
            self._resolved[wanted] = self._build(wanted)
        return self._resolved[wanted]

    def _members(self, wanted: str, within: tuple[str, ...] = ()) -> dict[str, Pack]:
        chosen: dict[str, Pack] = {FLOOR: self.packs[FLOOR]}
        for part in wanted.split("+"):
            pack = self.packs.get(part)
            if pack is not None:
                if pack.extends is not None:
                    if part in within:
                        raise PolicyError(f"{part!r} extends itself")
                    chosen |= self._members(pack.extends, (*within, part))
                chosen[part] = pack
                continue
            members = [p for p in self.packs.values() if p.jurisdiction == part and not p.opt_in and not p.extends]
            if not members or part == self.packs[FLOOR].jurisdiction:
                raise PolicyError(f"unknown policy {part!r}")
            chosen.update((p.id, p) for p in members)
        return chosen

    def _build(self, wanted: str) -> Policy:
        chosen = self._members(wanted)
        packs = tuple(sorted(chosen.values(), key=lambda p: LEVELS.index(p.level)))
        digest = hashlib.sha256(self._rules_hash.encode())
        for pack in sorted(packs, key=lambda p: p.id):
            digest.update(f"\0{pack.id}\0{pack.hash}".encode())
        return Policy(wanted, packs, digest.hexdigest(), tuple(conflicts(packs)))


__all__ = [
    "DEFAULT_POLICY",
    "FLOOR",
    "PACKS",
    "Citation",
    "Clause",
    "Conflict",
    "Pack",
    "Policies",
    "Policy",
    "PolicyError",
    "content_hash",
    "read_pack",
]
