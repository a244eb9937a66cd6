"""``callgate analyze``: recorded calls in, one JSON line a call out, and into the archive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, cast, get_args

from agent.analysis import AgentKind, Assumptions, analyse
from agent.analysis_archive import archive_call
from agent.analysis_document import document
from agent.errors import ConfigurationError
from agent.events import Party
from agent.models import load_gate, load_understander
from agent.settings import load_settings
from archive.database import Database, open_database
from archive.errors import ArchiveError
from archive.layout import Layout, private_folder
from asr.audiofile import AudioFileError, open_recording
from asr.batch import BatchTranscription
from asr.cli import LANGS, load_transcription, progress_bar
from asr.transcriber import Lang, ModelError
from compliance_checks.gate import Gate
from compliance_checks.policy import PolicyError
from sentiment.understand import Understander

_CHANNELS = {"left": 0, "right": 1, "auto": None}
_MOST_FACTS = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for."""

    files: Sequence[Path]
    lang: str = "auto"
    model: str | None = None
    diarization: str | None = None
    policy: str | None = None
    party: str = "auto"
    agent_channel: str = "auto"
    agent: str = "human"
    facts: Path | None = None
    archive: bool = True
    started_at: str | None = None
    home: Path | None = None


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every file of a run shares."""

    transcription: BatchTranscription
    understander: Understander
    gate: Gate
    known: Assumptions
    lang: Lang | None
    started_at: datetime | None
    models: dict[str, str]
    home: Path
    database: Database | None


def run(request: Request, stdout: TextIO, stderr: TextIO) -> int:
    """Analyse ``request.files``: 0 if nothing was found, 1 if anything was, 2 if any file was unusable.

    A file that cannot be heard or archived gives ``{"error", "file"}`` on ``stdout`` and one line on ``stderr``; the
    others go on. Raises ``ConfigurationError`` and ``ArchiveError`` where no file could be analysed.
    """
    desk = _prepare(request)
    status = 0
    try:
        with progress_bar(stderr) as bar:
            for path in request.files:
                try:
                    answer, found = _analyse(desk, path, bar)
                    status = max(status, 1 if found else 0)
                except (AudioFileError, ModelError, ArchiveError) as e:
                    reason = str(e) if str(path) in str(e) else f"{path}: {e}"
                    bar.say(f"callgate analyze: {reason}")
                    answer, status = {"error": reason, "file": str(path)}, 2
                stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
                stdout.flush()
    finally:
        if desk.database is not None:
            desk.database.close()
    return status


def _analyse(desk: _Desk, path: Path, bar: progress_bar) -> tuple[dict[str, Any], bool]:
    with open_recording(path) as recording:
        rows = desk.transcription.transcribe(recording, desk.lang, bar.start(path.name))
        moment = desk.started_at or datetime.fromtimestamp(path.stat().st_mtime, UTC)
        known = Assumptions(
            desk.known.party,
            desk.known.agent_channel,
            desk.known.agent,
            desk.known.policy,
            desk.known.facts,
            moment.astimezone().date(),
        )
        analysis = analyse(recording, rows, desk.understander, desk.gate, known)
        call_id = None
        if desk.database is not None:
            call_id = archive_call(
                desk.database, desk.home, path, recording, analysis, started_at=moment, models=desk.models
            )
    return document(path, analysis, call_id), analysis.found_something


def _prepare(request: Request) -> _Desk:
    """Raises ``ConfigurationError`` naming the first option or model that cannot be used, ``ArchiveError``."""
    if request.lang not in LANGS:
        raise ConfigurationError(f"--lang must be zh, en or auto, not {request.lang!r}")
    if request.party != "auto" and request.party not in get_args(Party):
        raise ConfigurationError(f"--party must be auto or one of {', '.join(get_args(Party))}, not {request.party!r}")
    if request.agent_channel not in _CHANNELS:
        raise ConfigurationError(f"--agent-channel must be left, right or auto, not {request.agent_channel!r}")
    if request.agent not in get_args(AgentKind):
        raise ConfigurationError(f"--agent must be human or ai, not {request.agent!r}")
    settings = load_settings()
    home = request.home or settings.home
    try:
        transcription = load_transcription(request.model, request.diarization, cpu_threads=settings.whisper_threads)
        understander = load_understander(settings)
        gate = load_gate(settings)
        for lang in LANGS.values():
            if lang is not None:
                gate.policies.resolve(request.policy, lang)
    except (ModelError, PolicyError) as e:
        raise ConfigurationError(str(e)) from e
    known = Assumptions(
        None if request.party == "auto" else cast(Party, request.party),
        _CHANNELS[request.agent_channel],
        cast(AgentKind, request.agent),
        request.policy,
        _facts(request.facts),
    )
    database = None
    if request.archive:
        private_folder(home)
        database = open_database(settings.database_url or Layout(home).database_url)
    models = {"asr": request.model or "embedded", "diarization": request.diarization or "embedded"}
    started = _moment(request.started_at)
    return _Desk(
        transcription, understander, gate, known, LANGS[request.lang], started, models, home, database
    )  # fmt: skip


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as e:
        raise ConfigurationError(f"--started-at must be an ISO 8601 time, not {text!r}") from e
    return moment.astimezone() if moment.tzinfo is None else moment


def _facts(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        facts = json.loads(text) if len(text) <= _MOST_FACTS else None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as e:
        raise ConfigurationError(f"--facts: {path} is not a JSON file that can be read") from e
    if not isinstance(facts, dict):
        raise ConfigurationError(f"--facts: {path} must hold one JSON object")
    return facts
