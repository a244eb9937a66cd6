"""``callgate archive``: the audit chain, exports, retention, keys.

Exit status: 0 done, 1 something was found (a broken chain, something that was kept back), 2 unusable input. Data goes
to standard output, words about it to standard error.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast, get_args

import typer

if TYPE_CHECKING:
    from archive.database import Database
    from archive.store import Store
    from archive.subjects import Who

app = typer.Typer(help="Audit chain, exports, retention, keys.", no_args_is_help=True)
hold_app = typer.Typer(help="Legal holds: what is held is neither purged nor erased.", no_args_is_help=True)
app.add_typer(hold_app, name="hold")

Home = Annotated[
    Path | None, typer.Option(help="Folder of the archive (default CALLGATE_HOME or ~/.local/share/callgate).")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Actor = Annotated[
    str | None, typer.Option("--as", help="Who does this, for the audit chain (default: the user's name).")
]
Person = Annotated[str | None, typer.Option(help="The person, by the pseudonym that the campaigns use.")]
Case = Annotated[str | None, typer.Option(help="The case, by its id.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]


@app.command()
def verify(
    home: Home = None,
    json_: Json = False,
    expect: Annotated[
        list[str] | None,
        typer.Option(help="A link SEQ:HASH noted earlier, which the chain must still hold; may be repeated."),
    ] = None,
    anchors: Annotated[
        Path | None, typer.Option(help="A file of such links, as `callgate archive anchor` writes it.")
    ] = None,
    recordings: Annotated[bool, typer.Option(help="Read every recording too.")] = True,
) -> None:
    """Check the chain, every sealed call and every recording. Exit 1 names the first broken link, and what else is."""
    from archive.anchors import noted
    from archive.audit import Link
    from archive.verify import verify as check

    try:
        links = [Link.parse(each) for each in expect or ()]
    except ValueError as e:
        _refuse(str(e))
    with _archive(home) as (database, store):
        links += noted(anchors) if anchors is not None else ()
        report = check(database, store, expect=links, recordings=recordings)
    document = {**asdict(report), "head": str(report.head), "intact": report.intact}
    lines = [f"{f.what} {f.where}: {f.problem}" for f in report.findings]
    lines.append(
        f"{report.links} links, {report.calls} calls ({report.unsealed} not sealed), {report.recordings} recordings: "
        + ("intact" if report.intact else f"{len(report.findings)} found")
    )
    lines.append(f"head {report.head}")
    _tell(document, lines, json_)
    raise typer.Exit(0 if report.intact else 1)


@app.command()
def anchor(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file to add it to; keep it out of the archive's reach.")
    ],
    home: Home = None,
    json_: Json = False,
) -> None:
    """Note the chain's last link in a file, for `verify --anchors` to look for."""
    from archive.anchors import note

    with _archive(home) as (database, _):
        head = note(database, out)
    _tell({"link": str(head), "path": str(out)}, [str(head)], json_)


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", "-o", help="The zip file to write; it must not exist.")],
    call: Annotated[str | None, typer.Option(help="A call's id: its evidence bundle, signed.")] = None,
    person: Person = None,
    case: Case = None,
    home: Home = None,
    json_: Json = False,
    actor: Actor = None,
) -> None:
    """Write a call's evidence bundle, or all that is held of a person or a case, to one zip file."""
    from archive.bundle import write_bundle
    from archive.subjects import export_subject

    if sum(value is not None for value in (call, person, case)) != 1:
        _refuse("name one of --call, --person and --case")
    with _archive(home) as (database, store):
        if call is not None:
            bundle = write_bundle(database, store, call, out, actor=_actor(actor))
            document: dict[str, Any] = {**asdict(bundle), "path": str(out)}
            lines = [f"{out}: sha256 {bundle.sha256}", f"signed by {bundle.signer}", f"audit link {bundle.link}"]
        else:
            who, subject = _subject(person, case)
            done = export_subject(database, store, who, subject, out, actor=_actor(actor))
            document = {**asdict(done), "path": str(out)}
            lines = [f"{out}: {done.calls} calls, {done.recordings} recordings, sha256 {done.sha256}",
                     f"audit link {done.link}"]  # fmt: skip
    _tell(document, lines, json_)


