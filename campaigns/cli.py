"""``callgate campaign``: portfolios, plans, how campaigns stand, stopping them. ``agent`` adds running them.

Exit status: 0 done, 1 something was found (rows that cannot be used, calls of unknown fate), 2 unusable input. Data
goes to standard output, words about it to standard error.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from archive.database import Database
    from campaigns.importing.portfolio import ImportReport
    from campaigns.status import CampaignStatus
    from compliance_checks.policy import Policies

app = typer.Typer(help="Portfolios and campaigns of outbound reminder calls.", no_args_is_help=True)

Home = Annotated[
    Path | None, typer.Option(help="Folder of the archive (default CALLGATE_HOME or ~/.local/share/callgate).")
]
Packs = Annotated[
    Path | None,
    typer.Option(envvar="CALLGATE_PACKS", help="Folder of your own policy packs, layered over those that ship."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV (UTF-8 or GB18030) or XLSX.")],
    mapping: Annotated[Path | None, typer.Option(help="YAML file: which column is which field.")] = None,
    lender: Annotated[str | None, typer.Option(help="The lender of the whole file.")] = None,
    updates: Annotated[
        bool, typer.Option("--updates", help="The file holds updates: payments, cease requests, disputes.")
    ] = False,
    as_of: Annotated[str | None, typer.Option(help="The day the file describes, YYYY-MM-DD. Default: today.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, change nothing.")] = False,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Import the good rows. Default: all of the file or nothing.")
    ] = False,
    errors: Annotated[
        Path | None, typer.Option(help="Write the refused rows here as CSV: line, field, reason.")
    ] = None,
    home: Home = None,
    json_: Json = False,
) -> None:
    """Take in a portfolio, or updates to one. Exit 1 if any row cannot be used: by default nothing is imported then."""
    from campaigns.importing.mapping import load_mapping
    from campaigns.importing.portfolio import import_portfolio
    from campaigns.importing.updates import import_updates

    with failing(), opened(home) as database, _bar(quiet=json_) as progress:
        common: dict[str, Any] = {
            "mapping": load_mapping(mapping), "lender": lender, "dry_run": dry_run, "skip_bad_rows": skip_bad_rows,
            "progress": progress,
        }  # fmt: skip
        now = datetime.now(UTC)
        if updates:
            report = import_updates(database, file, now, **common)
        else:
            report = import_portfolio(database, file, now, as_of=_day(as_of), **common)
    if errors is not None:
        with failing():
            _write_errors(errors, report)
    if json_:
        _print(report.as_json())
    else:
        _tell(report, dry_run, all_or_nothing=not skip_bad_rows)
    raise typer.Exit(1 if report.problems else 0)


def _tell(report: ImportReport, dry_run: bool, all_or_nothing: bool) -> None:
    shown = report.problems[:20]
    for problem in shown:
        where = f"line {problem.line}" + (f", {problem.field}" if problem.field else "")
        typer.echo(f"{where}: {problem.reason}", err=True)
    if len(report.problems) > len(shown):
        typer.echo(f"… and {len(report.problems) - len(shown)} more (--errors FILE writes them all)", err=True)
    counts = ", ".join(f"{n} {name}" for name, n in report.counts.items() if n) or "nothing"
    if dry_run:
        kept_out = bool(report.problems) and all_or_nothing
        done = f"would {'NOT ' if kept_out else ''}be imported (dry run)"
    else:
        taken = report.written and any(n for name, n in report.counts.items() if name != "refused")
        done = "imported" if taken or not report.problems else "NOT imported"
    typer.echo(f"{report.file}: {report.rows} rows ({report.encoding}): {counts}; {done}")
    if not report.written and not dry_run:
        typer.echo("nothing was changed: mend the rows above, or use --skip-bad-rows", err=True)


def _write_errors(path: Path, report: ImportReport) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("line", "field", "reason"))
        writer.writerows((problem.line, problem.field, problem.reason) for problem in report.problems)


@app.command()
def plan(
    config: Annotated[Path, typer.Argument(help="The campaign's YAML file.")],
    at: Annotated[str | None, typer.Option(help="As if it were this moment, ISO 8601 with zone. Default: now.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Show so many rows; 0: all.")] = 50,
    packs: Packs = None,
    home: Home = None,
    json_: Json = False,
) -> None:
    """Whom the campaign would call and when, and why not the others. Changes nothing."""
    from campaigns.config import load_config
    from campaigns.planning import plan as planned
    from campaigns.rules import ContactRules

    with failing(), opened(home) as database:
        campaign, rules = load_config(config), ContactRules(policies(packs))
        rules.check(campaign)
        rows = list(planned(database, campaign, moment(at), rules))
    if json_:
        _print(
            [
                {
                    "lender": row.lender, "account": row.account, "lang": row.lang, "number": row.number,
                    "at": row.at.isoformat() if row.at else None, "reason": row.reason, "clause": row.clause,
                    "state": row.state,
                }
                for row in rows
            ]
        )  # fmt: skip
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 1))
    for heading in ("account", "number", "when (borrower's time)"):
        table.add_column(heading, no_wrap=True)
    for heading in ("lender", "why not now"):  # these wrap in a narrow terminal: a time cut short says nothing
        table.add_column(heading, overflow="fold")
    rows.sort(key=lambda row: (row.at is None, row.at.timestamp() if row.at else 0.0))
    for row in rows[: limit or None]:
        when = row.at.strftime("%Y-%m-%d %H:%M %Z") if row.at else "never" if row.state != "live" else "in a call"
        table.add_row(row.account, row.number, when, row.lender, f"{row.reason}  {row.clause}".strip())
    console().print(table)
    may = sum(1 for row in rows if row.at is not None and not row.reason)
    later = sum(1 for row in rows if row.at is not None and row.reason)
    typer.echo(f"{len(rows)} debts: {may} may be called now, {later} later, {len(rows) - may - later} not")


@app.command("audit")
def audit_(
    name: Annotated[str, typer.Argument(help="The campaign.")],
    packs: Packs = None,
    home: Home = None,
    json_: Json = False,
) -> None:
    """Judge every call that was placed again, by the rules in force. Exit 1 if any was outside them."""
    from campaigns.audit import audit

    with failing(), opened(home) as database:
        found = audit(database, name, policies(packs))
    if json_:
        _print(found.as_json())
    else:
        outside = ", ".join(f"{rule} {n}" for rule, n in found.outside.items()) or "none"
        typer.echo(f"{found.dials} calls judged again; outside the rules: {outside}")
        typer.echo(f"two calls at a time to one person: {found.overlaps}")
        if found.changed:
            typer.echo(f"judged without what has changed since with the person or the debt: {found.changed}")
        if found.other_policy:
            typer.echo(f"placed under other rules than those in force now: {found.other_policy}")
    raise typer.Exit(0 if found.clean else 1)


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(help="A campaign; all of them if left out.")] = None,
    home: Home = None,
    json_: Json = False,
) -> None:
    """How campaigns stand. Exit 1 if there are calls of unknown fate for a person to resolve."""
    from campaigns.status import names
    from campaigns.status import status as state_of

    with failing(), opened(home) as database:
        found = [state_of(database, each, datetime.now(UTC)) for each in ([name] if name else names(database))]
    if json_:
        _print([each.as_json() for each in found])
    else:
        for each in found:
            console().print(status_table(each))
        if not found:
            typer.echo("no campaign yet")
    raise typer.Exit(1 if any(each.unknown for each in found) else 0)


def status_table(found: CampaignStatus) -> Any:
    """A campaign's status for the terminal."""
    from rich.table import Table

    table = Table(title=f"{found.name}: {found.state}", title_justify="left", show_header=False, box=None)
    rows: list[tuple[str, object]] = [
        ("contacts", found.contacts), ("attempts", found.attempts), ("live", found.live),
        ("outcomes", found.outcomes), ("contacted", found.contacted),
        ("right party reached", found.reached), ("promises", found.promises),
        ("why not (again)", found.reasons), ("of unknown fate", ", ".join(found.unknown)),
        ("next due", found.next_at.isoformat(timespec="seconds") if found.next_at else "-"),
        ("callbacks booked", f"{found.callbacks}, the next {found.next_callback_at:%Y-%m-%d %H:%M}Z"
         if found.next_callback_at else ""),
        ("trunk", f"{found.channels} channels, {found.per_minute:g}/min"
         + (f", broken until {found.trunk_closed_until:%H:%M:%S}" if found.trunk_closed_until else "")),
        ("dialers", found.dialers), ("webhooks", found.webhooks), ("messages", found.messages),
    ]  # fmt: skip
    for label, value in rows:
        if isinstance(value, dict):
            value = ", ".join(f"{key} {n}" for key, n in value.items())
        if value not in ("", None):
            table.add_row(label, str(value))
    return table


