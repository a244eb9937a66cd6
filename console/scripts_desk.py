"""Dialogue scripts as the compliance page shows them: files, approvals by two people, differences line by line."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from scripts.approvals import APPROVERS_NEEDED, current, same
from scripts.cli import approve_script, describe, diff_scripts
from scripts.errors import ScriptError, UnapprovedScriptError
from scripts.loader import MAX_FILE_BYTES, ROOT, find_scripts, parse
from scripts.schema import Approval, Script

CONTEXT_LINES = 3
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One row of two columns; a side that has nothing is ``None``. ``spans`` mark what differs within changed lines.

    ``skipped`` rows stand for that many equal lines that are not shown.
    """

    old_no: int | None
    old: str | None
    new_no: int | None
    new: str | None
    old_spans: tuple[Span, ...] = ()
    new_spans: tuple[Span, ...] = ()
    skipped: int = 0

    @property
    def changed(self) -> bool:
        return not self.skipped and self.old != self.new


class Scripts:
    """The operator's folder of scripts (``None``: those that ship) and the versions that were approved here.

    Files are named by their path below the folder, approved versions ``approved/HASH.yaml``; no other name is opened.
    """

    def __init__(self, folder: Path | None, approved: Path) -> None:
        self._folder = folder
        self._approved = approved

    def files(self) -> dict[str, Path]:
        root = self._folder or ROOT
        paths = find_scripts() if self._folder is None else sorted(root.rglob("*.yaml"))
        return {path.relative_to(root).as_posix(): path for path in paths}

    def versions(self) -> dict[str, Path]:
        """``files`` and every version that was approved from the page."""
        kept = sorted(self._approved.glob("*.yaml"), key=lambda path: path.stat().st_mtime, reverse=True)
        return self.files() | {f"approved/{path.name}": path for path in kept}

    def rows(self, now: datetime) -> list[dict[str, Any]]:
        return [self.row(name, path, now) for name, path in self.files().items()]

    def row(self, name: str, path: Path, now: datetime) -> dict[str, Any]:
        """``scripts.cli.describe``, with the file's name for its path, and whether an approval can be written."""
        row = describe(path, now)
        problem = row["problem"]
        approvals = [
            {**each, "at": datetime.fromisoformat(each["at"]), "expires": datetime.fromisoformat(each["expires"])}
            for each in row.get("approvals", ())
        ]
        counting = [each for each in approvals if each["current"]]
        people = len({each["who"].casefold() for each in counting})
        one_role = counting and all(same(each["role"], counting[0]["role"]) for each in counting)
        return row | {
            "name": name,
            "readable": "id" in row,
            "problem": None if problem is None else problem.replace(f"{path}: ", "").replace(str(path), name),
            "approvals": approvals,
            "missing": max(0, APPROVERS_NEEDED - people),
            "one_role": counting[0]["role"] if one_role else None,
            "shipped": self._folder is None,
            "writable": os.access(path, os.W_OK) and os.access(path.parent, os.W_OK),
            "soon": any(each["current"] and each["expires"] < now + timedelta(days=30) for each in approvals),
        }

    def read(self, name: str) -> Script:
        """Raises ``KeyError`` for a name that is none, ``ScriptError`` for a file that cannot be used."""
        return parse(self.versions()[name])

    def text(self, name: str) -> str:
        return self.versions()[name].read_text(encoding="utf-8", errors="replace")

    def approve(self, name: str, read_hash: str, who: str, role: str, now: datetime, days: int) -> Approval:
        """Approve what was read: ``read_hash`` is the content's hash on the page that was approved from.

        Whoever has approved this content already has nothing to add; who may, :mod:`scripts.approvals` says.
        Raises ``KeyError``, ``ScriptError`` or ``OSError`` (the file cannot be written).
        """
        path = self.files()[name]
        if self._folder is None:
            # The next update of the program would take the approval away with the file.
            raise UnapprovedScriptError("this script ships with the program: approve a copy of your own")
        script = parse(path)
        if script.content_hash != read_hash:
            raise UnapprovedScriptError("the script was changed after you read it")
        if any(same(each.who, who) for each in current(script, now)):
            raise UnapprovedScriptError("you have approved this already: it needs a second person")
        if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise PermissionError(13, "the folder of scripts cannot be written", str(path))
        approval = approve_script(path, who, role, now.replace(microsecond=0), now + timedelta(days=days))
        self._approved.mkdir(parents=True, exist_ok=True)
        (self._approved / f"{script.content_hash}.yaml").write_bytes(path.read_bytes())
        return approval

    def withdraw(self, name: str, read_hash: str, now: datetime) -> int:
        """Let every current approval of what was read end now, and return how many did; no call begins with the script
        from then on. One person is enough: saying no is always safe. Raises as ``approve`` does.
        """
        path = self.files()[name]
        script = parse(path)
        if script.content_hash != read_hash:
            raise UnapprovedScriptError("the script was changed after you read it")
        ended = 0
        approvals = []
        for each in script.approvals:
            if each.content_hash == script.content_hash and now < each.expires:
                each, ended = each.model_copy(update={"expires": max(now, each.at + timedelta(seconds=1))}), ended + 1
            approvals.append(each.model_dump(mode="json"))
        if not ended:
            raise UnapprovedScriptError("nobody has approved this")
        head = path.read_text(encoding="utf-8").partition("\napprovals:")[0].rstrip("\n")
        changed = path.with_suffix(".yaml.new")
        dumped = yaml.safe_dump({"approvals": approvals}, sort_keys=False, allow_unicode=True)
        changed.write_text(f"{head}\n\n{dumped}", encoding="utf-8")
        if parse(changed).content_hash != script.content_hash:  # something stood after the approvals
            changed.unlink()
            raise UnapprovedScriptError("approvals must be the last key of the file")
        changed.replace(path)
        return ended