@app.command()
def erase(
    person: Person = None,
    case: Case = None,
    dry_run: DryRun = False,
    policy: Annotated[Path | None, typer.Option(help="A retention policy (YAML).")] = None,
    home: Home = None,
    json_: Json = False,
    actor: Actor = None,
) -> None:
    """Erase what is held of a person or a case, as far as floors and holds allow. Exit 1 if something was kept."""
    from archive.retention import load_policy
    from archive.subjects import erase_subject

    if (person is None) == (case is None):
        _refuse("name one of --person and --case")
    who, subject = _subject(person, case)
    with _archive(home) as (database, store):
        rules = load_policy(policy)
        receipt = erase_subject(database, store, rules, who, subject, actor=_actor(actor), dry_run=dry_run)
    _tell(receipt.document(), _receipt(receipt.document()), json_)
    raise typer.Exit(1 if receipt.held or receipt.kept else 0)


@app.command()
def purge(
    dry_run: DryRun = False,
    policy: Annotated[Path | None, typer.Option(help="A retention policy (YAML).")] = None,
    home: Home = None,
    json_: Json = False,
    actor: Actor = None,
) -> None:
    """Destroy what is past its ceiling, and print the receipt. Exit 1 if a hold kept something."""
    from archive.retention import load_policy
    from archive.retention import purge as destroy

    with _archive(home) as (database, store):
        receipt = destroy(database, store, load_policy(policy), dry_run=dry_run, actor=_actor(actor))
    _tell(receipt.document(), _receipt(receipt.document()), json_)
    raise typer.Exit(1 if receipt.held else 0)


@app.command()
def reprocess(
    call: Annotated[list[str] | None, typer.Option(help="Only this call; may be repeated.")] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Only calls that started at or after this moment (UTC).")
    ] = None,
    before: Annotated[datetime | None, typer.Option(help="Only calls that started before this moment (UTC).")] = None,
    home: Home = None,
    json_: Json = False,
    actor: Actor = None,
) -> None:
    """Seal what was never sealed; write summaries and searchable text anew. Exit 1 if a call cannot be sealed."""
    from archive.reprocess import reprocess as run

    with _archive(home) as (database, store):
        done = run(database, store, calls=call or (), started_from=_utc(since), started_before=_utc(before),
                   actor=_actor(actor))  # fmt: skip
    told = f"{done.sealed} calls sealed, {done.failed} cannot be, {done.renewed} summaries renewed"
    _tell(asdict(done), [told], json_)
    raise typer.Exit(1 if done.failed else 0)


@app.command("rotate-keys")
def rotate_keys(home: Home = None, json_: Json = False, actor: Actor = None) -> None:
    """Re-wrap every recording's key under the current master key (the first in CALLGATE_RECORDING_KEYS)."""
    from archive.evidence import rotate_keys as rotate

    with _archive(home) as (database, _):
        count = rotate(database, actor=_actor(actor))
    _tell({"recordings": count}, [f"{count} recordings' keys re-wrapped"], json_)


@app.command("new-key")
def new_key(key_id: Annotated[str, typer.Argument(help="A name for the key, such as 2026-11.")]) -> None:
    """Print a fresh master key for CALLGATE_RECORDING_KEYS. It is kept nowhere: losing it loses the recordings."""
    from archive.keys import KeyProblem
    from archive.keys import new_key as make

    try:
        typer.echo(make(key_id))
    except KeyProblem as e:
        _refuse(str(e))