@app.command()
def stop(
    name: Annotated[str, typer.Argument(help="The campaign.")],
    now: Annotated[bool, typer.Option("--now", help="Hang up running calls. Default: let them finish.")] = False,
    home: Home = None,
    json_: Json = False,
) -> None:
    """Stop a campaign in all its dialers: gracefully, or at once."""
    from campaigns.planning import stop as stop_

    with failing(), opened(home) as database:
        campaign = stop_(database, name, datetime.now(UTC), at_once=now)
        state = {"campaign": campaign.name, "state": campaign.state, "stop_mode": campaign.stop_mode}
    _print(state) if json_ else typer.echo(f"{name}: {state['state']}")


@app.command()
def resolve(
    attempt: Annotated[str, typer.Argument(help="An attempt of unknown fate, as status shows it.")],
    outcome: Annotated[str | None, typer.Option(help="What came of it, such as no_answer.")] = None,
    never_rang: Annotated[bool, typer.Option("--never-rang", help="The provider says that it never rang.")] = False,
    redial: Annotated[bool, typer.Option("--redial", help="Put the contact back in the queue.")] = False,
    home: Home = None,
) -> None:
    """A person's word on a call of which nobody knows whether it rang."""
    from campaigns.ledger import Ledger
    from campaigns.status import resolve as resolve_

    if (outcome is None) != never_rang:
        refuse("say either --outcome NAME or --never-rang")
    with failing(), opened(home) as database:
        resolve_(Ledger(database, "operator"), attempt, outcome=outcome, redial=redial)
    typer.echo(f"{attempt}: resolved")


