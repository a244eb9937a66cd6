"""Reading scripts: YAML in, an approved ``Script`` out, or one line that says why not.

The content hash is sha256 over the canonical JSON (sorted keys, UTF-8, no spaces) of everything in the file but
``approvals``. Who must have approved that very hash, :mod:`scripts.approvals` says.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from scripts.approvals import check_approved, same
from scripts.check import problems
from scripts.errors import MalformedScriptError, ScriptError, UnapprovedScriptError, UnreadableScriptError
from scripts.schema import Approval, Content, Lang, Script

ROOT = Path(__file__).parent
MAX_FILE_BYTES = 1024 * 1024
_ID = re.compile(r"^[a-z0-9_]+$")


# libyaml where the wheel has it: ten times faster, the same safe construction.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _strict(root: yaml.Node) -> None:
    """Refuse what plain YAML lets pass: a key given twice (the last would win), aliases, keys that are no text."""
    seen: set[int] = set()
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if id(node) in seen:
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=node.start_mark)
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=key.start_mark)
                if key.value in keys:
                    raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark)
                keys.add(key.value)
                nodes.append(value)


def _load_yaml(text: str) -> Any:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _strict(root)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def find_scripts() -> list[Path]:
    """The scripts that ship with the program, in order of language and name."""
    return sorted(path for lang in ("en", "zh") for path in (ROOT / lang).glob("*.yaml"))


def resolve_path(ref: str | Path, lang: Lang | None = None) -> Path:
    """A path as given, or the file of a script's id (``lang`` needed where both languages have it)."""
    path = Path(ref)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    if not _ID.match(str(ref)):
        raise UnreadableScriptError(f"script {str(ref)!r}: no such file, and not a script id")
    found = [p for p in find_scripts() if p.stem == str(ref) and (lang is None or p.parent.name == lang)]
    if not found:
        raise UnreadableScriptError(f"script {str(ref)!r}: no such script" + (f" in {lang}" if lang else ""))
    if len(found) > 1:
        raise UnreadableScriptError(f"script {str(ref)!r}: exists in several languages, name one")
    return found[0]


def content_hash(raw: dict[str, Any]) -> str:
    """sha256 (hex) of a script's canonical content, approvals left out."""
    content = {key: value for key, value in raw.items() if key != "approvals"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_raw(path: Path) -> dict[str, Any]:
    """The file as plain data. Raises ``UnreadableScriptError`` with one line."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UnreadableScriptError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UnreadableScriptError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableScriptError(f"{path}: not UTF-8 at byte {error.start}") from error
    try:
        raw = _load_yaml(text)
    except yaml.MarkedYAMLError as error:
        where = f" on line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UnreadableScriptError(f"{path}: not YAML{where}: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UnreadableScriptError(f"{path}: not YAML: {' '.join(str(error).split())[:160]}") from error
    if not isinstance(raw, dict) or not all(isinstance(key, str) for key in raw):
        raise UnreadableScriptError(f"{path}: must be a mapping with named keys")
    return raw


def parse(path: Path) -> Script:
    """Read and check a script, whatever its approvals say. Raises ``MalformedScriptError``."""
    raw = read_raw(path)
    approvals = raw.get("approvals") or []
    try:
        content = Content.model_validate({key: value for key, value in raw.items() if key != "approvals"})
        if not isinstance(approvals, list):
            raise MalformedScriptError(f"{path}: approvals must be a list")
        approved = tuple(Approval.model_validate(item) for item in approvals)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "approvals"
        raise MalformedScriptError(f"{path}: {where}: {first['msg']}") from error
    except RecursionError as error:
        raise MalformedScriptError(f"{path}: nested too deeply") from error
    for approval in approved:
        if approval.at.tzinfo is None or approval.expires.tzinfo is None:
            raise MalformedScriptError(f"{path}: approval by {approval.who}: times need a time zone")
        if approval.expires <= approval.at:
            raise MalformedScriptError(f"{path}: approval by {approval.who}: expires before it was given")
    found = problems(content)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise MalformedScriptError(f"{path}: {found[0]}{more}")
    return Script(content=content, content_hash=content_hash(raw), approvals=approved, path=str(path))


def load_script(ref: str | Path, lang: Lang | None = None, now: datetime | None = None) -> Script:
    """An approved script by path or id. ``now`` defaults to the present.

    Raises ``MalformedScriptError`` (unreadable, broken, wrong language) or ``UnapprovedScriptError``.
    """
    path = resolve_path(ref, lang)
    script = parse(path)
    if lang is not None and script.lang != lang:
        raise MalformedScriptError(f"{path}: is in {script.lang}, not {lang}")
    check_approved(script, now or datetime.now(UTC))
    return script


def add_approval(path: Path, approval: Approval) -> None:
    """Write ``approval`` into the file, keeping the content byte for byte.

    ``approvals`` must be the file's last key. Approvals of other content, and an older one by the same person, go.
    Raises ``ScriptError``.
    """
    script = parse(path)
    if approval.content_hash != script.content_hash:
        raise UnapprovedScriptError(f"{path}: changed while it was being approved")
    text = path.read_text(encoding="utf-8")
    head, _, tail = text.partition("\napprovals:")
    if tail and re.search(r"^[^\s#-]", tail.partition("\n")[2], re.MULTILINE):
        raise MalformedScriptError(f"{path}: approvals must be the last key of the file")
    kept = [a for a in script.approvals if a.content_hash == script.content_hash and not same(a.who, approval.who)]
    dumped = yaml.safe_dump(
        {"approvals": [item.model_dump(mode="json") for item in (*kept, approval)]}, sort_keys=False, allow_unicode=True
    )
    replacement = path.with_suffix(".yaml.new")
    replacement.write_text(head.rstrip("\n") + "\n\n" + dumped, encoding="utf-8")
    replacement.replace(path)


__all__ = [
    "MalformedScriptError",
    "ScriptError",
    "UnapprovedScriptError",
    "UnreadableScriptError",
    "add_approval",
    "check_approved",
    "content_hash",
    "find_scripts",
    "load_script",
    "parse",
    "read_raw",
    "resolve_path",
]