def parse_text(data: bytes) -> Script:
    """A script from an uploaded file. Raises ``ScriptError`` in one line, without a path."""
    if len(data) > MAX_FILE_BYTES:
        raise UnapprovedScriptError("the file is too large")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "uploaded.yaml"
        path.write_bytes(data)
        try:
            return parse(path)
        except ScriptError as e:
            raise type(e)(str(e).replace(str(path), "uploaded file")) from e


def changes(before: Script, after: Script) -> list[Mapping[str, Any]]:
    """What differs in content, place by place, with the spans that differ within each text."""
    found: list[Mapping[str, Any]] = []
    for each in diff_scripts(before, after):
        old, new = _text(each["before"]), _text(each["after"])
        old_spans, new_spans = spans(old or "", new or "")
        found.append(
            {"where": each["where"], "old": old, "new": new, "old_spans": old_spans, "new_spans": new_spans}
        )  # fmt: skip
    return found


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def lines(before: str, after: str) -> list[DiffLine]:
    """Two texts side by side, line by line, with ``CONTEXT_LINES`` equal lines around every change."""
    old, new = before.splitlines(), after.splitlines()
    rows: list[DiffLine] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            rows += _equal(old, i1, i2, j1, first=i1 == 0 and j1 == 0, last=i2 == len(old) and j2 == len(new))
            continue
        for k in range(max(i2 - i1, j2 - j1)):
            left = old[i1 + k] if i1 + k < i2 else None
            right = new[j1 + k] if j1 + k < j2 else None
            marks = spans(left, right) if left is not None and right is not None else ((), ())
            rows.append(
                DiffLine(
                    None if left is None else i1 + k + 1, left, None if right is None else j1 + k + 1, right, *marks
                )
            )  # fmt: skip
    return rows


def _equal(old: list[str], i1: int, i2: int, j1: int, *, first: bool, last: bool) -> Iterator[DiffLine]:
    head = 0 if first else CONTEXT_LINES
    tail = 0 if last else CONTEXT_LINES
    hidden = i2 - i1 - head - tail
    for k in range(i2 - i1):
        if hidden > 1 and head <= k < head + hidden:
            if k == head:
                yield DiffLine(None, None, None, None, skipped=hidden)
            continue
        yield DiffLine(i1 + k + 1, old[i1 + k], j1 + k + 1, old[i1 + k])


def spans(old: str, new: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Offsets of what is only in ``old`` and only in ``new``; none where the two have little in common."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    if len(old) * len(new) > 4_000_000 or matcher.ratio() < 0.3:
        return (), ()
    codes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    gone = tuple((i1, i2) for _, i1, i2, _, _ in codes if i2 > i1)
    return gone, tuple((j1, j2) for _, _, _, j1, j2 in codes if j2 > j1)


def now_utc() -> datetime:
    return datetime.now(UTC)
