"""Which names fell in a call's lines: found again by laying the script's line over what was proposed.

The archive keeps the words of a line, not what its slots held. To hide a borrower's name from who need not know it,
the name is read back: the approved template is a pattern, and its slots match what was filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from archive.models import Call, VerdictRow
from scripts.errors import ScriptError
from scripts.loader import find_scripts, parse

PERSONAL = frozenset({"borrower_name"})
"""Slots that hold who somebody is."""
_SLOT = re.compile(r"\{(\w+)\}")
_TITLES = re.compile(r"(先生|女士|小姐)$")


def names_in(verdicts: Iterable[VerdictRow], call: Call, scripts: Path | None = None) -> tuple[str, ...]:
    """The names, longest first; empty where the call's script is not at hand (an analysed recording has none).

    ``scripts`` is the operator's folder; those that ship are looked at too."""
    if call.script_id is None:
        return ()
    files = _files(scripts)
    patterns = _patterns(call.script_id, call.lang, tuple((file, file.stat().st_mtime_ns) for file in files))
    found: set[str] = set()
    for verdict in verdicts:
        for pattern in patterns.get(verdict.line_id or "", ()):
            match = pattern.fullmatch(verdict.proposed)
            if match is not None:
                found.update(text for name, text in match.groupdict().items() if text and name.startswith("personal"))
                break
    return _with_parts(found)


def names_in_line(text: str, lang: str, scripts: Path | None = None) -> tuple[str, ...]:
    """The names in one line of the agent's, whichever script it is of: for a call whose rows are not written yet."""
    files = _files(scripts)
    found: set[str] = set()
    for pattern in _lines(lang, tuple((file, file.stat().st_mtime_ns) for file in files)):
        match = pattern.fullmatch(text)
        if match is not None:
            found.update(value for value in match.groupdict().values() if value)
    return _with_parts(found)


def _files(scripts: Path | None) -> tuple[Path, ...]:
    return tuple(sorted(scripts.glob("**/*.yaml")) if scripts is not None else ()) + tuple(find_scripts())


def _with_parts(names: set[str]) -> tuple[str, ...]:
    whole = names.union(*(_parts(name) for name in names))
    return tuple(sorted(whole, key=lambda name: (-len(name), name)))


def _parts(name: str) -> set[str]:
    """The words of a name, each a name by itself; a Chinese given name without its surname."""
    bare = _TITLES.sub("", name)
    if bare.isascii():
        return {part for part in bare.split() if len(part) > 2}
    return {bare, bare[1:]} if len(bare) > 2 else {bare}


@lru_cache(maxsize=64)
def _patterns(
    script_id: str, lang: str, files: tuple[tuple[Path, int], ...]
) -> Mapping[str, tuple[re.Pattern[str], ...]]:
    """Every version of the script that is at hand: a call of last month was made with the words of last month. The
    files come with their times, so that a changed one is read anew."""
    found: dict[str, tuple[re.Pattern[str], ...]] = {}
    for file, _ in files:
        try:
            script = parse(file)
        except ScriptError:
            continue
        if (script.id, script.lang) == (script_id, lang):
            for key, line in script.content.lines.items():
                found[key] = found.get(key, ()) + tuple(map(_pattern, (line.text, *line.alternates.values())))
    return found


@lru_cache(maxsize=8)
def _lines(lang: str, files: tuple[tuple[Path, int], ...]) -> tuple[re.Pattern[str], ...]:
    """The lines of every script in ``lang`` that say a name."""
    found: dict[str, re.Pattern[str]] = {}
    for file, _ in files:
        try:
            script = parse(file)
        except ScriptError:
            continue
        if script.lang == lang:
            for line in script.content.lines.values():
                for text in (line.text, *line.alternates.values()):
                    if PERSONAL & set(_SLOT.findall(text)):
                        found[text] = _pattern(text)
    return tuple(found.values())


def _pattern(template: str) -> re.Pattern[str]:
    parts = _SLOT.split(template)
    out = []
    for index, part in enumerate(parts):
        if index % 2 == 0:
            out.append(re.escape(part))
        elif part in PERSONAL:
            out.append(f"(?P<personal_{index}>.+?)")
        else:
            out.append("(?:.*?)")
    return re.compile("".join(out), re.DOTALL)
