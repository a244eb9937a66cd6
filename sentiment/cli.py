"""``callgate understand``: JSON lines in, JSON lines out, one at a time."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from sentiment.errors import InputError, ModelError
from sentiment.text import is_han
from sentiment.understand import Understander

_MAX_AUDIO = 600.0
"""Seconds of audio read for one utterance."""


def _string(row: dict[str, Any], key: str) -> str | None:
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise InputError(f'"{key}" must be a string')
    return value


def _audio(path: str) -> tuple[NDArray[np.float32], int]:
    if not Path(path).is_file():
        raise InputError(f"no audio file at {path}")
    try:
        with soundfile.SoundFile(path) as file:
            rate = int(file.samplerate)
            samples: NDArray[np.float32] = file.read(int(_MAX_AUDIO * rate), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as e:
        raise InputError(f"cannot read the audio file {path}: {' '.join(str(e).split())}") from e
    return samples.mean(axis=1, dtype=np.float32), rate


def _answer(row: Any, understander: Understander) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise InputError("not a JSON object")
    text = _string(row, "text")
    if text is None:
        raise InputError('"text" is missing')
    lang = _string(row, "lang") or ("zh" if any(map(is_han, text)) else "en")
    audio_path, today, now = _string(row, "audio"), _string(row, "today"), _string(row, "now")
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
    if payday is not None and (not isinstance(payday, int) or not 1 <= payday <= 31):
        raise InputError('"payday" must be a day of the month, 1 to 31')
    samples, rate = _audio(audio_path) if audio_path else (None, 8000)
    return understander.understand(
        text,
        lang,
        audio=samples,
        rate=rate,
        today=day,
        time_zone=_string(row, "time_zone"),
        expects=_string(row, "expects"),
        currency=_string(row, "currency"),
        amount_due=amount_due,
        now=moment,
        payday=payday,
    ).as_dict()


def run(stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Understand each line of ``stdin``: an object with ``text`` and, if known, ``lang``, ``audio`` (a sound file),
    ``today``, ``expects``, ``time_zone``, ``currency``, ``amount_due``, ``now``, ``payday``.

    Writes ``Understanding.as_dict()`` for each, as it comes; for a line that cannot be used ``{"error", "line"}``.
    Empty lines are skipped. Returns 0, or 2 if any line or the model could not be used.
    """
    try:
        understander = Understander.load()
    except ModelError as e:
        stderr.write(f"{e}\n")
        return 2
    bad = False
    number = 0
    lines = iter(stdin)
    while True:
        number += 1
        try:
            line = next(lines, None)
            if line is None:
                break
            if not line.strip():
                continue
            answer = _answer(json.loads(line), understander)
        except UnicodeDecodeError:
            bad, answer = True, {"error": "not UTF-8", "line": number}
            stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
            break  # the decoder has lost its place: what follows cannot be trusted
        except (json.JSONDecodeError, RecursionError) as e:
            bad, answer = True, {"error": f"not JSON: {e}", "line": number}
        except InputError as e:
            bad, answer = True, {"error": str(e), "line": number}
        stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
        stdout.flush()
    return 2 if bad else 0
