"""``callgate transcribe``: recorded calls in, one JSON document a file out."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from asr.audiofile import AudioFileError, open_recording
from asr.batch import BatchTranscription, Row
from asr.diarization.load import load_diarizer
from asr.transcriber import Lang, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

LANGS: dict[str, Lang | None] = {"zh": "zh", "en": "en", "auto": None}


def load_transcription(
    model: str | None, diarization: str | None, *, threads: int | None = None, cpu_threads: int = 1
) -> BatchTranscription:
    """Everything that a file needs to become a transcript; ``threads`` decode at a time (default: one a core).

    ``model``: a name or folder, None for the embedded one; ``diarization`` as ``load_diarizer`` takes it. Raises
    ``ModelError``.
    """
    from asr.engines import load_transcriber

    workers = threads or max(1, len(os.sched_getaffinity(0)) // cpu_threads)
    transcriber = load_transcriber(model, cpu_threads=cpu_threads, num_workers=workers)
    return BatchTranscription(transcriber, diarizer=load_diarizer(diarization), workers=workers)


def transcribe_file(
    path: Path, transcription: BatchTranscription, lang: Lang | None, progress: Callable[[float], None] | None = None
) -> list[Row]:
    """One file's transcript. Raises ``AudioFileError`` and ``ModelError``."""
    with open_recording(path) as recording:
        return transcription.transcribe(recording, lang, progress)


def run(
    files: Sequence[Path],
    stdout: TextIO,
    stderr: TextIO,
    *,
    lang: str = "auto",
    model: str | None = None,
    diarization: str | None = None,
    out: Path | None = None,
    threads: int | None = None,
) -> int:
    """Transcribe ``files`` one after the other; 0 if all could be heard, 2 if any could not.

    Each gives one line on ``stdout``, a JSON list of utterances, or with ``out`` (a folder, made if it is missing) a
    file ``NAME.json`` in it. A file that cannot be heard gives ``{"error", "file"}`` in the same place and one line on
    ``stderr``; the others go on. A bar on ``stderr`` shows how far it is, where that is a terminal.
    """
    if lang not in LANGS:
        stderr.write(f"callgate transcribe: --lang must be zh, en or auto, not {lang!r}\n")
        return 2
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        transcription = load_transcription(model, diarization, threads=threads)
    except (ModelError, OSError) as e:
        stderr.write(f"callgate transcribe: {' '.join(str(e).split())}\n")
        return 2
    status = 0
    targets = target_names(files)
    with progress_bar(stderr) as bar:
        for path, name in zip(files, targets, strict=True):
            step = bar.start(path.name)
            try:
                rows = transcribe_file(path, transcription, LANGS[lang], step)
                document: object = [row.as_dict() for row in rows]
            except (AudioFileError, ModelError) as e:
                bar.say(f"callgate transcribe: {e}")
                document, status = {"error": str(e), "file": str(path)}, 2
            text = json.dumps(document, ensure_ascii=False)
            try:
                if out is None:
                    stdout.write(text + "\n")
                    stdout.flush()
                else:
                    (out / name).write_text(text + "\n", encoding="utf-8")
            except OSError as e:
                bar.say(f"callgate transcribe: cannot write the transcript of {path} ({e.strerror or e})")
                return 2
    return status


def target_names(files: Sequence[Path]) -> list[str]:
    """The name of each file's document: ``STEM.json``, with the suffix kept and then counted where two would be one."""
    taken: set[str] = set()
    out = []
    for path in files:
        choices = [f"{path.stem}.json", f"{path.name}.json"]
        choices += [f"{path.name}-{n}.json" for n in range(2, len(files) + 2)]
        name = next(c for c in choices if c not in taken)
        taken.add(name)
        out.append(name)
    return out


class progress_bar:  # noqa: N801 - reads as a statement: `with progress_bar(stderr) as bar`
    """A bar a file on ``stderr``, nothing where that is not a terminal. Messages go above the bars."""

    def __init__(self, stderr: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._stderr = stderr
        console = Console(file=stderr)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self._bars = Progress(
            *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
        )

    def __enter__(self) -> progress_bar:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def start(self, name: str) -> Callable[[float], None]:
        """A new bar; returns what moves it, given the share done, 0 to 1."""
        task = self._bars.add_task(name, total=1.0)
        return lambda share: self._bars.update(task, completed=share)

    def say(self, message: str) -> None:
        """One line above the bars."""
        if self._bars.disable:
            self._stderr.write(message + "\n")
            self._stderr.flush()
        else:
            self._bars.console.print(message, markup=False, highlight=False, soft_wrap=True)
