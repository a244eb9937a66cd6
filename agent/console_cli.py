"""``callgate console``: what the console needs from the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The console's own commands.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The console's own commands."""


@app.command()
def seed(
    calls: Annotated[int, typer.Option(min=1, max=100_000, help="How many.")] = 500,
    recordings: Annotated[int, typer.Option(min=0, max=100, help="How many of them get a spoken recording.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Chooses people, words, outcomes and moments.")] = 5,
    until: Annotated[str | None, typer.Option(help="The day after the last call, ISO. Default: today.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Folder of the archive (default CALLGATE_HOME or ~/.local/share/callgate).")
    ] = None,
) -> None:
    """Fill the archive with simulated calls of two weeks, marked as such: something to look at in the console.

    Doing it again with the same seed adds none of them twice.
    """
    from agent.errors import CallgateError
    from agent.models import load_gate, load_understander
    from agent.seeding import Simulator
    from agent.seeding_archive import fill
    from agent.settings import load_settings
    from archive.database import open_database
    from archive.errors import ArchiveError
    from archive.layout import Layout, private_folder
    from archive.store import Store
    from scripts.errors import ScriptError

    try:
        moment = datetime.now(UTC) if until is None else datetime.fromisoformat(until)
    except ValueError:
        typer.echo(f"callgate: --until is a date such as 2026-11-22, not {until!r}", err=True)
        raise typer.Exit(2) from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    try:
        settings = load_settings()
        layout = Layout(home or settings.home)
        private_folder(layout.home)
        database = open_database(settings.database_url or layout.database_url)
        try:
            models = load_understander(settings), load_gate(settings)
            simulator = Simulator(*models, moment, seed)
            with typer.progressbar(length=calls, label="simulated calls") as bar:
                store = Store.from_environment(layout.home)
                result = fill(database, store, simulator, calls, recordings, progress=bar.update)
        finally:
            database.close()
    except (CallgateError, ArchiveError, ScriptError) as e:
        typer.echo(f"callgate: {e}", err=True)
        raise typer.Exit(2) from e
    typer.echo(f"{result.made} simulated calls entered, {result.there} were there already")
