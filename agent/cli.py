"""The ``callgate`` program. Heavy libraries are imported by the command that needs them, not by ``--help``.

Exit status: 0 done, 1 found something, 2 unusable input. Data goes to standard output, words about it to standard
error.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.campaigning_cli import app as campaign_app
from agent.console_cli import app as console_app
from archive.cli import app as archive_app
from compliance_checks.commands import check, policy_app
from scripts.cli import app as scripts_app

if TYPE_CHECKING:
    from agent.demo import DemoCall
    from agent.events import Lang

app = typer.Typer(
    name="callgate",
    help="Loan-repayment reminder calls in which nothing is spoken until it has been approved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(scripts_app, name="scripts")
app.add_typer(archive_app, name="archive")
app.add_typer(campaign_app, name="campaign")
app.add_typer(policy_app, name="policy")
app.add_typer(console_app, name="console")
app.command()(check)


@app.command()
def understand(
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Lines read together: faster for archives.")] = 1,
) -> None:
    """Read utterances: JSON lines in; intent, slots and emotion out. Bad lines get an error line, the rest go on."""
    from sentiment.cli import run

    raise typer.Exit(run(sys.stdin, sys.stdout, sys.stderr, batch=batch))


@app.command()
def transcribe(
    files: Annotated[
        list[Path], typer.Argument(help="Recordings: wav, mp3, flac, ogg, opus, m4a; one or two channels.")
    ],
    lang: Annotated[str, typer.Option(help="zh, en, or auto: found for each channel.")] = "auto",
    model: Annotated[
        str | None,
        typer.Option(
            envvar="CALLGATE_WHISPER_MODEL", help="Size name, folder, or sensevoice:FOLDER. Default: embedded."
        ),
    ] = None,
    diarization: Annotated[
        str | None,
        typer.Option(
            envvar="CALLGATE_DIARIZATION",
            help="pyannote pipeline by name or folder, or none, for one channel. Default: embedded.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for NAME.json files, instead of standard output.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=256, help="Decode so many at a time. Default: cores.")
    ] = None,
) -> None:
    """Write down recorded calls: one JSON document a file, by channel or by speaker.

    Exit 2 if any could not be heard.
    """
    from asr.cli import run

    raise typer.Exit(
        run(files, sys.stdout, sys.stderr, lang=lang, model=model, diarization=diarization, out=out, threads=threads)
    )


@app.command()
def analyze(
    files: Annotated[list[Path], typer.Argument(help="Recorded calls: any format that transcribe takes.")],
    lang: Annotated[str, typer.Option(help="zh, en, or auto: found for each channel.")] = "auto",
    model: Annotated[str | None, typer.Option(envvar="CALLGATE_WHISPER_MODEL", help="As for transcribe.")] = None,
    diarization: Annotated[str | None, typer.Option(envvar="CALLGATE_DIARIZATION", help="As for transcribe.")] = None,
    policy: Annotated[str | None, typer.Option(help="Jurisdiction or pack id to judge the agent by.")] = None,
    party: Annotated[
        str,
        typer.Option(help="Who was called: unverified, borrower, third_party, voicemail, or auto: by what is said."),
    ] = "auto",
    agent_channel: Annotated[str, typer.Option(help="left, right, or auto: by what is said.")] = "auto",
    agent: Annotated[str, typer.Option(help="human, or ai: which must not pass for a human.")] = "human",
    facts: Annotated[Path | None, typer.Option(help="The case file, JSON, as for check.")] = None,
    archive: Annotated[bool, typer.Option("--archive/--no-archive", help="Enter the calls into the archive.")] = True,
    started_at: Annotated[
        str | None, typer.Option(help="When the call began, ISO 8601. Default: when its file was last written.")
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="Folder of the archive (default CALLGATE_HOME or ~/.local/share/callgate).")
    ] = None,
) -> None:
    """Read recorded calls: speakers, transcript, emotion, intents, compliance findings, flags. One JSON line a file.

    Exit 1 if anything was found, 2 if any file could not be heard.
    """
    from agent.analysis_cli import Request, run

    request = Request(
        files, lang, model, diarization, policy, party, agent_channel, agent, facts, archive, started_at, home
    )
    with _errors():
        raise typer.Exit(run(request, sys.stdout, sys.stderr))


@app.command()
def demo(
    lang: Annotated[str | None, typer.Option(help="zh or en. Default zh; with --scenario all, both.")] = None,
    scenario: Annotated[str, typer.Option(help="A scenario's name, or all.")] = "promise",
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON document a call instead of the live view.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the borrower's voice, wording and line noise.")] = 5,
    at_once: Annotated[int, typer.Option("--parallel", min=1, max=8, help="Calls at a time with --scenario all.")] = 2,
    home: Annotated[
        Path | None, typer.Option(help="Folder of the archive (default CALLGATE_HOME or ~/.local/share/callgate).")
    ] = None,
) -> None:
    """One whole call with a simulated carrier and borrower over a real WebSocket, live in the terminal.

    Exit 1 if a call did not end as its scenario should.
    """
    from agent.telephony.simulator import SCENARIOS

    if lang not in (None, "zh", "en"):
        _refuse(f"--lang must be zh or en, not {lang!r}")
    if scenario != "all" and scenario not in SCENARIOS:
        _refuse(f"no scenario {scenario!r}; there are: {', '.join(SCENARIOS)}, all")
    everything = scenario == "all"
    chosen = SCENARIOS if everything else (scenario,)
    langs: tuple[Lang, ...] = ("en",) if lang == "en" else ("zh", "en") if everything and lang is None else ("zh",)
    calls: list[tuple[Lang, str]] = [(each, name) for each in langs for name in chosen]
    quiet = json_ or everything
    with _errors():
        raise typer.Exit(asyncio.run(_demo(calls, seed, home, quiet, json_, at_once if everything else 1)))


@app.command()
def call(
    to: Annotated[str, typer.Option(help="Number (E.164) or extension to dial.")],
    case: Annotated[Path, typer.Option(help="The borrower's case file (JSON).")],
    lang: Annotated[str, typer.Option(help="zh or en.")] = "zh",
    json_: Annotated[bool, typer.Option("--json", help="Print the call's JSON document.")] = False,
) -> None:
    """One real call through the carrier of the settings (CALLGATE_CARRIER), by all the contact rules.

    Exit 1 if nobody answered.
    """
    if lang not in ("zh", "en"):
        _refuse(f"--lang must be zh or en, not {lang!r}")
    with _errors():
        raise typer.Exit(asyncio.run(_call(to, case, "zh" if lang == "zh" else "en", json_)))


@app.command()
def serve(
    home: Annotated[
        Path | None, typer.Option(help="Folder of the archive (default CALLGATE_HOME or ~/.local/share/callgate).")
    ] = None,
    listen: Annotated[str | None, typer.Option(help="host:port (default CALLGATE_LISTEN or 127.0.0.1:8080).")] = None,
) -> None:
    """The console for reviewers, supervisors, compliance and operations; carriers' webhooks and media sockets."""
    from agent.serve import serve as run
    from agent.settings import load_settings

    with _errors():
        settings = load_settings()
        changes = {name: value for name, value in (("home", home), ("listen", listen)) if value is not None}
        asyncio.run(run(settings.model_copy(update=changes)))