@hold_app.command("place")
def hold_place(
    reason: Annotated[str, typer.Option(help="Why, such as a court's file number.")],
    call: Annotated[str | None, typer.Option(help="A call, by its id.")] = None,
    person: Person = None,
    case: Case = None,
    home: Home = None,
    json_: Json = False,
    actor: Actor = None,
) -> None:
    """Hold a call, a case or a person."""
    from archive.retention import Scope, place_hold

    named = {"call": call, "case": case, "person": person}
    chosen = [(scope, value) for scope, value in named.items() if value]
    if len(chosen) != 1:
        _refuse("name one of --call, --case and --person")
    scope, subject = chosen[0]
    if scope not in get_args(Scope):
        _refuse(f"not a scope: {scope}")
    with _archive(home) as (database, _), database.write() as session:
        number = place_hold(session, cast("Scope", scope), subject, reason=reason, actor=_actor(actor))
    _tell({"hold": number}, [f"hold {number} placed"], json_)


@hold_app.command("release")
def hold_release(
    number: Annotated[int, typer.Argument(help="The hold's number.")],
    home: Home = None,
    actor: Actor = None,
) -> None:
    """Release a hold."""
    from archive.retention import release_hold

    with _archive(home) as (database, _), database.write() as session:
        release_hold(session, number, actor=_actor(actor))


@hold_app.command("list")
def hold_list(home: Home = None, json_: Json = False) -> None:
    """The holds in force."""
    from archive.retention import holds

    with _archive(home) as (database, _), database.read() as session:
        found = [
            {"hold": h.id, "scope": h.scope, "subject": h.subject, "reason": h.reason, "placed_by": h.placed_by,
             "placed_at": h.placed_at.isoformat()}
            for h in holds(session)
        ]  # fmt: skip
    _tell({"holds": found}, [f"{h['hold']}  {h['scope']} {h['subject']}  {h['reason']}" for h in found], json_)


@contextmanager
def _archive(home: Path | None) -> Iterator[tuple[Database, Store]]:
    """The archive that exists: looking for one makes none. What is wrong with it ends the program with status 2."""
    from archive.database import open_database
    from archive.errors import ArchiveError, one_line
    from archive.layout import Layout, default_home
    from archive.store import Store

    folder = home or default_home()
    url = os.environ.get("CALLGATE_DATABASE_URL", "").strip()
    try:
        if not url and not Layout(folder).database.exists():
            raise ArchiveError(f"there is no archive in {folder}")
        database = open_database(url or Layout(folder).database_url)
        try:
            yield database, Store.from_environment(folder)
        finally:
            database.close()
    except ArchiveError as e:
        _refuse(str(e))
    except OSError as e:  # a file that cannot be read, written or removed
        name = f"{e.filename}: " if e.filename else ""
        _refuse(f"{name}{e.strerror or one_line(e)}")


def _subject(person: str | None, case: str | None) -> tuple[Who, str]:
    return ("person", person) if person is not None else ("case", case or "")


def _actor(given: str | None) -> str:
    if given:
        return given
    try:
        return f"shell:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"shell:{os.getuid()}"


def _utc(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _receipt(document: Mapping[str, Any]) -> list[str]:
    verb = "would be destroyed" if document["dry_run"] else "destroyed"
    lines = [f"{d['call_id']}: {', '.join(d['classes'])} {verb}" for d in document["destroyed"]]
    lines += [f"{call_id}: held" for call_id in document["held"]]
    lines += [f"{k.get('call_id') or k.get('holder')}: {k['class']} kept until {k['until']}" for k in document["kept"]]
    lines.append(f"{len(document['destroyed'])} calls, policy {document['policy']}")
    if document["link"]:
        lines.append(f"audit link {document['link']}")
    return lines


def _tell(document: Mapping[str, Any], lines: list[str], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False, default=str))
    else:
        typer.echo("\n".join(lines))


def _refuse(message: str) -> NoReturn:
    typer.echo(f"callgate: {message}", err=True)
    raise typer.Exit(2)