# -- shared with the commands that agent adds


@contextmanager
def opened(home: Path | None) -> Iterator[Database]:
    """The database at ``CALLGATE_DATABASE_URL``, or in ``home``."""
    from archive.layout import Layout, default_home
    from campaigns.store import open_campaigns

    url = os.environ.get("CALLGATE_DATABASE_URL") if home is None else None
    database = open_campaigns(url or Layout(home or default_home()).database_url)
    try:
        yield database
    finally:
        database.close()


def policies(packs: Path | None) -> Policies:
    """The packs that ship and those of the folder, as the gate that dials has them. One line and exit 2 if unusable."""
    from compliance_checks.in_force import policies_in_force
    from compliance_checks.policy import PolicyError

    try:
        return policies_in_force(packs)
    except PolicyError as e:
        refuse(f"packs: {e}")


@contextmanager
def failing() -> Iterator[None]:
    """Turns the errors that a user can mend into one line and exit status 2."""
    from archive.errors import ArchiveError
    from campaigns.errors import CampaignError

    try:
        yield
    except (CampaignError, ArchiveError) as e:
        refuse(str(e))
    except OSError as e:
        refuse(f"{e.filename or 'file'}: {e.strerror}")


def refuse(message: str) -> NoReturn:
    typer.echo(f"callgate: {message}", err=True)
    raise typer.Exit(2)


def moment(text: str | None) -> datetime:
    """An ISO moment with its zone; now where ``None``."""
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        refuse(f"--at {text!r} is no ISO 8601 moment")
    if found.tzinfo is None:
        refuse("--at needs a time zone, such as +08:00")
    return found


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        refuse(f"--as-of {text!r} is no day such as 2026-11-18")


def console() -> Any:
    from rich.console import Console

    return Console(soft_wrap=not sys.stdout.isatty())


def _print(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Any]:
    """A progress bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty(), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield progress