async def _call(to: str, case_file: Path, lang: Lang, as_json: bool) -> int:
    import json

    from rich.console import Console

    from agent.carriers import connected
    from agent.case import CaseFile
    from agent.desk import CallDesk, CallRefused
    from agent.models import load_models
    from agent.settings import load_settings
    from agent.telephony.carrier import DialFailed, DialStatus
    from agent.terminal import LiveView
    from archive.transcript import read_call

    case = CaseFile.load(case_file)
    settings = load_settings()
    console = Console(stderr=as_json)
    with console.status("loading the models"):
        models = await asyncio.to_thread(load_models, settings)
    desk = CallDesk(settings, models)

    def progress(status: DialStatus) -> None:
        console.print(f"[dim]{status.state}[/]")

    try:
        async with connected(desk) as exchange:
            view = None if as_json else LiveView(console, lang, "call")
            try:
                prepared = await desk.prepare(case, lang, listener=view)
                outcome = await exchange.call(prepared, to, progress=progress)
            except CallRefused as e:
                typer.echo(f"callgate: not called: {e}", err=True)
                return 1
            except DialFailed as e:
                typer.echo(f"callgate: {e}", err=True)
                return 1
        document = await asyncio.to_thread(read_call, desk.database, desk.layout.home, outcome.call_id)
    finally:
        desk.close()
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        console.print(f"{outcome.disposition}  {outcome.recording}")
    return 0


