"""``callgate understand``: JSON lines in, JSON lines out, as they come; ``batch`` reads several lines at once."""

from __future__ import annotations

import base64
import binascii
import io
import json
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from sentiment.errors import InputError, ModelError
from sentiment.text import is_han
from sentiment.understand import Request, Understander
from sentiment.voice import VoiceBaseline

_MAX_AUDIO = 600.0
"""Seconds of audio read for one utterance."""


def _string(row: dict[str, Any], key: str) -> str | None:
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise InputError(f'"{key}" must be a string')
    return value


def _audio(given: str) -> tuple[NDArray[np.float32], int]:
    """Samples and rate of a sound file's path, or of a base64 WAV (bare, or as a ``data:`` URI)."""
    source: str | io.BytesIO = given
    if given.startswith("data:") or (len(given) > 60 and given.startswith(("UklGR", "ZkxhQ", "T2dnU"))):
        try:
            source = io.BytesIO(base64.b64decode(given.rpartition(",")[2], validate=True))
        except (binascii.Error, ValueError) as e:
            raise InputError(f'"audio" is no base64: {e}') from e
    elif "\x00" in given or not Path(given).is_file():
        raise InputError(f"no audio file at {given[:200]!r}")
    name = given if isinstance(source, str) else "in the line"
    try:
        with soundfile.SoundFile(source) as file:
            rate = int(file.samplerate)
            samples: NDArray[np.float32] = file.read(int(_MAX_AUDIO * rate), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as e:
        raise InputError(f"cannot read the audio file {name}: {' '.join(str(e).split())}") from e
    return samples.mean(axis=1, dtype=np.float32), rate


def _request(row: Any) -> tuple[Request, str | None]:
    """What a line asks for, and the ``call`` whose past turns its voice is measured against."""
    if not isinstance(row, dict):
        raise InputError("not a JSON object")
    text, audio = _string(row, "text"), _string(row, "audio")
    if text is None:
        raise InputError('"text" is missing')
    lang = _string(row, "lang") or ("zh" if any(map(is_han, text)) else "en")
    today, now = _string(row, "today"), _string(row, "now")
    try:
        day = date.fromisoformat(today) if today else None
        moment = datetime.fromisoformat(now) if now else None
    except ValueError as e:
        raise InputError(f"not an ISO date: {e}") from e
    due = row.get("amount_due")
    try:
        amount_due = Decimal(str(due)) if due is not None else None
    except InvalidOperation as e:
        raise InputError(f'"amount_due" is no number: {due!r}') from e
    if amount_due is not None and not amount_due.is_finite():
        raise InputError(f'"amount_due" is no number: {due!r}')
    payday = row.get("payday")
    if payday is not None and (isinstance(payday, bool) or not isinstance(payday, int) or not 1 <= payday <= 31):
        raise InputError('"payday" must be a day of the month, 1 to 31')
    samples, rate = _audio(audio) if audio else (None, 8000)
    request = Request(
        text,
        lang,
        samples,
        rate,
        day,
        _string(row, "time_zone"),
        _string(row, "expects"),
        _string(row, "currency"),
        amount_due,
        moment,
        None,
        payday,
    )
    request.check()
    return request, _string(row, "call")


class _Lines:
    """Answers lines in their order; what cannot be used is answered by its error."""

    def __init__(self, understander: Understander, stdout: TextIO) -> None:
        self.bad = False
        self._understander = understander
        self._stdout = stdout
        self._waiting: list[Request | dict[str, Any]] = []
        self._calls: dict[str, VoiceBaseline] = {}

    def take(self, line: str, number: int) -> None:
        call = None
        try:
            request, call = _request(json.loads(line))
        except (json.JSONDecodeError, RecursionError) as e:
            self.fail(f"not JSON: {e}", number)
            return
        except InputError as e:
            self.fail(str(e), number)
            return
        if call is None:
            self._waiting.append(request)
            return
        self.flush()  # a call's next turn is measured against this one
        baseline = self._calls.setdefault(call, VoiceBaseline())
        read = self._understander.understand_many([replace(request, baseline=baseline)])[0]
        if read.voice is not None:
            self._calls[call] = baseline.updated(read.voice)
        self._write(read.as_dict())

    def fail(self, why: str, number: int) -> None:
        self.bad = True
        self._waiting.append({"error": why, "line": number})

    def waiting(self) -> int:
        return len(self._waiting)

    def flush(self) -> None:
        requests = [w for w in self._waiting if isinstance(w, Request)]
        answers = iter(self._understander.understand_many(requests))
        for w in self._waiting:
            self._write(next(answers).as_dict() if isinstance(w, Request) else w)
        self._waiting = []
        self._stdout.flush()

    def _write(self, answer: dict[str, Any]) -> None:
        self._stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")


def run(
    stdin: TextIO, stdout: TextIO, stderr: TextIO, *, batch: int = 1, understander: Understander | None = None
) -> int:
    """Understand each line of ``stdin``: an object with ``text`` and, if known, ``lang``, ``audio`` (a sound file's
    path or a base64 WAV), ``today``, ``expects``, ``time_zone``, ``currency``, ``amount_due``, ``now``, ``payday``, and
    ``call`` (lines with the same one are turns of one caller, whose voice is measured against the turns before).

    Writes ``Understanding.as_dict()`` for each, in order; for a line that cannot be used ``{"error", "line"}``. Answers
    come line by line, or every ``batch`` lines. Empty lines are skipped. Returns 0, or 2 if any line or the model could
    not be used.
    """
    try:
        lines = _Lines(understander or Understander.load(), stdout)
    except ModelError as e:
        stderr.write(f"{e}\n")
        return 2
    number = 0
    source = iter(stdin)
    while True:
        number += 1
        try:
            line = next(source, None)
        except UnicodeDecodeError:
            lines.fail("not UTF-8", number)
            break  # the decoder has lost its place: what follows cannot be trusted
        if line is None:
            break
        if line.strip():
            lines.take(line, number)
        if lines.waiting() >= batch:
            lines.flush()
    lines.flush()
    return 2 if lines.bad else 0
