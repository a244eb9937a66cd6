"""``callgate campaign run``, ``demo`` and ``deliver``: the commands that place calls and send their news."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaigns.cli import Home, Json, app, console, failing, opened, refuse, status_table

if TYPE_CHECKING:
    from agent.settings import Settings
    from campaigns.config import CampaignConfig
    from campaigns.dialer import Pace

__all__ = ["app"]

CARRIERS = ("asterisk", "twilio", "telnyx", "plivo", "simulated")


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="The campaign's YAML file.")],
    agents: Annotated[int, typer.Option(min=1, max=500, help="Calls at a time in this process.")] = 8,
    wait: Annotated[float, typer.Option(min=0, help="Go on if the next contact is due within so many minutes.")] = 0.0,
    carrier: Annotated[
        str | None,
        typer.Option(help="asterisk, twilio, telnyx, plivo or simulated. Default: CALLGATE_CARRIER, else simulated."),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(help="host:port for a carrier's webhooks and sockets (default CALLGATE_LISTEN)."),
    ] = None,
    public_url: Annotated[
        str | None, typer.Option(help="Public https address of --listen (default CALLGATE_PUBLIC_URL).")
    ] = None,
    home: Home = None,
    json_: Json = False,
) -> None:
    """Run a campaign until nothing is due, it is stopped, or Ctrl-C: once to finish its calls, twice to hang up.

    Its calls stand on the Live page of a `callgate serve` with the same home folder.
    """
    from campaigns.config import load_config

    with _errors():
        campaign = load_config(config)
        settings = _settings(home, carrier, listen, public_url, campaign)
        if settings.carrier is None and carrier is None:
            typer.echo("callgate: CALLGATE_CARRIER is not set: simulated people answer", err=True)
        status = asyncio.run(_run(campaign, settings, agents, timedelta(minutes=wait), quiet=json_))
    typer.echo(json.dumps(status.as_json(), ensure_ascii=False)) if json_ else console().print(status_table(status))
    raise typer.Exit(1 if status.unknown else 0)


def _settings(
    home: Path | None, carrier: str | None, listen: str | None, public_url: str | None, campaign: CampaignConfig
) -> Settings:
    """The environment's settings with the command's options over them. Raises ``ConfigurationError``."""
    from agent.settings import load_settings

    settings = load_settings()
    if carrier not in (None, *CARRIERS):
        refuse(f"--carrier must be one of {', '.join(CARRIERS)}, not {carrier!r}")
    changes: dict[str, Any] = {"listen": listen, "public_url": public_url, "home": home}
    changes = {name: value for name, value in changes.items() if value is not None}
    if home is not None:
        changes["database_url"] = None
    if carrier is not None:
        changes["carrier"] = None if carrier == "simulated" else carrier
    if settings.caller_id is None:  # every call of a campaign shows one of the campaign's own
        changes["caller_id"] = campaign.caller_ids.get("default") or next(iter(campaign.caller_ids.values()))
    return settings.model_copy(update=changes)


async def _run(config: CampaignConfig, settings: Settings, agents: int, wait: timedelta, *, quiet: bool) -> Any:
    from agent.campaigning import Behaviour
    from agent.campaigning_run import campaign_run
    from campaigns.status import status

    async with campaign_run(settings, config, agents=agents, clock=lambda: datetime.now(UTC)) as running:
        provider = running.provider(lambda order: Behaviour(seed=order.contact_id))
        with PaceLine(agents, quiet=quiet) as line:
            dialer = running.dialer(provider, wait_for_due=wait, on_pace=line)
            await until_interrupted(dialer.run(), running.stop)
            await provider.drained()
        return status(running.database, config.name, running.clock())


@app.command()
def deliver(home: Home = None, json_: Json = False) -> None:
    """Deliver the webhooks that are due, of all campaigns, as a running campaign and `callgate serve` do by themselves.

    Exit 1 if any could not be delivered.
    """
    from campaigns.outbox import Outbox, secret_from

    with failing(), opened(home) as database:
        done = asyncio.run(Outbox(database, secret_from(), lambda: datetime.now(UTC)).drain())
    counts = asdict(done)
    typer.echo(json.dumps(counts) if json_ else ", ".join(f"{n} {what}" for what, n in counts.items()))
    raise typer.Exit(1 if done.failed or done.dead else 0)


@app.command()
def demo(
    borrowers: Annotated[int, typer.Option(min=1, max=5000, help="How many simulated borrowers.")] = 200,
    at_once: Annotated[int, typer.Option("--parallel", min=1, max=64, help="Calls at a time.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Chooses who behaves how.")] = 1,
    home: Annotated[
        Path | None, typer.Option(help="Keep the archive here. Default: a folder that is removed afterwards.")
    ] = None,
    json_: Json = False,
) -> None:
    """A whole campaign against simulated borrowers over real sockets: import, rules, calls, texts, a table at the end.

    Exit 1 if any call was outside the rules, or of unknown fate.
    """
    from agent.campaigning_demo import run_demo

    with _errors(), PaceLine(at_once, quiet=json_) as line:
        report = asyncio.run(run_demo(borrowers, at_once, seed, home, on_pace=line, say=line.say))
    typer.echo(json.dumps(report.as_json(), ensure_ascii=False)) if json_ else console().print(report.table())
    raise typer.Exit(0 if report.lawful else 1)


class PaceLine:
    """The dialer's pace, live on standard error: one line that changes in a terminal, a line a minute elsewhere."""

    def __init__(self, agents: int, *, quiet: bool) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._agents, self._quiet = agents, quiet
        self._status: Any = None
        self._last = ""
        self._said_at = float("-inf")

    def __enter__(self) -> PaceLine:
        if not self._quiet and self._console.is_terminal:
            self._status = self._console.status("loading the models")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text, highlight=False)

    def __call__(self, pace: Pace) -> None:
        next_due = f", next due {pace.next_at:%H:%M}Z" if pace.next_at is not None and pace.next_at > pace.at else ""
        text = f"{pace.at:%H:%M:%S}Z  {pace.state}: {pace.live} in calls, {pace.reserved} about to be placed, "
        text += f"{pace.dialed} placed so far{next_due}"
        if pace.room < self._agents:
            text += f"; this machine is busy: {pace.room} calls at a time"
        if self._status is not None:
            self._status.update(text)
        elif not self._quiet and (pace.at.timestamp() - self._said_at) >= 60:
            self._said_at = pace.at.timestamp()
            self._console.print(text, highlight=False)


async def until_interrupted(work: Any, stop: Callable[[bool], None]) -> Any:
    """Await ``work``; the first Ctrl-C (or SIGTERM) asks for a graceful stop, the second for one at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    asked = 0
    stopping: set[asyncio.Task[None]] = set()

    def interrupt() -> None:
        nonlocal asked
        asked += 1
        if asked > 2:
            task.cancel()
            return
        sys.stderr.write("finishing the calls; again to hang up\n" if asked == 1 else "hanging up\n")
        stopping.add(asyncio.ensure_future(asyncio.to_thread(stop, asked == 2)))

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, ValueError, RuntimeError):
            loop.add_signal_handler(number, interrupt)
    try:
        return await task
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError, ValueError, RuntimeError):
                loop.remove_signal_handler(number)


class _errors:  # noqa: N801 - reads as a statement: `with _errors()`
    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        from agent.case import CaseError
        from agent.errors import CallgateError
        from scripts.errors import ScriptError

        if isinstance(error, CallgateError | CaseError | ScriptError):
            refuse(str(error))
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(130)
        if error is not None and not isinstance(error, typer.Exit):
            with failing():
                raise error