async def _demo(
    calls: list[tuple[Lang, str]], seed: int, home: Path | None, quiet: bool, as_json: bool, at_once: int
) -> int:
    import json

    from rich.console import Console

    from agent.demo import demo_call, serving
    from agent.desk import CallDesk, CallRefused
    from agent.errors import CallgateError
    from agent.models import load_models
    from agent.settings import load_settings
    from agent.terminal import LiveView, show_outcome, show_table

    settings = load_settings()
    if home is not None:
        settings = settings.model_copy(update={"home": home})
    console = Console(stderr=as_json)
    with console.status("loading the models"):
        models = await asyncio.to_thread(load_models, settings)
    desk = CallDesk(settings, models)
    slots = asyncio.Semaphore(at_once)

    async def one(base_url: str, lang: Lang, name: str) -> DemoCall | str:
        async with slots:
            view = None if quiet else LiveView(console, lang, "demo", name)
            try:
                call = await demo_call(desk, base_url, lang, name, seed=seed, listener=view)
            except (CallgateError, CallRefused) as e:
                console.print(f"[red]{lang} {name}: {e}[/]")
                return str(e)
            if as_json:
                sys.stdout.write(json.dumps(call.document, ensure_ascii=False) + "\n")
                sys.stdout.flush()
            elif quiet:
                console.print(f"{lang} {name}: {call.document['disposition']}")
            else:
                show_outcome(console, call)
            return call

    try:
        async with serving(desk) as base_url:
            results = await asyncio.gather(*(one(base_url, each, name) for each, name in calls))
    finally:
        desk.close()
    if quiet and not as_json:
        show_table(console, [(each, name, r) for (each, name), r in zip(calls, results, strict=True)])
    if all(isinstance(r, str) for r in results):
        return 2
    return 0 if all(not isinstance(r, str) and r.as_expected for r in results) else 1


class _errors:  # noqa: N801 - reads as a statement: `with _errors()`
    """Turns the errors a user can mend into one line and exit status 2."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        from agent.case import CaseError
        from agent.errors import CallgateError
        from archive.errors import ArchiveError
        from scripts.errors import ScriptError

        if isinstance(error, CallgateError | CaseError | ArchiveError | ScriptError):
            _refuse(str(error))
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(130)


def _refuse(message: str) -> None:
    typer.echo(f"callgate: {message}", err=True)
    raise typer.Exit(2)


def _quiet_libraries() -> None:
    """pipecat logs utterances at debug level, through loguru: none of that may reach a terminal or a file."""
    from loguru import logger

    logger.remove()
    logger.add(sys.stderr, level="ERROR", format="{level} {name}: {message}", backtrace=False, diagnose=False)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    warnings.filterwarnings("ignore", category=DeprecationWarning)


def main() -> None:
    """Entry point of the ``callgate`` program."""
    _quiet_libraries()
    app()
