"""``callgate scripts list|check|approve|diff|copy``: dialogue scripts and who approved them.

Exit status 0: done; 1: found something (a script that may not be used, a difference); 2: unusable input.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts.approvals import check_approved, check_approver, current
from scripts.errors import ScriptError, UnapprovedScriptError, UnreadableScriptError
from scripts.loader import ROOT, add_approval, find_scripts, parse, resolve_path
from scripts.schema import Approval, Lang, Script

app = typer.Typer(help="Dialogue scripts and their approvals.", no_args_is_help=True, add_completion=False)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
LangOption = Annotated[str | None, typer.Option("--lang", help="zh or en, where an id exists in both.")]
MAX_DAYS = 2 * 366


def describe(path: Path, now: datetime) -> dict[str, Any]:
    """One script as a row: what it is, whether it may be used at ``now``, and if not, why."""
    row: dict[str, Any] = {"path": str(path), "usable": False, "problem": None}
    try:
        script = parse(path)
        counting = current(script, now)
        row |= {
            "id": script.id,
            "lang": script.lang,
            "version": script.version,
            "policy": script.policy,
            "title": script.content.title,
            "hash": script.content_hash,
            "approvals": [
                {
                    "who": item.who,
                    "role": item.role,
                    "at": item.at.isoformat(),
                    "expires": item.expires.isoformat(),
                    "current": item in counting,
                }
                for item in script.approvals
            ],
        }
        check_approved(script, now)
        row["usable"] = True
    except ScriptError as error:
        row["problem"] = str(error)
    return row


def list_scripts(now: datetime) -> list[dict[str, Any]]:
    """A row for every script that ships with the program."""
    return [describe(path, now) for path in find_scripts()]


def approve_script(path: Path, who: str, role: str, now: datetime, expires: datetime) -> Approval:
    """Approve the file's present content. Raises ``ScriptError`` (an approval that cannot help, by the rule of
    :mod:`scripts.approvals`, among it); the file is untouched then."""
    script = parse(path)
    if not now < expires <= now + timedelta(days=MAX_DAYS):
        raise UnapprovedScriptError(f"{path}: an approval must expire within two years")
    if len(who.strip()) < 3 or len(role.strip()) < 2:
        raise UnapprovedScriptError(f"{path}: name the person and the role that approve")
    check_approver(script, who, role, now)
    approval = Approval(who=who.strip(), role=role.strip(), at=now, expires=expires, content_hash=script.content_hash)
    add_approval(path, approval)
    return approval


def copy_scripts(folder: Path) -> list[Path]:
    """The scripts that ship, in ``folder`` by language. Raises ``ScriptError`` where one would be overwritten, before
    anything is written, and ``OSError``."""
    wanted = {path: folder / path.relative_to(ROOT) for path in find_scripts()}
    for target in wanted.values():
        if target.exists():
            raise UnreadableScriptError(f"{target}: is there already")
    for path, target in wanted.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return list(wanted.values())


def diff_scripts(before: Script, after: Script) -> list[dict[str, Any]]:
    """What differs in content, place by place: ``{"where", "before", "after"}``; ``None`` where a side has nothing."""
    old, new = (dict(_flatten("", item.content.model_dump(mode="json"))) for item in (before, after))
    places = sorted(old.keys() | new.keys())
    return [
        {"where": place, "before": old.get(place), "after": new.get(place)}
        for place in places
        if old.get(place) != new.get(place)
    ]


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else str(key), item)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _flatten(f"{prefix}[{index}]", item)
    elif value not in (None, [], {}):
        yield prefix, sorted(value) if isinstance(value, list) and prefix.endswith(".purposes") else value


def _lang(value: str | None) -> Lang | None:
    if value is None:
        return None
    if value == "zh":
        return "zh"
    if value == "en":
        return "en"
    raise UnreadableScriptError(f"--lang must be zh or en, not {value!r}")


def _fail(error: Exception, status: int = 2) -> typer.Exit:
    typer.echo(f"callgate scripts: {error}", err=True)
    return typer.Exit(status)


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the scripts that ship with the program and whether they may be used."""
    rows = list_scripts(datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        state = "usable" if row["usable"] else f"NOT usable: {row['problem']}"
        name = f"{row['lang']}/{row['id']} v{row['version']}  {row['title']}" if "id" in row else row["path"]
        typer.echo(f"{name}  [{state}]")


@app.command("copy")
def copy_command(
    folder: Annotated[Path, typer.Argument(help="Made if it is not there; what is in it is not overwritten.")],
) -> None:
    """Copy the scripts that ship, approvals and all, to a folder of your own to change: set CALLGATE_SCRIPTS to it."""
    try:
        for path in copy_scripts(folder):
            typer.echo(str(path))
    except OSError as error:
        raise _fail(UnreadableScriptError(f"{error.filename or folder}: {error.strerror or error}")) from error
    except ScriptError as error:
        raise _fail(error) from error


@app.command("check")
def check_command(
    refs: Annotated[list[str] | None, typer.Argument(help="Files or ids; all scripts if none is given.")] = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check scripts: schema, references, disclosure, floors, approvals."""
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    try:
        for ref in refs or [str(path) for path in find_scripts()]:
            path = resolve_path(ref, _lang(lang))
            if not path.is_file():
                raise UnreadableScriptError(f"{path}: no such file")
            rows.append(describe(path, now))
    except ScriptError as error:
        raise _fail(error) from error
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        for row in rows:
            typer.echo(f"ok: {row['path']}" if row["usable"] else str(row["problem"]))
    if not all(row["usable"] for row in rows):
        raise typer.Exit(1)


@app.command("approve")
def approve_command(
    ref: Annotated[str, typer.Argument(help="File or id.")],
    who: Annotated[str, typer.Option("--who", help="The person who approves.")],
    role: Annotated[str, typer.Option("--role", help="In which role, such as compliance.")],
    lang: LangOption = None,
    expires: Annotated[str | None, typer.Option("--expires", help="ISO date; one year ahead by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Approve a script's present content; a script needs two people of two roles."""
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        path = resolve_path(ref, _lang(lang))
        until = now + timedelta(days=365)
        if expires is not None:
            try:
                until = datetime.fromisoformat(expires)
            except ValueError as error:
                raise UnreadableScriptError("--expires must be an ISO date such as 2027-11-21") from error
            until = until if until.tzinfo else until.replace(tzinfo=UTC)
        approval = approve_script(path, who, role, now, until)
        row = describe(path, now)
    except ScriptError as error:
        raise _fail(error) from error
    except OSError as error:
        raise _fail(UnreadableScriptError(f"{ref}: {error.strerror}")) from error
    if as_json:
        typer.echo(
            json.dumps({"approval": approval.model_dump(mode="json"), "script": row}, ensure_ascii=False, indent=2)
        )
    else:
        state = "usable" if row["usable"] else "waits for a person of another role"
        typer.echo(f"approved by {approval.who} until {approval.expires.date()}; {path} {state}")


@app.command("diff")
def diff_command(
    before: Annotated[str, typer.Argument(help="File or id.")],
    after: Annotated[str, typer.Argument(help="File or id.")],
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what differs between two scripts, place by place (exit status 1 if anything does)."""
    try:
        changes = diff_scripts(parse(resolve_path(before, _lang(lang))), parse(resolve_path(after, _lang(lang))))
    except ScriptError as error:
        raise _fail(error) from error
    if as_json:
        typer.echo(json.dumps(changes, ensure_ascii=False, indent=2))
    else:
        for change in changes:
            typer.echo(f"{change['where']}\n  - {change['before']}\n  + {change['after']}")
    if changes:
        raise typer.Exit(1)
